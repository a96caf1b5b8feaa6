"""What each of some patterns cost: a bar from nothing to the median, the work in it, the range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from .canvas import Picture, Shapes, TextLayer, lines, rectangles
from .charts import round_marks
from .lettering import Text
from .theme import THEMES, Fill, ThemeName

_LEFT, _RIGHT, _TOP, _ROW, _BOTTOM = 168.0, 128.0, 26.0, 34.0, 44.0


def costs(
    paid: Mapping[str, Sequence[float]], work: float, *, theme: ThemeName = "light"
) -> Picture:
    """Draw what was paid for the same work in several patterns.

    Args:
        paid: Pod-seconds of each run, by the name of the pattern.
        work: The pod-seconds among these that were work.
        theme: "light" or "dark".

    Returns:
        A bar for each pattern up to the median, its first part the work, and a thin line from the
        cheapest run to the dearest.
    """
    height = _TOP + _ROW * len(paid) + _BOTTOM
    picture = Picture(760, height, THEMES[theme], "costs")
    texts = TextLayer(picture).texts
    most = 1.08 * max(max(some) for some in paid.values())
    axes = picture.area(_TOP, _ROW * len(paid), _LEFT, _RIGHT)
    axes.set_xlim(0, most)
    axes.set_ylim(len(paid), 0)
    scale = (picture.width - _LEFT - _RIGHT) / most
    marks = round_marks(most, most * scale / 70)
    grid = Shapes.stroked(axes, 1, picture.theme.grid, 0.8, "grid")
    grid.show(lines(np.array(marks), 0.0, np.array(marks), float(len(paid))))
    below = height - _BOTTOM + 12
    texts += [Text(_LEFT + at * scale, below, f"{at:g}", "dim", "center") for at in marks]
    rows = np.arange(len(paid), dtype=np.float64)
    middle = np.array([median(some) for some in paid.values()])
    low, high = (np.array([end(some) for some in paid.values()]) for end in (min, max))
    zero, at_work = np.zeros(len(paid)), np.full(len(paid), work)
    top, bottom = rows + 0.2, rows + 0.8
    waste = Fill(picture.theme.stripe, picture.theme.line, "///")
    fills = {"starting and waiting": (at_work, middle, waste)}
    fills["work"] = (zero, at_work, picture.theme.fills["complete"])
    for name, (start, end, fill) in fills.items():
        bars = rectangles(np.column_stack([start, end, top, bottom]))
        Shapes.filled(axes, 3, fill, name).show(bars)
    ranges = Shapes.stroked(axes, 5, picture.theme.text, 1.6, "range")
    ranges.show(lines(low, rows + 0.5, high, rows + 0.5))
    for row, name in enumerate(paid):
        at = _TOP + (row + 0.5) * _ROW
        texts.append(Text(_LEFT - 8, at, name, "name", "right"))
        texts.append(Text(picture.width - _RIGHT + 10, at, f"{middle[row]:.1f} pod-seconds", "dim"))
    legend = "solid: work    hatched: starting and waiting    line: cheapest to dearest run"
    texts.append(Text(_LEFT, 12, legend, "dim"))
    texts.append(Text(_LEFT, height - 12, "pod-seconds paid for (median)", "name"))
    return picture
