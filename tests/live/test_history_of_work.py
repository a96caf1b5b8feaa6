"""When an item is worked on, which is not when it was lent: random workers, and what is known of
their work from the events alone.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import T0, Story
from test_history import cut, state_of

from wqlib.events import Event, decode
from wqlib.history import History, Reading, Span
from wqlib.history.recording import Recorded
from wqlib.history.spans import WAITS


def spans_of(story: Story) -> list[tuple[float, float | None, int]]:
    """Start, end and row of each lease of worker a, in seconds since `T0`."""
    lane = story.history().lanes["a"]
    return [
        (
            pytest.approx(span.start - T0),
            span.end and pytest.approx(span.end - T0),
            span.slot,
        )
        for span in lane.spans
    ]


def batch(*begins: bool) -> Story:
    """Worker a is lent an item for each of these at 1 s."""
    story = Story(9)
    for number, begun in enumerate(begins, 1):
        story.lease(1, f"{number}-1@a", begins=begun)
    return story


def test_what_waits_in_a_worker_begins_when_the_item_before_it_has_ended() -> None:
    story = batch(True, False, False)
    assert spans_of(story) == [(1, None, 0), (1, None, WAITS), (1, None, WAITS)]
    story.complete(3.05, "1-1@a", 1, 3)
    assert spans_of(story) == [(1, 3, 0), (3, None, 0), (1, None, WAITS)]
    story.fail(4, "2-1@a")
    assert spans_of(story) == [(1, 3, 0), (3, 4, 0), (4, None, 0)]
    assert story.history().counts.leased == 1
    assert story.history().lanes["a"].slots == 1


def test_what_a_completion_tells_corrects_what_was_guessed() -> None:
    story = batch(True, False).complete(3, "1-1@a").complete(5.04, "2-1@a", 3.5, 5)
    assert spans_of(story) == [(1, 3, 0), (3.5, 5, 0)]
    assert list(story.history().lanes["a"].item_seconds) == pytest.approx([2, 1.5])


@pytest.mark.parametrize(
    ("told", "span"), [((0.999, 2), (1, 2)), ((0.998, 0.999), (1, 1)), ((1.5, 1.5), (1.5, 1.5))]
)
def test_the_work_never_begins_before_the_lease(told: Any, span: Any) -> None:
    ((start, end, _),) = spans_of(batch(True).complete(2.01, "1-1@a", *told))
    assert (start, end) == span


@pytest.mark.parametrize("end", ["release", "expire"])
def test_what_ends_while_it_waits_was_never_worked_on(end: str) -> None:
    story = batch(True, False, False)
    for number in (1, 2, 3):  # the queue says so of all of them, in any order
        getattr(story, end)(4, f"{number}-1@a")
    assert spans_of(story) == [(1, 4, 0), (1, 4, WAITS), (1, 4, WAITS)]
    assert story.history().lanes["a"].busy_seconds == pytest.approx(3)


def test_a_failure_told_before_the_completion_that_came_before_it() -> None:
    story = batch(True, False, False).fail(4, "2-1@a")
    assert spans_of(story) == [(1, None, 0), (1, 4, WAITS), (1, None, WAITS)]
    story.complete(4.01, "1-1@a", 1, 3)
    assert spans_of(story) == [(1, 3, 0), (3, 4, 0), (4, None, 0)]


def test_what_was_lent_first_began_first_whatever_is_told_first() -> None:
    story = batch(True, True, True, False, False).fail(4, "2-1@a")
    assert spans_of(story)[3:] == [(4, None, 1), (1, None, WAITS)]
    story.complete(4, "1-1@a", 1, 2)  # so item 4 began then, and not when item 2 had failed
    assert spans_of(story)[3:] == [(2, None, 0), (4, None, 1)]
    story.complete(4, "4-1@a", 2, 3)
    assert spans_of(story)[3:] == [(2, 3, 0), (3, None, 0)]
    lane = story.lease(5, "6-1@a").history().lanes["a"]
    assert (lane.spans[-1].slot, lane.working, lane.most) == (1, 3, 3)


def test_a_new_process_of_the_same_name_begins_nothing_that_waits_in_the_old_one() -> None:
    story = batch(True, False, False).lease(5, "4-1@a").lease(5, "5-1@a", begins=False)
    story.complete(7, "4-1@a", 5, 7)
    assert spans_of(story) == [
        (1, None, 0),
        (1, None, WAITS),
        (1, None, WAITS),
        (5, 7, 1),
        (7, None, 1),
    ]
    for number in (1, 2, 3):
        story.expire(11, f"{number}-1@a")
    assert [slot for *_, slot in spans_of(story)] == [0, WAITS, WAITS, 1, 1]
    assert story.history().lanes["a"].working == 1


def test_a_worker_that_was_cut_off_and_works_on_is_believed() -> None:
    story = batch(True, False).expire(4, "1-1@a").complete(9, "2-1@a", 6, 8.9)
    assert spans_of(story) == [(1, 4, 0), (6, 8.9, 0)]


def test_the_words_tell_what_is_worked_on_from_what_waits() -> None:
    story = batch(True, True, False, False, False)
    story.renew(2, "1-1@a", progress="page 3\nof 9").renew(3, "1-1@a")
    history = story.history()
    assert "5 leased (2 worked on), 4 waiting" in history.summary(T0 + 4)
    (row,) = history.table(T0 + 4)
    assert row.working_on == "apple: page 3 of 9, and 1 more; 3 wait"
    assert row.state == "working"


def test_the_end_of_leases_that_the_stream_has_lost_empties_the_worker() -> None:
    story = batch(True, False, False)
    story.events.append(Reading(T0 + 9, done=3))
    story.lease(10, "4-1@a").lease(10, "5-1@a", begins=False).complete(12, "4-1@a", 10, 12)
    assert spans_of(story) == [(10, 12, 0), (12, None, 0)]


# Random workers


@dataclass
class Process:
    """A worker that works on some items at once, and lets others wait; all times in ms."""

    worker: str
    at_once: int
    working: dict[str, int] = field(default_factory=dict)  # since when
    waiting: deque[str] = field(default_factory=deque)
    finished: list[tuple[str, int, int]] = field(default_factory=list)  # not told yet

    def begin(self, now: int) -> None:
        while self.waiting and len(self.working) < self.at_once:
            self.working[self.waiting.popleft()] = now

    def flush(self, now: int) -> list[bytes]:
        told = [(f"{one} {now - began} {now - ended}") for one, began, ended in self.finished]
        self.finished.clear()
        return [word for one in told for word in (b"complete", one.encode())]


@dataclass
class Shift:
    """What happened, and what is known of it.

    Attributes:
        events: As the queue tells them.
        process_of: Of which process each lease was, and how many that works on at once.
        never: Leases that nobody began.
    """

    events: list[Recorded] = field(default_factory=list)
    process_of: dict[str, tuple[int, int]] = field(default_factory=dict)
    never: set[str] = field(default_factory=set)


STEPS = ("finish",) * 6 + ("trade",) * 3 + ("flush", "fail", "renew", "stop", "die", "expire")


@st.composite
def shifts(draw: Callable[..., Any]) -> Shift:
    """Two workers that are lent batches, finish, fail, tell at once or later, stop, and die; and
    then another of the same name.
    """
    shift, now, items, entries = Shift(), 1_764_000_000_000, itertools.count(1), itertools.count()
    again: list[tuple[int, int]] = []
    orphans: list[list[str]] = []

    def start(worker: str) -> Process:
        return Process(worker, draw(st.integers(1, 3)))

    def tell(*entry: bytes) -> None:
        if entry:
            more = [b"pending", b"9"]
            shift.events += decode(f"{now}-{next(entries)}", [*entry, *more])

    def back(lease: str) -> None:
        item, attempt = lease.split("@")[0].split("-")
        again.append((int(item), int(attempt) + 1))

    processes = {worker: start(worker) for worker in ("a", "b")}
    serial = dict(zip(processes, itertools.count(), strict=False))
    for _ in range(draw(st.integers(5, 60))):
        now += draw(st.sampled_from([0, 1, 30, 400]))
        one = processes[draw(st.sampled_from("ab"))]
        step = draw(st.sampled_from(STEPS))
        some = list(one.working)
        lease = some[draw(st.integers(0, len(some) - 1))] if some else ""
        if step == "finish" and lease:
            late = draw(st.sampled_from([0, 0, 2]))  # the start of a thread, say
            one.finished.append((lease, min(one.working.pop(lease) + late, now), now))
            one.begin(now)
        elif step == "fail" and lease:
            if draw(st.booleans()):
                tell(*one.flush(now))
            del one.working[lease]
            one.begin(now)
            tell(b"fail", f"{lease} boom".encode())
            back(lease)
        elif step == "trade":
            entry, free = one.flush(now), one.at_once - len(one.working)
            fresh = []
            for _ in range(draw(st.integers(1, 5))):
                item, attempt = again.pop() if again else (next(items), 1)
                fresh.append(f"{item}-{attempt}@{one.worker}")
            entry += [word for one_more in fresh for word in (b"lease", one_more.encode())]
            shift.process_of |= dict.fromkeys(fresh, (serial[one.worker], one.at_once))
            tell(*entry, b"until", str(now + 5000).encode(), b"begin", str(free).encode())
            one.waiting += fresh
            one.begin(now)
        elif step == "flush":
            tell(*one.flush(now))
        elif step == "renew" and lease:
            tell(b"renew", f"{lease} half".encode(), b"until", str(now + 5000).encode())
        elif step in ("stop", "die"):
            held = [*one.working, *one.waiting]
            shift.never |= set(one.waiting)
            if step == "stop":
                tell(*one.flush(now), *[w for h in held for w in (b"release", h.encode())])
                for gone in held:
                    back(gone)
            else:
                orphans.append([*held, *(gone for gone, _, _ in one.finished)])
            processes[one.worker] = start(one.worker)
            serial[one.worker] = max(serial.values()) + 1
        elif step == "expire" and orphans:
            group = orphans[0]
            for gone in draw(st.permutations(group[: draw(st.integers(0, len(group)))])):
                tell(b"expire", gone.encode())
                back(gone)
                group.remove(gone)
            if not group:
                del orphans[0]
    return shift


def most_at_once(spans: list[Span], now: float) -> int:
    """Count how many of these were worked on at once; where one ends, the next may begin."""
    edges = [
        edge
        for span in spans
        if span.slot != WAITS
        for edge in ((span.start, 1), (now if span.end is None else span.end, -1))
        if span.end is None or span.end > span.start
    ]
    return max(itertools.accumulate(change for _, change in sorted(edges)), default=0)


def all_spans(history: History) -> list[Span]:
    return [span for lane in history.lanes.values() for span in lane.spans]


@settings(max_examples=100, deadline=None)
@given(shift=shifts(), data=st.data())
def test_a_worker_works_on_no_more_than_it_begins_and_what_it_tells_is_true(
    shift: Shift, data: st.DataObject
) -> None:
    history, told = History(), dict[str, Event]()

    def check(process: tuple[int, int]) -> None:
        spans = [span for span in all_spans(history) if shift.process_of[span.lease_id] == process]
        assert most_at_once(spans, history.last_at) <= process[1]

    for event in shift.events:
        assert isinstance(event, Event)
        history.add([event])
        check(shift.process_of[event.lease_id])
        if event.kind == "complete":
            told[event.lease_id] = event
    for process in set(shift.process_of.values()):
        check(process)
    for span in all_spans(history):
        assert span.lent <= span.start <= (history.last_at if span.end is None else span.end)
        if event := told.get(span.lease_id):
            assert (span.start, span.end, span.outcome) == (event.began, event.ended, "complete")
            assert span.slot != WAITS
        if span.lease_id in shift.never:
            assert span.slot == WAITS
    for lane in history.lanes.values():
        assert lane.working == sum(span.slot != WAITS for span in lane.held.values())
    places = data.draw(st.sets(st.integers(0, len(shift.events))))
    assert state_of(cut(shift.events, places)) == state_of(history)
