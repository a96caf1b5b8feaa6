"""The bars of the leases that ended: all lanes at once, in arrays. Pure.

A run has many leases that will never change again. So their times are kept in arrays, and
each frame reads only the leases that are new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ..history.spans import WAITS, Lane, Span
from ..history.timeaxis import TimeAxis

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

BAR_KINDS = ("complete", "release", "fail", "expire", "dead", "running", "orphan")
CODE = {kind: code for code, kind in enumerate(BAR_KINDS)}
_UNSETTLED = 16  # the newest spans of a lane, which may still run or turn out dead
_LEAST_WAIT = 6.0  # pixels: a shorter wait in a worker is not drawn
_TIMES = attrgetter("start", "end", "slot")


@dataclass(slots=True)
class _Settled:
    """The spans of a lane that will not change again, as rows of start, end, slot, code, lent;
    and the latest end up to each of them, which tells which of them reach into the time shown.
    """

    spans: list[Span] = field(default_factory=list)
    number: int = 0
    rows: Floats = field(default_factory=lambda: np.empty((0, 5)))
    ends: Floats = field(default_factory=lambda: np.empty(0))

    def update(self, spans: list[Span]) -> None:
        """Add what has settled since the last time; `spans` only grew, or is a new list."""
        if self.spans is not spans or self.number > len(spans):
            self.spans, self.number = spans, 0
        upto = len(spans) - _UNSETTLED
        while upto > self.number and any(span.end is None for span in spans[self.number : upto]):
            upto = self.number + (upto - self.number) // 2
        if upto < self.number + _UNSETTLED:
            return
        if upto > len(self.rows):
            self.rows, self.ends = (
                np.concatenate([known[: self.number], np.empty_like(known, shape=shape)])
                for known, shape in ((self.rows, (2 * upto, 5)), (self.ends, (2 * upto,)))
            )
        fresh = _rows(spans[self.number : upto])
        self.rows[self.number : upto] = fresh
        before = self.ends[self.number - 1] if self.number else 0.0
        self.ends[self.number : upto] = np.maximum.accumulate(np.maximum(fresh[:, 1], before))
        self.number = upto


def _rows(spans: Sequence[Span]) -> Floats:
    """Return spans that ended as rows of start, end, slot, code, lent."""
    rows = [(*_TIMES(span), CODE[span.outcome], span.lent) for span in spans]
    return np.array(rows).reshape(-1, 5)


class EndedBars:
    """The leases that ended, lane by lane, kept from frame to frame."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Settled] = {}

    def rows(self, lanes: Sequence[Lane], axis: TimeAxis) -> tuple[Floats, Numbers]:
        """Return those that reach into the time shown.

        Returns:
            Rows of start, end (in seconds since the run began), slot, code, lent; and the
            position of each one's lane in `lanes`. They are in the order of the lanes, and in
            each in that of the loans.
        """
        parts: list[Floats] = [np.empty((0, 5))]
        places: list[int] = [0]
        for lane in lanes:
            settled = self._lanes.setdefault(lane.worker, _Settled())
            settled.update(lane.spans)
            number = settled.number
            first = int(np.searchsorted(settled.ends[:number], axis.zero_at + axis.start))
            fresh = [span for span in lane.spans[number:] if span.end is not None]
            parts += [settled.rows[first:number], _rows(fresh)]
            places += [len(parts[-2]), len(parts[-1])]
        rows = np.concatenate(parts)
        rows[:, [0, 1, 4]] -= axis.zero_at
        numbers = np.concatenate([[0], np.repeat(np.arange(len(lanes)), 2)])
        lane_of = np.repeat(numbers, places).astype(np.int64)
        seen = (rows[:, 1] >= axis.start) & (rows[:, 0] <= axis.end)
        return rows[seen], lane_of[seen]


def merge_narrow(rows: Floats, lane_of: Numbers, axis: TimeAxis) -> tuple[Floats, Numbers]:
    """Make one bar of neighbours too narrow to tell apart, and leave a gap after wide ones.

    Takes and returns rows and positions of lanes as `EndedBars.rows` does.
    """
    slot = rows[:, 2].astype(np.int64) - WAITS
    group = (lane_of * 16 + slot) * 16 + rows[:, 3].astype(np.int64)
    order = np.argsort(group, kind="stable")
    rows, group = rows[order], group[order]
    starts, ends, scale = rows[:, 0], rows[:, 1], axis.scale
    narrow = (ends - starts) * scale < 3.0
    apart = np.ones(len(rows), dtype=bool)
    apart[1:] = (
        (group[1:] != group[:-1])
        | ~narrow[1:]
        | ~narrow[:-1]
        | ((starts[1:] - ends[:-1]) * scale >= 1.0)
    )
    first = np.flatnonzero(apart)
    if not len(first):
        return rows, group
    out = rows[first]
    out[:, 1] = np.maximum.reduceat(ends, first)
    wide = (out[:, 1] - out[:, 0]) * scale > 4.0
    out[:, 1] = np.maximum(out[:, 1] - np.where(wide, 1.0, 0.0) / scale, out[:, 0] + 1.0 / scale)
    out[:, 0] = np.maximum(out[:, 0], axis.start)
    out[:, 1] = np.minimum(out[:, 1], axis.end)
    return out, group[first] // 256


def waits(rows: Floats, lane_of: Numbers, axis: TimeAxis) -> tuple[Floats, Numbers]:
    """Return when leases waited in their workers until the work on them began, lane by lane:
    where one waited for long enough to be seen. Takes and returns what `EndedBars.rows` does.
    """
    seen = ((rows[:, 0] - rows[:, 4]) * axis.scale >= _LEAST_WAIT) & (rows[:, 0] > axis.start)
    order = np.flatnonzero(seen)[np.lexsort((rows[seen, 4], lane_of[seen]))]
    rows, lane_of, starts, ends = rows[order], lane_of[order], rows[order, 4], rows[order, 0]
    apart = lane_of * (ends.max(initial=0.0) - starts.min(initial=0.0) + 1.0)  # lane from lane
    until = np.maximum.accumulate(ends + apart)
    first = np.flatnonzero(np.append(True, (starts + apart)[1:] > until[:-1])[: len(rows)])
    out = rows[first]
    out[:, 0] = np.maximum(starts[first], axis.start)
    out[:, 1] = np.maximum.reduceat(ends, first) if len(first) else ends
    out[:, 2], out[:, 3] = WAITS, CODE["running"]
    return out, lane_of[first]
