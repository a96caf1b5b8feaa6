"""A picture that is made tile by tile: each tile as soon as it is done, in the colour and under
the number of the pod that made it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.path import Path

from ..history import History
from .bars import Floats
from .canvas import Picture, Shapes, TextLayer, lines, rectangles
from .lettering import Text
from .theme import BLUE, GREEN, ORANGE, PURPLE, SKY, THEMES, VERMILLION, Fill, ThemeName

# Okabe and Ito's colours, and a grey; then they begin again, and the numbers tell pods apart.
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, "#b5a900", "#7a7a7a")
_KEY = 230.0
MARGIN = 8.0
_MOST_WIDE, _MOST_HIGH = 640.0, 480.0
_MOST_PODS = 14


class Tile(NamedTuple):
    """Where a tile is in the picture, in pixels of the picture."""

    x: int
    y: int
    width: int
    height: int


class Part(NamedTuple):
    """What is known of a tile.

    Attributes:
        state: Not lent yet; lent; lost by a pod and waiting for another; done.
        pod: Number of the pod that has it, lost it or made it, from 1; 0: none.
        attempt: How often it was lent.
        item_id: Its number in the queue, or 0.
    """

    state: Literal["waiting", "leased", "lost", "done"] = "waiting"
    pod: int = 0
    attempt: int = 0
    item_id: int = 0


def tiles_of(items: Sequence[Mapping[str, Any]]) -> list[Tile]:
    """Return where the tiles are that the items of `wqlib.tasks.mandelbrot` ask for.

    Args:
        items: The items, all with the same `step`.

    Raises:
        ValueError: There is no item, or one is no tile of the same picture.
    """
    try:
        left, top = min(item["left"] for item in items), max(item["top"] for item in items)
        found = [
            Tile(
                round((item["left"] - left) / item["step"]),
                round((top - item["top"]) / item["step"]),
                int(item["width"]),
                int(item["height"]),
            )
            for item in items
        ]
        same = len({item["step"] for item in items}) == 1
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(
            f"These are no tiles ({error!r}). Pass a list of the items that the task mandelbrot "
            "takes: left, top, step, width, height, limit."
        ) from None
    if not same:
        raise ValueError("The tiles differ in `step`, so they are not of one picture.")
    return found


def parts_of(history: History, number: int) -> list[Part]:
    """Return what became of each of that many tiles, in the order in which they were put.

    The queue numbers its items in that order, as it lends them for the first time.
    """
    found = [Part() for _ in range(number)]
    spans = [
        (span, pod)
        for pod, lane in enumerate(history.lanes.values(), 1)
        for span in lane.spans
        if span.item_id
    ]
    first = min((span.item_id for span, _ in spans), default=0)
    for span, pod in sorted(spans, key=lambda pair: pair[0].attempt):
        place = span.item_id - first
        if place < number:
            state: Any = {"running": "leased", "complete": "done"}.get(span.outcome, "lost")
            found[place] = Part(state, pod, span.attempt, span.item_id)
    return found


class MosaicPicture:
    """The picture as far as it is made, drawn again and again.

    Args:
        tiles: Where the tiles are.
        limit: The value of a pixel of the set itself.
        theme: "light" or "dark".
        scale: Dots a pixel.

    Attributes:
        picture: The figure.
        zoom: Pixels of the figure for a pixel of the picture.
    """

    def __init__(
        self,
        tiles: Sequence[Tile],
        limit: int,
        *,
        theme: ThemeName = "light",
        scale: float = 1.5,
    ) -> None:
        self._tiles = tiles
        self._limit = limit
        wide = max(tile.x + tile.width for tile in tiles)
        high = max(tile.y + tile.height for tile in tiles)
        self.zoom = min(_MOST_WIDE / wide, _MOST_HIGH / high)
        width, height = wide * self.zoom, high * self.zoom
        full = max(height, 240.0) + 2 * MARGIN
        self.picture = Picture(width + _KEY + 2 * MARGIN, full, THEMES[theme], "mosaic", scale)
        self._key_x = width + 2 * MARGIN
        axes = self.picture.area(MARGIN, height, MARGIN, _KEY + MARGIN)
        colours = self.picture.theme
        self._ground = np.array(to_rgb(colours.stripe))
        self._pixels: Floats = np.ones((high, wide, 3))
        self._image = axes.imshow(
            self._pixels, interpolation="nearest", aspect="auto", extent=(0, wide, high, 0)
        )
        axes.set_xlim(0, wide)
        axes.set_ylim(high, 0)
        grid = Shapes.stroked(axes, 2, colours.ground, 1.0, "grid")
        grid.show(_outlines(tiles))
        self._lost = Shapes.filled(axes, 3, colours.fills["expire"], "lost")
        self._leased = Shapes.stroked(axes, 4, colours.text, 1.6, "leased", linestyle=(0, (4, 2)))
        self._retried = Shapes.stroked(axes, 4, colours.text, 2.4, "again")
        self._keys = [
            Shapes.filled(self.picture.area(0, full), 3, Fill(colour), f"key {i + 1}")
            for i, colour in enumerate(COLOURS)
        ]
        self._texts = TextLayer(self.picture)

    def key(self, history: History, results: Mapping[int, bytes], now: float) -> object:
        """Return what is equal for frames that are equal."""
        return id(history), history.version, len(results)

    def frame(self, history: History, results: Mapping[int, bytes], now: float) -> bytes:
        """Draw the picture as far as it is made.

        Args:
            history: The run so far.
            results: The pixels of the tiles that are done, by item id.
            now: The present, in seconds since the epoch.

        Returns:
            A PNG, always of the same size.
        """
        self.show(history, results, now)
        return self.picture.frame()

    def show(self, history: History, results: Mapping[int, bytes], now: float) -> None:
        """Set what is drawn next."""
        parts = parts_of(history, len(self._tiles))
        pairs = list(zip(self._tiles, parts, strict=True))
        self._pixels[:] = self._ground
        for tile, part in pairs:
            if part.state == "done":
                self._colour(tile, part, results.get(part.item_id, b""))
        self._image.set_data(self._pixels)
        leased = [tile for tile, part in pairs if part.state == "leased"]
        retried = [tile for tile, part in pairs if part.state == "done" and part.attempt > 1]
        self._lost.show(rectangles(_edges([tile for tile, part in pairs if part.state == "lost"])))
        self._leased.show(_outlines(leased, 2 / self.zoom))
        self._retried.show(_outlines(retried, 2 / self.zoom))
        labels = [self._label(tile, part) for tile, part in pairs if part.pod]
        self._texts.texts = labels + self._show_key(history, parts, now)

    def _colour(self, tile: Tile, part: Part, result: bytes) -> None:
        if len(result) != tile.width * tile.height:
            return  # its pixels have not been read yet
        counts = np.frombuffer(result, np.uint8).reshape(tile.height, tile.width)
        colour = np.array(to_rgb(colour_of(part.pod)))
        shade = 0.18 + 0.82 * (counts[:, :, None] / self._limit) ** 0.4
        drawn = (1 - shade) + colour * shade
        drawn[counts >= self._limit] = 0.4 * colour
        self._pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] = drawn

    def _label(self, tile: Tile, part: Part) -> Text:
        x, y = tile.x * self.zoom + MARGIN, tile.y * self.zoom + MARGIN
        again = f", try {part.attempt}" if part.attempt > 1 else ""
        if part.state == "done":
            return Text(x + 5, y + 9, f"{part.pod}{again}", "lost")
        x, y = x + tile.width * self.zoom / 2, y + tile.height * self.zoom / 2
        if part.state == "lost":
            return Text(x, y, f"lost by {part.pod}", "lost", "center")
        return Text(x, y, f"{part.pod}{again}", "name", "center")

    def _show_key(self, history: History, parts: Sequence[Part], now: float) -> list[Text]:
        """Show each pod's colour, and return its number, name, tiles made and state."""
        rows = history.table(now)
        shown = rows[:_MOST_PODS]
        for i, shapes in enumerate(self._keys):
            shapes.show(rectangles([self._box(n) for n in range(i, len(shown), len(COLOURS))]))
        texts = []
        for n, row in enumerate(shown):
            _, end, top, bottom = self._box(n)
            made = sum(part.state == "done" and part.pod == n + 1 for part in parts)
            x, y = end + 8, (top + bottom) / 2
            short = row.pod.rpartition("-")[2][-12:]
            texts += [
                Text(x, y, f"{n + 1}", "name"),
                Text(x + 22, y, f"…{short}" if short != row.pod else short, "dim"),
                Text(x + 98, y, f"{made} tile" + "s" * (made != 1), "name"),
                Text(x + 150, y, row.state, "dim"),
            ]
        y = self._box(len(shown))[2] + 12
        notes = ["- -  lent", "▨  lost by a pod, waits", "□  thick: done at another try"]
        if hidden := len(rows) - len(shown):
            notes.insert(0, f"and {hidden} more pods")
        return texts + [Text(self._key_x, y + 16 * i, note, "dim") for i, note in enumerate(notes)]

    def _box(self, row: int) -> tuple[float, float, float, float]:
        top = MARGIN + 4 + 20.0 * row
        return self._key_x, self._key_x + 20, top, top + 13


def colour_of(pod: int) -> str:
    """Return the colour of a pod, by its number from 1."""
    return COLOURS[(pod - 1) % len(COLOURS)]


def _edges(tiles: Sequence[Tile], inset: float = 0.0) -> Floats:
    """Return rows of left, right, top, bottom."""
    rows = [
        (t.x + inset, t.x + t.width - inset, t.y + inset, t.y + t.height - inset) for t in tiles
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _outlines(tiles: Sequence[Tile], inset: float = 0.0) -> Path | None:
    x0, x1, y0, y1 = _edges(tiles, inset).T
    return lines(
        np.concatenate([x0, x1, x1, x0]),
        np.concatenate([y0, y0, y1, y1]),
        np.concatenate([x1, x1, x0, x0]),
        np.concatenate([y0, y1, y1, y0]),
    )
