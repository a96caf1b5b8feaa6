"""Where the levels of the queue and the throughput go. Pure, as `wqlib.plots.layout`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from ..history import History, Level
from ..history.timeaxis import TimeAxis
from .bars import Floats

BANDS = ("done", "leased", "pending", "dead")  # from the bottom
LINE = 13.0
_RATE_STEPS = 120


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
    rows = np.fromiter(itertools.chain.from_iterable(history.depth), np.float64).reshape(-1, 5)
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
    """Items a second, each spread evenly over the time that it took.

    Attributes:
        most: The rate at the upper edge.
        highest: The highest rate.
        mean: The mean from the first moment shown to now.
        done: The part of what is completed, as rows of seconds, rate; along the rate, back along 0.
        ahead: The part of what is worked on now, at the usual pace of its workers, on top of that.
    """

    most: float = 1.0
    highest: float = 0.0
    mean: float = 0.0
    done: Floats = field(default_factory=lambda: np.empty((0, 2)))
    ahead: Floats = field(default_factory=lambda: np.empty((0, 2)))


def throughput(history: History, axis: TimeAxis) -> RateLayout:
    """Lay out how fast the run went, in steps."""
    flow = history.pace.flow
    if not flow.items or axis.now <= axis.start:
        return RateLayout()
    steps = round(np.clip((axis.now - axis.start) / flow.step_seconds, 1, _RATE_STEPS))
    edges = np.linspace(axis.start, axis.now, steps + 1)
    seconds = np.diff(edges)
    changes = np.array(flow.changes)
    done = np.array(flow.items) + (np.cumsum(changes) - changes) * flow.step_seconds
    moments = flow.since - axis.zero_at + flow.step_seconds * np.arange(len(done) + 1)
    done = np.diff(np.interp(edges, moments, np.append(0.0, np.cumsum(done)))) / seconds
    running = np.array(history.running(axis.zero_at + axis.now)).reshape(-1, 2)
    since = edges[:, None] - (running[:, 0] - axis.zero_at)
    ahead = np.diff(np.maximum(since, 0.0) @ (1 / running[:, 1])) / seconds
    total = done + ahead
    highest = float(total.max())
    mean = float((total * seconds).sum() / (axis.now - axis.start))
    first = int(np.argmax(ahead > 0)) if len(running) else steps
    return RateLayout(
        max(highest * 1.1, 1e-9),
        highest,
        mean,
        _between(edges, np.zeros(steps), done),
        _between(edges[first:], done[first:], total[first:]),
    )


def _between(edges: Floats, lower: Floats, upper: Floats) -> Floats:
    """Return the outline of what is between two rates, which are given for the time from edge to
    edge: along the upper one, and back along the lower.
    """
    x = np.repeat(edges, 2)[1:-1]
    there, back = (np.column_stack([x, np.repeat(rate, 2)]) for rate in (upper, lower))
    return np.concatenate([there, back[::-1]])


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
