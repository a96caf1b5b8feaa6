"""`wqlib queue top job2`: who works on what now, in a terminal.

One line for each item that is worked on, the one that has been worked on longest first: a task that
hangs is at the top.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any, NamedTuple

from ..errors import EXIT_OK
from ..history import History, Lane, Span, words
from ..history.feed import Feed
from ..history.spans import WAITS
from ..queue import WorkQueue
from ..shown import shown, table
from .queuewords import when
from .terminal import Block, Signals, Stopped, size

FRAME_SECONDS = 1.0
RATE_SECONDS = 10.0
_POLLS = 4  # until all that is in the stream now has been read
_LONGEST = 24  # characters of a worker's name, and of a progress
_HEAD = ("WORKER", "FOR", "LEASE LEFT", "ATTEMPT", "A SECOND", "PROGRESS", "ITEM")


class Work(NamedTuple):
    """An item that a worker has.

    Attributes:
        worker: Its name.
        item_id: Number of the item.
        item: Its first bytes, as text.
        attempt: How often it was lent, this time included.
        seconds: For how long it has been worked on; None: it waits in the worker for its turn.
        left_seconds: Until its lease ends, unless it is renewed.
        progress: How far the work is, in the task's words, or "".
        rate: Items that this worker completed a second, lately.
    """

    worker: str
    item_id: int
    item: str
    attempt: int
    seconds: float | None
    left_seconds: float
    progress: str
    rate: float


def run(queue: WorkQueue, *, once: bool, as_json: bool) -> int:
    """Show who works, each second or once.

    Raises:
        QueueError: Redis is away at the start, or refused it.
    """
    queue.stats()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        feed = stack.enter_context(closing(Feed(queue)))
        for _ in range(_POLLS):
            feed.poll()
        if as_json:
            print(json.dumps(facts(queue.name, feed.history, feed.now)))
        elif once or not sys.stdout.isatty():
            print("\n".join(frame(queue.name, feed.history, feed.now)))
        else:
            quits, block = stack.enter_context(_keys()), Block()
            with suppress(Stopped):
                while True:
                    block.show(_fit(queue.name, feed))
                    if quits(FRAME_SECONDS):
                        break
                    feed.poll()
            signals.ignore()
    return EXIT_OK


def works(history: History, now: float) -> list[Work]:
    """Return the items that workers have at a moment, the one worked on longest first."""
    found = []
    for lane in history.lanes.values():
        rate = _rate(lane, now)
        for span in lane.held.values():
            found.append(_work(span, now, rate))
    return sorted(found, key=lambda work: (-(work.seconds or 0.0), work.item_id))


def _work(span: Span, now: float, rate: float) -> Work:
    seconds = None if span.slot == WAITS else max(0.0, now - span.start)
    return Work(
        span.worker, span.item_id, span.item, span.attempt, seconds, span.deadline - now,
        span.progress, rate,
    )  # fmt: skip


def _rate(lane: Lane, now: float) -> float:
    """Return how many items a worker completed a second in the last 10 s.

    An item counts by the part of its time that is in there, and one that is worked on now by how
    far it is if it takes as long as the others did: so a worker seems no faster than it is.
    """
    since, number = now - RATE_SECONDS, 0.0
    for span in lane.spans:
        if span.outcome == "complete" and span.end is not None and span.end > since:
            length = span.end - span.start
            number += span.leases * (min(1.0, (span.end - since) / length) if length else 1.0)
    mean = lane.seconds_sum / lane.items_timed if lane.items_timed else math.inf
    for span in lane.held.values():
        if span.slot != WAITS and not span.orphaned and span.start < now:
            number += (now - max(span.start, since)) / max(mean, now - span.start)
    return number / max(0.5, min(RATE_SECONDS, now - lane.first_at))


def facts(name: str, history: History, now: float) -> dict[str, Any]:
    """Return all of it, for a program."""
    counts, left = history.counts, history.eta(now)
    return {
        "queue": name,
        "at": now,
        "pending": counts.pending,
        "leased": counts.leased,
        "done": counts.done,
        "dead": counts.dead,
        "rate": history.rate(now, RATE_SECONDS),
        "seconds_left": left and left[0],
        "items": [work._asdict() for work in works(history, now)],
    }


def frame(name: str, history: History, now: float, columns: int = 200) -> list[str]:
    """Return all of it as lines of at most so many columns."""
    counts, left = history.counts, history.eta(now)
    numbers = f"{counts.pending:,} pending, {counts.leased:,} leased, {counts.done:,} done, "
    pace = f"{history.rate(now, RATE_SECONDS):,.1f} items a second."
    if left is not None and counts.pending + counts.leased:
        pace += f" About {words.duration(left[0])} left, ± {words.duration(left[1])}."
    lines = [f"Queue {shown(name)} at {when(now)}: {numbers}{counts.dead:,} dead.", pace]
    if rows := _rows(works(history, now)):
        lines += table([_HEAD, *rows])
    idle = sum(not lane.held and now - lane.last_at < 60 for lane in history.lanes.values())
    if idle:
        lines.append(f"{idle:,} more, seen within a minute, hold nothing now.")
    return [line[:columns] for line in lines]


def _rows(found: list[Work]) -> list[tuple[str, ...]]:
    """Return a row for each item that is worked on; the first of a worker speaks for it."""
    waiting = Counter(work.worker for work in found if work.seconds is None)
    known = set[str]()
    rows: list[tuple[str, ...]] = []
    for work in found:
        if work.seconds is None:
            continue
        left = words.duration(work.left_seconds) if work.left_seconds > 0 else "over"
        is_first, more = work.worker not in known, waiting.pop(work.worker, 0)
        known.add(work.worker)
        rows.append(
            (
                shown(work.worker, _LONGEST),
                words.duration(work.seconds),
                left,
                str(work.attempt),
                f"{work.rate:,.1f}" if is_first else "",
                shown(work.progress, _LONGEST),
                (f"(and {more:,} more in hand) " if more else "") + shown(work.item),
            )
        )
    return rows


def _fit(name: str, feed: Feed) -> list[str]:
    """Return what fits into the terminal."""
    columns, lines = size()
    made = frame(name, feed.history, feed.now, columns)
    if feed.trouble:
        made.insert(0, feed.trouble[:columns])
    room = max(3, lines - 1)
    if len(made) <= room:
        return made
    return [*made[: room - 1], f"... and {len(made) - room + 1:,} more lines"[:columns]]


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give a function that waits so many seconds and tells whether q was pressed meanwhile."""
    if not sys.stdin.isatty():
        yield _sleep
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def is_pressed(seconds: float) -> bool:
        if not select.select([keyboard], [], [], seconds)[0]:
            return False
        typed = os.read(keyboard, 64)
        return not typed or typed.lower().startswith(b"q")

    try:
        tty.setcbreak(keyboard)
        yield is_pressed
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
