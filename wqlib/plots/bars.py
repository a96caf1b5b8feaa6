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

from ..history.spans import Lane, Span
from ..history.timeaxis import TimeAxis

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

BAR_KINDS = ("complete", "release", "fail", "expire", "dead", "running", "orphan")
CODE = {kind: code for code, kind in enumerate(BAR_KINDS)}
_UNSETTLED = 16  # the newest spans of a lane, which may still run or turn out dead
_REACH = 64  # how many spans that began before the time shown may reach into it
_TIMES = attrgetter("start", "end", "slot")


@dataclass(slots=True)
class _Settled:
    """The spans of a lane that will not change again, as rows of start, end, slot, code."""

    spans: list[Span] = field(default_factory=list)
    number: int = 0
    rows: Floats = field(default_factory=lambda: np.empty((0, 4)))

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
            wider = np.empty((2 * upto, 4))
            wider[: self.number] = self.rows[: self.number]
            self.rows = wider
        self.rows[self.number : upto] = _rows(spans[self.number : upto])
        self.number = upto


def _rows(spans: Sequence[Span]) -> Floats:
    """Return spans that ended as rows of start, end, slot, code."""
    return np.array([(*_TIMES(span), CODE[span.outcome]) for span in spans]).reshape(-1, 4)


class EndedBars:
    """The leases that ended, lane by lane, kept from frame to frame."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Settled] = {}

    def rows(self, lanes: Sequence[Lane], axis: TimeAxis) -> tuple[Floats, Numbers]:
        """Return those that reach into the time shown.

        Returns:
            Rows of start, end (in seconds since the run began), slot, code; and the position
            of each one's lane in `lanes`.
        """
        parts: list[Floats] = [np.empty((0, 4))]
        places: list[int] = [0]
        for lane in lanes:
            settled = self._lanes.setdefault(lane.worker, _Settled())
            settled.update(lane.spans)
            known = settled.rows[: settled.number]
            first = int(np.searchsorted(known[:, 0], axis.zero_at + axis.start)) - _REACH
            fresh = [span for span in lane.spans[settled.number :] if span.end is not None]
            parts += [known[max(0, first) :], _rows(fresh)]
            places += [len(parts[-2]), len(parts[-1])]
        rows = np.concatenate(parts)
        rows[:, :2] -= axis.zero_at
        numbers = np.concatenate([[0], np.repeat(np.arange(len(lanes)), 2)])
        lane_of = np.repeat(numbers, places).astype(np.int64)
        seen = (rows[:, 1] >= axis.start) & (rows[:, 0] <= axis.end)
        return rows[seen], lane_of[seen]


def merge_narrow(rows: Floats, lane_of: Numbers, axis: TimeAxis) -> tuple[Floats, Numbers]:
    """Make one bar of neighbours too narrow to tell apart, and leave a gap after wide ones.

    Takes and returns rows and positions of lanes as `EndedBars.rows` does.
    """
    group = (lane_of * 16 + rows[:, 2].astype(np.int64)) * 16 + rows[:, 3].astype(np.int64)
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
