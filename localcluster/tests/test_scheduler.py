"""Which pods get the node, and what those that do not are told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcluster.controllers import predicates

from .conftest import Local, pod, wait_until
from .test_pods import _create, _phase, _read

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
NODE = {
    "metadata": {"name": "here", "labels": {"disk": "ssd", "cores": "8"}},
    "spec": {},
    "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "3"}},
}


def _asking(name: str = "p", init: list[str] | None = None, **requests: str) -> dict[str, Any]:
    manifest = pod(name, "sleep", "60", container={"resources": {"requests": requests}})
    if init:
        manifest["spec"]["initContainers"] = [
            {"name": f"i{i}", "resources": {"requests": {"cpu": cpu}}} for i, cpu in enumerate(init)
        ]
    return manifest


def _why(manifest: dict[str, Any], *others: dict[str, Any], **node_spec: Any) -> list[str]:
    node = {**NODE, "spec": node_spec}
    result = predicates.filter_node(manifest, node, list(others))
    return result.reasons if result else []


def _refusal(local: Local, ns: str, name: str = "p") -> str:
    """Return what a pod that waits was told."""

    def refused() -> Any:
        conditions = _read(local, ns, name).status.conditions or []
        return next((c for c in conditions if c.reason == "Unschedulable"), None)

    return str(wait_until(refused).message)


@pytest.fixture
def cordoned(local: Local, kubectl: Kubectl) -> Iterator[None]:
    kubectl("cordon", "localcluster")
    yield
    kubectl("uncordon", "localcluster")


@pytest.mark.parametrize(
    ("manifest", "reasons"),
    [
        (_asking(cpu="2", memory="1Gi"), []),
        (_asking(cpu="2001m"), ["Insufficient cpu"]),
        (_asking(cpu="3", memory="2Gi"), ["Insufficient cpu", "Insufficient memory"]),
        (_asking(cpu="1", init=["1500m", "3"]), ["Insufficient cpu"]),
        (_asking(cpu="1", init=["1500m", "2"]), []),
        (_asking(**{"example.com/gpu": "1"}), ["Insufficient example.com/gpu"]),
    ],
)
def test_what_a_pod_requests_must_be_there(manifest: dict[str, Any], reasons: list[str]) -> None:
    assert _why(manifest) == reasons


def test_the_requests_of_all_pods_count_together() -> None:
    others = [_asking("a", cpu="500m", memory="256Mi"), _asking("b", cpu="700m")]
    assert _why(_asking(cpu="800m"), *others) == []
    assert _why(_asking(cpu="801m"), *others) == ["Insufficient cpu"]
    assert _why(_asking(memory="769Mi"), *others) == ["Insufficient memory"]
    assert _why(_asking(), *others, _asking("c")) == ["Too many pods"]


@pytest.mark.parametrize(
    ("toleration", "admitted"),
    [
        (None, False),
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
        ({"key": "k", "value": "other"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_needs_a_toleration(toleration: dict[str, str] | None, admitted: bool) -> None:
    manifest = pod("p", "true", tolerations=[toleration] if toleration else [])
    why = _why(manifest, taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert why == ([] if admitted else ["node(s) had untolerated taint {k: v}"])


@pytest.mark.parametrize(
    ("requirement", "admitted"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd", "hdd"]}, True),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, False),
        ({"key": "gpu", "operator": "DoesNotExist"}, True),
        ({"key": "gpu", "operator": "Exists"}, False),
        ({"key": "cores", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "cores", "operator": "Lt", "values": ["4"]}, False),
    ],
)
def test_node_affinity_is_asked_for(requirement: dict[str, Any], admitted: bool) -> None:
    required = {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    why = _why(pod("p", "true", affinity=affinity))
    assert why == ([] if admitted else ["node(s) didn't match Pod's node affinity/selector"])


def test_a_pod_that_asks_for_too_much_waits_and_says_why(local: Local, ns: str) -> None:
    _create(local, ns, _asking(cpu="1000"))
    message = (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No"
        " preemption victims found for incoming pod."
    )
    assert _refusal(local, ns) == message
    assert _read(local, ns).status.phase == "Pending"

    def told() -> list[str]:
        found = local.core.list_namespaced_event(ns, field_selector="reason=FailedScheduling")
        return [event.message for event in found.items]

    assert wait_until(told) == [message]


def test_a_pod_gets_the_room_that_another_leaves(local: Local, ns: str) -> None:
    cores = os.cpu_count() or 1
    _create(local, ns, _asking("first", cpu=f"{cores * 1000 - 100}m"))
    _phase(local, ns, "Running", "first")
    _create(local, ns, _asking("second", cpu="200m"))
    assert "1 Insufficient cpu." in _refusal(local, ns, "second")
    local.core.delete_namespaced_pod("first", ns, grace_period_seconds=0)
    conditions = _phase(local, ns, "Running", "second").status.conditions
    assert [c.status for c in conditions if c.type == "PodScheduled"] == ["True"]


@pytest.mark.usefixtures("cordoned")
def test_a_cordoned_node_takes_only_pods_that_tolerate_it(
    local: Local, ns: str, kubectl: Kubectl
) -> None:
    _create(local, ns, pod("p", "sleep", "60"))
    assert _refusal(local, ns).startswith("0/1 nodes are available: 1 node(s) were unschedulable.")
    key = "node.kubernetes.io/unschedulable"
    tolerant = pod("q", "sleep", "60", tolerations=[{"key": key, "operator": "Exists"}])
    _create(local, ns, tolerant)
    _phase(local, ns, "Running", "q")
    assert [t.key for t in local.core.read_node("localcluster").spec.taints] == [key]
    kubectl("uncordon", "localcluster")
    _phase(local, ns, "Running")
    wait_until(lambda: not local.core.read_node("localcluster").spec.taints)


def test_a_pod_for_another_scheduler_is_left_alone(local: Local, ns: str) -> None:
    _create(local, ns, pod("other", "true", schedulerName="mine"))
    _create(local, ns, pod("p", "true"))
    _phase(local, ns, "Succeeded")
    assert _read(local, ns, "other").status.conditions is None
