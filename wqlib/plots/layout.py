"""Where everything in a picture goes: a `History` and a moment in, shapes and texts out.

Pure geometry, with no drawing in it. Along the time axis, numbers are seconds since the
run began; across it, pixels from the top of the figure (one pixel is 1/100 inch). Texts
are placed in pixels. The size of a picture depends on how many lanes it is made for and on
nothing that happens in the run, so nothing jumps while it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from ..history import History
from ..history.spans import MAX_SLOTS, WAITS, Lane, PodState, Span, pod_states
from ..history.timeaxis import TimeAxis
from . import lanes
from .bars import CODE, EndedBars, Floats, Numbers, merge_narrow, waits
from .lanes import BAND, LaneBox
from .lettering import Text

MOST_CURVES = 200
MARK_KINDS: tuple[PodState, ...] = get_args(PodState)
MARK_ROOM = 12.0  # pixels from a mark to the next: two moments are two marks, however close
_START_ROOM = 17.0  # to the mark of a start, which lies left of its moment

_RENEWAL, _LATE_RENEWAL, _DEADLINE = range(3)


@dataclass
class TimelineLayout:
    """All shapes of the lanes.

    Attributes:
        axis: The time.
        boxes: The lanes that are shown, from the top.
        bars: By outcome (and "orphan"): rows of start, end, top, bottom. What a lease waits in
            its worker is a thin bar under the others.
        rails: Life lines of the pods: rows of start, end, y.
        renewals: Rows of moment, top, bottom; on bars that are not hatched.
        late_renewals: The same of bars that are.
        deadlines: The same, of the leases that run or expired.
        fuses: Rows of now, deadline, y.
        curves: Handovers: rows of lost end, its y, next start, its y.
        marks: By kind of `MARK_KINDS`: rows of moment, y.
        texts: Names, labels and numbers.
        hidden: Lanes for which there was no room.
    """

    axis: TimeAxis
    boxes: list[LaneBox]
    bars: dict[str, Floats]
    rails: Floats
    renewals: Floats
    late_renewals: Floats
    deadlines: Floats
    fuses: Floats
    curves: Floats
    marks: dict[str, Floats]
    texts: list[Text]
    hidden: int


def timeline(
    history: History,
    axis: TimeAxis,
    *,
    top: float,
    height: float,
    ended: EndedBars | None = None,
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
    boxes, texts, hidden = lanes.lane_boxes(history.lanes.values(), top, height)
    if hidden:
        more = f"and {hidden:,} more pods, not drawn"
        texts.append(Text(axis.x1 - 8, top + BAND / 2, more, "dim", "right"))
    for box in boxes:
        texts += lanes.name_label(box)
    marks = {box.lane.worker: _marks(box, axis) for box in boxes}
    clear = {worker: [at for _, at in some] for worker, some in marks.items()}
    texts += lanes.bar_labels(boxes, axis, clear) + lanes.number_labels(boxes, axis, top)
    texts += lanes.progress_labels(boxes, axis)
    running = [(box, span) for box in boxes for span in _running(box.lane)]
    rows, lane_of = (ended or EndedBars()).rows([box.lane for box in boxes], axis)
    bars = np.concatenate(
        [
            _across(boxes, *merge_narrow(rows, lane_of, axis)),
            _waits(boxes, running, rows, lane_of, axis),
            *(_running_bar(box, span, axis) for box, span in running),
        ]
    )
    ticks = _array([row for box in boxes for row in _ticks(box, axis)], 4)
    places = [(kind, at, box.middle) for box in boxes for kind, at in marks[box.lane.worker]]
    return TimelineLayout(
        axis,
        boxes,
        bars={kind: bars[bars[:, 4] == code, :4] for kind, code in CODE.items()},
        rails=_array([row for box in boxes for row in _rail(box, axis)], 3),
        renewals=ticks[ticks[:, 3] == _RENEWAL, :3],
        late_renewals=ticks[ticks[:, 3] == _LATE_RENEWAL, :3],
        deadlines=ticks[ticks[:, 3] == _DEADLINE, :3],
        fuses=_array([row for box, span in running for row in _fuse(box, span, axis)], 3),
        curves=_curves(history, boxes, axis),
        marks={kind: _array([m[1:] for m in places if m[0] == kind], 2) for kind in MARK_KINDS},
        texts=texts,
        hidden=hidden,
    )


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


def _running(lane: Lane) -> list[Span]:
    """Return what a worker holds: what it works on, and one of each batch that waits in it."""
    working = [span for span in lane.held.values() if span.slot != WAITS]
    if len(working) == len(lane.held):
        return working
    waiting = {(s.lent, s.deadline): s for s in lane.held.values() if s.slot == WAITS}
    return working + list(waiting.values())


def _waits(
    boxes: list[LaneBox],
    running: list[tuple[LaneBox, Span]],
    rows: Floats,
    lane_of: Numbers,
    axis: TimeAxis,
) -> Floats:
    """Return when leases waited in living workers, where there is room to see it, as `_across`."""
    places = {box.lane.worker: number for number, box in enumerate(boxes)}
    held = [
        (places[box.lane.worker], until, span.lent - axis.zero_at)
        for box, span in running
        if (until := _moments(box.lane, span, axis)[span.slot == WAITS]) > span.lent - axis.zero_at
    ]
    more = np.zeros((len(held), 5))
    numbers, more[:, 0], more[:, 4] = _array(held, 3).T
    rows = np.concatenate([rows, more])
    lane_of = np.append(lane_of, numbers.astype(np.int64))
    roomy = np.array([box.height >= 20 for box in boxes], dtype=bool)[lane_of]
    return _across(boxes, *waits(rows[roomy], lane_of[roomy], axis))


def _across(boxes: list[LaneBox], rows: Floats, lane_of: Numbers) -> Floats:
    """Return rows of leases, and the position of each one's lane, as rows of start, end, top,
    bottom, code of the outcome.
    """
    slots = [[box.slot(number) for number in (*range(MAX_SLOTS), WAITS)] for box in boxes]
    edges = np.array(slots, dtype=np.float64).reshape(-1, MAX_SLOTS + 1, 2)
    across = edges[lane_of, rows[:, 2].astype(np.int64)] if len(rows) else np.empty((0, 2))
    return np.column_stack([rows[:, :2], across, rows[:, 3]])


def _running_bar(box: LaneBox, span: Span, axis: TimeAxis) -> Floats:
    """Return a running lease as such rows: full as long as its pod lived, hollow after that, and
    hatched as expired once its deadline has passed, even if nobody noticed yet.
    """
    top, bottom = box.slot(span.slot)
    start, orphaned, overdue = _moments(box.lane, span, axis)
    parts = [
        (start, orphaned, "running"),
        (orphaned, overdue, "orphan"),
        (max(overdue, start), axis.now, "expire"),
    ][span.slot == WAITS :]  # how it waits in a living worker is drawn by `_waits`
    least = 1.0 / axis.scale
    return _array(
        [
            (begin, max(end, begin + least), top, bottom, CODE[kind])
            for begin, end, kind in parts
            if end > begin or (kind == "running" and span.start - axis.zero_at >= axis.now - least)
        ],
        5,
    )


def _moments(lane: Lane, span: Span, axis: TimeAxis) -> tuple[float, float, float]:
    """Return when a running lease began, from when its worker is gone, and from when it is overdue;
    not before the first moment shown, nor after now.
    """
    start = max(span.start - axis.zero_at, axis.start)
    deadline = span.deadline - axis.zero_at
    ended = span.orphaned or lane.ended_at
    orphaned = min(axis.now, deadline if ended is None else ended - axis.zero_at)
    overdue = min(axis.now, max(deadline, start)) if span.deadline else axis.now
    return start, max(start, min(orphaned, overdue)), overdue


def _fuse(box: LaneBox, span: Span, axis: TimeAxis) -> list[tuple[float, float, float]]:
    deadline = span.deadline - axis.zero_at
    if span.slot == WAITS or not axis.live or deadline <= axis.now:
        return []
    top, bottom = box.slot(span.slot)
    return [(axis.now, min(deadline, axis.end), (top + bottom) / 2)]


def _ticks(box: LaneBox, axis: TimeAxis) -> list[tuple[float, float, float, int]]:
    """Return the renewals and deadlines as rows of moment, top, bottom, kind."""
    out: list[tuple[float, float, float, int]] = []
    roomy = box.height >= 11
    for span in box.lane.spans[-400:]:
        outcome = span.outcome
        if outcome == "complete" and not (roomy and span.renewals):
            continue
        end = axis.now if span.end is None else span.end - axis.zero_at
        start = span.start - axis.zero_at
        if span.slot == WAITS or end < axis.start:
            continue
        top, bottom = box.slot(span.slot)
        deadline = span.deadline - axis.zero_at
        if outcome in ("running", "expire") and axis.start <= deadline <= axis.end:
            beyond = 2.0 if roomy else 0.0
            out.append((deadline, top - beyond, bottom + beyond, _DEADLINE))
        if roomy and span.renewals and (end - start) * axis.scale > 20:
            kind = _RENEWAL if outcome in ("complete", "running") else _LATE_RENEWAL
            moments = (at - axis.zero_at for at in span.renewals)
            upto = top + (bottom - top) * 0.35
            out += [(at, top, upto, kind) for at in moments if at >= max(axis.start, start)]
    return out


def _marks(box: LaneBox, axis: TimeAxis) -> list[tuple[PodState, float]]:
    out: list[tuple[PodState, float]] = []
    for kind, when in pod_states(box.lane):
        at = when - axis.zero_at
        room = (_START_ROOM if kind == "running" else MARK_ROOM) / axis.scale
        is_start = kind == "running" and out and out[-1][0] == "pending"
        if is_start and at - out[-1][1] < room:
            out.pop()  # it started at once: there is no room to say what came before
        while out and out[-1][1] - at > room:
            out.pop()  # crash follows crash: there is no room for all of them
        out.append((kind, max(at, out[-1][1] + room) if out else at))
    return [(kind, at) for kind, at in out if axis.start <= at <= axis.end]


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
