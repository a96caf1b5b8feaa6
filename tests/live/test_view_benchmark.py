"""The benchmark of the live view measures what it says, on a small scale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import dashboard  # noqa: E402
from wqlib.history import History  # noqa: E402


def test_the_made_up_run_is_a_run_as_a_queue_tells_it() -> None:
    run, history = dashboard.MadeUpRun(4, 100), History()
    history.add(run.beginning())
    history.add(run.events(40))
    counts = history.counts
    assert (counts.total, counts.leased, counts.done, counts.pending) == (100, 4, 36, 60)
    assert len(history.lanes) == 4
    assert history.rate(history.last_at) == pytest.approx(4 / dashboard.ITEM_SECONDS, rel=0.2)


def test_a_frame_and_the_folding_are_measured() -> None:
    row = dashboard.frames(50, 4, 3)
    assert row["slowest_clock_ms"] >= row["clock_ms"] > 0
    assert row["kilobytes"] > 1
    folded = dashboard.fold_apart(20_000, 4)
    assert folded["events"] >= 20_000
    assert folded["events_per_second"] > 0


def test_the_share_of_a_core_is_that_of_a_kernel_which_follows_a_queue() -> None:
    kernel = dashboard.core_share(1.0)
    assert kernel["done"] > 500
    assert kernel["fps"] > 0
    assert 0 < kernel["share"] < 1


def test_bars_are_judged_and_said() -> None:
    assert dashboard._judged("core_share", 0.1)["met"]
    assert not dashboard._judged("core_share", 0.3)["met"]
    assert not dashboard._judged("events_per_second", 199_999)["met"]


def test_help_says_what_there_is() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "dashboard.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
    assert "--json" in done.stdout
