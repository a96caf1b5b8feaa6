"""The widgets of a view: what is said, the picture, and what the reader can use."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from ..history import History
from ..plots import Picture, RunPicture, ThemeName
from . import markup

FINAL_SCALE = 2.0
ALOUD_SECONDS = 2.0  # between two changes of the header, which a screen reader reads out
TABLE_SECONDS = 1.0  # between two changes of the table: nobody reads faster
_SCALE = 1.5


class Stage:
    """A header and a picture, each of a height that never changes.

    Args:
        figure: The picture.
        png: Its first frame.
        controls: What the reader can use, row by row, under the picture.
        texts: The widgets under the controls.

    Attributes:
        box: The widget.
        header: The run in words.
        image: The picture.
        table: A line for each pod, or None.
        frames: How many frames were drawn.
    """

    table: Any = None

    def __init__(
        self,
        figure: Picture,
        png: bytes,
        controls: Sequence[Sequence[Any]] = (),
        texts: Sequence[Any] = (),
    ) -> None:
        self.frames = 0
        self._controls = [control for row in controls for control in row]
        self._drawn: Any = None
        self._said_at = self._listed_at = float("-inf")
        width, height = round(figure.width), round(figure.height)
        # An Image takes no alt text, and a tooltip keeps it from being shown at all (ipywidgets
        # 8.1): the header says in words what it shows.
        self.image = widgets.Image(
            value=png,
            format="png",
            width=width,
            height=height,
            # Narrower windows scale it; the attributes above keep its shape from the start.
            layout=widgets.Layout(width=f"{width}px", max_width="100%", height="auto"),
        )
        self.header = text_line(width, 44, markup.header("", "Starting"))
        rows = [
            widgets.HBox(row, layout=widgets.Layout(height="36px", overflow="hidden"))
            for row in controls
        ]
        below = [widgets.VBox(rows), *texts] if rows else texts
        self.box = widgets.VBox([self.header, self.image, *below])
        self.box.add_class("wqlib-view")

    def draw(self, key: Any, frame: Callable[[], bytes]) -> None:
        """Draw a frame, unless it would be the same as the last one, which had the same key."""
        if key != self._drawn:
            self.image.value = frame()
            self._drawn = key
            self.frames += 1

    def keep(self, figure: Picture) -> None:
        """Show a picture that stays."""
        self.image.value = figure.png()
        self._drawn = None

    def say(
        self,
        history: History,
        now: float,
        state: str,
        job: str = "",
        trouble: str = "",
        *,
        at_once: bool = False,
    ) -> None:
        """Set the table and the header: at once, or if they have stood for a while."""
        if self.table is not None and (
            at_once or time.monotonic() - self._listed_at >= TABLE_SECONDS
        ):
            self._listed_at = time.monotonic()
            self.table.value = markup.table(history.table(now))
        if at_once or time.monotonic() - self._said_at >= ALOUD_SECONDS:
            self._said_at = time.monotonic()
            self.header.value = markup.header(history.summary(now, job), state, trouble)

    def say_failed(self, state: str, error: Exception) -> None:
        """Say in the header that the view itself failed."""
        self._said_at = time.monotonic()
        with contextlib.suppress(Exception):
            trouble = f"The view itself failed ({type(error).__name__}: {error})."
            self.header.value = markup.header("", state, trouble)

    def enable(self, on: bool) -> None:
        """Let the controls be used, or not."""
        for control in self._controls:
            control.disabled = not on
        self.stay_reachable()

    def stay_reachable(self) -> None:
        """Let clicks arrive while a cell runs, where the kernel can do that.

        JupyterLab sends them to a subshell of the kernel, which is free when the main thread is
        not. But ipykernel 7.4 sends an answer to whichever shell spoke last through the widget,
        and takes a click for one; so let it forget who that was. (6.31 has no subshells: there a
        click waits until no cell runs.)
        """
        for control in self._controls:
            with contextlib.suppress(TypeError):  # no kernel: no such attributes
                vars(control.comm).pop("_reply_subshell_id", None)


class RunStage(Stage):
    """The stage of a run: its picture, and a table of its pods.

    Args:
        lanes: For how many pods there is full room.
        theme: "light" or "dark".
        window_seconds: How much of the past is shown while the run goes on; None for all.
        controls: As for `Stage`.

    Attributes:
        note: What became of the last request.
    """

    def __init__(
        self,
        lanes: int,
        theme: ThemeName,
        window_seconds: float | None,
        controls: Sequence[Sequence[Any]],
    ) -> None:
        self._options: dict[str, Any] = {"theme": theme, "window_seconds": window_seconds}
        self._lanes = lanes
        self.picture = RunPicture(lanes, scale=_SCALE, **self._options)
        figure = self.picture.picture
        self.note = text_line(round(figure.width), 22)
        self.table = text_line(round(figure.width), 132, markup.table([]))
        png = self.picture.frame(History(), 0.0)
        super().__init__(figure, png, controls, [self.note, self.table])

    def draw_run(self, history: History, now: float) -> None:
        """Draw a frame, unless it would be the same as the last one."""
        axis = self.picture.axis(history, now)
        key = (id(history), history.version, axis.live, round(axis.now * axis.scale * 2))
        self.draw(key, lambda: self.picture.frame(history, now))

    def draw_last(self, history: History, now: float) -> None:
        """Draw a frame that stays: sharp, and packed well."""
        last = RunPicture(self._lanes, scale=FINAL_SCALE, **self._options)
        last.frame(history, now)
        self.keep(last.picture)


def text_line(width: int, height: int, html: str = "") -> Any:
    """Return a widget for texts, of a size that never changes, in pixels."""
    layout = widgets.Layout(
        width=f"{width}px",
        max_width="100%",
        height=f"{height}px",
        margin="0",
        padding="0 0 0 12px",
        overflow="auto",
    )
    return widgets.HTML(html, layout=layout)


def wide(pixels: int) -> dict[str, Any]:
    """Return the options of a control with a label, of a given width."""
    return {
        "style": {"description_width": "initial"},
        "layout": widgets.Layout(width=f"{pixels}px"),
    }
