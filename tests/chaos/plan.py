"""What a chaos run shall do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Plan:
    """The settings of one run; the same for the conductor and the processes that it starts.

    Attributes:
        items: How many items are put.
        seconds: How long the chaos goes on.
        seed: Decides when which fault strikes (not how fast the machine is).
        on: "alone" (a primary with a replica), "cluster" (three masters and a replica) or
            "sentinel" (a primary, two replicas and three sentinels).
        replicas: How many replicas must have a change before the call that made it is answered.
        restarts: Kill and restart Redis, and fail over, in the middle.
        workers: How many worker processes there are at a time.
        roles: What each worker is like, in turn: a number is one written by hand that leases so
            many items at a time; a word is the library's own, see `noted.ROLES`.
        kills: How many workers are killed at least.
        lease_seconds: How long a lease lasts.
        work_seconds: How long the library's own workers may work on an item.
        hang: Share of the items with which they take much longer.
        max_attempts: Failed attempts after which an item is dead.
        dawdle: Share of the items with which a worker takes longer than the lease lasts.
        swallow: Share of the replies that get lost on their way.
        peace_seconds: How long the workers may take to finish after the chaos.
        durable: Redis writes each change to its disk before it answers.
        planted: Name of the bug that the processes build into their copy of the queue, or "".
        queue: Name of the queue.
    """

    items: int = 20_000
    seconds: float = 60.0
    seed: int = 1
    on: str = "alone"
    replicas: int = 0
    restarts: bool = True
    workers: int = 8
    roles: tuple[int | str, ...] = (1, "auto", 4, "threads", 1, "async", 16, "auto")
    kills: int = 0
    lease_seconds: float = 1.0
    work_seconds: float = 2.0
    hang: float = 0.003
    max_attempts: int = 5
    dawdle: float = 0.01
    swallow: float = 0.008
    peace_seconds: float = 60.0
    durable: bool = True
    planted: str = ""
    queue: str = "chaos"

    def to_json(self) -> str:
        """As one line, for a process to start with."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Plan:
        """Read what `to_json` wrote."""
        fields = json.loads(line)
        return cls(**fields | {"roles": tuple(fields["roles"])})
