"""The status of a pod, folded from the states of its containers.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from operator import itemgetter

from ..apimachinery.jsontypes import Obj, now
from .containers import Container
from .pod import Pod

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


def _condition(pod: Pod, kind: str, holds: bool, reason: str, message: str) -> Obj:
    condition: Obj = {
        "type": kind,
        **_observed(pod),
        "status": "True" if holds else "False",
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        **({"reason": reason} if reason else {}),
        **({"message": message} if message else {}),
    }
    before = pod.conditions.get(kind)
    if before and before["status"] == condition["status"]:
        condition["lastTransitionTime"] = before["lastTransitionTime"]
    pod.conditions[kind] = condition
    return condition


def _conditions(pod: Pod, pod_phase: str) -> list[Obj]:
    """Return the pod's conditions in the order of a real kubelet; others' come first."""
    up = pod.sandbox_ready and pod_phase not in ("Succeeded", "Failed")
    sandbox = _condition(pod, "PodReadyToStartContainers", up, "", "")
    own = [sandbox, _initialized(pod, pod_phase), *_readiness(pod, pod_phase)]
    known = (pod.manifest.get("status") or {}).get("conditions") or []
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": pod.started_at,
    }
    scheduled = next((c for c in known if c["type"] == "PodScheduled"), scheduled)
    return [*pod.foreign_conditions.values(), *own, scheduled | _observed(pod)]


def _observed(pod: Pod) -> Obj:
    """Return which generation of the pod a status speaks of, if the API counts them."""
    generation = pod.metadata.get("generation")
    return {} if generation is None else {"observedGeneration": generation}


def _initialized(pod: Pod, pod_phase: str) -> Obj:
    if pod_phase == "Succeeded":
        return _condition(pod, "Initialized", True, "PodCompleted", "")
    waited_for = [c.name for c in pod.init if not (c.started if c.sidecar else c.ready)]
    if not waited_for or pod.initialized:
        return _condition(pod, "Initialized", True, "", "")
    message = f"containers with incomplete status: [{' '.join(waited_for)}]"
    return _condition(pod, "Initialized", False, "ContainersNotInitialized", message)


def _readiness(pod: Pod, pod_phase: str) -> list[Obj]:
    """Return the conditions Ready and ContainersReady."""
    # The statuses are sorted by name, the complaints are in the manifest's order.
    needed = [c for c in pod.init if c.sidecar] + pod.main
    unready = [c.name for c in needed if not c.ready]
    reason, message = "", ""
    if pod_phase == "Succeeded":
        reason = "PodCompleted"
    elif pod_phase == "Failed":
        reason = "PodFailed"
    elif unready:
        reason = "ContainersNotReady"
        message = f"containers with unready status: [{' '.join(unready)}]"
    ready = not reason
    both = _condition(pod, "ContainersReady", ready, reason, message)
    gates = [g.get("conditionType") for g in pod.manifest["spec"].get("readinessGates") or []]
    known = (pod.manifest.get("status") or {}).get("conditions") or []
    shut = [g for g in gates if {(c["type"], c["status"]) for c in known}.isdisjoint({(g, "True")})]
    if ready and shut:
        ready, reason = False, "ReadinessGatesNotReady"
        message = f'corresponding condition of pod readiness gate "{shut[0]}" does not exist.'
    return [_condition(pod, "Ready", ready, reason, message), both]


def publish(pod: Pod) -> None:
    """Have the pod's status sent to the API, in its turn, if it has changed."""
    status = pod_status(pod)
    if status != pod.last_status:
        pod.last_status = status
        pod.statuses.put_nowait(status)


def pod_status(pod: Pod) -> Obj:
    """Return the whole status of a pod."""
    policy = pod.manifest["spec"].get("restartPolicy", "Always")
    stopping = pod.stopping.is_set()
    running = any("running" in c.state for c in pod.containers)
    pod_phase = phase(policy, pod.init, pod.main, stopping=stopping)
    if stopping and not running:
        codes = [(c.state.get("terminated") or {}).get("exitCode", 137) for c in pod.main]
        pod_phase = "Failed" if any(codes) else "Succeeded"
    if pod.failure and not running:
        pod_phase = "Failed"
    if running and pod_phase in ("Succeeded", "Failed"):
        # A sidecar, or a container that has still to end, holds the last word back.
        pod_phase = "Running"
    address = pod.host.addresses.node
    status: Obj = {
        **_observed(pod),
        "phase": pod_phase,
        "conditions": _conditions(pod, pod_phase),
        "hostIP": address,
        "hostIPs": [{"ip": address}],
        **(_addresses(pod) if pod.sandbox_ready else {}),
        "startTime": pod.started_at,
        "containerStatuses": sorted((c.status() for c in pod.main), key=itemgetter("name")),
        "qosClass": (pod.manifest.get("status") or {}).get("qosClass", "BestEffort"),
    }
    if pod.sandbox_ready:
        status["resources"] = {}
    if pod.init:
        status["initContainerStatuses"] = [c.status() for c in pod.init]
    if pod.failure and not running:
        status["reason"], status["message"] = pod.failure
    if pod.rejected:
        # As of a pod that a node does not take: a container that waits would hide the reason.
        status.pop("initContainerStatuses", None)
        del status["containerStatuses"]
    return status


def _addresses(pod: Pod) -> Obj:
    return {"podIP": pod.address, "podIPs": [{"ip": pod.address}]}
