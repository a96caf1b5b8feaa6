"""What an exercise is, and the list of them all.

The judge of an exercise is a function that looks at the learner's answers. It returns a few
words of why they are right, or raises `Wrong` with what is off and what to try next.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answers import Answers

Judge = Callable[["Answers"], str]


class Wrong(Exception):
    """An answer is not right yet. The message says what is seen, and what to try next."""


@dataclass(frozen=True)
class Exercise:
    """One exercise of the course.

    Attributes:
        id: The notebook's number and the exercise's own, e.g. "05-1".
        title: As in the notebook.
        judge: Looks at the answers.
    """

    id: str
    title: str
    judge: Judge

    @property
    def notebook(self) -> str:
        """The number of its notebook, e.g. "05"."""
        return self.id.partition("-")[0]


_known: dict[str, Exercise] = {}


def exercise(exercise_id: str, title: str) -> Callable[[Judge], Judge]:
    """Decorator: the function judges this exercise."""

    def register(judge: Judge) -> Judge:
        if exercise_id in _known:
            raise ValueError(f"There are two exercises {exercise_id}.")
        _known[exercise_id] = Exercise(exercise_id, title, judge)
        return judge

    return register


def exercises() -> dict[str, Exercise]:
    """All exercises by id, in the order of the course."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("notebook_"):
            importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(_known.items()))
