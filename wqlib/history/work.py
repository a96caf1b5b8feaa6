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
    if lane.working:
        taken = lane.slots_taken
        span.slot = min((~taken & (taken + 1)).bit_length(), MAX_SLOTS) - 1
    else:
        span.slot, lane.busy_since = 0, span.start
    lane.slots_taken |= 1 << span.slot
    lane.working += 1
    if lane.working > lane.most:
        lane.most = lane.working


def end(lane: Lane, span: Span, event: Event, outcome: Outcome) -> None:
    """Let a lease end, and the work on it, if there was any."""
    # What a worker tells is in whole milliseconds, and could seem to be before the loan.
    span.end = ended = max(event.ended or event.at, span.lent)
    if event.began:
        span.start = min(max(event.began, span.lent), ended)
    span.outcome = outcome
    span.reason = event.reason
    worked = outcome in _WORKED
    if span.slot == WAITS:
        if worked and lane.working and event.lease_id in lane.waiting:
            return  # one before it has ended, too, and that will be told: this gets its row
        lane.waiting.pop(event.lease_id, None)
        if not worked:
            return
        if not event.began:
            span.start = min(max(span.lent, lane.free_since), ended)
        begin(lane, span)
    _leave(lane, span.slot, ended, outcome)


def _leave(lane: Lane, slot: int, at: float, outcome: Outcome) -> None:
    """Give a row to the lease that waits longest, if the worker goes on; or else free it.

    A worker whose lease ran out or was given back ends, or is cut off: nothing tells that it goes
    on. A failure is told at once, and completions later: so what was begun after one may turn out
    to have begun before, in the row of an item that had ended earlier.
    """
    waiting, goes_on, failed = lane.waiting, outcome in _WORKED, outcome == "fail"
    if lane.presumed:
        lane.presumed = [s for s in lane.presumed if s.end is None and s.start > at]
        for span in lane.presumed:  # what was lent first has begun first
            span.slot, slot = slot, span.slot
            span.start, at, failed = max(at, span.lent), span.start, True
    while waiting and goes_on:
        span = waiting.pop(next(iter(waiting)))
        span.slot = slot
        if span.end is None:
            span.start = max(at, span.lent)
            if failed:
                lane.presumed.append(span)
            return
        if span.start == span.lent:  # it has failed, which does not tell when it began
            span.start = min(max(at, span.lent), span.end)
        at, failed = max(at, span.end), True
    lane.working -= 1
    if not lane.working:
        lane.slots_taken = 0
        lane.busy_seconds += at - lane.busy_since
    elif slot < MAX_SLOTS - 1:
        lane.slots_taken &= ~(1 << slot)
