"""The status of a pod, folded from the states of its containers. Pure.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from ..apimachinery.jsontypes import Obj
from .containerstate import INIT, MAIN, SIDECAR, ContainerState

# The conditions that the kubelet itself sets; it leaves those of others as they are.
OWN_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "PodResizePending",
)
_ENDED = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


class PodState(NamedTuple):
    """All that a pod's status is made of.

    Attributes:
        manifest: The pod as the API has it.
        containers: Of all kinds, each kind in the manifest's order.
        moment: The time of this state; a condition that changes has it from now on.
        conditions: Those that were shown last, by their types; others' are among them.
        address: The pod's, once its sandbox is there: its volumes, its folder.
        stopping: Whether its processes are to end.
        failure: The reason and the message of a pod that failed as a whole.
        rejected: Whether nothing of the pod was begun, since it asks for what there is not.
        lacking: Why it does not get its new resources.
    """

    manifest: Obj
    containers: Sequence[ContainerState]
    started_at: str
    moment: str
    conditions: dict[str, Obj]
    host_address: str
    address: str = ""
    stopping: bool = False
    failure: tuple[str, str] | None = None
    rejected: bool = False
    lacking: str = ""

    def of(self, *kinds: str) -> list[ContainerState]:
        return [c for c in self.containers if c.kind in kinds]

    @property
    def running(self) -> bool:
        return any(c.running for c in self.containers)


def phase(pod: PodState) -> str:
    """Return the pod's phase; a last one only when nothing of the pod runs any more."""
    main = pod.of(MAIN)
    codes = [c.exit_code for c in main]
    over = None not in codes
    if not pod.running and (pod.failure or pod.stopping):
        return "Succeeded" if over and not any(codes) and not pod.failure else "Failed"
    policy = pod.manifest["spec"].get("restartPolicy", "Always")
    begun = any(not _unborn(c) for c in main)
    if any(c.exit_code for c in pod.of(INIT)) and policy == "Never":
        return "Pending" if pod.running else "Failed"
    sidecars = [c for c in pod.of(SIDECAR) if _unborn(c) or (c.running and not c.started)]
    if any(c.exit_code is None for c in pod.of(INIT)) or (sidecars and not begun):
        return "Pending"
    if any(_unborn(c) for c in [*pod.of(SIDECAR), *main]):
        return "Pending"
    if pod.running or not over or policy == "Always" or (any(codes) and policy == "OnFailure"):
        return "Running"
    return "Failed" if any(codes) else "Succeeded"


def _unborn(container: ContainerState) -> bool:
    """Tell whether a container waits for its very first start."""
    return "waiting" in container.state and not container.last_state


def pod_status(pod: PodState) -> Obj:
    """Return the whole status of a pod."""
    failure = pod.failure if pod.failure and not pod.running else None
    main = sorted(pod.of(MAIN), key=attrgetter("name"))
    shown = {
        "initContainerStatuses": pod.of(INIT, SIDECAR),
        "containerStatuses": main,
        "ephemeralContainerStatuses": pod.of("ephemeral"),
    }
    if pod.rejected:
        # As of a pod that a node does not take: a container that waits would hide the reason.
        shown = {}
    sandbox = {"podIP": pod.address, "podIPs": [{"ip": pod.address}], "resources": {}}
    now_in = phase(pod)
    return {
        **_observed(pod),
        "phase": now_in,
        "conditions": _conditions(pod, now_in),
        "hostIP": pod.host_address,
        "hostIPs": [{"ip": pod.host_address}],
        **(sandbox if pod.address else {}),
        "startTime": pod.started_at,
        **{name: [c.status() for c in found] for name, found in shown.items() if found},
        "qosClass": (pod.manifest.get("status") or {}).get("qosClass", "BestEffort"),
        **({"reason": failure[0], "message": failure[1]} if failure else {}),
    }


def _observed(pod: PodState) -> Obj:
    """Return which generation of the pod a status speaks of, if the API counts them."""
    generation = pod.manifest["metadata"].get("generation")
    return {} if generation is None else {"observedGeneration": generation}


def _conditions(pod: PodState, now_in: str) -> list[Obj]:
    """Return the pod's conditions in the order of a real kubelet; others' come first."""
    sandbox = (bool(pod.address) and now_in not in _ENDED, "", "")
    containers = _containers_ready(pod, now_in)
    own = {
        "PodReadyToStartContainers": sandbox,
        "Initialized": _initialized(pod, now_in),
        "Ready": _ready(pod, containers),
        "ContainersReady": containers,
        "PodScheduled": (True, "", ""),
    }
    if pod.lacking:
        own = {"PodResizePending": (True, "Infeasible", pod.lacking), **own}
    others = [c for kind, c in pod.conditions.items() if kind not in OWN_CONDITIONS]
    return others + [_condition(pod, kind, *found) for kind, found in own.items()]


def _condition(pod: PodState, kind: str, holds: bool, reason: str, message: str) -> Obj:
    status = "True" if holds else "False"
    before = pod.conditions.get(kind) or {}
    kept = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": kind,
        **_observed(pod),
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": kept or pod.moment,
        **({"reason": reason} if reason else {}),
        **({"message": message} if message else {}),
    }


def _initialized(pod: PodState, now_in: str) -> tuple[bool, str, str]:
    if now_in == "Succeeded":
        return True, "PodCompleted", ""
    waited_for = [
        c.name for c in pod.of(INIT, SIDECAR) if not (c.started if c.kind == SIDECAR else c.ready)
    ]
    # What has begun stays so: its sidecars may be starting again.
    if not waited_for or any(c.container_id for c in pod.of(MAIN)):
        return True, "", ""
    message = f"containers with incomplete status: [{' '.join(waited_for)}]"
    return False, "ContainersNotInitialized", message


def _containers_ready(pod: PodState, now_in: str) -> tuple[bool, str, str]:
    if now_in in _ENDED:
        return False, _ENDED[now_in], ""
    # The statuses are sorted by name, the complaints are in the manifest's order.
    unready = [c.name for c in pod.of(SIDECAR) + pod.of(MAIN) if not c.ready]
    if not unready:
        return True, "", ""
    message = f"containers with unready status: [{' '.join(unready)}]"
    return False, "ContainersNotReady", message


def _ready(pod: PodState, containers: tuple[bool, str, str]) -> tuple[bool, str, str]:
    gates = pod.manifest["spec"].get("readinessGates") or []
    shut = [text for gate in gates if (text := _shut(pod, gate["conditionType"]))]
    if not containers[0] or not shut:
        return containers
    return False, "ReadinessGatesNotReady", ", ".join(shut)


def _shut(pod: PodState, gate: str) -> str:
    """Return what keeps a readiness gate shut."""
    condition = pod.conditions.get(gate)
    if condition is None:
        return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    status = condition["status"]
    if status == "True":
        return ""
    return f'the status of pod readiness gate "{gate}" is not "True", but {status}'
