"""What the commands of `wqlib queue` say as text. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from ..events import PREVIEW_BYTES, Event, split_lease_id
from ..queue.items import DeadItem, ItemState, Stats
from ..shown import shown, table

MEANINGS = {
    "pending": "items are waiting",
    "leased": "items are leased to workers",
    "dead": "items were set aside",
    "done": "items were completed",
    "put": "items were put through wqlib",
    "leases": "leases were granted",
    "expired": "leases expired",
    "released": "leases were released",
    "failed": "leases ended in a failure",
    "dropped": "dead items were dropped",
}
LISTED = ("pending", "leased", "done", "dead")
_STATES = {
    "waiting": "waits in line for another attempt",
    "dead": "is dead: it was set aside",
    "done": "is done",
    "dropped": "was dead, and then dropped",
}

_DOINGS = {"lease": "began", "complete": "completed it", "dead": "was the last one"}


def stats_lines(name: str, stats: Stats) -> list[str]:
    """Return the numbers of a queue as a table."""
    numbers = {field: f"{getattr(stats, field):,}" for field in MEANINGS}
    width = max(map(len, numbers.values()))
    rows = [(field, numbers[field].rjust(width), MEANINGS[field]) for field in MEANINGS]
    end = "It has drained." if stats.drained else "It has not drained."
    return [f"Queue {shown(name)} at {when(stats.at)}. {end}", *table(rows)]


def list_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return queues as a table; each row has `queue` and the numbers that `LISTED` names."""
    numbers = [[f"{row[field]:,}" for row in rows] for field in LISTED]
    columns = []
    for field, cells in zip(LISTED, numbers, strict=True):
        width = max(map(len, [field, *cells]))
        columns.append([cell.rjust(width) for cell in (field.upper(), *cells)])
    return table([*zip(*columns, ["QUEUE", *(shown(row["queue"]) for row in rows)], strict=True)])


def dead_lines(dead: Sequence[DeadItem], *, history: bool) -> list[str]:
    """Return dead items as a table, or each with all its attempts."""
    rows = []
    for one in dead:
        attempts = max((attempt["attempt"] for attempt in one.history), default=0)
        rows.append((str(one.item_id), str(attempts), shown(one.error, 60), shown(one.item, 100)))
    lines = table([("ID", "ATTEMPTS", "ERROR", "ITEM"), *rows])
    if not history:
        return lines
    told = [lines[0]]
    for line, one in zip(lines[1:], dead, strict=True):
        told.append(line)
        told += (f"    {when(attempt['at'])}  {_ended(attempt)}" for attempt in one.history)
    return told


def item_facts(found: ItemState, events: Iterable[Event]) -> dict[str, Any]:
    """Return all that is known of an item, for a program.

    Args:
        found: What the keys say.
        events: What the event stream still has of this item.

    Returns:
        `item_id`, `state`, `item` (the first bytes only, if `is_cut`), `attempts`, `worker` and
        `deadline` of its lease, `result`, and `history`: dicts of `at`, `attempt`, `worker`,
        `what` and `reason`, oldest first. What is bytes and no UTF-8 has the suffix `_base64`.
    """
    told = [event for event in events if event.item_id == found.item_id]
    history = {(row["attempt"], row["what"]): row for row in found.history}
    for event in told:
        if event.kind != "renew":
            history[event.attempt, event.kind] = {
                "at": event.at, "attempt": event.attempt, "worker": event.worker,
                "what": event.kind, "reason": event.reason,
            }  # fmt: skip
    state = found.state
    if state == "done" and any(event.kind == "drop" for event in told):
        state = "dropped"
    preview = next((event.item for event in told if event.kind == "lease"), None)
    facts: dict[str, Any] = {"item_id": found.item_id, "state": state}
    if found.item is not None:
        facts |= _text("item", found.item)
    elif preview is not None:
        facts |= {"item": preview, "is_cut": len(preview.encode()) >= PREVIEW_BYTES}
    facts["attempts"] = max((attempt for attempt, _ in history), default=0)
    if found.lease:
        _, facts["attempts"], facts["worker"] = split_lease_id(found.lease.id)
        facts["deadline"] = found.lease.deadline
    if progress := [event.progress for event in told if event.kind == "renew" and event.progress]:
        facts["progress"] = progress[-1]
    if found.result is not None:
        facts |= _text("result", found.result)
    order = {"lease": 0, "dead": 2, "drop": 3}
    rows = sorted(history.values(), key=lambda row: (row["attempt"], order.get(row["what"], 1)))
    return facts | {"history": rows}


def item_lines(name: str, facts: dict[str, Any]) -> list[str]:
    """Return what `item_facts` gave, for a reader."""
    state = facts["state"]
    if state == "leased":
        about = f"is leased to {shown(facts['worker'])} until {when(facts['deadline'])}"
    else:
        about = _STATES[state]
    lines = [f"Item {facts['item_id']} of {shown(name)} {about}."]
    more = " ..." if facts.get("is_cut") else ""
    rows = [
        (field, shown(_bytes(facts, field)) + more * (field == "item"))
        for field in ("item", "progress", "result")
        if field in facts or f"{field}_base64" in facts
    ]
    if facts["attempts"]:
        rows.append(("attempts", str(facts["attempts"])))
    lines += table(rows) if rows else []
    return lines + [f"{when(row['at'])}  {_ended(row)}" for row in facts["history"]]


def _ended(row: dict[str, Any]) -> str:
    if row["what"] == "drop":
        return "dropped"
    what = _DOINGS.get(row["what"]) or f"ended as {shown(row['what'])}"
    why = f": {shown(row['reason'])}" if row.get("reason") else ""
    return f"attempt {row['attempt']} on {shown(row['worker'])} {what}{why}"


def _text(field: str, value: bytes) -> dict[str, str]:
    try:
        return {field: value.decode()}
    except UnicodeDecodeError:
        return {f"{field}_base64": base64.b64encode(value).decode()}


def _bytes(facts: dict[str, Any], field: str) -> bytes | str:
    return facts[field] if field in facts else base64.b64decode(facts[f"{field}_base64"])


def counted(number: int, what: str) -> str:
    """`1 item`, `2 items`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def when(at: float) -> str:
    """A moment in UTC; `at` in seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
