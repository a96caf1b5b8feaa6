"""The log of a container: each line with its time and its stream, as the container runtimes write.

A record is `<time> stdout F <text>`; `P` instead of `F` marks a part of a line that goes on.
https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

# As the kubelet's containerLogMaxSize: then the log begins anew.
MAX_LOG_BYTES = 10 * 1024 * 1024
_MAX_LINE = 16 * 1024


class Record(NamedTuple):
    """One line of a log, or a part of one."""

    time: str
    text: bytes
    whole: bool


def _stamp() -> bytes:
    moment = datetime.datetime.now(datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


@dataclass
class LogWriter:
    """Writes one run of one container, and wakes those who follow it."""

    path: Path
    closed: bool = False
    generation: int = 0
    _fd: int = -1
    _size: int = 0
    _partial: dict[str, bytes] = field(default_factory=dict)
    _followers: list[asyncio.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.path.parent.is_dir():
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def feed(self, data: bytes, stream: str = "stdout") -> None:
        """Take in what the program wrote."""
        if self.closed:
            return
        *lines, rest = (self._partial.get(stream, b"") + data).split(b"\n")
        head = _stamp() + b" " + stream.encode()
        out = [head + b" F " + line + b"\n" for line in lines]
        if len(rest) > _MAX_LINE:
            out.append(head + b" P " + rest + b"\n")
            rest = b""
        self._partial[stream] = rest
        self._write(b"".join(out))

    def close(self) -> None:
        """Write what is left and tell the followers that this was all."""
        if self.closed:
            return
        for stream, rest in self._partial.items():
            if rest:
                self._write(_stamp() + b" " + stream.encode() + b" P " + rest + b"\n")
        self.closed = True
        os.close(self._fd)
        self._wake()

    async def follow(self, position: int) -> AsyncGenerator[bytes]:
        """Yield what is in the file after `position` (bytes), and then what is added."""
        event = asyncio.Event()
        self._followers.append(event)
        generation = self.generation
        try:
            while True:
                event.clear()
                if generation != self.generation:
                    if generation + 1 == self.generation:
                        for data in _rest(self._replaced, position):
                            yield data
                    generation, position = self.generation, 0
                for data in _rest(self.path, position):
                    position += len(data)
                    yield data
                if self.closed and not event.is_set():
                    return
                if not self.closed:
                    await event.wait()
        finally:
            self._followers.remove(event)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._size + len(data) > MAX_LOG_BYTES:
            os.replace(self.path, self._replaced)
            os.close(self._fd)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._size, self.generation = 0, self.generation + 1
        os.write(self._fd, data)
        self._size += len(data)
        self._wake()

    @property
    def _replaced(self) -> Path:
        return self.path.with_suffix(".old")

    def _wake(self) -> None:
        for event in self._followers:
            event.set()


def _rest(path: Path, position: int) -> Iterator[bytes]:
    """Yield what is in the file after `position` (bytes)."""
    with path.open("rb") as file:
        file.seek(position)
        while data := file.read(1 << 16):
            yield data


def parse(line: bytes) -> Record | None:
    """Return the record in one line of a log file."""
    parts = line.split(b" ", 3)
    if len(parts) != 4:
        return None
    return Record(parts[0].decode(), parts[3], parts[2] == b"F")
