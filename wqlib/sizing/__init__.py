"""How long will it take, and what do failures cost? A model of a queue with workers.

A `Plan` says what there is to do and with how many pods. `simulate(plan, seed)` plays one run
through, with made-up deaths and pauses; `forecast(plan)` does so many times, and says how far
the runs differ.

    >>> plan = Plan(items=1000, item_seconds=10, pods=20, deaths_per_pod_hour=2)
    >>> round(forecast(plan).makespan_seconds / 60)
    9

What the model takes from the queue: an item that came back is lent before those that were never
lent; a lease that lasts `lease_seconds` is renewed when it is between a quarter and half of that
old; a worker that outlived its lease goes on to the end of its item, in vain. What it leaves out:
items of different length, round trips to Redis, `max_attempts`, and deaths of pods that have
nothing to do. Deaths and pauses come at random and independently of each other, at a constant
rate (a Poisson process), as is usual for failures of machines.

This module is pure: it needs neither Redis nor a cluster.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import fmean, quantiles

MAX_RUNS_OF_ITEMS = 20_000_000
_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What there is to do, and with what.

    Attributes:
        items: How many items there are.
        item_seconds: How long the work on one item takes, in seconds.
        pods: How many pods work at once.
        start_seconds: From the request for a pod to its first lease, in seconds.
        lease_seconds: How long a lease lasts unless it is renewed, in seconds.
        deaths_per_pod_hour: How often a working pod dies without warning.
        replace_seconds: From a pod's death until Kubernetes wants the next one, in seconds
            (a Job: 10 after the first failure, then twice as long each time).
        pauses_per_pod_hour: How often a working pod stands still (a frozen machine, a slow disk).
        pause_seconds: For how long, in seconds.

    Raises:
        ValueError: A number makes no sense, or no item would ever be done.
    """

    items: int
    item_seconds: float
    pods: int
    start_seconds: float = 2.0
    lease_seconds: float = 30.0
    deaths_per_pod_hour: float = 0.0
    replace_seconds: float = 0.0
    pauses_per_pod_hour: float = 0.0
    pause_seconds: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            at_least = 1 if field.name in ("items", "pods") else 0
            if not (math.isfinite(value) and value >= at_least):
                raise ValueError(f"{field.name} is {value}; it must be {at_least} or more.")
            if at_least and value != int(value):
                raise ValueError(f"{field.name} is {value}; it must be a whole number.")
        if not self.item_seconds or not self.lease_seconds:
            raise ValueError("item_seconds and lease_seconds must be more than 0.")
        if self.expected_runs > MAX_RUNS_OF_ITEMS:
            raise ValueError(
                f"With {self.deaths_per_pod_hour:g} deaths and {self.pauses_per_pod_hour:g} pauses "
                f"a pod-hour, items of {self.item_seconds:g} s are hardly ever finished (or there "
                "are too many of them to simulate). Make the items shorter, or take fewer of them."
            )

    @property
    def expected_runs(self) -> float:
        """Return how many runs of items there will be on average, at most."""
        trouble = (self.deaths_per_pod_hour + self.pauses_per_pod_hour) / _HOUR * self.item_seconds
        return self.items * math.exp(min(trouble, 100.0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went, or how runs go on average.

    Attributes:
        makespan_seconds: From the start of the Job until the last item is done.
        deaths: Pods that died while they worked.
        repeats: Runs of items that were in vain, so that the item had to be run again.
        wasted_seconds: Work that went into those runs, in pod-seconds.
    """

    makespan_seconds: float
    deaths: float
    repeats: float
    wasted_seconds: float


@dataclass(frozen=True, slots=True)
class Forecast(Outcome):
    """The mean of many runs, and how far they differ.

    Attributes:
        fastest_seconds: 5 of 100 runs take less than this.
        slowest_seconds: 5 of 100 runs take more than this.
        makespans: What each run took, the shortest first.
    """

    fastest_seconds: float
    slowest_seconds: float
    makespans: tuple[float, ...]


def simulate(plan: Plan, seed: int = 0) -> Outcome:
    """Play one run through.

    Args:
        plan: What to run.
        seed: Which of the possible runs; the same seed gives the same run.
    """
    dice = random.Random(seed)
    free = [(plan.start_seconds, pod) for pod in range(plan.pods)]  # when a pod asks for an item
    back: list[float] = []  # when the leases that were lost run out
    fresh, makespan, wasted = plan.items, 0.0, 0.0
    deaths = repeats = 0
    while free:
        now, pod = heapq.heappop(free)
        if back and (back[0] <= now or not fresh):
            now = max(now, heapq.heappop(back))  # a worker with nothing to do waits for it
        elif fresh:
            fresh -= 1
        else:
            continue  # all that is leased will be completed: this pod is not needed any more
        run = _run(plan, dice)
        if run.lost_after is None:
            makespan = max(makespan, now + run.seconds)
        else:
            heapq.heappush(back, now + run.lost_after)
            repeats += 1
            wasted += run.worked_seconds
        deaths += run.died
        again = plan.replace_seconds + plan.start_seconds if run.died else 0.0
        heapq.heappush(free, (now + run.seconds + again, pod))
    return Outcome(makespan, deaths, repeats, wasted)


def forecast(plan: Plan, runs: int = 200, seed: int = 0) -> Forecast:
    """Play many runs through.

    Args:
        plan: What to run.
        runs: How many, 2 or more.
        seed: Of the first run; the others have the next ones.
    """
    if runs < 2:
        raise ValueError(f"runs is {runs}; to see how far runs differ takes 2 or more.")
    return summarize([simulate(plan, seed + number) for number in range(runs)])


def summarize(outcomes: Sequence[Outcome]) -> Forecast:
    """Return what several runs of a plan, 2 or more, have in common."""
    makespans = sorted(outcome.makespan_seconds for outcome in outcomes)
    cuts = quantiles(makespans, n=20, method="inclusive")
    means = {one.name: fmean(getattr(x, one.name) for x in outcomes) for one in fields(Outcome)}
    return Forecast(
        **means, fastest_seconds=cuts[0], slowest_seconds=cuts[-1], makespans=tuple(makespans)
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """The outcome of one lease: how long the pod was busy, and when the lease was lost, if so."""

    seconds: float
    worked_seconds: float
    lost_after: float | None
    died: bool


def _run(plan: Plan, dice: random.Random) -> _Run:
    """Let a pod work on one item, with deaths and pauses. Times count from the lease."""
    death = _wait(dice, plan.deaths_per_pod_hour)
    now = worked = 0.0
    lost: float | None = None
    while True:
        step = min(plan.item_seconds - worked, _wait(dice, plan.pauses_per_pod_hour))
        if now + step >= death:
            worked += death - now
            lost = death + _left(plan, dice, death) if lost is None else lost
            return _Run(death, worked, lost, died=True)
        now, worked = now + step, worked + step
        if worked >= plan.item_seconds:
            return _Run(now, worked, lost, died=False)
        left = _left(plan, dice, now)  # nobody renews while the pod stands still
        if lost is None and (left < plan.pause_seconds or now + plan.pause_seconds >= death):
            lost = now + left
        if now + plan.pause_seconds >= death:
            return _Run(death, worked, lost, died=True)
        now += plan.pause_seconds


def _left(plan: Plan, dice: random.Random, now: float) -> float:
    """Return what is left of a lease, in seconds, `now` seconds after the item was lent."""
    return plan.lease_seconds - min(now, dice.random() * plan.lease_seconds / 2)


def _wait(dice: random.Random, per_hour: float) -> float:
    rate = per_hour / _HOUR
    return dice.expovariate(rate) if rate else math.inf
