"""The chaos run: a short one, its checker on stories written by hand, and the planted bugs."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from chaos import checker, records
from chaos.checker import KINDS, judge, summary
from chaos.plan import Plan
from chaos.planted import PLANTED, plan_for, spoilt
from chaos.records import Final, History
from chaos.run import Report, run
from chaos.servers import until
from wqlib.queue.link import _source

ROOT = Path(__file__).resolve().parents[2]
START_MS = 1_700_000_000_000


# -- the checker, on a small story and on what can be wrong with it


def entry(at: int, *pairs: tuple[str, str]) -> tuple[str, list[bytes]]:
    """An entry of the event stream, `at` ms after the start."""
    return f"{START_MS + at}-0", [word.encode() for pair in pairs for word in pair]


def ends(at: int) -> tuple[str, str]:
    return "until", str(START_MS + at)


def pending(number: int) -> tuple[str, str]:
    return "pending", str(number)


def call(at: int, what: str, told: dict[str, Any] | None, **asked: Any) -> list[dict[str, Any]]:
    """What a diary says about a call that Redis carried out `at` ms after the start."""
    second = (START_MS + at) / 1000
    ask = {"ask": what, "call": at, "at": second - 0.001, **asked}
    return [ask] if told is None else [ask, {"told": told, "call": at, "at": second + 0.003}]


def task(name: str, item: str, began: int, ended: int | None) -> list[dict[str, Any]]:
    """What a diary says about the work on an item."""
    records = [{"begins": name, "item": item, "at": (START_MS + began) / 1000}]
    return records + ([{"ends": name, "at": (START_MS + ended) / 1000}] if ended else [])


def lease(lease_id: str, item: str, deadline: int) -> dict[str, Any]:
    return {"leases": [[lease_id, item, START_MS + deadline]], "drained": False}


def clean() -> History:
    """Two equal apples and a poison; one apple expires once, and its first worker is fenced."""
    return History(
        entries=[
            entry(0, ("put", "3"), pending(3)),
            entry(10, ("lease", "1-1@a apple"), ends(1010), pending(2)),
            entry(20, ("complete", "1-1@a 8 3"), ("lease", "2-1@a apple"), ends(1020), pending(1)),
            entry(30, ("lease", "3-1@b poison"), ends(1030), pending(0)),
            entry(40, ("fail", "3-1@b bad"), pending(1)),
            entry(50, ("lease", "3-2@b poison"), ends(1050), pending(0)),
            entry(60, ("fail", "3-2@b bad"), ("dead", "3-2@b fail: bad"), pending(0)),
            entry(1100, ("expire", "2-1@a"), ("lease", "2-2@b apple"), ends(2100), pending(0)),
            entry(1500, ("renew", "2-2@b"), ends(2500), pending(0)),
            entry(1600, ("complete", "2-2@b"), ("drained", "1"), pending(0)),
        ],
        diaries={
            "filler": call(0, "put", {}, first=0, items=["apple", "apple", "poison"]),
            "a": call(10, "lease", lease("1-1@a", "apple", 1010), ends={}, wants=1)
            + task("a/1", "apple", 12, 17)
            + call(20, "complete", lease("2-1@a", "apple", 1020), ends={"1-1@a": "a/1"}, wants=1)
            + task("a/2", "apple", 22, 1540)
            + call(1550, "complete", {"lost": ["2-1@a"]}, ends={"2-1@a": "a/2"}, wants=1),
            "b": call(30, "lease", lease("3-1@b", "poison", 1030), ends={}, wants=1)
            + call(40, "fail", {}, ends={"3-1@b": None})
            + call(50, "lease", lease("3-2@b", "poison", 1050), ends={}, wants=1)
            + call(60, "fail", {}, ends={"3-2@b": None})
            + call(1100, "lease", lease("2-2@b", "apple", 2100), ends={}, wants=1)
            + call(1500, "renew", lease("2-2@b", "apple", 2500))
            + call(
                1600, "complete", {"leases": [], "drained": True}, ends={"2-2@b": None}, wants=1
            ),
        },
        final=Final(
            tries={3},
            dead={3: b"poison"},
            results={1: b"a/1"},
            counts={
                "put": 3,
                "leases": 5,
                "done": 2,
                "expired": 1,
                "released": 0,
                "failed": 2,
                "dead": 1,
            },
        ),
        lease_ms=1000,
        max_attempts=2,
        work_ms=2000,
    )


def instead(history: History, number: int, *pairs: tuple[str, str], later: int = 0) -> None:
    """Another entry in the place of entry `number`."""
    at = int(history.entries[number][0].partition("-")[0]) - START_MS + later
    history.entries[number] = entry(at, *pairs)


def _lost(h: History) -> None:
    instead(h, -1, ("drained", "1"), pending(0))


def _recorded_twice(h: History) -> None:
    h.entries.append(entry(1700, ("complete", "2-1@a"), pending(0)))


def _drained_early(h: History) -> None:
    h.diaries["c"] = call(1300, "drained", {"drained": True})


def _held_by_two(h: History) -> None:
    instead(h, 7, ("lease", "2-2@b apple"), ends(2100), pending(0))


def _expired_early(h: History) -> None:
    instead(h, 7, ("expire", "2-1@a"), ("lease", "2-2@b apple"), ends(2019), later=-81)


def _stale_accepted(h: History) -> None:
    h.entries.insert(8, entry(1200, ("renew", "2-1@a"), ends(2200), pending(0)))


def _stale_by_the_clock(h: History) -> None:
    instead(h, -1, ("complete", "2-2@b"), ("drained", "1"), pending(0), later=2000)


def _ended_wrongly(h: History) -> None:
    h.entries.insert(3, entry(25, ("expire", "1-1@a"), pending(1)))


def _wrong_deadline(h: History) -> None:
    instead(h, 1, ("lease", "1-1@a apple"), ends(3_600_000), pending(2))


def _wrong_attempt(h: History) -> None:
    instead(h, 5, ("lease", "3-1@b poison"), ends(1050), pending(0))


def _wrong_bytes(h: History) -> None:
    h.diaries["a"][1]["told"]["leases"][0][1] = "pear"


def _wrong_result(h: History) -> None:
    h.final.results[1] = b"late"


def _wrong_pending(h: History) -> None:
    instead(h, 4, ("fail", "3-1@b bad"), pending(0))


def _unrecorded(h: History) -> None:
    h.diaries["a"][-1]["told"] = {"leases": []}


def _told_wrongly(h: History) -> None:
    h.diaries["b"][-1]["told"] = {"lost": ["2-2@b"]}


def _stranded(h: History) -> None:
    h.diaries["a"][1]["told"] = {"leases": []}


def _dead_wrongly(h: History) -> None:
    instead(h, 4, ("fail", "3-1@b bad"), ("dead", "3-1@b fail: bad"), pending(0))


def _undead(h: History) -> None:
    instead(h, 6, ("fail", "3-2@b bad"), pending(1))


def _stale_written(h: History) -> None:
    h.stale_writes = 1


def _forgotten(h: History) -> None:
    h.diaries["a"] += task("a/3", "banana", 1560, 1570)
    h.exits = {"a"}


def _forgotten_while_it_goes_on(h: History) -> None:
    h.diaries["a"] += task("a/3", "banana", 1560, 1570)
    for at in range(1571, 1576):
        h.diaries["a"] += call(at, "complete", {}, ends={})


def _made_up(h: History) -> None:
    h.diaries["a"][2]["item"] = "pear"


def _made_up_too_early(h: History) -> None:
    del h.diaries["a"][3]


def _ended_twice(h: History) -> None:
    h.diaries["a"] += call(1560, "fail", {"lost": ["1-1@a"]}, ends={"1-1@a": None})


def _overdue_accepted(h: History) -> None:
    h.work_ms = 1


def _wrong_times(h: History) -> None:
    instead(h, 2, ("complete", "1-1@a 15 3"), ("lease", "2-1@a apple"), ends(1020), pending(1))


def _left_over(h: History) -> None:
    h.final.tries = {2, 3}


def _kept_forever(h: History) -> None:
    h.final.kept_forever = 1


def _events_missing(h: History) -> None:
    h.gaps = 1


def _events_uncounted(h: History) -> None:
    h.final.counts["released"] = 1


def _errors(h: History) -> None:
    h.diaries["b"][-1]["told"] = {"error": "TypeError()"}


def _unfinished(h: History) -> None:
    h.is_finished = False


WRONG: list[tuple[str, Callable[[History], None]]] = [
    ("lost", _lost),
    ("recorded_twice", _recorded_twice),
    ("drained_early", _drained_early),
    ("held_by_two", _held_by_two),
    ("expired_early", _expired_early),
    ("stale_accepted", _stale_accepted),
    ("stale_accepted", _stale_by_the_clock),
    ("ended_wrongly", _ended_wrongly),
    ("wrong_deadline", _wrong_deadline),
    ("wrong_attempt", _wrong_attempt),
    ("wrong_bytes", _wrong_bytes),
    ("wrong_result", _wrong_result),
    ("wrong_pending", _wrong_pending),
    ("unrecorded", _unrecorded),
    ("told_wrongly", _told_wrongly),
    ("stranded", _stranded),
    ("dead_wrongly", _dead_wrongly),
    ("undead", _undead),
    ("stale_written", _stale_written),
    ("forgotten", _forgotten),
    ("forgotten", _forgotten_while_it_goes_on),
    ("made_up", _made_up),
    ("made_up", _made_up_too_early),
    ("ended_twice", _ended_twice),
    ("overdue_accepted", _overdue_accepted),
    ("wrong_times", _wrong_times),
    ("left_over", _left_over),
    ("kept_forever", _kept_forever),
    ("events_missing", _events_missing),
    ("events_missing", _events_uncounted),
    ("errors", _errors),
    ("unfinished", _unfinished),
]


def test_the_checker_finds_nothing_in_a_clean_story() -> None:
    verdict = judge(clean())
    assert verdict.violations == {}
    numbers = verdict.numbers
    assert (numbers["items"], numbers["complete"], numbers["dead"]) == (3, 2, 1)
    assert (numbers["fenced"], numbers["drained_told"]) == (1, 1)
    assert summary(verdict) == {"lost": 0, "recorded_twice": 0, "drained_early": 0}


@pytest.mark.parametrize(("kind", "spoil"), WRONG, ids=[f.__name__[1:] for _, f in WRONG])
def test_the_checker_finds_what_is_wrong(kind: str, spoil: Callable[[History], None]) -> None:
    history = clean()
    spoil(history)
    assert judge(history).count(kind)


def test_each_kind_of_violation_has_a_story() -> None:
    assert {kind for kind, _ in WRONG} == set(KINDS)


def test_a_worker_that_died_was_promised_nothing() -> None:
    history = clean()
    history.diaries["a"] = history.diaries["a"][:-2]  # killed before it came back too late
    history.diaries["b"] = history.diaries["b"][:-1]  # killed before it read the last reply
    assert judge(history).violations == {}


def test_a_filler_that_died_may_have_put_its_last_items_or_not() -> None:
    history = clean()
    history.diaries["filler"] = call(0, "put", None, first=0, items=["apple", "apple", "poison"])
    assert judge(history).violations == {}
    again = call(5, "put", None, first=3, items=["pear"])
    history.diaries["filler.2"] = again
    assert judge(history).violations == {}
    history.diaries["filler.2"] = call(5, "put", {}, first=3, items=["pear"])
    assert judge(history).count("lost") == 1


@pytest.mark.parametrize("module", [checker, records])
def test_the_checker_shares_no_code_with_the_queue(module: ModuleType) -> None:
    imported = set()
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or ""))
    standard = {"__future__", "bisect", "collections", "collections.abc", "dataclasses", "typing"}
    assert imported <= standard | {".records"}


# -- the run itself


def longer_and_longer(plan: Plan) -> Iterator[Report]:
    """Carry a plan out again and again: on a busy machine less happens in a second."""
    for factor in (1, 2, 4):
        peace = factor * plan.peace_seconds
        yield run(replace(plan, seconds=factor * plan.seconds, peace_seconds=peace))


SHORT = Plan(items=1000, seconds=8.0, seed=1, kills=40, workers=6, lease_seconds=0.5)
# The library's own workers alone: inline, in threads, on an event loop.
OWN = replace(SHORT, roles=("auto", "threads", "async"), restarts=False, items=1500, seconds=5.0)
SENTINEL = replace(SHORT, on="sentinel", replicas=1, seconds=10.0)
ALWAYS = "kills zombies cuts swallowed delayed oom flushes fenced drained_told".split()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("plan", "more"),
    [
        (SHORT, ("redis_restarts", "failovers")),
        (OWN, ("kills_flush", "kills_ended", "terms")),
        (SENTINEL, ("failovers",)),
    ],
    ids=["alone", "the library's own workers", "sentinel"],
)
def test_nothing_is_violated_in_a_short_run(plan: Plan, more: Sequence[str]) -> None:
    for report in longer_and_longer(plan):
        assert report.verdict.violations == {}
        assert report.verdict.numbers["items"] == plan.items
        happened = report.counts | report.verdict.numbers
        missing = [what for what in (*ALWAYS, *more) if not happened.get(what)]
        if not missing and report.counts["kills"] >= plan.kills:
            break
    # It was no walk in the park.
    assert missing == []
    assert report.counts["kills"] >= plan.kills
    points = ("before", "half", "sent", "reply")
    assert sum(report.counts.get(f"kills_{point}", 0) for point in points) > 0


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    missed = set(PLANTED[name].found)
    for report in longer_and_longer(plan_for(name, seed=1)):
        missed -= report.verdict.violations.keys()
        if not missed:
            break
    assert missed == set(), f"found only {sorted(report.verdict.violations)}"


def test_a_planted_bug_that_no_longer_fits_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"has 0 times. Plant it anew"):
        spoilt("skip_fencing", "lease.lua", b"return 1")
    with pytest.raises(LookupError, match=r"has 2 times"):
        spoilt("skip_fencing", "lease.lua", 2 * _source("lease"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_everything_is_gone_however_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    conductor = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", "--on", "alone", "--items", "5000"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # As in a terminal: a shell's background job would not hear of Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        running = psutil.Process(conductor.pid)
        # Workers, filler, fork server, primary and replica; a worker may be dead for a moment.
        until(lambda: len(running.children(recursive=True)) >= 8 + 1 + 1 + 2, "the workers")
        until(lambda: len([*tmp_path.glob("wqlib-chaos-*/w*.diary")]) >= 8, "their diaries")
        children = running.children(recursive=True)
    finally:
        conductor.send_signal(number)
    assert conductor.wait(30) != 0
    until(lambda: not any(map(_lives, children)), "all to end")
    until(lambda: not list(tmp_path.iterdir()), "the folders to go")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
