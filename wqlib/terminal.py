"""A program in the terminal: how far it is, and what a signal does to it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any


class Stopped(BaseException):
    """A signal asks to end. Not an Exception, so nothing takes it for an error."""


class Progress:
    """Tells in the terminal how it goes: one line that changes, or plain lines in a file."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.live = sys.stdout.isatty()
        self.began = time.monotonic()
        self._told = -1.0
        self._open = False

    def line(self, text: str) -> None:
        """A line that stays."""
        self.end()
        if not self.silent:
            print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def count(self, done: int, leased: int, items: int) -> None:
        """How far it is: on a terminal in place, else a line for each tenth."""
        text = f"{done:4} of {items} done, {leased} leased"
        if self.silent:
            return
        if self.live:
            seconds = time.monotonic() - self.began
            print(f"\r{seconds:6.1f} s  {text}\033[K", end="", flush=True)
            self._open = True
        elif done * 10 // items > self._told:
            self._told = done * 10 // items
            self.line(text)

    def end(self) -> None:
        """End the line that changes."""
        if self._open:
            print(flush=True)
            self._open = False


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
        if self.number:
            raise Stopped

    def _on_signal(self, number: int, frame: object) -> None:
        if self._deaf:
            return
        self.number = self.number or number
        if not self._holding:
            self._deaf = True  # a second one must not cut the clean-up short
            raise Stopped
