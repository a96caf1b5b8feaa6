"""The library's own worker, and a diary of what it asks, is told and works on."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wqlib.errors import EXIT_OK, QueueError
from wqlib.queue import WorkQueue
from wqlib.queue.items import Lease
from wqlib.queue.workqueue import Completion
from wqlib.worker import loop

from .diary import EXIT_GONE, Diary
from .plan import Plan

# What a worker of each role is like. (One with a time limit for its items works in threads.)
ROLES: dict[str, dict[str, Any]] = {
    "auto": {},
    "threads": {"concurrency": 4},
    "async": {"concurrency": 4},
}
_WORK_SECONDS = 0.003
_LONG_SHARE = 0.03
_LONG = (0.02, 0.3)  # of the time limit; a long item stands behind short ones
_HANGING = 4.0  # times the time limit


class NotedQueue(WorkQueue):
    """A queue whose calls a diary knows.

    Attributes:
        diary: The diary; copies of the queue write into the same.
    """

    diary: Diary

    def exchange(self, done: Sequence[Completion], count: int, **options: Any) -> list[Lease]:
        asked: dict[str, Any] = {"ends": {one[0].id: one[1] for one in done}}
        if count:
            asked["wants"] = count
            self.diary.looks_for_the_end()
        return self.diary.note(
            "complete" if done else "lease",
            lambda: super(NotedQueue, self).exchange(done, count, **options),
            **asked,
        )

    def drained(self) -> bool:
        return self.diary.note("drained", super().drained)

    def renew_all(self, leases: Sequence[Lease], *arguments: Any, **options: Any) -> list[Lease]:
        return self.diary.note(
            "renew",
            lambda: super(NotedQueue, self).renew_all(leases, *arguments, **options),
            renews=[lease.id for lease in leases],
        )

    def release_all(self, leases: Sequence[Lease], reason: str = "") -> None:
        self.diary.note(
            "release",
            lambda: super(NotedQueue, self).release_all(leases, reason),
            ends={lease.id: None for lease in leases},
        )

    def fail(self, lease: Lease, error: str = "") -> bool:
        return self.diary.note(
            "fail", lambda: super(NotedQueue, self).fail(lease, error), ends={lease.id: None}
        )


class Tasks:
    """What the workers do: mostly little, now and then long, and sometimes without an end.

    Args:
        diary: Gets a line when the work on an item begins and when it ends, with the name of the
            run, which is also the item's result.
        plan: What the run is like.
        rng: Decides how long an item takes.
        maybe_die: Called between the end of an item and its record, with the name of that point.
        calm: The file that appears when the chaos is over.
        may_hang: Some items take longer than is allowed.
    """

    def __init__(
        self,
        diary: Diary,
        plan: Plan,
        rng: random.Random,
        maybe_die: Callable[[str], None],
        calm: Path,
        *,
        may_hang: bool,
    ) -> None:
        self._diary, self._plan, self._rng, self._calm = diary, plan, rng, calm
        self._may_hang = may_hang
        self._maybe_die = maybe_die
        self._numbers = itertools.count(1)

    def work(self, item: bytes) -> str:
        """Work on an item."""
        run, seconds = self._begin(item)
        time.sleep(seconds)
        return self._end(run)

    async def work_async(self, item: bytes) -> str:
        """The same on an event loop."""
        run, seconds = self._begin(item)
        await asyncio.sleep(seconds)
        return self._end(run)

    def _begin(self, item: bytes) -> tuple[str, float]:
        run = f"{self._diary.who}/{next(self._numbers)}"
        self._diary.write(begins=run, item=item.decode("latin-1"))
        if item.startswith(b"poison"):
            raise ValueError("bad")
        if self._may_hang and self._rng.random() < self._plan.hang and not self._calm.exists():
            return run, _HANGING * self._plan.work_seconds
        if self._rng.random() < _LONG_SHARE:
            return run, self._rng.uniform(*_LONG) * self._plan.work_seconds
        return run, self._rng.uniform(0, _WORK_SECONDS)

    def _end(self, run: str) -> str:
        self._diary.write(ends=run)
        self._maybe_die("ended")
        return run


def work(queue: NotedQueue, tasks: Tasks, role: str, plan: Plan, folder: Path) -> None:
    """Work until the queue has drained after the filling was over.

    Raises:
        SystemExit: The worker ended before, e.g. by SIGTERM.
    """
    filled = folder / "filled"
    while True:
        is_filled = filled.exists()
        worker = loop.Worker(
            queue,
            tasks.work_async if role == "async" else tasks.work,
            item_seconds=None if role == "auto" else plan.work_seconds,
            grace_seconds=plan.lease_seconds / 2,
            **ROLES[role],
        )
        try:
            code = worker.run()
        except QueueError:  # what the diary knows of already
            raise SystemExit(EXIT_GONE) from None
        if code != EXIT_OK:
            raise SystemExit(code)
        queue.diary.found_the_end()
        if is_filled:
            return
        time.sleep(0.02)
