"""Wait for objects, by a watch: until they meet a condition, or are gone.

A wait that cannot come true ends at once with the reason, and one whose time is up says
what it saw last, and why pods do not run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ..errors import ClusterError, NotFound, WaitTimeout
from . import diagnosis, states
from .kube import Object, Selector, get, list_and_watch, read_log
from .manifests import Kind, find, kind_of, owned_by
from .states import JOB_LABEL
from .statusline import StatusLine

LOG_LINES = 8


def pod_selector(job: str | None) -> Selector:
    """Return the selector of the pods of a Job, or of all."""
    return {"label_selector": f"{JOB_LABEL}={job}"} if job else {}


def list_pods(api: Any, namespace: str, job: str | None = None) -> list[Object]:
    """Return the pods of a Job, or all in the namespace, the oldest first."""
    found = get(client.CoreV1Api(api).list_namespaced_pod, namespace, **pod_selector(job))

    def age(pod: Object) -> tuple[str, str]:
        return pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]

    return sorted(found.get("items") or [], key=age)


def wait_for(
    api: Any, namespace: str, kind: Kind, name: str, condition: str, seconds: float
) -> None:
    """Wait until an object meets a condition. See `Cluster.wait`."""
    allowed = states.CONDITIONS.get(kind.noun, ("deleted",))
    if condition not in allowed:
        raise ClusterError(
            f"A {kind.noun} has no condition {condition!r} to wait for. "
            f"Use one of these: {', '.join(allowed)}."
        )
    title = f"{kind.noun}/{name}"
    if kind.name == "Job" and condition in ("running", "ready"):
        progress = _pods_started(api, namespace, name, condition, seconds)
    else:
        progress = _object_reached(api, namespace, kind, name, condition, seconds)
    watchdog, now = Watchdog(api, namespace, kind, name, condition), ""
    with StatusLine() as status:
        for reached, now in progress:
            if reached:
                return
            status.update(f"{title} to be {condition}: {now}")
            watchdog.check()
    lines = [f"{title} was not {condition} after {seconds:g} s: {now}."]
    if kind.name == "Job":
        lines += [f"  {states.pod_summary(pod)}" for pod in list_pods(api, namespace, name)]
    if kind.name in ("Job", "Pod"):
        lines.append(f"cluster.describe({title!r}) says more.")
    raise WaitTimeout("\n".join(lines))


class Watchdog:
    """Ends a wait for a pod or a Job that has no prospect of success any more.

    Args:
        kind, name, condition: What is waited for.
    """

    def __init__(self, api: Any, namespace: str, kind: Kind, name: str, condition: str) -> None:
        self._core = client.CoreV1Api(api)
        self._batch = client.BatchV1Api(api)
        self._namespace, self._kind, self._name = namespace, kind.name, name
        self._condition = condition
        self._checked_at = self._healthy_at = time.monotonic()

    def check(self) -> None:
        """Look at the pods, at most once a second.

        Raises:
            ClusterError: They have been stuck for so long that to wait is in vain.
        """
        now = time.monotonic()
        if self._condition == "deleted" or now - self._checked_at < 1:
            return
        self._checked_at = now
        try:
            found = self._diagnose()
            if found and self._is_there_by_now(found):
                found = None
        except ApiException as error:
            if error.status not in (403, 404):  # the watch sees what is gone; we may not look
                raise
            return
        if found is None:
            self._healthy_at = now
        elif now - self._healthy_at >= diagnosis.SETTLE_SECONDS:
            raise ClusterError(self._message(found))

    def _diagnose(self) -> diagnosis.Problem | None:
        if self._kind == "Pod":
            pod = get(self._core.read_namespaced_pod, self._name, self._namespace)
            return diagnosis.diagnose_pod(pod, self._events)
        job = get(self._batch.read_namespaced_job, self._name, self._namespace)
        if self._condition in ("running", "ready"):
            states.condition_met("job", job, "complete")  # one that has failed starts no pod
        pods = list_pods(self._core.api_client, self._namespace, self._name)
        return diagnosis.diagnose_job(job, pods, self._condition, self._events)

    def _is_there_by_now(self, found: diagnosis.Problem) -> bool:
        """Tell whether what is missing was made meanwhile; the kubelet tries again only rarely."""
        wanted = diagnosis.missing_object(found)
        if wanted is None:
            return False
        noun, name, key = wanted
        live = find(self._core.api_client, self._namespace, kind_of(noun), name)
        return live is not None and (not key or key in (live.get("data") or {}))

    def _events(self, kind: str, name: str) -> list[Object]:
        about = f"involvedObject.kind={kind},involvedObject.name={name}"
        listed = get(self._core.list_namespaced_event, self._namespace, field_selector=about)
        return sorted(listed.get("items") or [], key=states.event_time)

    def _message(self, found: diagnosis.Problem) -> str:
        title = f"{self._kind.lower()}/{self._name}"
        why = str(found).removeprefix(f"{title} ")
        lines = [f"{title} will not be {self._condition}: {why}."]
        if found.container:
            lines += _log_tail(self._core, self._namespace, found.who, found.container)
        lines.append(f"{found.advice} cluster.describe({title!r}) says more.")
        return "\n".join(lines)


def _last_failure_log(api: Any, pods: list[Object]) -> list[str]:
    """Return the end of the log of the last pod that failed."""
    for pod in reversed(pods):
        for one in states.container_statuses(pod):
            if (one.get("state", {}).get("terminated") or {}).get("exitCode"):
                where, who = pod["metadata"]["namespace"], f"pod/{pod['metadata']['name']}"
                return _log_tail(client.CoreV1Api(api), where, who, one["name"])
    return []


def _log_tail(core: Any, namespace: str, pod: str, container: str) -> list[str]:
    """Return the end of a container's log, and of that of its run before, as far as they exist."""
    lines: list[str] = []
    told = set[str]()
    for previous, title in ((False, "its log ends"), (True, "the log of its run before ends")):
        with contextlib.suppress(ApiException):
            name = pod.removeprefix("pod/")
            text = read_log(core, namespace, name, container, LOG_LINES, previous)
            if text.strip() and text not in told:
                told.add(text)
                lines += [f"{pod}, {title}:", *(f"  {line}" for line in text.splitlines())]
    return lines


def wait_gone(
    api: Any,
    namespace: str,
    kind: Kind,
    uids: Iterable[str],
    deadline: float,
    selector: Selector,
) -> None:
    """Wait until no object is left that has one of these uids, or is owned by one that has.

    Args:
        kind: What to look for.
        uids: The uids of what was deleted.
        deadline: By `time.monotonic()`.
        selector: Where to look.

    Raises:
        WaitTimeout: If something is left at the deadline.
    """
    gone = set(uids)
    left: list[str] = []
    seconds = max(1.0, deadline - time.monotonic())
    objects = list_and_watch(kind.method(api, "list"), namespace, selector, seconds=seconds)
    with StatusLine() as status:
        for state in objects:
            there = [x for x in state.values() if x["metadata"]["uid"] in gone or owned_by(x, gone)]
            if not there:
                return
            left = sorted(f"{kind.noun}/{raw['metadata']['name']}" for raw in there)
            status.update(f"the end of {', '.join(left)}")
    raise WaitTimeout(
        f"Still there when the time was over: {', '.join(left)}. "
        "A pod may take its whole grace period to end: wait a little and try again."
    )


def _object_reached(
    api: Any, namespace: str, kind: Kind, name: str, condition: str, seconds: float
) -> Iterator[tuple[bool, str]]:
    known = False
    selector = {"field_selector": f"metadata.name={name}"}
    objects = list_and_watch(kind.method(api, "list"), namespace, selector, seconds=seconds)
    for state in objects:
        raw = state.get(name)
        if condition == "deleted":
            yield raw is None, "it is still there"
        elif raw is None:
            verb = "was deleted meanwhile" if known else "is not there"
            raise NotFound(f"{kind.noun}/{name} {verb} (namespace {namespace}).")
        else:
            known = True
            now = states.job_summary(raw) if kind.name == "Job" else states.pod_summary(raw)
            try:
                yield states.condition_met(kind.noun, raw, condition), now
            except ClusterError as error:  # it has ended otherwise
                pods = [raw] if kind.name == "Pod" else list_pods(api, namespace, name)
                raise ClusterError("\n".join([str(error), *_last_failure_log(api, pods)])) from None


def _pods_started(
    api: Any, namespace: str, job: str, condition: str, seconds: float
) -> Iterator[tuple[bool, str]]:
    raw = get(kind_of("job").method(api, "read"), job, namespace)
    wanted = raw["spec"].get("parallelism", 1)
    pods = kind_of("pod").method(api, "list")
    for state in list_and_watch(pods, namespace, pod_selector(job), seconds=seconds):
        started = sum(states.has_started(pod, condition) for pod in state.values())
        yield started >= wanted, f"{started} of {wanted} pods are"
