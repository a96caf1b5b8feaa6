"""A worker written by hand, which does all that the queue allows, and some of it too late."""

from __future__ import annotations

import random
import time
from pathlib import Path

from wqlib.queue import WorkQueue
from wqlib.queue.items import Lease

from .diary import Diary
from .plan import Plan

WAIT_SECONDS = 300.0
_WORK_SECONDS = 0.003
_TOO_LATE = 1.5  # times the lease: what a worker that dawdles takes for an item

_RELEASE_CHANCE = 0.03
_RENEW_CHANCE = {False: 0.05, True: 0.4}  # in time; too late


class Worker:
    """Works until it is told that the queue has drained after the filling was over.

    Args:
        queue: The queue.
        diary: Where it writes down what it asks and is told.
        plan: What the run is like.
        rng: Decides what it does.
        batch: How many items it leases at a time.
        folder: Where the files `filled` and `calm` appear when the filling, or the chaos, is over.
    """

    def __init__(
        self,
        queue: WorkQueue,
        diary: Diary,
        plan: Plan,
        rng: random.Random,
        batch: int,
        folder: Path,
    ) -> None:
        self.queue, self.diary, self.plan, self.rng = queue, diary, plan, rng
        self.batch = batch
        self._filled, self._calm = folder / "filled", folder / "calm"

    def run(self) -> None:
        """Work until the end."""
        done: list[tuple[Lease, str | None]] = []
        while True:
            is_filled = self._filled.exists()
            leases = self._trade(done)
            done = []
            if leases == []:
                if is_filled:
                    return
                time.sleep(0.02)
            for lease in leases or ():
                done += self._work(lease)

    def _trade(self, done: list[tuple[Lease, str | None]]) -> list[Lease] | None:
        """Complete what is done and lease more. None: a lease was lost, so nothing was lent."""
        if done and self.rng.random() < 0.2:  # in two calls for once
            self._complete(done)
            done = []
        asked = {"ends": {lease.id: result for lease, result in done}, "wants": self.batch}
        asked["waits"] = True
        what = "complete" if done else "lease"
        started = time.monotonic()
        answer, lost = self.diary.call(what, lambda: self._ask(done), **asked)
        if time.monotonic() - started > WAIT_SECONDS - 1:
            raise SystemExit("Waited for ever.")
        return None if lost else answer

    def _ask(self, done: list[tuple[Lease, str | None]]) -> list[Lease]:
        if self.batch > 1 or len(done) > 1:
            return self.queue.exchange(done, self.batch, wait_seconds=WAIT_SECONDS)
        if done:
            lease = self.queue.complete_and_lease(*done[0], wait_seconds=WAIT_SECONDS)
        else:
            lease = self.queue.lease(wait_seconds=WAIT_SECONDS)
        return [lease] if lease else []

    def _complete(self, done: list[tuple[Lease, str | None]]) -> None:
        if len(done) == 1:
            lease, result = done[0]
            self.diary.call(
                "complete", lambda: self.queue.complete(lease, result), ends={lease.id: result}
            )
        else:
            self.diary.call(
                "complete",
                lambda: None if self.queue.exchange(done, 0) == [] else "leases without asking",
                ends={lease.id: result for lease, result in done},
            )

    def _work(self, lease: Lease) -> list[tuple[Lease, str | None]]:
        """Work on an item; returns it with its result, or nothing if it is not to complete."""
        time.sleep(self.rng.uniform(0, _WORK_SECONDS))
        is_late = self.rng.random() < self.plan.dawdle and not self._calm.exists()
        if is_late:
            time.sleep(self.plan.lease_seconds * _TOO_LATE)
        if self.rng.random() < _RENEW_CHANCE[is_late]:
            answer, lost = self.diary.call("renew", lambda: self.queue.renew(lease))
            if lost or answer is None:
                return []
            lease = answer
        if lease.item.startswith(b"poison"):
            self.diary.call("fail", lambda: self.queue.fail(lease, "bad"), ends={lease.id: None})
            return []
        if self.rng.random() < _RELEASE_CHANCE:
            self.diary.call(
                "release", lambda: self.queue.release(lease, "later"), ends={lease.id: None}
            )
            return []
        return [(lease, None if self.rng.random() < 0.2 else f"done by {lease.id}")]
