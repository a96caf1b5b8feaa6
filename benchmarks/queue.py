"""How fast one worker drains a queue of no-op items, or of items that wait, beside the peers.

    python benchmarks/queue.py [--json] [--quick] [--peers LIST|none] [--repeats N]
                               [--cores one|two|both] [--chart FILE] [--from FILE]

Every contender is a process of its own, in `contenders/`, where its docstring says what settings
it runs with and why. All run in turn, round after round in changing order, against a private
redis-server, with the worker and the server kept on one core, and again on two. A queue is filled
by the contender's own call before the clock starts; after it stops, the contender has to prove
that it processed each item once and left none. Then come items that wait for 20 ms, 50 at a time.

Machines are noisy, so the ratios are taken within a round, or between two contenders that take
turns every few milliseconds; medians are printed. The peers are installed under build/, in
environments of their own. The bars never change the exit code; a contender that does not do its
work does.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys
from pathlib import Path

# This file has the name of a module of the standard library, and must not stand in its way.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != _HERE]
sys.path.insert(0, str(_HERE.parent))

import argparse
import json
import os
import platform
import signal
import time

import redis

from benchmarks import chart, report
from benchmarks.lab import placements
from benchmarks.roster import PEERS
from benchmarks.session import Amounts, Session
from wqlib.redisserver import RedisServer

_QUICK_SECONDS = 52.0  # what begins before this is over ends within a minute


def main() -> int:
    """Measure, print, draw."""
    began = time.monotonic()
    options = _options()
    if options.from_file:
        result = json.loads(options.from_file.read_text())
    else:
        result = _measure(options, began)
    print(json.dumps(result) if options.json else report.text(result))
    if options.chart:
        try:
            chart.draw(result, options.chart)
            _say(f"The chart is in {options.chart}.")
        except ImportError:
            _say("There is no matplotlib here, so no chart was drawn.")
    return 1 if report.failures(result) else 0


def _measure(options: argparse.Namespace, began: float) -> dict[str, object]:
    busy = os.getloadavg()[0]
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        info = client.info("server")
    version = str(info.get("valkey_version") or info["redis_version"])
    found, missing = placements(options.cores)
    if not found:
        sys.exit(f"There is nothing to measure: {'; '.join(missing.values())}. Try --cores two.")
    session = Session(
        found,
        peers=options.peers,
        redis_version=str(info["redis_version"]),
        amounts=(Amounts.quick if options.quick else Amounts.full)(options.repeats),
        end_at=began + _QUICK_SECONDS if options.quick else None,
        say=_say,
    )
    rounds = session.run()
    result: dict[str, object] = {
        "server": f"{'Valkey' if 'valkey_version' in info else 'Redis'} {version}",
        "python": platform.python_version(),
        "redis_py": redis.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(busy, 2),
        "quick": options.quick,
        "repeats": rounds,
        **{place: {"skipped": why} for place, why in missing.items()},
        **session.figures(),
    }
    result["load_after"] = round(os.getloadavg()[0], 2)
    result["bars"] = report.bars(result)
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="fewer items, under 60 s")
    parser.add_argument(
        "--peers",
        type=_peers,
        default=PEERS,
        metavar="LIST",
        help=f"none, or some of {','.join(PEERS)} (default: all)",
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds (3; --quick: at most 3)")
    parser.add_argument("--cores", choices=("one", "two", "both"), default="both")
    parser.add_argument(
        "--chart", type=Path, metavar="FILE", help="draw the chart, as .png or .svg"
    )
    parser.add_argument(
        "--from",
        dest="from_file",
        type=Path,
        metavar="FILE",
        help="measure nothing; print and draw what --json printed before",
    )
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be 1 or more")
    return options


def _peers(text: str) -> tuple[str, ...]:
    names = () if text == "none" else tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(unknown)}")
    return names


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)  # so that everything that was started is ended
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _say("Interrupted; everything that was started is ended.")
        sys.exit(130)
