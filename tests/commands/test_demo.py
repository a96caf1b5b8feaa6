"""demo: a whole run in a process of its own, judged, interrupted, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import localcluster
from wqlib.cluster import local
from wqlib.commands.demo import Killer, judge
from wqlib.commands.terminal import Progress, Signals, Stopped
from wqlib.events import Event

REAL = bool(os.environ.get("WQLIB_CONTEXT"))
SMALL = ["--items", "30", "--pods", "3", "--item-seconds", "0.2", "--lease-seconds", "1"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of our own for the local cluster."""
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    localcluster.stop(tmp_path / "home")


def demo(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "wqlib.commands.demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def nothing_is_left(home: Path) -> bool:
    if REAL:
        from wqlib.cluster import connect

        with connect(namespace="wq-test-demo") as cluster:
            names = [one.metadata.name for one in cluster.core.list_namespace().items]
            cluster.clean_up()
        return not any(name.startswith("wq-demo-") for name in names)
    listed = subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout
    return localcluster.status(home) is None and str(home) not in listed


# -- runs


def test_a_run_in_which_a_pod_is_killed_loses_nothing(home):
    process = demo(*SMALL, "--kills", "1", "--seed", "7")
    output, errors = process.communicate(timeout=110)
    assert (process.returncode, errors) == (0, "")
    lines = output.splitlines()
    assert re.fullmatch(
        r"done=30 lost=0 recorded_twice=0 pods=\d+ kills=1 seconds=\d+\.\d", lines[-1]
    )
    (victim,) = re.findall(r"Killed (job-wq-2-\w{5})$", output, re.MULTILINE)
    assert re.search(rf"'item \d+', which {victim} held when it was killed, was leased", output)
    assert "\r" not in output
    assert nothing_is_left(home)


def test_with_json_there_is_one_object_and_nothing_else(home):
    process = demo(*SMALL, "--kills", "0", "--json")
    output, errors = process.communicate(timeout=110)
    assert (process.returncode, errors) == (0, "")
    [line] = output.splitlines()
    outcome = json.loads(line)
    assert list(outcome) == ["done", "lost", "recorded_twice", "pods", "kills", "seconds"]
    assert (outcome["done"], outcome["lost"], outcome["recorded_twice"]) == (30, 0, 0)
    assert nothing_is_left(home)


def test_with_two_kills_and_one_pod_left_nothing_is_lost_either(home):
    process = demo(*SMALL, "--kills", "2", "--json")
    output, errors = process.communicate(timeout=110)
    assert (process.returncode, errors) == (0, "")
    outcome = json.loads(output)
    assert (outcome["done"], outcome["lost"], outcome["kills"]) == (30, 0, 2)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_an_interrupted_run_cleans_up(home, number, code):
    process = demo("--items", "500", "--item-seconds", "0.2")
    assert process.stdout is not None
    for line in process.stdout:
        if "of 500 done" in line:
            break
    process.send_signal(number)
    time.sleep(0.2)
    process.send_signal(number)  # an impatient second one does not cut the clean-up short
    output, errors = process.communicate(timeout=110)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert output.splitlines()[-1].endswith("Interrupted; everything was cleaned up.")
    assert nothing_is_left(home)


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.6, 2.4])
def test_a_run_interrupted_while_it_starts_leaves_nothing(home, seconds):
    process = demo("--items", "500")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=110)
    assert process.returncode in (130, -signal.SIGINT)
    assert nothing_is_left(home)


@pytest.mark.skipif(REAL, reason="about the local cluster")
def test_a_local_cluster_that_ran_before_runs_on(home):

    local.start("wq-course")
    before = local.status()
    process = demo("--items", "3", "--item-seconds", "0.1", "--kills", "0", "--json")
    process.communicate(timeout=110)
    after = local.status()
    assert before is not None
    assert after is not None
    assert (process.returncode, after.pid) == (0, before.pid)


# -- what goes wrong


@pytest.mark.skipif(REAL, reason="a real cluster brings its own Redis")
def test_without_a_redis_server_it_says_what_to_do(home, monkeypatch):
    monkeypatch.setenv("WQLIB_REDIS_SERVER", "/nonexistent/redis-server")
    process = demo("--json")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("wqlib: WQLIB_REDIS_SERVER names")
    assert nothing_is_left(home)


def test_an_unknown_context_is_an_error_in_words(home, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    process = demo("--context", "nowhere")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "There is no context 'nowhere'" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "arguments", [["--items", "0"], ["--pods", "-1"], ["--lease-seconds", "0"], ["--what"]]
)
def test_a_wrong_command_line_is_told(arguments):
    process = demo(*arguments)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "usage: wqlib demo" in errors


# -- the killer


@dataclass
class SlowToDie:
    """A cluster that takes so long to kill a pod that it goes on to its next item first."""

    killed: list[str] = field(default_factory=list)

    def crash_pod(self, pod: str) -> None:
        self.killed.append(pod)


class Said(Progress):
    """What would be printed."""

    def __init__(self) -> None:
        super().__init__(silent=True)
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize("in_hand", [1, 2], ids=["one at a time", "two at a time"])
def test_what_a_killed_pod_held_is_what_it_held_when_it_died(in_hand):
    def event(kind: Any, item: int, worker: str, attempt: int = 1) -> Event:
        lease = f"{item}-{attempt}@{worker}"
        text = f"item {item}" if kind == "lease" else ""
        return Event(kind, 1.0, lease_id=lease, item_id=item, worker=worker, item=text)

    cluster, said = SlowToDie(), Said()
    killer = Killer(cluster, 1, 5, random.Random(1), said)  # type: ignore[arg-type]
    killer.see([event("lease", 1, "a"), event("complete", 1, "a"), event("lease", 2, "a")])
    assert cluster.killed == ["a"]
    kept = range(3, 3 + in_hand)
    killer.see([event("complete", 2, "a"), *(event("lease", item, "a") for item in kept)])
    killer.see([event("expire", item, "a") for item in kept])
    killer.see([event("lease", item, "b", 2) for item in kept])
    assert said.lines == [
        "Killed a",
        *(f"'item {n}', which a held when it was killed, was leased again, to b" for n in kept),
    ]


# -- the judge


def story(*steps: tuple[str, int, str]) -> list[Event]:
    """Events from (kind, item id, worker)."""
    return [
        Event(kind, 1.0, item_id=item_id, worker=worker, item=f"item {item_id}")  # type: ignore[arg-type]
        for kind, item_id, worker in steps
    ]


def test_the_judge_counts_done_and_pods():
    events = story(("lease", 1, "a"), ("complete", 1, "a"), ("lease", 2, "b"), ("complete", 2, "b"))
    outcome = judge(["item 1", "item 2"], events, 0, 1.26)
    assert str(outcome) == "done=2 lost=0 recorded_twice=0 pods=2 kills=0 seconds=1.3"


def test_the_judge_sees_an_item_that_was_lost():
    events = story(("lease", 1, "a"), ("complete", 1, "a"), ("lease", 2, "b"), ("expire", 2, "b"))
    outcome = judge(["item 1", "item 2", "item 3"], events, 1, 1.0)
    assert (outcome.done, outcome.lost, outcome.recorded_twice) == (1, 2, 0)


def test_the_judge_sees_an_item_that_was_recorded_twice():
    events = story(("lease", 1, "a"), ("complete", 1, "a"), ("lease", 1, "b"), ("complete", 1, "b"))
    outcome = judge(["item 1"], events, 0, 1.0)
    assert (outcome.done, outcome.lost, outcome.recorded_twice) == (1, 0, 1)


def test_the_judge_sees_one_item_done_under_two_numbers():
    first = story(("lease", 1, "a"), ("complete", 1, "a"))
    second = [
        Event("lease", 2.0, item_id=9, worker="b", item="item 1"),
        Event("complete", 2.0, item_id=9, worker="b"),
    ]
    assert judge(["item 1"], [*first, *second], 0, 1.0).recorded_twice == 1


def test_the_judge_does_not_count_what_nobody_put():
    events = story(("lease", 5, "a"), ("complete", 5, "a"))
    outcome = judge(["item 1"], events, 0, 1.0)
    assert (outcome.done, outcome.lost) == (0, 1)


def test_a_signal_whose_exception_was_lost_still_stops_the_run():
    signals = Signals()

    class Swallows:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with signals, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda unraisable: None)
        signals.check()
        Swallows()  # deleted at once, and an exception in __del__ goes nowhere
        with pytest.raises(Stopped):
            signals.check()
