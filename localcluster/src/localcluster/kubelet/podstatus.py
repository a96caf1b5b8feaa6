"""The status of a pod, folded from the states of its containers. Pure.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from ..apimachinery.jsontypes import Obj, now
from ..apimachinery.profile import profile

if TYPE_CHECKING:
    from .containers import Container
    from .podworker import PodWorker

# The conditions that the kubelet itself sets; it leaves those of others as they are.
OWN_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


def phase(policy: str, init: list[Container], main: list[Container], *, stopping: bool) -> str:
    """Return the pod's phase."""
    if stopping:
        policy = "Never"
    failed = [c for c in init if not c.sidecar and _exit_code(c.state) not in (None, 0)]
    if failed and policy == "Never":
        return "Failed"
    ended = [_exit_code(c.state) for c in main if "terminated" in c.state]
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


def _exit_code(state: Obj) -> int | None:
    ended = state.get("terminated")
    return None if ended is None else int(ended["exitCode"])


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
    """Return the pod's conditions in the order of a real kubelet; others' come first."""
    modern = profile().modern
    own = [_initialized(worker, pod_phase), *_readiness(worker, pod_phase)]
    if modern:
        up = worker.sandbox and pod_phase not in ("Succeeded", "Failed")
        own.insert(0, _condition(worker, "PodReadyToStartContainers", up, "", ""))
    known = (worker.pod.get("status") or {}).get("conditions") or []
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": worker.started_at,
    }
    scheduled = next((c for c in known if c["type"] == "PodScheduled"), scheduled)
    return [*worker.others.values(), *own, scheduled]


def _initialized(worker: PodWorker, pod_phase: str) -> Obj:
    if pod_phase == "Succeeded":
        return _condition(worker, "Initialized", True, "PodCompleted", "")
    waited_for = [c.name for c in worker.init if not (c.started if c.sidecar else c.ready)]
    if not waited_for or worker.initialized:
        return _condition(worker, "Initialized", True, "", "")
    message = f"containers with incomplete status: [{' '.join(waited_for)}]"
    return _condition(worker, "Initialized", False, "ContainersNotInitialized", message)


def _readiness(worker: PodWorker, pod_phase: str) -> list[Obj]:
    """Return the conditions Ready and ContainersReady."""
    # The statuses are sorted by name, the complaints are in the manifest's order.
    needed = [c for c in worker.init if c.sidecar] + worker.main
    unready = [c.name for c in needed if not c.ready]
    reason, message = "", ""
    if pod_phase == "Succeeded":
        reason = "PodCompleted"
    elif pod_phase == "Failed" and profile().modern:
        reason = "PodFailed"
    elif unready:
        reason = "ContainersNotReady"
        message = f"containers with unready status: [{' '.join(unready)}]"
    ready = not reason
    both = _condition(worker, "ContainersReady", ready, reason, message)
    gates = [g.get("conditionType") for g in worker.pod["spec"].get("readinessGates") or []]
    known = (worker.pod.get("status") or {}).get("conditions") or []
    shut = [g for g in gates if {(c["type"], c["status"]) for c in known}.isdisjoint({(g, "True")})]
    if ready and shut:
        ready, reason = False, "ReadinessGatesNotReady"
        message = f'corresponding condition of pod readiness gate "{shut[0]}" does not exist.'
    return [_condition(worker, "Ready", ready, reason, message), both]


def pod_status(worker: PodWorker) -> Obj:
    """Return the whole status of the worker's pod."""
    policy = worker.pod["spec"].get("restartPolicy", "Always")
    # Before 1.27 a pod that was deleted did not get an end of its own.
    stopping = worker.stopping.is_set() and profile().modern
    running = any("running" in c.state for c in worker.containers)
    pod_phase = phase(policy, worker.init, worker.main, stopping=stopping)
    if stopping and not running:
        codes = [(c.state.get("terminated") or {}).get("exitCode", 137) for c in worker.main]
        pod_phase = "Failed" if any(codes) else "Succeeded"
    if worker.failure and not running:
        pod_phase = "Failed"
    if running and pod_phase in ("Succeeded", "Failed"):
        # A sidecar, or a container that has still to end, holds the last word back.
        pod_phase = "Running"
    address = worker.kubelet.addresses.node
    modern = profile().modern
    status: Obj = {
        "phase": pod_phase,
        "conditions": _conditions(worker, pod_phase),
        "hostIP": address,
        **({"hostIPs": [{"ip": address}]} if modern else {}),
        **(_addresses(worker) if worker.sandbox else {}),
        "startTime": worker.started_at,
        "containerStatuses": sorted((c.status() for c in worker.main), key=itemgetter("name")),
        "qosClass": (worker.pod.get("status") or {}).get("qosClass", "BestEffort"),
    }
    if worker.init:
        status["initContainerStatuses"] = [c.status() for c in worker.init]
    if worker.failure and not running:
        status["reason"], status["message"] = worker.failure
    if worker.refused:
        # As of a pod that a node does not take: a container that waits would hide the reason.
        status.pop("initContainerStatuses", None)
        del status["containerStatuses"]
    return status


def _addresses(worker: PodWorker) -> Obj:
    return {"podIP": worker.address, "podIPs": [{"ip": worker.address}]}
