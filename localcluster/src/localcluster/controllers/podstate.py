"""What the controllers read of a pod: pure functions of one pod."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ..apimachinery.jsontypes import Key, Obj, condition_in, now, parse_time


def phase(pod: Obj) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def has_ended(pod: Obj) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Obj) -> bool:
    return not has_ended(pod) and not pod["metadata"].get("deletionTimestamp")


def is_terminating(pod: Obj) -> bool:
    return not has_ended(pod) and bool(pod["metadata"].get("deletionTimestamp"))


def pods_on(pods: Mapping[Key, Obj], node: str) -> list[Obj]:
    """Return the pods that are bound to a node."""
    return [pod for pod in pods.values() if pod["spec"].get("nodeName") == node]


def condition_of(obj: Obj, kind: str) -> Obj | None:
    """Return the condition of that type of an object, whatever it says."""
    return condition_in(obj.get("status"), kind)


def has_condition(obj: Obj, kind: str) -> Obj | None:
    """Return the condition of that type of an object if it holds."""
    found = condition_of(obj, kind)
    return found if found and found["status"] == "True" else None


def new_condition(pod: Obj, kind: str, status: str, reason: str, message: str) -> Obj:
    """Return a condition of a pod that begins now."""
    generation = pod["metadata"].get("generation")
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
        **({"observedGeneration": generation} if generation else {}),
    }


def is_ready(pod: Obj) -> bool:
    return has_condition(pod, "Ready") is not None


def ready_since(pod: Obj) -> float | None:
    """Return since when the pod has been ready, in seconds since 1970; None when it is not."""
    since = (has_condition(pod, "Ready") or {}).get("lastTransitionTime")
    return parse_time(since).timestamp() if since else None


def is_available(pod: Obj, least_seconds: int) -> bool:
    """Tell whether the pod has been ready for at least so long."""
    since = ready_since(pod)
    return is_ready(pod) and time.time() - (since or 0.0) >= least_seconds


def restarts(pod: Obj) -> int:
    """Return how often containers of the pod were restarted."""
    status = pod.get("status") or {}
    return sum(
        container.get("restartCount", 0)
        for kind in ("initContainerStatuses", "containerStatuses")
        for container in status.get(kind) or []
    )


def finished_at(pod: Obj) -> str:
    """Return when a pod ended, as a time of Kubernetes; never one in the future."""
    ends = [
        ((c.get("state") or {}).get("terminated") or {}).get("finishedAt")
        for c in (pod.get("status") or {}).get("containerStatuses") or []
    ]
    known = [end for end in ends if end]
    moment = max(known) if known else pod["metadata"].get("deletionTimestamp")
    # A pod that is being deleted has its time of death in the future.
    return min(moment or now(), now())


def deletion_rank(pod: Obj) -> tuple[bool, int, bool, float, int, float]:
    """Rank active pods for deletion: those that have done the least come first.

    https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset
    """
    phases = {"Pending": 0, "Running": 2}
    created = parse_time(pod["metadata"]["creationTimestamp"]).timestamp()
    return (
        bool(pod["spec"].get("nodeName")),
        phases.get(phase(pod), 1),
        is_ready(pod),
        -(ready_since(pod) or 0.0),
        -restarts(pod),
        -created,
    )
