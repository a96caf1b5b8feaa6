"""The pictures themselves: which panels each has, and how large it is."""

from __future__ import annotations

from ..history import History
from ..history.timeaxis import TimeAxis, time_axis
from . import layout
from .canvas import Picture
from .lanes import BAND, LEFT, PITCH, RIGHT, lanes_height
from .panels import (
    LEGEND,
    LEGEND_LINE,
    RULER,
    Depth,
    Lanes,
    Legend,
    Panel,
    Ruler,
    Throughput,
    legend_entries,
    legend_rows,
)
from .theme import THEMES, ThemeName

WIDTH = 900.0
LANES = 6  # that a picture of a run has room for
TOP = 6.0
DEPTH = 84.0
RATE = 40.0
_MOST_LANES_HEIGHT = 640.0


def timeline(
    history: History,
    *,
    now: float | None = None,
    width: float = WIDTH,
    theme: ThemeName = "light",
) -> Picture:
    """Draw each lease of each pod.

    Args:
        history: The run.
        now: The moment to draw, in seconds since the epoch; None for the last event.
        width: In pixels.
        theme: "light" or "dark".

    Returns:
        A lane for each pod, the work on its leases as bars, filled and hatched by how they
        ended, and a line from each lost lease to the one that got its item next. What waits in
        a worker is a thin bar under the others.
    """
    height = min(lanes_height(history.lanes.values()), _MOST_LANES_HEIGHT)
    axis = time_axis(history, now, LEFT, width - RIGHT)
    entries = legend_entries(layout.timeline(history, axis, top=TOP, height=height))
    below = LEGEND - LEGEND_LINE * (2 - len(legend_rows(entries, width)))
    picture = Picture(width, TOP + height + RULER + below, THEMES[theme], "timeline")
    lanes = Lanes(picture, TOP, height)
    _show(history, now, picture, lanes, TOP + height)
    Legend(picture, TOP + height + RULER).show(lanes.plan)
    return picture


def queue_depth(
    history: History,
    *,
    now: float | None = None,
    width: float = WIDTH,
    height: float = 220.0,
    theme: ThemeName = "light",
) -> Picture:
    """Draw how many items were done, leased, waiting and dead over time.

    Args:
        history: The run.
        now: The moment to draw, in seconds since the epoch; None for the last event.
        width: In pixels.
        height: In pixels.
        theme: "light" or "dark".

    Returns:
        A stacked area; each band is named at its right.
    """
    picture = Picture(width, height, THEMES[theme], "queue over time")
    _show(history, now, picture, Depth(picture, TOP, height - TOP - RULER), height - RULER)
    return picture


def throughput(
    history: History,
    *,
    now: float | None = None,
    width: float = WIDTH,
    height: float = 160.0,
    theme: ThemeName = "light",
) -> Picture:
    """Draw how many items a second were completed, over time.

    Args:
        history: The run.
        now: The moment to draw, in seconds since the epoch; None for the last event.
        width: In pixels.
        height: In pixels.
        theme: "light" or "dark".

    Returns:
        The rate as an area, and its mean as a broken line.
    """
    picture = Picture(width, height, THEMES[theme], "throughput")
    _show(history, now, picture, Throughput(picture, TOP, height - TOP - RULER), height - RULER)
    return picture


def _show(
    history: History, now: float | None, picture: Picture, panel: Panel, ruler_top: float
) -> None:
    """Draw a panel that does not change again, and the moments under it."""
    axis = time_axis(history, now, LEFT, picture.width - RIGHT)
    panel.show(history, axis)
    Ruler(picture, ruler_top).show(axis)


def lanes_of(history: History) -> float:
    """Return for how many lanes `RunPicture` needs room if all of a run shall have it, up to 16."""
    return min(max((lanes_height(history.lanes.values()) - BAND) / PITCH, 2.0), 16.0)


class RunPicture:
    """The picture of a run that goes on, redrawn in place: its lanes, the queue over time, the
    throughput and the legend.

    Args:
        lanes: For how many lanes there is full room. More make them narrower; what fewer leave goes
            to the queue over time.
        width: In pixels.
        theme: "light" or "dark".
        scale: Dots a pixel.
        window_seconds: How much of the past is shown while the run goes on; None for all.

    Attributes:
        picture: The figure.
    """

    def __init__(
        self,
        lanes: float = LANES,
        *,
        width: float = WIDTH,
        theme: ThemeName = "light",
        scale: float = 1.5,
        window_seconds: float | None = 120.0,
    ) -> None:
        self._high = BAND + PITCH * lanes
        rate = TOP + self._high + RULER + DEPTH + 8
        legend = rate + RATE + 6
        self.picture = Picture(width, legend + LEGEND, THEMES[theme], "run", scale)
        self.window_seconds = window_seconds
        self._x1 = width - RIGHT
        self._ruler = Ruler(self.picture, TOP + self._high)
        self._lanes = Lanes(self.picture, TOP, self._high)
        self._depth = Depth(self.picture, TOP + self._high + RULER, DEPTH)
        self._rate = Throughput(self.picture, rate, RATE)
        self._legend = Legend(self.picture, legend)

    def axis(self, history: History, now: float) -> TimeAxis:
        """Return the time that a frame shows."""
        return time_axis(history, now, LEFT, self._x1, window_seconds=self.window_seconds)

    def places(self) -> list[tuple[str, float, float]]:
        """Return where the lanes of the last frame are: of each the worker, its upper edge and its
        height, in shares of the picture's height.
        """
        whole = self.picture.height
        boxes = self._lanes.plan.boxes
        return [(box.lane.worker, box.top / whole, box.height / whole) for box in boxes]

    def key(self, history: History, now: float) -> object:
        """Return what is equal for frames that are equal."""
        axis = self.axis(history, now)
        return id(history), history.version, axis.live, round(axis.now * axis.scale * 2)

    def frame(self, history: History, now: float) -> bytes:
        """Draw the run as it is now.

        Args:
            history: The run so far.
            now: The present, in seconds since the epoch.

        Returns:
            A PNG, always of the same size.
        """
        axis = self.axis(history, now)
        high = min(lanes_height(history.lanes.values()), self._high)
        self._lanes.place(TOP, high)
        self._ruler.place(TOP + high)
        self._depth.place(TOP + high + RULER, DEPTH + self._high - high)
        self._ruler.show(axis)
        for panel in (self._lanes, self._depth, self._rate):
            panel.show(history, axis)
        self._legend.show(self._lanes.plan)
        return self.picture.frame()
