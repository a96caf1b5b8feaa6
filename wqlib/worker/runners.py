"""Where tasks run when a worker has several at a time: in threads, or on an event loop.

A runner takes leases from `waiting` as it has room for them, and hands each attempt over when it
has ended. An attempt that the worker gave up on (it took too long) is handed over no more: whoever
takes it out of `running` first decides on its end.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from ..queue.items import Lease, encode_result
from .children import Child
from .telling import listen


def is_async(process: Callable[[bytes], Any]) -> bool:
    """Is this an `async def`, or an object that is called like one?"""
    called = getattr(process, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(process) or inspect.iscoroutinefunction(called)


_CANCEL_SECONDS = 1.0  # for what a task that is cancelled has to put in order


@dataclass(slots=True, eq=False)
class Attempt:
    """One run of the task on one item; times by `time.monotonic`.

    Attributes:
        lease: The lease on the item.
        began, ended: When the work began and ended.
        result: What the task returned.
        error: What it raised.
        stop: Ends the work, or at least frees its place.
    """

    lease: Lease
    began: float
    stop: Callable[[], object]
    ended: float = 0.0
    result: bytes | str | None = None
    error: BaseException | None = None


class Runner:
    """What threads and event loop have in common.

    Args:
        process: The task.
        slots: How many items are worked on at a time.
        waiting: Leases to work on; others may take some back.
        begun: Called with each attempt that begins.
        ended: Called with each attempt that has ended.
        tell: Gets a lease and the text of `progress`.
    """

    REMARK = ""  # on an attempt that was given up

    def __init__(
        self,
        process: Callable[[bytes], Any],
        slots: int,
        waiting: deque[Lease],
        begun: Callable[[Attempt], None],
        ended: Callable[[Attempt], None],
        tell: Callable[[Lease, str], None],
    ) -> None:
        self.running: dict[Attempt, Attempt] = {}  # a set in the order of the begin
        self._process, self._slots, self._waiting = process, slots, waiting
        self._begun, self._ended, self._tell = begun, ended, tell

    def look(self, leases: int) -> None:
        """So many leases have come to `waiting`."""
        raise NotImplementedError

    def close(self) -> None:
        """Begin nothing more. What runs is not waited for."""
        raise NotImplementedError

    def give_up(self, attempt: Attempt) -> bool:
        """Let go of an attempt that takes too long. False: it has just ended by itself."""
        if not self.running.pop(attempt, None):
            return False
        attempt.stop()
        return True

    def _begin(self, lease: Lease, stop: Callable[[], object]) -> Attempt:
        attempt = Attempt(lease, time.monotonic(), stop)
        self.running[attempt] = attempt
        listen(partial(self._tell, lease))
        self._begun(attempt)
        return attempt

    def _end(self, attempt: Attempt, result: Any, error: BaseException | None) -> bool:
        """Hand over an attempt. False: it had been given up."""
        try:
            encode_result(result)  # a bad result is a failure of this item alone
        except Exception as why:
            error = why
        attempt.result, attempt.error, attempt.ended = result, error, time.monotonic()
        if not self.running.pop(attempt, None):
            return False
        self._ended(attempt)
        return True


class Threads(Runner):
    """Each item in a thread; with `isolation`, in a process of that thread.

    A thread cannot be ended from outside. One that is given up goes on until its task returns,
    and another takes its place; a process is killed.
    """

    def __init__(self, *arguments: Any, isolation: bool) -> None:
        super().__init__(*arguments)
        self._isolation = isolation
        if not isolation:
            self.REMARK = "; its thread cannot be ended, and is abandoned"
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._children: list[Child] = []
        for _ in range(self._slots):
            self._start()

    def _start(self) -> None:
        threading.Thread(target=self._run, name="wqlib-task", daemon=True).start()

    def look(self, leases: int) -> None:
        for _ in range(leases):
            self._calls.put(True)

    def close(self) -> None:
        for _ in range(self._slots):
            self._calls.put(False)
        for child in self._children:
            child.kill()

    def _run(self) -> None:
        process, stop = self._process, self._start
        if self._isolation:
            child = Child(process)
            self._children.append(child)
            process, stop = child, child.kill
        while self._calls.get():
            try:
                lease = self._waiting.popleft()
            except IndexError:  # it was taken back
                continue
            attempt = self._begin(lease, stop)
            result, error = None, None
            try:
                result = process(lease.item)
            except BaseException as why:  # also SystemExit: no task may end the worker
                error = why
            if not self._end(attempt, result, error) and not self._isolation:
                return  # another thread has taken this place


class EventLoop(Runner):
    """Each item as a task of one event loop, which has a thread of its own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._serve, name="wqlib-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def look(self, leases: int) -> None:
        self._loop.call_soon_threadsafe(self._fill)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop)
        self._thread.join(2 * _CANCEL_SECONDS)  # longer only if a task blocks the loop

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCEL_SECONDS)
        self._loop.stop()

    def _fill(self) -> None:
        while len(self.running) < self._slots:
            try:
                lease = self._waiting.popleft()
            except IndexError:
                return
            # In `running` at once, for this loop counts there; the task begins in its turn.
            context = contextvars.copy_context()
            attempt = context.run(self._begin, lease, lambda: None)
            task = self._loop.create_task(self._run(attempt), context=context)
            attempt.stop = partial(self._loop.call_soon_threadsafe, self._stop, task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _stop(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self._fill()

    async def _run(self, attempt: Attempt) -> None:
        result, error = None, None
        try:
            result = await self._process(attempt.lease.item)
        except BaseException as why:
            error = why
        self._end(attempt, result, error)
        self._fill()
