"""The fold of events into a history, one step for each kind of event."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import cast, get_args

from ..events import Event, EventKind, PodEvent
from . import recording, words
from .recording import Reading, Recorded
from .series import Levels, Pace, Running
from .spans import ALIVE, WAITS, Counts, Handover, Lane, Level, Outcome, PodRow, Span, thinned
from .work import begin, cut_off, end, revive

MAX_SPANS = 24_000
MAX_HANDOVERS = 2_000
MAX_MARKS = 64
MAX_RENEWALS = 64
_COUNTERS = {"expire": "expired", "fail": "failed", "release": "released"}
FINEST_PARTS = 1_024  # parts of a run that a picture of all of it can show


class History:
    """A run, folded from its events.

    Attributes:
        lanes: The lane of each worker, in the order of their first appearance.
        handovers: Lost leases and the lease that got the same item next, oldest first.
        counts: The numbers of the queue.
        version: Grows with each change, so a view can tell whether to draw again.
        started_at: When the first lease began or the first pod was seen, or None.
        last_at: The latest time in any event, or 0.0.
        lease_seconds: How long a lease lasts, as the last one did.
        drained_at: When the queue drained, or None while there is work.
        pace: How fast the work goes.
        thinned_before: Detail of leases that ended before is thinned; 0.0: all is there.

    Example:
        >>> history = History()
        >>> history.add([Event("lease", 1.0, lease_id="1-1@pod-a", item_id=1, attempt=1,
        ...                    worker="pod-a", item="apple", deadline=11.0),
        ...              Event("complete", 2.5, lease_id="1-1@pod-a", item_id=1, worker="pod-a")])
        2
        >>> history.lanes["pod-a"].spans[0].end
        2.5
        >>> history.counts.done
        1
    """

    def __init__(self) -> None:
        self.log = recording.EventLog()
        self.version = 0
        self._cleared_by: Event | None = None
        self._steps: dict[str, Callable[[Event], object]] = {
            kind: getattr(self, f"_{kind}") for kind in get_args(EventKind)
        }
        self._reset()

    def _reset(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.handovers: deque[Handover] = deque(maxlen=MAX_HANDOVERS)
        self.counts = Counts()
        self.started_at: float | None = None
        self.last_at = 0.0
        self.lease_seconds = 0.0
        self.drained_at: float | None = None
        self.thinned_before = 0.0
        self._lost: dict[int, Span] = {}  # by item id: the lease it lost last, until leased again
        self._unseen_leases = 0  # leases that a reading told of, but no event
        self._spans_kept = 0
        self._levels = Levels()
        self.pace = Pace()

    @property
    def depth(self) -> list[Level]:
        """Return how full the queue was over time, oldest first, at most 2,048 moments."""
        return list(self._levels.until_now(self.counts))

    @property
    def waiting_after_expiry(self) -> int:
        """Count the items whose lease expired and that were not leased again yet."""
        return sum(span.outcome == "expire" for span in self._lost.values())

    def add(self, events: Iterable[Recorded]) -> int:
        """Fold events in.

        Args:
            events: Events of the queue and of pods, each kind in the order in which they
                happened. How they are cut into batches makes no difference.

        Returns:
            How many events that were.
        """
        number = 0
        rest = iter(events)
        while batch := list(islice(rest, 1024)):
            self._fold(batch)
            self.log.pack()
            number += len(batch)
        self.version += number
        return number

    def _fold(self, batch: list[Recorded]) -> None:
        steps = self._steps
        for event in batch:
            if type(event) is Event:
                step = steps.get(event.kind)
                if step is not None:
                    at, levels = event.at, self._levels
                    if not levels.since <= at < levels.until:
                        levels.advance(at, self.counts)
                    step(event)
                    self.counts.pending = event.pending
                    self._levels.at = at
                    if at > self.last_at:
                        self.last_at = at
            elif type(event) is PodEvent:
                self._pod(event)
            elif type(event) is Reading:
                self._apply_reading(event)
        if self._cleared_by is not None:  # what came before is no part of this run
            first = next(i for i, event in enumerate(batch) if event is self._cleared_by)
            batch, self._cleared_by = batch[first:], None
        self.log.recent += batch

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to a file of JSON lines; `wqlib.history.recording` documents the format.

        Args:
            path: Where to; by convention it ends in `.jsonl`.
        """
        recording.save(self.log, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a run that `save` wrote.

        Args:
            path: The file.

        Returns:
            The same history as the one that was saved.

        Raises:
            BadHistoryFile: If the file is not there, or not a recording, or damaged.
        """
        history = cls()
        history.add(recording.read(path))
        return history

    def rate(self, now: float, window_seconds: float = 10.0) -> float:
        """Return how many items were completed a second, lately.

        Args:
            now: The moment to look from, in seconds since the epoch.
            window_seconds: How far to look back; less when the run is younger.

        Returns:
            Items a second, 0.0 before the run began.
        """
        if self.started_at is None or now <= self.started_at:
            return 0.0
        return self.pace.rate(now, window_seconds, self.running(now))

    def eta(self, now: float) -> tuple[float, float] | None:
        """Estimate how long until the queue is drained, if all goes on as lately, seen from `now`.

        Returns:
            Seconds left and their uncertainty (one standard deviation), (0, 0) when drained,
            or None when nothing tells: fewer than two items timed, or none completed lately.
        """
        left = self.counts.pending + self.counts.leased
        if left == 0:
            return (0.0, 0.0) if self.counts.total else None
        started = self.started_at
        if started is None or now <= started:
            return None
        return self.pace.eta(now, left, self.running(now))

    def running(self, now: float) -> list[Running]:
        """Return when the work on each item began that is worked on now, and how many seconds it
        takes if it is like the others of its worker; none before the first was completed.
        """
        found: list[Running] = []
        for lane in list(self.lanes.values()):
            mean = lane.seconds_sum / lane.items_timed if lane.items_timed else self.pace.mean
            if not lane.working or not mean or lane.ended_at is not None:
                continue
            for span in list(lane.held.values()):
                if span.slot != WAITS and not span.orphaned and span.start < now <= span.deadline:
                    found.append((span.start, max(mean, now - span.start)))
        return found

    def summary(self, now: float, job: str = "") -> str:
        """Say where the run stands in a few sentences, at a moment in seconds since the epoch.

        For example "Job job-wq-2: 3 pods running. 41 of 60 items done, 3 leased, 16 waiting,
        0 dead. 2 leases expired and were leased again. About 12 s left."
        """
        lanes = list(self.lanes.values())
        return words.summary(self.counts, lanes, self.waiting_after_expiry, self.eta(now), job)

    def table(self, now: float) -> list[PodRow]:
        """Return what each pod did until `now`: a row for each lane, in the order of `lanes`."""
        drained = self.drained_at is not None
        return [words.pod_row(lane, now, drained) for lane in list(self.lanes.values())]

    def _lane(self, worker: str, at: float) -> Lane:
        lane = self.lanes.get(worker)
        if lane is None:
            lane = self.lanes[worker] = Lane(worker, at)
            if self.started_at is None:
                self.started_at, self.pace = at, Pace(at)
        if at > lane.last_at:
            lane.last_at = at
        return lane

    def _put(self, event: Event) -> None:
        self.counts.put += event.count
        self.drained_at = None

    def _lease(self, event: Event) -> None:
        lane = self.lanes.get(event.worker) or self._lane(event.worker, event.at)
        if event.lease_id in lane.held:
            return
        if event.begins and lane.waiting:
            # A process begins what waits in it first: this is a new one of the same name.
            lane.waiting.clear()
        self._lend(lane, event)
        self.counts.leased += 1
        self.drained_at = None

    def _lend(self, lane: Lane, event: Event) -> Span:
        at = event.at
        span = Span(
            event.worker, event.lease_id, event.item_id, event.attempt, event.item, at, at,
            event.deadline,
        )  # fmt: skip
        lane.heard_at = at
        if event.deadline:
            self.lease_seconds = event.deadline - at
        if at > lane.last_at:
            lane.last_at = at
        lane.held[event.lease_id] = span
        lane.spans.append(span)
        if event.begins:
            begin(lane, span)
        else:
            lane.waiting[event.lease_id] = span
        if self._lost and (lost := self._lost.pop(event.item_id, None)) is not None:
            self.handovers.append(Handover(lost, span))
        self._spans_kept += 1
        if self._spans_kept > MAX_SPANS:
            self._thin()
        return span

    def _end(self, lane: Lane, event: Event, outcome: Outcome) -> Span | None:
        at = event.at
        if at > lane.last_at:
            lane.last_at = at
        span = lane.held.pop(event.lease_id, None)
        if span is None:
            if self._unseen_leases:
                self._unseen_leases -= 1
                self.counts.leased -= 1
            return None
        self.counts.leased -= 1
        if outcome != "expire":
            lane.heard_at = at
            if span.orphaned:
                revive(lane, span, at)
        end(lane, span, event, outcome)
        return span

    def _renew(self, event: Event) -> None:
        lane = self._lane(event.worker, event.at)
        span = lane.held.get(event.lease_id)
        if span is None:
            # Its beginning was trimmed from the stream; it is leased all the same.
            span = self._lend(lane, event)
            if self._unseen_leases:
                self._unseen_leases -= 1
            else:
                self.counts.leased += 1
        lane.heard_at = event.at
        if span.orphaned:
            revive(lane, span, event.at)
        span.deadline = event.deadline
        span.renewals = (*span.renewals[-MAX_RENEWALS + 1 :], event.at)
        span.progress = event.progress or span.progress

    def _complete(self, event: Event) -> None:
        at, counts = event.at, self.counts
        lane = self.lanes.get(event.worker) or self._lane(event.worker, at)
        span = self._end(lane, event, "complete")
        counts.done += 1
        lane.done += 1
        if span is not None and span.end is not None:
            start, free, at = span.start, lane.free_since, span.end
            # One that does not tell when it began works on its leases in turn.
            start = start if event.began or start > free else free
            seconds = at - start
            lane.item_seconds.append(seconds)
            lane.items_timed += 1
            lane.seconds_sum += seconds
            self.pace.add(start, at)
        lane.free_since = at

    def _give_back(self, event: Event) -> None:
        lane, counter = self._lane(event.worker, event.at), _COUNTERS[event.kind]
        setattr(self.counts, counter, getattr(self.counts, counter) + 1)
        lane.lost += 1
        span = self._end(lane, event, cast(Outcome, event.kind))
        if span is not None:
            self._lost[event.item_id] = span
            if len(self._lost) > MAX_HANDOVERS:
                del self._lost[next(iter(self._lost))]

    _expire = _fail = _release = _give_back

    def _dead(self, event: Event) -> None:
        self.counts.dead += 1
        span = self._lost.pop(event.item_id, None)
        if span is None:
            span = self._end(self._lane(event.worker, event.at), event, "dead")
        if span is not None:
            span.outcome = "dead"
            span.reason = event.reason

    def _drop(self, event: Event) -> None:
        self.counts.dead = max(0, self.counts.dead - 1)

    def _requeue(self, event: Event) -> None:
        self.counts.dead = max(0, self.counts.dead - event.count)
        self.drained_at = None

    def _drained(self, event: Event) -> None:
        self.drained_at = event.at

    def _clear(self, event: Event) -> None:
        pods = [lane.marks for lane in self.lanes.values() if lane.alive]
        self._reset()
        self.log.clear()
        for marks in pods:
            self._fold(list(marks))
        self._cleared_by = event

    def _pod(self, event: PodEvent) -> None:
        known = event.pod in self.lanes
        over = event.kind not in ALIVE
        if not known and (over or not event.job):
            return  # it ended before we looked, or it is not of a Job: Redis itself, say
        lane = self._lane(event.pod, event.at)
        self.last_at = max(self.last_at, event.at)
        if lane.spans and not lane.state:
            # The first news of a pod that has long been at work is old news.
            event = replace(event, at=lane.spans[-1].end or event.at if over else lane.first_at)
        lane.job = event.job or lane.job
        lane.node = event.node or lane.node
        lane.state = event.kind
        if not lane.marks or lane.marks[-1].kind != event.kind:
            lane.marks.append(event)
            del lane.marks[:-MAX_MARKS]
        if over or event.kind == "restarting":
            cut_off(lane, event.at)

    def _apply_reading(self, reading: Reading) -> None:
        counts = self.counts
        for name in recording.COUNTERS:
            setattr(counts, name, getattr(reading, name))
        held = sum(len(lane.held) for lane in self.lanes.values())
        if held and not counts.leased:
            self._forget_held()
            held = 0
        self._unseen_leases = max(0, counts.leased - held)
        if counts.pending or counts.leased:
            self.drained_at = None
        self.last_at = max(self.last_at, reading.at)
        self._levels.record(reading.at, counts)

    def _forget_held(self) -> None:
        """Take out the leases that ended in a part of the stream that was trimmed."""
        for lane in self.lanes.values():
            lane.spans = [span for span in lane.spans if span.end is not None]
            lane.held.clear()
            lane.waiting.clear()
            lane.presumed.clear()
            lane.working = lane.slots_taken = 0

    def _thin(self) -> None:
        self._spans_kept = 0
        least = (self.last_at - (self.started_at or self.last_at)) / FINEST_PARTS
        for lane in self.lanes.values():
            lane.spans, before = thinned(lane.spans, least)
            self.thinned_before = max(self.thinned_before, before)
            self._spans_kept += len(lane.spans)
