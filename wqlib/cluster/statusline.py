"""A line that says what a long wait is for: from the third second on, gone at the end.

In a notebook it is an output that changes, in a terminal a line that is written over, in a log a
new line now and then. It appears only where somebody reads it: a kernel that runs a notebook as
a test, or to fill in its outputs, is told that nobody can be asked (`allow_stdin`), and shows none.
A thread never shows one: its words would land in whichever cell ran last.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

QUIET_SECONDS = 3.0  # what takes less says nothing
PAUSE_SECONDS = 1.0  # at least, between two changes of the line
LOG_SECONDS = 30.0  # in a log, at most one line in this time


class StatusLine:
    """A line that shows what a `with` block waits for, while that takes long.

    Example:
        >>> with StatusLine() as status:
        ...     status.update("pod/redis to be ready")
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown_at = float("-inf")
        self._display_id = ""

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._display_id:
            self._display(_notebook(), "")
        elif self._shown_at > 0 and sys.stderr.isatty():
            self._write("\r\033[K")

    def update(self, what: str) -> None:
        """Say what is waited for; call it as often as you like.

        Args:
            what: As it follows "Waiting for": "pod/redis to be ready: Pending".
        """
        now = time.monotonic()
        if now - self._began < QUIET_SECONDS or now - self._shown_at < PAUSE_SECONDS:
            return
        if threading.current_thread() is not threading.main_thread():
            return
        line = f"Waiting for {what} ({now - self._began:.0f} s)"
        shell = _notebook()
        if shell is not None:
            if shell.get_parent().get("content", {}).get("allow_stdin"):
                self._display(shell, line)
        elif sys.stderr.isatty():
            columns = shutil.get_terminal_size().columns
            self._write(f"\r\033[K{line[: columns - 1]}")
        elif now - self._shown_at >= LOG_SECONDS:
            self._write(f"{line}\n")
        else:
            return
        self._shown_at = now

    def _display(self, shell: Any, line: str) -> None:
        known, self._display_id = self._display_id, self._display_id or secrets.token_hex(8)
        shell.display_pub.publish(
            {"text/plain": line}, transient={"display_id": self._display_id}, update=bool(known)
        )

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def poll(what: str, deadline: float, pause: float = 0.1) -> Iterator[None]:
    """Yield again and again until `deadline` (of `time.monotonic()`); show what that waits for."""
    with StatusLine() as status:
        while time.monotonic() < deadline:
            yield
            status.update(what)
            time.sleep(pause)


def _notebook() -> Any:
    """Return the shell of the notebook in which this runs, or None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if hasattr(shell, "kernel") else None
