"""Who drains how fast: all contenders in turn, round after round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wqlib.redisserver import RedisServer

from .lab import ContenderFailed, Counter, Placement, Process, wipe
from .roster import Contender

_SLICES = 12


@dataclass
class Record:
    """What was measured of a contender in one placement.

    Attributes:
        rates: Items a second, by round.
        trips: Round trips an item, by round.
        cpu_us: Processor time an item, of worker and server together, in microseconds, by round.
        failed: What went wrong, or "".
    """

    rates: dict[int, float] = field(default_factory=dict)
    trips: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    failed: str = ""

    @property
    def rate(self) -> float:
        """The median rate."""
        return statistics.median(self.rates.values())


def measure(
    contender: Contender, server: RedisServer, placement: Placement, items: int
) -> tuple[float, float, float]:
    """One run: fill, warm up, drain, look what was done.

    Returns:
        Items a second, round trips an item, and microseconds of processor time an item.

    Raises:
        ContenderFailed: It broke down, or did not process exactly all items once.
    """
    warm = items // 10 if contender.piecewise else 0
    total = items + warm
    counter = Counter(server)
    try:
        command = contender.command_line(server.url, total)
        with Process(command, placement.worker_core) as process:
            process.listen()
            if warm:
                process.ask(warm)
            counter.since()
            answer = process.ask(items)
            load = counter.since()
            check(process.ask("end"), total)
            timed = answer["items"]
            served = timed if contender.piecewise else total
            cpu = answer["cpu_seconds"] / timed + load.cpu_seconds / served
            return timed / answer["seconds"], load.reads / served, cpu * 1e6
    finally:
        counter.close()
        wipe(server)


def check(end: dict[str, int], items: int) -> None:
    """Did a contender do its work?

    Raises:
        ContenderFailed: It did not process each item exactly once, or left some.
    """
    expected = {"done": items, "distinct": items, "left": 0}
    found = {name: end.get(name) for name in expected}
    if found != expected:
        raise ContenderFailed(
            f"of {items} items it processed {found['done']} ({found['distinct']} different ones), "
            f"and {found['left']} are left"
        )


def one_round(
    number: int,
    contenders: Sequence[Contender],
    server: RedisServer,
    placement: Placement,
    records: dict[str, Record],
    share: float,
    say: Callable[[str], None],
) -> None:
    """Let all contenders run once, in an order that changes from round to round.

    Args:
        share: Part of the usual number of items.
    """
    start = number * 3 % len(contenders)
    for contender in [*contenders[start:], *contenders[:start]]:
        record = records.setdefault(contender.name, Record())
        if record.failed:
            continue
        items = max(contender.least, int(contender.items * share))
        try:
            rate, trips, cpu_us = measure(contender, server, placement, items)
        except ContenderFailed as error:
            record.failed = str(error)
            say(f"{placement.name}: {contender.title} FAILED: {error}")
            continue
        record.rates[number] = rate
        record.trips.append(trips)
        record.cpu_us.append(cpu_us)
        say(f"{placement.name} round {number + 1}: {contender.title}: {rate:,.0f}/s")


def duel(
    ours: Contender, floor: Contender, server: RedisServer, placement: Placement, items: int
) -> list[float]:
    """Two contenders, both running, that take turns for short slices: A B, B A, A B ...

    Args:
        items: Items of a slice.

    Returns:
        Our rate over the other's, by pair of slices.
    """
    total = items * (_SLICES + 1)
    try:
        with (
            Process(ours.command_line(server.url, total), placement.worker_core) as a,
            Process(floor.command_line(server.url, total), placement.worker_core) as b,
        ):
            for process in (a, b):
                process.listen()
                process.ask(items)
            ratios = []
            for number in range(_SLICES):
                first, second = (a, b) if number % 2 == 0 else (b, a)
                seconds = {process: process.ask(items)["seconds"] for process in (first, second)}
                ratios.append(seconds[b] / seconds[a])
            check(a.ask("end"), total)
            check(b.ask("end"), total)
            return ratios
    finally:
        wipe(server)


def median_ratio(ours: Record, other: Record) -> float | None:
    """The median over the rounds of our rate over the other's in the same round."""
    both: Iterable[int] = ours.rates.keys() & other.rates.keys()
    ratios = [ours.rates[number] / other.rates[number] for number in both]
    return statistics.median(ratios) if ratios else None
