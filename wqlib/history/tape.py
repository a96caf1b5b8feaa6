"""A recorded run again: as a tape that can be wound, or line by line in the terminal."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from os import PathLike
from pathlib import Path

from .events import Event, PodEvent
from .history import History
from .history.recording import Recorded, read

RECORDINGS = Path(__file__).parent / "recordings"
TOLD = ("lease", "complete", "release", "fail", "expire", "dead", "requeue", "drained", "clear")


def find(run: str | PathLike[str]) -> Path:
    """The file of a recording.

    Args:
        run: A file, or the name of a run that the library ships: "clean", "killed", "scaled".
    """
    shipped = RECORDINGS / f"{run}.jsonl"
    return shipped if shipped.is_file() and not Path(run).exists() else Path(run)


class Tape:
    """The events of a run, and the history up to any moment of it.

    Args:
        events: All events, in the order in which they were seen.

    Attributes:
        began_at: When the run began, in seconds since the epoch.
        seconds: How long it took.
    """

    def __init__(self, events: list[Recorded]) -> None:
        self._events = events
        # Pods are seen through another connection, so some news are older than those before.
        self._times = list(accumulate((event.at for event in events), max))
        self._history, self._folded = History(), 0
        whole = self.until(float("inf"))
        self.began_at = whole.started_at or (self._times[0] if events else 0.0)
        self.seconds = max(0.0, whole.last_at - self.began_at)

    @classmethod
    def of(cls, run: str | PathLike[str] | History) -> Tape:
        """The tape of a file, of a run that the library ships, or of a history.

        Raises:
            BadHistoryFile: If the file is not a recording.
        """
        return cls(list(run.log) if isinstance(run, History) else list(read(find(run))))

    def until(self, seconds: float) -> History:
        """The run up to a moment in seconds since it began; forwards, only what is new is read."""
        at = self.began_at + seconds if seconds != float("inf") else seconds
        upto = bisect_right(self._times, at + 1e-6)
        if upto < self._folded:
            self._history, self._folded = History(), 0
        self._history.add(self._events[self._folded : upto])
        self._folded = upto
        return self._history


def play(path: str | PathLike[str], speed: float = 0.0) -> None:
    """Print what happened in a run, then how it ended.

    Args:
        path: A file that `History.save` wrote, or the name of a run that the library ships.
        speed: How many times as fast as it was; 0 for no pauses.

    Raises:
        BadHistoryFile: If it is not a recording.
    """
    history = History()
    began: float | None = None
    started = time.monotonic()
    for recorded in read(find(path)):
        history.add([recorded])
        began = recorded.at if began is None else began
        seconds = recorded.at - began
        for text in _told(recorded):
            if speed > 0:
                time.sleep(max(0.0, started + seconds / speed - time.monotonic()))
            print(f"{seconds:8.3f} s  {text.rstrip()}", flush=True)
    print(history.summary(history.last_at))
    for row in history.table(history.last_at):
        print(f"  {row.pod}: {row.state}, {row.done} done, {row.lost} lost")


def _told(recorded: Recorded) -> Iterator[str]:
    if isinstance(recorded, PodEvent):
        yield f"{'pod':9} {recorded.pod} is {recorded.kind}" + _why(recorded.reason)
    elif isinstance(recorded, Event):
        if recorded.kind in ("put", "requeue"):
            yield f"{recorded.kind:9} {recorded.count} items"
        elif recorded.kind in TOLD:
            item = f" {recorded.item}" if recorded.item else ""
            yield f"{recorded.kind:9} {recorded.lease_id}{item}" + _why(recorded.reason)


def _why(reason: str) -> str:
    return f" ({reason})" if reason else ""
