"""Where the lanes are, and the texts in and beside them. Pure, as `wqlib.plots.layout`."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from ..history import words
from ..history.spans import MAX_SLOTS, WAITS, Lane, Span, grouped, most_active
from ..history.timeaxis import TimeAxis
from .lettering import Role, Text, clip

LEFT = 128.0  # room for the names of the lanes
RIGHT = 120.0  # room for the numbers
BAND = 18.0  # the line with the name of a Job, and of a node
PITCH = 28.0  # from lane to lane
LEAST_PITCH = 7.0
DONE_COLUMN = 46.0  # right edges of the numbers, from where the time axis ends
LEASE_COLUMN = 108.0
MOST_LABELS = 80


@dataclass(frozen=True)
class LaneBox:
    """Where a lane is: `top` and `height` in pixels."""

    lane: Lane
    top: float
    height: float
    stripe: bool

    @property
    def middle(self) -> float:
        """Return its middle, in pixels."""
        return self.top + self.height / 2

    def slot(self, number: int) -> tuple[float, float]:
        """Return the top and bottom of the bars in one of the lane's slots; those of leases that
        wait in the worker are a thin strip under the others.
        """
        margin = 5.0 if self.height >= 20 else min(2.0, self.height / 8)
        if number == WAITS:
            bottom = self.top + self.height - 0.1 * margin
            return bottom - 0.7 * margin, bottom
        each = (self.height - 2 * margin) / self.lane.slots
        gap = min(1.0, each / 4) if self.lane.slots > 1 else 0.0
        top = self.top + margin + each * number
        return top, top + each - gap


def lane_boxes(
    lanes: Collection[Lane], top: float, height: float
) -> tuple[list[LaneBox], list[Text], int]:
    """Stack the lanes, grouped by Job and node, between `top` and `top + height` in pixels.

    Returns:
        A box for each lane; the names of the groups; how many lanes found no room.
    """
    groups = grouped(lanes)
    room = height - BAND * max(1, len(groups))
    shown = most_active(lanes, max(1, int(room // LEAST_PITCH)))
    pitches = sum(tall(lane) for lane in lanes if lane.worker in shown)
    pitch = min(PITCH, room / max(1, pitches))
    boxes: list[LaneBox] = []
    titles: list[Text] = []
    y = top
    for title, group in groups.items():
        if members := [lane for lane in group if lane.worker in shown]:
            titles.append(Text(12.0, y + BAND / 2, clip(title, 4 * LEFT), "job"))
            y += BAND
        for lane in members:
            boxes.append(LaneBox(lane, y, pitch * tall(lane), len(boxes) % 2 == 0))
            y += boxes[-1].height
    return boxes, titles, len(lanes) - len(shown)


def lanes_height(lanes: Collection[Lane]) -> float:
    """Return the height that lanes need, with the names of their groups, in pixels."""
    number = max(1.0, sum(tall(lane) for lane in lanes))
    return BAND * max(1, len(grouped(lanes))) + PITCH * number


def tall(lane: Lane) -> float:
    """Return how tall a lane is, if there is room: 1, or more if it needs several rows."""
    return max(1.0, (5.0 + 7.0 * lane.slots) / 14.0)


def name_label(box: LaneBox) -> list[Text]:
    """Return the name of a pod, without that of its Job, and how many items it works on at once."""
    lane, height = box.lane, box.height
    if height < 11:
        return []
    short = words.short_name(lane.worker, lane.job)
    role: Role = "name" if lane.alive or lane.held or not lane.state else "dim"
    name = Text(LEFT - 14, box.middle, clip(short, LEFT - 24), role, "right")
    if lane.most == 1 or height < 26:
        return [name]
    below = f"up to {lane.most:,} at once"
    return [name._replace(y=name.y - 7), name._replace(y=name.y + 7, text=below, role="dim")]


def number_labels(boxes: list[LaneBox], axis: TimeAxis, top: float) -> list[Text]:
    """Say what each pod has done, and the time that its most urgent lease still has."""
    done, lease = axis.x1 + DONE_COLUMN, axis.x1 + LEASE_COLUMN
    out = [Text(done, top + BAND / 2, "done", "dim", "right")]
    if axis.live:
        out.append(Text(lease, top + BAND / 2, "time left", "dim", "right"))
    for box in boxes:
        if box.height < 11:
            continue
        out.append(Text(done, box.middle, f"{box.lane.done:,}", "name", "right"))
        seconds = box.lane.seconds_left(axis.zero_at + axis.now)
        if seconds is not None and axis.live:
            text = words.duration(math.ceil(seconds)) if seconds > 0 else "expired"
            out.append(Text(lease, box.middle, text, "name", "right"))
    return out


def bar_labels(boxes: list[LaneBox], axis: TimeAxis, marks: dict[str, list[float]]) -> list[Text]:
    """Return the names of the items, newest first, where they fit into their bars beside the marks
    of the pods, which are moments by worker.
    """
    out: list[Text] = []
    for box in boxes:
        if box.height / box.lane.slots < 13:
            continue
        taken = [axis.px(at) for at in marks[box.lane.worker]]
        for span in islice((s for s in reversed(box.lane.spans) if s.slot != WAITS), 200):
            if len(out) >= MOST_LABELS:
                return out
            if _shares(span, box.lane):
                continue
            end = axis.now if span.end is None else span.end - axis.zero_at
            if end < axis.start:
                break
            x0 = axis.px(max(span.start - axis.zero_at, axis.start))
            for x in taken:
                x0 = max(x0, x + 5) if abs(x - x0) < 9 else x0
            stop = min((x - 7 for x in taken if x > x0), default=axis.x1)
            room = min(axis.px(min(end, axis.end)), stop) - x0 - 8
            if room < 12:
                continue
            if text := clip(words.item_name(span), room, least=7):
                top, bottom = box.slot(span.slot)
                role = _role(span, box.lane)
                out.append(Text(x0 + 4, (top + bottom) / 2, text, role))
    return out


def progress_labels(boxes: list[LaneBox], axis: TimeAxis) -> list[Text]:
    """Say beside the bars of what is worked on now how far it is, as far as that fits, and how many
    have no row of their own.
    """
    x = axis.px(axis.now) + 7
    out: list[Text] = []
    for box in boxes if axis.live else []:
        lane = box.lane
        if not lane.working or box.height / lane.slots < 13:
            continue
        said = [
            (span.slot, words.progress(span))
            for span in lane.held.values()
            if span.progress and span.slot != WAITS and not _shares(span, lane)
        ]
        if lane.working > MAX_SLOTS:
            said.append((MAX_SLOTS - 1, f"and {lane.working - MAX_SLOTS:,} more"))
        for slot, text in said:
            y = sum(box.slot(slot)) / 2
            out.append(Text(x, y, clip(text, axis.x1 - x), "lost"))
    return out


def _shares(span: Span, lane: Lane) -> bool:
    """Tell whether a span is in a row with others, for want of one of its own."""
    return lane.most > MAX_SLOTS and span.slot == MAX_SLOTS - 1


def _role(span: Span, lane: Lane) -> Role:
    if span.outcome == "running":
        return "name" if lane.state and not lane.alive else "bar"  # its bar is hollow then
    return "bar" if span.outcome == "complete" else "lost"
