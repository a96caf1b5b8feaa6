"""Colours, fills and hatches of the pictures, in a light and a dark theme.

The hues are Okabe and Ito's, which readers with any kind of colour vision can tell apart
(https://jfly.uni-koeln.de/color/); a hatch says the same once more, so that no meaning
hangs on colour alone. The tests hold every pair of colours to the contrast that WCAG 2.2
asks for: 4.5 to 1 for text, 3 to 1 for shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ThemeName = Literal["light", "dark"]

ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"


@dataclass(frozen=True, slots=True)
class Fill:
    """How a shape is filled.

    Attributes:
        face: Colour of the ground.
        edge: Colour of the outline and the hatch, or "none".
        hatch: Pattern, as matplotlib writes them, or "".
        dashed: Is the outline dashed?
    """

    face: str
    edge: str = "none"
    hatch: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Theme:
    """All colours of a picture.

    Attributes:
        ground: The background.
        stripe: Every other lane.
        grid: Lines that carry the time.
        text: Names and numbers.
        dim: What is said beside.
        line: Life lines of pods, marks and curves.
        fuse: The time that a running lease still has.
        on_bar: Text and ticks on completed and running bars.
        fills: By outcome, and for the bands of the depth.
    """

    ground: str
    stripe: str
    grid: str
    text: str
    dim: str
    line: str
    fuse: str
    on_bar: str
    fills: dict[str, Fill]


# What each fill means, in the order of the legend.
MEANING = {
    "running": "leased",
    "orphan": "leased, but its worker is gone",
    "complete": "completed",
    "expire": "expired",
    "release": "released",
    "fail": "failed",
    "dead": "dead",
}

LIGHT = Theme(
    ground="#ffffff",
    stripe="#f5f6f8",
    grid="#dfe3e8",
    text="#1f2328",
    dim="#59636e",
    line="#6b7580",
    fuse=BLUE,
    on_bar="#0b1a14",
    fills={
        "complete": Fill(GREEN),
        "running": Fill("#a9d9f4", BLUE),
        "orphan": Fill("#ffffff", BLUE, dashed=True),
        "expire": Fill("#fbe0cf", VERMILLION, "////"),
        "release": Fill("#fdf0cf", "#a06f00", "...."),
        "fail": Fill("#f6e3ed", "#a8507f", "xxxx"),
        "dead": Fill("#1f2328", "#ffffff", "\\\\\\\\"),
        "pending": Fill("#cfd5dc", "#8a939e"),
        "leased": Fill("#a9d9f4", BLUE),
        "done": Fill(GREEN),
    },
)

DARK = Theme(
    ground="#111417",
    stripe="#191d21",
    grid="#2b3138",
    text="#e8ebee",
    dim="#a3adb8",
    line="#98a2ad",
    fuse=SKY,
    on_bar="#06110c",
    fills={
        "complete": Fill(GREEN),
        "running": Fill("#3d8fc4", "#a9d9f4"),
        "orphan": Fill("#111417", SKY, dashed=True),
        "expire": Fill("#4a2410", "#f08a4b", "////"),
        "release": Fill("#3a2c05", ORANGE, "...."),
        "fail": Fill("#3f2233", "#e39cc3", "xxxx"),
        "dead": Fill("#e8ebee", "#111417", "\\\\\\\\"),
        "pending": Fill("#3d454e", "#7d8894"),
        "leased": Fill("#3d8fc4", "#a9d9f4"),
        "done": Fill(GREEN),
    },
)

THEMES: dict[ThemeName, Theme] = {"light": LIGHT, "dark": DARK}
