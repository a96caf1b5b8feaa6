"""The state of pods and Jobs, as their objects tell it, in words. Pure: no I/O.

Objects are dicts as the API sends them (`raw`). What a pod's phase and a container's state mean:
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import ClusterError
from ..events import PodEvent, PodKind

Object = dict[str, Any]

LONGEST_MESSAGE = 200
JOB_LABEL = "job-name"  # the older of the two labels: all versions of Kubernetes set it


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod at one moment.

    Attributes:
        name: Its name.
        phase: "Pending", "Running", "Succeeded", "Failed" or "Unknown".
        ready: It is ready to serve.
        restarts: How often its containers were started again.
        reason: Why it is not simply running, e.g. "ErrImagePull", "CrashLoopBackOff",
            "OOMKilled", "exit code 137", "Terminating", or "".
        ip: Its address inside the cluster, or "".
        job: Name of the Job that owns it, or "".
        node: Name of the node that it is on, or "".
    """

    name: str = field(repr=False)
    phase: str
    ready: bool
    restarts: int
    reason: str
    ip: str = field(repr=False)
    job: str
    node: str = field(repr=False)


def to_pod(raw: Object) -> Pod:
    """Make a `Pod` from the object."""
    status = raw.get("status", {})
    reason = _reason(raw)[0]
    if not reason and raw["metadata"].get("deletionTimestamp"):
        reason = "Terminating"
    return Pod(
        name=raw["metadata"]["name"],
        phase=status.get("phase", "Unknown"),
        ready=has_condition(raw, "Ready"),
        restarts=sum(one.get("restartCount", 0) for one in status.get("containerStatuses") or []),
        reason=reason,
        ip=status.get("podIP") or "",
        job=owner_job(raw),
        node=raw.get("spec", {}).get("nodeName") or "",
    )


def pod_event(raw: Object, at: float) -> PodEvent:
    """Return the event that tells what a pod has become.

    Args:
        raw: The pod.
        at: When it was seen, in seconds since the epoch.
    """
    kinds: dict[str, PodKind] = {
        "Running": "running",
        "Succeeded": "succeeded",
        "Failed": "failed",
    }
    kind = kinds.get(raw.get("status", {}).get("phase", ""), "pending")
    ended = kind in ("succeeded", "failed")
    reason = _reason(raw)[0]
    if raw["metadata"].get("deletionTimestamp") and not ended:
        kind, why = "terminating", get_condition(raw, "DisruptionTarget")
        reason = why.get("reason", "") if why.get("status") == "True" else ""
    elif kind == "running" and last_end(raw) and "running" not in _first_container(raw)["state"]:
        kind, reason = "restarting", last_end(raw)
    node = raw.get("spec", {}).get("nodeName") or ""
    return PodEvent(kind, at, raw["metadata"]["name"], owner_job(raw), reason, node)


def restarts(raw: Object) -> int:
    """Return how often the first container of a pod was started again."""
    return int(_first_container(raw).get("restartCount", 0))


def last_end(raw: Object) -> str:
    """Return how the first container of a pod ended last: "exit code 137", "OOMKilled", or ""."""
    one = _first_container(raw)
    states = (one.get("state", {}), one.get("lastState", {}))
    end = next((state["terminated"] for state in states if state.get("terminated")), None)
    if end is None:
        return ""
    if end.get("reason") in (None, "", "Error", "Completed"):
        return f"exit code {end.get('exitCode', '?')}"
    return str(end["reason"])


def _first_container(raw: Object) -> Object:
    return next(iter(raw.get("status", {}).get("containerStatuses") or []), {})


def owner_job(raw: Object) -> str:
    """Return the name of the Job that owns a pod, or ""."""
    for owner in raw["metadata"].get("ownerReferences") or []:
        if owner.get("kind") == "Job":
            return str(owner["name"])
    return ""


def has_condition(raw: Object, name: str) -> bool:
    """Tell whether an object has this condition, and it is true."""
    return get_condition(raw, name).get("status") == "True"


def get_condition(raw: Object, name: str) -> Object:
    """Return one condition of an object, or {}."""
    for one in raw.get("status", {}).get("conditions") or []:
        if one.get("type") == name:
            return dict(one)
    return {}


def pod_summary(raw: Object) -> str:
    """Return a pod in one line: its name, phase and, if something is odd, why."""
    pod = to_pod(raw)
    reason, message = _reason(raw)
    text = f"{pod.name} {pod.phase}"
    if message:
        text += f" ({reason}: {_shortened(message)})"
    elif pod.reason:
        text += f" ({pod.reason})"
    return text + (f", {pod.restarts} restart{'s' * (pod.restarts > 1)}" if pod.restarts else "")


def job_summary(raw: Object) -> str:
    """Return the counts of a Job: "2 active, 1 succeeded, 0 failed"."""
    status = raw.get("status", {})
    counts = (f"{status.get(key, 0)} {key}" for key in ("active", "succeeded", "failed"))
    return ", ".join(counts)


CONDITIONS = {
    "job": ("complete", "failed", "running", "ready", "deleted"),
    "pod": ("ready", "running", "succeeded", "failed", "deleted"),
}


def condition_met(kind: str, raw: Object, wanted: str) -> bool:
    """Tell whether a Job or a pod meets a condition.

    Raises:
        ClusterError: If it never will be, e.g. a Job that failed will not be complete.
    """
    return _job_reached(raw, wanted) if kind == "job" else _pod_reached(raw, wanted)


def _job_reached(raw: Object, wanted: str) -> bool:
    label, other = ("Complete", "Failed") if wanted == "complete" else ("Failed", "Complete")
    if has_condition(raw, label):
        return True
    if has_condition(raw, other):
        ended = get_condition(raw, other)
        why = ": ".join(str(ended[key]) for key in ("reason", "message") if ended.get(key))
        name = raw["metadata"]["name"]
        raise ClusterError(
            f"job/{name} will not be {wanted}: it is {other.lower()} ({why or job_summary(raw)}). "
            f"cluster.logs('job/{name}') and cluster.describe('job/{name}') say more."
        )
    return False


def _pod_reached(raw: Object, wanted: str) -> bool:
    phase = raw.get("status", {}).get("phase", "")
    reaching = {
        "ready": has_condition(raw, "Ready"),
        "running": phase in ("Running", "Succeeded"),
        "succeeded": phase == "Succeeded",
        "failed": phase == "Failed",
    }
    if reaching[wanted]:
        return True
    if phase in ("Succeeded", "Failed"):
        name = raw["metadata"]["name"]
        raise ClusterError(
            f"pod/{name} will not be {wanted}: it has ended ({pod_summary(raw)}). "
            f"cluster.logs('pod/{name}') says more."
        )
    return False


def has_started(raw: Object, wanted: str) -> bool:
    """Tell whether a pod of a Job is "running" or "ready", or has succeeded meanwhile."""
    phase = raw.get("status", {}).get("phase")
    if phase in ("Running", "Pending") and wanted == "ready":
        return has_condition(raw, "Ready")
    return phase in ("Running", "Succeeded")


def describe_job(raw: Object, pods: list[Object], events: list[str]) -> str:
    """Return a Job, its pods and its events as a short text."""
    spec = raw.get("spec", {})
    completions = spec.get("completions")
    ended = [
        f"{one['type']}" + (f" ({one['reason']})" if one.get("reason") else "")
        for one in raw.get("status", {}).get("conditions") or []
        if one.get("status") == "True"
    ]
    lines = [
        f"Job          {raw['metadata']['name']}",
        f"Parallelism  {spec.get('parallelism', 1)}",
        f"Completions  {'unset (a work queue)' if completions is None else completions}",
        f"Status       {job_summary(raw)}",
        f"Conditions   {', '.join(ended) or 'none yet'}",
    ]
    lines += _section("Pods", [pod_summary(pod) for pod in pods])
    return "\n".join([*lines, *_section("Events", events)])


def describe_pod(raw: Object, events: list[str]) -> str:
    """Return a pod, its containers and its events as a short text."""
    pod = to_pod(raw)
    running = {one["name"]: one for one in raw.get("status", {}).get("containerStatuses") or []}
    containers = [
        f"{one['name']}: image {one.get('image', '')}, {_container_state(running.get(one['name']))}"
        for one in raw.get("spec", {}).get("containers", [])
    ]
    lines = [
        f"Pod          {pod.name}",
        f"Job          {pod.job or 'none'}",
        f"Status       {pod_summary(raw).removeprefix(pod.name).strip()}",
        f"Ready        {'yes' if pod.ready else 'no'}",
        f"Node         {pod.node or 'none yet'}",
        f"IP           {pod.ip or 'none yet'}",
    ]
    lines += _section("Containers", containers)
    return "\n".join([*lines, *_section("Events", events)])


def event_summary(raw: Object) -> str:
    """Return an event of the cluster in one line, without its time."""
    about = raw.get("involvedObject") or raw.get("regarding") or {}
    who = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    text = str(raw.get("message") or raw.get("note") or "").strip()
    count = raw.get("count") or 1
    times = f" (x{count})" if count > 1 else ""
    return f"{raw.get('type', '')} {raw.get('reason', '')} {who}: {text}{times}"


def event_time(event: Object) -> tuple[str, int]:
    """Return when an event was; the version tells apart those of one second."""
    meta = event["metadata"]
    when = event.get("lastTimestamp") or event.get("eventTime") or meta.get("creationTimestamp")
    version = str(meta.get("resourceVersion", ""))
    return str(when or ""), int(version) if version.isdigit() else 0


def container_statuses(raw: Object) -> list[Object]:
    """Return the statuses of a pod's containers, the init containers first."""
    status = raw.get("status", {})
    init = status.get("initContainerStatuses") or []
    return [*init, *(status.get("containerStatuses") or [])]


def _reason(raw: Object) -> tuple[str, str]:
    """Return why a pod is not simply running, and the message that belongs to it."""
    status, containers = raw.get("status", {}), container_statuses(raw)
    for one in containers:
        waiting = one.get("state", {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return str(waiting["reason"]), str(waiting.get("message") or "")
    for one in containers:
        ended = one.get("state", {}).get("terminated") or {}
        if ended.get("exitCode"):
            if ended.get("reason") in (None, "", "Error"):
                return f"exit code {ended['exitCode']}", str(ended.get("message") or "")
            return str(ended["reason"]), str(ended.get("message") or "")
    if status.get("reason"):
        return str(status["reason"]), str(status.get("message") or "")
    scheduled = get_condition(raw, "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("reason") or "Unschedulable"), str(scheduled.get("message") or "")
    for one in containers if status.get("phase") == "Running" else ():
        before = one.get("lastState", {}).get("terminated") or {}
        if one.get("restartCount") and before:
            return f"restarted after exit code {before.get('exitCode', '?')}", ""
    return "", ""


def _shortened(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


def _container_state(status: Object | None) -> str:
    for name, state in ((status or {}).get("state") or {}).items():
        details = [state["reason"]] if (state or {}).get("reason") else []
        details += [f"exit code {state['exitCode']}"] if "exitCode" in (state or {}) else []
        return f"{name} ({', '.join(details)})" if details else str(name)
    return "not started"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else [f"{title}: none"]
