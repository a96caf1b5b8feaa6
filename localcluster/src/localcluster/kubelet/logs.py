"""The log of a container, whole or its end, once or for as long as it grows."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..apimachinery.jsontypes import parse_time
from . import crilog
from .containerstate import ContainerState
from .crilog import LogWriter

_BLOCK = 64 * 1024


class LogMissing(Exception):
    """There is no such log; the message is the kubelet's."""


class Options(NamedTuple):
    """What a client wants to see of a log.

    Args:
        tail: How many lines from the end; None for all.
        since: Nothing that is older.
        limit: How many bytes at most.
    """

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime.datetime | None = None
    limit: int | None = None


async def read(
    folder: Path,
    container: ContainerState,
    log: LogWriter | None,
    pod_name: str,
    options: Options,
) -> AsyncGenerator[bytes]:
    """Yield the log in pieces.

    Args:
        folder: The pod's.
        log: What writes the latest log of the container.

    Raises:
        LogMissing: Before the first piece, when there is nothing to show and never was.
    """
    run = container.restarts
    waiting = "waiting" in container.state and not path_of(folder, container.name, run).exists()
    if options.previous or waiting:
        run -= 1
    path = path_of(folder, container.name, run)
    if run < 0 or not path.exists():
        raise LogMissing(_absence(container, pod_name, options.previous))
    writer = log if log and log.path == path else None
    rendering = _Rendering(options)
    position = 0
    yield b""
    with path.open("rb") as file:
        file.seek(_tail_position(file, options.tail))
        for lines in _blocks(file):
            position = file.tell()
            yield rendering.render(lines)
            if rendering.full:
                return
        position = position or file.tell()
    if options.follow and writer is not None:
        rest = b""
        async with contextlib.aclosing(writer.follow(position)) as growing:
            async for more in growing:
                *added, rest = (rest + more).split(b"\n")
                yield rendering.render(added)
                if rendering.full:
                    return


def path_of(folder: Path, container: str, run: int) -> Path:
    """Return where the log of a container's n-th run lies, in its pod's folder."""
    return folder / f"{container}-{run}.log"


def _absence(container: ContainerState, pod_name: str, previous: bool) -> str:
    if previous:
        return f'previous terminated container "{container.name}" in pod "{pod_name}" not found'
    waiting = container.state.get("waiting") or {"reason": "ContainerCreating"}
    why = waiting["reason"]
    if waiting.get("message") and why in ("ErrImagePull", "ImagePullBackOff"):
        why = {
            "ErrImagePull": "image can't be pulled",
            "ImagePullBackOff": "trying and failing to pull image",
        }[why]
    return f'container "{container.name}" in pod "{pod_name}" is waiting to start: {why}'


def _tail_position(file: BinaryIO, lines: int | None) -> int:
    """Return where the last so many lines begin."""
    if lines is None or lines < 0:
        return 0
    end = file.seek(0, 2)
    if lines == 0:
        return end
    # The newline at the very end closes the last line; it begins none.
    wanted, at = lines + 1, end
    while at > 0:
        size = min(_BLOCK, at)
        at -= size
        file.seek(at)
        block = file.read(size)
        found = block.count(b"\n")
        if found >= wanted:
            place = len(block)
            for _ in range(wanted):
                place = block.rindex(b"\n", 0, place)
            return at + place + 1
        wanted -= found
    return 0


def _blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    """Yield whole lines, some at a time; a line that is still being written is left."""
    while lines := file.readlines(_BLOCK):
        if not lines[-1].endswith(b"\n"):
            file.seek(-len(lines.pop()), 1)
        if not lines:
            return
        yield [line[:-1] for line in lines]


class _Rendering:
    """Turns records into what the client sees."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._left = options.limit
        self._since = options.since
        self._fresh = True

    @property
    def full(self) -> bool:
        """Tell whether the client has had as many bytes as it wanted."""
        return self._left is not None and self._left <= 0

    def render(self, lines: Iterable[bytes]) -> bytes:
        out = []
        for line in lines:
            record = crilog.parse(line)
            if record is None or self._too_old(record):
                continue
            stamp = f"{record.time} ".encode() if self._options.timestamps and self._fresh else b""
            out.append(stamp + record.text + (b"\n" if record.whole else b""))
            self._fresh = record.whole
        data = b"".join(out)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data

    def _too_old(self, record: crilog.Record) -> bool:
        if self._since is None:
            return False
        if parse_time(record.time[:26] + "Z") < self._since:
            return True
        # Lines are in the order of time: all that follow are younger.
        self._since = None
        return False
