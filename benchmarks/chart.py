"""Draws the chart of the README: a row for each library, and the two comparisons side by side.

Left, how many no-op items a worker drains, on a logarithmic axis, as the rates span three powers
of ten; right, how close to the ideal it comes with items that wait. Colours are Okabe and Ito's;
what is ours is also bold, and the placement is told by the shape, so nothing hangs on colour
alone. The card is opaque, for pages that are light and pages that are dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .report import IDEAL
from .roster import WAITING_AT_ONCE, WAITING_MS

_OURS, _PEER, _FLOOR, _TEXT, _GRID = "#0072B2", "#B34E00", "#666666", "#222222", "#DDDDDD"
_TITLE: dict[str, Any] = {"fontsize": 11, "color": _TEXT, "loc": "left"}
_CARD, _EDGE = "#FFFFFF", "#D0D7DE"
_SHAPES = {"one_core": ("o", "one core"), "two_cores": ("D", "two cores")}
# what people read, the colour, and the names of the lines: at most one that drains, and those
# that wait
_ROWS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("wqlib Worker", _OURS, "wqlib_worker", ("wqlib_threads", "wqlib_async")),
    ("redis-py, a bare round trip an item", _FLOOR, "floor_redis_py", ()),
    ("wqlib, one item at a time", _OURS, "wqlib", ()),
    ("ChasquiMQ (Rust)", _PEER, "chasquimq_c100", ("chasquimq",)),
    ("BullMQ (Node)", _PEER, "bullmq_c50", ("bullmq",)),
    ("taskiq, stream broker", _PEER, "taskiq", ("taskiq",)),
    ("arq", _PEER, "arq", ("arq",)),
    ("saq", _PEER, "saq", ("saq",)),
    ("redis-work-queue", _PEER, "redis_work_queue", ()),
    ("rq, SimpleWorker", _PEER, "rq", ()),
)
_KINDS = {"wqlib_threads": "threads", "wqlib_async": "async def"}


@dataclass(frozen=True)
class _Row:
    """A library.

    Attributes:
        rates: No-op items a second, by placement.
        shares: Share of the ideal of items that wait, by what is said beside it.
        is_single: It works on one item at a time only.
    """

    title: str
    color: str
    rates: dict[str, float]
    shares: dict[str, float]
    is_single: bool


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Write the chart as PNG or SVG, by the name of `path`.

    Raises:
        ImportError: There is no matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    rows = _rows(result)
    figure = Figure(figsize=(11, 1.8 + 0.37 * len(rows)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(rect=(0.01, 0.015, 0.98, 0.97), wspace=0.03)
    drains, waits = figure.subplots(1, 2, sharey=True, width_ratios=(5, 4))
    _draw_drains(drains, rows)
    _draw_waits(waits, rows)
    drains.set_yticks(range(len(rows)), [row.title for row in rows], fontsize=10)
    for label, row in zip(drains.get_yticklabels(), rows, strict=True):
        label.set(color=row.color, fontweight="bold" if row.color == _OURS else "normal")
    for axes in (drains, waits):
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=_GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.supxlabel(_beside(result), fontsize=8, color=_FLOOR)
    shape = "round,pad=0,rounding_size=0.012"
    figure.patches.append(
        FancyBboxPatch(
            (0.001, 0.002),
            0.998,
            0.996,
            boxstyle=shape,
            transform=figure.transFigure,
            fc=_CARD,
            ec=_EDGE,
            zorder=-1,
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(
        path, transparent=True, metadata={"Software": None} if path.suffix == ".png" else None
    )


def _draw_drains(axes: Any, rows: list[_Row]) -> None:
    axes.set_xscale("log")
    for height, row in enumerate(rows):
        axes.plot(list(row.rates.values()), [height] * len(row.rates), color=row.color, lw=1.5)
        for place, rate in row.rates.items():
            face = row.color if place == "one_core" else _CARD
            axes.plot(rate, height, _SHAPES[place][0], ms=8, mfc=face, mec=row.color, mew=1.8)
        text = " / ".join(_short(rate) for rate in row.rates.values())
        _write(axes, text, max(row.rates.values(), default=1), height, 11)
    every = [rate for row in rows for rate in row.rates.values()]
    axes.set_xlim(min(every) / 1.5, max(every) * 7)
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.set_title("Items that do nothing", **_TITLE)
    axes.set_xlabel("items a second (logarithmic)", color=_TEXT)
    for place, (shape, label) in _SHAPES.items():
        face = _TEXT if place == "one_core" else _CARD
        axes.plot([], [], shape, ms=8, mew=1.8, mec=_TEXT, mfc=face, label=label)
    axes.legend(loc="lower right", frameon=False, fontsize=9, title="worker and server on")


def _draw_waits(axes: Any, rows: list[_Row]) -> None:
    for height, row in enumerate(rows):
        size = 0.42 if len(row.shares) > 1 else 0.6
        for number, (kind, share) in enumerate(row.shares.items()):
            at = height + size * ((len(row.shares) - 1) / 2 - number)
            axes.barh(at, share, size - 0.03, color=row.color)
            _write(axes, f"{kind} {share:.0%}", share, at, -6, color=_CARD, ha="right")
        if row.is_single and row.color == _PEER:
            _write(axes, "has no such option", 0, height, 4, color=_FLOOR)
    axes.axvline(1, color=_TEXT, lw=1.2, ls="--")
    axes.set_xlim(0, 1.06)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "ideal"])
    axes.set_title(f"Items that wait for {WAITING_MS} ms, {WAITING_AT_ONCE} at a time", **_TITLE)
    axes.set_xlabel(f"of the ideal {IDEAL:,.0f} items a second", color=_TEXT)


def _write(
    axes: Any, text: str, x: float, y: float, points: int, *, color: str = _TEXT, ha: str = "left"
) -> None:
    """Write beside a point, so many points to the right."""
    axes.annotate(
        text,
        (x, y),
        xytext=(points, 0),
        textcoords="offset points",
        va="center_baseline",
        ha=ha,
        fontsize=9,
        color=color,
    )


def _beside(result: Mapping[str, Any]) -> str:
    return (
        f"One worker; medians of {result['repeats']} rounds; {result['server']}, Python "
        f"{result['python']}; {result['machine']}; load {result['load_before']:.2f} before, "
        f"{result['load_after']:.2f} after"
    )


def _rows(result: Mapping[str, Any]) -> list[_Row]:
    """All that was measured, the slowest first."""

    def found(place: str, name: str, figure: str) -> dict[str, Any]:
        line = result.get(place, {}).get("contenders", {}).get(name, {})
        return {place: line[figure]} if figure in line else {}

    rows = []
    for title, color, drain, waiting in _ROWS:
        rates: dict[str, float] = {}
        for place in _SHAPES:
            rates |= found(place, drain, "items_per_second")
        shares = {
            _KINDS.get(name, ""): share
            for name in waiting
            for share in found("waiting", name, "share_of_ideal").values()
        }
        if rates or shares:
            rows.append(_Row(title, color, rates, shares, not waiting))
    return sorted(rows, key=lambda row: sum(row.rates.values()) / max(1, len(row.rates)))


def _short(rate: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if rate >= unit:
            return f"{rate / unit:.3g}{name}"
    return f"{rate:.3g}"
