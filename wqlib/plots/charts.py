"""Two pictures of finished runs: how long leases lasted, and what more pods brought."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wqlib.history import History
from wqlib.history.words import item_seconds
from wqlib.plots.bars import Floats
from wqlib.plots.canvas import Picture, Shapes, TextLayer, lines, polygons, rectangles
from wqlib.plots.lanes import Text
from wqlib.plots.theme import MEANING, THEMES, Fill, ThemeName

MOST_BINS = 40
_LEFT, _RIGHT, _TOP, _BOTTOM = 72.0, 150.0, 16.0, 44.0
_STACKED = ("complete", "release", "fail", "expire", "dead")
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass
class LeaseTimes:
    """How long the leases of a run lasted.

    Attributes:
        edges: Of the bins, in seconds, one more than there are bins.
        counts: By outcome that occurred: leases in each bin.
        mean: Mean time of the completed ones, in seconds, or None.
        p95: Their 95th percentile, or None.
        missing: Leases whose time is no longer known, because their detail was thinned.
    """

    edges: Floats
    counts: dict[str, Floats] = field(default_factory=dict)
    mean: float | None = None
    p95: float | None = None
    missing: int = 0


def lease_times(history: History) -> LeaseTimes:
    """Sort the leases that ended into bins of equal width, by how long they lasted."""
    times: dict[str, list[float]] = {outcome: [] for outcome in _STACKED}
    missing = 0
    for lane in history.lanes.values():
        for span in lane.spans:
            if span.leases > 1:
                missing += span.leases
            elif span.end is not None:
                times[span.outcome].append(max(0.0, span.end - span.start))
    everything = [seconds for some in times.values() for seconds in some]
    if not everything:
        return LeaseTimes(np.array([0.0, 1.0]), missing=missing)
    bins = min(MOST_BINS, max(5, math.ceil(2 * len(everything) ** (1 / 3))))
    step = _round_up(max(max(everything), 1e-3) / bins)
    edges: Floats = np.arange(0.0, math.floor(max(everything) / step) + 2.0) * step
    done = np.array(times["complete"])
    return LeaseTimes(
        edges,
        {
            outcome: np.histogram(some, edges)[0].astype(np.float64)
            for outcome, some in times.items()
            if some
        },
        float(done.mean()) if len(done) else None,
        float(np.sort(done)[-(-95 * len(done) // 100) - 1]) if len(done) else None,
        missing,
    )


def speedups(runs: Mapping[int, History]) -> list[tuple[int, float]]:
    """How many times as fast as one pod each run was.

    Args:
        runs: By the number of pods: a run of that many, of the same kind of items.

    Returns:
        Pairs of pods and speedup, by pods. Without a run of one pod, the smallest run counts
        as ideal.

    Raises:
        ValueError: A run completed nothing, or a number of pods is less than 1.
    """
    rates = []
    for pods, history in sorted(runs.items()):
        spans = [span for lane in history.lanes.values() for span in lane.spans]
        ends = [span.end for span in spans if span.end is not None and span.outcome == "complete"]
        if pods < 1 or not ends:
            raise ValueError(f"The run of {pods} pods completed nothing, so it has no speed.")
        seconds = max(ends) - min(span.start for span in spans)
        rates.append((pods, history.counts.done / max(seconds, 1e-9)))
    return [(pods, rate / rates[0][1] * rates[0][0]) for pods, rate in rates]


def lease_histogram(
    history: History, *, width: float = 900.0, height: float = 260.0, theme: ThemeName = "light"
) -> Picture:
    """Draw how long leases lasted, by how they ended.

    Args:
        history: The run.
        width: In pixels.
        height: In pixels.
        theme: "light" or "dark".

    Returns:
        A histogram of stacked bars, with the mean and the 95th percentile of the completed.
    """
    found = lease_times(history)
    picture = Picture(width, height, THEMES[theme], "lease times")
    total = np.sum([*found.counts.values()], axis=0) if found.counts else np.zeros(1)
    chart = _Chart(picture, float(found.edges[-1]), max(1.0, float(total.max()) * 1.08))
    fine = found.edges[-1] < 0.5
    chart.rulers([f"{1000 * at:g} ms" if fine else f"{at:g} s" for at in chart.x_marks], whole=True)
    below = np.zeros(len(found.edges) - 1)
    for outcome, counts in found.counts.items():
        some = counts > 0
        gap = 0.06 * (found.edges[1] - found.edges[0])
        rows = [found.edges[:-1] + gap, found.edges[1:] - gap, below, below + counts]
        Shapes.filled(chart.axes, 3, picture.theme.fills[outcome], outcome).show(
            rectangles(np.column_stack(rows)[some])
        )
        below = below + counts
    chart.key(
        {outcome: f"{int(n.sum()):,} {MEANING[outcome]}" for outcome, n in found.counts.items()}
    )
    for name, at in (("mean", found.mean), ("p95", found.p95)):
        if at is not None:
            chart.upright(at, f"{name} {item_seconds(at)}", 10.0 if name == "mean" else 24.0)
    chart.say("how long a lease lasted", "leases")
    if found.missing:
        chart.texts.append(Text(chart.x1 + 12, height - 14, f"{found.missing:,} older not shown"))
    return picture


def speedup(
    runs: Mapping[int, History],
    *,
    width: float = 520.0,
    height: float = 320.0,
    theme: ThemeName = "light",
) -> Picture:
    """Draw how many times as fast several pods were as one.

    Args:
        runs: By the number of pods: a run of that many, of the same kind of items.
        width: In pixels.
        height: In pixels.
        theme: "light" or "dark".

    Returns:
        A line through the runs, beside the broken line of the ideal (twice the pods, half
        the time).

    Raises:
        ValueError: There is no run, or one completed nothing.
    """
    if not runs:
        raise ValueError(
            "There is no run to draw. Pass them by their number of pods: {1: history}."
        )
    rows = np.array(speedups(runs), dtype=np.float64)
    picture = Picture(width, height, THEMES[theme], "speedup")
    most = float(max(rows.max(), 1.0)) * 1.12
    chart = _Chart(picture, most, most)
    chart.x_marks = [float(pods) for pods, _ in rows]
    chart.rulers([f"{at:g}" for at in chart.x_marks])
    theme_ = picture.theme
    end = np.array([most])
    Shapes.stroked(chart.axes, 2, theme_.line, 1.0, "ideal", linestyle=(0, (5, 3))).show(
        lines(np.zeros(1), np.zeros(1), end, end)
    )
    Shapes.stroked(chart.axes, 3, theme_.fuse, 1.6, "measured").show(
        lines(rows[:-1, 0], rows[:-1, 1], rows[1:, 0], rows[1:, 1])
    )
    size = np.array([4.0 * most / (chart.x1 - _LEFT), 4.0 * most / (chart.y1 - _TOP)])
    diamond = np.array([(0, 1), (1, 0), (0, -1), (-1, 0), (0, 1)]) * size
    dots = Shapes.filled(chart.axes, 4, Fill(theme_.fuse, theme_.ground), "runs")
    dots.show(polygons(rows[:, None, :] + diamond[None]))
    for pods, times in rows:
        x, y = chart.px(pods), chart.py(times)
        chart.texts.append(Text(x + 8, y + 10, f"{times:.1f}×", "name"))
    share = rows[-1, 1] / rows[-1, 0]
    chart.texts += [
        Text(chart.x1 + 12, _TOP + 8, "- - ideal"),
        Text(chart.x1 + 12, _TOP + 26, "◆ measured", "name"),
        Text(chart.x1 + 12, _TOP + 52, f"{share:.0%} of the ideal"),
        Text(chart.x1 + 12, _TOP + 66, f"with {rows[-1, 0]:.0f} pods"),
    ]
    chart.say("pods", "times as fast")
    return picture


class _Chart:
    """A plain area with a ruler below and one at the left, both from zero."""

    def __init__(self, picture: Picture, most_x: float, most_y: float) -> None:
        self.picture = picture
        self.most_x, self.most_y = most_x, most_y
        self.x1, self.y1 = picture.width - _RIGHT, picture.height - _BOTTOM
        self.axes = picture.area(_TOP, self.y1 - _TOP, _LEFT, _RIGHT)
        self.axes.set_xlim(0, most_x)
        self.axes.set_ylim(0, most_y)
        self._wide = picture.area(0, picture.height)
        layer = TextLayer(picture)
        self.texts = layer.texts
        self.x_marks = _round_marks(most_x, (self.x1 - _LEFT) / 70)

    def px(self, x: float) -> float:
        return _LEFT + (self.x1 - _LEFT) * x / self.most_x

    def py(self, y: float) -> float:
        return self.y1 - (self.y1 - _TOP) * y / self.most_y

    def rulers(self, words: list[str], *, whole: bool = False) -> None:
        """Lines and numbers; `words` are those below, `whole` says that halves make no sense."""
        marks = _round_marks(self.most_y, (self.y1 - _TOP) / 36)
        y = np.array([at for at in marks if not whole or at == int(at)])
        x = np.array(self.x_marks)
        grid = Shapes.stroked(self.axes, 1, self.picture.theme.grid, 0.8, "grid")
        grid.show(lines(np.zeros(len(y)), y, np.full(len(y), self.most_x), y))
        upright = Shapes.stroked(self.axes, 1, self.picture.theme.grid, 0.8, "grid-upright")
        upright.show(lines(x, np.zeros(len(x)), x, np.full(len(x), self.most_y)))
        pairs = zip(self.x_marks, words, strict=True)
        self.texts += [Text(self.px(at), self.y1 + 12, word, "dim", "center") for at, word in pairs]
        self.texts += [Text(_LEFT - 8, self.py(at), f"{at:,g}", "dim", "right") for at in y]

    def key(self, entries: dict[str, str]) -> None:
        """What each fill means."""
        x, y = self.x1 + 12, _TOP + 12
        for kind, said in entries.items():
            box = np.array([[x, x + 20, y - 6, y + 6]])
            Shapes.filled(self._wide, 2, self.picture.theme.fills[kind]).show(rectangles(box))
            self.texts.append(Text(x + 26, y, said, "name"))
            y += 18

    def upright(self, at: float, said: str, y: float) -> None:
        """A broken line at a place along the lower ruler, and what it is."""
        place, ends = np.array([at]), np.array([self.most_y])
        line = Shapes.stroked(self.axes, 5, self.picture.theme.text, 1.0, linestyle=(0, (4, 3)))
        line.show(lines(place, np.zeros(1), place, ends))
        self.texts.append(Text(self.px(at) + 5, _TOP + y, said, "lost"))

    def say(self, below: str, left: str) -> None:
        """What the rulers measure."""
        middle = (_LEFT + self.x1) / 2
        self.texts.append(Text(middle, self.picture.height - 12, below, "name", "center"))
        self.texts.append(Text(12, 8, left, "name"))


def _round_up(step: float) -> float:
    scale: float = 10.0 ** math.floor(math.log10(step))
    return next((m * scale for m in _STEPS if m * scale >= step * (1 - 1e-9)), 10 * scale)


def _round_marks(most: float, number: float) -> list[float]:
    """Round numbers from 0 to `most`, at most about so many."""
    step = _round_up(most / max(1.0, number))
    return [round(i * step, 9) for i in range(math.floor(most / step + 1e-9) + 1)]
