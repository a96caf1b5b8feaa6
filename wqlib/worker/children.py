"""A process that runs tasks for one thread, so that what they break is theirs alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ..errors import WqlibError
from ..queue.items import encode_result
from ..shown import failure
from .shutdown import is_fork
from .telling import listen, progress

_READY, _DONE, _NOTHING, _FAILED, _TOLD = b"r", b"=", b"0", b"!", b"~"
_EXIT_SECONDS = 2.0
_LOOK_SECONDS = 1.0


class TaskFailed(WqlibError):
    """The attempt failed; the text is the whole message."""


class Child:
    """Calls a task in a process, which begins with the first call and again after it has died.

    What a task starts ends with its process. If this process is killed, that one ends by itself;
    but while it is in C code that holds the GIL, only when that returns.

    Args:
        process: The task; the new process imports it by its name.
    """

    def __init__(self, process: Callable[[bytes], Any]) -> None:
        self._task = process
        self._process: BaseProcess | None = None
        self._pipe: Connection[bytes, bytes]
        self._is_over = False

    def __call__(self, item: bytes) -> bytes | None:
        """Run the task on an item, and return its result as bytes.

        Raises:
            TaskFailed: It raised an exception, or its process ended.
        """
        try:
            self.start()
            self._pipe.send_bytes(item)
            while (answer := self._receive())[:1] == _TOLD:
                progress(answer[1:].decode())
        except (EOFError, OSError):
            raise TaskFailed(f"The process of the task {self.bury()}") from None
        if answer[:1] == _FAILED:
            raise TaskFailed(answer[1:].decode())
        return answer[1:] if answer[:1] == _DONE else None

    def start(self) -> None:
        """Begin the process if there is none, and wait until it is ready.

        Raises:
            EOFError, OSError: It ended before.
        """
        if self._process and self._process.is_alive():
            return
        self._process = None
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._task))
        process.start()
        theirs.close()
        self._process = process
        if self._is_over:
            self.kill()
        self._receive()

    def kill(self) -> None:
        """End the process, whatever it does, and what it has started."""
        process = self._process
        if process and process.exitcode is None:
            _kill(process)

    def close(self) -> None:
        """Kill the process, and let none begin."""
        self._is_over = True
        self.kill()

    def _receive(self) -> bytes:
        while not self._pipe.poll(_LOOK_SECONDS):
            if not self._process or self._process.exitcode is not None:
                raise EOFError  # though a fork of it may hold the pipe open
        return self._pipe.recv_bytes()

    def bury(self) -> str:
        """End a process that answers no more, with what it has started. Return how it ended."""
        process = self._process
        self._process = None
        if not process:
            return "could not be started"
        # Not `join`, which waits for ever for a process that has closed all its files.
        give_up_at = time.monotonic() + _EXIT_SECONDS
        while (code := process.exitcode) is None and time.monotonic() < give_up_at:
            time.sleep(0.001)
        _kill(process)
        process.join()
        return "closed its pipe, and was killed" if code is None else _end(code)


def _kill(process: BaseProcess) -> None:
    assert process.pid
    with contextlib.suppress(ProcessLookupError, PermissionError):  # no group yet, or no more
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = ": was it out of memory?" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _serve(pipe: Connection[bytes, bytes], task: Callable[[bytes], Any]) -> None:
    """Be the child: answer each item until the parent has gone."""
    os.setsid()  # a group of our own, which is killed as a whole
    process = os.getpid()
    for number in (signal.SIGTERM, signal.SIGINT):  # the parent decides
        # Not SIG_IGN, which programs that the task starts would inherit.
        signal.signal(number, lambda number, _: is_fork(process, number) and None)
    with contextlib.suppress(OSError):  # Linux: what lacks memory takes this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    listen(lambda text: pipe.send_bytes(_TOLD + text.encode("utf-8", "replace")))
    with contextlib.suppress(EOFError, OSError):
        pipe.send_bytes(_READY)
        while True:
            pipe.send_bytes(_answer(task, pipe.recv_bytes()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os.killpg(0, signal.SIGKILL)


def _answer(task: Callable[[bytes], Any], item: bytes) -> bytes:
    try:
        return encode_result(task(item)) or _NOTHING
    except BaseException as error:
        return _FAILED + failure(error).encode()
