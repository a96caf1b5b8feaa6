"""Draws the chart of the README: who drains how fast, on one core and on two.

A dot plot on a logarithmic axis, as the rates span three powers of ten. Colours are Okabe and
Ito's; the placement is told by the shape, who it is by the name beside it, so nothing hangs on
colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OURS, _PEER, _FLOOR, _TEXT, _GRID = "#0072B2", "#D55E00", "#767676", "#222222", "#DDDDDD"
_SHAPES = {"one_core": ("o", "one core"), "two_cores": ("D", "two cores")}


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Write the chart as PNG or SVG, by the name of `path`.

    Raises:
        ImportError: There is no matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rows = _rows(result)
    figure = Figure(figsize=(9.6, 0.8 + 0.36 * len(rows)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    for height, (_, kind, rates) in enumerate(rows):
        color = _color(kind)
        axes.plot(list(rates.values()), [height] * len(rates), color=color, lw=1.5, zorder=2)
        for place, rate in rates.items():
            face = color if place == "one_core" else "white"
            shape = _SHAPES[place][0]
            axes.plot(rate, height, shape, ms=8, mfc=face, mec=color, mew=1.8, zorder=3)
        axes.annotate(
            "  /  ".join(_short(rates[place]) if place in rates else "-" for place in _SHAPES),
            (max(rates.values()), height),
            xytext=(11, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=_TEXT,
        )
    axes.set_yticks(range(len(rows)), [title for title, _, _ in rows], fontsize=10)
    for label, (_, kind, _) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(_color(kind))
        label.set_fontweight("bold" if kind == "ours" else "normal")
    low = min(min(rates.values()) for _, _, rates in rows)
    high = max(max(rates.values()) for _, _, rates in rows)
    axes.set_xlim(low / 1.5, high * 4)
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.set_xlabel("no-op items a second, drained by one worker (logarithmic)", color=_TEXT)
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False)
    handles = [
        Line2D(
            [],
            [],
            marker=shape,
            ls="",
            ms=8,
            mew=1.8,
            mec=_TEXT,
            label=f"worker and server on {label}",
            mfc=_TEXT if place == "one_core" else "white",
        )
        for place, (shape, label) in _SHAPES.items()
    ]
    axes.legend(handles=handles, loc="lower right", frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(
        path, facecolor="white", metadata={"Software": None} if path.suffix == ".png" else None
    )


def _rows(result: Mapping[str, Any]) -> list[tuple[str, str, dict[str, float]]]:
    """Name, kind and rates by placement, the slowest first."""
    rows: dict[str, tuple[str, str, dict[str, float]]] = {}
    for place in _SHAPES:
        for name, line in result.get(place, {}).get("contenders", {}).items():
            if "items_per_second" in line:
                row = rows.setdefault(name, (line["title"], _kind(name), {}))
                row[2][place] = line["items_per_second"]
    return sorted(rows.values(), key=lambda row: sum(row[2].values()) / len(row[2]))


def _kind(name: str) -> str:
    if name.startswith("wqlib"):
        return "ours"
    return "floor" if name.startswith("floor") else "peer"


def _color(kind: str) -> str:
    return {"ours": _OURS, "peer": _PEER, "floor": _FLOOR}[kind]


def _short(rate: float) -> str:
    return f"{rate / 1000:.3g}k" if rate >= 1000 else f"{rate:.3g}"
