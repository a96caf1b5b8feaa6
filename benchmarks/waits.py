"""How long somebody waits: for a pushed item, for a dead worker's item, while leases expire."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from wqlib import WorkQueue
from wqlib.redisserver import RedisServer

from .costs import hold, numbers
from .lab import ContenderFailed, Process
from .roster import PROGRAMS


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# -- a pushed item


def pick_up(server: RedisServer, samples: int) -> list[float]:
    """Milliseconds from before a plain RPUSH by redis-py until a waiting worker has the lease.

    The worker is a process of its own; the clock is the machine's monotonic one.
    """
    found = []
    with redis.Redis.from_url(server.url) as client, _waiter(server, "pick up") as waiter:
        for number in range(samples):
            time.sleep(random.uniform(0.003, 0.006))  # it waits again by then
            pushed_at = time.monotonic()
            client.rpush("pick up", number)
            found.append((waiter.listen()["at"] - pushed_at) * 1000)
    with WorkQueue("pick up", url=server.url) as queue:
        queue.clear()
    return found


def _waiter(server: RedisServer, name: str) -> Process:
    process = Process([sys.executable, str(PROGRAMS / "run_waiter.py"), server.url, name, "wait"])
    process.listen()
    return process


# -- a dead worker's item


@dataclass(frozen=True)
class Recovery:
    """What came of killing a worker.

    Attributes:
        seconds: From its SIGKILL until a survivor had its item.
        exit_seconds: From then until the survivor, having found the queue drained, was gone.
    """

    seconds: float
    exit_seconds: float


def recover(server: RedisServer, lease_seconds: float) -> Recovery:
    """Kill a worker that holds an item, beside one that waits.

    Raises:
        ContenderFailed: The item did not come back, or the survivor did not end with 0.
    """
    command = [sys.executable, str(PROGRAMS / "run_waiter.py"), server.url, "recovery"]
    with WorkQueue("recovery", url=server.url) as queue:
        queue.clear()
        queue.put("item")
        with (
            Process([*command, f"hold {lease_seconds}"]) as victim,
            Process([*command, f"work {lease_seconds}"], patience_seconds=30) as survivor,
        ):
            victim.listen()
            victim.tell("go")
            victim.listen()  # it has the item
            survivor.listen()
            survivor.tell("go")
            # It renews all along; kill it at any phase of that.
            time.sleep(lease_seconds * random.uniform(1.0, 1.5))
            killed_at = time.monotonic()
            victim.kill()
            had_at = survivor.listen()["at"]
            code = survivor.wait(10)
            ended_at = time.monotonic()
        done = queue.stats().done
        queue.clear()
    if code != 0 or done != 1:
        raise ContenderFailed(f"the survivor ended with {code}, {done} of 1 items done")
    return Recovery(had_at - killed_at, ended_at - had_at)


# -- many leases that expire at once


@dataclass(frozen=True)
class Stall:
    """A worker's calls (`complete_and_lease`) before and while many leases of others expire.

    Attributes:
        before_ms: How long each took before.
        during_ms: How long each took from the deadline until all had been taken back.
        seconds: How long it took until all had been taken back.
    """

    before_ms: list[float]
    during_ms: list[float]
    seconds: float

    @property
    def ratio(self) -> float:
        """The slowest 1 % while they expire, over the median call of that time."""
        return percentile(self.during_ms, 0.99) / statistics.median(self.during_ms)

    def figures(self) -> dict[str, float]:
        """All that is worth knowing, in milliseconds."""
        return {
            "before_p50_ms": round(statistics.median(self.before_ms), 3),
            "before_p99_ms": round(percentile(self.before_ms, 0.99), 3),
            "before_largest_ms": round(max(self.before_ms), 3),
            "during_p50_ms": round(statistics.median(self.during_ms), 3),
            "during_p99_ms": round(percentile(self.during_ms, 0.99), 3),
            "during_largest_ms": round(max(self.during_ms), 3),
            "calls": len(self.during_ms),
            "seconds": round(self.seconds, 2),
        }


def expire_at_once(server: RedisServer, leases: int) -> Stall:
    """Let `leases` leases of others run out at one moment while a worker works on.

    Raises:
        ContenderFailed: They were not all taken back within a minute.
    """
    name = "expiry"
    deadline = time.time() + 2 + leases / 20_000  # time enough to lend them all
    hold(server, name, leases, until=deadline)
    before: list[float] = []
    during: list[float] = []
    with WorkQueue(name, url=server.url, worker="bench", max_attempts=None) as queue:
        queue.put(numbers(leases + 50_000))  # more than it can do until all are taken back
        lease = queue.lease()
        time.sleep(max(0.0, deadline - 0.5 - time.time()))
        give_up_at = time.monotonic() + 60
        while queue.stats().expired < leases:
            if time.monotonic() > give_up_at:
                raise ContenderFailed(f"{leases} expired leases were not taken back in a minute")
            for _ in range(200):
                if lease is None:
                    raise ContenderFailed("the queue was empty too soon")
                at = time.time()
                began = time.perf_counter()
                lease = queue.complete_and_lease(lease)
                (before if at < deadline else during).append((time.perf_counter() - began) * 1000)
        seconds = time.time() - deadline
        queue.clear()
    if not before:
        raise ContenderFailed("the leases were lent too late; the machine is too busy")
    return Stall(before, during, seconds)
