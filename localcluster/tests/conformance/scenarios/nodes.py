"""Nodes that are cordoned, drained or tainted, and what becomes of their pods."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..script import Script, pod, scenario

_REASONS = ("status.conditions.*.type", "status.conditions.*.reason")


def _node(s: Script) -> str:
    name: str = s.quiet("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    return name


@contextlib.contextmanager
def _untouched_afterwards(s: Script, node: str, *taints: str) -> Iterator[None]:
    """Leave the node as it was found, even if the scenario does not come to its end."""
    try:
        yield
    finally:
        s.quiet("PATCH", f"/api/v1/nodes/{node}", {"spec": {"unschedulable": None}})
        found = s.quiet("GET", f"/api/v1/nodes/{node}")["spec"].get("taints") or []
        kept = [one for one in found if one["key"] not in taints]
        if kept != found:
            s.quiet("PATCH", f"/api/v1/nodes/{node}", {"spec": {"taints": kept}})


def _here(name: str, node: str, *command: str, **spec: Any) -> dict[str, Any]:
    return pod(name, *command, nodeSelector={"kubernetes.io/hostname": node}, **spec)


@scenario(alone=True)
def cordon_and_uncordon(s: Script) -> None:
    """A cordoned node keeps its pods and gets no new ones."""
    node = _node(s)
    s.quiet("POST", "pods", _here("old", node, "sleep", "60"))
    s.until("pods/old", "status.phase", "Running")
    with _untouched_afterwards(s, node):
        s.kubectl(f"cordon {node}")
        s.kubectl(f"cordon {node}")
        s.until(f"/api/v1/nodes/{node}", "spec.taints.*.key", _has("unschedulable"))
        s.get(f"/api/v1/nodes/{node}", show=("spec.unschedulable", "spec.taints.*.effect"))
        s.quiet("POST", "pods", _here("new", node, "sleep", "60"))
        s.until("pods/new", "status.conditions.0.reason", "Unschedulable")
        s.get("pods/new", show=("status.phase", *_REASONS))
        assert s.get("pods/old", show=("status.phase",))["status"]["phase"] == "Running"
        s.kubectl(f"uncordon {node}")
        s.until("pods/new", "status.phase", "Running")
        s.kubectl(f"uncordon {node}")


@scenario(alone=True)
def draining_with_a_budget(s: Script) -> None:
    """`kubectl drain` evicts pods, and a budget refuses what would leave too few."""
    node = _node(s)
    labels = {"labels": {"app": "drained"}}
    for name in ("a", "b"):
        s.quiet("POST", "pods", _here(name, node, "sleep", "60", metadata=labels))
        s.until(f"pods/{name}", "status.phase", "Running")
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "drained"}}}
    made = {"metadata": {"name": "guard"}, "spec": budget}
    s.post("poddisruptionbudgets", made, show=("spec",))
    s.until("poddisruptionbudgets/guard", "status.disruptionsAllowed", 1)
    s.get("poddisruptionbudgets/guard", show=("status",))
    s.kubectl("get pdb")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
    s.post("pods/a/eviction", {**eviction, "metadata": {"name": "a", "namespace": "{ns}"}})
    s.until("poddisruptionbudgets/guard", "status.disruptionsAllowed", lambda left: left == 0)
    s.until("pods/a", "gone")
    refused = {**eviction, "metadata": {"name": "b", "namespace": "{ns}"}}
    assert s.post("pods/b/eviction", refused)["code"] == 429
    with _untouched_afterwards(s, node):
        drain = f"drain {node} --pod-selector=app=drained --force"
        s.kubectl(f"{drain} --timeout=2s")
        assert s.get("pods/b", show=("status.phase",))["status"]["phase"] == "Running"
        s.quiet("DELETE", "poddisruptionbudgets/guard")
        s.kubectl(f"{drain} --timeout=60s")
        s.until("pods/b", "gone")
        s.kubectl(f"uncordon {node}")


@scenario(alone=True)
def taints_that_evict(s: Script) -> None:
    """A taint NoExecute takes the pods that do not tolerate it, or not for long."""
    node, key = _node(s), "example.com/conformance"
    tolerant = {"key": key, "operator": "Exists", "effect": "NoExecute"}
    grace = {"terminationGracePeriodSeconds": 5}
    for name, tolerations in (
        ("never", []),
        ("always", [tolerant]),
        ("briefly", [{**tolerant, "tolerationSeconds": 3}]),
    ):
        made = _here(name, node, "sleep", "60", tolerations=tolerations, **grace)
        s.quiet("POST", "pods", made)
        s.until(f"pods/{name}", "status.phase", "Running")
    with _untouched_afterwards(s, node, key):
        s.kubectl(f"taint node {node} {key}=x:NoExecute")
        s.until("pods/never", "metadata.deletionTimestamp")
        target = "jsonpath='{.status.conditions[?(@.type==\"DisruptionTarget\")].reason}'"
        assert s.kubectl(f"get pod never -o {target}") == "DeletionByTaintManager"
        s.until("pods/briefly", "gone")
        s.until("pods/never", "gone")
        assert s.get("pods/always", show=("status.phase",))["status"]["phase"] == "Running"
        s.kubectl(f"taint node {node} {key}:NoExecute-")
        s.kubectl(f"taint node {node} {key}:NoExecute-")


def _has(word: str) -> Any:
    return lambda keys: any(word in key for key in keys)
