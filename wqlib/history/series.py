"""What a run does over time, in bounded memory: how full the queue was, and how fast it went."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from .spans import Counts, Level

MAX_LEVELS = 2_048
FIRST_STEP_SECONDS = 0.05
Running = tuple[float, float]  # when the work on an item began, and how long it may take


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


class Flow:
    """How much work was done over time, each item spread evenly over the time that it took.

    A count of what was completed in a while depends on when the while begins and ends, and may be
    more than the workers can do; this may not. Time is cut into steps as in `Levels`.

    Attributes:
        since: When the first step begins, in seconds since the epoch.
        step_seconds: How long a step is.
        items: For each step the items done in it, less what goes on from the steps before.
        changes: For each step by how many items a second the pace has changed at its end.
    """

    def __init__(self, since: float = 0.0) -> None:
        self.since = since
        self.step_seconds = FIRST_STEP_SECONDS
        self.items = array("d")
        self.changes = array("d")

    def add(self, start: float, end: float) -> None:
        """Note that an item was worked on from `start` to `end`, in seconds since the epoch."""
        first, last = start - self.since, end - self.since
        first = first if first > 0.0 else 0.0
        while last >= MAX_LEVELS * self.step_seconds:
            self._double()
        step, items, changes = self.step_seconds, self.items, self.changes
        at, until = int(first / step), int(last / step)
        if until >= len(items):
            more = bytes(8 * (until + 1 - len(items)))
            items.frombytes(more)
            changes.frombytes(more)
        if at >= until:
            items[until] += 1.0
            return
        pace = 1.0 / (last - first)
        items[at] += pace * ((at + 1) * step - first)
        changes[at] += pace
        items[until] -= pace * ((until + 1) * step - last)
        changes[until] -= pace

    def between(self, since: float, until: float) -> float:
        """Return how many items were done between two moments, in seconds since the epoch."""
        step, done, pace = self.step_seconds, 0.0, 0.0
        first, last = (since - self.since) / step, (until - self.since) / step
        for number in range(len(self.items) - 1, max(int(first), 0) - 1, -1):
            pace -= self.changes[number]  # after the last step nothing goes on
            share = min(last, number + 1) - max(first, number)
            if share > 0:
                done += share * (self.items[number] + pace * step)
        return done

    def _double(self) -> None:
        """Make the steps twice as long."""
        if len(self.items) % 2:
            self.items.append(0.0)
            self.changes.append(0.0)
        items, changes, step = self.items, self.changes, self.step_seconds
        pairs = range(0, len(items), 2)
        self.items = array("d", (items[i] + items[i + 1] + changes[i] * step for i in pairs))
        self.changes = array("d", (changes[i] + changes[i + 1] for i in pairs))
        self.step_seconds = 2 * step


class Pace:
    """How fast items are completed, and how long each takes."""

    def __init__(self, since: float = 0.0) -> None:
        self.flow = Flow(since)
        self._timed = 0
        self._sum = 0.0
        self._squares = 0.0

    @property
    def mean(self) -> float:
        """Return the mean time of an item in seconds, or 0.0 if none was timed."""
        return self._sum / self._timed if self._timed else 0.0

    def add(self, start: float, end: float) -> None:
        """Note that an item was worked on from `start` to `end`, in seconds since the epoch."""
        seconds = end - start
        self._timed += 1
        self._sum += seconds
        self._squares += seconds * seconds
        self.flow.add(start, end)

    def rate(self, now: float, window_seconds: float, running: Sequence[Running]) -> float:
        """Return the items a second from `now - window_seconds`, or the start, until `now`.

        Args:
            now: The moment to look from, in seconds since the epoch.
            window_seconds: How far to look back.
            running: What is worked on now.
        """
        since = max(now - window_seconds, self.flow.since)
        parts = sum((now - max(start, since)) / seconds for start, seconds in running)
        return (self.flow.between(since, now) + parts) / max(now - since, 0.5)

    def eta(self, now: float, left: int, running: Sequence[Running]) -> tuple[float, float] | None:
        """Estimate the seconds until `left` items are done, and one standard deviation of that.

        The uncertainty is that of the rate, measured on a limited number of items and lately
        perhaps another; of the items that are left, each of its own length; and of the last
        item of each worker, that all wait for.
        """
        if self._timed < 2:
            return None
        mean = self.mean
        window = max(10.0, 5 * mean)
        rate = self.rate(now, window, running)
        if rate <= 0:
            return None
        spread = max(0.0, self._squares / self._timed - mean**2) ** 0.5 / mean if mean > 0 else 0.0
        counted = max(1.0, rate * min(window, now - self.flow.since))
        seconds = left / rate
        noise = seconds * max(spread, 0.1) * (1 / counted + 1 / left) ** 0.5
        # The pace may have changed, as when a pod is lost: half of the time tells how much.
        lately = self.rate(now, window / 2, running)
        drift = abs(left / lately - seconds) / 2 if lately > 0 else seconds
        return seconds, (noise**2 + drift**2 + (mean / 2) ** 2) ** 0.5
