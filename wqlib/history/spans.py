"""The records that a `History` is made of: spans in lanes, handovers, levels and counts.

They hold what happened and nothing else; `wqlib.history` fills them in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..events import PodEvent, PodKind

Outcome = Literal["running", "complete", "release", "fail", "expire", "dead"]

ALIVE = ("pending", "running", "restarting", "terminating")
ENDS = ("succeeded", "failed", "killed")
PodState = Literal["pending", "running", "terminating", "evicted", "succeeded", "failed", "killed"]
MAX_SLOTS = 8
WAITS = -1
RECENT_ITEMS = 512


@dataclass(slots=True)
class Span:
    """One lease: an item lent to a worker, and the work on it.

    A worker that was lent several items works on some, and the others wait in it.

    Attributes:
        worker: Who held it; the key of its lane.
        lease_id: The lease, or "" for several old leases thinned into one span.
        item_id: Number of the item.
        attempt: How often the item had been lent, this time included.
        item: The first bytes of the item as text.
        lent: When it was lent, in seconds since the epoch.
        start: When the work on it began; as long as it has not, when it was lent.
        deadline: When the lease ends or would have ended.
        end: When the work on it ended, or the lease if that is not known, or None while it runs.
        outcome: How it ended, or "running".
        reason: Why (release, fail, dead), or "".
        renewals: When it was renewed.
        slot: Row within the lane, for a worker that works on several items at once; `WAITS`: it
            waits in the worker, or did until it ended.
        leases: How many leases this span stands for: 1, or more after thinning.
        progress: How far the work is, as the worker told last, or "".
        orphaned: When the process that held it ended, or 0.0.
    """

    worker: str
    lease_id: str
    item_id: int
    attempt: int
    item: str
    lent: float
    start: float
    deadline: float
    end: float | None = None
    outcome: Outcome = "running"
    reason: str = ""
    renewals: tuple[float, ...] = ()
    slot: int = WAITS
    leases: int = 1
    progress: str = ""
    orphaned: float = 0.0


class Handover(NamedTuple):
    """A lease that ended without completion, and the next lease of the same item."""

    lost: Span
    next: Span


class Level(NamedTuple):
    """How many items waited, were leased, done and dead at one moment."""

    at: float
    pending: int
    leased: int
    done: int
    dead: int


@dataclass(slots=True)
class Counts:
    """The numbers of the queue, as `queue.stats()` has them.

    Attributes:
        put: Items added by `put` (not by RPUSH, which makes no event).
        done: Items completed.
        pending: Items that wait.
        leased: Items that are lent.
        dead: Items given up.
        expired: Leases that ran out.
        released: Leases given back.
        failed: Attempts that failed.
    """

    put: int = 0
    done: int = 0
    pending: int = 0
    leased: int = 0
    dead: int = 0
    expired: int = 0
    released: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Count all items: done, dead, leased and waiting."""
        return self.done + self.dead + self.leased + self.pending


@dataclass(slots=True)
class Lane:
    """Everything that one worker did.

    Attributes:
        worker: Name of the worker; in a cluster, of its pod.
        job: Name of the Job that owns the pod, or "".
        node: Name of the node that the pod is on, or "".
        state: The last that the cluster said of the pod, or "" if it said nothing.
        spans: Its leases in the order in which they were lent.
        marks: What became of the pod, and when.
        most: How many items it worked on at once, at most; at least 1.
        slots: How many rows its leases need; what goes beyond `MAX_SLOTS` shares the last.
        done: Items it completed.
        lost: Leases of it that expired, failed or were given back.
        first_at: When it was first seen.
        last_at: When it was last seen.
        heard_at: When it last told the queue anything.
        busy_seconds: For how long it worked on an item, the present time left out.
        item_seconds: How long the last 512 items took.
        items_timed: How many items were timed in all.
        seconds_sum: How long they took together.
        held: The leases that it holds now, by lease id.
        working: How many of these it works on.
        waiting: Those that wait in it, by lease id, in the order in which it begins them; among
            them such as it has worked on, before it said that the one before them had ended.
        presumed: Those that seem to have begun after a failure, and may have begun before it.
        slots_taken: The slots in use, as a bit mask.
        busy_since: When it last went from no work to some.
        free_since: When it last completed an item.
    """

    worker: str
    first_at: float
    job: str = ""
    node: str = ""
    state: PodKind | Literal[""] = ""
    spans: list[Span] = field(default_factory=list)
    marks: list[PodEvent] = field(default_factory=list)
    most: int = 1
    slots: int = 1
    done: int = 0
    lost: int = 0
    last_at: float = 0.0
    heard_at: float = 0.0
    busy_seconds: float = 0.0
    item_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_ITEMS))
    items_timed: int = 0
    seconds_sum: float = 0.0
    held: dict[str, Span] = field(default_factory=dict)
    working: int = 0
    waiting: dict[str, Span] = field(default_factory=dict)
    presumed: list[Span] = field(default_factory=list)
    slots_taken: int = 0
    busy_since: float = 0.0
    free_since: float = 0.0

    @property
    def alive(self) -> bool:
        """Tell whether the pod is there, as far as the cluster said."""
        return self.state in ALIVE

    @property
    def ended_at(self) -> float | None:
        """Return when the pod ended, or None if it did not, as far as anybody said."""
        ends = (self._end(mark) for mark in self.marks if mark.kind not in ALIVE)
        return None if self.alive else next(ends, None)

    def _end(self, mark: PodEvent) -> float:
        # One that was deleted by force is forgotten by the API before its process ends.
        return max(mark.at, self.heard_at) if mark.kind == "deleted" else mark.at

    def seconds_left(self, now: float) -> float | None:
        """Return the time until the first of its leases ends, or None if it holds none."""
        ends = [span.deadline for span in self.held.values() if span.deadline]
        return min(ends) - now if ends else None

    def busy_until(self, now: float) -> float:
        """Return the seconds with work, counted up to `now`."""
        return self.busy_seconds + (max(0.0, now - self.busy_since) if self.working else 0.0)


def grouped(lanes: Iterable[Lane]) -> dict[str, list[Lane]]:
    """Group lanes by Job, in the order of their first appearance, and by node if there are several.

    Returns:
        The lanes of each group, under what to call it: "job-wq-2", "job-wq-2 on worker-1".
    """
    jobs: dict[str, dict[str, list[Lane]]] = {}
    for lane in lanes:
        jobs.setdefault(lane.job, {}).setdefault(lane.node, []).append(lane)
    several = len({node for nodes in jobs.values() for node in nodes if node}) > 1
    groups: dict[str, list[Lane]] = {}
    for job, nodes in jobs.items():
        for node in sorted(nodes):
            title = (job or "workers") + (f" on {node}" if several and node else "")
            groups.setdefault(title, []).extend(nodes[node])
    return groups


def most_active(lanes: Iterable[Lane], number: int) -> set[str]:
    """Name the workers, at most that many, that live or did something last."""
    ranked = sorted(lanes, key=lambda lane: (bool(lane.held), lane.alive, lane.last_at))
    return {lane.worker for lane in ranked[-number:]}


def pod_states(lane: Lane) -> list[tuple[PodState, float]]:
    """Return what became of a lane's pod, and when, in seconds since the epoch.

    Without a word before it, an end is a crash. A pod that the API forgot before it had ended was
    deleted by force: it was killed if it had a lease in its hands.
    """
    out: list[tuple[PodState, float]] = []
    asked = False
    for mark in lane.marks:
        if mark.kind == "terminating":
            asked = True
            out.append(("evicted" if mark.reason else "terminating", mark.at))
        elif mark.kind == "deleted":
            if not asked:
                out.append(("terminating", mark.at))
            last = lane.spans[-1].outcome if lane.spans else ""
            out.append(("killed" if last in ("running", "expire") else "failed", lane._end(mark)))
        elif mark.kind == "failed" or mark.kind == "restarting":
            killed = any(word in mark.reason for word in ("137", "OOMKilled"))
            out.append(("killed" if killed else "failed", mark.at))
        else:
            out.append((mark.kind, mark.at))
        if mark.kind not in ALIVE:
            break  # that it is deleted later is nothing new
    return out


@dataclass(frozen=True, slots=True)
class PodRow:
    """One line of the table of pods.

    Attributes:
        pod: Name of the pod or worker.
        job: Name of its Job, or "".
        state: "running", "killed", "working", ... in a word.
        done: Items completed.
        lost: Leases that expired, failed or were given back.
        working_on: The items that it works on now, in words, or "".
        mean_seconds: Mean time of an item, or None before the first.
        p95_seconds: 95th percentile of the last 512 items, or None.
        busy: Share of its life with work, 0 to 1.
    """

    pod: str
    job: str
    state: str
    done: int
    lost: int
    working_on: str
    mean_seconds: float | None
    p95_seconds: float | None
    busy: float


def thinned(spans: list[Span], least_seconds: float = 0.0) -> tuple[list[Span], float]:
    """Make the older three quarters of a lane's spans fewer, and leave the rest alone.

    Neighbours among the completed ones become one span, as long as no time without a lease
    is painted over. If that is not enough, the oldest quarter is dropped.

    Args:
        spans: The spans of a lane, in the order in which they were lent.
        least_seconds: Spans shorter than that are merged further than in pairs: in a picture
            of the whole run nobody could tell them apart.

    Returns:
        Fewer spans, in the same order, running ones all kept; and the moment before which
        detail is missing now.
    """
    cut = 3 * len(spans) // 4
    if not cut:
        return spans, 0.0
    fewer = _merged(spans[:cut], least_seconds) + spans[cut:]
    if len(fewer) > 3 * len(spans) // 4:
        drop = len(fewer) // 4
        fewer = [span for span in fewer[:drop] if span.end is None] + fewer[drop:]
    return fewer, spans[cut - 1].start


def _merged(spans: list[Span], least_seconds: float) -> list[Span]:
    merged: list[Span] = []
    open_at: dict[int, int] = {}  # by slot: where in `merged` a span may grow
    fresh: set[int] = set()  # of these: which are ours to change
    for span in spans:
        slot = span.slot
        at = open_at.get(slot)
        if at is None or not _may_merge(merged[at], span):
            open_at[slot] = len(merged)
            merged.append(span)
            continue
        first = merged[at]
        if at not in fresh:
            first = merged[at] = Span(
                span.worker, "", 0, 0, "", first.lent, first.start, 0.0, first.end, "complete",
                slot=slot, leases=first.leases,
            )  # fmt: skip
            fresh.add(at)
        first.end = span.end
        first.leases += span.leases
        if span.end is None or span.end - first.start >= least_seconds:
            del open_at[slot]
    return merged


def _may_merge(first: Span, span: Span) -> bool:
    if first.outcome != "complete" or span.outcome != "complete":
        return False
    if first.end is None or span.end is None:
        return False
    # Time without a lease must stay visible.
    return span.start - first.end <= 0.1 * (span.end - first.start)
