"""A recorded run told in the terminal, line by line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from os import PathLike

from ..events import Event, PodEvent
from ..history import History
from ..history.recording import Recorded, read
from ..history.tape import recording_path

TOLD = (
    "lease",
    "complete",
    "release",
    "fail",
    "expire",
    "dead",
    "requeue",
    "drop",
    "drained",
    "clear",
)


def play(path: str | PathLike[str], speed: float = 0.0) -> None:
    """Print what happened in a run, then how it ended.

    Args:
        path: A file that `History.save` wrote, or the name of a run of the course's.
        speed: How many times as fast as it was; 0 for no pauses.

    Raises:
        BadHistoryFile: If it is not a recording.
    """
    history = History()
    began: float | None = None
    started = time.monotonic()
    for recorded in read(recording_path(path)):
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
