"""Random runs of a real queue, folded: however they are cut, the counts are the queue's own."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from conftest import MakeQueue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_history import cut, state_of
from test_history_of_work import most_at_once

from wqlib.errors import LeaseLost
from wqlib.events import Event
from wqlib.history.spans import WAITS
from wqlib.queue import WorkQueue
from wqlib.queue.items import Lease
from wqlib.worker import Worker, progress

COUNTED = ("put", "done", "pending", "leased", "dead", "expired", "released", "failed")
STEPS = (
    "put",
    "lease",
    "batch",
    "trade",
    "renew",
    "complete",
    "release",
    "fail",
    "sleep",
    "revive",
)

_numbers = itertools.count(1)


def play(queues: list[WorkQueue], steps: list[tuple[int, str]]) -> None:
    """Two workers do these things; what they no longer hold they find out by trying."""
    held: list[list[Lease]] = [[], []]
    for who, step in steps:
        queue, mine = queues[who], held[who]
        if step == "put":
            queue.put([f"item {next(_numbers)}" for _ in range(4)])
        elif step == "lease" and (lease := queue.lease()):
            mine.append(lease)
        elif step == "batch":
            mine += queue.exchange((), 3)
        elif step == "sleep":
            time.sleep(0.025)
        elif step == "revive":
            queue.requeue_dead()
        elif mine:
            _try(queue, step, mine)


def _try(queue: WorkQueue, step: str, mine: list[Lease]) -> None:
    lease = mine.pop(0)
    try:
        if step == "trade":
            mine += [new for new in [queue.complete_and_lease(lease)] if new]
        elif step == "renew":
            mine.append(queue.renew(lease))
        elif step == "complete":
            queue.complete(lease)
        elif step == "release":
            queue.release(lease, "gave it back")
        elif step == "fail":
            queue.fail(lease, "boom")
    except LeaseLost:
        return


def all_events(queue: WorkQueue) -> list[Event]:
    return queue.events("0", limit=100_000)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(STEPS)), min_size=5, max_size=80),
    data=st.data(),
)
def test_any_cut_of_a_real_run_gives_the_counts_of_the_queue(
    make_queue: MakeQueue, steps: list[tuple[int, str]], data: st.DataObject
) -> None:
    name = f"run {next(_numbers)}"
    options: dict[str, Any] = {"name": name, "lease_seconds": 0.05, "max_attempts": 2}
    queues = [make_queue(worker, **options) for worker in ("pod-a", "pod-b")]
    try:
        queues[0].put(["first", "second", "third"])
        play(queues, steps)
        events, stats = all_events(queues[0]), queues[0].stats()
        places = data.draw(st.sets(st.integers(0, len(events)), max_size=20))
        history = cut(list(events), places)
        told = {name: getattr(history.counts, name) for name in COUNTED}
        assert told == {name: getattr(stats, name) for name in COUNTED}
        assert state_of(history) == state_of(cut(list(events), []))
        lanes = history.lanes.values()
        assert sum(lane.done for lane in lanes) == stats.done
        assert sum(len(lane.held) for lane in lanes) == stats.leased
    finally:
        for queue in queues:
            queue.clear()
            queue.close()


@pytest.mark.parametrize(
    ("batch", "concurrency"), [("auto", 1), (16, 1), (8, 3), ("auto", 40)], ids=str
)
def test_what_real_workers_do_is_shown_when_they_do_it(
    make_queue: MakeQueue, batch: Any, concurrency: int
) -> None:
    worked: list[tuple[float, float]] = []
    queue = make_queue("pod-a", name=f"work {next(_numbers)}")

    def process(item: bytes) -> None:
        began = time.monotonic()
        time.sleep(float(item))
        progress("slept")
        worked.append((began, time.monotonic()))
        if item.endswith(b"7"):
            raise ValueError("boom")

    lengths = [0.001, 0.03, 0.002, 0.017, 0.12] * 12
    queue.put([str(seconds) for seconds in lengths])
    worker = Worker(queue, process, batch=batch, concurrency=concurrency, say=lambda *_, **__: None)
    assert worker.run() == 0
    history = cut(list(all_events(queue)), [])
    (lane,) = history.lanes.values()
    ended = [span for span in lane.spans if span.outcome in ("complete", "fail", "dead")]
    assert len(ended) == len(worked)
    assert all(span.slot != WAITS for span in ended)
    assert lane.most <= concurrency
    shown = sum(span.end - span.start for span in ended if span.end)
    in_tasks = sum(end - began for began, end in worked)
    # A busy machine takes its time between a task and its worker; their leases last far longer.
    assert in_tasks - 0.2 < shown < 3 * in_tasks + 1
    assert most_at_once([s for s in ended if s.outcome == "complete"], 0.0) <= concurrency + 1
    assert lane.working == history.counts.leased == 0
