"""Where the lanes are. Pure geometry, as `wqlib.plots.layout`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..history.spans import Lane, by_job, most_active
from .lettering import Text, clip

LEFT = 128.0  # room for the names of the lanes
RIGHT = 120.0  # room for the numbers
BAND = 18.0  # the line with a Job's name
PITCH = 28.0  # from lane to lane
LEAST_PITCH = 7.0


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
        """Return the top and bottom of the bars in one of the lane's slots."""
        margin = 5.0 if self.height >= 20 else min(2.0, self.height / 8)
        each = (self.height - 2 * margin) / self.lane.slots
        gap = min(1.0, each / 4) if self.lane.slots > 1 else 0.0
        top = self.top + margin + each * number
        return top, top + each - gap


def lane_boxes(
    lanes: Collection[Lane], top: float, height: float
) -> tuple[list[LaneBox], list[Text], int]:
    """Stack the lanes, grouped by Job, into a given height.

    Args:
        lanes: The lanes, in the order of their first appearance.
        top: Upper edge, in pixels.
        height: Height of all, in pixels.

    Returns:
        A box for each lane; the names of the Jobs; how many lanes found no room.
    """
    groups = by_job(lanes)
    room = height - BAND * max(1, len(groups))
    shown = most_active(lanes, max(1, int(room // LEAST_PITCH)))
    groups = {job: [lane for lane in some if lane.worker in shown] for job, some in groups.items()}
    pitch = min(PITCH, room / max(1, len(shown)))
    boxes: list[LaneBox] = []
    titles: list[Text] = []
    y = top
    for job, members in groups.items():
        if members:
            titles.append(Text(12.0, y + BAND / 2, clip(job or "workers", 4 * LEFT), "job"))
            y += BAND
        for lane in members:
            boxes.append(LaneBox(lane, y, pitch, len(boxes) % 2 == 0))
            y += pitch
    return boxes, titles, len(lanes) - len(shown)
