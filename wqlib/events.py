"""The events of a run: what the queue and the pods did, and when.

The queue appends to the Redis stream `{name}:events`, one entry a call. An entry is a
flat row of field and value pairs, each pair one event, in the order in which they
happened::

    complete  "17-1@pod-a 35 5"       the work began and ended so many ms before this entry
    renew     "16-1@pod-a page 3"     the lease id, a space, how far the work is (if that was told)
    lease     "18-1@pod-a apple"      the lease id, a space, the item's first 64 bytes
    until     "1764000030123"         deadline of the leases and renewals in this entry, in ms
    begin     "1"                     the worker begins so many of the items of this entry at once
                                      (if not all); each of the others when an earlier one ended
    pending   "41"                    items that wait in the list after this call

A *lease id* is `<item id>-<attempt>@<worker>`. The item id is given when an item is lent
for the first time; `(item id, attempt)` only ever grows, so it serves as a fencing token.
All times are the Redis server's, never a worker's. This module is pure: it does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

EventKind = Literal[
    "put",  # items were added (`count` of them)
    "lease",  # an item was lent to `worker` until `deadline`
    "renew",  # the lease now lasts until `deadline`
    "complete",  # the item is done
    "release",  # the worker gave the item back (`reason`); it waits again
    "fail",  # the attempt failed (`reason`); the item waits again, unless `dead` follows
    "expire",  # the deadline passed; the item waits again, unless `dead` follows
    "dead",  # the item was given up after its last attempt (`reason`)
    "requeue",  # `count` dead items were put back
    "drop",  # a dead item was removed for good; the lease is its last one
    "drained",  # nothing waits and nothing is leased
    "clear",  # the queue was wiped
]

PREVIEW_BYTES = 64


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to the queue.

    Attributes:
        kind: What happened, one of `EventKind`.
        at: When, in seconds since the epoch, by the Redis server's clock (ms resolution).
        stream_id: Id of the stream entry; several events may share it.
        lease_id: The lease it happened to, or "".
        item_id: Number of the item, or 0.
        attempt: How often the item had been lent, this time included, or 0.
        worker: Who holds or held the lease (in a pod: the pod's name), or "".
        item: The first 64 bytes of the item as text (`lease` only).
        deadline: When the lease ends, in seconds since the epoch, or 0.0.
        begins: The work begins at once (`lease`); otherwise when an earlier item of this worker
            has ended.
        began, ended: When the work began and ended, in seconds since the epoch (`complete`, by
            the worker's measure), or 0.0: it was not told.
        progress: How far the work is (`renew`), or "".
        reason: Why (`release`, `fail`, `dead`), or "".
        count: How many items (`put`, `requeue`), or 0.
        pending: Items waiting in the list after the call that made this event.
    """

    kind: EventKind
    at: float
    stream_id: str = ""
    lease_id: str = ""
    item_id: int = 0
    attempt: int = 0
    worker: str = ""
    item: str = ""
    deadline: float = 0.0
    reason: str = ""
    count: int = 0
    pending: int = 0
    begins: bool = True
    began: float = 0.0
    ended: float = 0.0
    progress: str = ""


PodKind = Literal[
    "pending",
    "running",
    "restarting",  # its container ended, and is started again in the same pod
    "terminating",  # it was asked to end: deleted, or evicted
    "succeeded",
    "failed",
    "deleted",  # the API has forgotten it
]


@dataclass(frozen=True, slots=True)
class PodEvent:
    """One change of a pod, as seen by a watch on the Kubernetes API.

    Attributes:
        kind: What the pod became, one of `PodKind`.
        at: When we saw it, in seconds since the epoch.
        pod: Name of the pod.
        job: Name of the Job that owns it, or "".
        reason: Why, e.g. "Error", "exit code 137", "OOMKilled", "EvictionByEvictionAPI", or "".
        node: Name of the node that it is on, or "".
    """

    kind: PodKind
    at: float
    pod: str
    job: str = ""
    reason: str = ""
    node: str = ""


def split_lease_id(lease_id: str) -> tuple[int, int, str]:
    """Take a lease id apart.

    Args:
        lease_id: `<item id>-<attempt>@<worker>`.

    Returns:
        The item id, the attempt and the worker.

    Raises:
        ValueError: If `lease_id` does not have that form.
    """
    token, at, worker = lease_id.partition("@")
    item_id, dash, attempt = token.partition("-")
    if not at or not dash:
        raise ValueError(f"not a lease id: {lease_id!r} (expected <item id>-<attempt>@<worker>)")
    return int(item_id), int(attempt), worker


def decode(stream_id: str, fields: Sequence[bytes]) -> list[Event]:
    """Turn one entry of the event stream into events.

    Args:
        stream_id: Id of the entry, `<ms since the epoch>-<number>`.
        fields: The entry's fields and values in turn, as Redis returns them.

    Returns:
        The events of the entry in the order in which they happened.
    """
    at = int(stream_id.partition("-")[0]) / 1000
    pairs = [(fields[i].decode(), fields[i + 1]) for i in range(0, len(fields) - 1, 2)]
    known = {name: int(value) for name, value in pairs if name in ("until", "pending", "begin")}
    deadline, begin = known.get("until", 0) / 1000, known.get("begin", len(pairs))
    events: list[Event] = []
    for name, value in pairs:
        if name not in known:
            event = _event(name, value, at, stream_id, deadline, known.get("pending", 0))
            if name == "lease":
                begin -= 1
                event = event if begin >= 0 else replace(event, begins=False)
            events.append(event)
    return events


def _event(
    name: str, value: bytes, at: float, stream_id: str, deadline: float, pending: int
) -> Event:
    kind: EventKind = name  # type: ignore[assignment]
    if name in ("put", "requeue"):
        return Event(kind, at, stream_id, count=int(value), pending=pending)
    if name in ("drained", "clear"):
        return Event(kind, at, stream_id, pending=pending)
    lease, _, rest = value.partition(b" ")
    lease_id = lease.decode("utf-8", "replace")
    item_id, attempt, worker = split_lease_id(lease_id)
    text = rest.decode("utf-8", "replace")
    began, ended = 0.0, 0.0
    if name == "complete" and text:
        began, ended = ((round(1000 * at) - int(ms)) / 1000 for ms in text.split())
    return Event(
        kind,
        at,
        stream_id,
        lease_id,
        item_id,
        attempt,
        worker,
        item=text if name == "lease" else "",
        deadline=deadline if name in ("lease", "renew") else 0.0,
        reason=text if name not in ("lease", "complete", "renew") else "",
        pending=pending,
        began=began,
        ended=ended,
        progress=text if name == "renew" else "",
    )
