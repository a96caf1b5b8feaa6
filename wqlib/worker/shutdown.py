"""What SIGTERM does to a worker: a grace to finish in, then no more time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from ..tasks import Task


class OutOfTime(BaseException):
    """The grace period after SIGTERM is over. Not an Exception, so a task lets it through."""


class Shutdown:
    """What SIGTERM does to a process that works.

    Inside `with`, SIGTERM and SIGALRM are its own (outside of the main thread nothing happens).

    Args:
        grace_seconds: How long a task may go on after SIGTERM.
        begin: Called when SIGTERM comes, in the signal handler.
        hurry: Called when the grace is over, and then every 0.1 s, in the signal handler.

    Attributes:
        is_requested: SIGTERM has come.
        is_out_of_time: The grace is over.
    """

    def __init__(
        self, grace_seconds: float, begin: Callable[[], None], hurry: Callable[[], None]
    ) -> None:
        self.is_requested = False
        self.is_out_of_time = False
        self._grace_seconds, self._begin, self._hurry = grace_seconds, begin, hurry
        self._in_task = False
        self._process = os.getpid()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, handler in (
                (signal.SIGTERM, self._on_sigterm),
                (signal.SIGALRM, self._on_alarm),
            ):
                self._handlers[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def call(self, process: Task, item: bytes) -> bytes | str | None:
        """Run a task in this thread.

        Raises:
            OutOfTime: It was still running when the grace was over.
        """
        try:
            try:
                self._in_task = True
                return process(item)
            finally:
                self._in_task = False
        except OutOfTime:
            self._in_task = False
            raise

    def stop_clock(self) -> None:
        """Call `hurry` no more."""
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        if not self._is_a_fork(number) and not self.is_requested:
            self.is_requested = True
            signal.setitimer(signal.ITIMER_REAL, max(self._grace_seconds, 0.001), 0.1)
            self._begin()

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if self._is_a_fork(number) or not self.is_requested:
            return
        self.is_out_of_time = True
        self._hurry()
        if self._in_task:
            raise OutOfTime

    def _is_a_fork(self, number: int) -> bool:
        """Are we a child that a task has forked? Then the signal does what it always does."""
        if os.getpid() == self._process:
            return False
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return True
