"""A plain chart with two rulers, and a picture on it: how long leases lasted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..history import History
from ..history.words import item_seconds
from .bars import Floats
from .canvas import Picture, Shapes, TextLayer, lines, rectangles
from .lettering import Text
from .theme import MEANING, THEMES, ThemeName

MOST_BINS = 40
LEFT, RIGHT, TOP, BOTTOM = 72.0, 150.0, 16.0, 44.0
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
                times[span.outcome].append(max(0.0, span.end - span.lent))
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
    chart = Chart(picture, float(found.edges[-1]), max(1.0, float(total.max()) * 1.08))
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
    chart.legend(
        {outcome: f"{int(n.sum()):,} {MEANING[outcome]}" for outcome, n in found.counts.items()}
    )
    for name, at in (("mean", found.mean), ("p95", found.p95)):
        if at is not None:
            chart.mark(at, f"{name} {item_seconds(at)}", 10.0 if name == "mean" else 24.0)
    chart.label_axes("how long a lease lasted", "leases")
    if found.missing:
        chart.texts.append(Text(chart.x1 + 12, height - 14, f"{found.missing:,} older not shown"))
    return picture


class Chart:
    """A plain area with a ruler below and one at the left, both from zero."""

    def __init__(self, picture: Picture, most_x: float, most_y: float) -> None:
        self.picture = picture
        self.most_x, self.most_y = most_x, most_y
        self.x1, self.y1 = picture.width - RIGHT, picture.height - BOTTOM
        self.axes = picture.area(TOP, self.y1 - TOP, LEFT, RIGHT)
        self.axes.set_xlim(0, most_x)
        self.axes.set_ylim(0, most_y)
        self._wide = picture.area(0, picture.height)
        self.texts = TextLayer(picture).texts
        self.x_marks = round_marks(most_x, (self.x1 - LEFT) / 70)

    def px(self, x: float) -> float:
        """Return where a value of the lower ruler is, in pixels."""
        return LEFT + (self.x1 - LEFT) * x / self.most_x

    def py(self, y: float) -> float:
        """Return where a value of the left ruler is, in pixels from the top."""
        return self.y1 - (self.y1 - TOP) * y / self.most_y

    def rulers(self, words: list[str], *, whole: bool = False) -> None:
        """Draw lines and numbers; `words` are those below, `whole`: halves make no sense."""
        marks = round_marks(self.most_y, (self.y1 - TOP) / 36)
        y = np.array([at for at in marks if not whole or at == int(at)])
        x = np.array(self.x_marks)
        for name, path in (
            ("grid", lines(0.0, y, self.most_x, y)),
            ("grid-upright", lines(x, 0.0, x, self.most_y)),
        ):
            Shapes.stroked(self.axes, 1, self.picture.theme.grid, 0.8, name).show(path)
        pairs = zip(self.x_marks, words, strict=True)
        self.texts += [Text(self.px(at), self.y1 + 12, word, "dim", "center") for at, word in pairs]
        self.texts += [Text(LEFT - 8, self.py(at), f"{at:,g}", "dim", "right") for at in y]

    def legend(self, entries: dict[str, str]) -> None:
        """Say what each fill means."""
        x, y = self.x1 + 12, TOP + 12
        for kind, said in entries.items():
            box = rectangles([(x, x + 20, y - 6, y + 6)])
            Shapes.filled(self._wide, 2, self.picture.theme.fills[kind]).show(box)
            self.texts.append(Text(x + 26, y, said, "name"))
            y += 18

    def mark(self, at: float, said: str, y: float) -> None:
        """Draw a broken line at a place along the lower ruler, and say what it is."""
        line = Shapes.stroked(self.axes, 5, self.picture.theme.text, 1.0, linestyle=(0, (4, 3)))
        line.show(lines(at, 0.0, at, self.most_y))
        self.texts.append(Text(self.px(at) + 5, TOP + y, said, "lost"))

    def label_axes(self, below: str, left: str) -> None:
        """Say what the rulers measure."""
        middle = (LEFT + self.x1) / 2
        self.texts.append(Text(middle, self.picture.height - 12, below, "name", "center"))
        self.texts.append(Text(12, 8, left, "name"))


def _round_up(step: float) -> float:
    scale: float = 10.0 ** math.floor(math.log10(step))
    return next((m * scale for m in _STEPS if m * scale >= step * (1 - 1e-9)), 10 * scale)


def round_marks(most: float, number: float) -> list[float]:
    """Return round numbers from 0 to `most`, at most about that many."""
    step = _round_up(most / max(1.0, number))
    return [round(i * step, 9) for i in range(math.floor(most / step + 1e-9) + 1)]
