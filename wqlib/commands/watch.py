"""`wqlib watch job2`: each lease of each pod in the terminal, as it happens.

On a terminal the picture changes in place; a file or a pipe gets a line of text now and then, and
the picture at the end. Ctrl-C ends the watching and nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

from ..commandline import Parser
from ..errors import EXIT_OK
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

    def __init__(self, job: str = "") -> None:
        self.live = sys.stdout.isatty()
        self._block = Block()
        self._job = job
        self._said, self._said_at = "", float("-inf")

    def show(self, history: History, now: float, trouble: str = "") -> None:
        """Draw the present state."""
        if self.live:
            wrong = [trouble[: size()[0]]] if trouble else []
            self._block.show([*wrong, *fit_lines(history, now, self._job, spare=1 + len(wrong))])
            return
        words = trouble or history.summary(now, self._job)
        if words != self._said and time.monotonic() - self._said_at >= WORDS_SECONDS:
            self._said, self._said_at = words, time.monotonic()
            print(words, flush=True)

    def keep(self, history: History, now: float) -> None:
        """Draw the present state for good."""
        if not self.live:
            print("\n".join(fit_lines(history, now, self._job, spare=0)), flush=True)
        else:
            self._block.show(fit_lines(history, now, self._job))
        self._block.keep()


def fit_lines(
    history: History,
    now: float,
    job: str = "",
    *,
    spare: int = 1,
) -> list[str]:
    """Return the picture of a history, as large as the terminal.

    Args:
        history, now, job: As for `textlanes.draw`.
        spare: How many of the terminal's lines to leave free.
    """
    columns, lines = size()
    return textlanes.draw(
        history,
        now,
        columns=columns,
        lines=lines - spare,
        job=job,
        colours=can_colour(),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `wqlib watch`.

    Raises:
        WqlibError: What went wrong, in plain words.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        try:
            queue, cluster = _connect(options, stack)
        except ValueError as error:
            parser.error(str(error))
        picture = Picture(options.job or "")
        feed = stack.enter_context(closing(Feed(queue, cluster, options.job)))
        with suppress(Stopped):
            follow(feed, picture, until_drained=options.until_drained)
        signals.ignore()
        picture.keep(feed.history, feed.now)
        if feed.trouble:
            print(feed.trouble, file=sys.stderr)
    return EXIT_OK


def follow(feed: Feed, picture: Picture, *, until_drained: bool) -> None:
    """Draw what a feed tells, for ever or until the queue has drained and no pod is left."""
    while True:
        began = time.monotonic()
        feed.poll()
        picture.show(feed.history, feed.now, feed.trouble)
        alive = any(lane.alive for lane in feed.history.lanes.values())
        if until_drained and feed.drained and not alive:
            return
        spent = time.monotonic() - began
        time.sleep(max(1 / FRAMES_A_SECOND - spent, spent, 0.01))


def play(run: str, speed: float) -> None:
    """Draw a recorded run.

    Args:
        run: A file that `History.save` wrote, or the name of a run of the course's.
        speed: How many times as fast as it was; 0: only how it ended.
    """
    tape, picture = Tape.of(run), Picture()
    began = time.monotonic()
    while speed > 0 and (at := (time.monotonic() - began) * speed) < tape.seconds:
        picture.show(tape.until(at), tape.began_at + at)
        time.sleep(1 / FRAMES_A_SECOND)
    picture.keep(tape.until(tape.seconds), tape.began_at + tape.seconds)


def _connect(options: argparse.Namespace, stack: ExitStack) -> tuple[WorkQueue, Cluster | None]:
    """Open the queue, and the cluster that it is in, if it is in one."""
    cluster = None if options.redis else _cluster(options)
    if cluster is None:
        if options.job:
            raise ValueError(
                "Following the pods of a Job needs a cluster: start the local one, or name one "
                "with --context, and omit --redis."
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
    """Connect to the cluster that is named, or else to the local one if nothing else is meant."""
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
        description="Watch each lease of each pod in the terminal. Ctrl-C stops it.",
        epilog="Without --redis, the queue is looked up in the cluster (service/redis): the one "
        "you name, or the local one if it is running; without a cluster, where a worker looks: "
        "WQLIB_REDIS_URL, or else 127.0.0.1:6379.",
    )
    parser.add_argument("name", metavar="QUEUE", help="name of the queue, such as job2")
    parser.add_argument("--job", help="only the pods of this Job (default: of all Jobs)")
    parser.add_argument("--redis", metavar="URL", help="redis://:password@host:6379/0")
    parser.add_argument("--context", help="a real cluster (default: WQLIB_CONTEXT, or local)")
    parser.add_argument(
        "--namespace", help="the namespace (default: WQLIB_NAMESPACE, or wq-course)"
    )
    parser.add_argument(
        "--until-drained",
        action="store_true",
        help="stop when everything is done and no pod is left",
    )
    return parser
