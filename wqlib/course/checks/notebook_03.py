"""The checks of notebook 03, Build a lease.

The adversary of the notebook plays against the learner's functions, on the real Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..adversary import Adversary, Death, Strange, item_of
from .answers import Answers, Blank, Wrong
from .exercise import exercise

SEEN = "The adversary says: "


@exercise("03-1", "Give it back")
def give_it_back(answers: Answers) -> str:
    """Try when `give_back_expired` gives back, and kill the worker in it."""
    take, finish, give_back = _functions(answers, "take", "finish", "give_back_expired")
    adversary = Adversary(**answers.login)
    adversary.fill("apple", "banana")
    take(adversary.client(), 0)
    give_back(adversary.client(), 9)
    if (got := _lent(adversary, take, 9)) != ["banana"]:
        raise Wrong(
            f"The apple was taken at 0 s, for 10 s. Then `give_back_expired` at 9 s; workers that "
            f"ask now get {got}, and should get the banana. Give back only what has a deadline "
            "up to `now`."
        )
    for calls in ([20], [20, 21]):
        adversary.fill("apple", "banana")
        for now in (0, 5):
            take(adversary.client(), now)
        for now in calls:
            give_back(adversary.client(), now)
        if (got := _lent(adversary, take, 21)) != ["apple", "banana"]:
            raise Wrong(
                f"Both leases had ended. After {len(calls)} x `give_back_expired` workers got "
                f"{got}, and should get both fruits, once each. Does your loop go through all, "
                "and does each leave job3:leases?"
            )
    for death in _deaths(adversary, take, finish, give_back):
        if "give_back_expired" in death.where and (death.lost or death.stuck):
            raise Wrong(f"{SEEN}{death}. Change the order of your two commands.")
        if "at work" in death.where and (death.lost or death.stuck):
            raise Wrong(f"{SEEN}{death}. It should go from job3:leases back into job3.")
    return "what has expired goes back, and no death in it loses an item."


@exercise("03-2", "Lend it in one step")
def lend_in_one_step(answers: Answers) -> str:
    """Kill the worker between any two commands of `take`."""
    _begun(answers)
    take, finish = _functions(answers, "take", "finish")
    adversary = Adversary(**answers.login)
    _lends_for_ten_seconds(adversary, take)
    _nothing_lost(_deaths(adversary, take, finish))
    return "whenever the worker dies, the item is in the list or in the leases."


@exercise("03-3", "Turn it away")
def turn_it_away(answers: Answers) -> str:
    """Let a late worker finish, and lend two equal items."""
    _begun(answers)
    take, finish = _functions(answers, "take", "finish")
    adversary = Adversary(**answers.login)
    _lends_for_ten_seconds(adversary, take)
    _nothing_lost(_deaths(adversary, take, finish))
    refused, got = adversary.lateness(take, finish)
    if got != ["apple"]:
        raise Wrong(
            "A finished late and took away B's lease; then B was killed, and the apple is "
            "nowhere. Each lease needs a number of its own in job3:leases."
        )
    if not refused:
        raise Wrong(
            "B's lease stayed, but `finish` did not return False to A, which was late. Return "
            "whether `zrem` removed something."
        )
    _two_apples(adversary, take, finish)
    return "the late worker is told so, and two equal apples are two leases."


def _two_apples(adversary: Adversary, take: Any, finish: Any) -> None:
    adversary.fill("apple", "apple")
    first, second = (take(adversary.client(), 0) for _ in range(2))
    if not finish(adversary.client(), first):
        raise Wrong(
            f"A worker took {first!r} and finished it in time, but `finish` did not return True. "
            "Return whether `zrem` removed something."
        )
    if adversary.heirs(take, finish) != ["apple"]:
        raise Wrong(
            f"Two equal apples were lent as {first!r} and {second!r}. One was finished, the other "
            "worker was killed, and nobody got the other apple. Count with INCR: it never gives "
            "the same number twice."
        )


@exercise("03-4", "The exact end")
def exact_end(answers: Answers) -> str:
    """Ask `drained` while items move from one place to the other."""
    [drained] = _functions(answers, "drained")
    for moment, said, right in Adversary(**answers.login).moments(drained):
        if type(said) not in (bool, int):
            raise Wrong(f"`drained` returned {said!r}. Return True or False.")
        if bool(said) != right:
            raise Wrong(f"{moment}: `drained` said {said}, and it is {right}.{_why(moment)}")
    return "True only when nothing waits and nothing is lent, both at one moment."


def _why(moment: str) -> str:
    if "between" in moment:
        return " Your commands look at two moments. Let Redis look at both in one step."
    return " Count what waits in job3, and what is lent in job3:leases."


# -- what several checks need


def _functions(answers: Answers, *names: str) -> list[Callable[..., Any]]:
    """Return functions of the learner's that pass on the adversary's killing and nothing else."""
    for name in names:
        answers.function(name)
    return [lambda *args, name=name: answers.call(name, *args) for name in names]


def _begun(answers: Answers) -> None:
    if not answers.value("LEND", str).strip():
        raise Blank("nothing here yet: `LEND` is still empty. Write your Lua in the cell above.")


def _deaths(adversary: Adversary, *functions: Any) -> list[Death]:
    try:
        return adversary.deaths(*functions)
    except Strange as odd:
        raise Wrong(str(odd)) from None


def _nothing_lost(deaths: list[Death]) -> None:
    for death in deaths:
        if death.lost or death.stuck:
            raise Wrong(f"{SEEN}{death}. Do both in one script.")


def _lends_for_ten_seconds(adversary: Adversary, take: Any) -> None:
    for now, wanted in ((9, ["banana"]), (10.5, ["apple", "banana"])):
        adversary.fill("apple", "banana")
        take(adversary.client(), 0)
        if (got := _lent(adversary, take, now)) != wanted:
            raise Wrong(
                f"The apple was taken at 0 s, for 10 s, and is not finished. At {now} s `take` "
                f"should lend {wanted}, and it lends {got}. Is the deadline ARGV[1] + 10?"
            )


def _lent(adversary: Adversary, take: Any, now: float) -> list[str]:
    """Return what workers get that ask now, one after the other, in the order of the alphabet."""
    got = [taken for _ in range(4) if (taken := take(adversary.client(), now)) is not None]
    return sorted(map(item_of, got))
