"""What more pods bring: how many times as fast they were, how much that differed from run to
run, and Amdahl's law beside it.

G. M. Amdahl, "Validity of the single processor approach to achieving large scale computing
capabilities" (1967): if a share of the work cannot be divided, then that many pods are at most
`1 / (share + (1 - share) / pods)` times as fast as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.path import Path

from ..history import History
from .bars import Floats
from .canvas import Picture, Shapes, lines, polygons
from .charts import LEFT, TOP, Chart
from .lettering import Text
from .theme import THEMES, VERMILLION, Fill, ThemeName

Runs = Mapping[int, History | Sequence[History]]

_DIAMOND = np.array([(0, 1), (1, 0), (0, -1), (-1, 0), (0, 1)], dtype=np.float64)
_SQUARE = np.array([(-1, 1), (1, 1), (1, -1), (-1, -1), (-1, 1)]) * 0.8
_TRIANGLE = np.array([(0, 1), (1, -0.8), (0, -0.8), (-1, -0.8), (0, 1)])
_MARKS = (("◆", _DIAMOND), ("■", _SQUARE), ("▲", _TRIANGLE))
MOST_SERIES = len(_MARKS)


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times as fast as one pod a number of pods was.

    Attributes:
        pods: How many pods worked.
        median: That of the runs.
        low: The slowest run.
        high: The fastest.
        runs: How many runs there were.
    """

    pods: int
    median: float
    low: float
    high: float
    runs: int = 1


def speedups(runs: Runs) -> list[Speedup]:
    """Return the speedup that each number of pods brought.

    A run lasts from its first lease to its last completion, so the start of pods counts only
    if they worked while others started.

    Args:
        runs: By the number of pods: a run of that many, or several, of the same kind of items.

    Returns:
        In the order of pods. The median of the smallest number of pods counts as ideal.

    Raises:
        ValueError: A run completed nothing, or a number of pods is less than 1.
    """
    rates: dict[int, Floats] = {}
    for pods, some in sorted(runs.items()):
        histories = [some] if isinstance(some, History) else list(some)
        if pods < 1 or not histories:
            raise ValueError(f"There is no run of {pods} pods. Pass one or more: {{1: [history]}}.")
        rates[pods] = np.array([_rate(pods, history) for history in histories])
    least = min(rates)
    one = float(np.median(rates[least])) / least
    return [
        Speedup(pods, float(np.median(x)) / one, float(min(x)) / one, float(max(x)) / one, len(x))
        for pods, x in rates.items()
    ]


def _rate(pods: int, history: History) -> float:
    spans = [span for lane in history.lanes.values() for span in lane.spans]
    ends = [span.end for span in spans if span.end is not None and span.outcome == "complete"]
    if not ends:
        raise ValueError(f"The run of {pods} pods completed nothing, so it has no speed.")
    return history.counts.done / max(max(ends) - min(span.lent for span in spans), 1e-9)


def serial_share(measured: Sequence[Speedup]) -> float | None:
    """Fit Amdahl's law: return the share of the work that seems not to be divided.

    By least squares on the times of the runs, relative to that of one pod, in which the law is
    a straight line: `1 / speedup = share + (1 - share) / pods`.

    Args:
        measured: What `speedups` returned.

    Returns:
        0 (all is divided) to 1 (nothing is), or None if only one pod was measured.
    """
    pods = np.array([one.pods for one in measured], dtype=np.float64)
    times = np.array([1 / one.median for one in measured])
    room = 1 - 1 / pods
    if not room.any():
        return None
    return float(np.clip((room * (times - 1 / pods)).sum() / (room**2).sum(), 0.0, 1.0))


def speedup(
    runs: Runs | Mapping[str, Runs],
    *,
    cores: float | None = None,
    width: float = 620.0,
    height: float = 360.0,
    theme: ThemeName = "light",
) -> Picture:
    """Draw how many times as fast several pods were as one.

    Args:
        runs: By the number of pods: a run of that many, or several, of the same kind of items:
            `{1: [history, history], 2: [history]}`. Or up to three such by their names, to
            compare them.
        cores: How many cores there are: an upright line marks that many pods.
        width: In pixels.
        height: In pixels.
        theme: "light" or "dark".

    Returns:
        A mark at the median for each number of pods, upright bars from the slowest run to the
        fastest, and Amdahl's law fitted as a dotted curve, beside the broken line of the ideal
        (twice the pods, half the time).

    Raises:
        ValueError: There is no run, or one completed nothing, or there are too many names.
    """
    series = _series(runs)
    measured = {name: speedups(some) for name, some in series.items()}
    picture = Picture(width, height, THEMES[theme], "speedup")
    most = max(max(one.pods, one.high, 1.0) for some in measured.values() for one in some) * 1.12
    chart = Chart(picture, most, most)
    chart.x_marks = sorted({float(one.pods) for some in measured.values() for one in some})
    chart.rulers([f"{at:g}" for at in chart.x_marks])
    ideal = Shapes.stroked(chart.axes, 2, picture.theme.line, 1.0, "ideal", linestyle=(0, (5, 3)))
    ideal.show(lines(0.0, 0.0, most, most))
    chart.texts.append(Text(chart.x1 + 12, TOP + 8, "- - ideal"))
    if cores is not None and cores < most:
        mark = Shapes.stroked(chart.axes, 2, picture.theme.dim, 1.0, "cores", linestyle=(0, (1, 3)))
        mark.show(lines(cores, 0.0, cores, most))
        chart.texts.append(Text(chart.px(cores) + 4, TOP + 8, f"{cores:g} cores", "dim"))
    y = TOP + 32.0
    for i, (name, some) in enumerate(measured.items()):
        y = _draw(chart, i, name, some, y, numbers=len(measured) == 1)
    if any(one.runs > 1 for some in measured.values() for one in some):
        chart.texts.append(Text(chart.x1 + 12, y, "I  slowest to fastest run"))
    chart.label_axes("pods", "times as fast")
    return picture


def _series(runs: Runs | Mapping[str, Runs]) -> dict[str, Runs]:
    named: dict[str, Runs] = {}
    if any(isinstance(key, str) for key in runs):
        named = {str(name): some for name, some in runs.items()}  # type: ignore[misc]
    elif runs:
        named = {"measured": runs}  # type: ignore[dict-item]
    if not named or not all(named.values()):
        raise ValueError(
            "There is no run to draw. Pass them by their number of pods: {1: history}."
        )
    if len(named) > MOST_SERIES:
        raise ValueError(f"{len(named)} curves in one picture are too many: at most {MOST_SERIES}.")
    return named


def _draw(
    chart: Chart, number: int, name: str, some: list[Speedup], y: float, *, numbers: bool
) -> float:
    """Draw one curve and its entry in the key; return where the next entry goes."""
    theme = chart.picture.theme
    colour = (theme.fuse, VERMILLION, theme.text)[number]
    sign, mark = _MARKS[number]
    gid = "" if number == 0 else f" {number + 1}"
    x = np.array([one.pods for one in some], dtype=np.float64)
    median, low, high = np.array([(one.median, one.low, one.high) for one in some]).T
    Shapes.stroked(chart.axes, 4, colour, 1.6, "measured" + gid).show(
        lines(x[:-1], median[:-1], x[1:], median[1:])
    )
    Shapes.stroked(chart.axes, 4, colour, 1.2, "spread" + gid).show(
        _whiskers(x, low, high, 5.0 * chart.most_x / (chart.x1 - LEFT))
    )
    size = np.array([chart.most_x / (chart.x1 - LEFT), chart.most_y / (chart.y1 - TOP)]) * 5.0
    rows = np.column_stack([x, median])
    dots = Shapes.filled(chart.axes, 5, Fill(colour, theme.ground), "runs" + gid)
    dots.show(polygons(rows[:, None, :] + (mark * size)[None]))
    share = serial_share(some)
    if share is not None:
        along = np.linspace(1.0, chart.most_x, 200)
        law = 1 / (share + (1 - share) / along)
        fit = Shapes.stroked(chart.axes, 3, colour, 1.1, "amdahl" + gid, linestyle=(0, (1, 2)))
        fit.show(lines(along[:-1], law[:-1], along[1:], law[1:]))
    for i, one in enumerate(some):
        if numbers or i == len(some) - 1:
            place = Text(chart.px(one.pods) + 9, chart.py(one.median) + 11, f"{one.median:.1f}×")
            chart.texts.append(place._replace(role="name"))
    last = some[-1]
    said = [(f"{sign} {name}", "name"), (f"{last.median / last.pods:.0%} of the ideal", "dim")]
    said += [(f"with {last.pods} pods", "dim")]
    if share is not None:
        said += [("··· Amdahl's law with", "dim"), (f"{share:.0%} not divided", "dim")]
    for text, role in said:
        chart.texts.append(Text(chart.x1 + 12, y, text, role))  # type: ignore[arg-type]
        y += 16
    return y + 12


def _whiskers(x: Floats, low: Floats, high: Floats, half: float) -> Path | None:
    """Return upright lines with a stroke across each end, for those that have a length."""
    some = high > low
    x, low, high = x[some], low[some], high[some]
    return lines(
        np.concatenate([x, x - half, x - half]),
        np.concatenate([low, low, high]),
        np.concatenate([x, x + half, x + half]),
        np.concatenate([high, low, high]),
    )
