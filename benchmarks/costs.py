"""Filling and draining a million items, and what many items, many leases, or replicas cost.

`python -m benchmarks.costs` prints what `replicas=1` costs, which no other figure needs.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

from wqlib.queue import Lease, WorkQueue
from wqlib.redisserver import RedisServer

from .lab import ContenderFailed, Process
from .roster import PROGRAMS

_SLICES = 40
_SLICE_ITEMS = 250


def numbers(count: int) -> Iterator[bytes]:
    """Short items, made one by one."""
    return (b"%d" % number for number in range(count))


def fill(server: RedisServer, items: int) -> float:
    """Seconds to put an iterator of `items` short items into a queue."""
    with WorkQueue("fill", url=server.url) as queue:
        began = time.perf_counter()
        added = queue.put(numbers(items))
        seconds = time.perf_counter() - began
        pending = queue.stats().pending
        queue.clear()
    if added != items or pending != items:
        raise ContenderFailed(f"of {items} items {added} were put and {pending} are pending")
    return seconds


def drain_by_two(server: RedisServer, items: int) -> float:
    """Seconds that two `Worker`s with no options take to drain `items`, once both are ready."""
    with WorkQueue("bench", url=server.url) as queue, ExitStack() as stack:
        queue.clear()
        queue.put(numbers(items))
        command = [sys.executable, str(PROGRAMS / "run_wqlib.py"), server.url, "0", "worker"]
        workers = [stack.enter_context(Process(command)) for _ in range(2)]
        for worker in workers:
            worker.listen()
        began = time.perf_counter()
        for worker in workers:
            worker.tell(items)  # each is willing to do all of them
        for worker in workers:
            worker.listen()
        seconds = time.perf_counter() - began
        ends = [worker.ask("end") for worker in workers]
        done, left = queue.stats().done, sum(end["left"] for end in ends)
        if done != items or left or sum(end["done"] for end in ends) != items:
            raise ContenderFailed(f"of {items} items {done} are done, and {left} are left")
        queue.clear()
        return seconds


class Line:
    """One worker on one queue that drains it in slices.

    Args:
        server: Where the queue is.
        name: Of the queue.
        pending: How many items wait before each slice, at least.
        replicas: How many replicas must have each step.
    """

    def __init__(self, server: RedisServer, name: str, pending: int, replicas: int = 0) -> None:
        self.queue = WorkQueue(name, url=server.url, worker="bench", replicas=replicas)
        self._pending = pending
        self._lease: Lease | None = None
        self.top_up()

    def top_up(self) -> None:
        """Put items until `pending` wait."""
        missing = self._pending - self.queue.stats().pending
        if missing > 0:
            self.queue.put(numbers(missing))

    def slice(self) -> float:
        """Seconds for a slice of `complete_and_lease`."""
        lease = self._lease or self.queue.lease()
        began = time.perf_counter()
        for _ in range(_SLICE_ITEMS):
            if lease is None:
                raise ContenderFailed(f"the queue {self.queue.name} was empty too soon")
            lease = self.queue.complete_and_lease(lease)
        self._lease = lease
        return time.perf_counter() - began

    def close(self) -> None:
        """Take it all away."""
        self.queue.clear()
        self.queue.close()


def rate_ratio(loaded: Line, light: Line, slices: int) -> float:
    """The rate of one over that of the other, slice by slice in turn; the median."""
    ratios = []
    for number in range(slices):
        seconds = {}
        for line in (loaded, light) if number % 2 == 0 else (light, loaded):
            line.top_up()
            seconds[line] = line.slice()
        ratios.append(seconds[light] / seconds[loaded])
    return statistics.median(ratios)


def rate_by_pending(server: RedisServer, many: int, few: int, slices: int = _SLICES) -> float:
    """The rate with `many` items pending over that with `few`."""
    loaded, light = Line(server, "many", many), Line(server, "few", few)
    try:
        return rate_ratio(loaded, light, slices)
    finally:
        loaded.close()
        light.close()


def hold(server: RedisServer, name: str, leases: int, *, until: float | None = None) -> None:
    """Let somebody else hold leases.

    Args:
        until: When they run out, by this machine's clock; None: in an hour.
    """
    with WorkQueue(name, url=server.url, worker="other", lease_seconds=3600) as queue:
        queue.put(numbers(leases))
        while leases:
            if until is not None:
                queue.lease_seconds = max(0.1, until - time.time())
            leases -= len(queue.exchange((), min(500, leases)))


def rate_by_leases(server: RedisServer, many: int, few: int, slices: int = _SLICES) -> float:
    """The rate while others hold `many` leases over that while they hold `few`."""
    hold(server, "many", many)
    hold(server, "few", few)
    loaded, light = Line(server, "many", 5_000), Line(server, "few", 5_000)
    try:
        return rate_ratio(loaded, light, slices)
    finally:
        loaded.close()
        light.close()


def rate_copied(slices: int = _SLICES) -> float:
    """The rate with `replicas=1` over that without, on a server that has a replica."""
    with RedisServer(settings=("repl-diskless-sync-delay 0",)) as server:
        follow = (f"replicaof {server.host} {server.port}", f"masterauth {server.password}")
        with RedisServer(settings=follow):
            with WorkQueue("copied", url=server.url, replicas=1, patience_seconds=60) as queue:
                queue.clear()  # waits until it follows
            copied, plain = Line(server, "copied", 5_000, 1), Line(server, "plain", 5_000)
            try:
                return rate_ratio(copied, plain, slices)
            finally:
                copied.close()
                plain.close()


if __name__ == "__main__":
    print(f"rate with replicas=1 over the rate without: {rate_copied():.2f}")
