"""What the checker judges: the records of a chaos run, read but not yet weighed. No wqlib here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

# What the queue counts, and the event that tells of the same.
COUNTERS = {
    "put": "put",
    "leases": "lease",
    "done": "complete",
    "expired": "expire",
    "released": "release",
    "failed": "fail",
    "dead": "dead",
}


@dataclass
class Final:
    """The raw keys of the queue at the end.

    Attributes:
        waiting: The items in the list.
        leases, requeued: How many elements the key of that name has.
        leased: Lease id -> item.
        kept_forever: How many records of a client's last call do not expire.
        tries: The item ids in that key.
        dead: Item id -> item.
        results: Item id -> result.
        counts: What the queue says of itself, see `COUNTERS`.
    """

    waiting: list[bytes] = field(default_factory=list)
    leases: int = 0
    requeued: int = 0
    leased: dict[str, bytes] = field(default_factory=dict)
    kept_forever: int = 0
    tries: set[int] = field(default_factory=set)
    dead: dict[int, bytes] = field(default_factory=dict)
    results: dict[int, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class History:
    """All that is known of a run.

    Attributes:
        entries: The event stream: `(stream id, [field, value, field, value ...])`.
        diaries: For each process the records that it wrote, see `worker.Diary`.
        final: The keys at the end.
        lease_ms: How long each lease and each renewal lasts.
        max_attempts: After how many failed or expired attempts an item is dead.
        gaps: How often the reader of the stream found that it had missed something.
        stale_writes: How often somebody was seen to write to a primary that had been replaced.
        work_ms: How long the work on an item may take; what takes thrice as long is given up.
        exits: Who came to the end of their work by themselves.
        is_finished: The workers came to their end by themselves.
    """

    entries: list[tuple[str, list[bytes]]]
    diaries: dict[str, list[dict[str, Any]]]
    final: Final
    lease_ms: int
    max_attempts: int
    gaps: int = 0
    stale_writes: int = 0
    work_ms: float = float("inf")
    exits: set[str] = field(default_factory=set)
    is_finished: bool = True


@dataclass
class Call:
    """What one process asked, and what it was told, if it lived to hear it."""

    who: str
    what: str
    asked_ms: float
    ask: dict[str, Any]
    told_ms: float = 0.0
    told: dict[str, Any] | None = None


@dataclass
class Run:
    """The work of one process on one item: a task, from its start to its end, if it had one."""

    who: str
    item: bytes
    began_ms: float
    ended_ms: float | None = None


def calls_of(diaries: dict[str, list[dict[str, Any]]]) -> Iterator[Call]:
    """Each question with its answer, in the order of the questions of each process."""
    for who, records in diaries.items():
        calls: dict[int, Call] = {}
        for record in records:
            if "ask" in record:
                calls[record["call"]] = Call(who, record["ask"], record["at"] * 1000, record)
            elif "told" in record:
                call = calls[record["call"]]
                call.told_ms, call.told = record["at"] * 1000, record["told"]
        yield from calls.values()


def runs_of(diaries: dict[str, list[dict[str, Any]]]) -> dict[str, Run]:
    """What each process worked on, by the name of the run, which is its result."""
    runs: dict[str, Run] = {}
    for who, records in diaries.items():
        for record in records:
            if "begins" in record:
                item = record["item"].encode("latin-1")
                runs[record["begins"]] = Run(who, item, record["at"] * 1000)
            elif "ends" in record and "ask" not in record:
                runs[record["ends"]].ended_ms = record["at"] * 1000
    return runs


def puts_of(calls: Iterable[Call]) -> tuple[Counter[bytes], Counter[bytes]]:
    """The items that were put for certain, and all that may have been.

    A filler that was killed does not know whether its last items are in; its successor puts
    them again. So each item counts by its place in the whole filling.
    """
    sure: dict[int, bytes] = {}
    perhaps: dict[int, bytes] = {}
    for call in calls:
        if call.what == "put":
            places = enumerate(call.ask["items"], call.ask["first"])
            items = {place: item.encode("latin-1") for place, item in places}
            perhaps |= items
            if call.told is not None and not call.told.keys() & {"gone", "error", "refused"}:
                sure |= items
    return Counter(sure.values()), Counter(perhaps.values())
