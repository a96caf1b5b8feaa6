"""Why a pod makes no progress, according to its state and its events. Pure: no I/O.

Some problems go away by themselves: a Secret may be made a moment later, a node added. So a pod
counts as stuck once it has had one for `SETTLE_SECONDS`. A pod that crashes once and
then runs differs from one that always crashes by `CrashLoopBackOff`, which begins with the second
crash: the kubelet restarts a container at once after the first.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import states

Object = dict[str, Any]
EventsOf = Callable[[str, str], list[Object]]

SETTLE_SECONDS = 3.0
SHORT_RUN_SECONDS = 10  # a container that ends sooner than this has not started properly
ENDED = ("Succeeded", "Failed")
CHOSEN_EXIT_CODES = range(129)  # above are signals: a worker that an item killed may yet go on

_IMAGE = "Correct the image's name in the manifest, or build it first: cluster.build_image(…)."
_CONFIG = "Create the Secret or ConfigMap that it names, with that key, or correct the name."
_COMMAND = "Correct the command, or what it needs to run; then delete the pod and apply it again."
_CAPACITY = (
    "Ask for less in resources.requests, or for a node that the cluster has; if nodes are "
    "added on demand, wait again."
)
_QUOTA = "Delete what you no longer need, ask for less, or change what the message names."
_ADVICE = {
    "ErrImagePull": _IMAGE,
    "ImagePullBackOff": _IMAGE,
    "ErrImageNeverPull": _IMAGE,
    "InvalidImageName": _IMAGE,
    "ImageInspectError": _IMAGE,
    "CreateContainerConfigError": _CONFIG,
    "CreateContainerError": _COMMAND,
    "RunContainerError": _COMMAND,
    "CrashLoopBackOff": _COMMAND,
    "Unschedulable": _CAPACITY,
    "FailedMount": _CONFIG,
    "FailedCreate": _QUOTA,
    "Failed": _COMMAND,
}
# Of a volume that waits for what is not there; other mounts fail now and then and succeed later.
_NOT_THERE = re.compile(r"not found|non-?existent", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a pod or a Job makes no progress.

    Attributes:
        who: For example "pod/redis".
        reason: Kubernetes' own word, e.g. "ErrImagePull".
        message: What the cluster says about it, or "".
        container: The container whose log says more, or "".
    """

    who: str
    reason: str
    message: str = ""
    container: str = ""

    @property
    def advice(self) -> str:
        """What to do next."""
        return _ADVICE[self.reason]

    def __str__(self) -> str:
        said = " ".join(self.message.split())
        return f"{self.who} {self.reason}" + (f" ({said})" if said else "")


def diagnose_pod(pod: Object, events_of: EventsOf) -> Problem | None:
    """Return why a pod makes no progress, or None if nothing says that it will not.

    Args:
        pod: The pod.
        events_of: Returns the events about an object, by its kind and name; called only if they
            can help.
    """
    metadata, phase = pod["metadata"], pod.get("status", {}).get("phase")
    who = f"pod/{metadata['name']}"
    if metadata.get("deletionTimestamp") or phase in ENDED:
        return None
    for one in states.container_statuses(pod):
        waiting = one.get("state", {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason == "CrashLoopBackOff":
            ended = one.get("lastState", {}).get("terminated") or {}
            if one.get("restartCount") and _never_started(pod, ended):
                code = f"exit code {ended.get('exitCode')}, {one['restartCount'] + 1} times"
                return Problem(who, reason, f"{ended.get('message') or ''} {code}", one["name"])
        elif reason in _ADVICE:
            return Problem(who, reason, str(waiting.get("message") or ""), one["name"])
    scheduled = states.get_condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        if any(x.get("reason") == "TriggeredScaleUp" for x in events_of("Pod", metadata["name"])):
            return None
        return Problem(who, "Unschedulable", str(scheduled.get("message") or ""))
    if phase == "Pending":
        return _event(who, events_of("Pod", metadata["name"]), "FailedMount", _NOT_THERE)
    return None


def diagnose_job(
    job: Object, pods: list[Object], condition: str, events_of: EventsOf
) -> Problem | None:
    """Return why a Job will not meet a condition, or None if nothing says so.

    Args:
        job: The Job.
        pods: Its pods, the oldest first.
        condition: As in `Cluster.wait`: "complete", "failed", "running" or "ready".
        events_of: As for `diagnose_pod`.
    """
    active = [pod for pod in pods if pod.get("status", {}).get("phase") not in ENDED]
    found = [diagnose_pod(pod, events_of) for pod in active]
    problems = [one for one in found if one is not None]
    if condition in ("running", "ready"):
        missing = len(pods) < job["spec"].get("parallelism", 1)
    elif len(problems) < len(active):
        return None  # a pod that makes progress may do the work of all
    elif condition == "failed" and all(x.reason == "CrashLoopBackOff" for x in problems):
        return None  # too many crashes make it fail
    else:
        missing = not active
    if problems or not missing:
        return problems[0] if problems else None
    name = job["metadata"]["name"]
    refused = _event(f"job/{name}", events_of("Job", name), "FailedCreate")
    return refused if refused or condition == "failed" else _failures(job, pods)


def missing_object(found: Problem) -> tuple[str, str, str] | None:
    """Return what a pod lacks: "secret" or "configmap", its name, and the key in it or ""."""
    if thing := re.search(r'(secret|configmap) "([^"]+)" not found', found.message):
        return thing[1], thing[2], ""
    if key := re.search(r"find key (\S+) in (Secret|ConfigMap) [^/ ]+/(\S+)", found.message):
        return key[2].lower(), key[3], key[1]
    return None


def _failures(job: Object, pods: list[Object]) -> Problem | None:
    """Return a problem if pods of a Job each failed at once: one more than may run at a time."""
    brief = [
        (pod, one)
        for pod in pods
        for one in states.container_statuses(pod)
        if pod.get("status", {}).get("phase") == "Failed"
        and _never_started(pod, one.get("state", {}).get("terminated") or {})
    ]
    at_once = max(job["spec"].get("parallelism", 1), 1)
    if job.get("status", {}).get("succeeded") or len(brief) <= at_once:
        return None
    pod, one = brief[-1]
    said = f"exit code {one['state']['terminated']['exitCode']}, like {len(brief) - 1} before it"
    return Problem(f"pod/{pod['metadata']['name']}", "Failed", said, one["name"])


def _event(
    who: str, events: list[Object], reason: str, said: re.Pattern[str] | None = None
) -> Problem | None:
    found = [one for one in events if one.get("reason") == reason]
    if not found or (said and not said.search(str(found[-1].get("message")))):
        return None
    return Problem(who, reason, str(found[-1].get("message") or ""))


def _never_started(pod: Object, ended: Object) -> bool:
    """Tell whether a container ended before it got to work: soon, and not by a signal."""
    began, end = _when(ended.get("startedAt")), _when(ended.get("finishedAt"))
    if not began or not end or (end - began).total_seconds() >= SHORT_RUN_SECONDS:
        return not began and bool(ended)  # what could not be started has no time
    if not states.owner_job(pod):
        return True
    return ended.get("exitCode") != 0 and ended.get("exitCode") in CHOSEN_EXIT_CODES


def _when(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None
