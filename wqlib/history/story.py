"""What a pod does and did, and what happened to an item from lease to lease, in words. Pure.

Moments are told as on the time axis of the pictures: seconds since the run began.
"""

from __future__ import annotations

from .fold import History
from .spans import WAITS, Lane, Span, pod_states
from .words import duration, item_name, item_seconds, progress, short_name, state_of

MOST_ITEMS = 50
MOST_LEASES = 8
_STATES = {
    "pending": "created",
    "running": "started",
    "terminating": "asked to end",
    "evicted": "evicted",
    "succeeded": "finished",
    "failed": "ended early",
    "killed": "killed",
}
_ENDS = {
    "complete": "completed",
    "release": "released",
    "fail": "failed",
    "expire": "expired",
    "dead": "given up",
}


def pod_story(history: History, lane: Lane) -> list[str]:
    """Return the state of a pod and its life, a sentence or two a line."""
    zero = history.started_at or 0.0
    where = f" on {lane.node}" if lane.node else ""
    done = f"{lane.done:,} {'item' if lane.done == 1 else 'items'} done, {lane.lost:,} lost"
    said = [f"{lane.worker}{where}: {state_of(lane, history.drained_at is not None)}. {done}."]
    if life := [f"{_STATES[kind]} at {_at(at - zero)}" for kind, at in pod_states(lane)]:
        ends = [mark for mark in lane.marks if mark.kind in ("failed", "restarting")]
        why = f" ({ends[-1].reason})" if ends and ends[-1].reason else ""
        said.append(f"Its life: {', '.join(life)}{why}.")
    return said


def leases_story(history: History, lane: Lane, now: float) -> list[str]:
    """Say what became of the last leases of a pod, a line for each, the newest first."""
    zero = history.started_at or 0.0
    spans = [span for span in lane.spans[-MOST_LEASES:] if span.leases == 1]
    return [f"{_name(span)}: {_lease(span, zero, now)}" for span in reversed(spans)]


def item_story(history: History, item_id: int, now: float) -> list[str]:
    """Say what happened to an item, a line for each lease; none if nobody knows of it."""
    zero = history.started_at or 0.0
    found = [
        (span, lane)
        for lane in list(history.lanes.values())
        for span in list(lane.spans)
        if span.item_id == item_id
    ]
    found.sort(key=lambda pair: pair[0].attempt)
    said = []
    for span, lane in found:
        told = f"Attempt {span.attempt}, {short_name(lane.worker, lane.job)}: "
        said.append(told + _lease(span, zero, now))
    if said:
        said.insert(0, f"Item {item_id}: {_name(found[-1][0])}.")
    return said


def items_of(lane: Lane) -> list[tuple[str, int]]:
    """Return the items that a worker has or had, what to call each and its number, newest first."""
    found: dict[int, str] = {}
    for span in reversed(lane.spans[-4 * MOST_ITEMS :]):
        if span.item_id and span.item_id not in found:
            found[span.item_id] = f"{span.item_id}: {_name(span)}"
    return [(said, item_id) for item_id, said in list(found.items())[:MOST_ITEMS]]


def _lease(span: Span, zero: float, now: float) -> str:
    """Say what became of a lease."""
    said = f"lent at {_at(span.lent - zero)}"
    if span.renewals:
        number = len(span.renewals)
        times = {1: "once", 2: "twice"}.get(number, f"{number} times")
        said += f", renewed {times}, last at {_at(span.renewals[-1] - zero)}"
    if span.orphaned:
        said += f", its worker's process ended at {_at(span.orphaned - zero)}"
    if span.outcome in ("running", "expire") and span.deadline:
        said += f", deadline {_at(span.deadline - zero)}"
    if span.end is not None:
        said += f", {_ENDS[span.outcome]} at {_at(span.end - zero)}"
        if span.outcome == "complete":
            said += f" after {item_seconds(span.end - span.start)} of work"
        return f"{said}{f' ({span.reason})' if span.reason else ''}."
    left = span.deadline - now
    if span.orphaned:
        said += ", nobody works on it now"
    elif span.slot == WAITS:
        said += ", it waits in its worker"
    else:
        said += f", worked on for {duration(max(0.0, now - span.start))}"
        said += f" ({progress(span)})" if span.progress else ""
    if span.deadline:
        said += f"; {duration(left)} left" if left > 0 else "; the time is over"
    return f"{said}."


def _name(span: Span) -> str:
    return item_name(span) or f"item {span.item_id}"


def _at(seconds: float) -> str:
    return f"{seconds:.1f} s"
