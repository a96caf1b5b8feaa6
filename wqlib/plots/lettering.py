"""Texts as pixels, quick to make: each letter is rasterised once, and texts are put together.

A live view draws dozens of new numbers and names a second; to have a font engine set each of
them anew takes longer than all the rest of the picture.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

TEXT_SIZE = 8.0  # in points
PIXELS_PER_INCH = 100  # of the layout; a figure may have more dots than that
PAD = 2
_FAMILIES = ("Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans")
_LAST_RESORT = "DejaVu Sans"  # comes with matplotlib

# "lost" is a name on a hatched bar, which gets a ground of its own.
Role = Literal["name", "dim", "bar", "lost", "job"]


class Text(NamedTuple):
    """A text at a place in the figure, in pixels from its top left corner."""

    x: float
    y: float
    text: str
    role: Role = "dim"
    align: Literal["left", "center", "right"] = "left"


class Bitmap(NamedTuple):
    """A text as pixels.

    Attributes:
        pixels: Rows of RGBA, the lowest first, `PAD` pixels wider than the text on each side.
        width: Of the text.
        above: Height of a capital above the base line.
        below: How far the pixels reach below that line.
    """

    pixels: NDArray[np.uint8]
    width: float
    above: float
    below: int


class _Letter(NamedTuple):
    cover: NDArray[np.uint8]  # the lowest row first, `PAD` columns left of where it begins
    advance: float


def text_width(text: str, role: Role = "dim") -> float:
    """Return how wide a text is, in pixels of the layout."""
    weight = weight_of(role)
    return sum(_letter(c, weight, PIXELS_PER_INCH).advance for c in printable(text))


def clip(text: str, room: float, least: int = 1) -> str:
    """Return as much of a text as fits, or "" if fewer than `least` letters do."""
    if text_width(text) <= room:
        return text
    while len(text) >= least and text_width(text + "…") > room:
        text = text[:-1].rstrip()
    return text + "…" if len(text) >= least else ""


@lru_cache(maxsize=4096)
def bitmap(text: str, colour: str, weight: str, dpi: float, plate: str = "") -> Bitmap:
    """Draw a text in a colour, "#rrggbb"; a `plate` is the colour of its ground, or ""."""
    above, up, below = _heights(weight, dpi)
    letters = [_letter(c, weight, dpi) for c in printable(text)]
    width = sum(letter.advance for letter in letters)
    room = max((letter.cover.shape[1] for letter in letters), default=0)
    cover = np.zeros((up + below, int(np.ceil(width)) + 2 * PAD + room), np.uint8)
    x = 0.0
    for letter in letters:
        at = round(x)
        place = cover[:, at : at + letter.cover.shape[1]]
        np.maximum(place, letter.cover, out=place)
        x += letter.advance
    cover = cover[:, : int(np.ceil(width)) + 2 * PAD]
    pixels = np.empty((*cover.shape, 4), np.uint8)
    pixels[:, :, :3] = _rgb(colour)
    pixels[:, :, 3] = cover
    if plate:
        ground = pixels[below - round(0.3 * above) : below + round(1.25 * above)]
        share = ground[:, :, 3:] / np.float32(255)
        ground[:, :, :3] = _rgb(plate) * (1 - share) + _rgb(colour) * share + np.float32(0.5)
        ground[:, :, 3] = 255
    return Bitmap(pixels, width, above, below)


def weight_of(role: Role) -> str:
    """Return the weight of the font."""
    return "bold" if role == "job" else "normal"


def printable(text: str) -> str:
    """Return a text with a box for each letter that no font here has."""
    known = _known_characters()
    return "".join(c if ord(c) in known else "□" for c in text)


@cache
def font_of(weight: str) -> FontProperties:
    """Return a font that is there."""
    return FontProperties(family=_family(), weight=weight, size=TEXT_SIZE)


@cache
def _rgb(colour: str) -> NDArray[np.float32]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)


@cache
def _family() -> list[str]:
    # Asking for a font that is not there would write a warning into the notebook.
    there = {font.name for font in font_manager.fontManager.ttflist}
    first = next(name for name in _FAMILIES if name in there)
    return list(dict.fromkeys([first, _LAST_RESORT]))


@cache
def _known_characters() -> frozenset[int]:
    known: set[int] = set()
    for name in _family():
        path = font_manager.findfont(FontProperties(family=[name]))
        known |= set(font_manager.get_font(path).get_charmap())
    return frozenset(known)


@cache
def _heights(weight: str, dpi: float) -> tuple[float, int, int]:
    """Return the heights of a capital, of the pixels above the base line, and below it."""
    _, above, _ = _agg(1, 1, dpi).get_text_width_height_descent("H", font_of(weight), False)
    return float(above), int(np.ceil(1.6 * above)) + PAD, int(np.ceil(0.6 * above)) + PAD


@lru_cache(maxsize=4096)
def _letter(character: str, weight: str, dpi: float) -> _Letter:
    font, probe = font_of(weight), _agg(1, 1, dpi)
    between, _, _ = probe.get_text_width_height_descent(f"H{character}H", font, False)
    without, _, _ = probe.get_text_width_height_descent("HH", font, False)
    advance = max(0.0, float(between - without))
    _, up, below = _heights(weight, dpi)
    agg = _agg(int(np.ceil(advance)) + 3 * PAD, up + below, dpi)
    agg.draw_text(agg.new_gc(), PAD, up, character, font, 0, False)
    return _Letter(np.array(agg.buffer_rgba(), np.uint8)[::-1, :, 3].copy(), advance)


def _agg(width: int, height: int, dpi: float) -> Any:
    make: Any = RendererAgg
    return make(width, height, dpi)
