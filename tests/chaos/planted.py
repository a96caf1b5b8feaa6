"""Bugs that a process builds into its own copy of the library, to prove the checker.

Each is one or a few replacements in a Lua file, with what it includes, or in a Python module. Each
text to replace must be there exactly once: a bug that no longer fits is an error, not a bug that
goes unnoticed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import wqlib
from wqlib.queue import link

from .faults import replace_everywhere
from .plan import Plan


@dataclass(frozen=True)
class Planted:
    """A bug to build in.

    Attributes:
        about: What is wrong with the queue then.
        found: The kinds of violation, each of which the checker must report.
        replacements: Name of a Lua file, or of a module of wqlib, with its suffix; a text in it,
            and what takes its place.
        plan: What is special about the run that shows it.
    """

    about: str
    found: tuple[str, ...]
    replacements: tuple[tuple[str, str, str], ...]
    plan: Mapping[str, Any] = field(default_factory=dict)


_ON_SENTINEL = {
    "on": "sentinel",
    "restarts": True,
    "durable": True,
    "seconds": 10.0,
    "roles": (1, "auto", "threads"),
}

PLANTED = {
    "skip_fencing": Planted(
        "whoever completes may do so, with any lease",
        ("stale_accepted", "recorded_twice"),
        (("lease.lua", "if all_live or call('HDEL', leased, lease_id) == 1 then", "if true then"),),
    ),
    "requeue_early": Planted(
        "a lease is taken away 100 ms before its deadline",
        ("expired_early",),
        (
            ("lease.lua", "'ZCOUNT', leases, '-inf', now", "'ZCOUNT', leases, '-inf', now + 100"),
            (
                "lease.lua",
                "'ZRANGEBYSCORE', leases, '-inf', now,",
                "'ZRANGEBYSCORE', leases, '-inf', now + 100,",
            ),
            (
                "lease.lua",
                "if ends and tonumber(ends) <= now then",
                "if ends and tonumber(ends) <= now + 100 then",
            ),
        ),
    ),
    "forget_item": Planted(
        "now and then an item leaves the list without becoming a lease",
        ("lost",),
        (
            (
                "lease.lua",
                "call('ZADD', leases, unpack(deadlines))\n"
                "  call('HSET', leased, unpack(answer, 5))",
                "if now % 10 > 0 then\n  call('ZADD', leases, unpack(deadlines))\n"
                "  call('HSET', leased, unpack(answer, 5))\n  end",
            ),
        ),
    ),
    "complete_keeps_lease": Planted(
        "the lease of a completed item stays, and runs out",
        ("recorded_twice",),
        (
            (
                "lease.lua",
                "call('ZREM', leases, unpack(lease_ids)) == #lease_ids\nif all_live then\n"
                "  call('HDEL', leased, unpack(lease_ids))",
                "call('ZSCORE', leases, ARGV[7])\nif all_live then",
            ),
        ),
    ),
    "drained_ignores_leases": Planted(
        "an empty list is taken for a drained queue",
        ("drained_early",),
        (("lease.lua", "  if ends then\n    answer[4]", "  if false then\n    answer[4]"),),
    ),
    "workers_clock": Planted(
        "deadlines are reckoned by the clock of the worker",
        ("wrong_deadline",),
        (("common.lua", "local now = clock[1] * 1000", "local now = {skew_ms} + clock[1] * 1000"),),
    ),
    "forget_calls": Planted(
        "a call that is repeated after its reply was cut off is done again",
        ("stranded", "told_wrongly"),
        (("before.lua", "if before and tonumber(ARGV[1]) >", "if true or tonumber(ARGV[1]) >"),),
    ),
    "fill_again": Planted(
        "a filling that is repeated after its reply was cut off is put again",
        ("recorded_twice",),
        (
            ("put.lua", "if before and tonumber(ARGV[1]) >", "if true or tonumber(ARGV[1]) >"),
            ("put.lua", "(call('HGET', counts, filled) or '0') ~= ARGV[4]", "false"),
        ),
    ),
    "immortal_poison": Planted(
        "an item that fails again and again is never given up",
        ("undead",),
        (
            (
                "end_lease.lua",
                "if max_attempts > 0 and record.failed >= max_attempts then",
                "if false then",
            ),
        ),
    ),
    "same_attempt": Planted(
        "the number of the attempt does not grow",
        ("wrong_attempt",),
        (("lease.lua", "item_id .. '-' .. attempt + 1", "item_id .. '-' .. attempt"),),
    ),
    "renew_revives": Planted(
        "a lease that has run out can be renewed",
        ("stale_accepted",),
        (("renew.lua", "if ends and tonumber(ends) > now then", "if true then"),),
    ),
    "zombies_result": Planted(
        "the result of a worker that is too late replaces the one that counts",
        ("wrong_result",),
        (
            (
                "lease.lua",
                "    lost = lost .. (lost == ''",
                "    call('HSET', results, string.match(lease_id, '^%d+'), result)\n"
                "    lost = lost .. (lost == ''",
            ),
        ),
    ),
    "flush_forgets": Planted(
        "what is recorded in the middle of a batch is all but the first item",
        ("forgotten",),
        (
            (
                "worker/loop.py",
                "done = self._take_finished()\n            try:\n                self._record(",
                "done = self._take_finished()[1:]\n            try:\n                self._record(",
            ),
        ),
        {"roles": ("auto",), "work_seconds": 1.0, "kills": 2},
    ),
    "abandoned_thread": Planted(
        "a thread whose attempt was given up hands its result in",
        ("ended_twice",),
        (
            (
                "worker/runners.py",
                "if is_ours:\n            self._ended(attempt)",
                "attempt.is_given_up = False\n        self._ended(attempt)",
            ),
        ),
        {"roles": ("threads",), "work_seconds": 0.1, "hang": 0.1, "kills": 2},
    ),
    "unreplicated": Planted(
        "a call is acknowledged though no replica has it yet",
        ("unrecorded",),
        (("queue/link.py", "if self.replicas and script and script.changes", "if False"),),
        _ON_SENTINEL | {"replicas": 1, "seconds": 6.0},
    ),
    "old_primary": Planted(
        "where the primary is is remembered, and the sentinels are not asked again",
        ("stale_written",),
        (
            (
                "queue/link.py",
                "sentinels.close()\n            self.node = None",
                "sentinels.close()",
            ),
        ),
        _ON_SENTINEL,
    ),
}


def plan_for(name: str, seed: int) -> Plan:
    """A run that is short, and bad enough that the bug must show."""
    short = Plan(
        items=650,
        seconds=2.0,
        seed=seed,
        restarts=False,
        roles=(1, 1, 1, 1, 2, 4),
        kills=10,
        lease_seconds=0.2,
        max_attempts=3,
        dawdle=0.2,
        swallow=0.1,
        peace_seconds=2.0,
        durable=False,
        planted=name,
    )
    return replace(short, **PLANTED[name].plan)


def plant(name: str, skew_seconds: float) -> None:
    """Build a bug into this process, before it makes its first queue.

    Raises:
        LookupError: The source no longer has what the bug replaces, or has it more than once.
    """
    check(name)
    if not name:
        return
    original = link._source

    # It calls itself by its name for what a script includes, and so comes to us again.
    def source(script: str) -> bytes:
        return spoilt(name, f"{script}.lua", original(script), skew_seconds)

    original.cache_clear()
    link._source = source
    for where in _modules(name):
        module = importlib.import_module(f"wqlib.{where.removesuffix('.py').replace('/', '.')}")
        before = dict(vars(module))
        exec(compile(spoilt(name, where, _text(where)), where, "exec"), vars(module))
        new = {id(before[key]): value for key, value in vars(module).items() if key in before}
        replace_everywhere(new)


def check(name: str) -> None:
    """Does the bug still fit the source?

    Raises:
        LookupError: No.
    """
    for where in {where for where, _, _ in PLANTED[name].replacements} if name else ():
        spoilt(name, where, _text(where))


def spoilt(name: str, where: str, source: bytes, skew_seconds: float = 0.0) -> bytes:
    """The source of a file with a bug in it; the same if the bug is in another file."""
    text = source.decode()
    for file, old, new in PLANTED[name].replacements:
        if file == where:
            if text.count(old) != 1:
                raise LookupError(
                    f"The bug {name!r} replaces {old!r}, which {where} has "
                    f"{text.count(old)} times. Plant it anew in tests/chaos/planted.py."
                )
            text = text.replace(old, new.replace("{skew_ms}", str(int(skew_seconds * 1000))))
    return text.encode()


def _modules(name: str) -> set[str]:
    return {where for where, _, _ in PLANTED[name].replacements if where.endswith(".py")}


def _text(where: str) -> bytes:
    if where.endswith(".lua"):
        return link._source(where.removesuffix(".lua"))
    return (Path(wqlib.__file__).parent / where).read_bytes()
