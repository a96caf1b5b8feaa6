"""The model of a run: its laws, its formulas against its simulation, both against the queue."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer
from wqlib.sizing import Outcome, Plan, forecast, simulate

HOUR = 3600.0
PLANS = st.builds(
    Plan,
    items=st.integers(1, 60),
    item_seconds=st.floats(0.01, 100),
    pods=st.integers(1, 20),
    start_seconds=st.floats(0, 30),
    lease_seconds=st.floats(0.1, 300),
    deaths_per_pod_hour=st.floats(0, 30),
    replace_seconds=st.floats(0, 60),
    pauses_per_pod_hour=st.floats(0, 30),
    pause_seconds=st.floats(0, 300),
)


def near(value: float, wanted: float, within: float) -> bool:
    """Is it, within a share of what is wanted?"""
    return abs(value - wanted) <= within * wanted


def estimate(plan: Plan) -> Outcome:
    """The same by formulas: Daly, "A higher order estimate of the optimum checkpoint interval
    for restart dumps" (2006), has the one for work that must begin again after each failure.

    With deaths at the rate d, an item of s seconds is run exp(d s) times on average, and
    (exp(d s) - 1) / d seconds of work go into it. A pod is there for the share
    1 / (1 + d (replace + start)) of the time. To that comes the end of the run: if the pod of
    one of the last items dies, all wait for its lease to run out.
    """
    seconds, lease = plan.item_seconds, plan.lease_seconds
    deaths, pauses = plan.deaths_per_pod_hour / HOUR, plan.pauses_per_pod_hour / HOUR
    # A pause costs the lease if it is longer than what is left: half of the lease to all of it.
    share_lost = min(1.0, max(0.0, (plan.pause_seconds - lease / 2) / (lease / 2)))
    chance_lost = 1 - math.exp(-pauses * share_lost * seconds)
    runs = math.exp(deaths * seconds) / (1 - chance_lost)
    work = seconds * inflation(deaths * seconds) / (1 - chance_lost)
    standing = work * pauses * plan.pause_seconds
    there = 1 / (1 + deaths * (plan.replace_seconds + plan.start_seconds))
    rounds = math.ceil(plan.items / plan.pods)
    last = min(plan.pods, plan.items)
    tail = (1 - math.exp(-last * deaths * seconds)) * (0.75 * lease + seconds)
    return Outcome(
        makespan_seconds=plan.start_seconds + rounds * (work + standing) / there + tail,
        deaths=plan.items * work * deaths,
        repeats=plan.items * (runs - 1),
        wasted_seconds=plan.items * (work - seconds),
    )


def inflation(hazard: float) -> float:
    """Work per item in relation to its length, if each death means to begin again."""
    return math.expm1(hazard) / hazard if hazard else 1.0


class TestWithoutFailures:
    @given(
        items=st.integers(1, 500),
        item_seconds=st.floats(0.01, 100),
        pods=st.integers(1, 50),
        start_seconds=st.floats(0, 30),
    )
    def test_a_run_takes_its_start_and_whole_rounds(
        self, items: int, item_seconds: float, pods: int, start_seconds: float
    ) -> None:
        plan = Plan(items=items, item_seconds=item_seconds, pods=pods, start_seconds=start_seconds)
        exact = start_seconds + math.ceil(items / pods) * item_seconds
        for outcome in (simulate(plan), estimate(plan)):
            assert outcome.makespan_seconds == pytest.approx(exact)
            assert (outcome.deaths, outcome.repeats, outcome.wasted_seconds) == (0, 0, 0)

    def test_the_formulas_are_the_simulation(self) -> None:
        plan = Plan(items=24, item_seconds=0.5, pods=3, start_seconds=1)
        assert estimate(plan) == simulate(plan) == Outcome(5.0, 0, 0, 0)


class TestAnyRun:
    @settings(deadline=None)
    @given(plan=PLANS, seed=st.integers(0, 2**32))
    def test_no_run_is_faster_than_its_work_allows(self, plan: Plan, seed: int) -> None:
        run = simulate(plan, seed)
        work = plan.items * plan.item_seconds
        rounds = math.ceil(plan.items / plan.pods)
        least = plan.start_seconds + max(work / plan.pods, rounds * plan.item_seconds)
        assert run.makespan_seconds >= least * (1 - 1e-9)

    @settings(deadline=None)
    @given(plan=PLANS, seed=st.integers(0, 2**32))
    def test_a_death_costs_a_run_and_no_run_costs_more_than_an_item(
        self, plan: Plan, seed: int
    ) -> None:
        run = simulate(plan, seed)
        assert run.repeats >= run.deaths
        assert 0 <= run.wasted_seconds <= run.repeats * plan.item_seconds * (1 + 1e-9)

    @settings(deadline=None)
    @given(plan=PLANS, seed=st.integers(0, 2**32))
    def test_the_same_seed_gives_the_same_run(self, plan: Plan, seed: int) -> None:
        assert simulate(plan, seed) == simulate(plan, seed)

    @given(plan=PLANS, seed=st.integers(0, 2**32))
    @settings(deadline=None)
    def test_without_deaths_a_pause_that_the_lease_forgives_costs_time_alone(
        self, plan: Plan, seed: int
    ) -> None:
        forgiven = replace(plan, deaths_per_pod_hour=0, lease_seconds=2 * plan.pause_seconds + 1)
        assert simulate(forgiven, seed).repeats == 0

    def test_a_pause_longer_than_the_lease_costs_the_item_each_time(self) -> None:
        plan = Plan(items=400, item_seconds=10, pods=8, lease_seconds=5)
        plan = replace(plan, pauses_per_pod_hour=60, pause_seconds=6)
        chance = 1 - math.exp(-60 / 3600 * 10)
        assert near(forecast(plan).repeats, 400 * chance / (1 - chance), 0.03)
        assert forecast(replace(plan, lease_seconds=12)).repeats == 0

    def test_other_seeds_give_other_runs(self) -> None:
        plan = Plan(items=100, item_seconds=10, pods=4, deaths_per_pod_hour=20)
        assert len({simulate(plan, seed) for seed in range(20)}) == 20


class TestTheFormulas:
    @pytest.mark.parametrize("deaths_per_pod_hour", [1, 10, 60])
    @pytest.mark.parametrize("item_seconds", [5, 30])
    def test_the_simulation_agrees_with_them(
        self, deaths_per_pod_hour: float, item_seconds: float
    ) -> None:
        plan = Plan(
            items=400,
            item_seconds=item_seconds,
            pods=8,
            deaths_per_pod_hour=deaths_per_pod_hour,
            replace_seconds=10,
        )
        guess, many = estimate(plan), forecast(plan, 300)
        assert near(many.makespan_seconds, guess.makespan_seconds, 0.1)
        assert near(many.repeats, guess.repeats, 0.1)
        assert near(many.deaths, guess.deaths, 0.1)
        assert near(many.wasted_seconds, guess.wasted_seconds, 0.15)

    def test_pauses_agree_too(self) -> None:
        plan = Plan(items=400, item_seconds=60, pods=8, lease_seconds=10)
        plan = replace(plan, pauses_per_pod_hour=10, pause_seconds=8)
        guess, many = estimate(plan), forecast(plan, 300)
        assert near(many.makespan_seconds, guess.makespan_seconds, 0.1)
        assert near(many.repeats, guess.repeats, 0.1)


class TestWhatSizingIsFor:
    def test_more_pods_are_faster_and_failures_slower(self) -> None:
        plan = Plan(items=200, item_seconds=10, pods=5)
        calm = [forecast(replace(plan, pods=pods)).makespan_seconds for pods in (1, 5, 25)]
        assert calm == sorted(calm, reverse=True)
        rates = (0, 5, 50)
        rough = [forecast(replace(plan, deaths_per_pod_hour=rate)) for rate in rates]
        for what in ("makespan_seconds", "repeats", "wasted_seconds", "slowest_seconds"):
            numbers = [getattr(found, what) for found in rough]
            assert numbers == sorted(numbers)
            assert len(set(numbers)) == 3

    def test_a_longer_lease_makes_a_run_with_deaths_longer(self) -> None:
        plan = Plan(items=50, item_seconds=5, pods=10, deaths_per_pod_hour=20)
        short, long = (forecast(replace(plan, lease_seconds=lease)) for lease in (5, 200))
        assert long.makespan_seconds > short.makespan_seconds

    def test_a_forecast_lies_between_its_extremes(self) -> None:
        plan = Plan(items=50, item_seconds=5, pods=10, deaths_per_pod_hour=20)
        found = forecast(plan, 100)
        assert found.makespans == tuple(sorted(found.makespans))
        assert len(found.makespans) == 100
        assert found.makespans[0] <= found.fastest_seconds < found.makespan_seconds
        assert found.makespan_seconds < found.slowest_seconds <= found.makespans[-1]


class TestBadInput:
    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"items": 0}, "items is 0; it must be 1 or more"),
            ({"pods": 1.5}, "pods is 1.5; it must be a whole number"),
            ({"item_seconds": 0}, "must be more than 0"),
            ({"lease_seconds": -1}, "lease_seconds is -1; it must be 0 or more"),
            ({"start_seconds": math.nan}, "start_seconds is nan"),
            ({"deaths_per_pod_hour": math.inf}, "deaths_per_pod_hour is inf"),
            ({"item_seconds": 36000, "deaths_per_pod_hour": 2}, "Make the items shorter"),
        ],
    )
    def test_a_plan_that_makes_no_sense_is_refused(
        self, wrong: dict[str, float], says: str
    ) -> None:
        with pytest.raises(ValueError, match=says):
            Plan(**{"items": 10, "item_seconds": 1, "pods": 2, **wrong})

    def test_one_run_is_no_forecast(self) -> None:
        with pytest.raises(ValueError, match="2 or more"):
            forecast(Plan(items=1, item_seconds=1, pods=1), runs=1)


class TestTheRealQueue:
    """Real workers, some of which die in the middle of an item, as the model supposes."""

    def test_a_run_keeps_the_laws_of_the_model(
        self, queue: WorkQueue, redis_server: RedisServer, tmp_path: Path
    ) -> None:
        (tmp_path / "mortal.py").write_text(
            "import os, pathlib, time\n"
            "def nap(item):\n"
            "    time.sleep(0.05)\n"
            "    try:\n"
            "        pathlib.Path(os.environ['GRAVES'], item.decode()).mkdir()\n"
            "    except OSError:\n"
            "        return\n"
            "    if item.startswith(b'deadly'): os._exit(137)\n"
        )
        graves = tmp_path / "graves"
        graves.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
            "WQLIB_REDIS_URL": redis_server.url,
            "WQLIB_QUEUE": queue.name,
            "WQLIB_TASK": "mortal:nap",
            "WQLIB_LEASE_SECONDS": "2",
            "GRAVES": str(graves),
        }
        queue.put(
            [f"{'deadly' if number in (2, 3, 20) else 'item'} {number}" for number in range(24)]
        )
        working: list[subprocess.Popen[bytes]] = []
        deaths = started = 0
        try:
            while not queue.drained():
                time.sleep(0.01)
                while len(working) < 3:  # what Kubernetes does: in place of each dead one a new one
                    name = {"HOSTNAME": f"pod-{started}"}
                    command = [sys.executable, "-m", "wqlib.worker"]
                    working.append(subprocess.Popen(command, env=environment | name))
                    started += 1
                dead = [process for process in working if process.poll() == 137]
                deaths += len(dead)
                working = [process for process in working if process not in dead]
            assert [process.wait(30) for process in working] == [0] * len(working)
        finally:
            for process in working:
                process.kill()
                process.wait()

        stats, events = queue.stats(), queue.events()
        assert (stats.done, deaths) == (24, 3)
        assert stats.leases == 24 + deaths  # a death costs a run
        runs = Counter(event.item_id for event in events if event.kind == "lease")
        ended = Counter(event.item_id for event in events if event.kind == "complete")
        assert set(runs) == set(ended) == set(range(1, 25))
        assert sum(runs.values()) - sum(ended.values()) == deaths
        # Items that came back are lent before those that were never lent.
        waiting: set[int] = set()
        lent: list[int] = []
        for event in events:
            if event.kind == "expire":
                waiting.add(event.item_id)
            elif event.kind == "lease":
                assert event.item_id in waiting or not waiting
                waiting.discard(event.item_id)
                lent.append(event.item_id)
        assert list(dict.fromkeys(lent)) == list(range(1, 25))
        # A worker goes home only when nothing is pending and nothing is leased.
        last = max(at for at, event in enumerate(events) if event.kind == "complete")
        assert [event.kind for event in events[last:]] == ["complete", "drained"]
