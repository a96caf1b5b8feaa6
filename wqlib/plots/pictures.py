"""The pictures themselves: which panels each has, and how large it is."""

from __future__ import annotations

from ..history import History
from ..history.timeaxis import TimeAxis, time_axis
from .canvas import Picture
from .lanes import BAND, LEFT, PITCH, RIGHT, tall
from .panels import LEGEND, RULER, Depth, Lanes, Legend, Panel, Ruler, Throughput
from .theme import THEMES, ThemeName

WIDTH = 900.0
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
    number = max(1, sum(tall(lane) for lane in history.lanes.values()))
    jobs = {lane.job for lane in history.lanes.values()}
    height = min(BAND * max(1, len(jobs)) + PITCH * number, _MOST_LANES_HEIGHT)
    picture = Picture(width, TOP + height + RULER + LEGEND, THEMES[theme], "timeline")
    _show(history, now, picture, Lanes(picture, TOP, height), TOP + height)
    Legend(picture, TOP + height + RULER)
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


class RunPicture:
    """The picture of a run that goes on, redrawn in place: its lanes, the queue over time, the
    throughput and the legend.

    Args:
        lanes: For how many lanes there is full room; more make them narrower.
        width: In pixels.
        theme: "light" or "dark".
        scale: Dots a pixel.
        window_seconds: How much of the past is shown while the run goes on; None for all.

    Attributes:
        picture: The figure.
    """

    def __init__(
        self,
        lanes: int = 8,
        *,
        width: float = WIDTH,
        theme: ThemeName = "light",
        scale: float = 1.5,
        window_seconds: float | None = 120.0,
    ) -> None:
        high = BAND + PITCH * lanes
        rate = TOP + high + RULER + DEPTH + 8
        legend = rate + RATE + 6
        self.picture = Picture(width, legend + LEGEND, THEMES[theme], "run", scale)
        self.window_seconds = window_seconds
        self._x1 = width - RIGHT
        self._ruler = Ruler(self.picture, TOP + high)
        self._panels: list[Panel] = [
            Lanes(self.picture, TOP, high),
            Depth(self.picture, TOP + high + RULER, DEPTH),
            Throughput(self.picture, rate, RATE),
        ]
        Legend(self.picture, legend)

    def axis(self, history: History, now: float) -> TimeAxis:
        """Return the time that a frame shows."""
        return time_axis(history, now, LEFT, self._x1, window_seconds=self.window_seconds)

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
        self._ruler.show(axis)
        for panel in self._panels:
            panel.show(history, axis)
        return self.picture.frame()
