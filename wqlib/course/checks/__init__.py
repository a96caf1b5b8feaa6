"""The checks of the exercises: ✓ or ✗ at once, and what to try next; · for a blank cell.

    wqlib.check("06-1")     # after an exercise, in the notebook
    wqlib.progress()        # how far you are

A check looks at behaviour and state: it calls the learner's function with inputs of its own, and
reads the queue and the cluster over connections of its own. It never looks at the text of the
code. The checks of notebook NN are in `notebook_NN.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...cluster import Cluster
from ...errors import WqlibError
from ..classroom.progress import publish
from . import record
from .answers import Answers, Blank, TimeUp, Wrong, time_limit
from .exercise import Exercise, faults, registered

__all__ = ["Verdict", "broken", "check", "exercises", "judge", "progress", "tell_teacher"]

SECONDS = 90.0


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        passed: The answer is right.
        text: Why it is right; or what is off, and what to try next.
        judged: False if nothing could be found out, e.g. because the cluster is away.
        blank: Nothing was tried yet.
    """

    passed: bool
    text: str
    judged: bool = True
    blank: bool = False


def exercises() -> dict[str, Exercise]:
    """Return all exercises by id, in the order of the course."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("notebook_"):
            importlib.import_module(f".{module.name}", __name__)
    return dict(sorted(registered.items()))


def broken(exercise_id: str, cluster: Cluster) -> None:
    """Set up what an exercise asks the learner to fix, and print its symptom.

    Args:
        exercise_id: For example "05-3".
        cluster: Where. What an earlier call set up there is replaced.

    Raises:
        WqlibError: That exercise has nothing to fix.
    """
    known = exercises()
    if exercise_id not in faults:
        there = ", ".join(name for name in known if name in faults)
        raise WqlibError(f"Exercise {exercise_id} has nothing to fix. These do: {there}.")
    print(f"{exercise_id} {known[exercise_id].title}: {faults[exercise_id](cluster)}")


def check(exercise_id: str) -> None:
    """Check an exercise of this notebook, print ✓ or ✗, and note it.

    A blank cell gets ·, and is not noted: it is no try.

    Args:
        exercise_id: For example "06-1".
    """
    known = exercises()
    found = known.get(exercise_id)
    if found is None:
        mine = [name for name in known if name.startswith(str(exercise_id)[:3])] or list(known)
        print(f"There is no exercise {exercise_id!r}. There are: {', '.join(mine)}.")
        return
    verdict = judge(found, _names())
    mark = "✓" if verdict.passed else "·" if verdict.blank else "✗"
    print(f"{mark} {found.id} {found.title}: {verdict.text}")
    if verdict.judged and not verdict.blank:
        try:
            record.note(found, verdict.passed)
        except OSError as error:
            print(f"(Your progress could not be noted in {record.path()}: {error.strerror}.)")
        else:
            tell_teacher()


def tell_teacher() -> None:
    """Publish what is noted, if the learner is in a class."""
    guessed = {name: one["first"] for name, one in record.guesses().items() if one["first"]}
    publish({"exercises": record.load(), "of": len(exercises()), "guesses": guessed})


def judge(exercise: Exercise, names: Mapping[str, Any]) -> Verdict:
    """Judge the answers to an exercise.

    Args:
        exercise: Which.
        names: The variables of the learner.
    """
    try:
        with Answers(names) as answers, time_limit(SECONDS):
            return Verdict(True, str(exercise.judge(answers)))
    except Wrong as wrong:
        return Verdict(False, str(wrong), blank=isinstance(wrong, Blank))
    except WqlibError as error:
        why = f"this could not be checked. {error}"
    except TimeUp:
        why = f"the check did not end within {SECONDS:g} seconds. Run it again."
    except Exception as error:
        why = (
            f"this could not be checked: {type(error).__name__}: {error}. Run the set-up cell "
            "again, then the cells after it, then this one."
        )
    return Verdict(False, why, judged=False)


def progress(notebook: str | None = None) -> None:
    """Print which exercises you have done: ✓ done, ✗ tried, · not yet.

    Of predictions it prints: ✓ right, ✗ wrong, ? not compared yet, · not guessed.

    Args:
        notebook: Only those of this notebook, e.g. "05"; None: all.
    """
    print(record.shown(record.load(), record.guesses(), exercises(), notebook))


def _names() -> Mapping[str, Any]:
    """Return the variables of the notebook that runs this."""
    getting = sys.modules.get("IPython.core.getipython")  # there is no notebook without it
    shell = getting and getting.get_ipython()
    if not shell:
        raise WqlibError("A check looks at the variables of a notebook, so run it in one.")
    names: Mapping[str, Any] = shell.user_ns
    return names
