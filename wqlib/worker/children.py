"""A process that runs tasks for one thread, so that what they break is theirs alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ..queue.items import encode_result
from ..shown import failure
from .telling import listen, progress

_DONE, _NOTHING, _FAILED, _TOLD = b"=", b"0", b"!", b"~"
_EXIT_SECONDS = 5.0


class TaskFailed(Exception):
    """The attempt failed; the text is all that is to be said."""


class Child:
    """Calls a task in a process, which begins with the first call and again after it has died.

    Args:
        process: The task; the new process imports it by its name.
    """

    def __init__(self, process: Callable[[bytes], Any]) -> None:
        self._task = process
        self._process: BaseProcess | None = None
        self._pipe: Connection[bytes, bytes]

    def __call__(self, item: bytes) -> bytes | None:
        """Run the task on an item, and return its result as bytes.

        Raises:
            TaskFailed: It raised an exception, or its process ended.
        """
        if not self._process or not self._process.is_alive():
            self._start()
        assert self._process
        try:
            self._pipe.send_bytes(item)
            while (answer := self._pipe.recv_bytes())[:1] == _TOLD:
                progress(answer[1:].decode())
        except (EOFError, OSError):
            self._process.join(_EXIT_SECONDS)
            raise TaskFailed(f"The process of the task {_end(self._process.exitcode)}") from None
        if answer[:1] == _FAILED:
            raise TaskFailed(answer[1:].decode())
        return answer[1:] if answer[:1] == _DONE else None

    def kill(self) -> None:
        """End the process, whatever it does."""
        if self._process:
            self._process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._task))
        process.start()
        theirs.close()
        self._process = process


def _end(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = ": was it out of memory?" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _serve(pipe: Connection[bytes, bytes], task: Callable[[bytes], Any]) -> None:
    """Be the child: answer each item until the parent has gone."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the parent decides
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # Linux: what lacks memory takes this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    listen(lambda text: pipe.send_bytes(_TOLD + text.encode("utf-8", "replace")))
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(_answer(task, pipe.recv_bytes()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _answer(task: Callable[[bytes], Any], item: bytes) -> bytes:
    try:
        return encode_result(task(item)) or _NOTHING
    except BaseException as error:
        return _FAILED + failure(error).encode()
