"""What a worker works on, and in which row of its lane, as far as the events tell.

A worker is lent more than it begins at once. Which of the others it begins, and when, follows from
the ends of those before, in the order in which they were lent; and whoever completes an item tells
when the work on it began and ended, a moment later.
"""

from __future__ import annotations

from ..events import Event
from .spans import MAX_SLOTS, WAITS, Lane, Outcome, Span

_WORKED = ("complete", "fail")


def begin(lane: Lane, span: Span) -> None:
    """Let the work on a lease begin, at its start."""
    taken = lane.slots_taken
    if not taken:
        span.slot, lane.busy_since = 0, span.start
        lane.slots_taken = lane.working = 1
        return
    if not lane.working:
        lane.busy_since = span.start
    span.slot = min((~taken & (taken + 1)).bit_length(), MAX_SLOTS) - 1
    lane.slots_taken = taken | 1 << span.slot
    lane.working += 1
    lane.most = max(lane.most, lane.working)
    lane.slots = max(lane.slots, span.slot + 1)


def end(lane: Lane, span: Span, event: Event, outcome: Outcome) -> None:
    """Let a lease end, and the work on it, if there was any."""
    at, lent = event.ended or event.at, span.lent
    # What a worker tells is in whole milliseconds, and could seem to be before the loan.
    span.end = at = at if at > lent else lent
    if event.began:
        span.start = min(max(event.began, lent), at)
    span.outcome = outcome
    span.reason = event.reason
    if span.orphaned:
        _free(lane, span.slot)
        return
    if span.slot == WAITS:
        if outcome in _WORKED and lane.working and event.lease_id in lane.waiting:
            return  # one before it has ended, too, and that will be told: this gets its row
        lane.waiting.pop(event.lease_id, None)
        if outcome not in _WORKED:
            return
        if not event.began:
            span.start = min(max(lent, lane.free_since), at)
        begin(lane, span)
    slot = span.slot
    if lane.waiting or lane.presumed:
        slot, at = _hand_over(lane, slot, at, outcome)
        if slot == WAITS:
            return
    lane.working -= 1
    if not lane.working:
        lane.busy_seconds += at - lane.busy_since
    _free(lane, slot)


def _free(lane: Lane, slot: int) -> None:
    """Give a row of a lane back; several may share the last."""
    if not lane.held:
        lane.slots_taken = 0
    elif slot != WAITS and (slot < MAX_SLOTS - 1 or not lane.working):
        lane.slots_taken &= ~(1 << slot)


def cut_off(lane: Lane, at: float) -> None:
    """Let a worker's process end: what it holds stays lent, but nobody works on it."""
    for span in lane.held.values():
        span.orphaned = span.orphaned or max(at, span.lent)
    if lane.working:
        lane.busy_seconds += max(0.0, at - lane.busy_since)
    lane.working = 0
    lane.waiting.clear()
    lane.presumed.clear()


def revive(lane: Lane, span: Span, at: float) -> None:
    """Take back that the process of a lease has ended, since it was heard of again."""
    span.orphaned = 0.0
    if span.slot == WAITS:
        lane.waiting[span.lease_id] = span
        return
    if not lane.working:
        lane.busy_since = at
    lane.working += 1


def _hand_over(lane: Lane, slot: int, at: float, outcome: Outcome) -> tuple[int, float]:
    """Give a row to the lease that waits longest, if the worker goes on.

    A worker whose lease ran out or was given back ends, or is cut off: nothing tells that it goes
    on. A failure is told at once, and completions later: so what was begun after one may turn out
    to have begun before, in the row of an item that had ended earlier.

    Returns:
        The row that is free then, or `WAITS` if none is, and since when.
    """
    waiting, failed = lane.waiting, outcome == "fail"
    if lane.presumed:
        lane.presumed = [s for s in lane.presumed if s.end is None and s.start > at]
        for span in lane.presumed:  # what was lent first has begun first
            span.slot, slot = slot, span.slot
            span.start, at, failed = max(at, span.lent), span.start, True
    while waiting and outcome in _WORKED:
        span = waiting.pop(next(iter(waiting)))
        span.slot = slot
        if span.end is None:
            span.start = max(at, span.lent)
            if failed:
                lane.presumed.append(span)
            return WAITS, at
        if span.start == span.lent:  # it has failed, which does not tell when it began
            span.start = min(max(at, span.lent), span.end)
        at, failed = max(at, span.end), True
    return slot, at
