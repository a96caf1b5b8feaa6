"""What a worker does between two items: record, lease, hand out, keep, give back."""

from __future__ import annotations

import contextlib
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from ..commandline import foreign_words
from ..errors import EXIT_OK, EXIT_SIGNAL, LeaseLost, QueueError
from ..queue import WorkQueue
from ..queue.items import Lease, encode_result
from ..queue.renewer import Renewer
from ..queue.workqueue import MAX_BATCH
from ..shown import failure, shown
from ..tasks import AsyncTask, Task
from . import log
from .children import TaskFailed
from .pace import Pace
from .runners import Attempt, EventLoop, Runner, Threads, is_async
from .shutdown import OutOfTime, Shutdown
from .telling import listen

EXIT_TERMINATED = EXIT_SIGNAL + 15  # SIGTERM
MAX_CONCURRENCY = MAX_BATCH
_HASTE_SECONDS = 1.0
_RECORD_SECONDS = 0.04  # after its end an item is recorded; with the call itself within 0.05
_LONG_SECONDS = 0.05  # an item that takes longer has the rest of its batch given back
_STUCK_SECONDS = 1.0  # while nothing can begin, how often to ask whether the queue has drained
_NAMED = 20  # of the items that are given back
_NEVER = float("inf")

Finished = tuple[Lease, bytes | str | None, float, float]  # result, when it began and ended


class Worker:
    """Works on a queue until it has drained.

    Args:
        queue: The queue; it is used by this worker alone.
        process: What to do with an item; `async def`, or a plain function.
        batch: How many items to lease at a time, 1 to 500; "auto": as many as will be done within
            some 50 ms, one at least, and no more than a fair share of what is left. In any case an
            item is recorded within 50 ms after its end, unless a task holds the GIL in C code.
        concurrency: How many items to work on at a time, 1 to 500: in threads, or as tasks of one
            event loop.
        item_seconds: How long an attempt may take; after that it has failed. A task of the event
            loop is cancelled, a process killed; a thread cannot be ended, so it is abandoned.
        isolation: "process": each item in a process of its own, so that one that crashes, hangs or
            eats memory loses its item only. The process imports `process` by its name, and the
            program with it, which thus begins its work below `if __name__ == "__main__":`.
        grace_seconds: How long tasks may go on after SIGTERM; less than the pod's
            `terminationGracePeriodSeconds` (30 by default), so that there is time to release.
        endless: Wait on when the queue has drained, for work without an end.
        say: Gets each line of the log, and its fields; see `wqlib.worker.log`.

    Attributes:
        items_done: How many items it completed.

    Raises:
        ValueError: If an argument makes no sense.
    """

    def __init__(
        self,
        queue: WorkQueue,
        process: Task | AsyncTask,
        *,
        batch: int | Literal["auto"] = "auto",
        concurrency: int = 1,
        item_seconds: float | None = None,
        isolation: Literal["thread", "process"] = "thread",
        grace_seconds: float = 20.0,
        endless: bool = False,
        say: Callable[..., None] = log.say_text,
    ) -> None:
        if batch != "auto" and not 1 <= batch <= MAX_BATCH:
            raise ValueError(f"batch is {batch}; it must be auto, or 1 to {MAX_BATCH}.")
        if not 1 <= concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"concurrency is {concurrency}; it must be 1 to {MAX_CONCURRENCY}.")
        if item_seconds is not None and not item_seconds > 0:
            raise ValueError(f"item_seconds is {item_seconds}; it must be above 0, or None.")
        if isolation not in ("thread", "process"):
            raise ValueError(f"isolation is {isolation!r}; it must be thread or process.")
        if isolation == "process":
            _check_isolated(process)
        self.queue = queue
        self.process = process
        self.batch = batch
        self.concurrency = concurrency
        self.item_seconds = item_seconds
        self.isolation = isolation
        self.grace_seconds = grace_seconds
        self.endless = endless
        self.items_done = 0
        self._say = say
        self._is_text = say is log.say_text
        self._waiting: deque[Lease] = deque()  # leased, not begun
        self._finished: list[Finished] = []  # not recorded; the oldest first
        self._ended: deque[Attempt] = deque()  # in other threads, not looked at
        self._out = 0  # leases that were handed out, and have not come back
        self._stuck = 0  # attempts that were given up, and whose place is not free
        self._recording = threading.Lock()
        self._pace = Pace(concurrency)

    # -- beginning and end

    def run(self) -> int:
        """Work until the queue has drained or SIGTERM comes.

        Returns:
            The exit code for the process: 0 when drained, 143 after SIGTERM.

        Raises:
            QueueError: Redis stayed away for longer than the queue's patience, or refused.
            TaskFailed: With isolation=process, no process can import the task.
        """
        queue, patience = self.queue, self.queue.patience_seconds
        self._renewer = Renewer(
            queue, lambda error: self._say(f"Renewing failed: {error}"), chore=self._keep
        )
        self._shutdown = Shutdown(self.grace_seconds, queue.interrupt, self._hurry, queue.bell)
        self._runner: Runner | None = None
        self._has_begun = self._keeps = False
        self._began = time.monotonic()  # the item that is worked on here; or the latest hand-out
        try:
            with log.Listener(self._say_of_queue), self._shutdown:
                try:
                    self._runner = self._make_runner()
                    pending = queue.pending = queue.stats().pending
                    self._has_begun = True
                    self._say(f"{self._title()}, pending: {pending}", pending=pending)
                    if number := queue.foreign():
                        self._say(foreign_words(shown(queue.name), number))
                    return self._loop()
                except OutOfTime:
                    return self._stopped()
                except QueueError as error:
                    if not self._shutdown.is_requested:
                        raise
                    self._say(f"Could not complete everything: {error}")
                    return self._stopped()
                finally:
                    self._renewer.stop()
                    self._end()
        finally:
            if self._runner:
                self._runner.close()
            self._renewer.stop(1.0)
            queue.patience_seconds = patience

    def _make_runner(self) -> Runner | None:
        """Return what runs tasks; None: this thread does."""
        settings = (
            self.process,
            self.concurrency,
            self._waiting,
            self._on_begin,
            self._on_end,
            self._renewer.note,
        )
        if is_async(self.process):
            return EventLoop(*settings)
        if self.concurrency > 1 or self.item_seconds or self.isolation == "process":
            return Threads(*settings, isolation=self.isolation == "process")
        return None

    def _title(self) -> str:
        return f"Worker {shown(self.queue.worker)} on queue {shown(self.queue.name)}"

    def _say_of_queue(self, line: str, **fields: Any) -> None:
        """Pass on what the queue says; first who looks for Redis, if that has not answered yet."""
        if not self._has_begun:
            self._has_begun = True
            self._say(f"{self._title()} is looking for Redis at {self.queue.address}")
        self._say(line, **fields)

    def _say_begin(self, lease: Lease) -> None:
        is_first = lease.id.partition("@")[0].endswith("-1")
        again = "" if is_first else f" (attempt {lease.attempt})"
        line = f"Working on {shown(lease.item)}{again}"
        if self._is_text:
            self._say(line)
        else:
            self._say(line, **log.about(lease))

    def _hurry(self) -> None:
        """Wait for Redis no longer than a moment: the grace is over."""
        self.queue.patience_seconds = _HASTE_SECONDS
        self.queue.interrupt()

    def _stopped(self) -> int:
        is_told = self._end()
        self._say(f"Stopped by SIGTERM, done here: {self.items_done}", done=self.items_done)
        with self._hasty_copy() as queue, contextlib.suppress(QueueError):
            if is_told and queue.drained():
                return EXIT_OK
        return EXIT_TERMINATED

    def _end(self) -> bool:
        """Record and give back what is held, without waiting long for Redis.

        Returns:
            Whether Redis took it.
        """
        self._shutdown.stop_clock()
        self.queue.patience_seconds = _HASTE_SECONDS
        self._waiting.clear()
        if self._runner:
            self._runner.running.clear()  # what ends from here on is not recorded
        self._sort(is_over=True)
        is_alone = self._recording.acquire(timeout=2 * _HASTE_SECONDS)  # or it hangs elsewhere
        done = self._take_finished()
        if is_alone:
            self._recording.release()
        finished = {one[0].id for one in done}
        held = [lease for lease in self._renewer.drop_all() if lease.id not in finished]
        if not done and not held:
            return True
        with self._hasty_copy() as queue:
            try:
                if done:
                    self._record(queue, done)
                if held:
                    queue.release_all(held, "the worker was stopped")
                    self._say(f"Released {_listed(held)}")
                return True
            except QueueError as error:  # the leases will run out instead
                self._say(f"Could not record or release everything: {error}")
                return False

    def _hasty_copy(self) -> WorkQueue:
        queue = self.queue.copy(timeout_seconds=_HASTE_SECONDS)
        queue.patience_seconds = _HASTE_SECONDS
        return queue

    # -- the loop

    def _loop(self) -> int:
        shutdown = self._shutdown
        while True:
            self._settle()
            if shutdown.is_interrupted:
                raise KeyboardInterrupt
            if shutdown.is_requested:
                if shutdown.is_out_of_time or not (self._out or self._finished):
                    return self._stopped()
                with self._hasty_copy() as queue:
                    self._give_back(queue, "the worker was stopped")
            room = 0 if shutdown.is_requested else self._room()
            is_idle, leases = not self._out, list[Lease]()
            if room > 0 or self._finished:
                leases = self._trade(max(0, room), self._until_look())
            else:
                self.queue.pause(self._until_look())
            if leases:
                self._hand_out(leases)
            elif (
                is_idle
                and not (shutdown.is_requested or self.endless or self._finished)
                and self.queue.drained()
            ):
                self._say(
                    f"Queue {shown(self.queue.name)} has drained, done here: {self.items_done}",
                    done=self.items_done,
                )
                return EXIT_OK

    def _room(self) -> int:
        """How many items to lease now."""
        if self.batch == "auto":
            held = self._out + self._stuck
            return self._pace.wanted(self.queue.pending, held, self._slow())
        return max(self.batch, self.concurrency) - self._out - self._stuck

    def _trade(self, count: int, wait_seconds: float) -> list[Lease]:
        """Record what is finished and lease what comes next."""
        while True:
            with self._recording:
                done = self._take_finished()
                self._renewer.drop(*[one[0] for one in done])
                try:
                    leases = self.queue.exchange(
                        done,
                        count,
                        wait_seconds=wait_seconds,
                        until_drained=not self.endless,
                        begins=max(0, self.concurrency - self._out - self._stuck),
                    )
                except LeaseLost as error:
                    self._note_lost(error.lost)
                    self.items_done += len(done)
                    continue
                except BaseException:  # also Ctrl-C
                    self._finished[:0] = done
                    raise
                self.items_done += len(done)
                break
        self._renewer.hold(leases, self.queue.lease_seconds)
        self._pace.note_leases(leases)
        return leases

    def _hand_out(self, leases: Sequence[Lease]) -> None:
        self._began = time.monotonic()
        if self._runner:
            self._disown(self._runner, {lease.id for lease in leases})
        self._waiting.extend(leases)
        if self._runner:
            self._out += len(leases)
            self._runner.look(len(leases))
        else:
            self._run_here()

    def _take_finished(self) -> list[Finished]:
        done = self._finished[:MAX_BATCH]
        del self._finished[: len(done)]
        return done

    def _record(self, queue: WorkQueue, done: Sequence[Finished]) -> None:
        """Complete items, no more."""
        try:
            queue.exchange(done, 0)
        except LeaseLost as error:
            self._note_lost(error.lost)
        self.items_done += len(done)

    def _note_lost(self, lost: Sequence[Lease]) -> None:
        """These were not completed, but lost."""
        self.items_done -= len(lost)
        for lease in lost:
            self._say(
                f"Too late for {shown(lease.item)}: the lease ran out, the result is dropped",
                **log.about(lease),
            )

    def _fail(self, lease: Lease, what: str) -> None:
        self._renewer.drop(lease)
        try:
            gave_up = self.queue.fail(lease, what)
        except LeaseLost:
            line = f"Failed, and too late, on {shown(lease.item)}: {what}"
        else:
            end = "it is dead now" if gave_up else "it waits for another attempt"
            line = f"Failed on {shown(lease.item)}: {what}; {end}"
        self._say(line, level="error", error=what, **log.about(lease))

    def _give_back(self, queue: WorkQueue, reason: str) -> None:
        """Release what was leased and not begun."""
        leases = list[Lease]()
        while self._waiting:
            try:
                leases.append(self._waiting.popleft())
            except IndexError:  # somebody began it just now
                break
        if not leases:
            return
        if self._runner:
            self._out -= len(leases)
        self._renewer.drop(*leases)
        try:
            queue.release_all(leases, reason)
            self._say(f"Released {_listed(leases)}: {reason}")
        except LeaseLost:
            pass  # the others are released
        except QueueError as error:  # they will run out instead
            self._say(f"Could not release everything: {error}")

    # -- several items at a time, elsewhere

    def _on_begin(self, attempt: Attempt) -> None:
        """An attempt begins; called where it runs."""
        self._say_begin(attempt.lease)
        if self.item_seconds:
            self.queue.interrupt()  # there is a limit to wait for

    def _on_end(self, attempt: Attempt) -> None:
        """An attempt has ended; called where it ran."""
        self._ended.append(attempt)
        self.queue.interrupt()

    def _disown(self, runner: Runner, new: set[str]) -> None:
        """These leases are new, so what we still hold under such an id is lost.

        (The replica that is the primary now had not got it, and gives the same ids again.)
        """
        for attempt in [a for a in list(runner.running.values()) if a.lease.id in new]:
            if runner.give_up(attempt):
                self._out -= 1
                self._stuck += 1
        for held in (self._ended, self._waiting):  # which other threads change, too
            for one in list[Any](held):
                is_over = getattr(one, "is_given_up", False)
                if getattr(one, "lease", one).id in new and not is_over:
                    with contextlib.suppress(ValueError):
                        held.remove(one)
                        self._out -= 1
        self._finished = [one for one in self._finished if one[0].id not in new]

    def _settle(self) -> None:
        """Look at what has ended, and end what takes too long."""
        if not self._runner:
            return
        self._sort()
        now = time.monotonic()
        if self.item_seconds:
            for attempt in list(self._runner.running.values()):
                if attempt.began + self.item_seconds <= now and self._runner.give_up(attempt):
                    self._out -= 1
                    self._stuck += 1
                    what = f"TimeoutError: it took longer than {self.item_seconds:g} s"
                    self._fail(attempt.lease, what + self._runner.REMARK)
        if (
            self.batch == "auto"
            and self._began + _LONG_SECONDS <= now
            # Twice, or each change of the estimate would give some back.
            and len(self._waiting) > 2 * (self._pace.ahead(self._slow()) - self.concurrency)
        ):
            self._give_back(self.queue, "the items before it are taking long")

    def _sort(self, *, is_over: bool = False) -> None:
        """Take each attempt that has ended for what it is. Failures count unless all is over."""
        items, seconds = 0, 0.0
        while self._ended:
            attempt = self._ended.popleft()
            if attempt.is_given_up:
                self._stuck -= 1
                continue
            items, seconds = items + 1, seconds + attempt.ended - attempt.began
            if not attempt.error:
                times = attempt.began, attempt.ended
                self._finished.append((attempt.lease, attempt.result, *times))
            elif not is_over:
                self._fail(attempt.lease, _what(attempt.error))
        self._out -= items
        self._pace.note_work(items, seconds)

    def _slow(self) -> int:
        """How many places are taken by items that take long."""
        if not self._runner:
            return 0
        since = time.monotonic() - _LONG_SECONDS
        running = list(self._runner.running.values())
        return self._stuck + sum(attempt.began <= since for attempt in running)

    def _until_look(self) -> float:
        """In how many seconds `_settle` may have something to do if nothing ends until then."""
        seconds = _LONG_SECONDS if self._waiting and self.batch == "auto" else _NEVER
        if self._stuck:
            seconds = min(seconds, _STUCK_SECONDS)
        if self.item_seconds and self._runner:
            first = min((a.began for a in list(self._runner.running.values())), default=_NEVER)
            seconds = min(seconds, first + self.item_seconds - time.monotonic())
        return max(0.0, seconds)

    # -- one item at a time, in this thread

    def _run_here(self) -> None:
        """Work on what waits, one after the other."""
        waiting, finished, shutdown = self._waiting, self._finished, self._shutdown
        call, process, monotonic = shutdown.call, cast("Task", self.process), time.monotonic
        items = 0
        started = began = self._began
        if len(waiting) > 1 and not self._keeps:
            self._keeps = True
            self._renewer.wake()
        listen(self._tell_here)
        while not shutdown.is_requested:
            try:
                self._lease = lease = waiting.popleft()
            except IndexError:  # that was all, or the rest was given back
                break
            self._say_begin(lease)
            items += 1
            try:
                result = call(process, lease.item)
                if result is not None:
                    encode_result(result)  # a bad result is a failure of this item alone
            except OutOfTime:
                break
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # also SystemExit: no task may end the worker
                self._fail(lease, _what(error))
                self._began = began = monotonic()
            else:
                self._began = now = monotonic()
                finished.append((lease, result, began, now))
                began = now
        self._pace.note_work(items, began - started)

    def _tell_here(self, text: str) -> None:
        self._renewer.note(self._lease, text)

    def _keep(self) -> float:
        """Record what has waited for it long enough, give back what waits behind a long item.

        Called by the renewing thread, as this one works on an item.

        Returns:
            When there may be something to do again.
        """
        if self._runner:
            return _NEVER
        self._keeps = False  # whoever begins a batch from here on wakes the thread
        now, due = time.monotonic(), _NEVER
        if self._finished:
            due = self._finished[0][-1] + _RECORD_SECONDS
            if due <= now:
                self._record_meanwhile()
                due = now + _RECORD_SECONDS
        if self._waiting:
            is_long = self.batch == "auto" and self._began + _LONG_SECONDS <= now
            if is_long:
                self._give_back(self.queue, "the item before it is taking long")
            due = min(due, now + _RECORD_SECONDS)
        self._keeps = due < _NEVER
        return due

    def _record_meanwhile(self) -> None:
        if not self._recording.acquire(blocking=False):
            return  # this worker's own thread is at it
        try:
            done = self._take_finished()
            try:
                self._record(self.queue, done)
            except QueueError as error:
                self._finished[:0] = done
                self._say(f"Could not record what is done: {error}")
            else:
                self._renewer.drop(*[one[0] for one in done])
        finally:
            self._recording.release()


def _what(error: BaseException) -> str:
    return str(error) if isinstance(error, TaskFailed) else failure(error)


def _listed(leases: Sequence[Lease]) -> str:
    more = f" and {len(leases) - _NAMED} more" if len(leases) > _NAMED else ""
    return ", ".join(shown(lease.item) for lease in leases[:_NAMED]) + more


def _check_isolated(process: Task | AsyncTask) -> None:
    """Refuse a task that a new process cannot import."""
    if is_async(process):
        raise ValueError("With isolation=process a task must be a plain function, not async.")
    try:
        pickle.dumps(process)
    except Exception as error:
        raise ValueError(
            f"With isolation=process a new process imports the task by name, but {error}. "
            "Define it at the top of a module."
        ) from None
