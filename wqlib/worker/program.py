"""The worker as a program: its command line, its environment, its exit code."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..commandline import Parser
from ..errors import EXIT_ERROR, EXIT_USAGE, WqlibError
from ..queue import WorkQueue
from ..queue.address import Address
from ..tasks import TASKS, AsyncTask, Task, find
from . import log
from .loop import EXIT_TERMINATED, Worker


def run(process: Task | AsyncTask, arguments: Sequence[str] | None = None) -> int:
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


def _work(options: argparse.Namespace, process: Task | AsyncTask) -> int:
    # The first process of a container ignores SIGTERM until it has a handler for it.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        queue = WorkQueue(
            options.queue,
            url=Address.from_environment(options.redis),
            worker=options.worker or None,
            lease_seconds=options.lease_seconds,
            max_attempts=options.max_attempts or None,
            patience_seconds=options.patience_seconds,
            replicas=options.replicas,
        )
        worker = Worker(
            queue,
            process,
            batch=options.batch,
            concurrency=options.concurrency,
            item_seconds=options.item_seconds or None,
            isolation=options.isolation,
            grace_seconds=options.grace_seconds,
            endless=options.endless,
            say=options.log,
        )
    except ValueError as error:
        print(f"wqlib.worker: {error}", file=sys.stderr)
        return EXIT_USAGE
    with queue:
        try:
            return worker.run()
        except WqlibError as error:
            print(f"wqlib.worker: {error}", file=sys.stderr)
            return EXIT_ERROR
        finally:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wqlib.worker",
        description="Lease items from a queue and process them until the queue has drained.",
        epilog="Each option can be set in the environment: --lease-seconds as "
        "WQLIB_LEASE_SECONDS. Redis is found by --redis, or as a Service named redis; "
        "a URL without a password gets that of REDIS_PASSWORD or REDIS_PASSWORD_FILE.",
    )

    def option(name: str, default: str, about: str, kind: Callable[[str], Any] = str) -> None:
        # argparse converts a default that is text just like text from the command line.
        value = os.environ.get("WQLIB_" + name.upper().replace("-", "_")) or default
        now = "" if name == "redis" else f" ({value})".replace("%", "%%")  # no password in a help
        parser.add_argument(f"--{name}", default=value, type=kind, help=about + now)

    option("queue", "job2", "name of the queue")
    option("task", "fruit", f"what to do with an item: {', '.join(TASKS)}, module:function")
    option("redis", "", "URL of Redis")
    option("worker", "", "name of this worker")
    option("lease-seconds", "30", "how long a lease lasts unless it is renewed", float)
    option("max-attempts", "5", "failed attempts after which an item is dead; 0: never", int)
    option("batch", "auto", "items to lease at a time; auto: some 50 ms of work", _batch)
    option("concurrency", "1", "items to work on at a time", int)
    option("item-seconds", "0", "how long an attempt may take; 0: no limit", float)
    option("isolation", "thread", "run each item in a thread or in a process")
    option("grace-seconds", "20", "time for tasks to finish after SIGTERM", float)
    option("patience-seconds", "300", "how long to wait for Redis when it is unavailable", float)
    option("replicas", "0", "replicas of Redis that must have a change before it counts", int)
    option("log", "text", "log lines for people or for programs: text, json", _format)
    parser.add_argument(
        "--endless",
        action="store_true",
        default=os.environ.get("WQLIB_ENDLESS", "") not in ("", "0", "false"),
        help="wait for more when the queue has drained",
    )
    return parser


def _batch(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither auto nor a number") from None


def _format(text: str) -> Callable[..., None]:
    if text not in log.FORMATS:
        raise argparse.ArgumentTypeError(f"{text} is neither text nor json")
    return log.FORMATS[text]
