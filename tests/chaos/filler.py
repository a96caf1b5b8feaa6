"""Fills the queue while the workers empty it: in bursts, and now and then only when it is empty."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wqlib.queue import WorkQueue

from .diary import Diary, read_diary
from .plan import Plan

SHARE_OF_TIME = 0.8  # of the chaos, during which items are put
_DRAINS = 10  # how often it waits, about
_DRAIN_PATIENCE = 0.03  # how long each time: share of the time of the chaos


def items(plan: Plan) -> Iterator[bytes]:
    """What is put: most short and unlike, some alike, some long or binary, some poison."""
    rng = random.Random(f"{plan.seed}/items")
    yield b""
    for number in range(1, plan.items):
        kind = rng.random()
        if kind < 0.01 or number in (5, 6):
            yield b"poison %d" % number if kind < 0.005 else b"poison"
        elif kind < 0.1:
            yield b"alike %d" % rng.randrange(20)
        elif kind < 0.15:
            yield b"%d %b" % (number, rng.randbytes(rng.randrange(2000)))
        else:
            yield b"item %d" % number


def bursts(plan: Plan) -> float:
    """In how many bursts the items go in, about."""
    return 2 * plan.items / _largest_burst(plan)


def _largest_burst(plan: Plan) -> int:
    return max(6, plan.items // 60)


class Filler:
    """Puts all items of a plan, and creates the file `filled` when they are in.

    It is killed like the workers; its successor goes on from what it wrote in its diary. What a
    call in the middle of which it died came to, the queue knows: the filling has a name.
    """

    def __init__(
        self, queue: WorkQueue, diary: Diary, plan: Plan, rng: random.Random, folder: Path
    ) -> None:
        self.queue, self.diary, self.plan, self.rng = queue, diary, plan, rng
        self._folder = folder

    def run(self) -> None:
        """Put everything."""
        everything = list(items(self.plan))
        first = number = self._number_before()
        started = time.monotonic()
        while number < len(everything):
            end = number + self.rng.randrange(1, _largest_burst(self.plan))
            self._put(number, everything[:end])
            number = min(end, len(everything))
            if self.rng.random() < _DRAINS / bursts(self.plan):
                self._wait_until_drained()
            share = (number - first) / len(everything)
            due = started + share * self.plan.seconds * SHARE_OF_TIME
            time.sleep(max(0.0, due - time.monotonic()))
        (self._folder / "filled").touch()

    def _put(self, first: int, everything: list[bytes]) -> None:
        shown = [item.decode("latin-1") for item in everything[first:]]
        self.diary.call(
            "put", lambda: self.queue.put(everything, resume="chaos"), first=first, items=shown
        )

    def _wait_until_drained(self) -> None:
        give_up_at = time.monotonic() + _DRAIN_PATIENCE * self.plan.seconds
        while time.monotonic() < give_up_at:
            drained, _ = self.diary.call("drained", self.queue.drained)
            if drained:
                return
            time.sleep(0.02)

    def _number_before(self) -> int:
        """How many items those before us put for certain."""
        number = 0
        for path in self._folder.glob("filler.*.diary"):
            asked: dict[str, Any] = {}
            for record in read_diary(path):
                asked = record if "ask" in record else asked
                if asked.get("ask") == "put" and "told" in record and not record["told"]:
                    number = max(number, asked["first"] + len(asked["items"]))
        return number
