"""The checks of notebook 02, Fill the queue."""

from __future__ import annotations

import random
import secrets
from math import ceil

from .answers import Answers, Wrong
from .exercise import exercise

FRUITS = "apple banana cherry date fig grape lemon melon orange kiwi".split()
BATCH = 500
MARK = b"item-"  # each item that `fill` gets begins with it, so they can be counted on the wire


@exercise("02-1", "The urgent one")
def urgent_one(answers: Answers) -> str:
    """Check that the list is mango, the ten fruits as they were, plum."""
    items = [item.decode(errors="replace") for item in answers.redis().lrange("job2", 0, 99)]
    for fruit in ("mango", "plum"):
        if fruit not in items:
            raise Wrong(f"There is no {fruit} in job2 yet. Push it with client or redis_cli.")
        if items.count(fruit) > 1:
            raise Wrong(
                f"job2 holds {items.count(fruit)} of {fruit}. Perhaps you pushed twice? "
                "Run the exercise's cell as a whole; it begins with the ten."
            )
    others = [item for item in items if item not in ("mango", "plum")]
    if others != FRUITS:
        raise Wrong(
            f"The others are not as they were: {others}. "
            "Run the exercise's cell as a whole; it begins with the ten."
        )
    if items[0] != "mango":
        raise Wrong(
            f"The next item that a worker gets is {items[0]}. Workers take from the left: "
            "push the mango at that end."
        )
    if items[-1] != "plum":
        raise Wrong(
            f"The last item is {items[-1]}, and the plum is before it. "
            "New items wait at the right end."
        )
    return "the mango is next, the plum is last."


@exercise("02-2", "Few trips")
def few_trips(answers: Answers) -> str:
    """Let `fill` push lists of many lengths, through a client that counts what it sends."""
    name, given = f"check-{secrets.token_hex(4)}", answers.redis()
    carried: list[int] = []  # how many of our items each message to Redis carries
    client = answers.redis(lambda message: carried.append(message.count(MARK)))
    for length in (3, BATCH, BATCH + 1, random.randint(1_100, 1_400), 0):
        items = [f"{MARK.decode()}{random.randrange(10**6)}" for _ in range(length)]
        carried.clear()
        try:
            answers.call("fill", client, name, list(items), seconds=30)
            found = [item.decode(errors="replace") for item in given.lrange(name, 0, -1)]
        finally:
            given.delete(name)
        _judge(items, found, [count for count in carried if count])
    return f"all there, in order, with at most one trip for {BATCH}."


def _judge(items: list[str], found: list[str], trips: list[int]) -> None:
    said = f"Of a list of {len(items):,} items"
    if items and not found:
        raise Wrong(
            f"{said}, none is in Redis. Push them with client.rpush(name, …). If you use a "
            "pipeline, execute it."
        )
    if len(found) != len(items):
        raise Wrong(
            f"{said}, {len(found):,} are in Redis. Is the last batch, the shorter one, pushed "
            "too? Is each pipeline executed?"
        )
    if found != items:
        raise Wrong(f"{said} all are in Redis, but not in their order. Which push keeps it?")
    if sum(trips) != len(items):
        raise Wrong(f"{said}, some did not go through the `client` that `fill` was given. Use it.")
    if len(trips) > ceil(len(items) / BATCH):
        raise Wrong(
            f"{said}, {len(trips):,} trips were made; {ceil(len(items) / BATCH)} are enough. "
            f"Push many items in one command, or execute a pipeline once for each {BATCH}."
        )


@exercise("02-3", "Three states")
def three_states(answers: Answers) -> str:
    """Check that the apple is done, the banana leased, and the cherry pending."""
    queue = answers.queue("job2")
    stats = queue.stats()
    seen = f"{stats.pending} pending, {stats.leased} leased, {stats.done} done"
    if stats.pending + stats.leased + stats.done != 3:
        raise Wrong(
            f"The queue should know of three items. It says: {seen}. Run the exercise's cell as "
            'a whole: clear the queue, then queue.put(["apple", "banana", "cherry"]).'
        )
    if (stats.pending, stats.leased, stats.done) != (1, 1, 1):
        raise Wrong(
            f"The queue says: {seen}. Lease two items with other.lease(), one after the other, "
            "and complete the first with other.complete(…)."
        )
    pending = [item.decode(errors="replace") for item in queue.peek(2)]
    leased = [lease.text for lease in queue.snapshot().leases]
    if (pending, leased) != (["cherry"], ["banana"]):
        raise Wrong(
            f"Pending is {pending[0]}, and leased is {leased[0]}. It should be the cherry that "
            "waits, and the banana that is leased. Which lease did you complete?"
        )
    return "one is done, one is leased, one is pending, and the queue is not drained."
