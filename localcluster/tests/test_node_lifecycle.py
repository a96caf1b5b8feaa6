"""The life of a node: cordoned, tainted, drained, lost, back again."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client

from localcluster.controllers.nodelifecycle import NodeWaits

from .conftest import Local, job, pod, wait_until
from .handmade import HandmadeNode, handmade_node
from .test_pods import _create, _read

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
SPARE = "spare-1"
UNREACHABLE = "node.kubernetes.io/unreachable"


@pytest.fixture
def spare(local: Local, ns: str) -> Iterator[HandmadeNode]:
    """A second node, on which the pods of these tests are placed."""
    with HandmadeNode(local, SPARE, spare="yes") as node:
        yield node


def _on_spare(name: str = "p", **spec: Any) -> dict[str, Any]:
    return pod(name, "sleep", "60", nodeSelector={"spare": "yes"}, **spec)


def _placed(local: Local, ns: str, name: str = "p") -> Any:
    """Wait until the pod is on the spare node, and report it as running, as a kubelet would."""
    wait_until(lambda: _read(local, ns, name).spec.node_name == SPARE)
    moment = datetime.datetime.now(datetime.UTC).isoformat()
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": moment}
    status = {"phase": "Running", "conditions": [ready]}
    return local.core.patch_namespaced_pod_status(name, ns, {"status": status})


def _condition(local: Local, ns: str, name: str, kind: str) -> Any:
    conditions = _read(local, ns, name).status.conditions or []
    return next((one for one in conditions if one.type == kind), None)


def _taints(local: Local, name: str = SPARE) -> list[tuple[str, str]]:
    spec = local.core.read_node(name).spec
    return [(t.key, t.effect) for t in (spec and spec.taints) or []]


def _events(local: Local, name: str, namespace: str = "default") -> list[tuple[str, str, str]]:
    about = f"involvedObject.name={name}"
    found = local.core.list_namespaced_event(namespace, field_selector=about).items
    return [(event.type, event.reason, event.message) for event in found]


def _ending(local: Local, ns: str, name: str = "p") -> bool:
    return _read(local, ns, name).metadata.deletion_timestamp is not None


def test_a_cordoned_node_takes_no_pods_until_it_is_uncordoned(
    local: Local, ns: str, kubectl: Kubectl, spare: HandmadeNode
) -> None:
    kubectl("cordon", SPARE)
    assert "Ready,SchedulingDisabled" in kubectl("get", "node", SPARE).stdout
    wait_until(lambda: _taints(local) == [("node.kubernetes.io/unschedulable", "NoSchedule")])
    _create(local, ns, _on_spare())
    waiting = wait_until(lambda: _condition(local, ns, "p", "PodScheduled"))
    assert waiting.message.startswith(
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s)"
        " were unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: 2"
        " Preemption is not helpful for scheduling."
    )
    kubectl("uncordon", SPARE)
    _placed(local, ns)
    wait_until(lambda: not _taints(local))


def test_a_drained_node_loses_its_pods(
    local: Local, ns: str, kubectl: Kubectl, spare: HandmadeNode
) -> None:
    _create(local, ns, _on_spare())
    _placed(local, ns)
    drained = kubectl("drain", SPARE, "--force", "--grace-period=0", "--ignore-daemonsets")
    assert f"evicting pod {ns}/p" in drained.stdout
    assert f"node/{SPARE} drained" in drained.stdout
    assert not local.core.list_namespaced_pod(ns).items


def test_a_taint_by_hand_keeps_new_pods_away(
    local: Local, ns: str, kubectl: Kubectl, spare: HandmadeNode
) -> None:
    kubectl("taint", "nodes", SPARE, "team=blue:NoSchedule")
    _create(local, ns, _on_spare())
    waiting = wait_until(lambda: _condition(local, ns, "p", "PodScheduled"))
    assert "1 node(s) had untolerated taint(s)" in waiting.message
    _create(local, ns, _on_spare("tolerant", tolerations=[{"key": "team", "value": "blue"}]))
    _placed(local, ns, "tolerant")
    kubectl("taint", "nodes", SPARE, "team-")
    _placed(local, ns)


def test_no_execute_evicts_those_that_do_not_tolerate_it(
    local: Local, ns: str, kubectl: Kubectl, spare: HandmadeNode
) -> None:
    broken = {"key": "broken", "operator": "Exists", "effect": "NoExecute"}
    tolerations: dict[str, list[dict[str, Any]]] = {
        "never": [],
        "ever": [broken],
        "a-while": [{**broken, "tolerationSeconds": 1}],
        "an-hour": [{**broken, "tolerationSeconds": 3600}],
    }
    for name, given in tolerations.items():
        _create(local, ns, _on_spare(name, tolerations=given))
        _placed(local, ns, name)
    kubectl("taint", "nodes", SPARE, "broken=yes:NoExecute")
    for name in ("never", "a-while"):
        wait_until(lambda name=name: _ending(local, ns, name))
        target = _condition(local, ns, name, "DisruptionTarget")
        assert (target.status, target.reason) == ("True", "DeletionByTaintManager")
        assert target.message == "Taint manager: deleting due to NoExecute taint"
        told = ("Normal", "TaintManagerEviction", f"Marking for deletion Pod {ns}/{name}")
        wait_until(lambda name=name, told=told: told in _events(local, name, ns))
    assert not _ending(local, ns, "ever")
    assert not _ending(local, ns, "an-hour")
    kubectl("taint", "nodes", SPARE, "broken-")
    told = ("Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {ns}/an-hour")
    wait_until(lambda: told in _events(local, "an-hour", ns))
    for name, number in (("ever", 0), ("never", 1), ("a-while", 1), ("an-hour", 1)):
        reasons = [reason for _, reason, _ in _events(local, name, ns)]
        assert reasons.count("TaintManagerEviction") == number


def test_the_pods_of_a_lost_node_are_given_up_and_replaced(
    local: Local, ns: str, kubectl: Kubectl, spare: HandmadeNode
) -> None:
    manifest = job("j", "sleep", "60")
    wish = {"matchExpressions": [{"key": "spare", "operator": "Exists"}]}
    preferred = [{"weight": 100, "preference": wish}]
    manifest["spec"]["template"]["spec"]["affinity"] = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    }
    local.batch.create_namespaced_job(ns, manifest)
    first = wait_until(lambda: local.core.list_namespaced_pod(ns).items)[0].metadata.name
    _placed(local, ns, first)
    spare.die()

    def ready() -> Any:
        conditions = {c.type: c for c in local.core.read_node(SPARE).status.conditions}
        return conditions if conditions["Ready"].status == "Unknown" else None

    conditions = wait_until(ready)
    assert list(conditions) == ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
    assert {c.status for c in conditions.values()} == {"Unknown"}
    assert {c.reason for c in conditions.values()} == {"NodeStatusUnknown"}
    assert {c.message for c in conditions.values()} == {"Kubelet stopped posting node status."}
    wait_until(lambda: _taints(local) == [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")])
    told = ("Normal", "NodeNotReady", f"Node {SPARE} status is now: NodeNotReady")
    wait_until(lambda: told in _events(local, SPARE))
    assert "NotReady" in kubectl("get", "node", SPARE).stdout
    wait_until(lambda: _condition(local, ns, first, "Ready").status == "False")
    assert not _ending(local, ns, first)
    told = ("Warning", "NodeNotReady", "Node is not ready")
    wait_until(lambda: told in _events(local, first, ns))

    wait_until(lambda: _ending(local, ns, first))
    lost = _read(local, ns, first)
    default = {t.key: t.toleration_seconds for t in lost.spec.tolerations}
    assert default[UNREACHABLE] == 300
    assert _condition(local, ns, first, "DisruptionTarget").reason == "DeletionByTaintManager"

    def others() -> list[Any]:
        found = local.core.list_namespaced_pod(ns).items
        return [p for p in found if p.metadata.name != first and p.status.phase == "Running"]

    assert wait_until(others)[0].spec.node_name == "worker-1"
    # Nobody confirms that it has ended.
    assert _ending(local, ns, first)
    assert "Terminating" in kubectl("get", "pod", first).stdout
    assert local.batch.read_namespaced_job("j", ns).status.terminating == 1


def test_a_node_that_comes_back_is_ready_and_takes_pods(
    local: Local, ns: str, spare: HandmadeNode
) -> None:
    spare.die()
    wait_until(lambda: (UNREACHABLE, "NoExecute") in _taints(local))
    _create(local, ns, _on_spare())
    assert wait_until(lambda: _condition(local, ns, "p", "PodScheduled")).reason == "Unschedulable"
    spare.live()
    spare.post_status()
    wait_until(lambda: not _taints(local))
    _placed(local, ns)


def test_a_cluster_that_stood_still_takes_no_node_for_lost(local: Local, ns: str) -> None:
    """As when a laptop's lid was closed: the kubelet was not dead, nobody could hear it."""
    pid = json.loads((local.home / "cluster" / "daemon.json").read_text())["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(2 * NodeWaits().grace_seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
    _create(local, ns, pod("p", "true"))
    wait_until(lambda: _read(local, ns).status.phase == "Succeeded")
    node = local.core.read_node("worker-1")
    assert {c.type: c.status for c in node.status.conditions}["Ready"] == "True"
    assert "NodeNotReady" not in [reason for _, reason, _ in _events(local, "worker-1")]


def test_a_kubelet_that_is_alive_says_again_that_its_node_is_ready(local: Local) -> None:
    moment = datetime.datetime.now(datetime.UTC).isoformat()
    lost = {"type": "Ready", "status": "Unknown", "lastTransitionTime": moment}
    local.core.patch_node_status("worker-1", {"status": {"conditions": [lost]}})

    def ready() -> bool:
        conditions = local.core.read_node("worker-1").status.conditions
        return {c.type: c.status for c in conditions}["Ready"] == "True"

    wait_until(lambda: ready() and not _taints(local, "worker-1"))


def test_a_node_that_says_it_is_not_ready_is_tainted(local: Local, spare: HandmadeNode) -> None:
    moment = datetime.datetime.now(datetime.UTC).isoformat()
    for kind, status, taints in (
        ("Ready", "False", ["not-ready:NoSchedule", "not-ready:NoExecute"]),
        ("Ready", "True", []),
        ("MemoryPressure", "True", ["memory-pressure:NoSchedule"]),
        ("MemoryPressure", "False", []),
    ):
        condition = {"type": kind, "status": status, "lastHeartbeatTime": moment}
        body = {"status": {"conditions": [{**condition, "lastTransitionTime": moment}]}}
        local.core.patch_node_status(SPARE, body)
        wanted = [tuple(f"node.kubernetes.io/{one}".split(":")) for one in taints]
        wait_until(lambda wanted=wanted: _taints(local) == wanted)


def test_a_node_of_which_no_kubelet_ever_spoke_becomes_unknown(local: Local) -> None:
    local.core.create_node(handmade_node("ghost"))
    try:
        conditions = wait_until(
            lambda: (local.core.read_node("ghost").status or client.V1NodeStatus()).conditions
        )
        assert {c.type for c in conditions} == {
            "Ready",
            "MemoryPressure",
            "DiskPressure",
            "PIDPressure",
        }
        assert {(c.status, c.reason, c.message) for c in conditions} == {
            ("Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")
        }
        told = ("Normal", "RegisteredNode", "Node ghost event: Registered Node ghost in Controller")
        assert told in _events(local, "ghost")
    finally:
        local.core.delete_node("ghost")
    told = ("Normal", "RemovingNode", "Node ghost event: Removing Node ghost from Controller")
    wait_until(lambda: told in _events(local, "ghost"))


def test_taints_of_the_user_stay_when_the_controller_writes_its_own(
    local: Local, kubectl: Kubectl, spare: HandmadeNode
) -> None:
    kubectl("taint", "nodes", SPARE, "mine=1:NoSchedule", "mine=2:NoExecute")
    kubectl("cordon", SPARE)
    wait_until(lambda: len(_taints(local)) == 3)
    kubectl("uncordon", SPARE)
    wait_until(lambda: len(_taints(local)) == 2)
    assert set(_taints(local)) == {("mine", "NoSchedule"), ("mine", "NoExecute")}


def test_a_node_says_how_long_it_is_waited_for(local: Local, spare: HandmadeNode) -> None:
    def annotations() -> dict[str, str]:
        return local.core.read_node(SPARE).metadata.annotations or {}

    assert wait_until(lambda: annotations().get("localcluster/node-waits")) == (
        "a silent node is NotReady after 4 s (50 s on a real cluster);"
        " tolerationSeconds: 300 for it lasts 5 s"
    )


def test_the_waits_can_be_those_of_a_real_cluster() -> None:
    names = ("LOCALCLUSTER_NODE_GRACE_SECONDS", "LOCALCLUSTER_NODE_EVICTION_SECONDS")
    waits = NodeWaits.from_environment(dict(zip(names, ("50", "300"), strict=True)))
    assert (waits.grace_seconds, waits.renew_seconds, waits.quarantine_seconds) == (50, 20, 40)
    assert waits.eviction_share == 1
    assert NodeWaits.from_environment({}) == NodeWaits()


def test_the_lease_of_a_node_goes_with_it(local: Local, spare: HandmadeNode) -> None:
    uid = local.core.read_node(SPARE).metadata.uid
    owner = {"apiVersion": "v1", "kind": "Node", "name": SPARE, "uid": uid}
    change = {"metadata": {"ownerReferences": [owner]}}
    spare.leases.patch_namespaced_lease(SPARE, "kube-node-lease", change)
    spare.die()
    local.core.delete_node(SPARE)

    def gone() -> bool:
        found = spare.leases.list_namespaced_lease("kube-node-lease").items
        return SPARE not in [lease.metadata.name for lease in found]

    wait_until(gone)
    with pytest.raises(client.ApiException):
        local.core.read_node(SPARE)
