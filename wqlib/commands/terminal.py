"""A program in the terminal: how far it is, and what a signal does to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any


class Stopped(BaseException):
    """A signal asks to end. Not an Exception, so nothing takes it for an error."""


def size() -> tuple[int, int]:
    """How many columns and lines the terminal has."""
    found = shutil.get_terminal_size((100, 30))
    return found.columns, found.lines


def can_colour() -> bool:
    """May the output have colours? See https://no-color.org/."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


class Block:
    """Lines at the end of a terminal that change in place."""

    def __init__(self) -> None:
        self._height = 0

    def show(self, lines: Sequence[str]) -> None:
        """Draw these lines where the last ones are."""
        text = "".join(f"{line}\033[K\n" for line in lines)
        print(f"{self._up()}{text}\033[J", end="", flush=True)
        self._height = len(lines)

    def clear(self) -> None:
        """Take the lines away."""
        if self._height:
            print(f"{self._up()}\033[J", end="", flush=True)
            self._height = 0

    def keep(self) -> None:
        """Leave the lines as they are, and go on below them."""
        self._height = 0

    def _up(self) -> str:
        return f"\r\033[{self._height}A" if self._height else ""


class Progress:
    """Tells in the terminal how it goes: a picture that changes, or plain lines in a file."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.live = sys.stdout.isatty()
        self.began = time.monotonic()
        self._told = -1.0
        self._block = Block()

    def line(self, text: str) -> None:
        """A line that stays."""
        self._block.clear()
        if not self.silent:
            print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def picture(self, lines: Sequence[str]) -> None:
        """Lines that change in place, on a terminal only."""
        if self.live and not self.silent:
            self._block.show(lines)

    def count(self, done: int, leased: int, items: int) -> None:
        """How far it is, a line for each tenth, where there is no picture."""
        if not self.silent and not self.live and done * 10 // items > self._told:
            self._told = done * 10 // items
            self.line(f"{done:4} of {items} done, {leased} leased")

    def end(self) -> None:
        """Leave the picture as it is."""
        self._block.keep()


class Signals:
    """SIGINT and SIGTERM as an exception, which can be held back for a while."""

    def __init__(self) -> None:
        self.number = 0
        self._deaf = self._holding = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Stop here if a signal came and its exception was lost, as in a `__del__` it is."""
        if self.number:
            raise Stopped

    def ignore(self) -> None:
        """Take no notice from now on."""
        self._deaf = True

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Let a signal wait until the end of this block."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        self.check()

    def _on_signal(self, number: int, frame: object) -> None:
        if self._deaf:
            return
        self.number = self.number or number
        if not self._holding:
            self._deaf = True  # a second one must not cut the clean-up short
            raise Stopped
