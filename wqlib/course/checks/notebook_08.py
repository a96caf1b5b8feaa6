"""The checks of notebook 08, Real work."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...events import Event, EventKind
from ...tasks import mandelbrot
from .answers import Answers, Blank, Wrong
from .exercise import exercise
from .plain import counted, shown, text

# A loop up to its square root takes a million steps. One up to the number would not end.
_LARGE_PRIME = 999_999_999_989
_FACTORS_SECONDS = 5

WIDTH, HEIGHT, SIZE = 100, 70, 32
_LEFT, _TOP, _STEP, _LIMIT = -2.125, 1.125, 1 / 64, 100  # as in the notebook's `item_at`

HINTS = {
    "done": "Count each item once, and only `complete` events: `event.item_id` says which item.",
    "lost": "An item whose lease expired is not lost if another worker completed it later.",
    "more than once": "Count the `complete` events of each item. A second lease does no harm.",
}


@exercise("08-1", "Write the task")
def factorise(answers: Answers) -> str:
    """Try `factors`: from the digits of a number, as bytes, to its prime factors, as text."""
    numbers = [12, 2, 3, 4, 97, 49, 2**20, 2 * 3 * 5 * 7 * 11, 3 * 104_729]
    numbers += [random.randint(2, 5000) for _ in range(30)]
    numbers += [_LARGE_PRIME, 2 * _LARGE_PRIME]
    for number in numbers:
        item = str(number).encode()
        found = text(answers.call("factors", item, seconds=_FACTORS_SECONDS, returns=(str, bytes)))
        said = f"`factors({item!r})` gave {shown(found)}"
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
            raise Wrong(f"{said}, and {composite[0]} is not a prime. Go on dividing.")
        if factors != sorted(factors):
            raise Wrong(f"{said}. The smallest come first.")
    return "the factors are primes, and their product is the number. Anybody can check that."


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


@exercise("08-2", "Cut the work, and have it done")
def tiles(answers: Answers) -> str:
    """Check that pods of the Job computed the tiles in `items`, which cover the picture once."""
    queue = answers.queue()
    stats = queue.stats()
    items = answers.value("items", list)
    _check_tiles([_tile(item) for item in items])
    if not stats.put:
        raise Blank("the queue is empty so far. Put the items: `queue.put(items)`.")
    if answers.find("job/job-wq-2") is None:
        raise Wrong(f"{stats.pending} items wait, and there is no Job. Apply `job_for(…)`.")
    if not stats.drained:
        raise Wrong(
            f"{stats.pending} items are pending and {stats.leased} leased. Wait until the Job is "
            "complete, and run this cell again."
        )
    results = queue.results()
    if stats.done != len(items) or len(results) != len(items):
        raise Wrong(
            f"{counted(stats.done, 'item was', 'items were')} done, and `items` has {len(items)}. "
            "Clear the queue, put exactly these, and run the Job again."
        )
    pods = {pod.name for pod in answers.cluster.pods("job-wq-2")}
    if {event.worker for event in queue.events() if event.kind == "complete"} - pods:
        raise Wrong("some tiles were not made by a pod of the Job. Leave the work to its pods.")
    for item_id, item in zip(sorted(results), items, strict=True):
        if results[item_id] != mandelbrot(json.dumps(item).encode()):
            raise Wrong(
                f"the result of item {item_id} is not the tile {_tile(item)}. Put `items` in "
                "their order, and let the Job do the task `mandelbrot`."
            )
    job = answers.find("job/job-wq-2") or {}
    if job["spec"].get("parallelism", 1) < 2:
        raise Wrong('all is done, by one pod. Run the Job with two: `job_for("mandelbrot", 2)`.')
    return "every pixel was computed, in exactly one tile, by the pods."


def _tile(item: Any) -> tuple[int, int, int, int]:
    """Return x, y, width and height of the tile that an item describes."""
    wanted = {"left", "top", "step", "width", "height", "limit"}
    if type(item) is not dict or set(item) != wanted:
        raise Wrong(f"`items` holds {shown(item)}. Make each with `item_at(x, y, width, height)`.")
    if (item["step"], item["limit"]) != (_STEP, _LIMIT):
        raise Wrong("leave the `step` and the `limit` as `item_at` makes them.")
    parts = [(item["left"] - _LEFT) / _STEP, (_TOP - item["top"]) / _STEP]
    parts += [item["width"], item["height"]]
    if any(part != int(part) for part in parts):
        raise Wrong(f"a tile at {parts} is not on whole pixels. Corners and sizes are integers.")
    x, y, wide, high = map(int, parts)
    return x, y, wide, high


def _check_tiles(found: Sequence[tuple[int, int, int, int]]) -> None:
    """Raise Wrong unless tiles (x, y, width, height) cover the picture exactly once."""
    covered = Counter[tuple[int, int]]()
    for tile in found:
        x, y, wide, high = tile
        if not (x >= 0 and y >= 0 and wide > 0 and high > 0):
            raise Wrong(f"there is a tile {tile}. Corners are 0 or more, sizes 1 or more.")
        if x + wide > WIDTH or y + high > HEIGHT:
            raise Wrong(
                f"the tile {tile} sticks out of the picture of {WIDTH} × {HEIGHT} pixels. At the "
                "right and the bottom edge tiles have to be smaller: look at `min`."
            )
        if wide > SIZE or high > SIZE:
            raise Wrong(f"the tile {tile} is larger than {SIZE} × {SIZE}.")
        covered.update((at, line) for at in range(x, x + wide) for line in range(y, y + high))
    missing = WIDTH * HEIGHT - len(covered)
    if missing:
        raise Wrong(
            f"the tiles leave out {missing} of {WIDTH * HEIGHT} pixels. What is left over at the "
            "edges needs tiles too, smaller ones."
        )
    double = sum(times > 1 for times in covered.values())
    if double:
        raise Wrong(f"the tiles cover {double} pixels more than once. Step by the tile's size.")
    fewest = math.ceil(WIDTH / SIZE) * math.ceil(HEIGHT / SIZE)
    if len(found) > fewest:
        raise Wrong(
            f"there are {counted(len(found), 'tile', 'tiles')}, and {fewest} are enough. Make each "
            "as large as it may be."
        )


@exercise("08-3", "Prove it from the events")
def audit(answers: Answers) -> str:
    """Try `audit`: from events and the number of items put to done, lost, done more than once."""
    for number in range(12):
        _compare(answers, *_story(faults=number > 0), "a made-up run")
    queue = answers.queue()
    stats = queue.stats()
    if stats.put:
        right = (stats.done, stats.put - stats.done, 0)
        _compare(answers, queue.events(), stats.put, right, "the run in your queue")
    return "it tells a queue that loses items, or records them twice, from one that does not."


def _compare(
    answers: Answers, events: list[Event], put: int, right: tuple[int, int, int], where: str
) -> None:
    many = len(events)
    found = answers.call("audit", events, put, returns=(tuple,))
    if [type(part) for part in found] != [int] * 3:
        raise Wrong(
            f"`audit(events, put)` gave {shown(found)}, and should return three whole numbers: "
            "done, lost, more than once."
        )
    for name, mine, true in zip(HINTS, found, right, strict=True):
        if mine != true:
            raise Wrong(
                f"in {where}, of {put} items and {many} events, the number of items {name} is "
                f"{true}, and your `audit` says {mine}. {HINTS[name]}"
            )


def _story(*, faults: bool) -> tuple[list[Event], int, tuple[int, int, int]]:
    """Return a run of some worse queue: events, items put, and done, lost, more than once."""
    put, start = random.randint(8, 30), random.randint(1, 900)
    events = [Event("put", 1.0, count=put)]
    done = lost = repeated = 0
    fates = random.choices(("once", "again", "lost", "unseen", "twice"), k=put)
    fates[:3] = random.sample(("twice", "three times", "lost"), 3)  # one of each is in it
    for item_id, fate in enumerate(fates, start):
        if not faults and fate not in ("once", "again"):
            fate = "once"
        attempts = {"once": 1, "unseen": 0, "three times": 3}.get(fate, 2)
        for attempt in range(1, attempts + 1):
            pod = f"pod-{random.randint(1, 4)}"
            lease = (f"{item_id}-{attempt}@{pod}", item_id, attempt, pod)
            ends: EventKind = random.choice(("expire", "release"))
            if fate in ("once", "twice", "three times") or (fate, attempt) == ("again", 2):
                ends = "complete"
            events.append(Event("lease", 2.0, "", *lease, item="tile"))
            events.append(Event("renew", 2.5, "", *lease))
            events.append(Event(ends, 3.0, "", *lease))
        done += fate not in ("lost", "unseen")
        lost += fate in ("lost", "unseen")
        repeated += fate in ("twice", "three times")
    return events, put, (done, lost, repeated)
