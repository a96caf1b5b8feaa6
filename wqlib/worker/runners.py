"""Where tasks run when a worker has several at a time: in threads, or on an event loop.

A runner takes leases from `waiting` as it has room for them, and hands each attempt over when its
place is free again: it has ended, or has been given up (it took too long). Whoever takes it out of
`running` first decides which.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from ..queue.items import Lease, encode_result
from .children import Child, TaskFailed
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
        stop: Ends the work, or at least frees its place; gets the attempt.
        is_given_up: It took too long; its result is not wanted.
    """

    lease: Lease
    began: float
    stop: Callable[[Attempt], object]
    ended: float = 0.0
    result: bytes | str | None = None
    error: BaseException | None = None
    is_given_up: bool = False


class Runner:
    """What threads and event loop have in common.

    Args:
        process: The task.
        slots: How many items are worked on at a time.
        waiting: Leases to work on; others may take some back.
        begun: Called with each attempt that begins.
        ended: Called with each attempt whose place is free again.
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
        self._deciding = threading.Lock()

    def look(self, leases: int) -> None:
        """So many leases have come to `waiting`."""
        raise NotImplementedError

    def close(self) -> None:
        """Begin nothing more. What runs is not waited for."""
        raise NotImplementedError

    def give_up(self, attempt: Attempt) -> bool:
        """Let go of an attempt that takes too long. False: it has just ended by itself."""
        with self._deciding:  # whoever is told that it was given up finds it stopped
            attempt.is_given_up = self.running.pop(attempt, None) is attempt
            if attempt.is_given_up:
                attempt.stop(attempt)
        return attempt.is_given_up

    def _begin(self, lease: Lease, stop: Callable[[Attempt], object]) -> Attempt:
        attempt = Attempt(lease, time.monotonic(), stop)
        self.running[attempt] = attempt
        listen(partial(self._tell, lease))
        self._begun(attempt)
        return attempt

    def _end(self, attempt: Attempt, result: Any, error: BaseException | None) -> bool:
        """Hand over an attempt that has ended. False: it had been given up."""
        try:
            encode_result(result)  # a bad result is a failure of this item alone
        except Exception as why:
            error = why
        attempt.result, attempt.error, attempt.ended = result, error, time.monotonic()
        with self._deciding:
            is_ours = self.running.pop(attempt, None)
        if is_ours:
            self._ended(attempt)
        return bool(is_ours)


class Threads(Runner):
    """Each item in a thread; with `isolation`, in a process of that thread.

    A thread cannot be ended from outside. One that is given up goes on until its task returns,
    and another takes its place; a process is killed.
    """

    def __init__(self, *arguments: Any, isolation: bool) -> None:
        super().__init__(*arguments)
        if not isolation:
            self.REMARK = "; its thread cannot be stopped, and is abandoned"
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._children = [Child(self._process) for _ in range(self._slots)] if isolation else []
        self._threads: list[threading.Thread] = []
        if isolation:
            self._try_first()
        for slot in range(self._slots):
            self._start(self._children[slot] if isolation else None)

    def _try_first(self) -> None:
        """See that a process can import the task, so that no item has to fail for that."""
        try:
            self._children[0].start()
        except (EOFError, OSError):
            self._children[0].close()
            raise TaskFailed(
                "No process can import the task: see what it printed. With isolation=process each "
                "process imports the program too, so start the worker under "
                '`if __name__ == "__main__":`.'
            ) from None

    def _start(self, child: Child | None = None) -> None:
        thread = threading.Thread(target=self._run, args=(child,), name="wqlib-task", daemon=True)
        thread.start()
        if child:
            self._threads.append(thread)

    def _replace(self, attempt: Attempt) -> None:
        self._start()
        self._ended(attempt)

    def look(self, leases: int) -> None:
        for _ in range(leases):
            self._calls.put(True)

    def close(self) -> None:
        for _ in range(self._slots):
            self._calls.put(False)
        for child in self._children:
            child.close()
        for thread in self._threads:  # nothing holds them any more
            thread.join(_CANCEL_SECONDS)

    def _run(self, child: Child | None) -> None:
        process = child or self._process
        stop = (lambda attempt: child.kill()) if child else self._replace
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
            if not self._end(attempt, result, error):
                if not child:
                    return  # another thread has taken this place
                child.bury()
                self._ended(attempt)


class DaemonThreads(ThreadPoolExecutor):
    """For `asyncio.to_thread`: a thread for each call, which keeps no program from ending."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = Future[Any]()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)

        threading.Thread(target=run, name="wqlib-call", daemon=True).start()
        return future


class EventLoop(Runner):
    """Each item as a task of one event loop, which has a thread of its own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(DaemonThreads())
        self._context = contextvars.copy_context()
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}
        self._thread = threading.Thread(target=self._serve, name="wqlib-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def look(self, leases: int) -> None:
        self._loop.call_soon_threadsafe(self._fill)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop)
        self._thread.join(2 * _CANCEL_SECONDS)  # longer only if a task blocks the loop

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}  # also what tasks have started
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)
        await self._loop.shutdown_asyncgens()
        self._loop.stop()

    def _fill(self) -> None:
        while len(self.running) < self._slots:
            try:
                lease = self._waiting.popleft()
            except IndexError:
                return
            # In `running` at once, for this loop counts there; the task begins in its turn.
            context = self._context.copy()
            attempt = context.run(self._begin, lease, self._stop)
            task = self._loop.create_task(self._run(attempt), context=context)
            self._tasks[attempt] = task
            task.add_done_callback(partial(self._forget, attempt))

    def _forget(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        del self._tasks[attempt]

    def _stop(self, attempt: Attempt) -> None:
        self._loop.call_soon_threadsafe(self._cancel, attempt)

    def _cancel(self, attempt: Attempt) -> None:
        if task := self._tasks.get(attempt):
            task.cancel()
        self._ended(attempt)
        self._fill()

    async def _run(self, attempt: Attempt) -> None:
        result, error = None, None
        try:
            result = await self._process(attempt.lease.item)
        except BaseException as why:
            error = why
        self._end(attempt, result, error)
        self._fill()
