"""The commands `wqlib queue ...`: look at a queue in the terminal, and repair it.

What a command says as text is made by pure functions in `queuewords`; the commands here only read,
ask and print. `queuefiles` holds export and import, `top` the table that changes. Data goes to
standard output, remarks go to standard error.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..commandline import HOW_REDIS_IS_FOUND, Parser, foreign_words
from ..errors import (
    EXIT_ERROR,
    EXIT_OK,
    EXIT_USAGE,
    RedisRefused,
    WqlibError,
    WrongKeyType,
    WrongVersion,
)
from ..queue import WorkQueue, finding, rights
from ..queue.address import Address
from ..queue.items import ItemState
from ..shown import shown
from . import queuefiles, queuewords
from .queuewords import counted, when
from .terminal import remark

Command = Callable[[WorkQueue, argparse.Namespace], int]


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


# -- the commands that only look


def _list(queue: WorkQueue, options: argparse.Namespace) -> int:
    """`queue` is any queue of this Redis."""
    found, failed = finding.find(queue.address), False
    rows: list[dict[str, Any]] = []
    for name in sorted(found.queues + found.lists * options.all):
        with WorkQueue(name, url=queue.address) as one:
            try:
                numbers = asdict(one.stats())
                rows.append({"queue": name, **numbers, "foreign": one.foreign()})
            except (WrongKeyType, WrongVersion, RedisRefused) as error:
                remark(f"{shown(name)}: {error}")
                failed = True
    if options.json:
        print(json.dumps(rows))
    elif rows:
        print("\n".join(queuewords.list_lines(rows)))
        for row in rows:
            if row["foreign"]:
                remark(foreign_words(shown(row["queue"]), row["foreign"]))
    elif not failed:
        remark("There is no queue here that wqlib has used.")
    if found.lists and not options.all:
        lists, more = counted(len(found.lists), "plain list"), " ..." * (len(found.lists) > 1)
        remark(
            f"Not shown: {lists} that no worker of wqlib has used yet "
            f"({shown(found.lists[0])}{more}). Use --all to show everything."
        )
    return EXIT_ERROR if failed else EXIT_OK


def _stats(queue: WorkQueue, options: argparse.Namespace) -> int:
    stats, foreign = queue.stats(), queue.foreign()
    if options.json:
        more = {"drained": stats.drained, "foreign": foreign}
        print(json.dumps({"queue": queue.name, **asdict(stats), **more}))
        return EXIT_OK
    print("\n".join(queuewords.stats_lines(queue.name, stats)))
    if foreign:
        remark(foreign_words(shown(queue.name), foreign))
    return EXIT_OK


def _top(queue: WorkQueue, options: argparse.Namespace) -> int:
    from . import top  # which loads more than the other commands need

    return top.run(queue, once=options.once, as_json=options.json)


def _peek(queue: WorkQueue, options: argparse.Namespace) -> int:
    items = queue.peek(options.n)
    for item in items:
        print(shown(item))
    if not items:
        remark(f"Nothing waits in {shown(queue.name)}.")
    return EXIT_OK


def _dead(queue: WorkQueue, options: argparse.Namespace) -> int:
    dead = queue.dead_items()
    if dead:
        print("\n".join(queuewords.dead_lines(dead, history=options.history)))
    else:
        remark(f"Nothing in {shown(queue.name)} is dead.")
    return EXIT_OK


def _show(queue: WorkQueue, options: argparse.Namespace) -> int:
    found = queue.item(options.id)
    if found.state == "unknown":
        remark(_unknown(queue, options.id))
        return EXIT_ERROR
    events, after = [], "0"
    while some := queue.events(after):
        after = some[-1].stream_id
        events += [event for event in some if event.item_id == options.id]
    facts = queuewords.item_facts(found, events)
    if options.json:
        print(json.dumps({"queue": queue.name, **facts}))
    else:
        print("\n".join(queuewords.item_lines(queue.name, facts)))
    return EXIT_OK


def _acl(queue: WorkQueue, options: argparse.Namespace) -> int:
    print(rights.acl(queue.name, options.role, *options.mode))
    return EXIT_OK


# -- the commands that change something


def _retry(queue: WorkQueue, options: argparse.Namespace) -> int:
    ids, others = _dead_or_not(queue, options.ids)
    number = queue.requeue_dead(ids if options.ids else None)
    print(f"{counted(number, 'dead item')} put back at the end of the line.")
    return _refuse(queue, others)


def _drop(queue: WorkQueue, options: argparse.Namespace) -> int:
    ids, others = _dead_or_not(queue, options.ids)
    print(f"{counted(queue.drop_dead(ids), 'dead item')} dropped for good.")
    return _refuse(queue, others)


def _dead_or_not(queue: WorkQueue, ids: Sequence[int]) -> tuple[list[int], list[ItemState]]:
    """Return which of these items are dead, and the others."""
    found = [queue.item(item_id) for item_id in sorted(set(ids))]
    dead = [one.item_id for one in found if one.state == "dead"]
    return dead, [one for one in found if one.state != "dead"]


def _refuse(queue: WorkQueue, others: Sequence[ItemState]) -> int:
    """Say why nothing was done about items that are not dead; return the exit code."""
    for found in others:
        is_not = f"Item {found.item_id} is not dead"
        if found.lease:
            remark(
                f"{is_not} but leased, as {shown(found.lease.id)} until "
                f"{when(found.lease.deadline)}. Wait until that lease ends, or stop its worker."
            )
        elif found.state == "waiting":
            remark(f"{is_not}: it waits in line for another attempt.")
        elif found.state == "done":
            remark(f"{is_not}: it is done, or was dropped before.")
        else:
            remark(_unknown(queue, found.item_id))
    return EXIT_ERROR if others else EXIT_OK


def _unknown(queue: WorkQueue, item_id: int) -> str:
    return (
        f"No item of {shown(queue.name)} has the number {item_id}. An item gets its number when it "
        "is first leased; `wqlib queue dead` lists those of dead items."
    )


def _adopt(queue: WorkQueue, options: argparse.Namespace) -> int:
    taken, left = queue.adopt()
    print(f"{counted(taken, 'item')} taken back to the head of the line.")
    if left:
        items, have = ("item", "has") if left == 1 else ("items", "have")
        remark(
            f"{left:,} {items} in {shown(queue.name)}:processing still {have} a lease of the "
            "client of the Kubernetes page: its worker is busy, or died recently. Run this again "
            "when such leases have expired."
        )
    return EXIT_OK


# -- the command line


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wqlib queue",
        description="Look at a queue, and repair it.",
        epilog=HOW_REDIS_IS_FOUND
        + "Example: wqlib queue stats job2 --redis redis://:password@127.0.0.1:6379/0",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        name: str, run: Command, about: str, more: str = "", *, named: bool = True
    ) -> argparse.ArgumentParser:
        text = f"{about[0].upper()}{about[1:]}. {more}"
        made = commands.add_parser(name, help=about, description=text)
        if named:
            made.add_argument("name", metavar="NAME", help="name of the queue, such as job2")
        made.add_argument("--redis", metavar="URL", help="redis://:password@host:6379/0")
        made.set_defaults(run=run)
        return made

    def takes_json(made: argparse.ArgumentParser, about: str = "as one JSON object") -> None:
        made.add_argument("--json", action="store_true", help=about)

    every = command(
        "list",
        _list,
        "the queues of this Redis, or Redis Cluster",
        "It scans all keys, a thousand at a time.",
        named=False,
    )
    every.set_defaults(name="any")
    every.add_argument(
        "--all", action="store_true", help="include lists that no worker has used yet"
    )
    takes_json(every, "as one JSON array of objects")

    takes_json(command("stats", _stats, "the numbers of the queue"))

    top = command(
        "top",
        _top,
        "who works on what now",
        "On a terminal it is updated every second, until q or Ctrl-C; otherwise printed once.",
    )
    top.add_argument("--once", action="store_true", help="print it once")
    takes_json(top, "print it once, as one JSON object")

    peek = command(
        "peek", _peek, "the next items in line, which stay there", "One line each, truncated."
    )
    peek.add_argument("-n", type=_positive, default=10, help="how many (10)")

    dead = command("dead", _dead, "the dead items, and why they died")
    dead.add_argument("--history", action="store_true", help="with each attempt")

    show = command(
        "show",
        _show,
        "everything known about one item",
        "Where it is, its attempts, and its result. What its keys do not say comes from the event "
        "stream, as far back as it reaches.",
    )
    show.add_argument("id", type=_positive, metavar="ID", help="number of the item")
    takes_json(show)

    retry = command("retry", _retry, "put dead items back at the end of the line")
    retry.add_argument("ids", nargs="*", type=_positive, metavar="ID", help="which (default: all)")

    drop = command(
        "drop",
        _drop,
        "remove dead items for good",
        "Pending and leased items stay where they are.",
    )
    drop.add_argument("ids", nargs="+", type=_positive, metavar="ID", help="which")

    command(
        "adopt",
        _adopt,
        "take back what the client of the Kubernetes page left behind",
        "That client never looks for expired leases, so the items of a worker that died stay in "
        "NAME:processing forever. Only those without a lease are taken back. Stop its workers "
        "first, if you can: one that takes longer than its lease may process such an item too.",
    )

    acl = command(
        "acl",
        _acl,
        "the ACL rules of a least-privilege Redis user",
        "For ACL SETUSER in redis-cli, or a line `user USER on >PASSWORD RULES` in an ACL file. "
        "It does not connect to Redis.",
    )
    acl.add_argument(
        "--role",
        choices=rights.ROLES,
        default="worker",
        help="worker: lease and complete; filler: put; watcher: read; owner: everything, including "
        "retry, drop, adopt and clear (worker)",
    )
    acl.add_argument(
        "--mode",
        choices=rights.MODES,
        action="append",
        default=[],
        help="how Redis is run or used, if that needs more permissions; may be repeated",
    )

    out = command(
        "export",
        queuefiles.export_queue,
        "write everything that is not done as JSON lines",
        "Leased, pending and dead items, as of one moment. The queue is not changed.",
    )
    out.add_argument("-o", "--output", type=Path, metavar="FILE", help="(default: standard output)")

    into = command(
        "import",
        queuefiles.import_queue,
        "put the items of an exported file at the end of the line",
        "A file with a mistake is refused as a whole.",
    )
    into.add_argument("file", type=Path, metavar="FILE", help="- for standard input")
    into.add_argument(
        "--once",
        action="store_true",
        help="remember in the queue how much of this file is in: run again, an interrupted import "
        "continues there, and a complete one does nothing",
    )
    kind = into.add_mutually_exclusive_group()
    kind.add_argument("--dead", action="store_true", help="include the dead items")
    kind.add_argument("--lines", action="store_true", help="any text file: each line is an item")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)
