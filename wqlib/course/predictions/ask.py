"""`predict` and `compare`. What was guessed is noted with the progress."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from IPython.display import display

from ...errors import WqlibError
from ..checks import record, tell_teacher
from . import data
from .choices import Choice, as_text, wrapped

_asked: dict[str, Prediction] = {}


class Prediction:
    """A question that is asked, with what was guessed so far.

    Args:
        prediction_id: For example "06-a".
        question: As it is asked.
        options: What one can choose from.
    """

    def __init__(self, prediction_id: str, question: str, options: list[str]) -> None:
        self.id, self.question, self.options = prediction_id, question, options
        noted = record.guesses().get(prediction_id)
        self.guess: int = 0
        self.frozen = False
        self._choice = Choice(f"{self.id}  {question}", options, self.commit)
        if noted and noted["options"] == options:
            self._follow(noted)
        else:
            self._show()

    def commit(self, guess: int) -> None:
        """Note a guess; once it was compared, another one changes nothing."""
        try:
            self._follow(record.note_guess(self.id, self.options, guess))
        except OSError as error:
            where = f"{record.path()}: {error.strerror}"
            self._choice.show(0, f"Your guess could not be noted in {where}.")
        else:
            tell_teacher()

    def compared(self) -> None:
        """Note that what is right is told now; the guess stays as it is."""
        with contextlib.suppress(OSError):
            self._follow(record.note_compared(self.id, self.options))

    def said(self) -> str:
        """Return the guess in words."""
        if not self.guess:
            return "Make a guess before you go on."
        if self.frozen:
            return f"Your guess was {self.guess}."
        return f"Your guess is {self.guess}. You can change it until you compare."

    def _follow(self, noted: dict[str, Any]) -> None:
        self.guess = noted["guess"]
        self.frozen = bool(self.guess and noted["compared"])
        self._show()

    def _show(self) -> None:
        self._choice.show(self.guess, self.said(), frozen=self.frozen)

    def __repr__(self) -> str:
        """The same in every run in which nothing was guessed."""
        text = as_text(f"{self.id}  {self.question}", self.options)
        typed = "" if self.guess else f' Click, or run wqlib.predict("{self.id}", NUMBER).'
        return f"{text}\n{self.said()}{typed}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {**self._choice.box._repr_mimebundle_(), "text/plain": repr(self)}


def predict(prediction_id: str, question: str | int, options: Sequence[str] | None = None) -> None:
    """Ask what will happen, and note what you guess.

        wqlib.predict("06-a", "What will the survivor do?", ["Wait", "Take over", "Stop"])
        wqlib.predict("06-a", 2)    # the guess by its number, instead of a click

    Args:
        prediction_id: For example "06-a".
        question: What is asked; or the number of the option that you choose, from 1.
        options: What there is to choose from.

    Raises:
        WqlibError: There is no such prediction or option.
    """
    entry = data.entry(prediction_id)
    if options is None:
        _guess(prediction_id, question)
        return
    options = list(options)
    if len(options) != len(entry.pictures):
        raise WqlibError(
            f"{prediction_id} has {len(options)} options here, and {len(entry.pictures)} "
            f"in {prediction_id[:2]}.toml."
        )
    _asked[prediction_id] = Prediction(prediction_id, str(question), options)
    display(_asked[prediction_id])  # type: ignore[no-untyped-call]


def _guess(prediction_id: str, guess: str | int) -> None:
    asked = _asked.get(prediction_id)
    if asked is None:
        raise WqlibError(
            f"{prediction_id} has not been asked yet. Run the cell with its question first."
        )
    most = len(asked.options)
    if not isinstance(guess, int) or not 1 <= guess <= most:
        raise WqlibError(
            f"{prediction_id} has no option {guess!r}. Choose a number from 1 to {most}."
        )
    asked.commit(guess)
    stays = "" if asked.guess == guess else " It has already been compared, so it stays."
    print(f"{prediction_id}: {asked.said()}{stays}")


def compare(prediction_id: str, happened: str) -> None:
    """Print your guess beside what happened, and what is right.

    Args:
        prediction_id: For example "06-a".
        happened: What was measured, in a few words.

    Raises:
        WqlibError: There is no such prediction.
    """
    entry = data.entry(prediction_id)
    asked = _asked.get(prediction_id)
    if asked is None:
        noted = record.guesses().get(prediction_id)
        if noted is None or len(noted["options"]) != len(entry.pictures):
            print(
                f"{prediction_id} has not been asked yet. Run the cell with its question, make a "
                "guess, and run this cell again."
            )
            return
        asked = Prediction(prediction_id, "", noted["options"])
    asked.compared()
    guess, happened = asked.guess, f"What happened: {happened.rstrip(' .')}."
    right = f"{entry.right}, “{asked.options[entry.right - 1]}”"
    if not guess:
        lines = ["You made no guess.", happened, f"Right was {right}."]
    elif guess == entry.right:
        lines = [f"✓ You guessed {right}.", happened]
    else:
        lines = [
            f"✗ You guessed {guess}, “{asked.options[guess - 1]}”.",
            happened,
            f"Right was {right}.",
        ]
    lines[-1] += f" {entry.because.strip()}"
    if guess and guess != entry.right:
        lines.append(f"About your guess: {entry.pictures[guess - 1].strip()}")
    print("\n".join(map(wrapped, lines)))
