"""The commands `wqlib queue ...`: look at a queue in the terminal, and mend it.

What a command says as text is made by pure functions; the commands themselves only read, ask
and print. Data goes to standard output, remarks go to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from ..commandline import HOW_REDIS_IS_FOUND, Parser
from ..errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE, WqlibError
from ..queue import WorkQueue, export
from ..queue.address import Address
from ..queue.export import BadQueueFile
from ..queue.items import DeadItem, Stats
from ..shown import shown, table

Command = Callable[[WorkQueue, argparse.Namespace], int]
_MEANINGS = {
    "pending": "items wait",
    "leased": "items are lent to workers",
    "dead": "items were given up",
    "done": "items were completed",
    "put": "items were put through wqlib",
    "leases": "leases were handed out",
    "expired": "leases ran out",
    "released": "leases were given back",
    "failed": "leases ended in a failure",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `wqlib queue`.

    Returns:
        0; 1 if something went wrong; 2 for a wrong command line.

    Raises:
        WqlibError: What went wrong, in plain words.
    """
    options = _parser().parse_args(arguments)
    try:
        queue = WorkQueue(options.name, url=Address.from_environment(options.redis))
    except ValueError as error:
        print(f"wqlib queue: {error}", file=sys.stderr)
        return EXIT_USAGE
    if isinstance(sys.stdout, io.TextIOWrapper):  # one that may not know all characters
        sys.stdout.reconfigure(errors="backslashreplace")
    with queue:
        try:
            code = int(options.run(queue, options))
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            raise
        except OSError as error:
            name = shown(os.fsencode(error.filename)) if error.filename else "the file"
            raise WqlibError(f"{name} cannot be read or written: {error.strerror}.") from None


# -- what is said


def stats_lines(name: str, stats: Stats) -> list[str]:
    """Return the numbers of a queue as a table."""
    numbers = {field: f"{getattr(stats, field):,}" for field in _MEANINGS}
    width = max(map(len, numbers.values()))
    rows = [(field, numbers[field].rjust(width), _MEANINGS[field]) for field in _MEANINGS]
    end = "It has drained." if stats.drained else "It has not drained."
    return [f"Queue {shown(name)} at {_when(stats.at)}. {end}", *table(rows)]


def dead_lines(dead: Sequence[DeadItem], *, history: bool) -> list[str]:
    """Return dead items as a table, or each with all its attempts."""
    rows = []
    for one in dead:
        attempts = max((attempt["attempt"] for attempt in one.history), default=0)
        rows.append((str(one.item_id), str(attempts), shown(one.error, 60), shown(one.item, 100)))
    lines = table([("ID", "ATTEMPTS", "ERROR", "ITEM"), *rows])
    if not history:
        return lines
    told = [lines[0]]
    for line, one in zip(lines[1:], dead, strict=True):
        told.append(line)
        for attempt in one.history:
            why = f": {shown(attempt['reason'])}" if attempt.get("reason") else ""
            told.append(
                f"    {_when(attempt['at'])}  attempt {attempt['attempt']} "
                f"on {shown(attempt['worker'])} ended as {shown(attempt['what'])}{why}"
            )
    return told


def counted(number: int, what: str) -> str:
    """`1 item`, `2 items`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# -- the commands


def _stats(queue: WorkQueue, options: argparse.Namespace) -> int:
    stats = queue.stats()
    if options.json:
        print(json.dumps({"queue": queue.name, **asdict(stats), "drained": stats.drained}))
    else:
        print("\n".join(stats_lines(queue.name, stats)))
    return EXIT_OK


def _peek(queue: WorkQueue, options: argparse.Namespace) -> int:
    items = queue.peek(options.n)
    for item in items:
        print(shown(item))
    if not items:
        _remark(f"Nothing waits in {shown(queue.name)}.")
    return EXIT_OK


def _dead(queue: WorkQueue, options: argparse.Namespace) -> int:
    dead = queue.dead_items()
    if dead:
        print("\n".join(dead_lines(dead, history=options.history)))
    else:
        _remark(f"Nothing in {shown(queue.name)} is dead.")
    return EXIT_OK


def _requeue(queue: WorkQueue, options: argparse.Namespace) -> int:
    ids = sorted(set(options.ids))
    number = queue.requeue_dead(ids or None)
    print(f"{counted(number, 'dead item')} put back at the end of the line.")
    if number < len(ids):
        _remark(
            f"{len(ids) - number} of the {len(ids)} ids are not those of dead items. "
            "`wqlib queue dead` lists them."
        )
        return EXIT_ERROR
    return EXIT_OK


def _export(queue: WorkQueue, options: argparse.Namespace) -> int:
    with _output(options.output) as output:
        numbers = queue.export(output)
    told = ", ".join(f"{number:,} {state}" for state, number in numbers.items())
    _remark(f"Exported {counted(sum(numbers.values()), 'item')} of {shown(queue.name)}: {told}.")
    return EXIT_OK


def _import(queue: WorkQueue, options: argparse.Namespace) -> int:
    reader = export.read_plain if options.lines else export.read
    digest = hashlib.sha256(repr((options.lines, options.dead)).encode())
    with _input(options.file) as file:
        start = file.tell()
        try:
            found = Counter(entry.state for entry in reader(_lines(file, digest)))
        except BadQueueFile as error:
            hint = "" if options.lines else " (A file with an item in each line needs --lines.)"
            raise BadQueueFile(f"Nothing was put. {error}{hint}") from None
        file.seek(start)
        wanted = (x.item for x in reader(_lines(file)) if options.dead or x.state != "dead")
        put = queue.put(
            wanted,
            resume=f"import {digest.hexdigest()}" if options.once else "",
        )
    print(f"{counted(put, 'item')} put into {shown(queue.name)}.")
    left_out = 0 if options.dead else found["dead"]
    if put < found.total() - left_out:
        _remark(f"{counted(found.total() - left_out - put, 'item')} went in before.")
    if left_out:
        _remark(f"{counted(left_out, 'dead item')} left out. With --dead they go in too.")
    return EXIT_OK


# -- files


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that is there only once all is written."""
    if path is None:
        yield sys.stdout
        return
    if path.exists() and not path.is_file():  # a pipe, say
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    scratch = path.with_name(f".{path.name}.part")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            yield file
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def _input(path: Path) -> Iterator[BinaryIO]:
    """Open a file that can be read twice: a copy, if it is standard input or a pipe."""
    with contextlib.ExitStack() as stack:
        if str(path) == "-":
            file: BinaryIO = sys.stdin.buffer
        else:
            file = stack.enter_context(path.open("rb"))
        if not file.seekable():
            copy = stack.enter_context(tempfile.TemporaryFile())
            while piece := file.read(2**20):
                copy.write(piece)
            copy.seek(0)
            file = copy
        yield file


def _lines(file: BinaryIO, digest: Any = None) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long only so much that this can be told.

    Args:
        file: The file.
        digest: A hash of `hashlib`, which gets all that is read.
    """
    while line := file.readline(export.MAX_LINE_BYTES + 1):
        if digest:
            digest.update(line)
        yield line


def _remark(text: str) -> None:
    print(text, file=sys.stderr)


# -- the command line


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wqlib queue",
        description="Look at a queue, and mend it.",
        epilog=HOW_REDIS_IS_FOUND
        + "Example: wqlib queue stats job2 --redis redis://:password@127.0.0.1:6379/0",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(run: Command, about: str, more: str = "") -> argparse.ArgumentParser:
        text = f"{about[0].upper()}{about[1:]}. {more}"
        made = commands.add_parser(run.__name__[1:], help=about, description=text)
        made.add_argument("name", metavar="NAME", help="name of the queue, such as job2")
        made.add_argument("--redis", metavar="URL", help="redis://:password@host:6379/0")
        made.set_defaults(run=run)
        return made

    stats = command(_stats, "the numbers of the queue")
    stats.add_argument("--json", action="store_true", help="as one JSON object")

    peek = command(_peek, "the next items in line, which stay there", "One line each, cut to fit.")
    peek.add_argument("-n", type=_positive, default=10, help="how many (10)")

    dead = command(_dead, "the items that were given up, and why")
    dead.add_argument("--history", action="store_true", help="with each attempt")

    requeue = command(_requeue, "put dead items back at the end of the line")
    requeue.add_argument("ids", nargs="*", type=int, metavar="ID", help="which (default: all)")

    out = command(
        _export,
        "write all that is not done as JSON lines",
        "Leased, pending and dead items, all from one moment. The queue stays as it is.",
    )
    out.add_argument("-o", "--output", type=Path, metavar="FILE", help="(default: standard output)")

    into = command(
        _import,
        "put the items of an exported file at the end of the line",
        "A file with a mistake is refused as a whole.",
    )
    into.add_argument("file", type=Path, metavar="FILE", help="- for standard input")
    into.add_argument(
        "--once",
        action="store_true",
        help="remember in the queue how much of this file is in: an import that broke off goes "
        "on there when it is run again, and one that did not does nothing",
    )
    kind = into.add_mutually_exclusive_group()
    kind.add_argument("--dead", action="store_true", help="the dead ones too")
    kind.add_argument("--lines", action="store_true", help="any text file: each line is an item")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)
