"""The checks of notebook 07, Scale out."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from typing import Any

from .answers import Answers, Wrong
from .exercise import exercise

MOST_BATCH = 500
_OVERHEAD = 0.1


@exercise("07-1", "Amdahl's law")
def amdahl(answers: Answers) -> str:
    """Try `times_as_fast`, a function of the share that is not divided and the pods."""
    cases = [(0.0, 8), (1.0, 8), (0.25, 1)]
    cases += [(round(random.uniform(0.01, 0.9), 3), random.randint(2, 500)) for _ in range(20)]
    for share, pods in cases:
        found = _number(answers, "times_as_fast", share, pods)
        right = 1 / (share + (1 - share) / pods)
        if not math.isclose(found, right, rel_tol=1e-6):
            raise Wrong(_why_not_amdahl(found, right, share, pods))
    return "with a twentieth not divided, 8 pods are 5.9 times as fast, and 1000 not even 20."


def _why_not_amdahl(found: float, right: float, share: float, pods: int) -> str:
    said = f"`times_as_fast({share}, {pods})` gave {found:.4g}, and it should be {right:.4g}. "
    if math.isclose(found, 1 / right, rel_tol=1e-6):
        return said + "That is the time it takes, with one pod's time as 1. Turn it over."
    if math.isclose(found, pods, rel_tol=1e-6):
        return said + "Only the rest, 1 less the share, is divided by the pods."
    if share < 1 and math.isclose(found * ((1 - share) + share / pods), 1, rel_tol=1e-6):
        return said + "You divide the share that cannot be divided. Exchange the two parts."
    return said + "Call one pod's time 1: how long do the two parts take with so many pods?"


@exercise("07-2", "Predict the time of a run")
def makespan(answers: Answers) -> str:
    """Try `makespan`, a function of the items' lengths, in the queue's order, and the pods."""
    cases = [([], 3), ([5], 4), ([1] * 8 + [8], 4), ([8] + [1] * 8, 4)]
    for _ in range(20):
        items = [random.randint(1, 30) for _ in range(random.randint(2, 40))]
        cases.append((items, random.randint(1, 9)))
    for items, pods in cases:
        found = _number(answers, "makespan", list(items), pods)
        right = run_seconds(items, pods)
        if not math.isclose(found, right, rel_tol=1e-6):
            raise Wrong(_why_not_makespan(found, right, items, pods))
    return "as a scheduler that was simulated item by item says."


def run_seconds(items: Sequence[float], pods: int) -> float:
    """Return how long a run takes, in which whoever is free takes the next item."""
    free_at = [0.0] * pods
    for seconds in items:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


def _why_not_makespan(found: float, right: float, items: list[int], pods: int) -> str:
    shown = f"{items}" if len(items) <= 10 else f"[{', '.join(map(str, items[:8]))}, …]"
    said = f"`makespan({shown}, {pods})` gave {found:g}, and it should be {right:g}. "
    if not items:
        return said + "No items take no time."
    if math.isclose(found, sum(items) / pods, rel_tol=1e-6):
        return said + "An item is not divided: a pod does all of it, while others may be idle."
    if math.isclose(found, run_seconds(sorted(items, reverse=True), pods), rel_tol=1e-6):
        return said + "That is the longest first. Keep the order in which the items come."
    if math.isclose(found, max(sum(items[i::pods]) for i in range(pods))):
        return said + (
            "You deal the items out like cards. A queue does not: the pod that is free first "
            "takes the next one."
        )
    return said + "Keep for each pod when it is free. The next item goes to the smallest of these."


@exercise("07-3", "Choose a batch")
def batch(answers: Answers) -> str:
    """Try `batch_for`: the smallest batch that is enough for an item and a round trip."""
    cases = [(1.0, 0.001), (0.0001, 0.1)]
    for _ in range(30):
        cases.append((10 ** random.uniform(-5, 0), 10 ** random.uniform(-4.5, -1.5)))
    for item, trip in cases:
        found = answers.call("batch_for", item, trip)
        said = f"`batch_for({item:.3g}, {trip:.3g})` gave {found!r:.40}"
        if type(found) is not int:
            raise Wrong(f"{said}. A batch is a whole number of items: look at `math.ceil`.")
        if not 1 <= found <= MOST_BATCH:
            raise Wrong(f"{said}. A batch has at least 1 item, and at most {MOST_BATCH}.")
        share = trip / (found * item)
        if share > _OVERHEAD * (1 + 1e-9) and found < MOST_BATCH:
            raise Wrong(
                f"{said}: then a round trip takes {share:.0%} of the time of the work, and a "
                "tenth is allowed. How many items must share it?"
            )
        if found > 1 and trip / ((found - 1) * item) < _OVERHEAD * (1 - 1e-9):
            raise Wrong(
                f"{said}, and {found - 1} would be enough. A larger batch keeps items from other "
                "pods, so take the smallest."
            )
    return "no larger than it needs to be: long items get 1, the shortest get many."


def _number(answers: Answers, name: str, *args: Any) -> float:
    found = answers.call(name, *args)
    if type(found) not in (int, float) or not math.isfinite(found):
        text = ", ".join(map(str, args))
        raise Wrong(
            f"`{name}({text if len(text) < 60 else '…'})` gave {found!r:.60}, and it should be a "
            "number. Does every way through your function end in `return`?"
        )
    return float(found)
