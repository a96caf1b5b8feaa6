"""The time that a picture shows. Pure.

Moments are seconds since the run began, places are pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .fold import History

NOW_SHARE = 0.84  # where "now" stands at most in a live view: right of it is the future
LEAST_NOW_SHARE = 0.64  # where it stands if the leases are long
LEAST_SECONDS = 5.0  # that a live view spans before now
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
          3600, 7200, 14400, 28800, 86400)  # fmt: skip


@dataclass(frozen=True)
class TimeAxis:
    """The time that a picture shows, and where.

    Attributes:
        zero_at: When the run began, in seconds since the epoch.
        start: First moment shown, in seconds since `zero_at`.
        end: Last moment shown.
        now: The present, or the last moment when the run is over.
        live: Is there a future to leave room for?
        x0: Where `start` is, in pixels.
        x1: Where `end` is.
    """

    zero_at: float
    start: float
    end: float
    now: float
    live: bool
    x0: float
    x1: float

    @property
    def scale(self) -> float:
        """Return how many pixels a second takes."""
        return (self.x1 - self.x0) / (self.end - self.start)

    def px(self, seconds: float) -> float:
        """Return the pixel of a moment in seconds since the run began."""
        return self.x0 + (seconds - self.start) * self.scale


def is_live(history: History) -> bool:
    """Tell whether time still goes on for this run: anything is leased, or a pod is alive."""
    return history.counts.leased > 0 or any(lane.alive for lane in history.lanes.values())


def time_axis(
    history: History,
    now: float | None,
    x0: float,
    x1: float,
    *,
    window_seconds: float | None = None,
) -> TimeAxis:
    """Choose the time to show.

    While the run goes on, what lies right of `now` is the future, where the fuses of the leases
    burn down: so much that a lease that has just begun is seen up to its deadline, but 16 % to
    36 % of the width. Afterwards the whole run fills the width.

    Args:
        history: The run.
        now: The moment to look from, in seconds since the epoch, or None for the last event.
        x0: First pixel.
        x1: Last pixel.
        window_seconds: How much of the past a live view shows at most; None for all.

    Returns:
        The axis.
    """
    zero = history.started_at
    if zero is None:
        zero = history.last_at or now or 0.0
    live = is_live(history)
    last = max(history.last_at - zero, 0.0)
    present = max(last, (now or 0.0) - zero) if live else last
    if not live and history.lanes:
        return TimeAxis(zero, 0.0, max(present, 0.1) * 1.02, present, False, x0, x1)
    shown = max(present, LEAST_SECONDS)
    if window_seconds is not None:
        shown = min(shown, max(window_seconds, LEAST_SECONDS))
    start = max(0.0, present - shown)
    share = shown / (shown + 1.05 * history.lease_seconds)
    share = min(max(share, LEAST_NOW_SHARE), NOW_SHARE)
    # Until the run fills the least span, now walks to its place; then time flows past it.
    return TimeAxis(zero, start, start + shown / share, present, live, x0, x1)


def ticks(axis: TimeAxis, spacing: float = 90.0) -> list[tuple[float, str]]:
    """Return the round moments to mark on the time axis.

    Args:
        axis: The time.
        spacing: Least distance between two, in pixels.

    Returns:
        Pairs of seconds since the run began, and how to say that.
    """
    step = next((s for s in _STEPS if s * axis.scale >= spacing), _STEPS[-1])
    first = math.ceil(axis.start / step - 1e-9)
    last = math.floor(min(axis.end, axis.now if not axis.live else axis.end) / step + 1e-9)
    return [(i * step, clock(i * step, step)) for i in range(first, last + 1)]


def clock(seconds: float, step: float = 1.0) -> str:
    """Return a moment of a run in words: "0.05 s", "0.5 s", "40 s", "2:30 min", "1:05 h"."""
    if step < 0.1 and seconds < 60:
        return f"{seconds:.2f} s"
    if step < 1 and seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60 or (whole < 120 and step < 15 and whole < 100):
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
