"""A recorded run in a notebook: played at any speed, or moved by hand, without Redis or cluster."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import ipywidgets as widgets

from ..history import History
from ..history.tape import Tape, find
from ..plots import ThemeName
from .controls import stay_reachable
from .stage import Stage, give_up, take_over

SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0)
WORDS_SECONDS = 0.5
_JOIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Request:
    kind: Literal["play", "pause", "seek", "speed", "stop"]
    value: float = 0.0


class Replay:
    """A recorded run that can be played, stopped, and moved through.

    Shown as the last line of a cell, or by `show()`, it stands at the end of the run. One
    thread owns it; it sleeps while nothing moves. Showing the same recording again stops
    the one before.

    Args:
        run: A file that `History.save` wrote, or the name of a run that the library ships
            ("clean", "killed", "scaled"), or a `History`.
        speed: How many times as fast as it was, one of `SPEEDS` or any other above 0.
        fps: Frames a second, at most.
        lanes: For how many pods there is full room; None: for as many as the run had, up to 16.
        theme: "light" or "dark".
        window_seconds: How much of the past is shown while the run goes on; None for all.

    Attributes:
        history: The run up to the moment that is shown.
        error: What went wrong in the thread last, or None.

    Raises:
        BadHistoryFile: If the file is not a recording.

    Example:
        >>> Replay("killed", speed=5)
        <Replay of killed>
    """

    def __init__(
        self,
        run: str | os.PathLike[str] | History,
        *,
        speed: float = 1.0,
        fps: float = 5.0,
        lanes: int | None = None,
        theme: ThemeName = "light",
        window_seconds: float | None = 120.0,
    ) -> None:
        if not 0 < fps <= 30:
            raise ValueError(f"fps is {fps}; it must be more than 0 and at most 30.")
        if not speed > 0:
            raise ValueError(f"speed is {speed}; it must be more than 0.")
        self._name = "a run" if isinstance(run, History) else Path(run).stem
        self._key = ("replay", id(run) if isinstance(run, History) else str(find(run)))
        self._tape = Tape.of(run)
        self.history = self._tape.until(self._tape.seconds)
        self.error: Exception | None = None
        self._frame_seconds = 1.0 / fps
        self._at = self._tape.seconds
        self._speed = speed
        self._playing = False
        self._requests: SimpleQueue[_Request] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._words_at = float("-inf")
        controls = self._build()
        room = lanes or max(2, min(16, len(self.history.lanes)))
        self._stage = Stage(room, theme, window_seconds, controls)
        self._show(words=True)

    def __repr__(self) -> str:
        return f"<Replay of {self._name}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        self.start()
        return {**self._stage.box._repr_mimebundle_(), "text/plain": repr(self)}

    @property
    def seconds(self) -> float:
        """The moment that is shown, in seconds since the run began."""
        return self._at

    @property
    def frames(self) -> int:
        """How many frames were drawn."""
        return self._stage.frames

    def show(self) -> None:
        """Display it here, and let it be moved."""
        from IPython.display import display

        display(self)  # type: ignore[no-untyped-call]

    def play(self) -> None:
        """Play on; from the beginning if it stands at the end."""
        self.start()
        self._requests.put(_Request("play"))

    def pause(self) -> None:
        """Stand still."""
        self._requests.put(_Request("pause"))

    def seek(self, seconds: float) -> None:
        """Show this moment, in seconds since the run began."""
        self.start()
        self._requests.put(_Request("seek", seconds))

    def start(self) -> None:
        """Let it be moved, without displaying it."""
        take_over(self._key, self)
        if self._thread is None or not self._thread.is_alive():
            self._enable(True)
            self._thread = threading.Thread(target=self._run, name="wqlib-replay", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; the picture stays as it is."""
        self.leave(_JOIN_SECONDS)
        give_up(self)

    def leave(self, seconds: float) -> None:
        """Tell the thread to end, and wait so long for that."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return
        self._requests.put(_Request("stop"))
        if thread is not threading.current_thread():
            thread.join(seconds)

    def png(self) -> bytes:
        """The picture as it is shown now, as a PNG file."""
        return bytes(self._stage.image.value)

    # The owner thread

    def _run(self) -> None:
        last, moved = time.monotonic(), False  # did time go on before this turn?
        while self._take(self._frame_seconds if self._playing else None):
            now = time.monotonic()
            if self._playing and moved:
                self._at = min(self._tape.seconds, self._at + (now - last) * self._speed)
            last, moved = now, self._playing
            try:
                self._show(words=not self._playing or now - self._words_at >= WORDS_SECONDS)
            except Exception as error:
                self.error = error
            if self._playing and self._at >= self._tape.seconds:
                self._set_playing(False)
        self._playing = False
        with contextlib.suppress(Exception):
            self._show(words=True)
            self._enable(False)

    def _take(self, timeout: float | None) -> bool:
        """Wait for requests, and carry them out. Returns False when it shall end."""
        with contextlib.suppress(Empty):
            request = self._requests.get(timeout=timeout)
            while True:
                if request.kind == "stop":
                    return False
                self._do(request)
                request = self._requests.get_nowait()
        return True

    def _do(self, request: _Request) -> None:
        if request.kind == "seek":
            self._at = min(max(0.0, request.value), self._tape.seconds)
        elif request.kind == "speed":
            self._speed = request.value
        else:
            if request.kind == "play" and self._at >= self._tape.seconds:
                self._at = 0.0
            self._set_playing(request.kind == "play")

    def _set_playing(self, on: bool) -> None:
        self._playing = on
        self._toggle.description = "Pause" if on else "Play"
        self._words_at = float("-inf")
        self._show(words=True)

    def _show(self, *, words: bool) -> None:
        self.history = self._tape.until(self._at)
        now = self._tape.began_at + self._at
        self._stage.draw(self.history, now)
        if abs(self._slider.value - self._at) > 1e-6:
            self._slider.value = self._at
        if words:
            self._words_at = time.monotonic()
            moment = f"{self._at:.1f} s of {self._tape.seconds:.1f} s"
            at_once = not self._playing
            self._stage.say(self.history, now, f"Replay, {moment}", at_once=at_once)
        stay_reachable(self._parts)

    # Widgets: what they hear is only put where the owner thread finds it

    def _build(self) -> widgets.HBox:
        narrow = {"style": {"description_width": "initial"}}
        self._toggle = widgets.Button(
            description="Play", tooltip="Play, or stand still", layout=widgets.Layout(width="80px")
        )
        self._toggle.on_click(self._on_toggle)
        self._slider = widgets.FloatSlider(
            value=self._at,
            min=0.0,
            max=max(self._tape.seconds, 0.1),
            step=max(self._tape.seconds / 1000, 0.001),
            description="Time",
            readout_format=".1f",
            layout=widgets.Layout(width="520px"),
            **narrow,
        )
        self._slider.observe(self._on_slider, "value")
        speeds = sorted({*SPEEDS, self._speed})
        self._speeds = widgets.Dropdown(
            options=[(f"{speed:g}×", speed) for speed in speeds],
            value=self._speed,
            description="Speed",
            layout=widgets.Layout(width="140px"),
            **narrow,
        )
        self._speeds.observe(self._on_speed, "value")
        self._parts = [self._toggle, self._slider, self._speeds]
        return widgets.HBox(self._parts, layout=widgets.Layout(height="36px", overflow="hidden"))

    def _on_toggle(self, _: Any) -> None:
        self._requests.put(_Request("pause" if self._playing else "play"))

    def _on_slider(self, change: Any) -> None:
        if threading.current_thread() is not self._thread:  # else it follows the time
            self._requests.put(_Request("seek", float(change["new"])))

    def _on_speed(self, change: Any) -> None:
        self._requests.put(_Request("speed", float(change["new"])))

    def _enable(self, on: bool) -> None:
        for part in self._parts:
            part.disabled = not on
        stay_reachable(self._parts)
