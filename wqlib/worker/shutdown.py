"""What SIGTERM does to a worker: a grace to finish in, then no more time. And what Ctrl-C does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from ..tasks import Task

_ALARM_SECONDS = 0.1
_PATIENT_ALARMS = 10  # until what does not heed `hurry` is ended too


class OutOfTime(BaseException):
    """The grace period after SIGTERM is over. Not an Exception, so a task lets it through."""


class Shutdown:
    """What SIGTERM and Ctrl-C do to a process that works.

    Inside `with`, SIGTERM, SIGALRM and SIGINT are its own (outside of the main thread nothing
    happens). Ctrl-C ends a task at once; elsewhere the worker asks `is_interrupted` when it holds
    nothing that it does not know of, as it would if a call of Redis were cut off. The second
    Ctrl-C is an exception wherever it comes.

    Args:
        grace_seconds: How long a task may go on after SIGTERM.
        begin: Called when SIGTERM comes, in the signal handler.
        hurry: Called when the grace is over, and then every 0.1 s, and at Ctrl-C, in the handler.
        wakeup: A file descriptor that a signal writes to, for it may come just before a wait, which
            its handler would then not end.

    Attributes:
        is_requested: SIGTERM has come.
        is_out_of_time: The grace is over.
        is_interrupted: Ctrl-C has come.
    """

    def __init__(
        self,
        grace_seconds: float,
        begin: Callable[[], None],
        hurry: Callable[[], None],
        wakeup: int = -1,
    ) -> None:
        self.is_requested = False
        self.is_out_of_time = False
        self.is_interrupted = False
        self._grace_seconds, self._begin, self._hurry = grace_seconds, begin, hurry
        self._in_task = False
        self._alarms = 0
        self._wakeup = wakeup
        self._process = os.getpid()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            ours = {signal.SIGTERM: self._on_sigterm, signal.SIGALRM: self._on_alarm}
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                ours[signal.SIGINT] = self._on_ctrl_c
            for number, handler in ours.items():
                self._handlers[number] = signal.signal(number, handler)
            self._wakeup = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handlers:
            signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def call(self, process: Task, item: bytes) -> bytes | str | None:
        """Run a task in this thread.

        Raises:
            OutOfTime: It was still running when the grace was over.
            KeyboardInterrupt: Ctrl-C came, in it or before.
        """
        try:
            try:
                self._in_task = True
                if self.is_interrupted:
                    raise KeyboardInterrupt
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
        if not is_fork(self._process, number) and not self.is_requested:
            self.is_requested = True
            signal.setitimer(signal.ITIMER_REAL, max(self._grace_seconds, 0.001), _ALARM_SECONDS)
            self._begin()

    def _on_ctrl_c(self, number: int, frame: FrameType | None) -> None:
        if self._in_task or self.is_interrupted or os.getpid() != self._process:
            raise KeyboardInterrupt
        self.is_interrupted = True
        self._hurry()

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if is_fork(self._process, number) or not self.is_requested:
            return
        self.is_out_of_time = True
        self._hurry()
        self._alarms += 1
        if self._in_task:
            raise OutOfTime
        if self._alarms > _PATIENT_ALARMS:  # it waits for a Redis that hangs
            self.stop_clock()
            raise OutOfTime


def is_fork(process: int, number: int) -> bool:
    """Are we not this process, but a child that a task has forked?

    Then the signal does what it always does.
    """
    if os.getpid() == process:
        return False
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return True
