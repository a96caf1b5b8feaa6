"""The panels of a picture: lanes, queue over time, throughput, time ruler, legend.

A panel makes its shapes once; `show` gives them new outlines. What goes where is decided
in `wqlib.plots.layout` and `wqlib.plots.depthlayout`, not here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.path import Path

from ..history import History, words
from ..history.timeaxis import TimeAxis, ticks
from . import depthlayout, layout
from .bars import BAR_KINDS, EndedBars, Floats
from .canvas import Picture, Shapes, TextLayer, curves, lines, polygons, rectangles
from .lanes import BAND, LEFT, RIGHT
from .lettering import Text, text_width
from .theme import MEANING, Fill, Theme

LEGEND_LINE = 20.0
LEGEND = 46.0  # two lines of it
_DOTS = (0, (1.2, 1))
RULER = 20.0
_MARK_WORDS = {
    "pending": "pod created",
    "running": "started",
    "terminating": "asked to end",
    "evicted": "evicted",
    "succeeded": "finished",
    "failed": "ended early",
    "killed": "killed",
}
_BAND_WORDS = {"done": "done", "leased": "leased", "pending": "waiting", "dead": "dead"}


class Panel:
    """A part of a picture, as wide as the time axis, with a grid and texts.

    Args:
        picture: The figure.
        top: Its upper edge, in pixels.
        height: In pixels.
    """

    def __init__(self, picture: Picture, top: float, height: float) -> None:
        self.top, self.height = top, height
        self.axes = picture.area(top, height, LEFT, RIGHT)
        self._wide = picture.area(top, height)
        self._picture = picture
        self._grid = Shapes.stroked(self.axes, 1, picture.theme.grid, 0.8, "grid")
        self._texts = TextLayer(picture)

    def place(self, top: float, height: float) -> None:
        """Put it elsewhere, in pixels."""
        if (top, height) != (self.top, self.height):
            self.top, self.height = top, height
            self._picture.move(self.axes, top, height, LEFT, RIGHT)
            self._picture.move(self._wide, top, height)

    def show(self, history: History, axis: TimeAxis) -> None:
        """Set what is drawn next."""
        raise NotImplementedError

    def _scale(self, axis: TimeAxis, low: float, high: float) -> None:
        """Show this time, and a grid from `low` to `high`."""
        self.axes.set_xlim(axis.start, axis.end)
        at = np.array([seconds for seconds, _ in ticks(axis)])
        self._grid.show(lines(at, low, at, high))


class Lanes(Panel):
    """The lanes of the pods.

    Attributes:
        plan: What is drawn.
    """

    plan: layout.TimelineLayout

    def __init__(self, picture: Picture, top: float, height: float) -> None:
        super().__init__(picture, top, height)
        axes, theme = self.axes, picture.theme
        self._wide.set_zorder(-1)
        self._width = picture.width
        self._stripes = Shapes.filled(self._wide, 0, Fill(theme.stripe), "stripes")
        self._rails = Shapes.stroked(axes, 2, theme.line, 0.9, "rails")
        self._bars = {kind: Shapes.filled(axes, 3, theme.fills[kind], kind) for kind in BAR_KINDS}
        self._now = Shapes.stroked(axes, 3.5, theme.dim, 0.8, "now")
        self._fuses = Shapes.stroked(axes, 4, theme.fuse, 1.6, "fuses", linestyle=_DOTS)
        self._deadlines = Shapes.stroked(axes, 4, theme.fuse, 1.8, "deadlines")
        self._renewals = Shapes.stroked(axes, 4, theme.on_bar, 1.0, "renewals")
        self._late = Shapes.stroked(axes, 4, theme.text, 1.0, "late-renewals")
        self._halo = Shapes.stroked(axes, 5, theme.ground, 3.2, "halo")
        self._curves = Shapes.stroked(axes, 6, theme.text, 1.1, "handovers")
        self._arrows = Shapes.filled(axes, 6, Fill(theme.text), "arrows")
        self._marks = {
            kind: Shapes.filled(axes, 7, fill, f"mark-{kind}")
            for kind, fill in _mark_fills(theme).items()
        }
        for marks in self._marks.values():
            marks.set_clip_on(False)
        self._ended = EndedBars()

    def show(self, history: History, axis: TimeAxis) -> None:
        plan = layout.timeline(history, axis, top=self.top, height=self.height, ended=self._ended)
        self.plan = plan
        low, high = self.top + BAND, self.top + self.height
        self._scale(axis, low, high)
        self._stripes.show(
            rectangles([(0, self._width, b.top, b.top + b.height) for b in plan.boxes if b.stripe])
        )
        start, end, y = plan.rails.T
        self._rails.show(lines(start, y, end, y))
        for kind, shapes in self._bars.items():
            shapes.show(rectangles(plan.bars[kind]))
        self._now.show(lines(axis.now, low, axis.now, high) if axis.live else None)
        start, end, y = plan.fuses.T
        self._fuses.show(lines(start, y, end, y))
        for shapes, rows in (
            (self._renewals, plan.renewals),
            (self._late, plan.late_renewals),
            (self._deadlines, plan.deadlines),
        ):
            at, top, bottom = rows.T
            shapes.show(lines(at, top, at, bottom))
        size = min([1.0, *(box.height / 20 for box in plan.boxes)])
        bends = curves(_control_points(plan.curves, axis))
        self._halo.show(bends)
        self._curves.show(bends)
        self._arrows.show(_glyphs("arrow", plan.curves[:, 2:], axis, size))
        for kind, marks in self._marks.items():
            marks.show(_glyphs(kind, plan.marks[kind], axis, size))
        self._texts.texts = plan.texts


class Depth(Panel):
    """The queue over time."""

    def __init__(self, picture: Picture, top: float, height: float) -> None:
        super().__init__(picture, top, height)
        fills = {band: picture.theme.fills[band] for band in depthlayout.BANDS}
        self._bands = {
            band: Shapes.filled(self.axes, 2, fill, band) for band, fill in fills.items()
        }
        self._swatches = {band: Shapes.filled(self._wide, 2, fill) for band, fill in fills.items()}

    def show(self, history: History, axis: TimeAxis) -> None:
        plan = depthlayout.depth(history, axis, top=self.top, height=self.height)
        self.axes.set_ylim(0, plan.most)
        self._scale(axis, 0, plan.most)
        total = f"{words.short_number(history.counts.total)} in all"
        texts = _title(self.top, "items", total)
        left = words.time_left(history.eta(axis.zero_at + axis.now)) if axis.live else []
        for line, said in enumerate(left):
            texts.append(Text(LEFT - 14, self.top + 50 + 14 * line, said, "dim", "right"))
        x = axis.x1 + 8
        for band, shapes in self._bands.items():
            shapes.show(_closed(plan.bands[band]) if band in plan.bands else None)
            if band not in plan.labels:
                self._swatches[band].show(None)
                continue
            level, y = plan.labels[band]
            self._swatches[band].show(rectangles([(x, x + 9, y - 4.5, y + 4.5)]))
            texts.append(
                Text(x + 15, y, f"{words.short_number(level)} {_BAND_WORDS[band]}", "name")
            )
        self._texts.texts = texts


class Throughput(Panel):
    """Items completed a second, over time."""

    def __init__(self, picture: Picture, top: float, height: float) -> None:
        super().__init__(picture, top, height)
        theme = picture.theme
        self._done = Shapes.filled(self.axes, 2, theme.fills["done"], "throughput")
        self._ahead = Shapes.filled(self.axes, 2, theme.fills["leased"], "throughput-ahead")
        self._mean = Shapes.stroked(self.axes, 3, theme.text, 1.1, "mean", linestyle=(0, (5, 3)))

    def show(self, history: History, axis: TimeAxis) -> None:
        plan = depthlayout.throughput(history, axis)
        self.axes.set_ylim(0, plan.most)
        self._scale(axis, 0, plan.most)
        self._done.show(_closed(plan.done) if len(plan.done) else None)
        self._ahead.show(_closed(plan.ahead) if len(plan.ahead) else None)
        self._mean.show(lines(axis.start, plan.mean, axis.now, plan.mean) if plan.mean else None)
        texts = _title(self.top, "items a second", f"at most {plan.highest:,.3g}")
        if plan.mean:
            y = max(self.top + self.height * (1 - plan.mean / plan.most), self.top + 8)
            texts.append(Text(axis.x1 + 8, y, f"mean {plan.mean:,.3g}", "name"))
        self._texts.texts = texts


class Ruler:
    """The moments under the lanes."""

    def __init__(self, picture: Picture, top: float) -> None:
        self._texts = TextLayer(picture)
        self.place(top)

    def place(self, top: float) -> None:
        """Put it elsewhere, in pixels."""
        self._y = top + RULER / 2

    def show(self, axis: TimeAxis) -> None:
        """Set what is drawn next."""
        self._texts.texts = [
            Text(axis.px(at), self._y, word, "dim", "center") for at, word in ticks(axis)
        ]


def _title(top: float, name: str, below: str) -> list[Text]:
    """Return what stands left of a panel."""
    return [
        Text(LEFT - 14, top + 8, name, "name", "right"),
        Text(LEFT - 14, top + 22, below, "dim", "right"),
    ]


def _closed(outline: Floats) -> Path | None:
    return polygons(np.vstack([outline, outline[:1]])[None])


def _control_points(rows: Floats, axis: TimeAxis) -> Floats:
    """Return control points of the handovers: they leave to the right, arrive from the left."""
    points = np.empty((len(rows), 4, 2))
    swing = np.maximum(16.0 / axis.scale, (rows[:, 2] - rows[:, 0]) / 2)
    hop = np.where(rows[:, 1] == rows[:, 3], -18.0, 0.0)  # the same lane: over the bars
    points[:, 0] = rows[:, :2]
    points[:, 3] = rows[:, 2:]
    points[:, 1, 0], points[:, 1, 1] = rows[:, 0] + swing, rows[:, 1] + hop
    points[:, 2, 0], points[:, 2, 1] = rows[:, 2] - swing, rows[:, 3] + hop
    return points


_CIRCLE = np.array([(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 17)])
_CROSS = np.array(
    [(0, 1), (3, 4), (4, 3), (1, 0), (4, -3), (3, -4), (0, -1), (-3, -4), (-4, -3), (-1, 0),
     (-4, 3), (-3, 4), (0, 1)]
)  # fmt: skip
# Outlines in pixels around the place of the mark, y downwards.
_GLYPHS: dict[str, Floats] = {
    "pending": _CIRCLE * 3.2,
    "running": np.array([(-8.5, -5), (-8.5, 5), (0, 0), (-8.5, -5)], float),
    "terminating": np.array([(-5, -4), (5, -4), (0, 5), (-5, -4)], float),
    "evicted": np.array(
        [
            (0, -6),
            (5.5, 1),
            (0, 1),
            (0, 2.5),
            (5.5, 2.5),
            (5.5, 5),
            (-5.5, 5),
            (-5.5, 2.5),
            (0, 2.5),
            (0, 1),
            (-5.5, 1),
            (0, -6),
        ]
    ),
    "succeeded": np.array([(-3.6, -3.6), (-3.6, 3.6), (3.6, 3.6), (3.6, -3.6), (-3.6, -3.6)]),
    "failed": np.array([(0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0), (0, -5.5)]),
    "killed": _CROSS * 1.6,
    "arrow": np.array([(-6, -3.6), (-6, 3.6), (1, 0), (-6, -3.6)], float),
}


def _mark_fills(theme: Theme) -> dict[str, Fill]:
    asked = Fill("#F0E442", theme.text if theme.ground == "#ffffff" else theme.ground)
    return {
        "pending": Fill(theme.ground, theme.line),
        "running": Fill(theme.ground, theme.text),
        "terminating": asked,
        "evicted": asked,
        "succeeded": Fill(theme.text, theme.ground),
        "failed": Fill(theme.ground, theme.text),
        "killed": Fill(theme.text, theme.ground),
    }


def _glyphs(kind: str, places: Floats, axis: TimeAxis, size: float = 1.0) -> Path | None:
    outline = _GLYPHS[kind] * size / (axis.scale, 1.0)
    return polygons(places[:, None, :] + outline[None])


class Legend:
    """What the fills, hatches and marks that are in a picture mean.

    Args:
        picture: The figure.
        top: Its upper edge, in pixels.
    """

    def __init__(self, picture: Picture, top: float) -> None:
        self._picture = picture
        self._axes = picture.area(top, LEGEND)
        self._top = top
        self._texts = TextLayer(picture)
        self._flat = TimeAxis(0, 0, picture.width, 0, False, 0, picture.width)
        self._said: list[str] = []
        picture.still += [self._axes, self._texts]

    def show(self, plan: layout.TimelineLayout) -> None:
        """Set what is drawn next, which seldom is something new."""
        said = legend_entries(plan)
        if said == self._said:
            return
        self._said = said
        self._picture.redraw_still()
        for artist in list(self._axes.patches):
            artist.remove()
        self._texts.texts = []
        for line, row in enumerate(legend_rows(said, self._picture.width)):
            x, y = _LEGEND_LEFT, self._top + 14 + LEGEND_LINE * line
            for kind in row:
                self._draw(kind, x, y)
                word, indent = _ENTRIES[kind]
                self._texts.texts.append(Text(x + indent, y, word))
                x += _entry_width(kind)

    def _draw(self, kind: str, x: float, y: float) -> None:
        theme, fills = self._picture.theme, _mark_fills(self._picture.theme)
        if kind in MEANING:
            box = rectangles([(x, x + 20, y - 6, y + 6)])
            Shapes.filled(self._axes, 1, theme.fills[kind]).show(box)
        elif kind.startswith("mark-"):
            mark = kind.removeprefix("mark-")
            self._glyph(mark, x + (9 if mark == "running" else 5), y, fills[mark])
        elif kind == "fuses":
            self._line(theme.fuse, 1.6, x, y, x + 22, y, linestyle=_DOTS)
        elif kind == "deadlines":
            self._line(theme.fuse, 1.8, x + 3, y - 6, x + 3, y + 6)
        elif kind == "renewals":
            self._line(theme.text, 1.2, x + 3, y - 6, x + 3, y + 1)
        else:
            self._line(theme.text, 1.1, x, y, x + 22, y)
            self._glyph("arrow", x + 22, y, Fill(theme.text))

    def _glyph(self, kind: str, x: float, y: float, fill: Fill) -> None:
        Shapes.filled(self._axes, 2, fill).show(_glyphs(kind, np.array([[x, y]]), self._flat))

    def _line(
        self, colour: str, width: float, x0: float, y0: float, x1: float, y1: float, **look: Any
    ) -> None:
        Shapes.stroked(self._axes, 1, colour, width, **look).show(lines(x0, y0, x1, y1))


_LEGEND_LEFT = 12.0
# What each entry of the legend says, and how far right of its shape.
_ENTRIES: dict[str, tuple[str, float]] = {
    **{kind: (meaning, 26.0) for kind, meaning in MEANING.items()},
    **{f"mark-{kind}": (word, 16.0) for kind, word in _MARK_WORDS.items()},
    "fuses": ("time left of a lease", 28.0),
    "deadlines": ("deadline", 10.0),
    "renewals": ("renewed", 10.0),
    "curves": ("leased again", 28.0),
}


def legend_entries(plan: layout.TimelineLayout) -> list[str]:
    """Return which entries a picture needs, in their order."""
    there = {kind for kind, rows in plan.bars.items() if len(rows)}
    there |= {f"mark-{kind}" for kind, rows in plan.marks.items() if len(rows)}
    rest = {
        "fuses": plan.fuses,
        "deadlines": plan.deadlines,
        "renewals": np.concatenate([plan.renewals, plan.late_renewals]),
        "curves": plan.curves,
    }
    there |= {kind for kind, rows in rest.items() if len(rows)}
    return [kind for kind in _ENTRIES if kind in there]


def legend_rows(entries: list[str], width: float) -> list[list[str]]:
    """Return the entries in rows that fit into a width in pixels."""
    rows: list[list[str]] = []
    x = width
    for kind in entries:
        x += _entry_width(kind)
        if x > width:
            rows.append([])
            x = _LEGEND_LEFT + _entry_width(kind)
        rows[-1].append(kind)
    return rows


def _entry_width(kind: str) -> float:
    word, indent = _ENTRIES[kind]
    return indent + text_width(word) + 20
