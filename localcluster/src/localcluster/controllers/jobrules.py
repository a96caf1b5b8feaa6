"""The rules of the Job controller: pure functions of a Job and its pods.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from ..apimachinery.jsontypes import Obj, now, seconds_since
from .podstate import has_condition, has_ended, phase, restarts

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"

# The order in which the real server writes the fields of a Job's status.
_STATUS = (
    "conditions",
    "startTime",
    "completionTime",
    "active",
    "succeeded",
    "failed",
    "terminating",
    "completedIndexes",
    "failedIndexes",
    "uncountedTerminatedPods",
    "ready",
)
BACKOFF_LIMIT_EXCEEDED = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE_EXCEEDED = ("DeadlineExceeded", "Job was active longer than specified deadline")


def is_finished(job: Obj) -> bool:
    """Tell whether the Job is Complete or Failed."""
    return bool(has_condition(job, "Complete") or has_condition(job, "Failed"))


def is_ours(job: Obj) -> bool:
    """Tell whether the Job is left to this controller, and not to one of another name."""
    return job["spec"].get("managedBy") in (None, "kubernetes.io/job-controller")


def is_tracked(pod: Obj) -> bool:
    return TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or [])


def replaces_only_failed(job: Obj) -> bool:
    """Tell whether a pod is replaced only once it has ended, not when its deletion begins."""
    return bool(job["spec"].get("podReplacementPolicy") == "Failed")


def is_failed(job: Obj, pod: Obj) -> bool:
    """Tell whether the pod counts as failed: it did fail, or somebody deleted it."""
    if has_ended(pod) or replaces_only_failed(job):
        return phase(pod) == "Failed"
    return bool(pod["metadata"].get("deletionTimestamp"))


def wanted_pods(job: Obj, active: int, succeeded: int) -> int:
    """Return how many pods should be active now. Pure.

    Without `completions` (a work queue) no pod is replaced after the first success: the others
    are left to find the queue empty.
    """
    spec = job["spec"]
    if spec.get("suspend"):
        return 0
    parallelism: int = spec.get("parallelism", 1)
    if spec.get("completions") is None:
        return active if succeeded else parallelism
    return max(0, min(int(spec["completions"]) - succeeded, parallelism))


def is_complete(job: Obj, active: int, succeeded: int) -> bool:
    """Tell whether the Job has reached its completions."""
    completions = job["spec"].get("completions")
    if completions is None:
        return succeeded > 0 and active == 0
    return succeeded >= int(completions) and active == 0


def exceeds_restart_limit(job: Obj, pods: list[Obj]) -> bool:
    """Tell whether restarts inside the pods have used up the limit (`OnFailure` only)."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    limit = job["spec"].get("backoffLimit", 6)
    count = sum(restarts(pod) for pod in pods if phase(pod) in ("Running", "Pending"))
    return count > 0 if limit == 0 else count >= limit


def seconds_left(job: Obj) -> float | None:
    """Return how long the Job may still run, or None when nothing limits it."""
    limit, started = job["spec"].get("activeDeadlineSeconds"), job["status"].get("startTime")
    if limit is None or not started or job["spec"].get("suspend"):
        return None
    return float(limit - seconds_since(started))


def set_or_drop(status: Obj, name: str, value: int | str) -> None:
    """Set a field of the status; one that says nothing is left out."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def set_condition(
    job: Obj, kind: str, reason: str = "", message: str = "", *, holds: str = "True"
) -> None:
    """Change the Job's condition in its place, or add it last."""
    moment = now()
    made = {"type": kind, "status": holds, "lastProbeTime": moment, "lastTransitionTime": moment}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    status = job["status"]
    conditions = list(status.get("conditions") or [])
    places = [i for i, condition in enumerate(conditions) if condition["type"] == kind]
    if places:
        conditions[places[0]] = made
    else:
        conditions.append(made)
    status["conditions"] = conditions


def in_order(status: Obj) -> Obj:
    """Return the status with its fields in the real server's order."""
    return {name: status[name] for name in _STATUS if name in status}
