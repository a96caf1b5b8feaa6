"""Conducts a chaos run: starts everything, lets the faults strike, and brings it to its end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from wqlib.worker.loop import EXIT_TERMINATED

from . import planted
from .checker import Verdict, judge
from .filler import SHARE_OF_TIME, bursts
from .history import Tail, read
from .plan import Plan
from .records import History
from .relay import Network
from .sentinel import Sentinels
from .servers import Alone, Cluster, Redis

_TICK_SECONDS = 0.01
_LONGEST_SKEW_SECONDS = 5 * 3600
_INSIDE_SHARE = 0.5  # of all kills: those that strike inside the library
_FILLER_KILLS = 2  # about
_FROZEN = (1.3, 2.2)  # times the lease


@dataclass
class Report:
    """What a run came to.

    Attributes:
        plan: What it was to do.
        verdict: What the checker says.
        counts: How often each fault struck.
        seconds: How long it took.
    """

    plan: Plan
    verdict: Verdict
    counts: dict[str, int]
    seconds: float

    @property
    def is_clean(self) -> bool:
        return not self.verdict.violations


@dataclass
class _Slot:
    """The place of one worker, which is filled again when its process dies."""

    role: int | str
    generation: int = 0
    name: str = ""
    thaw_at: float = 0.0
    is_doomed: bool = False
    is_done: bool = False


@dataclass
class _Alarm:
    """Strikes again and again, about every `seconds`."""

    rng: random.Random
    seconds: float
    at: float = field(default=0.0)

    def rings(self, now: float) -> bool:
        if not self.at:
            self.at = now + self.rng.uniform(0.3, 1.0) * self.seconds
        if now < self.at:
            return False
        self.at = now + self.rng.uniform(0.6, 1.4) * self.seconds
        return True


def run(plan: Plan, folder: Path | None = None) -> Report:
    """Carry out a plan.

    Args:
        plan: What to do.
        folder: A new folder in which to keep what happened; None: it is not kept.
    """
    planted.check(plan.planted)
    started = time.monotonic()
    kept = folder or Path(tempfile.mkdtemp(prefix="wqlib-chaos-"))
    kept.mkdir(parents=True, exist_ok=folder is None)
    with contextlib.ExitStack() as stack:
        conductor = _Conductor(plan, kept, is_tidy=folder is None, stack=stack)
        history = conductor.conduct()
    return Report(plan, judge(history), dict(conductor.counts), time.monotonic() - started)


class _Conductor:
    def __init__(
        self, plan: Plan, folder: Path, *, is_tidy: bool, stack: contextlib.ExitStack
    ) -> None:
        self.plan, self.folder = plan, folder
        self.counts: Counter[str] = Counter()
        self.network = Network(plan.seed, plan.swallow)
        stack.callback(self.network.close)
        self.redis: Redis = self._start_redis()
        stack.callback(self.redis.close)
        self.fork_server = self._start_fork_server(is_tidy)
        stack.callback(self._end_fork_server)
        self.tail = Tail(self.redis, f"{{{plan.queue}}}:events", folder / "events")
        stack.callback(self.tail.close)
        self._slots = [_Slot(plan.roles[i % len(plan.roles)]) for i in range(plan.workers)]
        self._alive: set[str] = set()
        self._is_over = False
        self._fillers = 0
        self._filler_is_done = False
        self._unread = b""
        self._calm = threading.Event()
        self._rng = random.Random(f"{plan.seed}/conductor")

    def conduct(self) -> History:
        """The whole run."""
        faults = threading.Thread(target=self._strike_redis, daemon=True)
        self._start_filler()
        for number, _ in enumerate(self._slots):
            self._fill_slot(number)
        self.network.is_bad = True
        faults.start()
        self._strike_workers()
        self._make_peace(faults)
        is_finished = self._until_done()
        self.counts += self.network.counts
        client = self.redis.owner()
        history = read(self.plan, self.folder, self.tail, client, is_finished=is_finished)
        self.counts["undone"] = self.tail.undone
        history.stale_writes = self.redis.stale_writes
        history.exits = {slot.name for slot in self._slots if slot.is_done}
        for diary in history.diaries.values():
            deaths = [record for record in diary if "dies" in record]
            self.counts.update(f"kills_{death['dies']}" for death in deaths)
            self.counts["kills_flush"] += sum(death["during"] == "flush" for death in deaths)
        return history

    # -- starting and ending

    def _start_redis(self) -> Redis:
        plan = self.plan
        if plan.on == "sentinel":
            key = f"{{{plan.queue}}}:events"
            waits = plan.replicas > 0
            return Sentinels(self.network, plan.seed, key, waits=waits, durable=plan.durable)
        if plan.on == "cluster":
            return Cluster(self.network, plan.queue)
        return Alone(self.network, replica=plan.restarts, durable=plan.durable)

    def _start_fork_server(self, is_tidy: bool) -> subprocess.Popen[bytes]:
        here = Path(__file__).resolve().parent
        told = {
            "plan": self.plan.to_json(),
            "folder": str(self.folder),
            "urls": self.redis.urls(),
            "is_tidy": is_tidy,
        }
        paths = [str(here.parent), str(here.parents[1]), os.environ.get("PYTHONPATH", "")]
        server = subprocess.Popen(
            [sys.executable, "-m", f"{here.name}.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "WQLIB_CHAOS": json.dumps(told),
            },
            start_new_session=True,
        )
        assert server.stdout
        os.set_blocking(server.stdout.fileno(), False)
        return server

    def _end_fork_server(self) -> None:
        assert self.fork_server.stdin
        assert self.fork_server.stdout
        self.fork_server.stdin.close()
        self.fork_server.wait(30)
        self.fork_server.stdout.close()

    def _order(self, **order: Any) -> None:
        assert self.fork_server.stdin
        self.fork_server.stdin.write(json.dumps(order).encode() + b"\n")
        self.fork_server.stdin.flush()

    def _spawn(self, name: str, **options: Any) -> None:
        skew = self._rng.uniform(-_LONGEST_SKEW_SECONDS, _LONGEST_SKEW_SECONDS)
        self._alive.add(name)
        self._order(spawn=name, skew_seconds=skew, **options)

    def _start_filler(self) -> None:
        self._fillers += 1
        chance = _FILLER_KILLS / bursts(self.plan) / 4 if self.plan.kills else 0.0
        self._spawn(f"filler.{self._fillers}", role="filler", chance=chance)

    def _fill_slot(self, number: int) -> None:
        slot = self._slots[number]
        slot.generation += 1
        slot.name, slot.thaw_at = f"w{number}.{slot.generation}", 0.0
        slot.is_doomed = False
        # Each item costs about two calls, with renewals; each has four points that may be fatal.
        chance = self.plan.kills * _INSIDE_SHARE / (2 * self.plan.items) / 4
        self._spawn(slot.name, role=slot.role, chance=chance)

    def _hear(self) -> None:
        """Read what the fork server says, and fill the places of the dead."""
        assert self.fork_server.stdout
        with contextlib.suppress(BlockingIOError):
            self._unread += self.fork_server.stdout.read() or b""
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "gone" in told:
                self._bury(told["gone"], told["status"])

    def _bury(self, name: str, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._alive.discard(name)
        if self._is_over:
            return
        if name.startswith("filler"):
            self._filler_is_done = code == 0
            if code:
                self.counts["kills_filler" if code == -signal.SIGKILL else "gave_up"] += 1
                self._start_filler()
            return
        number = next(i for i, slot in enumerate(self._slots) if slot.name == name)
        if code == 0:
            self._slots[number].is_done = True
            return
        how = {-signal.SIGKILL: "kills", EXIT_TERMINATED: "terms", -signal.SIGTERM: "terms"}
        self.counts[how.get(code, "gave_up")] += 1
        self._fill_slot(number)

    # -- the faults

    def _strike_workers(self) -> None:
        """Kill, freeze, thaw and end workers and cut connections until the time is up."""
        plan, started = self.plan, time.monotonic()
        cuts = _Alarm(self._rng, 0.4)
        freezes = _Alarm(self._rng, plan.lease_seconds)
        ends = _Alarm(self._rng, 2 * plan.lease_seconds)
        while (passed := time.monotonic() - started) < plan.seconds and not self._is_done():
            self._hear()
            # All may be done soon after the last items are in.
            self._kill_some(plan.kills * min(1.0, passed / (SHARE_OF_TIME * plan.seconds)))
            now = time.monotonic()
            if freezes.rings(now):
                self._freeze_one(now)
            self._thaw(now)
            if ends.rings(now):
                self._end_one()
            if cuts.rings(now):
                self.network.cut(self._rng.choice([0.1, 0.3, 1.0]))
            time.sleep(_TICK_SECONDS)

    def _kill_some(self, wanted: float) -> None:
        """Kill as many as are missing; those that are not yet known to be dead count."""
        doomed = sum(slot.is_doomed for slot in self._slots)
        alive = [slot for slot in self._slots if not (slot.is_done or slot.is_doomed)]
        if alive and self.counts["kills"] + doomed < wanted:
            slot = self._rng.choice(alive)
            slot.is_doomed = True
            self._order(signal=signal.SIGKILL, to=slot.name)
            self.counts["kills_outside"] += 1

    def _end_one(self) -> None:
        """End one of the library's own workers as Kubernetes does: by SIGTERM."""
        names = [s.name for s in self._slots if isinstance(s.role, str) and not s.is_done]
        if names:
            self._order(signal=signal.SIGTERM, to=self._rng.choice(names))

    def _freeze_one(self, now: float) -> None:
        awake = [slot for slot in self._slots if not slot.is_done and not slot.thaw_at]
        if len(awake) > 1:
            slot = self._rng.choice(awake)
            slot.thaw_at = now + self._rng.uniform(*_FROZEN) * self.plan.lease_seconds
            self._order(signal=signal.SIGSTOP, to=slot.name)

    def _thaw(self, now: float) -> None:
        for slot in self._slots:
            if slot.thaw_at and slot.thaw_at <= now:
                slot.thaw_at = 0.0
                self._order(signal=signal.SIGCONT, to=slot.name)
                self.counts["zombies"] += 1

    def _strike_redis(self) -> None:
        """Restart, fail over, starve and flush Redis; in a thread, since some take long."""
        rng, seconds = random.Random(f"{self.plan.seed}/redis"), self.plan.seconds
        strikes: list[tuple[str, _Alarm, Callable[[], bool]]] = [
            ("flushes", _Alarm(rng, min(2.0, seconds / 5)), self._flush),
            ("oom", _Alarm(rng, min(5.0, seconds / 5)), self._starve),
        ]
        if self.plan.restarts:
            strikes += [
                ("redis_restarts", _Alarm(rng, min(8.0, seconds / 4)), self.redis.crash),
                ("failovers", _Alarm(rng, min(9.0, seconds / 4)), self.redis.failover),
            ]
        while not self._calm.wait(0.02):
            for name, alarm, strike in strikes:
                if alarm.rings(time.monotonic()):
                    with contextlib.suppress(redis.RedisError):
                        self.counts[name] += strike()

    def _flush(self) -> bool:
        self.redis.owner().script_flush()
        return True

    def _starve(self) -> bool:
        client = self.redis.owner()
        client.config_set("maxmemory", 1)
        try:
            self._calm.wait(min(0.3, self.plan.seconds / 40))
        finally:
            client.config_set("maxmemory", 0)
        return True

    # -- the end

    def _make_peace(self, faults: threading.Thread) -> None:
        (self.folder / "calm").touch()
        self._calm.set()
        faults.join()
        self.network.is_bad = False
        self._thaw(float("inf"))
        self.network.cut()  # the stalled ones, too

    def _until_done(self) -> bool:
        """Wait until everybody has come to the end by themselves; those who do not are killed."""
        if self._hears_until(self._is_done, self.plan.peace_seconds):
            return True
        self._is_over = True
        for name in self._alive:
            self._order(signal=signal.SIGKILL, to=name)
        self._hears_until(lambda: not self._alive, 10.0)
        return False

    def _hears_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up_at:
                return False
            self._hear()
            time.sleep(_TICK_SECONDS)
        return True

    def _is_done(self) -> bool:
        return self._filler_is_done and all(slot.is_done for slot in self._slots)
