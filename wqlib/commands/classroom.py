"""The commands `wqlib class ...`: a class of learners on one shared cluster.

See docs/class.md. The work is done in `wqlib/course/classroom/`; here are the command lines and
the messages.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..cluster.kube import translate_errors
from ..course.checks.exercise import TITLES
from ..course.classroom import create, names, remove, report
from ..course.classroom import teacher as teachers
from ..course.classroom.teacher import Teacher
from ..errors import EXIT_ERROR, EXIT_OK, ClusterUnreachable
from .terminal import Block, size

DEFAULT_NAME, WATCH_SECONDS = "class", 5.0
MOST_DAYS, MOST_PODS = 366.0, 100
Command = Callable[[Teacher, argparse.Namespace], int]
NEXT = """\
{learners} learners: {folder} has a kubeconfig and a note for each, and {list}.
Give each learner the two files with their number, so that nobody else can read them.
Still to do, once: the worker's image job-wq-2:1 must be on every node, as learners cannot
build there. With your own permissions:
    wqlib bundle notebooks/worker
and build that folder into the cluster as you usually do; docs/class.md has examples.
Progress:    wqlib class status {name} --context {context} --watch
Afterwards:  wqlib class delete {name} --context {context}{output}"""
ONLY_HERE = """\
NOTE: the cluster's address is {server}, which other machines cannot reach. If learners work on
their own machines, create the class with --server and the address that works for them."""


@translate_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `wqlib class`.

    Returns:
        0; 1 if nothing was deleted.

    Raises:
        WqlibError: What went wrong, in plain words.
        KeyboardInterrupt: After Ctrl-C, with what to do next.
    """
    options = _parser().parse_args(arguments)
    names.checked(options.name)
    try:
        return int(options.run(teachers.connect(options.context), options))
    except KeyboardInterrupt:
        if getattr(options, "watch", None) is not None:  # that is how watching ends
            return EXIT_OK
        raise KeyboardInterrupt(options.after_interruption) from None


def _create(teacher: Teacher, options: argparse.Namespace) -> int:
    folder = options.output or Path(f"wq-{options.name}")
    plan = create.ClassPlan(
        options.name, options.learners, folder, options.days, options.pods, options.server or ""
    )
    learners = create.create(teacher, plan, lambda line: print(line, flush=True))
    output = f" --output {folder}" if options.output else ""
    print()
    print(
        NEXT.format(
            learners=learners,
            folder=folder,
            list=names.list_name(options.name),
            name=options.name,
            context=teacher.context,
            output=output,
        )
    )
    server = plan.server or teacher.server
    if urlsplit(server).hostname in ("127.0.0.1", "localhost", "::1", "0.0.0.0"):
        print(ONLY_HERE.format(server=server))
    return EXIT_OK


def _status(teacher: Teacher, options: argparse.Namespace) -> int:
    block, live = Block(), sys.stdout.isatty()
    while True:
        try:
            rows = report.read(teacher, options.name)
        except ClusterUnreachable:
            if options.watch is None:
                raise
            time.sleep(options.watch)
            continue
        if options.json:
            print(json.dumps(report.as_json(rows)), flush=True)
        else:
            wanted = options.guesses
            text = (
                report.lines(rows, time.time()) if wanted is None else report.guesses(rows, wanted)
            )
            if options.watch is not None and live:
                columns, height = size()
                block.show(report.cut_to_fit(text, columns, height - 1))
            else:
                print("\n".join(text), flush=True)
        if options.watch is None:
            return EXIT_OK
        time.sleep(options.watch)


def _delete(teacher: Teacher, options: argparse.Namespace) -> int:
    folder = options.output or Path(f"wq-{options.name}")
    learners = teacher.namespaces(options.name)
    files = remove.files(options.name, folder)
    if not learners and not files:
        raise teachers.no_such_class(teacher, options.name)
    print(
        f"This deletes {len(learners)} namespaces of the cluster of the context "
        f"{teacher.context!r}, with everything in them:"
    )
    for learner in learners:
        print(f"    {learner.namespace}")
    print(f"and {len(files)} files in {folder}: kubeconfigs, notes and the list.")
    if not options.yes and not _confirmed():
        print("Nothing was deleted.")
        return EXIT_ERROR

    def say(left: int) -> None:
        print(f"{left} of {len(learners)} namespaces still exist", flush=True)

    remove.delete(teacher, options.name, learners, say)
    remove.delete_files(options.name, folder)
    print(f"The class {options.name} is gone.")
    return EXIT_OK


def _confirmed() -> bool:
    try:
        return input("Delete all of it? Type yes: ").strip().lower() == "yes"
    except EOFError:
        print("(no answer; use --yes to skip this question)")
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wqlib class",
        description="A class of learners on one shared cluster: a namespace, a quota, the "
        "permissions that the course needs and a kubeconfig each.",
        epilog="Name the cluster: --context, or WQLIB_CONTEXT. "
        "Example: wqlib class create monday --learners 30 --context kind-wq",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Command, about: str, more: str) -> argparse.ArgumentParser:
        text = f"{about[0].upper()}{about[1:]}. {more}"
        made = commands.add_parser(name, help=about, description=text)
        made.add_argument(
            "name",
            metavar="NAME",
            nargs="?",
            default=DEFAULT_NAME,
            help=f"name of the class, such as monday ({DEFAULT_NAME})",
        )
        made.add_argument("--context", help="a context of your kubeconfig (default: WQLIB_CONTEXT)")
        made.set_defaults(run=run)
        return made

    new = command(
        "create",
        _create,
        "create a class, or complete one",
        "Run it again to complete what was interrupted, add learners, or renew kubeconfigs; what "
        "exists already is reset to what this command would make.",
    )
    new.add_argument(
        "--learners", type=int, required=True, metavar="N", help=f"1 to {names.MOST_LEARNERS}"
    )
    _add_output(new, "where kubeconfigs and notes go, readable only by you")
    new.add_argument(
        "--days",
        type=_between(0.01, MOST_DAYS),  # a cluster gives no tokens for under ten minutes
        default=2.0,
        help="how long the kubeconfigs work, in days (2)",
    )
    new.add_argument(
        "--pods",
        type=_between(create.BUSY_PODS, MOST_PODS, int),
        default=20,
        help="how many pods a learner may run at once (20)",
    )
    new.add_argument(
        "--server",
        type=_server,
        metavar="URL",
        help="the API server's address for learners, if it differs from yours",
    )
    new.set_defaults(after_interruption="Run the same command again to complete the class.")

    status = command(
        "status",
        _status,
        "every learner's progress, and whose pods are stuck",
        "DONE is what each learner's own checks report.",
    )
    status.add_argument(
        "--watch",
        type=_between(0.5, 3600),
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help=f"repeat every SECONDS ({WATCH_SECONDS:g}), until Ctrl-C",
    )
    status.add_argument(
        "--guesses",
        type=_notebook,
        nargs="?",
        const="",
        metavar="NN",
        help="instead, how many chose each option of the predictions (of notebook NN); ✓ is right",
    )
    status.add_argument("--json", action="store_true", help="as JSON, one line each time")
    status.set_defaults(after_interruption="Nothing was changed.")

    old = command(
        "delete",
        _delete,
        "delete a class and everything in it",
        "It lists what it will delete, asks for confirmation, and waits until all is gone.",
    )
    _add_output(old, "the folder of the kubeconfigs, which are deleted too")
    old.add_argument("--yes", action="store_true", help="do not ask")
    old.set_defaults(after_interruption="Run the same command again to continue.")
    return parser


def _add_output(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("--output", type=Path, metavar="FOLDER", help=f"{about} (wq-NAME)")


def _between(least: float, most: float, kind: type = float) -> Callable[[str], Any]:
    """Return the type of an argument that is a number in these bounds."""

    def convert(text: str) -> Any:
        with contextlib.suppress(ValueError):
            if least <= float(text) <= most:
                return kind(float(text))
        raise argparse.ArgumentTypeError(f"{text} is not a number from {least:g} to {most:g}")

    return convert


def _notebook(text: str) -> str:
    """Return the number of a notebook, such as "06"; "" stays."""
    number = text and text.zfill(2)
    if number and number not in TITLES:
        raise argparse.ArgumentTypeError(f"{text} is not a notebook; they are 00 to {max(TITLES)}")
    return number


def _server(text: str) -> str:
    if urlsplit(text).scheme != "https" or not urlsplit(text).hostname:
        raise argparse.ArgumentTypeError(f"{text} is not an address such as https://10.0.0.1:6443")
    return text.rstrip("/")
