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
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from .errors import LeaseLost, QueueError
from .items import Lease
from .queue import MAX_BATCH, WorkQueue
from .tasks import Task, find

EXIT_DRAINED, EXIT_ERROR, EXIT_USAGE, EXIT_TERMINATED = 0, 1, 2, 143
_LONGEST_LOG_LINE = 200


class _OutOfTime(BaseException):
    """The grace period after SIGTERM is over. Not an Exception, so a task lets it through."""


class Worker:
    """Works on a queue until it has drained.

    Args:
        queue: The queue; it is used by this worker alone.
        process: What to do with an item.
        batch: How many items to lease at a time, 1 to 500.
        grace_seconds: How long a task may go on after SIGTERM; less than the pod's
            `terminationGracePeriodSeconds` (30 by default), so that there is time to release.
        endless: Wait on when the queue has drained, for work without an end.
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
        self._held: dict[str, Lease] = {}
        self._held_since: dict[str, float] = {}  # lease id -> when it was leased or renewed
        self._stopping = False
        self._in_task = False
        self._ended = threading.Event()

    def run(self) -> int:
        """Work until the queue has drained or SIGTERM comes.

        Returns:
            The exit code for the process: 0 when drained, 143 after SIGTERM.

        Raises:
            RedisUnreachable: Redis stayed away for longer than the queue's patience.
        """
        handlers = self._take_signals()
        renewer = threading.Thread(target=self._keep_renewing, name="wqlib-renew", daemon=True)
        renewer.start()
        try:
            pending = self.queue.stats().pending
            _log(f"Worker {self.queue.worker} on queue {self.queue.name}, pending: {pending}")
            return self._loop()
        finally:
            self._ended.set()
            self._release_the_rest()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _loop(self) -> int:
        done: list[tuple[Lease, bytes | str | None]] = []
        while True:
            leases = self._trade(done, 0 if self._stopping else self.batch)
            done = []
            if not leases and self._stopping:
                return self._stopped()
            if not leases and not self.endless:
                _log(f"Queue {self.queue.name} has drained, done here: {self.items_done}")
                return EXIT_DRAINED
            for lease in leases:
                if self._stopping:
                    break
                done += self._attempt(lease)

    def _trade(self, done: Sequence[tuple[Lease, bytes | str | None]], count: int) -> list[Lease]:
        """Complete what is done and lease what comes next."""
        lost: Sequence[Lease] = ()
        leases: list[Lease] = []
        try:
            leases = self.queue.exchange(
                done, count, wait_seconds=float("inf"), until_drained=not self.endless
            )
        except LeaseLost as error:
            lost = error.lost
        for lease in lost:
            _log(f"Too late for {_shown(lease.item)}: the lease ran out, the result is dropped")
        self.items_done += len(done) - len(lost)
        for lease, _ in done:
            self._held.pop(lease.id, None)
        self._held_since = dict.fromkeys([lease.id for lease in leases], time.monotonic())
        self._held.update((lease.id, lease) for lease in leases)
        return self._trade((), count) if lost else leases

    def _attempt(self, lease: Lease) -> list[tuple[Lease, bytes | str | None]]:
        """Work on one item; returns it with its result, or nothing if that came to no end."""
        again = f" (attempt {lease.attempt})" if lease.attempt > 1 else ""
        _log(f"Working on {_shown(lease.item)}{again}")
        try:
            try:
                self._in_task = True
                return [(lease, self.process(lease.item))]
            finally:
                self._in_task = False
        except _OutOfTime:
            return []
        except Exception as error:
            self._failed(lease, error)
            return []

    def _failed(self, lease: Lease, error: Exception) -> None:
        what = _shown(f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace"))
        self._held.pop(lease.id, None)
        try:
            gave_up = self.queue.fail(lease, what)
        except LeaseLost:
            _log(f"Failed, and too late, on {_shown(lease.item)}: {what}")
            return
        end = "it is dead now" if gave_up else "it waits for another attempt"
        _log(f"Failed on {_shown(lease.item)}: {what}; {end}")

    # -- renewing

    def _keep_renewing(self) -> None:
        """Let the leases that are held last, from a thread, while a task runs long."""
        a_while = self.queue.lease_seconds / 4
        while not self._ended.wait(a_while):
            due = time.monotonic() - a_while
            old = [x for x in list(self._held.values()) if self._held_since.get(x.id, 0.0) <= due]
            if old:
                try:
                    self.queue.renew_all(old)
                    self._held_since |= dict.fromkeys([x.id for x in old], time.monotonic())
                except QueueError as error:
                    _log(f"Renewing failed: {error}")

    # -- stopping

    def _take_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._on_sigterm),
            signal.SIGALRM: signal.signal(signal.SIGALRM, self._on_alarm),
        }

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            signal.setitimer(signal.ITIMER_REAL, max(self.grace_seconds, 0.001), 0.1)
            self.queue.interrupt()

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        self.queue.patience_seconds = 0.0  # there is no time left to wait for Redis
        if self._in_task:
            self._in_task = False
            raise _OutOfTime

    def _stopped(self) -> int:
        self._release_the_rest()
        try:
            drained = self.queue.drained()
        except QueueError:
            drained = False
        _log(f"Stopped by SIGTERM, done here: {self.items_done}")
        return EXIT_DRAINED if drained else EXIT_TERMINATED

    def _release_the_rest(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.queue.patience_seconds = min(self.queue.patience_seconds, 1.0)
        for lease in list(self._held.values()):
            try:
                self.queue.release(lease, "the worker was stopped")
                _log(f"Released {_shown(lease.item)}")
            except QueueError as error:  # its lease will run out instead
                _log(f"Could not release {_shown(lease.item)}: {error}")
        self._held.clear()


def run(process: Task, arguments: Sequence[str] | None = None) -> int:
    """The `main` of a worker program: read the options, work, return the exit code.

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
    """The command line of `python -m wqlib.worker`."""
    options = _parser().parse_args(arguments)
    try:
        process = find(options.task)
    except ValueError as error:
        print(f"wqlib.worker: {error}", file=sys.stderr)
        return EXIT_USAGE
    return _work(options, process)


def _work(options: argparse.Namespace, process: Task) -> int:
    try:
        queue = WorkQueue(
            options.queue,
            url=options.redis or None,
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
    parser = argparse.ArgumentParser(
        prog="wqlib.worker",
        description="Lease items of a queue and work on them until the queue has drained.",
        epilog="Each option may be set in the environment: --lease-seconds as "
        "WQLIB_LEASE_SECONDS. Redis is found by --redis, or as a Service named redis.",
    )

    def option(name: str, default: str, about: str, kind: type = str) -> None:
        # argparse converts a default that is text just like text from the command line.
        value = os.environ.get("WQLIB_" + name.upper().replace("-", "_")) or default
        parser.add_argument(f"--{name}", default=value, type=kind, help=f"{about} ({value})")

    option("queue", "job2", "name of the queue")
    option("task", "fruit", "what to do with an item: fruit, primes, mandelbrot, module:function")
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


def _shown(text: bytes) -> str:
    """An item as one harmless line of a log: no control characters, not too long."""
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in text[:_LONGEST_LOG_LINE].decode("utf-8", "backslashreplace")
    )
    return line + " ..." if len(text) > _LONGEST_LOG_LINE else line


def _log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
