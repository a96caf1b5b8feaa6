"""The widgets of a view: what is said, the picture, and what the reader can use."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from ..history import History
from ..plots import RunPicture, ThemeName
from . import markup
from .details import Details

FINAL_SCALE = 2.0
ALOUD_SECONDS = 2.0  # between two changes of the header, which a screen reader reads out
TABLE_SECONDS = 1.0  # between two changes of the table: nobody reads faster
TABLE_HEIGHT = 160
_SCALE = 1.5


class Stage:
    """A header, a picture, controls and a table, each of a height that never changes.

    Args:
        make: Makes the picture, a `RunPicture` or a `MosaicPicture`, of that many dots a pixel.
        first: The arguments of its first frame.
        controls: What the reader can use, row by row, under the picture.
        details: Lets a pod and an item be looked at; then there is a table of the pods, too, and a
            note on what was asked for. Or None.

    Attributes:
        box: The widget.
        header: The run in words.
        picture: The picture.
        image: Its widget.
        note: What became of the last request, or None.
        table: A line for each pod, or None.
        frames: How many frames were drawn.
    """

    def __init__(
        self,
        make: Callable[[float], Any],
        first: tuple[Any, ...],
        controls: Sequence[Sequence[Any]] = (),
        details: Details | None = None,
    ) -> None:
        self.frames = 0
        self._details = details
        self._make = make
        self.picture = make(_SCALE)
        if details is not None:
            controls = [*controls, details.row]
        self._controls = [control for row in controls for control in row]
        self._controls += details.lanes if details else []
        self._drawn: Any = None
        self._said_at = self._listed_at = float("-inf")
        figure = self.picture.picture
        width, height = round(figure.width), round(figure.height)
        # An Image takes no alt text, and a tooltip keeps it from being shown at all (ipywidgets
        # 8.1): the header says in words what it shows.
        self.image = widgets.Image(
            value=self.picture.frame(*first),
            format="png",
            width=width,
            height=height,
            # Narrower windows scale it; the attributes above keep its shape from the start.
            layout=widgets.Layout(width=f"{width}px", max_width="100%", height="auto"),
        )
        self.header = _text(width, 44, markup.header("", "Starting"))
        self.note: Any = None
        self.table: Any = None
        parts = [self.header, self.image]
        if details is not None:
            size = widgets.Layout(width=f"{width}px", max_width="100%", align_items="flex-start")
            parts[1] = widgets.Box([self.image, *details.lanes], layout=size)
            parts[1].add_class("wqlib-picture")
            row = widgets.Layout(height="36px", overflow="hidden")
            rows = widgets.VBox([widgets.HBox(some, layout=row) for some in controls])
            self.note, self.table = _text(width, 22), _text(width, TABLE_HEIGHT, markup.table([]))
            parts += [rows, self.note, self.table]
        self.box = widgets.VBox(parts)
        self.box.add_class("wqlib-view")

    def draw(self, *shown: Any) -> None:
        """Draw a frame, unless it would be the same as the last one."""
        key = self.picture.key(*shown)
        if key != self._drawn:
            self.image.value = self.picture.frame(*shown)
            self._drawn = key
            self.frames += 1
            if self._details is not None:
                self._details.place(self.picture.places())

    def draw_last(self, *shown: Any) -> None:
        """Draw a frame that stays: sharp, and packed well."""
        last = self._make(FINAL_SCALE)
        last.frame(*shown)
        self.image.value = last.picture.png()
        self._drawn = None

    def update_texts(
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
        details = self._details
        if details is not None and (
            at_once or details.changed or time.monotonic() - self._listed_at >= TABLE_SECONDS
        ):
            self._listed_at = time.monotonic()
            self.table.value = details.html(history, now) or markup.table(history.table(now))
        if at_once or time.monotonic() - self._said_at >= ALOUD_SECONDS:
            self._said_at = time.monotonic()
            self.header.value = markup.header(history.summary(now, job), state, trouble)

    def show_error(self, state: str, error: Exception) -> None:
        """Say in the header that the view itself failed."""
        self._said_at = time.monotonic()
        with contextlib.suppress(Exception):
            trouble = f"The view itself failed ({type(error).__name__}: {error})."
            self.header.value = markup.header("", state, trouble)

    def enable(self, on: bool) -> None:
        """Let the controls be used, or not."""
        for control in self._controls:
            control.disabled = not on
        self.keep_reachable()

    def keep_reachable(self) -> None:
        """Let clicks arrive while a cell runs, where the kernel can do that.

        JupyterLab sends them to a subshell of the kernel, which is free when the main thread is
        not. But ipykernel 7.4 sends an answer to whichever shell spoke last through the widget,
        and takes a click for one; so let it forget who that was. (6.31 has no subshells: there a
        click waits until no cell runs.)
        """
        for control in self._controls:
            with contextlib.suppress(TypeError):  # no kernel: no such attributes
                vars(control.comm).pop("_reply_subshell_id", None)


def run_stage(
    lanes: float,
    theme: ThemeName,
    window_seconds: float | None,
    controls: Sequence[Sequence[Any]],
    details: Details,
) -> Stage:
    """Return the stage of a run; see `RunPicture` for the first three."""

    def make(scale: float) -> RunPicture:
        return RunPicture(lanes, theme=theme, scale=scale, window_seconds=window_seconds)

    return Stage(make, (History(), 0.0), controls, details)


def _text(width: int, height: int, html: str = "") -> Any:
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
