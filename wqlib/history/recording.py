"""Keep the events of a run small in memory, and write them to a file and read them back.

A recording is a text file of JSON lines in UTF-8. The first line says what it is::

    {"format": "wqlib history", "version": 1, "events": 3}

Each further line is one thing that happened, in the order in which it was seen: an event
of the queue (`wqlib.events.Event`), a change of a pod (`PodEvent`) or a reading of the
queue's counters (`Reading`). Fields that have their default value are left out::

    {"event": "lease", "at": 1764000000.12, "lease_id": "1-1@pod-a", "item_id": 1, ...}
    {"pod_event": "running", "at": 1764000000.01, "pod": "pod-a", "job": "job-wq-2"}
    {"reading": {"at": 1764000001.0, "pending": 5, "leased": 1, "done": 0, ...}}

Times are seconds since the epoch by the Redis server's clock. A reader must skip fields
and kinds that it does not know; what an old reader cannot skip gets a new version.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..errors import WqlibError
from ..events import Event, PodEvent

FORMAT = "wqlib history"
VERSION = 1

_CHUNK = 4096
_MAX_CHUNKS = 1024  # about four million events, some 80 MB


class BadHistoryFile(WqlibError):
    """A file is not a recording of a run, or it is damaged."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What `queue.stats()` said at one moment; it corrects what the events could not tell.

    The event stream is capped, and `RPUSH` makes no event, so now and then the counters
    of the queue know more than the events do.

    Attributes:
        at: When, in seconds since the epoch, by the Redis server's clock.
        pending: Items that wait.
        leased: Items that are lent.
        done: Items completed.
        dead: Items given up.
        expired: Leases that ran out.
        released: Leases given back.
        failed: Attempts that failed.
    """

    at: float
    pending: int = 0
    leased: int = 0
    done: int = 0
    dead: int = 0
    expired: int = 0
    released: int = 0
    failed: int = 0


COUNTERS = tuple(f.name for f in fields(Reading) if f.name != "at")

Recorded = Event | PodEvent | Reading

_KEYS: dict[type[Recorded], str] = {Event: "event", PodEvent: "pod_event", Reading: "reading"}
_VALUES: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    cls: attrgetter(*(f.name for f in fields(cls))) for cls in _KEYS
}
_BY_LENGTH = {len(fields(cls)): cls for cls in _KEYS}  # no two have as many fields


class EventLog:
    """Every event of a run, some twenty bytes each once a few thousand have come.

    The oldest are forgotten after about four million.

    Attributes:
        recent: The newest events; add to them, and call `pack` now and then.
        forgotten: How many of the oldest are gone.
    """

    def __init__(self) -> None:
        self.forgotten = 0
        self.recent: list[Recorded] = []
        self._packed: deque[bytes] = deque()
        self._moving = threading.Lock()  # a run may be saved while it goes on

    def clear(self) -> None:
        """Forget all events."""
        with self._moving:
            self.forgotten = 0
            self.recent.clear()
            self._packed.clear()

    def pack(self) -> None:
        """Make the recent events small, if there are many."""
        if len(self.recent) < _CHUNK:
            return
        chunk = self.recent[:_CHUNK]
        rows: Any
        if all(type(event) is Event for event in chunk):
            # One flat tuple: thousands of small ones would keep the garbage collector busy.
            rows = tuple(chain.from_iterable(map(_VALUES[Event], chunk)))
        else:
            rows = [_VALUES[type(event)](event) for event in chunk]
        # Speed matters more than size here (version 2 of marshal looks for no repetitions).
        # It never leaves this process.
        packed = zlib.compress(marshal.dumps(rows, 2), 1)
        with self._moving:
            del self.recent[:_CHUNK]
            self._packed.append(packed)
            if len(self._packed) > _MAX_CHUNKS:
                self._packed.popleft()
                self.forgotten += _CHUNK

    def copy(self) -> EventLog:
        """Return the events so far, which then stay as they are."""
        other = EventLog()
        with self._moving:
            other.forgotten = self.forgotten
            other.recent, other._packed = list(self.recent), self._packed.copy()
        return other

    def __len__(self) -> int:
        return len(self._packed) * _CHUNK + len(self.recent)

    def __iter__(self) -> Iterator[Recorded]:
        for packed in list(self._packed):
            rows = marshal.loads(zlib.decompress(packed))
            if isinstance(rows, tuple):
                rows = zip(*[iter(rows)] * len(fields(Event)), strict=True)
            for values in rows:
                yield _BY_LENGTH[len(values)](*values)
        yield from list(self.recent)


def save(log: EventLog, path: str | os.PathLike[str]) -> None:
    """Write a recording; a file of that name is replaced once all is written.

    Args:
        log: The events.
        path: Where to; by convention it ends in `.jsonl`.
    """
    target = Path(path)
    scratch = target.with_name(f".{target.name}.part")
    log = log.copy()
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "events": len(log)}
    if log.forgotten:
        head["forgotten"] = log.forgotten
    try:
        with scratch.open("w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(head) + "\n")
            for event in log:
                file.write(json.dumps(_to_json(event), ensure_ascii=False) + "\n")
        scratch.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            scratch.unlink()


def read(path: str | os.PathLike[str]) -> Iterator[Recorded]:
    """Read a recording.

    Args:
        path: A file that `save` wrote.

    Yields:
        The events, in the order in which they were seen.

    Raises:
        BadHistoryFile: If there is no such file, or it is not a recording, or it is of a
            newer version, or a line of it is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            _check_head(path, file.readline())
            for number, line in enumerate(file, start=2):
                try:
                    event = _from_json(json.loads(line))
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise BadHistoryFile(
                        f"Line {number} of {path} is not an event of a run ({error}). The file "
                        "is damaged; save the run again, or delete the lines from there on."
                    ) from error
                if event is not None:
                    yield event
    except OSError as error:
        raise BadHistoryFile(
            f"Cannot read {path}: {error.strerror or error}. "
            "A recording is written with history.save(path)."
        ) from error


def _check_head(path: str | os.PathLike[str], line: bytes) -> None:
    try:
        head = json.loads(line)
        known = head["format"] == FORMAT
        version = int(head["version"])
    except (ValueError, TypeError, KeyError):
        known = False
    if not known:
        raise BadHistoryFile(
            f"{path} is not a recording of a run: its first line does not say "
            f'"format": "{FORMAT}". A recording is written with history.save(path).'
        )
    if version > VERSION:
        raise BadHistoryFile(
            f"{path} is a recording of version {version}; this wqlib reads up to version "
            f"{VERSION}. Install a newer wqlib."
        )


def _to_json(event: Recorded) -> dict[str, Any]:
    values = zip(fields(event), _VALUES[type(event)](event), strict=True)
    row = {f.name: value for f, value in values if value != f.default}
    key = _KEYS[type(event)]
    return {key: row} if isinstance(event, Reading) else {key: row.pop("kind"), **row}


_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}


def _from_json(row: Any) -> Recorded | None:
    if not isinstance(row, dict):
        raise TypeError("not a JSON object")
    for cls, key in _KEYS.items():
        if key in row:
            return _build(cls, row[key] if cls is Reading else {**row, "kind": row[key]})
    return None


def _build(cls: type[Recorded], row: dict[str, Any]) -> Recorded:
    known = {f.name: f for f in fields(cls)}
    values = {name: value for name, value in row.items() if name in known}
    for name, value in values.items():
        wanted = _TYPES.get(str(known[name].type), (str,))
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise TypeError(f"{name} is {value!r}")
    return cls(**values)
