"""Bugs that a process builds into its own copy of the queue's scripts, to prove the checker.

Each is one or a few replacements in the Lua source. Each text to replace must be there exactly
once: a bug that no longer fits the source is an error, not a bug that goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wqlib import connection

from .plan import Plan


@dataclass(frozen=True)
class Planted:
    """A bug to build in.

    Attributes:
        about: What is wrong with the queue then.
        found: The kinds of violation, each of which the checker must report.
        replacements: Name of a script, a text in it, and what takes its place.
    """

    about: str
    found: tuple[str, ...]
    replacements: tuple[tuple[str, str, str], ...]


PLANTED = {
    "skip_fencing": Planted(
        "whoever completes may do so, with any lease",
        ("stale_accepted", "recorded_twice"),
        (("lease", "if is_live(ARGV[i]) and not named", "if not named"),),
    ),
    "requeue_early": Planted(
        "a lease is taken away 150 ms before its deadline",
        ("expired_early",),
        (
            ("lease", "tonumber(first_deadline) <= now", "tonumber(first_deadline) <= now + 150"),
            ("lease", "'-inf', whole(now)", "'-inf', whole(now + 150)"),
        ),
    ),
    "forget_item": Planted(
        "now and then an item leaves the list without becoming a lease",
        ("lost",),
        (
            (
                "lease",
                "redis.call('ZADD', leases, unpack(deadlines))",
                "if now % 10 > 0 then redis.call('ZADD', leases, unpack(deadlines)) end",
            ),
            (
                "lease",
                "redis.call('HSET', leased, unpack(lent))",
                "if now % 10 > 0 then redis.call('HSET', leased, unpack(lent)) end",
            ),
        ),
    ),
    "complete_keeps_lease": Planted(
        "the lease of a completed item stays, and runs out",
        ("recorded_twice",),
        (
            (
                "lease",
                "redis.call('ZREM', leases, lease_id)\n    redis.call('HDEL', leased, lease_id)"
                "\n    local item_id, attempt",
                "local item_id, attempt",
            ),
        ),
    ),
    "drained_ignores_leases": Planted(
        "an empty list is taken for a drained queue",
        ("drained_early",),
        (("lease", "if first_deadline then", "if false then"),),
    ),
    "workers_clock": Planted(
        "deadlines are reckoned by the clock of the worker",
        ("wrong_deadline",),
        (("lease", "local now = clock[1] * 1000", "local now = {skew_ms} + clock[1] * 1000"),),
    ),
    "forget_calls": Planted(
        "a call that is repeated after its reply was cut off is done again",
        ("stranded", "told_wrongly"),
        (("lease", "if tonumber(ARGV[1]) > number then", "if true then"),),
    ),
    "fill_again": Planted(
        "a filling that is repeated after its reply was cut off is put again",
        ("recorded_twice",),
        (("put", "if tonumber(ARGV[1]) > number then", "if true then"),),
    ),
    "immortal_poison": Planted(
        "an item that fails again and again is never given up",
        ("undead",),
        (
            (
                "give_back",
                "if max_attempts > 0 and record.failed >= max_attempts then",
                "if false then",
            ),
        ),
    ),
    "same_attempt": Planted(
        "the number of the attempt does not grow",
        ("wrong_attempt",),
        (("lease", "attempt = whole(attempt + 1)", "attempt = whole(attempt)"),),
    ),
    "renew_revives": Planted(
        "a lease that has run out can be renewed",
        ("stale_accepted",),
        (("renew", "if is_live(ARGV[i]) then", "if true then"),),
    ),
    "zombies_result": Planted(
        "the result of a worker that is too late replaces the one that counts",
        ("wrong_result",),
        (
            (
                "lease",
                "completed[#completed + 1] = 0\n",
                "completed[#completed + 1] = 0\n"
                "redis.call('HSET', results, string.match(ARGV[i], '^%d+'), ARGV[i + 1])\n",
            ),
        ),
    ),
}


def plan_for(name: str, seed: int) -> Plan:
    """A run that is short, and bad enough that the bug must show."""
    return Plan(
        items=800,
        seconds=2.0,
        seed=seed,
        restarts=False,
        workers=6,
        batches=(1, 1, 1, 1, 2, 4),
        kills=10,
        lease_seconds=0.25,
        max_attempts=3,
        dawdle=0.1,
        swallow=0.08,
        peace_seconds=2.0,
        durable=False,
        planted=name,
    )


def plant(name: str, skew_seconds: float) -> None:
    """Build a bug into this process, before it makes its first queue.

    Raises:
        LookupError: The source no longer has what the bug replaces, or has it more than once.
    """
    if name:
        original = connection._source
        connection._source = lambda script: spoilt(name, script, original, skew_seconds)


def spoilt(
    name: str, script: str, source: Callable[[str], bytes], skew_seconds: float = 0.0
) -> bytes:
    """The source of a script with a bug in it; the same if the bug is in another script."""
    text = source(script).decode()
    for where, old, new in PLANTED[name].replacements:
        if where == script:
            if text.count(old) != 1:
                raise LookupError(
                    f"The bug {name!r} replaces {old!r}, which lua/{script}.lua has "
                    f"{text.count(old)} times. Plant it anew in tests/chaos/planted.py."
                )
            text = text.replace(old, new.replace("{skew_ms}", str(int(skew_seconds * 1000))))
    return text.encode()
