"""Wait for objects, by a watch: until they are as wanted, or gone.

A wait that cannot come true ends at once with the reason, and one whose time is over says
what it saw last, and why pods do not run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from kubernetes import client

from ..errors import ClusterError, NotFound, WaitTimeout
from . import states
from .kube import Object, Selector, follow, get
from .manifests import Kind, kind_of, owned_by
from .states import JOB_LABEL


def pods_of(job: str | None) -> Selector:
    """Selects the pods of a Job, or all."""
    return {"label_selector": f"{JOB_LABEL}={job}"} if job else {}


def raw_pods(api: Any, namespace: str, job: str | None = None) -> list[Object]:
    """The pods of a Job, or all in the namespace, the oldest first."""
    found = get(client.CoreV1Api(api).list_namespaced_pod, namespace, **pods_of(job))

    def age(pod: Object) -> tuple[str, str]:
        return pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]

    return sorted(found.get("items") or [], key=age)


def wait_for(
    api: Any, namespace: str, kind: Kind, name: str, condition: str, seconds: float
) -> None:
    """Wait until an object is as wanted. See `Cluster.wait`."""
    allowed = states.CONDITIONS.get(kind.noun, ("deleted",))
    if condition not in allowed:
        raise ClusterError(
            f"A {kind.noun} has no condition {condition!r} to wait for. "
            f"Use one of these: {', '.join(allowed)}."
        )
    if kind.name == "Job" and condition in ("running", "ready"):
        progress = _pods_started(api, namespace, name, condition, seconds)
    else:
        progress = _object_reached(api, namespace, kind, name, condition, seconds)
    now = ""
    for reached, now in progress:  # noqa: B007 (the last one is told below)
        if reached:
            return
    title = f"{kind.noun}/{name}"
    lines = [f"{title} was not {condition} after {seconds:g} s: {now}."]
    if kind.name == "Job":
        lines += [f"  {states.pod_line(pod)}" for pod in raw_pods(api, namespace, name)]
    if kind.name in ("Job", "Pod"):
        lines.append(f"cluster.describe({title!r}) says more.")
    raise WaitTimeout("\n".join(lines))


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
    for state in follow(kind.method(api, "list"), namespace, selector, seconds=seconds):
        there = [
            raw for raw in state.values() if raw["metadata"]["uid"] in gone or owned_by(raw, gone)
        ]
        if not there:
            return
        left = sorted(f"{kind.noun}/{raw['metadata']['name']}" for raw in there)
    raise WaitTimeout(
        f"Still there when the time was over: {', '.join(left)}. "
        "A pod may take its whole grace period to end: wait a little and try again."
    )


def _object_reached(
    api: Any, namespace: str, kind: Kind, name: str, condition: str, seconds: float
) -> Iterator[tuple[bool, str]]:
    known = False
    selector = {"field_selector": f"metadata.name={name}"}
    for state in follow(kind.method(api, "list"), namespace, selector, seconds=seconds):
        raw = state.get(name)
        if condition == "deleted":
            yield raw is None, "it is still there"
        elif raw is None:
            verb = "was deleted meanwhile" if known else "is not there"
            raise NotFound(f"{kind.noun}/{name} {verb} (namespace {namespace}).")
        else:
            known = True
            now = states.job_line(raw) if kind.name == "Job" else states.pod_line(raw)
            yield states.reached(kind.noun, raw, condition), now


def _pods_started(
    api: Any, namespace: str, job: str, condition: str, seconds: float
) -> Iterator[tuple[bool, str]]:
    raw = get(kind_of("job").method(api, "read"), job, namespace)
    wanted = raw["spec"].get("parallelism", 1)
    pods = kind_of("pod").method(api, "list")
    for state in follow(pods, namespace, pods_of(job), seconds=seconds):
        started = sum(states.has_started(pod, condition) for pod in state.values())
        yield started >= wanted, f"{started} of {wanted} pods are"
