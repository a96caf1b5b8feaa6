"""The commands `wqlib course ...`: the learner's own copy of the notebooks, `my-course/`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..course import copies
from ..errors import EXIT_OK
from ..shown import table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `wqlib course`.

    Raises:
        WqlibError: What went wrong, in plain words.
    """
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wqlib course",
        description="Your own copy of the course: the folder my-course, which `make lab` opens.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    update = commands.add_parser(
        "update", help="create or update it; what you wrote stays (make lab does this)"
    )
    update.set_defaults(run=_update)
    status = commands.add_parser(
        "status", help="see which notebooks you have begun, and how far you are"
    )
    status.set_defaults(run=_status)
    reset = commands.add_parser("reset", help="get a fresh copy; yours is kept next to it")
    reset.add_argument(
        "what", metavar="NN", help="a notebook, such as 05; or a file, such as manifests/job.yaml"
    )
    reset.set_defaults(run=_reset)
    return parser


def _update(options: argparse.Namespace) -> int:
    for line in copies.update():
        print(line)
    return EXIT_OK


def _status(options: argparse.Namespace) -> int:
    from ..course import checks
    from ..course.checks import record
    from ..course.checks.exercise import TITLES
    from ..course.predictions import data

    found = copies.status()
    exercises = {name: one.notebook for name, one in checks.exercises().items()}
    predictions = {name: name[:2] for name in data.known()}
    done = {name for name, one in record.load().items() if one["passed"]}
    guessed = {name for name, one in record.guesses().items() if one["guess"]}
    rows = [["NOTEBOOK", "", "YOURS", "EXERCISES", "PREDICTIONS", ""]]
    for one in found:
        beside = f"new edition: {', '.join(one.beside)}" if one.beside else ""
        counts = [
            _count(one.number, done, exercises),
            _count(one.number, guessed, predictions),
        ]
        rows.append([one.number, TITLES.get(one.number, ""), one.state, *counts, beside])
    for line in table(rows):
        print(line.rstrip())
    return EXIT_OK


def _count(notebook: str, done: set[str], known: dict[str, str]) -> str:
    mine = {name for name, number in known.items() if number == notebook}
    return f"{len(mine & done)} of {len(mine)}" if mine else "-"


def _reset(options: argparse.Namespace) -> int:
    print(copies.reset(options.what))
    return EXIT_OK
