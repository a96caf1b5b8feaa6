"""A question with a button for each option, and the same as text where there are no buttons."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any

import ipywidgets as widgets

WIDTH = 90
_STYLE = """<style>
.wqlib-choice, .wqlib-choice .widget-html-content {
  font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: 14px; line-height: 20px;
  color: var(--jp-ui-font-color1, inherit); white-space: normal; }
.wqlib-choice .jupyter-button { width: auto; max-width: 100%; height: auto; margin: 3px 2px;
  padding: 5px 12px; line-height: 20px; font-size: 14px; text-align: left; white-space: normal;
  border: 2px solid transparent; }
.wqlib-choice .jupyter-button:disabled { opacity: 0.8; }
.wqlib-choice .wqlib-choice { margin-bottom: 16px; }
.wqlib-choice .wqlib-chosen { border-color: currentColor; font-weight: 600; }
</style>"""


class Choice:
    """A question whose options are buttons: by mouse, or by Tab and Enter or Space.

    The button of the option that is chosen has a filled circle and a frame. JupyterLab keeps the
    arrow keys, so these are no radio buttons.

    Args:
        question: As it is asked.
        options: What one can choose from.
        on_choice: Called with the number of the option when one is clicked, from 1.

    Attributes:
        box: The widget.
    """

    def __init__(
        self, question: str, options: Sequence[str], on_choice: Callable[[int], None]
    ) -> None:
        self._options = options
        self._buttons = []
        layout, style = widgets.Layout(), widgets.ButtonStyle()  # shared: notebooks keep them
        for number in range(1, len(options) + 1):
            button = widgets.Button(layout=layout, style=style)
            button.on_click(partial(_clicked, on_choice, number))
            self._buttons.append(button)
        self._said = widgets.HTML(layout=layout)
        asked = widgets.HTML(f"{_STYLE}<strong>{marked_up(question)}</strong>", layout=layout)
        self.box = widgets.VBox([asked, *self._buttons, self._said], layout=layout)
        self.box.add_class("wqlib-choice")

    def show(self, chosen: int, said: str, *, frozen: bool = False) -> None:
        """Show which option is chosen, and say something below.

        Args:
            chosen: Its number, from 1; 0: none.
            said: Read out by screen readers.
            frozen: Whether another can be chosen no more.
        """
        for number, (option, button) in enumerate(
            zip(self._options, self._buttons, strict=True), 1
        ):
            mark = "●" if number == chosen else "○"
            button.description = f"{mark} {number}. {option.replace('`', '')}"
            button.disabled = frozen
            (button.add_class if number == chosen else button.remove_class)("wqlib-chosen")
        self._said.value = f'<div role="status" aria-live="polite">{marked_up(said)}</div>'


def _clicked(on_choice: Callable[[int], None], number: int, button: Any) -> None:
    on_choice(number)


def marked_up(text: str) -> str:
    """Return a text as HTML; what is in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def as_text(question: str, options: Sequence[str]) -> str:
    """Return a question and its options as text."""
    listed = (f"{number}. {option}" for number, option in enumerate(options, 1))
    return "\n".join([wrapped(question), *(wrapped(one, "  ", "     ") for one in listed)])


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """Return a text in lines that the page of the site has room for."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
