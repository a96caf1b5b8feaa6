"""Where the lanes are, and texts at places. Pure geometry, as `wqlib.plots.layout`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..history.spans import Lane

LEFT = 128.0  # room for the names of the lanes
RIGHT = 120.0  # room for the numbers
BAND = 18.0  # the line with a Job's name
PITCH = 28.0  # from lane to lane
LEAST_PITCH = 7.0
TEXT_SIZE = 8.0

# "lost" is a name on a hatched bar, which gets a ground of its own.
Role = Literal["name", "dim", "bar", "lost", "job"]
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


def about_width(text: str) -> float:
    """About how wide a text is, in pixels; a little too wide rather than too narrow."""
    em = TEXT_SIZE / 72 * 100
    narrow = sum(c in "iljtfrI.,:;|!'() -" for c in text)
    wide = sum(c in "mwMW@%—" or ord(c) > 0x2E80 for c in text)
    return em * (0.6 * (len(text) - narrow - wide) + 0.38 * narrow + 1.0 * wide)


def clip(text: str, room: float, measure: Measure, least: int = 1) -> str:
    """As much of a text as fits, or "" if fewer than `least` letters do."""
    if measure(text) <= room:
        return text
    while len(text) >= least and measure(text + "…") > room:
        text = text[:-1].rstrip()
    return text + "…" if len(text) >= least else ""


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
        titles.append(Text(12.0, y + BAND / 2, clip(job or "workers", 4 * LEFT, measure), "job"))
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
