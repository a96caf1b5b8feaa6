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
        is_finished: The workers came to their end by themselves.
    """

    entries: list[tuple[str, list[bytes]]]
    diaries: dict[str, list[dict[str, Any]]]
    final: Final
    lease_ms: int
    max_attempts: int
    gaps: int = 0
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


def calls_of(diaries: dict[str, list[dict[str, Any]]]) -> Iterator[Call]:
    """Each question with its answer."""
    for who, records in diaries.items():
        open_call: Call | None = None
        for record in records:
            if "ask" in record:
                if open_call:
                    yield open_call
                open_call = Call(who, record["ask"], record["at"] * 1000, record)
            elif "told" in record and open_call:
                open_call.told_ms, open_call.told = record["at"] * 1000, record["told"]
                yield open_call
                open_call = None
        if open_call:
            yield open_call


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
