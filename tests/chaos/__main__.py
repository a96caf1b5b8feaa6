"""The chaos run in the terminal: `python -m tests.chaos --items 20000 --seconds 60`."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .checker import summary
from .plan import Plan
from .planted import PLANTED, plan_for
from .run import Report, run

_FAULTS = (
    "kills kills_flush terms zombies redis_restarts failovers cuts swallowed stalled delayed held "
    "oom flushes undone"
).split()
_SHOWN_CASES = 5
PLACES = ("alone", "cluster", "sentinel")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code is 0 if nothing was violated."""
    options = _parser().parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    if options.plant:
        return plant_all(
            [options.plant] if options.plant != "all" else list(PLANTED), seed, options
        )
    plan = Plan(
        items=options.items,
        seconds=options.seconds,
        seed=seed,
        restarts=options.restarts,
        kills=options.items // 50 if options.kills is None else options.kills,
        lease_seconds=options.lease_seconds,
    )
    is_clean = True
    for on in [options.on] if options.on else PLACES:
        folder = Path(options.keep, on) if options.keep else None
        report = run(replace(plan, on=on, replicas=int(on == "sentinel")), folder)
        print(json.dumps(as_dict(report)) if options.json else as_line(report), flush=True)
        _tell(report)
        is_clean = is_clean and report.is_clean
    return 0 if is_clean else 1


def plant_all(names: Sequence[str], seed: int, options: argparse.Namespace) -> int:
    """Run with each of these bugs in turn; the exit code is 0 if all were found."""
    missed = []
    for name in names:
        report = run(plan_for(name, seed), Path(options.keep, name) if options.keep else None)
        found = {kind: report.verdict.count(kind) for kind in report.verdict.violations}
        ought = PLANTED[name].found
        is_caught = all(found.get(kind) for kind in ought)
        shown = {"planted": name, "seed": seed, "caught": is_caught, "seconds": report.seconds}
        if options.json:
            print(json.dumps(shown | {"expected": ought, "found": found}), flush=True)
        else:
            words = " ".join(f"{kind}={number}" for kind, number in found.items())
            verdict = "caught" if is_caught else f"NOT CAUGHT (expected {', '.join(ought)})"
            print(f"{name}: {verdict}: {words} ({report.seconds:.1f} s)", flush=True)
        if not is_caught:
            missed.append(name)
    return 1 if missed else 0


def as_dict(report: Report) -> dict[str, object]:
    """What happened, and what was wrong."""
    numbers = report.verdict.numbers
    return {
        "on": report.plan.on,
        "seed": report.plan.seed,
        "items": numbers["items"],
        **{name: numbers.get(name, 0) for name in ("lease", "complete", "dead", "fenced")},
        **{name: report.counts.get(name, 0) for name in _FAULTS},
        "drained_told": numbers.get("drained_told", 0),
        "seconds": round(report.seconds, 1),
        **summary(report.verdict),
    }


def as_line(report: Report) -> str:
    """The same as one line."""
    return " ".join(f"{name}={value}" for name, value in as_dict(report).items())


def _tell(report: Report) -> None:
    for kind, cases in report.verdict.violations.items():
        for case in cases[:_SHOWN_CASES]:
            print(f"{kind}: {case}", file=sys.stderr)
        if len(cases) > _SHOWN_CASES:
            print(f"{kind}: and {len(cases) - _SHOWN_CASES} more", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--items", type=int, default=20_000, help="how many items (20000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long chaos lasts (60)")
    parser.add_argument("--seed", type=int, help="decides which fault strikes when (random)")
    parser.add_argument("--on", choices=PLACES, help="only this one (all in turn)")
    parser.add_argument("--kills", type=int, help="workers killed at least (items / 50)")
    parser.add_argument("--lease-seconds", type=float, default=1.0, help="of each lease (1)")
    parser.add_argument(
        "--restarts",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="restart Redis and fail over in the middle",
    )
    parser.add_argument(
        "--plant",
        choices=["all", *PLANTED],
        help="build a bug into the queue; succeeds if the checker finds it",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each run")
    parser.add_argument(
        "--keep", metavar="FOLDER", help="keep diaries and events in this new folder"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
