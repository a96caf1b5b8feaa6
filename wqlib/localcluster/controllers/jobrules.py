"""What the Job controller decides by: pure functions of a Job and its pods.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from wqlib.localcluster.apimachinery.jsontypes import Obj, now, parse_time, seconds_since

FINALIZER = "batch.kubernetes.io/job-tracking"


def is_finished(job: Obj) -> bool:
    """Tell whether the Job is Complete or Failed."""
    return bool(has_condition(job, "Complete") or has_condition(job, "Failed"))


def has_condition(job: Obj, kind: str) -> Obj | None:
    """Return the Job's condition of that type if it holds."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition["type"] == kind and condition["status"] == "True":
            found: Obj = condition
            return found
    return None


def phase(pod: Obj) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def is_active(pod: Obj) -> bool:
    ended = phase(pod) in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def is_terminating(pod: Obj) -> bool:
    ended = phase(pod) in ("Succeeded", "Failed")
    return not ended and bool(pod["metadata"].get("deletionTimestamp"))


def is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def end_of(pod: Obj) -> str:
    """Return when a pod ended, as a time of Kubernetes."""
    ends = [
        ((c.get("state") or {}).get("terminated") or {}).get("finishedAt")
        for c in (pod.get("status") or {}).get("containerStatuses") or []
    ]
    known = [end for end in ends if end]
    return max(known) if known else pod["metadata"].get("deletionTimestamp") or now()


def has_finalizer(pod: Obj) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or [])


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
        return min(active, parallelism) if succeeded else parallelism
    return max(0, min(int(spec["completions"]) - succeeded, parallelism))


def set_count(status: Obj, name: str, count: int) -> None:
    if count:
        status[name] = count
    else:
        status.pop(name, None)


def worth(pod: Obj) -> tuple[bool, bool, float]:
    """Rank pods for deletion: those that did the least come first."""
    running = phase(pod) == "Running"
    created = parse_time(pod["metadata"]["creationTimestamp"]).timestamp()
    return running, is_ready(pod), -created


def failure_of(job: Obj, active: list[Obj], failed: int) -> tuple[str, str] | None:
    """Return why the Job has failed, or None."""
    spec, status = job["spec"], job["status"]
    limit = spec.get("backoffLimit", 6)
    too_often = failed > limit
    if spec["template"]["spec"].get("restartPolicy") == "OnFailure":
        restarts = sum(
            c.get("restartCount", 0)
            for pod in active
            for kind in ("containerStatuses", "initContainerStatuses")
            for c in (pod.get("status") or {}).get(kind) or []
        )
        too_often = too_often or (restarts >= limit if limit else restarts > 0)
    if too_often:
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = spec.get("activeDeadlineSeconds")
    started = None if spec.get("suspend") else status.get("startTime")
    if deadline is not None and started and seconds_since(started) >= deadline:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def set_condition(job: Obj, kind: str, reason: str, message: str, *, holds: str = "True") -> None:
    """Put a condition last among the Job's conditions."""
    conditions = [c for c in job["status"].get("conditions") or [] if c["type"] != kind]
    moment = now()
    conditions.append(
        {
            "type": kind,
            "status": holds,
            "lastProbeTime": moment,
            "lastTransitionTime": moment,
            "reason": reason,
            "message": message,
        }
    )
    job["status"]["conditions"] = conditions
