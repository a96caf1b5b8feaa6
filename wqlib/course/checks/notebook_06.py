"""The checks of notebook 06, When pods die."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .answers import Answers, Wrong
from .exercise import exercise


class _Died(Exception):
    """The worker dies here, in the check."""


class _Fuse:
    """Lets a worker die after some commands to Redis, having sent them.

    Attributes:
        left: How many commands it has left; None: it does not die.
    """

    left: int | None = None

    def __call__(self, message: bytes) -> None:
        if self.left is not None:
            if self.left == 0:
                raise _Died
            self.left -= 1


@exercise("06-1", "A task that bears a second run")
def idempotent(answers: Answers) -> str:
    """Check that the total is right whatever ran twice, and wherever a worker died."""
    store, _, fuse = answers.function("store"), answers.function("total"), _Fuse()
    client = answers.redis(fuse)
    try:
        for _ in range(2):  # the second time, nobody may remember the first
            _forget(client)
            _run_twice(answers, client)
        for commands in range(6):
            _forget(client)
            _die_after(answers, client, store, fuse, commands)
    finally:
        _forget(client)
    return "each item counts once, however often it ran and wherever its worker died."


def _run_twice(answers: Answers, client: Any) -> None:
    numbers = {item: random.randrange(1, 50) for item in random.sample(range(1, 500), 5)}
    numbers |= {501: 7, 502: 7}  # different items of one number
    once = list(numbers)
    for item in once:
        answers.call("store", client, item, numbers[item])
    _is_total(answers, client, numbers, "each item ran once, two of them with the same number")
    again = random.choices(once, k=12)
    for item in again:
        answers.call("store", client, item, numbers[item])
    _is_total(answers, client, numbers, "some items ran more than once")


def _die_after(
    answers: Answers, client: Any, store: Callable[..., Any], fuse: _Fuse, commands: int
) -> None:
    numbers = {1: random.randrange(1, 50), 2: random.randrange(50, 99)}
    answers.call("store", client, 1, numbers[1])
    fuse.left = commands
    try:
        store(client, 2, numbers[2])
    except _Died:
        pass
    except BaseException as error:
        raise Wrong(f"`store` raised {type(error).__name__}: {error}") from None
    finally:
        fuse.left = None
    answers.call("store", client, 2, numbers[2])  # another worker
    when = f"a worker died in `store` after {commands} of its commands, and another ran the item"
    _is_total(answers, client, numbers, when)


def _is_total(answers: Answers, client: Any, numbers: dict[int, int], when: str) -> None:
    found, wanted = answers.call("total", client), sum(numbers.values())
    if type(found) is not int:
        raise Wrong(f"`total` returned {found!r}, and should return an int.")
    if found != wanted:
        raise Wrong(
            f"{when}, and the total was {found}, not {wanted}. Give each item a place of its own "
            "in Redis, which one command sets; and keep nothing in Python's memory, since the "
            "second run may be in another pod."
        )


def _forget(client: Any) -> None:
    for key in list(client.scan_iter("sold*", count=1000)):
        client.delete(key)


@exercise("06-2", "Choose a lease time")
def lease_time(answers: Answers) -> str:
    """Check that half of the lease outlasts each pause, and that the whole is not too long."""
    answers.function("choose_lease")
    _judge_lease(answers, [0.5, 12.0, 3.0], 60.0)
    for trial in range(12):
        pauses = [round(random.uniform(0.1, 20), 1) for _ in range(random.randrange(1, 8))]
        least = 2 * max(pauses)
        most = least * random.uniform(1.05, 3) if trial % 2 else least * random.uniform(0.5, 0.95)
        _judge_lease(answers, pauses, round(most, 2))
    return "no pause looks like death, and no item of a dead worker stays away too long."


def _judge_lease(answers: Answers, pauses: list[float], most: float) -> None:
    least = 2 * max(pauses)
    found = answers.call("choose_lease", list(pauses), most)
    call = f"`choose_lease({pauses}, {most:g})` returned {found!r}"
    if type(found) not in (int, float, type(None)):
        raise Wrong(f"{call}, and should return a number of seconds, or None.")
    if found is None and least <= most:
        raise Wrong(f"{call}, but {least:g} s would do: the longest pause fits into half of it.")
    if found is None:
        return
    if not found > 0:
        raise Wrong(f"{call}. A lease must last longer than that.")
    if not found <= most:
        raise Wrong(
            f"{call}. A dead worker's item would be out of reach for longer than "
            f"{most:g} s. If nothing does both, return None."
        )
    died = [pause for pause in pauses if pause > found / 2 + 1e-9]
    if died:
        raise Wrong(
            f"{call}. A pause of {died[0]:g} s that begins when half of the lease is over "
            "would look like death. If nothing does both, return None."
        )


@exercise("06-3", "Bring the dead item back")
def recovered(answers: Answers) -> str:
    """Check that the dead item was put back and done, by a task that reads both price formats."""
    queue = answers.queue()
    stats, events = queue.stats(), queue.events()
    if not any(event.kind == "dead" for event in events):
        raise Wrong(
            "no item has died in the queue. If you cleared it, run the cell before this exercise "
            "again: it makes one die. Then bring that one back."
        )
    if stats.dead and not any(event.kind == "requeue" for event in events):
        raise Wrong(
            f"{stats.dead} item is still dead. `queue.requeue_dead()` puts it back into the line."
        )
    if stats.dead:
        raise Wrong("the item died again. Mend `cents` first, then requeue, then run the worker.")
    if stats.pending or stats.leased:
        raise Wrong("the item waits in the line again, but nobody has done it. Run a worker.")
    if (stats.done, stats.put) != (3, 3):
        raise Wrong(
            f"{stats.done} items are done, of {stats.put} that were put, and it should be three of "
            "three. Run the cell before this exercise again, then your answer once."
        )
    results = sorted(result.decode("utf-8", "replace") for result in queue.results().values())
    if results != ["120", "275", "350"]:
        raise Wrong(f"the results are {results}, and 350, 120 and 275 cents are right.")
    for _ in range(5):
        whole, rest = random.randrange(100), random.randrange(10, 100)
        for mark in ".,":
            found = answers.call("cents", f"{whole}{mark}{rest}".encode())
            text = found.decode("utf-8", "replace") if type(found) is bytes else found
            if text != str(100 * whole + rest):
                raise Wrong(f"`cents` makes {found!r} of {whole}{mark}{rest}.")
    return "the dead item is done, with its history kept, and `cents` reads both ways."
