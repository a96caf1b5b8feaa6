"""How fast one worker drains a queue of no-op items, beside the floor and the page's client.

    python benchmarks/queue.py [--items 20000] [--repeats 5] [--json] [--quick]

All contenders run in turn, in one process, against one redis-server of our own, and that
several times over; the medians are printed. Machines are noisy: the ratios are what matters.

- *floor*: one EVALSHA of `return 1` an item through redis-py. No queue on Redis that asks the
  server once an item can be faster with that client.
- *the page's client*: the sequence of commands of the client on the Kubernetes page "Fine
  Parallel Processing Using a Work Queue", written anew. It does not survive a killed worker.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys

# This file has the name of a module of the standard library, and must not stand in its way.
sys.path[:] = [folder for folder in sys.path if not folder.endswith("benchmarks")]

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable

import redis

from wqlib import WorkQueue
from wqlib.redisserver import RedisServer

Contender = Callable[[RedisServer, int], int]


def floor(server: RedisServer, items: int) -> int:
    """Nothing but round trips."""
    with redis.Redis.from_url(server.url) as client:
        digest = client.script_load("return 1")
        for _ in range(items):
            client.evalsha(digest, 0)
    return items


def wqlib(batch: int) -> Contender:
    """Our queue, `batch` items at a time."""

    def drain(server: RedisServer, items: int) -> int:
        with WorkQueue("bench", url=server.url) as queue:
            leases = queue.exchange((), batch)
            while leases:
                leases = queue.exchange([(lease, None) for lease in leases], batch)
            return queue.stats().done

    return drain


def page(server: RedisServer, items: int) -> int:
    """The commands of the Kubernetes page's client: empty, lease and complete."""
    done = 0
    with redis.Redis.from_url(server.url) as client:
        while client.llen("bench") or client.llen("bench:processing"):
            item = client.rpoplpush("bench", "bench:processing")
            key = "bench:leased:" + hashlib.sha224(item).hexdigest()
            client.set(key, "session", ex=60)
            client.lrem("bench:processing", 0, item)
            client.delete(key)
            done += 1
    return done


CONTENDERS: dict[str, Contender] = {
    "floor: redis-py EVALSHA": floor,
    "the page's client": page,
    "wqlib": wqlib(1),
    "wqlib, batch of 16": wqlib(16),
    "wqlib, batch of 64": wqlib(64),
}


def measure(server: RedisServer, contender: Contender, items: int) -> tuple[float, float]:
    """One run.

    Returns:
        Items a second, and commands that the server got for each item (those that it runs
        within a script not counted).
    """
    with WorkQueue("bench", url=server.url) as queue, redis.Redis.from_url(server.url) as client:
        queue.clear()
        queue.put(b"%d" % number for number in range(items))
        client.config_resetstat()
        began = time.perf_counter()
        done = contender(server, items)
        seconds = time.perf_counter() - began
        assert done == items, f"{done} of {items} were done"
        stats = client.info("commandstats")
        scripts = stats.get("cmdstat_evalsha", {}).get("calls", 0)
        direct = ("llen", "rpoplpush", "set", "lrem", "del")
        calls = scripts or sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in direct)
    return items / seconds, calls / items


def run(items: int, repeats: int) -> dict[str, dict[str, float]]:
    """All contenders in turn, `repeats` times; medians by contender."""
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    trips: dict[str, float] = {}
    with RedisServer() as server:
        for _ in range(repeats):
            for name, contender in CONTENDERS.items():
                rate, trips[name] = measure(server, contender, items)
                rates[name].append(rate)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        name: {
            "items_per_second": round(median),
            "ratio_to_floor": round(median / medians["floor: redis-py EVALSHA"], 3),
            "ratio_to_page": round(median / medians["the page's client"], 2),
            "round_trips_per_item": round(trips[name], 3),
        }
        for name, median in medians.items()
    }


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="3 repeats of 5,000 items")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    items, repeats = (5_000, 3) if options.quick else (options.items, options.repeats)
    rows = run(items, repeats)
    if options.json:
        print(json.dumps({"items": items, "repeats": repeats, "contenders": rows}))
        return
    print(f"{'':26}{'items/s':>10}{'to floor':>10}{'to page':>9}{'trips/item':>12}")
    for name, row in rows.items():
        print(
            f"{name:26}{row['items_per_second']:>10,}{row['ratio_to_floor']:>10.2f}"
            f"{row['ratio_to_page']:>9.1f}{row['round_trips_per_item']:>12.3f}"
        )


if __name__ == "__main__":
    main()
