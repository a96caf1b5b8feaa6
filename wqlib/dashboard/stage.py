"""What the live view and the replay have in common: the widgets, and one owner for each."""

from __future__ import annotations

import atexit
import threading
import time
from typing import Any, Protocol

import ipywidgets as widgets

from ..history import History
from ..plots import RunPicture, ThemeName
from . import markup

FINAL_SCALE = 2.0
ALOUD_SECONDS = 2.0  # between two changes of the header, which a screen reader reads out
_SCALE = 1.5


class Stage:
    """The picture of a run, and what is said about it, all of a height that never changes.

    Args:
        lanes: For how many pods there is full room.
        theme: "light" or "dark".
        window_seconds: How much of the past is shown while the run goes on; None for all.
        controls: The widgets between the picture and the table.

    Attributes:
        box: The widget.
        header, note, table: Its texts; `note` says what became of the last request.
        image: The picture.
        frames: How many frames were drawn.
    """

    def __init__(
        self, lanes: int, theme: ThemeName, window_seconds: float | None, controls: Any
    ) -> None:
        self._options: dict[str, Any] = {"theme": theme, "window_seconds": window_seconds}
        self._lanes = lanes
        self.picture = RunPicture(lanes, scale=_SCALE, **self._options)
        self.frames = 0
        self._said_at = float("-inf")
        self._drawn: Any = None
        figure = self.picture.picture
        width, height = round(figure.width), round(figure.height)
        # An Image takes no alt text, and a tooltip keeps it from being shown at all (ipywidgets
        # 8.1): the header says in words what it shows.
        self.image = widgets.Image(
            value=self.picture.frame(History(), 0.0),
            format="png",
            width=width,
            height=height,
            # Narrower windows scale it; the attributes above keep its shape from the start.
            layout=widgets.Layout(width=f"{width}px", max_width="100%", height="auto"),
        )
        self.header = widgets.HTML(markup.header("", "Starting"), layout=_fixed(width, 44))
        self.note = widgets.HTML(layout=_fixed(width, 22))
        self.table = widgets.HTML(markup.table([]), layout=_fixed(width, 132))
        self.box = widgets.VBox([self.header, self.image, controls, self.note, self.table])
        self.box.add_class("wqlib-view")

    def draw(self, history: History, now: float) -> None:
        """Draw a frame, unless it would be the same as the last one."""
        axis = self.picture.axis(history, now)
        key = (id(history), history.version, axis.live, round(axis.now * axis.scale * 2))
        if key != self._drawn:
            self.image.value = self.picture.frame(history, now)
            self._drawn = key
            self.frames += 1

    def draw_last(self, history: History, now: float) -> None:
        """Draw a frame that stays: sharp, and packed well."""
        last = RunPicture(self._lanes, scale=FINAL_SCALE, **self._options)
        last.frame(history, now)
        self.image.value = last.picture.png()
        self._drawn = None

    def say(
        self,
        history: History,
        now: float,
        state: str,
        job: str = "",
        wrong: str = "",
        *,
        at_once: bool = False,
    ) -> None:
        """Set the table, and the header: at once, or if it has stood for a while."""
        self.table.value = markup.table(history.table(now))
        if at_once or time.monotonic() - self._said_at >= ALOUD_SECONDS:
            self._said_at = time.monotonic()
            self.header.value = markup.header(history.summary(now, job), state, wrong)


def _fixed(width: int, height: int) -> widgets.Layout:
    return widgets.Layout(
        width=f"{width}px",
        max_width="100%",
        height=f"{height}px",
        margin="0",
        padding="0 0 0 12px",
        overflow="auto",
    )


class View(Protocol):
    """Something with an owner thread."""

    def stop(self) -> None: ...

    def leave(self, seconds: float) -> None:
        """Tell the thread to end, and wait so long for that."""


# What is live now, by what it shows: a cell that is run again stops the view before.
_live: dict[tuple[Any, ...], View] = {}
_live_lock = threading.Lock()


def take_over(key: tuple[Any, ...], view: View) -> None:
    """Be the view of this from now on; the one that was is stopped."""
    with _live_lock:
        other = _live.get(key)
        _live[key] = view
    if other is not None and other is not view:
        other.stop()


def give_up(view: View) -> None:
    """Be no view any more."""
    with _live_lock:
        for key in [key for key, one in _live.items() if one is view]:
            del _live[key]


@atexit.register
def _stop_all() -> None:
    """Let no thread draw into a kernel that is going down."""
    with _live_lock:
        views = list(_live.values())
        _live.clear()
    for view in views:
        view.leave(0.0)
    for view in views:
        view.leave(2.0)
