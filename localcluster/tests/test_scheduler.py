"""Pods find their nodes in a running cluster; those that do not are told why, and try again."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client

from .conftest import Local, pod, wait_until
from .handmade import HandmadeNode
from .test_pods import _create, _phase, _read

HOST = "kubernetes.io/hostname"
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def _asking(name: str = "p", **requests: str) -> dict[str, Any]:
    return pod(name, "sleep", "60", container={"resources": {"requests": requests}})


def _refusal(local: Local, ns: str, name: str = "p") -> str:
    """Return what a pod that waits was told."""

    def refused() -> Any:
        conditions = _read(local, ns, name).status.conditions or []
        return next((c for c in conditions if c.reason == "Unschedulable"), None)

    return str(wait_until(refused).message)


@pytest.fixture
def cordoned(local: Local, kubectl: Kubectl) -> Iterator[None]:
    kubectl("cordon", "worker-1")
    yield
    kubectl("uncordon", "worker-1")


def test_a_pod_that_asks_for_too_much_waits_and_says_why(local: Local, ns: str) -> None:
    _create(local, ns, _asking(cpu="1000"))
    message = (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1"
        " nodes are available: 1 Preemption is not helpful for scheduling."
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
    assert [t.key for t in local.core.read_node("worker-1").spec.taints] == [key]
    kubectl("uncordon", "worker-1")
    _phase(local, ns, "Running")
    wait_until(lambda: not local.core.read_node("worker-1").spec.taints)


def test_pods_of_a_job_are_spread_over_the_nodes(local: Local, ns: str) -> None:
    with HandmadeNode(local, "spare-1"), HandmadeNode(local, "spare-2"):
        template = {"spec": _asking(cpu="10m")["spec"]}
        spec = {"parallelism": 6, "completions": 6, "template": template}
        local.batch.create_namespaced_job(ns, {"metadata": {"name": "j"}, "spec": spec})

        def nodes() -> Counter[str]:
            found = local.core.list_namespaced_pod(ns).items
            return Counter(p.spec.node_name for p in found if p.spec.node_name)

        wait_until(lambda: nodes().total() == 6)
        assert sorted(nodes().values()) == [2, 2, 2]


def test_the_most_important_pod_goes_first(local: Local, ns: str) -> None:
    scheduling = client.SchedulingV1Api(local.core.api_client)
    classes = [f"{ns}-low", f"{ns}-high"]
    for value, name in enumerate(classes):
        made = {"metadata": {"name": name}, "value": value}
        scheduling.create_priority_class(made)
    for name in classes:
        waiting = _asking(name, cpu="1500m")
        waiting["spec"] |= {"priorityClassName": name, "nodeSelector": {"spare": "yes"}}
        _create(local, ns, waiting)
        _refusal(local, ns, name)
    with HandmadeNode(local, "spare-1", spare="yes"):
        wait_until(lambda: _read(local, ns, classes[1]).spec.node_name == "spare-1")
        wait_until(lambda: "1 Insufficient cpu" in _refusal(local, ns, classes[0]))
    for name in classes:
        scheduling.delete_priority_class(name)


def test_a_pod_with_affinity_goes_where_another_came(local: Local, ns: str) -> None:
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "other"}}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    _create(local, ns, pod("p", "sleep", "60", affinity={"podAffinity": required}))
    assert "didn't match pod affinity rules" in _refusal(local, ns)
    _create(local, ns, pod("other", "sleep", "60"))
    _phase(local, ns, "Running")


def test_a_pod_for_another_scheduler_is_left_alone(local: Local, ns: str) -> None:
    _create(local, ns, pod("other", "true", schedulerName="mine"))
    _create(local, ns, pod("p", "true"))
    _phase(local, ns, "Succeeded")
    assert _read(local, ns, "other").status.conditions is None


def test_a_pod_is_bound_only_if_it_is_the_one_that_is_meant(local: Local, ns: str) -> None:
    waiting = pod("p", "sleep", "60", schedulerName="mine")
    waiting["metadata"]["finalizers"] = ["example.com/wait"]
    uid = local.core.create_namespaced_pod(ns, waiting).metadata.uid
    path = f"/api/v1/namespaces/{ns}/pods/p"
    target = {"kind": "Node", "name": "worker-1"}

    def bind(uid: str) -> Any:
        body = {"metadata": {"name": "p", "uid": uid}, "target": target}
        return local.request("POST", f"{path}/binding", body)

    refused = bind("another")
    assert refused.code == 409
    assert "UID in precondition: another" in refused.json["message"]
    local.request("DELETE", path)
    refused = bind(uid)
    assert refused.code == 409
    assert "pod p is being deleted, cannot be assigned to a host" in refused.json["message"]
    assert "nodeName" not in local.request("GET", path).json["spec"]
    change = {"metadata": {"finalizers": None}}
    local.request("PATCH", path, change, "application/merge-patch+json")
