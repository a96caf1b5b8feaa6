"""The checks of notebook 05, When pods die."""

from __future__ import annotations

import random
from typing import Any

from .answers import Answers
from .exercise import Wrong, exercise


@exercise("05-1", "A task that bears a second run")
def idempotent(answers: Answers) -> str:
    """Items recorded once or several times, in two stores by turns, in any order."""
    for trial in range(12):
        runs: list[tuple[dict[str, Any], str, int]] = []
        stores: tuple[dict[str, Any], ...] = ({}, {})
        for store in stores:
            items = {f"item {number}": random.choice([3, 5, 5, 9]) for number in range(trial + 2)}
            # At first nothing is repeated: there, the wrong version of the task is right, too.
            runs += [(store, name, n) for name, n in items.items()] * (2 if trial else 1)
        random.shuffle(runs)
        for store, name, letters in runs:
            answers.call("record", store, name, letters)
        for store in stores:
            right = {name: letters for other, name, letters in runs if other is store}
            said = answers.call("total", store)
            if type(said) not in (int, float):
                raise Wrong(f"`total` returned {said!r}, and should return a number.")
            if said != sum(right.values()):
                each = ", ".join(map(str, right.values()))
                raise Wrong(
                    f"{len(right)} items of {each} letters, recorded "
                    f"{'twice' if trial else 'once'} each, make {sum(right.values())} letters, "
                    f"and your total is {said}. Has each item a place of its own in `store`?"
                )
    return "however often an item is recorded, it counts once."


@exercise("05-2", "Choose the lease")
def lease_for(answers: Answers) -> str:
    """Pauses and patience of our own, some of which no lease can satisfy."""
    cases = [(10, 60), (10, 20), (10, 19), (5.0, 7.5)]
    cases += [(random.randint(1, 40), random.randint(1, 90)) for _ in range(30)]
    for pause, patience in cases:
        said = answers.call("lease_for", pause, patience)
        about = f"a pause of {pause} s, a patience of {patience} s"
        possible = 2 * pause <= patience
        if said is None:
            if possible:
                raise Wrong(f"{about}: there is such a lease, and you return None.")
            continue
        if type(said) not in (int, float):
            raise Wrong(f"{about}: you return {said!r}, and should return seconds, or None.")
        if not possible:
            raise Wrong(
                f"{about}: no lease does both, and you return {said}. The pause needs one of at "
                f"least {2 * pause} s. Return None."
            )
        if said < 2 * pause:
            raise Wrong(
                f"{about}: with a lease of {said} s, half may be over when the pause begins. Then "
                f"{said / 2:g} s are left, and the item is lent to somebody else."
            )
        if said > patience:
            raise Wrong(f"{about}: with a lease of {said} s, a dead worker's item comes too late.")
    return "pauses are forgiven, and the dead do not keep you waiting."


@exercise("05-3", "Bring it back")
def bring_back(answers: Answers) -> str:
    """The dead item was requeued and done by a worker."""
    queue = answers.queue()
    stats = queue.stats()
    if stats.dead:
        raise Wrong(
            "the item is still dead, or died again. Put it back with `queue.requeue_dead()`, and "
            "give the worker a task that does not fail on it."
        )
    if not stats.drained:
        raise Wrong(
            f"{stats.pending} pending, {stats.leased} leased: it waits to be done. Run a Worker "
            "with a task of your own."
        )
    if stats.done != 3:
        raise Wrong(
            f"{stats.done} items are done, and there were three. Run the cells from the one with "
            "the poison item again."
        )
    [last] = [event for event in queue.events() if event.kind == "complete"][-1:]
    if last.attempt < 4:
        raise Wrong(
            "this is not the item that was dead: it would have been tried three times before. "
            "Run the cells from the one with the poison item again."
        )
    return "done at last, on its fourth attempt."
