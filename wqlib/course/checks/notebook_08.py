"""The checks of notebook 08, Real work."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from typing import Any

from ...events import Event, EventKind
from .answers import Answers, Wrong
from .exercise import exercise

# The product of any two is too large for a loop that tries every number below it.
_LARGE_PRIMES = (104_729, 224_737, 350_377, 479_909, 611_953)
HINTS = {
    "done": "Count each item once, and only `complete` events: `event.item_id` tells the item.",
    "lost": "An item whose lease ran out is not lost, if another worker completed it later.",
    "twice": "Count the `complete` events of each item. A second lease alone does no harm.",
}


@exercise("08-1", "Write the task")
def factorise(answers: Answers) -> str:
    """Try `factors`: from the digits of a number, as bytes, to its prime factors, as text."""
    numbers = [12, 97, 2**20, 49, 2 * 3 * 5 * 7 * 11, 3 * 104_729]
    numbers += [random.randint(2, 5000) for _ in range(30)]
    numbers.append(math.prod(random.sample(_LARGE_PRIMES, 2)))
    for number in numbers:
        item = str(number).encode()
        found = answers.call("factors", item, seconds=4)
        said = f"`factors({item!r})` gave {found!r:.60}"
        if type(found) is bytes:
            found = found.decode("utf-8", "replace")
        if type(found) is not str:
            raise Wrong(f"{said}. Return a text, as in '2 2 3': a result is a text or bytes.")
        words = found.split()
        if not all(word.isascii() and word.isdigit() for word in words):
            raise Wrong(f"{said}. Put nothing but the factors and blanks into the text.")
        factors = [int(word) for word in words]
        if math.prod(factors) != number:
            raise Wrong(
                f"{said}. Multiplied, that makes {math.prod(factors)}. A factor can come more "
                "than once, and what is left at the end is a factor too."
            )
        composite = [one for one in factors if not _is_prime(one)]
        if composite:
            raise Wrong(f"{said}, and {composite[0]} is no prime. Go on dividing.")
        if factors != sorted(factors):
            raise Wrong(f"{said}. The smallest come first.")
    return "the factors are primes, and their product is the number. Anybody can check that."


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


@exercise("08-2", "Cut the work into items")
def tiles(answers: Answers) -> str:
    """Try `tiles`: from the picture's size and the tiles' to a list of x, y, width, height."""
    cases = [(6, 4, 2), (7, 5, 3), (3, 3, 10)]
    cases += [
        (random.randint(1, 70), random.randint(1, 70), random.randint(1, 25)) for _ in range(20)
    ]
    for width, height, size in cases:
        found = answers.call("tiles", width, height, size)
        said = f"`tiles({width}, {height}, {size})`"
        _check_tiles(found, said, width, height, size)
    return "every pixel lies in exactly one tile, whatever the sizes."


def _check_tiles(found: Any, said: str, width: int, height: int, size: int) -> None:
    if type(found) is not list or not all(
        type(tile) in (tuple, list) and [type(part) for part in tile] == [int] * 4 for tile in found
    ):
        raise Wrong(
            f"{said} should give a list of (x, y, width, height), all whole numbers, and gave "
            f"{found!r:.80}."
        )
    covered = Counter[tuple[int, int]]()
    for tile in found:
        x, y, wide, high = tile
        if not (x >= 0 and y >= 0 and wide > 0 and high > 0):
            raise Wrong(f"{said} has a tile {tile}. Corners are 0 or more, sizes 1 or more.")
        if x + wide > width or y + high > height:
            raise Wrong(
                f"{said} has a tile {tile}, which sticks out of the picture. At the right and "
                "the bottom edge tiles may have to be smaller: look at `min`."
            )
        if wide > size or high > size:
            raise Wrong(f"{said} has a tile {tile}, which is larger than {size} × {size}.")
        covered.update(itertools.product(range(x, x + wide), range(y, y + high)))
    missing = width * height - len(covered)
    if missing:
        raise Wrong(
            f"{said} leaves out {missing} of {width * height} pixels. What is left over at the "
            "edges needs tiles too, smaller ones."
        )
    double = sum(times > 1 for times in covered.values())
    if double:
        raise Wrong(f"{said} covers {double} pixels more than once. Step by the tile's size.")
    fewest = math.ceil(width / size) * math.ceil(height / size)
    if len(found) > fewest:
        raise Wrong(
            f"{said} has {len(found)} tiles, and {fewest} are enough. Make each as large as may be."
        )


@exercise("08-3", "Prove it from the events")
def audit(answers: Answers) -> str:
    """Try `audit`: from events and the number of items put to done, lost and done twice."""
    for number in range(12):
        events, put, right = _story(faults=number > 0)
        found = answers.call("audit", events, put)
        if type(found) not in (tuple, list) or [type(part) for part in found] != [int] * 3:
            raise Wrong(
                f"`audit(events, put)` gave {found!r:.60}, and should return three whole numbers: "
                "done, lost, twice."
            )
        for name, mine, true in zip(HINTS, found, right, strict=True):
            if mine != true:
                raise Wrong(
                    f"in a made-up run of {put} items and {len(events)} events, {name} is {true}, "
                    f"and your `audit` says {mine}. {HINTS[name]}"
                )
    return "it tells a queue that loses items, or records them twice, from one that does not."


def _story(*, faults: bool) -> tuple[list[Event], int, tuple[int, int, int]]:
    """Return a run of some worse queue: events, the number of items, and done, lost, twice."""
    put, start = random.randint(6, 30), random.randint(1, 900)
    events = [Event("put", 1.0, count=put)]
    done = lost = twice = 0
    for item_id in range(start, start + put):
        fate = random.choice(("once", "once", "again", "lost", "unseen", "twice"))
        if not faults and fate in ("lost", "unseen", "twice"):
            fate = "once"
        attempts = {"once": 1, "unseen": 0}.get(fate, 2)
        for attempt in range(1, attempts + 1):
            pod = f"pod-{random.randint(1, 4)}"
            lease = (f"{item_id}-{attempt}@{pod}", item_id, attempt, pod)
            ends: EventKind = random.choice(("expire", "release"))
            if fate in ("once", "twice") or (fate, attempt) == ("again", 2):
                ends = "complete"
            events.append(Event("lease", 2.0, "", *lease, item="tile"))
            events.append(Event("renew", 2.5, "", *lease))
            events.append(Event(ends, 3.0, "", *lease))
        done += fate in ("once", "again", "twice")
        lost += fate in ("lost", "unseen")
        twice += fate == "twice"
    return events, put, (done, lost, twice)
