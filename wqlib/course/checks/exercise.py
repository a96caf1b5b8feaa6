"""What an exercise is, and the decorators that make a function its judge or its fault.

A judge looks at the learner's answers. It returns a few words on why they are right, or raises
`Wrong` with what is off and what to try next. A break-and-fix exercise also has a fault: a function
that sets something up in the cluster that does not work, and returns its symptom, not its cause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...cluster import Cluster
from .answers import Answers

Judge = Callable[[Answers], str]
Fault = Callable[[Cluster], str]

TITLES = {
    "00": "Before you begin",
    "01": "Start Redis",
    "02": "Fill the queue",
    "03": "Build a lease",
    "04": "The worker and its image",
    "05": "Run the Job",
    "06": "When pods die",
    "07": "Scale out",
    "08": "Real work",
    "09": "Choose your pattern",
    "10": "To production",
    "11": "Capstone",
}


@dataclass(frozen=True)
class Exercise:
    """One exercise of the course.

    Attributes:
        id: The notebook's number and the exercise's own, e.g. "06-1".
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


faults: dict[str, Fault] = {}


def fault(exercise_id: str) -> Callable[[Fault], Fault]:
    """Make the decorated function the fault of a break-and-fix exercise."""

    def register(fault: Fault) -> Fault:
        faults[exercise_id] = fault
        return fault

    return register
