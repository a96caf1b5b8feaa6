"""Where the levels of the queue and the throughput go. Pure, as `wqlib.plots.layout`."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from ..history import History, Level
from ..history.timeaxis import TimeAxis
from .bars import Floats

BANDS = ("done", "leased", "pending", "dead")  # from the bottom
LINE = 13.0


@dataclass
class DepthLayout:
    """The levels as a stacked area.

    Attributes:
        most: The number of items at the upper edge.
        bands: By level that ever was above 0: the outline as rows of seconds, items.
        labels: By level, as `bands`: how many items now, and the pixel from the top at which
            to say so.
    """

    most: float
    bands: dict[str, Floats] = field(default_factory=dict)
    labels: dict[str, tuple[int, float]] = field(default_factory=dict)


def depth(history: History, axis: TimeAxis, *, top: float, height: float) -> DepthLayout:
    """Lay out how full the queue was, between `top` and `top + height` in pixels."""
    rows = np.fromiter(chain.from_iterable(history.depth), np.float64).reshape(-1, 5)
    if not len(rows):
        return DepthLayout(1.0)
    rows[:, 0] -= axis.zero_at
    first = max(0, int(np.searchsorted(rows[:, 0], axis.start, "right")) - 1)
    rows = rows[first:]
    rows[0, 0] = max(rows[0, 0], axis.start)
    pixel = np.floor(rows[:, 0] * axis.scale)
    rows = rows[np.append(pixel[1:] != pixel[:-1], True)]  # the last of each pixel will do
    times = np.append(rows[:, 0], max(axis.now, rows[-1, 0]))
    levels = np.vstack([rows[:, 1:], rows[-1, 1:]])
    out = DepthLayout(max(1.0, float(levels.sum(axis=1).max()) * 1.06))
    # Levels stay until the next moment: steps, not slopes.
    x = np.repeat(times, 2)[1:]
    below = np.zeros(len(x))
    middles = {}
    for band in BANDS:
        level = np.repeat(levels[:, Level._fields.index(band) - 1], 2)[:-1]
        above = below + level
        if level.any():
            out.bands[band] = np.concatenate(
                [np.column_stack([x, above]), np.column_stack([x, below])[::-1]]
            )
            middles[band] = (top + height * (1 - (above[-1] + below[-1]) / 2 / out.most), level[-1])
        below = above
    places = _spread([y for y, _ in middles.values()], top, top + height)
    for (band, (_, level)), y in zip(middles.items(), places, strict=True):
        out.labels[band] = (int(level), y)
    return out


@dataclass
class RateLayout:
    """Items completed a second.

    Attributes:
        most: The rate at the upper edge.
        highest: The highest rate.
        mean: The mean from the first moment shown to now.
        outline: Rows of seconds, rate; along the rate and back along zero.
    """

    most: float = 1.0
    highest: float = 0.0
    mean: float = 0.0
    outline: Floats = field(default_factory=lambda: np.empty((0, 2)))


def throughput(history: History, axis: TimeAxis) -> RateLayout:
    """Lay out how fast the run went: as steps, each long enough for about five items."""
    rows = np.array([(level.at, level.done) for level in history.depth]).reshape(-1, 2)
    if not len(rows) or axis.now <= axis.start:
        return RateLayout()
    bins = int(np.clip(rows[-1, 1] / 5, 6, 80))
    edges = np.linspace(axis.start, axis.now, bins + 1)
    # Between two known moments the work went on evenly, as far as anybody knows.
    done = np.interp(edges, rows[:, 0] - axis.zero_at, rows[:, 1])
    done = np.maximum.accumulate(done)
    rates = np.diff(done) / np.diff(edges)
    highest = float(rates.max())
    x = np.repeat(edges, 2)[1:-1]
    y = np.repeat(rates, 2)
    outline = np.concatenate([np.column_stack([x, y]), [[edges[-1], 0.0], [edges[0], 0.0]]])
    mean = float((done[-1] - done[0]) / (axis.now - axis.start))
    return RateLayout(max(highest * 1.1, 1e-9), highest, mean, outline)


def _spread(places: list[float], top: float, bottom: float) -> list[float]:
    """Move texts, sorted from the bottom up, apart so that none covers another."""
    out: list[float] = []
    for y in places:
        y = min(y, bottom - LINE / 2)
        out.append(min(y, out[-1] - LINE) if out else y)
    if out and out[-1] < top + LINE / 2:
        out[-1] = top + LINE / 2
        for i in range(len(out) - 2, -1, -1):
            out[i] = max(out[i], out[i + 1] + LINE)
    return out
