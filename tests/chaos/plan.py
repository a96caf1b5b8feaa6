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
        on: "alone" (a primary with a replica) or "cluster" (three masters and a replica).
        restarts: Kill and restart Redis, and fail over, in the middle.
        workers: How many worker processes there are at a time.
        batches: How many items each worker leases at a time, in turn.
        kills: How many workers are killed at least.
        lease_seconds: How long a lease lasts.
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
    restarts: bool = True
    workers: int = 8
    batches: tuple[int, ...] = (1, 1, 1, 1, 4, 16)
    kills: int = 0
    lease_seconds: float = 1.0
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
        return cls(**fields | {"batches": tuple(fields["batches"])})
