"""Reading and writing pipes and terminals without blocking, as fast as the other side goes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Callable

_READ_BYTES = 32 * 1024


async def _ready(
    add: Callable[..., None],
    remove: Callable[[int], bool],
    fd: int,
    ended: asyncio.Future[int] | None = None,
) -> None:
    woken = asyncio.get_running_loop().create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    add(fd, wake)
    if ended is not None:
        ended.add_done_callback(wake)
    try:
        await woken
    finally:
        remove(fd)
        if ended is not None:
            ended.remove_done_callback(wake)


async def read(fd: int, ended: asyncio.Future[int]) -> bytes:
    """Return what can be read; empty at the end.

    Once the program has `ended`, what lies there is all: a process that escaped its group and
    still holds the other end cannot hold this up.
    """
    loop = asyncio.get_running_loop()
    while True:
        over = ended.done()
        try:
            return os.read(fd, _READ_BYTES)
        except BlockingIOError:
            if over:
                return b""
        except OSError:  # So says a terminal that nobody has open any more.
            return b""
        await _ready(loop.add_reader, loop.remove_reader, fd, ended)


async def write(fd: int, data: bytes) -> None:
    """Write all of it.

    Raises:
        OSError: Nobody reads any more.
    """
    loop = asyncio.get_running_loop()
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            await _ready(loop.add_writer, loop.remove_writer, fd)


def resize(terminal: int, columns: int, rows: int) -> None:
    """Tell the programs at a terminal its new size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
