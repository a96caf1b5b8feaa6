"""Ten thousand odd calls, and items that would like to be more than bytes.

Whatever is asked, the answer is a result or a documented error, and the queue is right
afterwards. `WQLIB_FUZZ_SEED` repeats a run.
"""

from __future__ import annotations

import os
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from conftest import MakeQueue

from wqlib.errors import LeaseLost, WqlibError
from wqlib.queue import WorkQueue
from wqlib.queue.items import Lease

DOCUMENTED = (WqlibError, ValueError, TypeError)
CALLS = 10_000
NAN, INFINITY = float("nan"), float("inf")
FOREVER: list[object] = []
FOREVER.append(FOREVER)


def broken_off() -> Iterator[bytes]:
    yield b"before"
    raise ValueError("the source of the items broke off")


NUMBERS = [0, 1, 2, 3, -1, -500, 501, 2**31, 2**63, -(2**63) - 1, 10**40, True]
NUMBERS += [0.5, -0.0, 1e-9, 1e300, NAN, INFINITY, -INFINITY]  # type: ignore[list-item]
TEXTS = ["", "x", "0", "-1", "a b", "nul\0", "line\nbreak\r\n", "é" * 300, "\ud800", "\x1b[31m"]
TEXTS += ["1-1@A", "$", "(", "%s%n{0}", "']] redis.call('FLUSHALL')", "9" * 400, "NaN"]
BYTES = [b"", b"\0", b"\xff\xfe", b"*1\r\n$4\r\nPING\r\n", bytearray(b"x"), memoryview(b"y")]
OBJECTS = [None, object(), object, datetime(2026, 1, 1), {1, 2}, {"a": {1}}, {b"a": 1}, 1j, len]
OBJECTS += [(), [], {}, [[]], [None], range(3), FOREVER, Lease, [b"a", "b", 3]]
ANYTHING: list[Any] = [*NUMBERS, *TEXTS, *BYTES, *OBJECTS]


class Fuzzer:
    """Makes random calls on a few queues of one name.

    Args:
        queues: The queues.
        seed: What the randomness comes from.
    """

    def __init__(self, queues: list[WorkQueue], seed: int) -> None:
        self.queues = queues
        self.dice = random.Random(seed)
        self.leases: list[Lease] = []
        self.outcomes: Counter[str] = Counter()
        self.undocumented: dict[str, str] = {}

    def step(self) -> None:
        """One random call."""
        queue = self.dice.choice(self.queues)
        name = self.dice.choices(list(MAKERS), weights=[w for w, _ in MAKERS.values()])[0]
        arguments, options = MAKERS[name][1](self)
        try:
            answer = getattr(queue, name)(*arguments, **options)
            self.keep(answer)
            self.outcomes["answers"] += 1
        except LeaseLost:
            self.outcomes["lost"] += 1
        except DOCUMENTED:
            self.outcomes["errors"] += 1
        except Exception as error:
            told = f"{name} raises {type(error).__name__}"
            self.undocumented[told] = f"{name}(*{arguments!r}, **{options!r}): {error!r}"[:500]
            self.undocumented[told] += "\n" + "".join(traceback.format_exc()[-600:])

    def keep(self, answer: object) -> None:
        """Remember the leases that came back, to be used and misused later."""
        some = answer if isinstance(answer, list) else [answer]
        self.leases += [lease for lease in some if isinstance(lease, Lease)]
        del self.leases[:-50]

    def maybe(self, some: list[Any]) -> Any:
        """Something of `some`, and sometimes anything."""
        return self.dice.choice(some if self.dice.random() < 0.7 else ANYTHING)

    def lease(self) -> Any:
        if self.leases and self.dice.random() < 0.6:
            return self.dice.choice(self.leases)
        if self.dice.random() < 0.5:
            return Lease(self.maybe(TEXTS), self.maybe(BYTES), self.maybe(NUMBERS))
        return self.dice.choice(ANYTHING)

    def some_leases(self) -> Any:
        if self.dice.random() < 0.1:
            return self.dice.choice(ANYTHING)
        return [self.lease() for _ in range(self.dice.randrange(4))]

    def done(self) -> Any:
        if self.dice.random() < 0.1:
            return self.dice.choice(ANYTHING)
        return [
            (self.lease(), self.maybe([None, b"", "ok"])) for _ in range(self.dice.randrange(4))
        ]

    def items(self) -> Any:
        dice = self.dice
        if dice.random() < 0.1:
            return broken_off()
        if dice.random() < 0.5:
            return [dice.choice([*TEXTS[:6], *BYTES]) for _ in range(dice.randrange(5))]
        if dice.random() < 0.3:
            return [dice.choice(ANYTHING) for _ in range(dice.randrange(3))]
        return dice.choice(ANYTHING)

    def waiting(self) -> dict[str, Any]:
        if self.dice.random() < 0.7:
            return {}
        wait = self.dice.choice([0, 0.0, -1, -INFINITY, 0.001, None, "x", b"", object(), 1j])
        return {"wait_seconds": wait, "until_drained": self.dice.choice(ANYTHING)}


# How often each method is called, and with what.
MAKERS: dict[str, tuple[int, Callable[[Fuzzer], tuple[tuple[Any, ...], dict[str, Any]]]]] = {
    "put": (
        12,
        lambda f: ((f.items(),), f.dice.choice([{}, {}, {"resume": f.dice.choice(TEXTS)}])),
    ),
    "lease": (12, lambda f: ((), f.waiting())),
    "complete": (8, lambda f: ((f.lease(), f.maybe([None, b"", "ok"])), {})),
    "complete_and_lease": (8, lambda f: ((f.lease(), f.maybe([None, "ok"])), f.waiting())),
    "exchange": (12, lambda f: ((f.done(), f.maybe([0, 1, 2, 5])), f.waiting())),
    "renew": (6, lambda f: ((f.lease(), f.maybe([None, 1, 60])), {})),
    "renew_all": (6, lambda f: ((f.some_leases(), f.maybe([None, 1, 60])), {})),
    "release": (6, lambda f: ((f.lease(), f.maybe(TEXTS)), {})),
    "release_all": (6, lambda f: ((f.some_leases(), f.maybe(TEXTS)), {})),
    "fail": (6, lambda f: ((f.lease(), f.maybe(TEXTS)), {})),
    "requeue_dead": (4, lambda f: ((f.maybe([None, [], [1, 2], [f.maybe(["1"])]]),), {})),
    "drop_dead": (1, lambda f: ((f.maybe([[], [1, 2], [f.maybe(["1"])]]),), {})),
    "item": (1, lambda f: ((f.maybe([1, 2, "1", 10**30]),), {})),
    "foreign": (1, lambda f: ((), {})),
    "peek": (2, lambda f: ((f.maybe([0, 1, 5]),), {})),
    "events": (2, lambda f: ((f.maybe(["0", "1-1"]),), {"limit": f.maybe([1, 10])})),
    "results": (1, lambda f: ((), {})),
    "dead_items": (1, lambda f: ((), {})),
    "snapshot": (2, lambda f: ((f.maybe([0, 10]),), {})),
    "stats": (1, lambda f: ((), {})),
    "drained": (1, lambda f: ((), {})),
}


def everything_is_there(queue: WorkQueue) -> None:
    """Each item that was put is in one place, and the places agree with each other."""
    stats = queue.stats()
    assert stats.pending + stats.leased + stats.done + stats.dead + stats.dropped == stats.put
    assert len(queue.peek(10**6)) == stats.pending
    assert len(queue.dead_items()) == stats.dead
    leases = queue._store.link.command("ZRANGE", f"{{{queue.name}}}:leases", 0, -1)
    leased = queue._store.link.command("HKEYS", f"{{{queue.name}}}:leased")
    assert sorted(leases) == sorted(leased)
    assert len(leases) == stats.leased


def test_odd_calls_get_answers_or_documented_errors(make_queue: MakeQueue) -> None:
    seed = int(os.environ.get("WQLIB_FUZZ_SEED") or random.randrange(2**32))
    print(f"WQLIB_FUZZ_SEED={seed}")
    queues = [make_queue(f"worker-{n}", max_attempts=n or None) for n in range(4)]
    fuzzer = Fuzzer(queues, seed)
    for number in range(CALLS):
        fuzzer.step()
        if number % 500 == 0:
            everything_is_there(queues[0])
    print(dict(fuzzer.outcomes))
    assert not fuzzer.undocumented, "\n\n".join(
        f"{what}\n{how}" for what, how in fuzzer.undocumented.items()
    )
    assert min(fuzzer.outcomes[what] for what in ("answers", "lost", "errors")) > CALLS / 50
    everything_is_there(queues[0])
    sane = make_queue("sane", max_attempts=None)
    lease = sane.lease()
    while lease:
        lease = sane.complete_and_lease(lease)
    everything_is_there(sane)
    assert sane.stats().pending == 0
