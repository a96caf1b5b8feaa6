"""Where everything in a picture goes: a `History` and a moment in, shapes and texts out.

Pure geometry, with no drawing in it. Along the time axis, numbers are seconds since the
run began; across it, pixels from the top of the figure (one pixel is 1/100 inch). Texts
are placed in pixels. The size of a picture depends on how many lanes it is made for and on
nothing that happens in the run, so nothing jumps while it goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from wqlib.history import History, words
from wqlib.history.spans import MAX_SLOTS, Lane, Span
from wqlib.plots.bars import BAR_KINDS, CODE, Ended, Floats, joined
from wqlib.plots.timeaxis import TimeAxis

__all__ = ["BAR_KINDS", "Floats"]

LEFT = 128.0  # room for the names of the lanes
RIGHT = 120.0  # room for the numbers
DONE_COLUMN = 46.0  # right edges of the numbers, from where the time axis ends
LEASE_COLUMN = 108.0
BAND = 18.0  # the line with a Job's name
PITCH = 28.0  # from lane to lane
LEAST_PITCH = 7.0
TEXT_SIZE = 8.0
MOST_LABELS = 80
MOST_CURVES = 200

Role = Literal["name", "dim", "bar", "job"]
Measure = Callable[[str], float]


class Text(NamedTuple):
    """A text at a place in the figure, in pixels from its top left corner."""

    x: float
    y: float
    text: str
    role: Role = "dim"
    align: Literal["left", "center", "right"] = "left"


@dataclass(frozen=True)
class LaneBox:
    """Where a lane is: `top` and `height` in pixels."""

    lane: Lane
    top: float
    height: float
    stripe: bool

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    def slot(self, number: int) -> tuple[float, float]:
        """Top and bottom of the bars in one of the lane's slots."""
        margin = 5.0 if self.height >= 20 else min(2.0, self.height / 8)
        each = (self.height - 2 * margin) / self.lane.slots
        gap = min(1.0, each / 4) if self.lane.slots > 1 else 0.0
        top = self.top + margin + each * number
        return top, top + each - gap


@dataclass
class TimelineLayout:
    """All shapes of the lanes.

    Attributes:
        axis: The time.
        boxes: The lanes that are shown, from the top.
        bars: By outcome (and "orphan"): rows of start, end, top, bottom.
        rails: Life lines of the pods: rows of start, end, y.
        renewals: Rows of moment, top, bottom.
        fuses: Rows of now, deadline, y.
        curves: Handovers: rows of lost end, its y, next start, its y.
        marks: By kind: rows of moment, y.
        texts: Names, labels and numbers.
        hidden: Lanes for which there was no room.
    """

    axis: TimeAxis
    boxes: list[LaneBox] = field(default_factory=list)
    bars: dict[str, Floats] = field(default_factory=dict)
    rails: Floats = field(default_factory=lambda: np.empty((0, 3)))
    renewals: Floats = field(default_factory=lambda: np.empty((0, 3)))
    fuses: Floats = field(default_factory=lambda: np.empty((0, 3)))
    curves: Floats = field(default_factory=lambda: np.empty((0, 4)))
    marks: dict[str, Floats] = field(default_factory=dict)
    texts: list[Text] = field(default_factory=list)
    hidden: int = 0


MARK_KINDS = ("pending", "running", "terminating", "succeeded", "failed")


def about_width(text: str) -> float:
    """About how wide a text is, in pixels; a little too wide rather than too narrow."""
    em = TEXT_SIZE / 72 * 100
    narrow = sum(c in "iljtfrI.,:;|!'() -" for c in text)
    wide = sum(c in "mwMW@%—" or ord(c) > 0x2E80 for c in text)
    return em * (0.6 * (len(text) - narrow - wide) + 0.38 * narrow + 1.0 * wide)


def lane_boxes(
    lanes: Iterable[Lane],
    top: float,
    height: float,
    pitch: float,
    measure: Measure = about_width,
) -> tuple[list[LaneBox], list[Text], int]:
    """Stack the lanes, grouped by Job, into a given height.

    Args:
        lanes: The lanes, in the order of their first appearance.
        top: Upper edge, in pixels.
        height: Height of all, in pixels.
        pitch: Height of a lane, in pixels; less if they would not fit.
        measure: Says how wide a text is, in pixels.

    Returns:
        A box for each lane; the names of the Jobs; how many lanes found no room.
    """
    groups: dict[str, list[Lane]] = {}
    for lane in lanes:
        groups.setdefault(lane.job, []).append(lane)
    room = height - BAND * max(1, len(groups))
    groups, hidden = _fitting(groups, max(1, int(room // LEAST_PITCH)))
    number = sum(map(len, groups.values()))
    pitch = min(pitch, room / max(1, number))
    boxes: list[LaneBox] = []
    titles: list[Text] = []
    y = top
    for job, members in groups.items():
        titles.append(Text(12.0, y + BAND / 2, _clip(job or "workers", 4 * LEFT, measure), "job"))
        y += BAND
        for lane in members:
            boxes.append(LaneBox(lane, y, pitch, len(boxes) % 2 == 0))
            y += pitch
    return boxes, titles, hidden


def _fitting(groups: dict[str, list[Lane]], room: int) -> tuple[dict[str, list[Lane]], int]:
    everyone = [lane for members in groups.values() for lane in members]
    if len(everyone) <= room:
        return groups, 0
    # Those that live and those that did something last are worth the room.
    best = sorted(everyone, key=lambda lane: (bool(lane.held), lane.alive, lane.last_at))
    chosen = {id(lane) for lane in best[-room:]}
    kept = {
        job: [lane for lane in members if id(lane) in chosen] for job, members in groups.items()
    }
    return {job: members for job, members in kept.items() if members}, len(everyone) - room


def timeline(
    history: History,
    axis: TimeAxis,
    *,
    top: float,
    height: float,
    pitch: float = PITCH,
    measure: Measure | None = None,
    ended: Ended | None = None,
) -> TimelineLayout:
    """Lay out the lanes of a run.

    Args:
        history: The run.
        axis: The time to show, from `time_axis`.
        top: Upper edge of the lanes, in pixels.
        height: Height of the lanes, in pixels; it is kept, whatever happens in the run.
        pitch: Height of one lane, in pixels; less if they would not fit.
        measure: Says how wide a text is, in pixels; None for an estimate.
        ended: What is known from the last frame of the leases that ended; None: nothing.

    Returns:
        The shapes and texts.
    """
    measure = measure or about_width
    out = TimelineLayout(axis)
    lanes = history.lanes.values()
    out.boxes, titles, out.hidden = lane_boxes(lanes, top, height, pitch, measure)
    out.texts += titles
    if out.hidden:
        more = f"and {out.hidden:,} more pods, not drawn"
        out.texts.append(Text(axis.x1 - 8, top + BAND / 2, more, "dim", "right"))
    rows = [_ended_bars(out.boxes, axis, ended or Ended())]
    rails, renewals, fuses = [], [], []
    marks: dict[str, list[tuple[float, float]]] = {kind: [] for kind in MARK_KINDS}
    for box in out.boxes:
        out.texts += _names(box, measure)
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
    out.renewals = _array(renewals, 3)
    out.fuses = _array(fuses, 3)
    out.marks = {kind: _array(places, 2) for kind, places in marks.items()}
    out.curves = _curves(history, out.boxes, axis)
    out.texts += _bar_labels(out.boxes, axis, measure)
    out.texts += _numbers(out.boxes, axis, top)
    return out


def _array(rows: list[Any], width: int) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(-1, width)


def _names(box: LaneBox, measure: Measure) -> list[Text]:
    lane, height = box.lane, box.height
    if height < 11:
        return []
    (short,) = words.short_names([lane.worker], lane.job)
    role: Role = "name" if lane.alive or lane.held or not lane.state else "dim"
    return [Text(LEFT - 14, box.middle, _clip(short, LEFT - 24, measure), role, "right")]


def _rail(box: LaneBox, axis: TimeAxis) -> list[tuple[float, float, float]]:
    lane = box.lane
    start = max(lane.first_at - axis.zero_at, axis.start)
    if lane.alive or lane.held or (not lane.state and axis.live):
        end = axis.now
    else:
        end = lane.last_at - axis.zero_at
    exits = [mark.at for mark in lane.marks if mark.kind in ("succeeded", "failed", "deleted")]
    if exits and not lane.alive:
        end = exits[0] - axis.zero_at
    return [(start, end, box.middle)] if end > start else []


def _ended_bars(boxes: list[LaneBox], axis: TimeAxis, ended: Ended) -> Floats:
    """Bars of the leases that ended, a row each: start, end, top, bottom, code of the outcome."""
    lanes = [box.lane for box in boxes]
    rows, lane_of = joined(*ended.rows(lanes, axis), axis)
    slots = [[box.slot(number) for number in range(MAX_SLOTS)] for box in boxes]
    edges = np.array(slots, dtype=np.float64).reshape(-1, MAX_SLOTS, 2)
    across = edges[lane_of, rows[:, 2].astype(np.int64)] if len(rows) else np.empty((0, 2))
    return np.column_stack([rows[:, :2], across, rows[:, 3]])


def _exit_of(lane: Lane) -> float | None:
    """When the pod of a lane ended, if it did."""
    if not lane.state or lane.alive:
        return None
    return next(
        (mark.at for mark in lane.marks if mark.kind in ("succeeded", "failed", "deleted")), None
    )


def _running_bar(box: LaneBox, span: Span, axis: TimeAxis) -> Floats:
    """A running lease: full as long as its pod lived, hollow after that, and hatched as
    expired once its deadline has passed, even if nobody noticed yet."""
    top, bottom = box.slot(span.slot)
    start = max(span.start - axis.zero_at, axis.start)
    deadline = span.deadline - axis.zero_at
    ended = _exit_of(box.lane)
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


def _numbers(boxes: list[LaneBox], axis: TimeAxis, top: float) -> list[Text]:
    """What each pod has done, and the time that its most urgent lease still has."""
    done, lease = axis.x1 + DONE_COLUMN, axis.x1 + LEASE_COLUMN
    out = [Text(done, top + BAND / 2, "done", "dim", "right")]
    if axis.live:
        out.append(Text(lease, top + BAND / 2, "time left", "dim", "right"))
    for box in boxes:
        if box.height < 11:
            continue
        out.append(Text(done, box.middle, f"{box.lane.done:,}", "name", "right"))
        left = [s.deadline - axis.zero_at - axis.now for s in box.lane.held.values() if s.deadline]
        if left and axis.live:
            seconds = min(left)
            text = words.duration(math.ceil(seconds)) if seconds > 0 else "expired"
            out.append(Text(lease, box.middle, text, "name", "right"))
    return out


def _renewals(box: LaneBox, axis: TimeAxis) -> list[tuple[float, float, float]]:
    out: list[tuple[float, float, float]] = []
    if box.height < 11:
        return out
    for span in box.lane.spans[-400:]:
        end = axis.now if span.end is None else span.end - axis.zero_at
        if span.renewals and (end - span.start + axis.zero_at) * axis.scale > 20:
            top, bottom = box.slot(span.slot)
            out += [
                (at - axis.zero_at, top, top + (bottom - top) * 0.35)
                for at in span.renewals
                if at - axis.zero_at >= axis.start
            ]
    return out


def _marks(box: LaneBox, axis: TimeAxis) -> list[tuple[str, float]]:
    out: list[tuple[str, float]] = []
    over = False
    for mark in box.lane.marks:
        kind = "failed" if mark.kind == "deleted" else mark.kind
        if kind in ("succeeded", "failed"):
            if over:
                continue  # a pod that ended is deleted later: nothing new
            over = True
        at = mark.at - axis.zero_at
        if kind == "running" and out and (at - out[-1][1]) * axis.scale < 14:
            out.pop()  # it started at once: there is no room to say that it waited
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


def _bar_labels(boxes: list[LaneBox], axis: TimeAxis, measure: Measure) -> list[Text]:
    """Names of the items, newest first, where they fit into their bars."""
    out: list[Text] = []
    for box in boxes:
        if box.height / box.lane.slots < 13:
            continue
        for span in reversed(box.lane.spans[-200:]):
            if len(out) >= MOST_LABELS:
                return out
            end = axis.now if span.end is None else span.end - axis.zero_at
            if end < axis.start:
                break
            x0 = axis.px(max(span.start - axis.zero_at, axis.start))
            room = axis.px(min(end, axis.end)) - x0 - 8
            if room < 12 or span.outcome not in ("complete", "running"):
                continue
            if text := _clip(words.label(span), room, measure, least=7):
                top, bottom = box.slot(span.slot)
                out.append(Text(x0 + 4, (top + bottom) / 2, text, "bar"))
    return out


def _clip(text: str, room: float, measure: Measure, least: int = 1) -> str:
    """As much of a text as fits, or "" if fewer than `least` letters do."""
    if measure(text) <= room:
        return text
    while len(text) >= least and measure(text + "…") > room:
        text = text[:-1].rstrip()
    return text + "…" if len(text) >= least else ""
