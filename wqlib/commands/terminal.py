"""A command in the terminal: its progress, what a signal does to it, and how it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import EXIT_ERROR, EXIT_OK, EXIT_SIGNAL, WqlibError


class Stopped(BaseException):
    """Raised when a signal asks us to end. Not an Exception, so nothing takes it for an error.

    Attributes:
        number: The number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_command(command: Callable[[], int]) -> int:
    """Run a command; what goes wrong is one message on standard error.

    Returns:
        What the command returns; 1 if something went wrong; 128 + n if signal n ended it (130
        after Ctrl-C); 0 if the reader of its output went away, as `| head` does.
    """
    try:
        return command()
    except WqlibError as error:
        message, code = str(error), EXIT_ERROR
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "wqlib":
            raise
        extra = "metrics" if error.name == "prometheus_client" else "course"
        message, code = (
            f"This needs the package {error.name}, which is not installed. "
            f"Install it and what else is needed: {sys.executable} -m pip install 'wqlib[{extra}]'",
            EXIT_ERROR,
        )
    except KeyboardInterrupt as error:
        message, code = ". ".join(["interrupted", *error.args]), EXIT_SIGNAL + signal.SIGINT
    except Stopped as error:  # a command that takes signals itself has said so
        return EXIT_SIGNAL + error.number
    except BrokenPipeError:
        with contextlib.suppress(OSError):  # what is still buffered goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    print(f"wqlib: {message}", file=sys.stderr)
    return code


def remark(text: str) -> None:
    """Say something beside the data that a command prints."""
    print(text, file=sys.stderr)


def size() -> tuple[int, int]:
    """Return how many columns and lines the terminal has."""
    found = shutil.get_terminal_size((100, 30))
    return found.columns, found.lines


def can_colour() -> bool:
    """Tell whether the output may have colours; see https://no-color.org/."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


class Block:
    """Lines at the end of a terminal that change in place."""

    def __init__(self) -> None:
        self._height = 0

    def show(self, lines: Sequence[str]) -> None:
        """Draw lines in place of those before."""
        text = "".join(f"{line}\033[K\n" for line in lines)
        print(f"{self._up()}{text}\033[J", end="", flush=True)
        self._height = len(lines)

    def clear(self) -> None:
        """Erase the lines."""
        if self._height:
            print(f"{self._up()}\033[J", end="", flush=True)
            self._height = 0

    def keep(self) -> None:
        """Leave the lines as they are, and go on below them."""
        self._height = 0

    def _up(self) -> str:
        return f"\r\033[{self._height}A" if self._height else ""


class Progress:
    """Shows the progress: a picture that changes in a terminal, or plain lines in a file."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.live = sys.stdout.isatty() and not silent
        self.began = time.monotonic()
        self._told = -1.0
        self._block = Block()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._block.clear()
        if not self.silent:
            print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def picture(self, lines: Sequence[str]) -> None:
        """Draw lines that change in place, on a terminal only."""
        if self.live:
            self._block.show(lines)

    def count(self, done: int, leased: int, items: int) -> None:
        """Print the progress, a line for each tenth, where there is no picture."""
        if not self.silent and not self.live and done * 10 // items > self._told:
            self._told = done * 10 // items
            self.line(f"{done:4} of {items} done, {leased} leased")

    def end(self) -> None:
        """Leave the picture as it is."""
        self._block.keep()


class Signals:
    """Turns SIGINT and SIGTERM into `Stopped`, which can be held back for a while."""

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
        """Raise `Stopped` if a signal came and its exception was lost, as in a `__del__`."""
        if self.number:
            raise Stopped(self.number)

    def ignore(self) -> None:
        """Ignore signals from now on."""
        self._deaf = True

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Hold signals back until the end of this block."""
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
            raise Stopped(number)
