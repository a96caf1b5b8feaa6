"""The quizzes at the end of each half of the course."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import ipywidgets as widgets
from IPython.display import display

from ...errors import WqlibError
from . import data
from .choices import Choice, as_text, wrapped


class Quiz:
    """Questions one below the other, with feedback to each answer.

    Args:
        number: 1 or 2.
        questions: What is asked.
    """

    def __init__(self, number: int, questions: list[data.Question]) -> None:
        self._number, self._questions = number, questions
        self._first: dict[int, int] = {}
        self._choices = [
            Choice(f"{at}.  {one.question}", one.options, partial(self._answer, at))
            for at, one in enumerate(questions, 1)
        ]
        for choice in self._choices:
            choice.show(0, "")
        self._score = widgets.HTML()
        self._show_score()
        self._box = widgets.VBox([*(choice.box for choice in self._choices), self._score])
        self._box.add_class("wqlib-choice")

    def _answer(self, at: int, chosen: int) -> None:
        """Show the feedback to an answer; the first one to a question counts."""
        self._first.setdefault(at, chosen)
        self._choices[at - 1].show(chosen, _feedback(self._questions[at - 1], chosen))
        self._show_score()

    def _show_score(self) -> None:
        right = sum(chosen == self._questions[at - 1].right for at, chosen in self._first.items())
        answered = f"{len(self._first)} of {len(self._questions)} answered"
        text = f"{answered}, {right} right at the first try."
        self._score.value = f'<p role="status" aria-live="polite">{text}</p>'

    def __repr__(self) -> str:
        asked = (
            as_text(f"{at}. {one.question}", one.options)
            for at, one in enumerate(self._questions, 1)
        )
        numbers = ", ".join(["1"] * len(self._questions))
        typed = f"Click, or answer with numbers: wqlib.quiz({self._number}, [{numbers}])."
        return "\n\n".join([*asked, typed])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {**self._box._repr_mimebundle_(), "text/plain": repr(self)}


def quiz(number: int, answers: Sequence[int] | None = None) -> None:
    """Ask the questions of a half of the course.

    Args:
        number: 1 for notebooks 00 to 05, 2 for 06 to 10.
        answers: The number of your answer to each question, from 1; they are marked at once.
            None: the questions are shown, with buttons.

    Raises:
        WqlibError: There is no such quiz or answer.
    """
    if number not in (1, 2):
        raise WqlibError(f"There is no quiz {number!r}. There are 1 and 2.")
    questions = data.questions(data.FOLDER / f"quiz_{number}.toml")
    if answers is None:
        display(Quiz(number, questions))  # type: ignore[no-untyped-call]
        return
    if len(answers) != len(questions):
        raise WqlibError(f"Quiz {number} has {len(questions)} questions, not {len(answers)}.")
    for at, (one, chosen) in enumerate(zip(questions, answers, strict=True), 1):
        if chosen not in range(1, len(one.options) + 1):
            raise WqlibError(
                f"Question {at} has no answer {chosen!r}. Choose 1 to {len(one.options)}."
            )
    for at, (one, chosen) in enumerate(zip(questions, answers, strict=True), 1):
        print(wrapped(f"{at}. {_feedback(one, chosen)}", "", "   "))
    right = sum(one.right == chosen for one, chosen in zip(questions, answers, strict=True))
    print(f"{right} of {len(questions)} right")


def _feedback(question: data.Question, chosen: int) -> str:
    return f"{'✓' if chosen == question.right else '✗'} {question.feedback[chosen - 1]}"
