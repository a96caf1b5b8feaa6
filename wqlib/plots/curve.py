"""How long a run takes, as a curve: what is expected, how far runs differ, what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .canvas import Picture, Shapes, lines, polygons
from .charts import LEFT, TOP, Chart
from .lettering import Text
from .theme import THEMES, VERMILLION, Fill, ThemeName

_TOPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_UNITS = ((7200.0, 3600.0, "hours"), (300.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_DIAMOND = np.array([(0, 1), (1, 0), (0, -1), (-1, 0), (0, 1)], dtype=np.float64)
_DOT = np.array([(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 13)])


@dataclass(frozen=True, slots=True)
class Curve:
    """Times of runs over one quantity. All times are in seconds.

    Attributes:
        over: What the lower ruler measures.
        x: Where on it there is an expectation, in rising order.
        mean: The expected time at each.
        low: 5 of 100 runs take less.
        high: 5 of 100 runs take more.
        measured: Pairs of a place on the ruler and the time that a real run took.
        most_x: Where the ruler ends.
    """

    over: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    measured: tuple[tuple[float, float], ...]
    most_x: float


class CurvePicture:
    """A picture of a curve that is drawn again when the curve changes.

    Attributes:
        picture: What was drawn last.
    """

    def __init__(self, theme: ThemeName = "light", scale: float = 2.0) -> None:
        self._theme: ThemeName = theme
        self._scale = scale
        self.picture = self._blank()

    def key(self, curve: Curve) -> Curve:
        """Return what the frame depends on."""
        return curve

    def frame(self, curve: Curve) -> bytes:
        """Draw a curve, and return it as a PNG file."""
        self.picture = self._blank()
        _draw(self.picture, curve)
        return self.picture.frame()

    def _blank(self) -> Picture:
        return Picture(760, 320, THEMES[self._theme], "forecast", self._scale)


def _draw(picture: Picture, curve: Curve) -> None:
    theme = picture.theme
    most = max([*curve.high, *(seconds for _, seconds in curve.measured)], default=1.0)
    unit, word = next((unit, word) for least, unit, word in _UNITS if most >= least)
    chart = Chart(picture, curve.most_x * 1.03, _round_top(most / unit) * 1.05)
    if curve.over == "pods":
        chart.x_marks = [at for at in chart.x_marks if at == int(at)]
    chart.rulers([f"{at:g}" for at in chart.x_marks])
    x = np.array(curve.x)
    mean, low, high = (np.array(y) / unit for y in (curve.mean, curve.low, curve.high))
    dot = np.array([chart.most_x / (chart.x1 - LEFT), chart.most_y / (chart.y1 - TOP)])
    key = [("—● expected", "name")]
    if max(high - low, default=0.0) > 0.002 * chart.most_y:
        key += [("- - 90 of 100 runs lie", "dim"), ("within these lines", "dim")]
        corners = np.column_stack([x[:-1], low[:-1], x[1:], low[1:], x[1:], high[1:]])
        corners = np.column_stack([corners, x[:-1], high[:-1], x[:-1], low[:-1]])
        fill = Fill(theme.fills["running"].face)
        Shapes.filled(chart.axes, 2, fill, "range").show(polygons(corners.reshape(-1, 5, 2)))
        for y, name in ((low, "low"), (high, "high")):
            edge = Shapes.stroked(chart.axes, 3, theme.fuse, 0.8, name, linestyle=(0, (2, 2)))
            edge.show(lines(x[:-1], y[:-1], x[1:], y[1:]))
    if len(x) > 1:
        line = Shapes.stroked(chart.axes, 4, theme.fuse, 1.8, "mean")
        line.show(lines(x[:-1], mean[:-1], x[1:], mean[1:]))
    places = np.column_stack([x, mean])[:, None, :] + (_DOT * dot * 2.5)[None]
    Shapes.filled(chart.axes, 4, Fill(theme.fuse), "means").show(polygons(places))
    if curve.measured:
        rows = np.array(curve.measured) / (1.0, unit)
        marks = Shapes.filled(chart.axes, 6, Fill(VERMILLION, theme.ground), "measured")
        marks.show(polygons(rows[:, None, :] + (_DIAMOND * dot * 6.5)[None]))
        key.append(("◆ measured", "name"))
    y_key = TOP + 8.0
    for text, role in key:
        chart.texts.append(Text(chart.x1 + 12, y_key, text, role))  # type: ignore[arg-type]
        y_key += 18
    chart.label_axes(curve.over, f"{word}, from the Job's start to the last item")


def _round_top(most: float) -> float:
    """Return a round number a little above, which changes in steps while `most` glides."""
    scale: float = 10.0 ** math.floor(math.log10(most * 1.05))
    return next((top * scale for top in _TOPS if top * scale >= most * 1.05), 10 * scale)
