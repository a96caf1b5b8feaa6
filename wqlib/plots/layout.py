"""Where everything in a picture goes: a `History` and a moment in, shapes and texts out.

Pure geometry, with no drawing in it. Along the time axis, numbers are seconds since the
run began; across it, pixels from the top of the figure (one pixel is 1/100 inch). Texts
are placed in pixels. The size of a picture depends on how many lanes it is made for and on
nothing that happens in the run, so nothing jumps while it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..history import History
from ..history.spans import ENDS, MAX_SLOTS, Span, pod_states
from ..history.timeaxis import TimeAxis
from . import lanes
from .bars import CODE, Ended, Floats, joined
from .lanes import BAND, LaneBox
from .lettering import Text

MOST_CURVES = 200


@dataclass
class TimelineLayout:
    """All shapes of the lanes.

    Attributes:
        axis: The time.
        boxes: The lanes that are shown, from the top.
        bars: By outcome (and "orphan"): rows of start, end, top, bottom.
        rails: Life lines of the pods: rows of start, end, y.
        renewals: Rows of moment, top, bottom; on bars that are not hatched.
        late_renewals: The same of bars that are.
        fuses: Rows of now, deadline, y.
        curves: Handovers: rows of lost end, its y, next start, its y.
        marks: By kind of `MARK_KINDS`: rows of moment, y.
        texts: Names, labels and numbers.
        hidden: Lanes for which there was no room.
    """

    axis: TimeAxis
    boxes: list[LaneBox] = field(default_factory=list)
    bars: dict[str, Floats] = field(default_factory=dict)
    rails: Floats = field(default_factory=lambda: np.empty((0, 3)))
    renewals: Floats = field(default_factory=lambda: np.empty((0, 3)))
    late_renewals: Floats = field(default_factory=lambda: np.empty((0, 3)))
    fuses: Floats = field(default_factory=lambda: np.empty((0, 3)))
    curves: Floats = field(default_factory=lambda: np.empty((0, 4)))
    marks: dict[str, Floats] = field(default_factory=dict)
    texts: list[Text] = field(default_factory=list)
    hidden: int = 0


MARK_KINDS = ("pending", "running", "terminating", *ENDS)


def timeline(
    history: History,
    axis: TimeAxis,
    *,
    top: float,
    height: float,
    ended: Ended | None = None,
) -> TimelineLayout:
    """Lay out the lanes of a run.

    Args:
        history: The run.
        axis: The time to show, from `time_axis`.
        top: Upper edge of the lanes, in pixels.
        height: Height of the lanes, in pixels; it is kept, whatever happens in the run.
        ended: What is known from the last frame of the leases that ended; None: nothing.

    Returns:
        The shapes and texts.
    """
    out = TimelineLayout(axis)
    out.boxes, titles, out.hidden = lanes.lane_boxes(history.lanes.values(), top, height)
    out.texts += titles
    if out.hidden:
        more = f"and {out.hidden:,} more pods, not drawn"
        out.texts.append(Text(axis.x1 - 8, top + BAND / 2, more, "dim", "right"))
    rows = [_ended_bars(out.boxes, axis, ended or Ended())]
    rails, renewals, fuses = [], [], []
    marks: dict[str, list[tuple[float, float]]] = {kind: [] for kind in MARK_KINDS}
    for box in out.boxes:
        out.texts += lanes.names(box)
        rails += _rail(box, axis)
        for span in box.lane.held.values():
            rows.append(_running_bar(box, span, axis))
            fuses += _fuse(box, span, axis)
        renewals += _renewals(box, axis)
        for kind, at in _marks(box, axis):
            marks[kind].append((at, box.middle))
    table = np.concatenate(rows)
    out.bars = {kind: table[table[:, 4] == code, :4] for kind, code in CODE.items()}
    out.rails = _array(rails, 3)
    out.renewals = _array([row[1:] for row in renewals if not row[0]], 3)
    out.late_renewals = _array([row[1:] for row in renewals if row[0]], 3)
    out.fuses = _array(fuses, 3)
    out.marks = {kind: _array(places, 2) for kind, places in marks.items()}
    out.curves = _curves(history, out.boxes, axis)
    out.texts += lanes.bar_labels(out.boxes, axis)
    out.texts += lanes.numbers(out.boxes, axis, top)
    return out


def _array(rows: list[Any], width: int) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(-1, width)


def _rail(box: LaneBox, axis: TimeAxis) -> list[tuple[float, float, float]]:
    lane, ended = box.lane, box.lane.ended_at
    start = max(lane.first_at - axis.zero_at, axis.start)
    if ended is not None:
        end = ended - axis.zero_at
    elif lane.alive or lane.held or (not lane.state and axis.live):
        end = axis.now
    else:
        end = lane.last_at - axis.zero_at
    return [(start, end, box.middle)] if end > start else []


def _ended_bars(boxes: list[LaneBox], axis: TimeAxis, ended: Ended) -> Floats:
    """Bars of the leases that ended, a row each: start, end, top, bottom, code of the outcome."""
    rows, lane_of = joined(*ended.rows([box.lane for box in boxes], axis), axis)
    slots = [[box.slot(number) for number in range(MAX_SLOTS)] for box in boxes]
    edges = np.array(slots, dtype=np.float64).reshape(-1, MAX_SLOTS, 2)
    across = edges[lane_of, rows[:, 2].astype(np.int64)] if len(rows) else np.empty((0, 2))
    return np.column_stack([rows[:, :2], across, rows[:, 3]])


def _running_bar(box: LaneBox, span: Span, axis: TimeAxis) -> Floats:
    """A running lease: full as long as its pod lived, hollow after that, and hatched as
    expired once its deadline has passed, even if nobody noticed yet."""
    top, bottom = box.slot(span.slot)
    start = max(span.start - axis.zero_at, axis.start)
    deadline = span.deadline - axis.zero_at
    ended = box.lane.ended_at
    orphaned = min(axis.now, deadline if ended is None else ended - axis.zero_at)
    overdue = min(axis.now, max(deadline, start)) if span.deadline else axis.now
    orphaned = max(start, min(orphaned, overdue))
    parts = [
        (start, orphaned, "running"),
        (orphaned, overdue, "orphan"),
        (max(overdue, start), axis.now, "expire"),
    ]
    least = 1.0 / axis.scale
    return _array(
        [
            (begin, max(end, begin + least), top, bottom, CODE[kind])
            for begin, end, kind in parts
            if end > begin or (kind == "running" and span.start - axis.zero_at >= axis.now - least)
        ],
        5,
    )


def _fuse(box: LaneBox, span: Span, axis: TimeAxis) -> list[tuple[float, float, float]]:
    deadline = span.deadline - axis.zero_at
    if not axis.live or deadline <= axis.now:
        return []
    top, bottom = box.slot(span.slot)
    return [(axis.now, min(deadline, axis.end), (top + bottom) / 2)]


def _renewals(box: LaneBox, axis: TimeAxis) -> list[tuple[bool, float, float, float]]:
    """Rows of whether the bar is hatched, moment, top, bottom."""
    out: list[tuple[bool, float, float, float]] = []
    if box.height < 11:
        return out
    for span in box.lane.spans[-400:]:
        end = axis.now if span.end is None else span.end - axis.zero_at
        if span.renewals and (end - span.start + axis.zero_at) * axis.scale > 20:
            top, bottom = box.slot(span.slot)
            hatched = span.outcome not in ("complete", "running")
            out += [
                (hatched, at - axis.zero_at, top, top + (bottom - top) * 0.35)
                for at in span.renewals
                if at - axis.zero_at >= axis.start
            ]
    return out


def _marks(box: LaneBox, axis: TimeAxis) -> list[tuple[str, float]]:
    out: list[tuple[str, float]] = []
    for kind, when in pod_states(box.lane):
        at = when - axis.zero_at
        # It started at once, or was killed at once: there is no room to say what came before.
        follows = {"running": "pending", "killed": "terminating"}.get(kind)
        if out and out[-1][0] == follows and (at - out[-1][1]) * axis.scale < 14:
            out.pop()
        if axis.start <= at <= axis.end:
            out.append((kind, at))
    return out


def _curves(history: History, boxes: list[LaneBox], axis: TimeAxis) -> Floats:
    places = {box.lane.worker: box for box in boxes}
    rows = []
    for lost, found in list(history.handovers)[-MOST_CURVES:]:
        here, there = places.get(lost.worker), places.get(found.worker)
        end = (lost.end or 0.0) - axis.zero_at
        start = found.start - axis.zero_at
        if here is there and (start - end) * axis.scale < 24:
            continue  # the bars stand side by side: a curve would say nothing more
        if here and there and end >= axis.start and start <= axis.end:
            rows.append(
                (end, sum(here.slot(lost.slot)) / 2, start, sum(there.slot(found.slot)) / 2)
            )
    return _array(rows, 4)
