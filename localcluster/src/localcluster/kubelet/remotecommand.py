"""The channels of an exec or an attach, however they travel: by WebSocket or by SPDY.

By WebSocket (`v4.channel.k8s.io`, `v5.channel.k8s.io`) the first byte of each message names a
channel; by SPDY (`v4.channel.k8s.io`) each channel is a stream of its own.
https://kubernetes.io/blog/2024/08/20/websockets-transition/
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from tornado.iostream import IOStream, StreamClosedError

from ..apimachinery.jsontypes import Obj
from . import spdy, websocket
from .buffer import BoundedBuffer

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}
_STREAMS_SECONDS = 30.0
_GREETING_SECONDS = 5.0
_ROUND_TRIPS = 3
_GOODBYE_SECONDS = 5.0
_MAX_SIZE_BYTES = 1024


class StreamOptions(NamedTuple):
    """Which channels the client asks for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Session:
    """One client's channels.

    Attributes:
        stdin: What the client sends to the program; its end is the end of the input.
        gone: Set when the client has left.
        on_resize: Called with columns and rows when the client's terminal has changed.
    """

    def __init__(self) -> None:
        self.stdin = BoundedBuffer()
        self.gone = asyncio.Event()
        self.on_resize: Callable[[int, int], None] | None = None
        self._size: tuple[int, int] | None = None

    async def send(self, channel: int, data: bytes) -> None:
        """Send data; return when the system has taken it over, or the client is gone."""
        raise NotImplementedError

    async def finish(self, status: Obj) -> None:
        """Send the status, and end all channels."""
        raise NotImplementedError

    def watch_size(self, apply: Callable[[int, int], None]) -> None:
        """Have `apply` called with each size of the client's terminal, the known one at once."""
        self.on_resize = apply
        if self._size:
            apply(*self._size)

    def resized(self, text: bytes) -> None:
        """Take in a message about the size of the client's terminal."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            size = json.loads(text)
            self._size = int(size["Width"]) & 0xFFFF, int(size["Height"]) & 0xFFFF
            if self.on_resize:
                self.on_resize(*self._size)


class WebSocketSession(Session):
    """Channels by WebSocket.

    Args:
        translated: Whether a real API server would stand in between and speak SPDY to the kubelet,
            as it does for `v5.channel.k8s.io`; it wraps what went wrong once more.
    """

    def __init__(self, stream: IOStream, *, translated: bool) -> None:
        super().__init__()
        self._translated = translated
        self._socket = websocket.WebSocket(stream)
        self._listening = asyncio.Event()

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
            self.resized(data)
        elif data == bytes([STDIN]):
            self.stdin.end()

    async def send(self, channel: int, data: bytes) -> None:
        await self._listening.wait()
        with contextlib.suppress(StreamClosedError):
            await self._socket.send(bytes([channel]), data)

    async def finish(self, status: Obj) -> None:
        if self._translated and status.get("reason") == "InternalError":
            status = internal_error(status["message"])
        await self.send(ERROR, json.dumps(status).encode())
        with contextlib.suppress(StreamClosedError):
            await self._socket.close()


class SpdySession(Session):
    """Channels by SPDY; `ready` is set when the client has opened all that it asked for."""

    def __init__(self, stream: IOStream, options: StreamOptions) -> None:
        super().__init__()
        self._streams: dict[str, spdy.Stream] = {}
        self._expected = {"error"}
        for channel, expected in (
            (STDIN, options.stdin),
            (STDOUT, options.stdout),
            (STDERR, options.stderr and not options.tty),
            (RESIZE, options.tty),
        ):
            if expected:
                self._expected.add(_NAMES[channel])
        self.ready = asyncio.Event()
        self._resizes: asyncio.Task[None] | None = None
        self.connection = spdy.Connection(
            lambda: _read(stream), lambda data: websocket.write(stream, data), self._opened
        )

    def _opened(self, stream: spdy.Stream) -> None:
        kind = stream.headers.get("streamtype", "")
        self._streams.setdefault(kind, stream)
        if kind == "stdin":
            self.stdin = stream.received
        elif kind == "resize":
            self._resizes = asyncio.get_running_loop().create_task(
                self._read_sizes(stream.received)
            )
        if self._expected <= set(self._streams):
            self.ready.set()

    async def _read_sizes(self, received: BoundedBuffer) -> None:
        text = b""
        while data := await received.get():
            *lines, text = (text + data)[-_MAX_SIZE_BYTES:].split(b"\n")
            for line in lines:
                self.resized(line)

    async def receive(self) -> None:
        """Take in what comes until the client has gone."""
        try:
            await self.connection.run()
        finally:
            if self._resizes:
                self._resizes.cancel()

    async def send(self, channel: int, data: bytes) -> None:
        stream = self._streams.get(_NAMES[channel])
        if stream is not None:
            with contextlib.suppress(StreamClosedError):
                await stream.send(data)

    async def finish(self, status: Obj) -> None:
        await self.send(ERROR, json.dumps(status).encode())
        with contextlib.suppress(StreamClosedError):
            for stream in list(self._streams.values()):
                await stream.end()
            await self.connection.goaway()


async def _read(stream: IOStream) -> bytes:
    try:
        return await stream.read_bytes(64 * 1024, partial=True)
    except StreamClosedError:
        return b""


@contextlib.asynccontextmanager
async def session(stream: IOStream, kind: str, options: StreamOptions) -> AsyncIterator[Session]:
    """Speak to a client over an upgraded connection; it is closed in the end.

    Args:
        kind: `websocket` or `spdy`, a colon, and the protocol above it.

    Raises:
        TimeoutError: A SPDY client did not open the streams that it asked for.
    """
    transport, _, protocol = kind.partition(":")
    made: WebSocketSession | SpdySession
    if transport == "websocket":
        made = WebSocketSession(stream, translated=protocol.startswith("v5."))
    else:
        made = SpdySession(stream, options)

    async def receive() -> None:
        try:
            await made.receive()
        except (StreamClosedError, websocket.ProtocolError, spdy.ProtocolError):
            stream.close()
        finally:
            made.stdin.end()
            made.gone.set()

    stream.set_close_callback(made.gone.set)
    task = asyncio.get_running_loop().create_task(receive())
    try:
        if isinstance(made, SpdySession):
            await either(made.ready.wait(), made.gone.wait(), seconds=_STREAMS_SECONDS)
            if not made.ready.is_set():
                raise TimeoutError("the client did not open the streams that it asked for")
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
