"""What can be seen of a queue: Redis' raw replies as numbers, leases, dead items and events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, TextIO

from ..events import Event, decode
from . import export
from .export import Entry
from .items import DeadItem, ItemState, Lease, Snapshot, Stats
from .store import Store
from .wire import Argument

MAX_SHOWN = 5000
_READ_BLOCK_SECONDS = 2.0
_EXPORT_REPLY_SECONDS = 60.0


def pairs(flat: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Return what a hash holds, of which Redis gives field and value in turn."""
    return zip(flat[::2], flat[1::2], strict=True)


def snapshot(store: Store, limit: int) -> Snapshot:
    """Look at a queue at one moment; see `WorkQueue.snapshot`."""
    if not 0 <= limit <= MAX_SHOWN:
        raise ValueError(f"limit is {limit}; it must be 0 to {MAX_SHOWN}.")
    now, pending, leased, dead, flat, *shown = store.run("snapshot", limit)
    counts = {key.decode(): int(value) for key, value in pairs(flat)}
    ended = {name: counts.get(name, 0) for name in ("expire", "release", "fail")}
    leases = counts.get("items", 0) - counts.get("cleared", 0) + counts.get("again", 0)
    stats = Stats(
        pending=pending,
        leased=leased,
        done=leases - leased - sum(ended.values()),
        dead=dead,
        put=counts.get("put", 0),
        leases=leases,
        expired=ended["expire"],
        released=ended["release"],
        failed=ended["fail"],
        dropped=counts.get("drop", 0),
        at=now / 1000,
    )
    if not shown:
        return Snapshot(stats, [], [], [])
    waiting, deadlines, items, given_up, records = shown
    held = [
        Lease(lease_id.decode(), item, int(deadline) / 1000)
        for (lease_id, deadline), item in zip(pairs(deadlines), items, strict=True)
    ]
    return Snapshot(stats, waiting, held, _dead_items(given_up, records))


def dead_items(store: Store) -> list[DeadItem]:
    """Return the items that were given up, with their history, by item id."""
    flat = store.command("HGETALL", "dead")
    return _dead_items(flat, store.command("HMGET", "tries", *flat[::2]) if flat else [])


def item(store: Store, item_id: int) -> ItemState:
    """Return what is known of one item."""
    _, last_id, cleared, dead, record, result, *lent = store.run("item", item_id)
    history = _history(record)
    if lent:
        lease = Lease(lent[0].decode(), lent[2], int(lent[1]) / 1000)
        return ItemState(item_id, "leased", lease.item, lease, history=history)
    if dead is not None:
        return ItemState(item_id, "dead", dead, history=history)
    if record is not None:
        return ItemState(item_id, "waiting", history=history)
    done = result is not None or cleared < item_id <= last_id
    return ItemState(item_id, "done" if done else "unknown", result=result)


def events(store: Store, after: str, wait_seconds: float, limit: int) -> list[Event]:
    """Return what happened to the queue; see `WorkQueue.events`."""
    give_up_at = time.monotonic() + wait_seconds
    while True:
        entries = store.command("XRANGE", "events", f"({after}", "+", "COUNT", limit)
        left = give_up_at - time.monotonic()
        if entries or left <= 0:
            return [e for entry in entries for e in decode(entry[0].decode(), entry[1])]
        block = max(1, int(min(left, _READ_BLOCK_SECONDS) * 1000))
        key = store.keys["events"]
        store.link.command("XREAD", "COUNT", 1, "BLOCK", block, "STREAMS", key, after)


def write_export(store: Store, file: TextIO) -> dict[str, int]:
    """Write all that is not done; see `WorkQueue.export`.

    It is one transaction, not page by page: between two pages the head of the list moves on, and
    items would be missing. Nothing is kept, here or in Redis, but what is on its way.
    """
    snapshot(store, 0)  # finds the node of a Redis Cluster; says best what is wrong with the queue
    script = store.scripts["export"]
    rest: tuple[Argument, ...] = ("EVAL", script.source, len(script.keys), *script.keys, 0)
    commands = (
        ("MULTI",),
        (*rest, "leased"),
        ("LRANGE", store.keys["list"], 0, -1),
        (*rest, "dead"),
        ("EXEC",),
    )
    with closing(store.link.stream(*commands, timeout_seconds=_EXPORT_REPLY_SECONDS)) as parts:
        for _ in range(len(commands) + 1):  # OK, QUEUED three times, and two lengths
            next(parts)
        now, leased, pending, dead = islice(parts, 4)
        numbers = {"leased": leased, "pending": pending, "dead": dead}
        file.writelines(export.write(store.name, now / 1000, numbers, _entries(parts, **numbers)))
    return numbers


def _entries(parts: Iterator[Any], leased: int, pending: int, dead: int) -> Iterator[Entry]:
    for _ in range(leased):
        lease_id, deadline, item = islice(parts, 3)
        more = {"lease": lease_id.decode(), "deadline": int(deadline) / 1000}
        yield Entry("leased", item, more)
    next(parts)  # how many items follow
    for item in islice(parts, pending):
        yield Entry("pending", item)
    next(parts)
    for _ in range(dead):
        one = _dead_item(*islice(parts, 3))
        why = {"item_id": one.item_id, "error": one.error, "history": one.history}
        yield Entry("dead", one.item, why)


def _dead_items(flat: list[bytes], records: list[bytes | None]) -> list[DeadItem]:
    found = [_dead_item(*one, record) for one, record in zip(pairs(flat), records, strict=True)]
    return sorted(found, key=lambda dead: dead.item_id)


def _dead_item(item_id: bytes, item: bytes, record: bytes | None) -> DeadItem:
    """Return a dead item; `record` is what lua/end_lease.lua noted of its attempts."""
    history = _history(record)
    last = history[-1] if history else {}
    return DeadItem(int(item_id), item, last.get("reason") or last.get("what", ""), history)


def _history(record: bytes | None) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = []
    if record:
        history = json.loads(record.decode("utf-8", "replace"))["history"]
    for attempt in history:
        attempt["at"] /= 1000
    return history
