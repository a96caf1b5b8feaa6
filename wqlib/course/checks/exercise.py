"""What an exercise is, and the decorator that makes a function the judge of one.

A judge looks at the learner's answers. It returns a few words on why they are right, or raises
`Wrong` with what is off and what to try next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .answers import Answers

Judge = Callable[[Answers], str]

TITLES = {
    "00": "Before you begin",
    "01": "Start Redis",
    "02": "Fill the queue",
    "03": "The worker and its image",
    "04": "Run the Job",
    "05": "When pods die",
    "06": "Scale out",
    "07": "Real work",
    "08": "Choose your pattern",
    "09": "To production",
}


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


registered: dict[str, Exercise] = {}


def exercise(exercise_id: str, title: str) -> Callable[[Judge], Judge]:
    """Make the decorated function the judge of an exercise."""

    def register(judge: Judge) -> Judge:
        if exercise_id in registered:
            raise ValueError(f"There are two exercises {exercise_id}.")
        registered[exercise_id] = Exercise(exercise_id, title, judge)
        return judge

    return register
