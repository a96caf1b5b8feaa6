"""A figure without pyplot: fast text, fast PNG, and shapes drawn many at a time.

Three things make a frame cheap. All shapes of one kind are one compound path, so a hatch is
rendered once and not once a bar. A letter is rasterised once and then copied. And the PNG is
written with the fastest settings, since it is looked at once.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform
from numpy.typing import ArrayLike, NDArray

from . import lettering
from .bars import Floats
from .lettering import PIXELS_PER_INCH, Role, Text
from .theme import Fill, Theme

_SHIFT = {"left": 0.0, "center": 0.5, "right": 1.0}


class Picture(Figure):
    """A figure that shows itself in a notebook, without pyplot and without a backend.

    Args:
        width: In pixels of 1/100 inch.
        height: In pixels.
        theme: Colours.
        name: What it is a picture of; its `repr` says no more, so that it never changes.
        scale: Dots a pixel: 2.0 is sharp on every screen.

    Attributes:
        still: What never changes; `frame` draws it only once.
    """

    def __init__(
        self, width: float, height: float, theme: Theme, name: str = "picture", scale: float = 2.0
    ) -> None:
        super().__init__(
            figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH),
            dpi=PIXELS_PER_INCH * scale,
            facecolor=theme.ground,
        )
        FigureCanvasAgg(self)
        self.theme = theme
        self.name = name
        self.width, self.height = width, height
        self.still: list[Artist] = []
        self._background: Any = None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        size = {"width": round(self.width), "height": round(self.height)}
        return {"text/plain": repr(self), "image/png": self.png()}, {"image/png": size}

    def area(self, top: float, height: float, left: float = 0.0, right: float = 0.0) -> Axes:
        """Add an empty area without axes, its y running downwards in pixels of the figure."""
        axes = self.add_axes(self._bounds(top, height, left, right))
        axes.set_axis_off()
        axes.set_xlim(left, self.width - right)
        axes.set_ylim(top + height, top)
        return axes

    def move(
        self, axes: Axes, top: float, height: float, left: float = 0.0, right: float = 0.0
    ) -> None:
        """Put such an area elsewhere."""
        axes.set_position(self._bounds(top, height, left, right))
        axes.set_ylim(top + height, top)

    def _bounds(
        self, top: float, height: float, left: float, right: float
    ) -> tuple[float, float, float, float]:
        w, h = self.width, self.height
        return left / w, 1 - (top + height) / h, (w - left - right) / w, height / h

    def png(self) -> bytes:
        """Return the picture as a PNG file, packed well, since it is kept."""
        canvas: Any = self.canvas
        canvas.draw()
        return encode_png(np.asarray(canvas.buffer_rgba()), level=6)

    def frame(self) -> bytes:
        """Return the picture as a PNG file, for one that is drawn again and again."""
        canvas: Any = self.canvas
        if self._background is None:
            moving = [a for a in self.get_children() if a not in self.still and a is not self.patch]
            with _hidden(moving):
                canvas.draw()
            self._background = canvas.copy_from_bbox(self.bbox)
        with _hidden([*self.still, self.patch]):
            canvas.restore_region(self._background)
            self.draw(canvas.get_renderer())
        return encode_png(np.asarray(canvas.buffer_rgba()))

    def redraw_still(self) -> None:
        """Let the next frame draw what never changes once more, since it has changed."""
        self._background = None

    def svg(self) -> str:
        """Return the picture as SVG, its texts kept as text."""
        file = io.StringIO()
        settings = {"svg.fonttype": "none", "svg.hashsalt": "wqlib"}
        with mpl.rc_context(settings):  # type: ignore[arg-type]
            self.savefig(file, format="svg", facecolor=self.theme.ground, metadata={"Date": None})
        return file.getvalue()

    def save(self, path: str | FilePath) -> None:
        """Write the picture to a file.

        Args:
            path: Its ending says the format: `.png`, `.svg`, or another that matplotlib has.
        """
        target = FilePath(path)
        if target.suffix.lower() == ".png":
            target.write_bytes(self.png())
        elif target.suffix.lower() == ".svg":
            target.write_text(self.svg(), encoding="utf-8")
        else:
            self.savefig(target, facecolor=self.theme.ground)


@contextlib.contextmanager
def _hidden(artists: list[Artist]) -> Iterator[None]:
    seen = [artist for artist in artists if artist.get_visible()]
    for artist in seen:
        artist.set_visible(False)
    try:
        yield
    finally:
        for artist in seen:
            artist.set_visible(True)


def encode_png(pixels: NDArray[np.uint8], level: int = 1) -> bytes:
    """Write pixels as PNG, unfiltered: flat colours pack well all the same, and it is quick.

    Args:
        pixels: Rows of RGBA pixels.
        level: Of the compression, 1 (fast) to 9 (small).

    Returns:
        The file, see https://www.w3.org/TR/png/.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 4 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.data, level)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


class Shapes(PathPatch):
    """Many shapes of one look, drawn as one path."""

    def __init__(self, axes: Axes, zorder: float, **look: Any) -> None:
        super().__init__(Path(np.zeros((1, 2))), zorder=zorder, **look)
        self.set_visible(False)
        axes.add_artist(self)

    @classmethod
    def filled(cls, axes: Axes, zorder: float, fill: Fill, name: str = "") -> Shapes:
        """Make shapes with a fill, known by a name in the SVG."""
        shapes = cls(
            axes,
            zorder,
            facecolor=fill.face,
            edgecolor=fill.edge,
            hatch=fill.hatch or None,
            linewidth=0.0 if fill.edge == "none" else 0.7,
            linestyle=(0, (3, 2)) if fill.dashed else "solid",
            gid=name or None,
        )
        if hasattr(shapes, "set_hatch_linewidth"):
            shapes.set_hatch_linewidth(0.9)
        return shapes

    @classmethod
    def stroked(
        cls, axes: Axes, zorder: float, colour: str, width: float, name: str = "", **look: Any
    ) -> Shapes:
        """Make lines without a fill, known by a name in the SVG."""
        return cls(
            axes, zorder, fill=False, edgecolor=colour, linewidth=width, gid=name or None, **look
        )

    def show(self, path: Path | None) -> None:
        """Draw this from now on; None draws nothing."""
        self.set_visible(path is not None)
        if path is not None:
            self.set_path(path)


def rectangles(rows: ArrayLike) -> Path | None:
    """Return rectangles, of rows of start, end, top, bottom."""
    rows = np.asarray(rows, dtype=np.float64)
    if not len(rows):
        return None
    corners = np.empty((len(rows), 5, 2))
    corners[:, :, 0] = rows[:, [0, 0, 1, 1, 0]]
    corners[:, :, 1] = rows[:, [2, 3, 3, 2, 2]]
    return polygons(corners)


def polygons(corners: Floats) -> Path | None:
    """Return closed shapes; `corners` is (number, corners, 2), the last corner being the first."""
    number, each, _ = corners.shape
    if not number:
        return None
    codes = np.full(each, Path.LINETO, Path.code_type)
    codes[0], codes[-1] = Path.MOVETO, Path.CLOSEPOLY
    return Path(corners.reshape(-1, 2), np.tile(codes, number))


def lines(
    x0: Floats | float, y0: Floats | float, x1: Floats | float, y1: Floats | float
) -> Path | None:
    """Return straight lines; a number is the same for all of them."""
    number = np.broadcast(x0, y0, x1, y1).size
    if not number:
        return None
    ends = np.empty((number, 2, 2))
    ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 0], ends[:, 1, 1] = x0, y0, x1, y1
    return Path(ends.reshape(-1, 2), np.tile([Path.MOVETO, Path.LINETO], number))


def curves(points: Floats) -> Path | None:
    """Return Bezier curves; `points` is (number, 4, 2), from the first point to the last."""
    if not len(points):
        return None
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    return Path(points.reshape(-1, 2), np.tile(codes, len(points)))


class TextLayer(Artist):
    """Texts at places in the figure, cheap to draw again and again.

    Attributes:
        texts: What is drawn.
    """

    def __init__(self, picture: Picture, zorder: float = 10.0) -> None:
        super().__init__()
        self.texts: list[Text] = []
        self.set_zorder(zorder)
        self._theme = picture.theme
        picture.add_artist(self)

    def draw(self, renderer: Any) -> None:
        if not self.get_visible():
            return
        figure = self.get_figure(root=True)
        assert isinstance(figure, Picture)
        scale = figure.dpi / PIXELS_PER_INCH
        bottom = figure.height * scale
        if isinstance(renderer, RendererAgg):
            gc = renderer.new_gc()
            for text in self.texts:
                plate = self._theme.ground if text.role == "lost" else ""
                image = lettering.bitmap(text.text, *self._look(text.role), figure.dpi, plate)
                left = round(text.x * scale - image.width * _SHIFT[text.align]) - lettering.PAD
                base = round(text.y * scale + image.above / 2)
                renderer.draw_image(gc, left, bottom - base - image.below, image.pixels)
            gc.restore()
            return
        for text in self.texts:
            colour, weight = self._look(text.role)
            font = lettering.font_of(weight)
            word = lettering.printable(text.text)
            width, _, _ = renderer.get_text_width_height_descent(word, font, False)
            _, above, _ = renderer.get_text_width_height_descent("H", font, False)
            gc = renderer.new_gc()
            gc.set_foreground(colour)
            x = text.x * scale - width * _SHIFT[text.align]
            y = text.y * scale + above / 2
            if text.role == "lost":
                _draw_plate(renderer, self._theme.ground, x, bottom - y, width, above)
            y = y if renderer.flipy() else bottom - y
            renderer.draw_text(gc, x, y, word, font, 0, False)
            gc.restore()

    def _look(self, role: Role) -> tuple[str, str]:
        theme = self._theme
        colour = {"dim": theme.dim, "bar": theme.on_bar}.get(role, theme.text)
        return colour, lettering.weight_of(role)


def _draw_plate(renderer: Any, ground: str, x: float, y: float, width: float, above: float) -> None:
    """Clear the place of a text whose base line begins at x, y; y runs upwards, as in paths."""
    gc = renderer.new_gc()
    gc.set_linewidth(0)
    low, high = y - 0.4 * above, y + 1.4 * above
    corners = [(x - 2, low), (x + width + 2, low), (x + width + 2, high), (x - 2, high)]
    renderer.draw_path(gc, Path([*corners, corners[0]]), IdentityTransform(), to_rgb(ground))
    gc.restore()
