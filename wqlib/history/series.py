"""What a run does over time, in bounded memory: how full the queue was, and how fast it went."""

from __future__ import annotations

from collections import deque

from .spans import Counts, Level

MAX_LEVELS = 2_048
FIRST_STEP_SECONDS = 0.05


class Levels:
    """How full the queue was over time.

    Time is cut into steps, each keeps its last moment; when there are too many, the steps
    become twice as long.

    Attributes:
        rows: The moments, oldest first, at most 2,048.
        since, until: The step of time that goes on: only what leaves it needs an `advance`.
        at: When the counts last changed.
    """

    def __init__(self) -> None:
        self.rows: list[Level] = []
        self._step_seconds = FIRST_STEP_SECONDS
        self._step = -1
        self.since = self.until = self.at = 0.0

    def advance(self, at: float, counts: Counts) -> None:
        """Keep how the last step ended, with these counts, and begin the step of this moment."""
        if self.at:
            self.record(self.at, counts)
        step = int(at / self._step_seconds)
        self.since, self.until = step * self._step_seconds, (step + 1) * self._step_seconds

    def record(self, at: float, counts: Counts) -> None:
        """Note the counts of a moment."""
        self.at = at
        row = Level(at, counts.pending, counts.leased, counts.done, counts.dead)
        step = int(at / self._step_seconds)
        if step == self._step:
            self.rows[-1] = row
            return
        self._step = step
        self.rows.append(row)
        if len(self.rows) > MAX_LEVELS:
            self._step_seconds *= 2
            self._step = int(at / self._step_seconds)
            last = {int(row[0] / self._step_seconds): row for row in self.rows}
            self.rows[1:] = list(last.values())[1:]  # the first moment is kept

    def until_now(self, counts: Counts) -> list[Level]:
        """Return all rows, the last of them with these counts."""
        if self.at:
            self.record(self.at, counts)
        return self.rows


class Pace:
    """How fast items are completed, and how long each takes."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, int]] = deque(maxlen=MAX_LEVELS)  # when, done by then
        self._base = 0  # done before the first of these
        self._timed = 0
        self._sum = 0.0
        self._squares = 0.0

    def add_completion(self, at: float, done: int) -> None:
        """Note that `done` items were completed by `at`."""
        recent = self._recent
        if len(recent) > 1 and at - recent[-2][0] < FIRST_STEP_SECONDS:
            recent[-1] = (at, done)
        else:
            recent.append((at, done))

    def add_item_time(self, seconds: float) -> None:
        """Note how long an item took."""
        self._timed += 1
        self._sum += seconds
        self._squares += seconds * seconds

    def restart(self, done: int) -> None:
        """Forget what came before: the number done has just been corrected."""
        self._recent.clear()
        self._base = done

    def rate(self, now: float, window_seconds: float, started_at: float) -> float:
        """Return the items a second from `now - window_seconds`, or the start, until `now`."""
        since = max(now - window_seconds, started_at)
        if len(self._recent) == self._recent.maxlen:
            since = max(since, self._recent[0][0])
        return (self._done_by(now) - self._done_by(since)) / max(now - since, 0.5)

    def _done_by(self, at: float) -> int:
        for when, done in reversed(self._recent):
            if when <= at:
                return done
        return self._base

    def eta(self, now: float, left: int, started_at: float) -> tuple[float, float] | None:
        """Estimate the seconds until `left` items are done, and one standard deviation of that.

        The uncertainty is that of the rate, measured on a limited number of items and lately
        perhaps another; of the items that are left, each of its own length; and of the last
        item of each worker, that all wait for.
        """
        if self._timed < 2:
            return None
        mean = self._sum / self._timed
        window = max(10.0, 5 * mean)
        rate = self.rate(now, window, started_at)
        if rate <= 0:
            return None
        spread = max(0.0, self._squares / self._timed - mean**2) ** 0.5 / mean if mean > 0 else 0.0
        counted = max(1.0, rate * min(window, now - started_at))
        seconds = left / rate
        noise = seconds * max(spread, 0.1) * (1 / counted + 1 / left) ** 0.5
        # The pace may have changed, as when a pod is lost: half of the time tells how much.
        lately = self.rate(now, window / 2, started_at)
        drift = abs(left / lately - seconds) / 2 if lately > 0 else seconds
        return seconds, (noise**2 + drift**2 + (mean / 2) ** 2) ** 0.5
