"""Wait for objects with a watch: until they meet a condition, or are gone.

A wait that cannot succeed fails at once with the reason, and one that times out says
what it saw last, and why pods are not running.
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


class Wait:
    """A wait for an object to meet a condition; see `Cluster.wait`.

    Args:
        api: The client.
        namespace, kind, name, condition: What is waited for.

    Raises:
        ClusterError: If this kind of object has no such condition.
    """

    def __init__(self, api: Any, namespace: str, kind: Kind, name: str, condition: str) -> None:
        allowed = states.CONDITIONS.get(kind.noun, ("deleted",))
        if condition not in allowed:
            raise ClusterError(
                f"A {kind.noun} has no condition {condition!r} to wait for. "
                f"Use one of these: {', '.join(allowed)}."
            )
        self._api, self._core = api, client.CoreV1Api(api)
        self._namespace, self._kind, self._name = namespace, kind, name
        self._condition, self._title = condition, f"{kind.noun}/{name}"
        self._checked_at = self._healthy_at = time.monotonic()

    def run(self, seconds: float) -> None:
        """Wait.

        Raises:
            WaitTimeout: If `seconds` are over; with the last state, and why pods do not run.
            ClusterError: If it can no longer come true.
        """
        of_pods = self._kind.name == "Job" and self._condition in ("running", "ready")
        progress = self._pods_progress(seconds) if of_pods else self._object_progress(seconds)
        now = ""
        with StatusLine() as status:
            for reached, now in progress:
                if reached:
                    return
                status.update(f"{self._title} to be {self._condition}: {now}")
                self._check()
        lines = [f"{self._title} was not {self._condition} after {seconds:g} s: {now}."]
        if self._kind.name == "Job":
            lines += [f"  {states.pod_summary(pod)}" for pod in self._pods()]
        if self._kind.name in ("Job", "Pod"):
            lines.append(f"cluster.describe({self._title!r}) says more.")
        raise WaitTimeout("\n".join(lines))

    def _object_progress(self, seconds: float) -> Iterator[tuple[bool, str]]:
        """Yield whether the object meets the condition, and its state."""
        known = False
        list_call = self._kind.method(self._api, "list")
        selector = {"field_selector": f"metadata.name={self._name}"}
        for objects in list_and_watch(list_call, self._namespace, selector, seconds=seconds):
            raw = objects.get(self._name)
            if self._condition == "deleted":
                yield raw is None, "it still exists"
            elif raw is None:
                verb = "was deleted meanwhile" if known else "does not exist"
                raise NotFound(f"{self._title} {verb} (namespace {self._namespace}).")
            else:
                known, is_job = True, self._kind.name == "Job"
                now = states.job_summary(raw) if is_job else states.pod_summary(raw)
                try:
                    yield states.condition_met(self._kind.noun, raw, self._condition), now
                except ClusterError as error:  # it has ended otherwise
                    log = self._last_failure_log(self._pods() if is_job else [raw])
                    raise ClusterError("\n".join([str(error), *log])) from None

    def _pods_progress(self, seconds: float) -> Iterator[tuple[bool, str]]:
        """Yield whether all pods of the Job have started, and how many."""
        wanted = self._read()["spec"].get("parallelism", 1)
        list_call, selector = self._core.list_namespaced_pod, pod_selector(self._name)
        for pods in list_and_watch(list_call, self._namespace, selector, seconds=seconds):
            started = sum(states.has_started(pod, self._condition) for pod in pods.values())
            yield started >= wanted, f"{started} of {wanted} pods are"

    def _check(self) -> None:
        """Look at the pods, at most once a second; raise ClusterError once they are stuck."""
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
        raw = self._read()
        if self._kind.name == "Pod":
            return diagnosis.diagnose_pod(raw, self._events)
        if self._condition in ("running", "ready"):
            states.condition_met("job", raw, "complete")  # one that has failed starts no pod
        return diagnosis.diagnose_job(raw, self._pods(), self._condition, self._events)

    def _is_there_by_now(self, found: diagnosis.Problem) -> bool:
        """Tell whether what is missing was made meanwhile; the kubelet tries again only rarely."""
        wanted = diagnosis.missing_object(found)
        if wanted is None:
            return False
        noun, name, key = wanted
        live = find(self._api, self._namespace, kind_of(noun), name)
        return live is not None and (not key or key in (live.get("data") or {}))

    def _message(self, found: diagnosis.Problem) -> str:
        why = str(found).removeprefix(f"{self._title} ")
        lines = [f"{self._title} will not be {self._condition}: {why}."]
        if found.container:
            lines += self._log_tail(found.who.removeprefix("pod/"), found.container)
        lines.append(f"{found.advice} cluster.describe({self._title!r}) says more.")
        return "\n".join(lines)

    def _read(self) -> Object:
        return get(self._kind.method(self._api, "read"), self._name, self._namespace)

    def _pods(self) -> list[Object]:
        return list_pods(self._api, self._namespace, self._name)

    def _events(self, kind: str, name: str) -> list[Object]:
        about = f"involvedObject.kind={kind},involvedObject.name={name}"
        listed = get(self._core.list_namespaced_event, self._namespace, field_selector=about)
        return sorted(listed.get("items") or [], key=states.event_time)

    def _last_failure_log(self, pods: list[Object]) -> list[str]:
        """Return the end of the log of the last pod that failed."""
        for pod in reversed(pods):
            for one in states.container_statuses(pod):
                if (one.get("state", {}).get("terminated") or {}).get("exitCode"):
                    return self._log_tail(pod["metadata"]["name"], one["name"])
        return []

    def _log_tail(self, pod: str, container: str) -> list[str]:
        """Return the end of a container's log, and of that of its run before, if they exist."""
        lines: list[str] = []
        told = set[str]()
        for previous, title in (
            (False, "its log ends"),
            (True, "the log of its previous run ends"),
        ):
            with contextlib.suppress(ApiException):
                text = read_log(self._core, self._namespace, pod, container, LOG_LINES, previous)
                if text.strip() and text not in told:
                    told.add(text)
                    lines += [f"pod/{pod}, {title}:", *(f"  {x}" for x in text.splitlines())]
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
        f"Not gone in time: {', '.join(left)}. "
        "A pod may take its whole grace period to end: wait a little and try again."
    )
