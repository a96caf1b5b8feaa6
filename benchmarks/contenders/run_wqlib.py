"""wqlib's queue, by its public names only.

Settings:

- `single`: `lease` once, then `complete_and_lease` until there is nothing more;
- `exchange N`: `exchange` with N items at a time;
- `worker`: the real `Worker` with no options, its renewing thread and its log (to /dev/null)
  included;
- `threads AT_ONCE WAIT_MS`, `async AT_ONCE WAIT_MS`: `Worker(concurrency=AT_ONCE)` with a task that
  waits, as a function in threads or `async def`.

All else is as a user finds it: leases of 30 s, five attempts, an event for every step.
"""

from __future__ import annotations

import sys
from typing import Any

from protocol import Stopwatch, Talk, say_the_end, serve

from wqlib.queue import Lease, WorkQueue
from wqlib.worker import Worker

NAME = "bench"


class Single:
    """One item at a time."""

    def __init__(self, url: str) -> None:
        self.seen: list[Any] = []
        self.queue = WorkQueue(NAME, url=url, worker="bench")
        self._lease: Lease | None = None

    def fill(self, items: int) -> None:
        if items:
            self.queue.put(b"%d" % number for number in range(items))

    def drain(self, items: int) -> None:
        queue, seen = self.queue, self.seen
        lease = self._lease or queue.lease()
        while lease and items:
            seen.append(lease.item)
            items -= 1
            lease = queue.complete_and_lease(lease)
        self._lease = lease

    def left(self) -> int:
        stats = self.queue.stats()
        return stats.pending + stats.leased


class Exchange(Single):
    """Several items at a time."""

    def __init__(self, url: str, batch: int) -> None:
        super().__init__(url)
        self._batch = batch
        self._leases: list[Lease] = []

    def drain(self, items: int) -> None:
        queue, batch, seen = self.queue, self._batch, self.seen
        leases = self._leases or queue.exchange((), batch)
        while leases and items > 0:
            items -= len(leases)
            for lease in leases:
                seen.append(lease.item)
            leases = queue.exchange([(lease, None) for lease in leases], batch)
        self._leases = leases


def work(url: str, items: int, kind: str, at_once: int, wait_ms: int) -> None:
    """Let a `Worker` drain the queue."""
    talk = Talk()
    single = Single(url)
    single.fill(items)
    talk.say(filled=items)
    watch = Stopwatch(int(talk.hear()), wait_ms, lambda: None)
    if kind == "worker":
        worker = Worker(single.queue, watch.note)
    else:
        task = watch.wait_async if kind == "async" else watch.wait
        worker = Worker(single.queue, task, concurrency=at_once)
    code = worker.run()
    if code != 0:
        raise RuntimeError(f"The worker ended with {code}.")
    talk.say(**watch.answer())
    talk.hear()
    say_the_end(talk, watch.seen, single.left())


def make(url: str, setting: str) -> Single:
    kind, *batch = setting.split()
    return Exchange(url, int(batch[0])) if kind == "exchange" else Single(url)


if __name__ == "__main__":
    kind, *numbers = sys.argv[3].split()
    if kind in ("single", "exchange"):
        serve(make)
    else:
        at_once, wait_ms = map(int, numbers or ("1", "0"))
        work(sys.argv[1], int(sys.argv[2]), kind, at_once, wait_ms)
