"""`wqlib watch job2`: each lease of each pod in the terminal, as it happens.

On a terminal the picture changes in place; into a file or a pipe goes a line of words now and
then, and the picture at the end. Ctrl-C ends the watching and nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from ..commandline import Parser
from ..history import History
from ..history.feed import Feed
from ..history.tape import Tape
from ..queue import WorkQueue
from ..queue.address import Address
from . import textlanes
from .terminal import Block, Signals, Stopped, can_colour, size

if TYPE_CHECKING:
    from ..cluster import Cluster

FRAMES_A_SECOND = 4.0
WORDS_SECONDS = 5.0  # between two lines where nothing can be changed in place


class Picture:
    """Draws a history on standard output, in place where that is possible."""

    def __init__(self, job: str = "", window_seconds: float | None = 60.0) -> None:
        self.live = sys.stdout.isatty()
        self._block = Block()
        self._job = job
        self._window_seconds = window_seconds
        self._said, self._said_at = "", float("-inf")

    def show(self, history: History, now: float, trouble: str = "") -> None:
        """Draw how it is now."""
        if self.live:
            wrong = [trouble[: size()[0]]] if trouble else []
            self._block.show([*wrong, *self._lines(history, now, spare=1 + len(wrong))])
            return
        words = trouble or history.summary(now, self._job)
        if words != self._said and time.monotonic() - self._said_at >= WORDS_SECONDS:
            self._said, self._said_at = words, time.monotonic()
            print(words, flush=True)

    def say(self, line: str) -> None:
        """A line that stays, above the picture."""
        self._block.clear()
        print(line, flush=True)

    def keep(self, history: History, now: float) -> None:
        """Leave the picture as it is now."""
        if not self.live:
            print("\n".join(self._lines(history, now, spare=0)), flush=True)
        else:
            self._block.show(self._lines(history, now, spare=1))
        self._block.keep()

    def _lines(self, history: History, now: float, spare: int) -> list[str]:
        columns, lines = size()
        return textlanes.draw(
            history,
            now,
            columns=columns,
            lines=lines - spare,
            job=self._job,
            colours=can_colour(),
            window_seconds=self._window_seconds,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of `wqlib watch`.

    Returns:
        0; 2 for a wrong command line.

    Raises:
        WqlibError: What went wrong, in plain words.
    """
    options = _parser().parse_args(arguments)
    signals = Signals()
    with ExitStack() as stack:
        stack.enter_context(signals)
        try:
            queue, cluster = _connect(options, stack)
        except (ValueError, Stopped) as error:
            print(f"wqlib watch: {error or 'interrupted'}", file=sys.stderr)
            return 2 if isinstance(error, ValueError) else 0
        picture = Picture(options.job or "")
        feed = Feed(queue, cluster, options.job)
        stack.callback(feed.close)
        with suppress(Stopped):
            follow(feed, picture, until_drained=options.until_drained)
        signals.ignore()
        picture.keep(feed.history, feed.now)
        if feed.trouble:
            print(feed.trouble, file=sys.stderr)
    return 0


def follow(
    feed: Feed,
    picture: Picture,
    *,
    until_drained: bool = False,
    ended: Callable[[], bool] = lambda: False,
) -> None:
    """Draw what a feed tells, until `ended()`, or the queue has drained and no pod is left."""
    while True:
        began = time.monotonic()
        over = ended()
        feed.poll()
        picture.show(feed.history, feed.now, feed.trouble)
        alive = any(lane.alive for lane in feed.history.lanes.values())
        if over or (until_drained and feed.drained and not alive):
            return
        spent = time.monotonic() - began
        time.sleep(max(1 / FRAMES_A_SECOND - spent, spent, 0.01))


def play(run: str, speed: float) -> None:
    """Draw a recorded run.

    Args:
        run: A file that `History.save` wrote, or the name of a run that the library ships.
        speed: How many times as fast as it was; 0: only how it ended.
    """
    tape, picture = Tape.of(run), Picture()
    began = time.monotonic()
    while speed > 0 and (at := (time.monotonic() - began) * speed) < tape.seconds:
        picture.show(tape.until(at), tape.began_at + at)
        time.sleep(1 / FRAMES_A_SECOND)
    picture.keep(tape.until(tape.seconds), tape.began_at + tape.seconds)


def _connect(options: argparse.Namespace, stack: ExitStack) -> tuple[WorkQueue, Cluster | None]:
    """The queue, and the cluster that it is in, if it is in one."""
    cluster = None if options.redis else _cluster(options)
    if cluster is None:
        if options.job:
            raise ValueError(
                "To follow the pods of a Job, a cluster is needed: let the local one run, "
                "name one with --context, and leave out --redis."
            )
        address = Address.from_environment(options.redis)
        return stack.enter_context(WorkQueue(options.name, url=address)), None
    stack.enter_context(cluster)
    forward = stack.enter_context(cluster.port_forward("service/redis", 6379))
    queue = WorkQueue(
        options.name, host=forward.host, port=forward.port, password=cluster.secret("redis")
    )
    return stack.enter_context(queue), cluster


def _cluster(options: argparse.Namespace) -> Cluster | None:
    """The cluster that is named, or else the local one if it runs and nothing else is meant."""
    if not options.context and not os.environ.get("WQLIB_CONTEXT"):
        try:
            from ..cluster import local

            runs = local.status() is not None
        except ImportError:  # a worker's image has no cluster in it
            runs = False
        if not runs or os.environ.get("WQLIB_REDIS_URL"):
            return None
    from ..cluster import connect

    return connect(options.context, namespace=options.namespace)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wqlib watch",
        description="Watch each lease of each pod in the terminal. Ctrl-C ends it.",
        epilog="Without --redis, the queue is looked for in the cluster (service/redis): the one "
        "that is named, or the local one if it runs; and if there is none, where a worker looks: "
        "WQLIB_REDIS_URL, or else 127.0.0.1:6379.",
    )
    parser.add_argument("name", metavar="QUEUE", help="name of the queue, such as job2")
    parser.add_argument("--job", help="only the pods of this Job (default: of all Jobs)")
    parser.add_argument("--redis", metavar="URL", help="redis://:password@host:6379/0")
    parser.add_argument("--context", help="a real cluster (default: WQLIB_CONTEXT, or local)")
    parser.add_argument(
        "--namespace", help="where in the cluster (default: WQLIB_NAMESPACE, or wq-course)"
    )
    parser.add_argument(
        "--until-drained", action="store_true", help="end when all is done and no pod is left"
    )
    return parser
