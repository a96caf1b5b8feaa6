"""The checks of notebook 10, To production."""

from __future__ import annotations

import copy
import random

from ...queue.items import Stats
from .answers import Answers, Wrong
from .exercise import exercise

LEFT = {
    "left_after_kill": {"no file": 0, "everysec": 5, "always": 5},
    "left_after_power_cut": {"no file": 0, "everysec": 3, "always": 5},
}
WORDS = ("dead", "stuck", "expiring")


@exercise("10-1", "Pods for a deadline")
def pods_for(answers: Answers) -> str:
    """Try `pods_for` with plans of our own, some of them impossible."""
    plans = [(3600, 1000, 30, 10), (100, 7, 40, 20), (60, 5, 60, 5), (60, 5, 60, 0), (10, 4, 3, 20)]
    ranges = ((20, 4000), (1, 3000), (1, 90), (0, 60))
    for _ in range(30):
        deadline, items, seconds, start = (random.randint(*ends) for ends in ranges)
        plans.append((deadline, items, seconds, start))
    for deadline, items, seconds, start in plans:
        said = answers.call("pods_for", deadline, items, seconds, start)
        if type(said) is not int:
            raise Wrong(f"it returned {said!r}, and should return a whole number of pods.")
        each = max(0, (deadline - start) // seconds)
        right = -(-items // each) if each else 0
        if said != right:
            about = f"{items} items of {seconds} s in {deadline} s, start {start} s"
            if not each:
                raise Wrong(f"{about}: no pod can finish a single item in time, so return 0.")
            if said < right:
                raise Wrong(
                    f"{about}: a pod does {each} whole items, so {said} pods do "
                    f"{said * each} of {items}. Count whole items, and round the pods up."
                )
            raise Wrong(
                f"{about}: {said} pods are more than are needed. A pod does {each} whole items."
            )
    return "in time, with not one pod too many."


@exercise("10-2", "What is left?")
def what_is_left(answers: Answers) -> str:
    """Check the predictions for both accidents."""
    accidents = {"left_after_kill": "a kill", "left_after_power_cut": "a power cut"}
    for name, right in LEFT.items():
        said = answers.value(name, dict)
        if set(said) != set(right):
            raise Wrong(f"`{name}` should have the keys {', '.join(map(repr, right))}.")
        for setting, number in right.items():
            if type(said[setting]) is not int:
                raise Wrong(f"`{name}[{setting!r}]` should be a whole number from 0 to 5.")
            if said[setting] != number:
                why = {
                    "no file": "Where could Redis read the items from, when it starts again?",
                    "everysec": "When is it the disk that counts, and when the operating system? "
                    "And which items were put more than a second before?",
                    "always": "What does Redis do before it answers?",
                }[setting]
                raise Wrong(
                    f"after {accidents[name]} with {setting!r} it is not {said[setting]}. {why}"
                )
    return "now see whether Redis agrees."


@exercise("10-3", "When to wake somebody")
def alarms(answers: Answers) -> str:
    """Try `alarms` with queues of our own: well, idle, stuck, dying, poisoned, and at random."""
    for number in range(60):
        before, now = _two_moments(number)
        said = answers.call("alarms", copy.copy(before), copy.copy(now))  # theirs to change
        if type(said) is not list:
            raise Wrong(f"it returned {said!r}, and should return a list.")
        if len(said) != len(set(said)) or set(said) - set(WORDS):
            raise Wrong(f"it returned {said!r}. Use each of {', '.join(map(repr, WORDS))} once.")
        for word, (wanted, seen) in _right(before, now).items():
            if (word in said) != wanted:
                verb = "should be" if wanted else "should not be"
                raise Wrong(f"{seen}: {word!r} {verb} in the list.")
    return "it wakes you when it should, and lets you sleep when it may."


def _two_moments(number: int) -> tuple[Stats, Stats]:
    """Return stats of five minutes ago and of now; the first are cases that are easy to miss."""
    old = {"put": 2000, "pending": 500, "leased": 2, "leases": 1000, "done": 900, "dead": 0}
    old |= {"expired": 90, "released": 0, "failed": 0}
    grown = [
        {"done": 100, "leases": 100},  # well
        {"done": 0, "leases": 0, "pending": -500},  # idle: nothing to do
        {"done": 0, "leases": 4, "pending": 0},  # stuck
        {"done": 80, "leases": 100, "expired": 11},  # expiring now, though few on the whole
        {"done": 100, "leases": 100, "expired": 10},  # a tenth is not more than a tenth
        {"done": 50, "leases": 50, "dead": 1},
        {"done": 0, "leases": 20, "expired": 20, "dead": 3},  # all three
    ]
    if number < len(grown):
        change = grown[number]
    else:
        leases = random.randint(0, 60)
        change = {
            "leases": leases,
            "done": random.choice([0, leases // 2]),
            "expired": random.randint(0, leases // 4),
            "dead": random.choice([0, 0, 1]),
            "pending": random.choice([-500, 0, 20]),
        }
    new = {key: value + change.get(key, 0) for key, value in old.items()}
    return Stats(**old, at=0.0), Stats(**new, at=0.0)


def _right(before: Stats, now: Stats) -> dict[str, tuple[bool, str]]:
    """Return for each word whether it should be in the list, and what shows that."""
    done, leases = now.done - before.done, now.leases - before.leases
    expired = now.expired - before.expired
    return {
        "dead": (now.dead > 0, f"{now.dead} items are dead"),
        "stuck": (
            now.pending > 0 and not done,
            f"{now.pending} items are pending, and {done} were done",
        ),
        "expiring": (
            10 * expired > leases,
            f"{expired} leases expired of {leases} given out since `before`",
        ),
    }
