"""One run of the benchmark from first to last: what is measured when, and how often."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from wqlib.redisserver import RedisServer

from . import costs, waits
from .lab import ContenderFailed, Placement, on_core, server_on
from .report import placement_figures, waiting_figures
from .roster import Contender, gather
from .rounds import Record, duel, measure, one_round

_MILLION = 1_000_000
_LEASE_SECONDS = 1.0


@dataclass
class Amounts:
    """How much of everything is done.

    Attributes:
        share: Part of the usual number of items of a contender.
        rounds: Rounds at most.
        once: How often each of the other figures is measured.
        drains: How often two workers drain a million items.
        samples: Items pushed to a waiting worker, in all.
        kills: Workers killed, in all.
        expiring: Leases that expire at once.
        slice_items: Items of a slice of the duel.
    """

    share: float
    rounds: int
    once: int
    drains: int
    samples: int
    kills: int
    expiring: int
    slice_items: int

    @classmethod
    def full(cls, rounds: int) -> Amounts:
        """For figures that are to be believed."""
        return cls(1.0, rounds, min(rounds, 3), min(rounds, 3), 400, 5, 100_000, 1_500)

    @classmethod
    def quick(cls, rounds: int) -> Amounts:
        """For under a minute."""
        return cls(0.1, min(rounds, 3), 1, 0, 300, 1, 20_000, 200)


@dataclass
class Session:
    """The benchmark.

    Args:
        placements: Where worker and server are to run.
        peers: Names of the peers that take part.
        redis_version: Of the server.
        amounts: How much of everything is done.
        end_at: By `time.monotonic`; begin nothing that would end later. None: take your time.
        say: Told what was measured, line by line.
    """

    placements: Sequence[Placement]
    peers: Collection[str]
    redis_version: str
    amounts: Amounts
    end_at: float | None
    say: Callable[[str], None]
    contenders: list[Contender] = field(default_factory=list)
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    duels: dict[str, list[float]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    stall: waits.Stall | None = None
    expiring: int = 0
    exits: list[float] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    _longest: dict[str, float] = field(default_factory=dict)

    def run(self) -> int:
        """Measure everything.

        Returns:
            How many rounds there were.
        """
        amounts = self.amounts
        self.contenders = gather(self.peers, self.redis_version, self.say)
        rounds = 0
        with ExitStack() as stack:
            servers = {
                place: stack.enter_context(server_on(place.server_core))
                for place in self.placements
            }
            free = stack.enter_context(server_on(None))
            for number in range(max(amounts.rounds, amounts.once)):
                if number < amounts.rounds and self._in_time("round"):
                    self._round(number, servers, amounts)
                    rounds += 1
                if number < amounts.once:
                    self._once(servers, free, amounts)
                if number < amounts.drains:
                    self._try("drain", lambda: self._drain(free))
        return rounds

    def figures(self) -> dict[str, Any]:
        """What was measured, as report.py words it."""
        found: dict[str, Any] = {
            place.name: placement_figures(
                [contender for contender in self.contenders if not contender.waiting],
                self.records.get(place.name, {}),
                self.duels.get(place.name, []),
            )
            for place in self.placements
        }
        waiting = [contender for contender in self.contenders if contender.waiting]
        found["waiting"] = waiting_figures(waiting, self.records.get("waiting", {}))
        for name in (
            "fill_1e6_seconds",
            "drain_1e6_two_workers_seconds",
            "drain_1e6_rate_over_floor",
            "rate_1e6_pending_over_1e3",
            "rate_1e5_leases_over_10",
        ):
            values = self.values.get(name)
            found[name] = round(statistics.median(values), 3) if values else None
        return found | self._waits() | ({"failed": self.failed} if self.failed else {})

    def _waits(self) -> dict[str, Any]:
        found: dict[str, Any] = {"expiry_stall_ratio": None, "lease_seconds": _LEASE_SECONDS}
        if self.stall:
            found["expiry_stall_ratio"] = round(self.stall.ratio, 2)
            found["expiry_stall_largest_ms"] = round(max(self.stall.during_ms), 3)
            found["expiring_leases"] = self.expiring
            found["expiry_calls"] = self.stall.figures()
        picked = self.values.get("pickup_ms", [])
        for name, share in (("pickup_ms_p50", 0.5), ("pickup_ms_p99", 0.99)):
            found[name] = round(waits.percentile(picked, share), 3) if picked else None
        found["pickup_samples"] = len(picked)
        kills = self.values.get("recovery_after_kill_seconds", [])
        found["kills"] = len(kills)
        found["recovery_after_kill_seconds"] = round(max(kills), 3) if kills else None
        if kills:
            found["recovery_minus_lease_seconds"] = round(max(kills) - _LEASE_SECONDS, 3)
            found["survivor_exit_seconds"] = round(max(self.exits), 3)
        return found

    # -- parts

    def _round(self, number: int, servers: dict[Placement, RedisServer], amounts: Amounts) -> None:
        began = time.monotonic()
        own = {contender.name: contender for contender in self.contenders}
        taking_part = [c for c in self.contenders if not c.skipped and not c.waiting]
        for place, server in servers.items():
            records = self.records.setdefault(place.name, {})
            one_round(number, taking_part, server, place, records, amounts.share, self.say)
            turns = partial(duel, own["wqlib"], own["floor_redis_py"], server, place)
            found = self.duels.setdefault(place.name, [])
            self._try(f"duel {place.name}", partial(self._duel, found, turns, amounts.slice_items))
        place, server = list(servers.items())[-1]  # on two cores, if there are two
        waiting = [c for c in self.contenders if not c.skipped and c.waiting]
        records = self.records.setdefault("waiting", {})
        place = replace(place, name="waiting")
        one_round(number, waiting, server, place, records, amounts.share, self.say)
        self._longest["round"] = time.monotonic() - began

    def _once(
        self, servers: dict[Placement, RedisServer], free: RedisServer, amounts: Amounts
    ) -> None:
        """What does not depend on the placement. Rates side by side are taken on one core."""
        place, server = next(iter(servers.items()))

        def on_its_core(measure: Callable[..., float], *numbers: int) -> Callable[[], float]:
            def call() -> float:
                with on_core(place.worker_core):
                    return measure(server, *numbers)

            return call

        self._note("fill_1e6_seconds", lambda: costs.fill(free, _MILLION))
        for _ in range(-(-amounts.kills // amounts.once)):
            self._try("recovery", lambda: self._recover(free))
        samples = amounts.samples // amounts.once
        self._try("pick-up", lambda: self._add("pickup_ms", waits.pick_up(free, samples)))
        self._note("rate_1e5_leases_over_10", on_its_core(costs.rate_by_leases, 100_000, 10))
        self._note("rate_1e6_pending_over_1e3", on_its_core(costs.rate_by_pending, _MILLION, 1_000))
        if self.stall is None:
            self._try("expiry", lambda: self._stall(server, place, amounts.expiring))

    def _drain(self, server: RedisServer) -> None:
        (floor,) = [c for c in self.contenders if c.name == "floor_redis_py"]
        at_floor, _, _ = measure(floor, server, Placement("free", None, None), floor.items)
        seconds = costs.drain_by_two(server, _MILLION)
        self._add("drain_1e6_two_workers_seconds", [seconds])
        self._add("drain_1e6_rate_over_floor", [_MILLION / seconds / at_floor])
        self.say(f"two workers drained a million items in {seconds:.2f} s")

    @staticmethod
    def _duel(found: list[float], turns: Callable[[int], list[float]], items: int) -> None:
        found += turns(items)

    def _recover(self, server: RedisServer) -> None:
        recovery = waits.recover(server, _LEASE_SECONDS)
        self._add("recovery_after_kill_seconds", [recovery.seconds])
        self.exits.append(recovery.exit_seconds)

    def _stall(self, server: RedisServer, place: Placement, leases: int) -> None:
        with on_core(place.worker_core):
            self.expiring = leases
            self.stall = waits.expire_at_once(server, leases)

    def _note(self, name: str, measure: Callable[[], float]) -> None:
        def call() -> None:
            value = measure()
            self._add(name, [value])
            self.say(f"{name}: {value:.3f}")

        self._try(name, call)

    def _add(self, name: str, values: list[float]) -> None:
        self.values.setdefault(name, []).extend(values)

    def _try(self, name: str, part: Callable[[], object]) -> None:
        """Do a part if there is time, and keep what went wrong."""
        if name in self.failed or not self._in_time(name):
            return
        began = time.monotonic()
        try:
            part()
        except ContenderFailed as error:
            self.failed[name] = str(error)
            self.say(f"{name} FAILED: {error}")
        self._longest[name] = time.monotonic() - began

    def _in_time(self, name: str) -> bool:
        """Is there time for another one, as long as the last one or as what is usual?"""
        if self.end_at is None:
            return True
        needed = self._longest.get(name, 0.0 if name == "round" else 5.0)
        if time.monotonic() + needed < self.end_at:
            return True
        self.say(f"{name}: no time left")
        return False
