"""The loop that a pod runs: lease an item, process it, complete it, until the queue drains.

    python -m wqlib.worker --queue job2 --task fruit

Each option may come from the environment instead, as a Job sets it (`--queue` from
`WQLIB_QUEUE`, and so on). A program with a task of its own calls `run(process)`.

What Kubernetes makes of the exit code: 0 says that the queue has drained, and a work-queue Job
then starts no new pods. So a worker that is stopped before the end must not exit 0: it finishes
or releases its item and exits 143 (128 + SIGTERM), and the Job puts another pod in its place.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Self

from .commandline import Parser
from .errors import EXIT_ERROR, EXIT_OK, EXIT_SIGNAL, EXIT_USAGE, LeaseLost, QueueError
from .queue import WorkQueue
from .queue.address import Address
from .queue.items import Lease, encode_result
from .queue.renewer import Renewer
from .queue.workqueue import MAX_BATCH, Completion
from .shown import shown
from .tasks import TASKS, Task, find

EXIT_TERMINATED = EXIT_SIGNAL + signal.SIGTERM
_HASTE_SECONDS = 1.0
_QUEUE_LOG = logging.getLogger("wqlib.queue")


class OutOfTime(BaseException):
    """The grace period after SIGTERM is over. Not an Exception, so a task lets it through."""


class Shutdown:
    """What SIGTERM does to a process that works: a grace to finish in, then no more time.

    Inside `with`, SIGTERM and SIGALRM are its own (outside of the main thread nothing happens).

    Args:
        grace_seconds: How long a task may go on after SIGTERM.
        begin: Called when SIGTERM comes, in the signal handler.
        hurry: Called when the grace is over, and then every 0.1 s, in the signal handler.

    Attributes:
        is_requested: SIGTERM has come.
    """

    def __init__(
        self, grace_seconds: float, begin: Callable[[], None], hurry: Callable[[], None]
    ) -> None:
        self.is_requested = False
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
        """Run a task.

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


class _Waits(logging.Handler):
    """Takes the queue's words about a Redis that is away; `before` goes before the first."""

    def __init__(self, before: str) -> None:
        super().__init__()
        self.before = before

    def emit(self, record: logging.LogRecord) -> None:
        if self.before:
            _log(self.before)
        self.before = ""
        _log(record.getMessage())


class Worker:
    """Works on a queue until it has drained.

    Args:
        queue: The queue; it is used by this worker alone.
        process: What to do with an item.
        batch: How many items to lease at a time, 1 to 500.
        grace_seconds: How long a task may go on after SIGTERM; less than the pod's
            `terminationGracePeriodSeconds` (30 by default), so that there is time to release.
        endless: Wait on when the queue has drained, for work without an end.

    Attributes:
        items_done: How many items it completed.
    """

    def __init__(
        self,
        queue: WorkQueue,
        process: Task,
        *,
        batch: int = 1,
        grace_seconds: float = 20.0,
        endless: bool = False,
    ) -> None:
        if not 1 <= batch <= MAX_BATCH:
            raise ValueError(f"batch is {batch}; it must be 1 to {MAX_BATCH}.")
        self.queue = queue
        self.process = process
        self.batch = batch
        self.grace_seconds = grace_seconds
        self.endless = endless
        self.items_done = 0

    def run(self) -> int:
        """Work until the queue has drained or SIGTERM comes.

        Returns:
            The exit code for the process: 0 when drained, 143 after SIGTERM.

        Raises:
            RedisUnreachable: Redis stayed away for longer than the queue's patience.
        """
        queue, patience = self.queue, self.queue.patience_seconds
        self._renewer = Renewer(queue, lambda error: _log(f"Renewing failed: {error}"))
        self._shutdown = Shutdown(self.grace_seconds, queue.interrupt, self._hurry)
        self._waits = _Waits(f"{self._title()} looks for Redis at {self.queue.address}")
        _QUEUE_LOG.addHandler(self._waits)
        try:
            with self._shutdown:
                try:
                    pending = queue.stats().pending
                    self._waits.before = ""
                    _log(f"{self._title()}, pending: {pending}")
                    return self._loop()
                finally:
                    self._renewer.stop()
                    self._release_the_rest()
        finally:
            self._renewer.stop(1.0)
            queue.patience_seconds = patience
            _QUEUE_LOG.removeHandler(self._waits)

    def _title(self) -> str:
        return f"Worker {shown(self.queue.worker)} on queue {shown(self.queue.name)}"

    def _hurry(self) -> None:
        """Wait for Redis no longer than a moment: the grace is over."""
        self.queue.patience_seconds = _HASTE_SECONDS

    def _loop(self) -> int:
        shutdown, done = self._shutdown, list[Completion]()
        while True:
            if shutdown.is_requested and not done:
                return self._stopped()
            try:
                leases = self._trade(done, 0 if shutdown.is_requested else self.batch)
            except QueueError as error:
                if not shutdown.is_requested:
                    raise
                _log(f"Could not complete everything: {error}")
                leases = []
            done = []
            if shutdown.is_requested and not leases:
                return self._stopped()
            if not leases and not self.endless:
                _log(f"Queue {shown(self.queue.name)} has drained, done here: {self.items_done}")
                return EXIT_OK
            for lease in leases:
                if shutdown.is_requested:
                    break
                done += self._attempt(lease)

    def _trade(self, done: Sequence[Completion], count: int) -> list[Lease]:
        """Complete what is done and lease what comes next."""
        lost: Sequence[Lease] = ()
        leases: list[Lease] = []
        self._renewer.drop(*[one[0] for one in done])
        try:
            leases = self.queue.exchange(
                done, count, wait_seconds=float("inf"), until_drained=not self.endless
            )
        except LeaseLost as error:
            lost = error.lost
        for lease in lost:
            _log(f"Too late for {shown(lease.item)}: the lease ran out, the result is dropped")
        self.items_done += len(done) - len(lost)
        self._renewer.hold(leases, self.queue.lease_seconds)
        return self._trade((), count) if lost else leases

    def _attempt(self, lease: Lease) -> list[Completion]:
        """Work on one item; return it with its result, or nothing if that came to no end."""
        again = f" (attempt {lease.attempt})" if lease.attempt > 1 else ""
        _log(f"Working on {shown(lease.item)}{again}")
        try:
            result = self._shutdown.call(self.process, lease.item)
            encode_result(lease, result)  # a bad result is a failure of this item alone
            return [(lease, result)]
        except OutOfTime:
            return []
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit: no task may end the worker
            self._failed(lease, error)
            return []

    def _failed(self, lease: Lease, error: BaseException) -> None:
        try:
            text = f"{type(error).__name__}: {error}"
        except Exception:
            text = type(error).__name__
        what = shown(text.encode("utf-8", "backslashreplace"))
        self._renewer.drop(lease)
        try:
            gave_up = self.queue.fail(lease, what)
        except LeaseLost:
            _log(f"Failed, and too late, on {shown(lease.item)}: {what}")
            return
        end = "it is dead now" if gave_up else "it waits for another attempt"
        _log(f"Failed on {shown(lease.item)}: {what}; {end}")

    def _stopped(self) -> int:
        drained = self._release_the_rest()
        _log(f"Stopped by SIGTERM, done here: {self.items_done}")
        return EXIT_OK if drained else EXIT_TERMINATED

    def _release_the_rest(self) -> bool:
        """Give back what is held, without waiting long for Redis; return whether it drained."""
        self._shutdown.stop_clock()
        held = self._renewer.drop_all()
        with self.queue.copy(timeout_seconds=_HASTE_SECONDS) as queue:
            queue.patience_seconds = _HASTE_SECONDS
            try:
                if held:
                    queue.release_all(held, "the worker was stopped")
                    _log(f"Released {', '.join(shown(lease.item) for lease in held)}")
                return queue.drained()
            except QueueError as error:  # the leases will run out instead
                if held:
                    _log(f"Could not release everything: {error}")
                return False


def run(process: Task, arguments: Sequence[str] | None = None) -> int:
    """Be the `main` of a worker program: read the options, work, return the exit code.

    Args:
        process: What to do with an item.
        arguments: The command line without the program's name; None: that of this process.

    Example:
        >>> import sys
        >>> def process(item: bytes) -> str:
        ...     return item.decode().upper()
        >>> sys.exit(run(process))  # doctest: +SKIP
    """
    return _work(_parser().parse_args(arguments), process)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `python -m wqlib.worker`; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        process = find(options.task)
    except ValueError as error:
        print(f"wqlib.worker: {error}", file=sys.stderr)
        return EXIT_USAGE
    return _work(options, process)


def _work(options: argparse.Namespace, process: Task) -> int:
    # The first process of a container ignores SIGTERM until it has a handler for it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        queue = WorkQueue(
            options.queue,
            url=Address.from_environment(options.redis),
            worker=options.worker or None,
            lease_seconds=options.lease_seconds,
            max_attempts=options.max_attempts or None,
            patience_seconds=options.patience_seconds,
        )
        worker = Worker(
            queue,
            process,
            batch=options.batch,
            grace_seconds=options.grace_seconds,
            endless=options.endless,
        )
    except ValueError as error:
        print(f"wqlib.worker: {error}", file=sys.stderr)
        return EXIT_USAGE
    with queue:
        try:
            return worker.run()
        except QueueError as error:
            print(f"wqlib.worker: {error}", file=sys.stderr)
            return EXIT_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wqlib.worker",
        description="Lease items of a queue and work on them until the queue has drained.",
        epilog="Each option may be set in the environment: --lease-seconds as "
        "WQLIB_LEASE_SECONDS. Redis is found by --redis, or as a Service named redis; "
        "a URL without a password gets that of REDIS_PASSWORD.",
    )

    def option(name: str, default: str, about: str, kind: type = str) -> None:
        # argparse converts a default that is text just like text from the command line.
        value = os.environ.get("WQLIB_" + name.upper().replace("-", "_")) or default
        now = "" if name == "redis" else f" ({value})".replace("%", "%%")  # no password in a help
        parser.add_argument(f"--{name}", default=value, type=kind, help=about + now)

    option("queue", "job2", "name of the queue")
    option("task", "fruit", f"what to do with an item: {', '.join(TASKS)}, module:function")
    option("redis", "", "URL of Redis")
    option("worker", "", "name of this worker")
    option("lease-seconds", "30", "how long a lease lasts unless it is renewed", float)
    option("max-attempts", "5", "failed attempts until an item is dead; 0: never", int)
    option("batch", "1", "items to lease at a time", int)
    option("grace-seconds", "20", "time for a task to finish after SIGTERM", float)
    option("patience-seconds", "300", "how long to wait for Redis when it is away", float)
    parser.add_argument(
        "--endless",
        action="store_true",
        default=os.environ.get("WQLIB_ENDLESS", "") not in ("", "0", "false"),
        help="wait for more when the queue has drained",
    )
    return parser


def _log(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more; the work goes on
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
