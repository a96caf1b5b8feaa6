"""A recorded run in a notebook: played at any speed, or moved by hand, without Redis or cluster."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from ..history import History
from ..history.tape import Tape, recording_path
from ..plots import ThemeName
from ..plots.pictures import lanes_of
from .details import Details
from .labels import labelled
from .stage import run_stage
from .threaded import ThreadedView

SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0)


class Replay(ThreadedView):
    """A recorded run that can be played, stopped, and moved through.

    Shown as the last line of a cell, or by `show()`, it stands at the end of the run. One
    thread owns it; it sleeps while nothing moves. Showing the same recording again stops
    the one before.

    Args:
        run: A file that `History.save` wrote, or the name of a run of the course's
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

    _state = "Replay"

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
        if not speed > 0:
            raise ValueError(f"speed is {speed}; it must be more than 0.")
        self._name = "a run" if isinstance(run, History) else Path(run).stem
        self._tape = Tape.of(run)
        self.history = self._tape.until(self._tape.seconds)
        self._at = self._tape.seconds
        self._speed = speed
        self._resting = True
        self._moved_at = 0.0
        room = lanes or lanes_of(self.history)
        details = Details(self._submit)
        stage = run_stage(room, theme, window_seconds, [self._controls()], details)
        key = id(run) if isinstance(run, History) else str(recording_path(run))
        super().__init__(key, stage, fps)
        self._show()

    def __repr__(self) -> str:
        return f"<Replay of {self._name}>"

    @property
    def seconds(self) -> float:
        """Return the moment that is shown, in seconds since the run began."""
        return self._at

    def play(self) -> None:
        """Play on; from the beginning if it stands at the end."""
        self.start()
        self._submit(self._play)

    def pause(self) -> None:
        """Stand still."""
        self._submit(self._move, False)

    def seek(self, seconds: float) -> None:
        """Show this moment, in seconds since the run began."""
        self.start()
        self._submit(self._seek, seconds)

    # The owner thread

    def _turn(self, *, last: bool) -> None:
        now = time.monotonic()
        if not self._resting:
            self._at = min(self._tape.seconds, self._at + (now - self._moved_at) * self._speed)
            self._moved_at = now
        if last or (not self._resting and self._at >= self._tape.seconds):
            self._move(False)
        else:
            self._show()

    def _play(self) -> None:
        if self._at >= self._tape.seconds:
            self._at = 0.0
        self._move(True)

    def _seek(self, seconds: float) -> None:
        self._at = min(max(0.0, seconds), self._tape.seconds)

    def _set_speed(self, speed: float) -> None:
        self._speed = speed

    def _move(self, on: bool) -> None:
        """Let time go on, or stand still."""
        self._resting = not on
        self._show(at_once=True)
        self._toggle.description = "Pause" if on else "Play"
        self._moved_at = time.monotonic()

    def _show(self, *, at_once: bool = False) -> None:
        self.history = self._tape.until(self._at)
        now = self._tape.began_at + self._at
        self._stage.draw(self.history, now)
        if abs(self._slider.value - self._at) > 1e-6:
            self._slider.value = self._at
        state = f"{self._state}, {self._at:.1f} s of {self._tape.seconds:.1f} s"
        self._stage.update_texts(self.history, now, state, at_once=at_once or self._resting)

    # Widgets: what they hear is only put where the owner thread finds it

    def _controls(self) -> list[Any]:
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
            **labelled(520),
        )
        self._slider.observe(self._on_slider, "value")
        self._speeds = widgets.Dropdown(
            options=[(f"{speed:g}×", speed) for speed in sorted({*SPEEDS, self._speed})],
            value=self._speed,
            description="Speed",
            **labelled(140),
        )
        self._speeds.observe(self._on_speed, "value")
        return [self._toggle, self._slider, self._speeds]

    def _on_toggle(self, _: Any) -> None:
        if self._resting:
            self._submit(self._play)
        else:
            self._submit(self._move, False)

    def _on_slider(self, change: Any) -> None:
        if threading.current_thread() is not self._thread:  # else it follows the time
            self._submit(self._seek, float(change["new"]))

    def _on_speed(self, change: Any) -> None:
        self._submit(self._set_speed, float(change["new"]))
