"""The channels of an exec or an attach, which share one WebSocket.

The first byte of each message names a channel (`v4.channel.k8s.io`, `v5.channel.k8s.io`).
https://kubernetes.io/blog/2024/08/20/websockets-transition/
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tornado.iostream import IOStream, StreamClosedError

from ..apimachinery.jsontypes import Obj
from . import websocket
from .buffer import BoundedBuffer

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_GREETING_SECONDS = 5.0
_ROUND_TRIPS = 3
_GOODBYE_SECONDS = 5.0
_MAX_SIZE_BYTES = 1024


@dataclass(frozen=True)
class StreamOptions:
    """Which channels the client asks for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Session:
    """One client's channels.

    Args:
        translated: Whether a real API server would stand in between and speak SPDY to the kubelet,
            as it does for `v5.channel.k8s.io`; it wraps what went wrong once more.

    Attributes:
        stdin: What the client sends to the program; its end is the end of the input.
        gone: Set when the client has left.
        on_resize: Called with columns and rows when the client's terminal has changed.
    """

    def __init__(self, stream: IOStream, *, translated: bool) -> None:
        self.stdin = BoundedBuffer()
        self.gone = asyncio.Event()
        self.on_resize: Callable[[int, int], None] | None = None
        self._size: tuple[int, int] | None = None
        self._translated = translated
        self._socket = websocket.WebSocket(stream)
        self._listening = asyncio.Event()

    def watch_size(self, apply: Callable[[int, int], None]) -> None:
        """Have `apply` called with each size of the client's terminal, the known one at once."""
        self.on_resize = apply
        if self._size:
            apply(*self._size)

    async def receive(self) -> None:
        """Take in what comes until the client has gone."""
        greeting = asyncio.get_running_loop().create_task(self._greet())
        try:
            await self._receive()
        finally:
            await cancel(greeting)
            self._listening.set()

    async def _greet(self) -> None:
        """Find out when the client is able to take in something.

        Before version 1.34, kubectl starts to read first and makes its streams then, and drops what
        it reads in between. Round trips take long just when that does: on a busy machine.
        """
        with contextlib.suppress(TimeoutError, StreamClosedError):
            async with asyncio.timeout(_GREETING_SECONDS):
                for _ in range(_ROUND_TRIPS):
                    await self._socket.round_trip()
        self._listening.set()

    async def _receive(self) -> None:
        channel, small = -1, b""
        async for begins, data in self._socket.pieces():
            if begins:
                self._listening.set()
                channel, data, small = data[0], data[1:], b""
            if channel == STDIN:
                await self.stdin.put(data, self._socket.ping)
            elif channel in (RESIZE, CLOSE) and len(small) < _MAX_SIZE_BYTES:
                small += data
                self._message(channel, small)

    def _message(self, channel: int, data: bytes) -> None:
        if channel == RESIZE:
            self._resized(data)
        elif data == bytes([STDIN]):
            self.stdin.end()

    def _resized(self, text: bytes) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            size = json.loads(text)
            self._size = int(size["Width"]) & 0xFFFF, int(size["Height"]) & 0xFFFF
            if self.on_resize:
                self.on_resize(*self._size)

    async def send(self, channel: int, data: bytes) -> None:
        """Send data; return when the system has taken it over, or the client is gone."""
        await self._listening.wait()
        with contextlib.suppress(StreamClosedError):
            await self._socket.send(bytes([channel]), data)

    async def finish(self, status: Obj) -> None:
        """Send the status, and end all channels."""
        if self._translated and status.get("reason") == "InternalError":
            status = internal_error(status["message"])
        await self.send(ERROR, json.dumps(status).encode())
        with contextlib.suppress(StreamClosedError):
            await self._socket.close()


@contextlib.asynccontextmanager
async def session(stream: IOStream, protocol: str) -> AsyncIterator[Session]:
    """Speak a channel protocol to a client over an upgraded connection; it is closed in the end."""
    made = Session(stream, translated=protocol.startswith("v5."))

    async def receive() -> None:
        try:
            await made.receive()
        except (StreamClosedError, websocket.ProtocolError):
            stream.close()
        finally:
            made.stdin.end()
            made.gone.set()

    stream.set_close_callback(made.gone.set)
    task = asyncio.get_running_loop().create_task(receive())
    try:
        yield made
        # The client says goodbye too, or what was sent last could be lost on its way.
        if not made.gone.is_set():
            made.stdin.abandon()
            await either(made.gone.wait(), seconds=_GOODBYE_SECONDS)
    finally:
        task.cancel()
        stream.close()


async def either(*waits: Awaitable[Any], seconds: float | None = None) -> None:
    """Wait until one of these has ended; the others are cancelled and have ended then too.

    Raises whatever the first one raised.
    """
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(*tasks)
    for task in done:
        task.result()


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks, and wait until they have let go of everything."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def exit_status(code: int) -> Obj:
    """Return the status of a command that ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def internal_error(why: str) -> Obj:
    """Return the status of a command that could not be run."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {why}",
        "reason": "InternalError",
        "details": {"causes": [{"message": why}]},
        "code": 500,
    }
