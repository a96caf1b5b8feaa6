"""The status of a pod, folded from the states of its containers. Pure.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wqlib.localcluster.apimachinery.jsontypes import Obj, now

if TYPE_CHECKING:
    from wqlib.localcluster.kubelet.containers import Container
    from wqlib.localcluster.kubelet.podworker import PodWorker


def phase(policy: str, init: list[Container], main: list[Container], *, stopping: bool) -> str:
    """Return the pod's phase."""
    if stopping:
        policy = "Never"
    codes = [c.state["terminated"]["exitCode"] for c in init if "terminated" in c.state]
    if any(codes) and policy == "Never":
        return "Failed"
    ended = [c.state["terminated"]["exitCode"] for c in main if "terminated" in c.state]
    waiting = [c for c in main if "waiting" in c.state]
    if len(ended) == len(main):
        if policy == "Always":
            return "Running"
        if not any(ended):
            return "Succeeded"
        return "Failed" if policy == "Never" else "Running"
    if waiting and not all(c.last_state for c in waiting) and not stopping:
        return "Pending"
    return "Running"


def _condition(worker: PodWorker, kind: str, holds: bool, reason: str, message: str) -> Obj:
    condition: Obj = {
        "type": kind,
        "status": "True" if holds else "False",
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        **({"reason": reason} if reason else {}),
        **({"message": message} if message else {}),
    }
    before = worker.conditions.get(kind)
    if before and before["status"] == condition["status"]:
        condition["lastTransitionTime"] = before["lastTransitionTime"]
    worker.conditions[kind] = condition
    return condition


def _conditions(worker: PodWorker, pod_phase: str) -> list[Obj]:
    done = pod_phase in ("Succeeded", "Failed")
    unready = [c.name for c in worker.main if not c.ready]
    reason, message = "", ""
    if done:
        reason = "PodCompleted" if pod_phase == "Succeeded" else "PodFailed"
    elif unready:
        reason = "ContainersNotReady"
        message = f"containers with unready status: [{' '.join(unready)}]"
    ready = not unready and not done
    uninitialized = [
        c.name for c in worker.init if (c.state.get("terminated") or {}).get("exitCode") != 0
    ]
    init_reason = "PodCompleted" if pod_phase == "Succeeded" else ""
    init_message = ""
    if uninitialized:
        init_reason = "ContainersNotInitialized"
        init_message = f"containers with incomplete status: [{' '.join(uninitialized)}]"
    sandbox = not done and any("waiting" not in c.state or c.identifier for c in worker.containers)
    scheduled = next(
        (
            c
            for c in (worker.pod.get("status") or {}).get("conditions") or []
            if c["type"] == "PodScheduled"
        ),
        {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": worker.started_at,
        },
    )
    return [
        _condition(worker, "PodReadyToStartContainers", sandbox, "", ""),
        _condition(worker, "Initialized", not uninitialized, init_reason, init_message),
        _condition(worker, "Ready", ready, reason, message),
        _condition(worker, "ContainersReady", ready, reason, message),
        scheduled,
    ]


def pod_status(worker: PodWorker) -> Obj:
    """Return the whole status of the worker's pod."""
    policy = worker.pod["spec"].get("restartPolicy", "Always")
    stopping = worker.stopping.is_set()
    pod_phase = phase(policy, worker.init, worker.main, stopping=stopping)
    if stopping and all("running" not in c.state for c in worker.containers):
        codes = [(c.state.get("terminated") or {}).get("exitCode", 137) for c in worker.main]
        pod_phase = "Failed" if any(codes) else "Succeeded"
    if worker.failure:
        pod_phase = "Failed"
    status: Obj = {
        "phase": pod_phase,
        "conditions": _conditions(worker, pod_phase),
        "hostIP": worker.kubelet.addresses.node,
        "hostIPs": [{"ip": worker.kubelet.addresses.node}],
        "podIP": worker.address,
        "podIPs": [{"ip": worker.address}],
        "startTime": worker.started_at,
        "containerStatuses": [c.status() for c in worker.main],
        "qosClass": (worker.pod.get("status") or {}).get("qosClass", "BestEffort"),
    }
    if worker.init:
        status["initContainerStatuses"] = [c.status() for c in worker.init]
    if worker.failure:
        status["reason"], status["message"] = worker.failure
    return status
