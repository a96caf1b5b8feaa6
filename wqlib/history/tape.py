"""A recorded run as a tape that can be wound."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from os import PathLike
from pathlib import Path

from .fold import History
from .recording import Recorded, read

# Where the course's own recordings are, seen from its folders, and in this copy of it.
_COURSE = (Path("recordings"), Path("notebooks/recordings"))
FOLDERS = (*_COURSE, Path(__file__).parents[2] / _COURSE[1])


def recording_path(run: str | PathLike[str]) -> Path:
    """Return the file of a recording.

    Args:
        run: A file, or the name of a run of the course's: "clean", "killed", "scaled".
    """
    files = [Path(run), *(place / f"{run}.jsonl" for place in FOLDERS)]
    return next((file for file in files if file.exists()), Path(run))


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
        """Return the tape of a file, of a run of the course's, or of a history.

        Raises:
            BadHistoryFile: If the file is not a recording.
        """
        return cls(list(run.log) if isinstance(run, History) else list(read(recording_path(run))))

    def until(self, seconds: float) -> History:
        """Return the run up to a moment in seconds since it began; it is read on from the last."""
        at = self.began_at + seconds if seconds != float("inf") else seconds
        upto = bisect_right(self._times, at + 1e-6)
        if upto < self._folded:
            self._history, self._folded = History(), 0
        self._history.add(self._events[self._folded : upto])
        self._folded = upto
        return self._history
