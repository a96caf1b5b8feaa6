"""Port-forward: connections to a pod's ports, by WebSocket or by SPDY.

By WebSocket (`v4.channel.k8s.io`) each port has two channels, for one connection; by SPDY each
connection has two streams, of data and of errors. kubectl since 1.31 carries SPDY inside a
WebSocket. https://kubernetes.io/docs/tasks/access-application-cluster/port-forward-access-application-cluster/
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tornado.iostream import IOStream, StreamClosedError

from ..apimachinery.jsontypes import whole_number
from . import spdy, websocket
from .buffer import BoundedBuffer
from .remotecommand import either

TUNNEL = "SPDY/3.1+portforward.k8s.io"
_READ_BYTES = 32 * 1024
_PAIR_SECONDS = 30.0

Send = Callable[[bytes], Awaitable[None]]


class Target(NamedTuple):
    """Where the ports of a pod are.

    Args:
        real_port: Tells which port of the machine stands for a port of the pod.
    """

    name: str
    address: str
    real_port: Callable[[int], int]


async def _relay(
    target: Target, port: int, received: BoundedBuffer, send: Send, fail: Send
) -> None:
    """Connect to a port of the pod, and carry bytes both ways until one side has had enough."""
    real = target.real_port(port)
    try:
        reader, writer = await asyncio.open_connection(target.address, real, limit=_READ_BYTES)
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        text = (
            f"error forwarding port {port} to pod {target.name}: dial tcp4 {target.address}:{real}:"
            f" connect: {why}"
        )
        received.abandon()
        await fail(text.encode())
        return

    async def inwards() -> None:
        while data := await received.get():
            writer.write(data)
            await writer.drain()
        if not received.abandoned.is_set():
            writer.write_eof()
        await received.abandoned.wait()

    async def outwards() -> None:
        while data := await reader.read(_READ_BYTES):
            await send(data)

    try:
        await either(_quietly(inwards()), _quietly(outwards()))
    finally:
        received.abandon()
        writer.close()


async def _quietly(work: Awaitable[None]) -> None:
    with contextlib.suppress(OSError, StreamClosedError):
        await work


async def by_websocket(stream: IOStream, target: Target, ports: list[int]) -> None:
    """Forward by channels: 0 and 1 for the first port, 2 and 3 for the next, and so on."""
    socket = websocket.WebSocket(stream)
    received = {2 * i: BoundedBuffer() for i in range(len(ports))}

    def sender(channel: int) -> Send:
        return lambda data: socket.send(bytes([channel]), data)

    async def receive() -> None:
        channel = -1
        async for begins, data in socket.pieces():
            if begins:
                channel, data = data[0], data[1:]
            if channel in received:
                await received[channel].put(data, socket.ping)

    async def forward() -> None:
        for i, port in enumerate(ports):
            for channel in (2 * i, 2 * i + 1):
                await sender(channel)(struct.pack("<H", port))
        await asyncio.gather(
            *(
                _relay(target, port, received[2 * i], sender(2 * i), sender(2 * i + 1))
                for i, port in enumerate(ports)
            )
        )
        await socket.close()

    with contextlib.suppress(StreamClosedError, websocket.ProtocolError):
        await either(receive(), forward())


@dataclass
class _Forwards:
    """The connections of one SPDY client, each a pair of streams."""

    target: Target
    waiting: dict[str, spdy.Stream] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def opened(self, stream: spdy.Stream) -> None:
        """Find the stream's other half; both bear the number of their connection."""
        number = stream.headers.get("requestid", str(stream.number))
        other = self.waiting.pop(number, None)
        if other is None:
            self.waiting[number] = stream
            loop = asyncio.get_running_loop()
            loop.call_later(_PAIR_SECONDS, self._give_up, number, stream)
            return
        pair = {s.headers.get("streamtype", ""): s for s in (stream, other)}
        port = whole_number(stream.headers.get("port", "")) or 0
        if 0 < port < 65536 and "data" in pair and "error" in pair:
            self._start(self._forward(port, pair["data"], pair["error"]))
        else:
            self._start(other.reset())
            self._start(stream.reset())

    def _give_up(self, number: str, stream: spdy.Stream) -> None:
        if self.waiting.get(number) is stream and not stream.ended:
            del self.waiting[number]
            self._start(stream.reset())

    async def _forward(self, port: int, data: spdy.Stream, error: spdy.Stream) -> None:
        error.received.abandon()
        await _relay(self.target, port, data.received, data.send, error.send)
        for stream in (error, data):
            await stream.end()
            stream.connection.streams.pop(stream.number, None)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(_quietly(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def by_spdy(stream: IOStream, target: Target, *, tunnel: bool) -> None:
    """Forward by SPDY, as many connections as the client opens.

    Args:
        tunnel: The stream is a WebSocket that carries SPDY.
    """
    read, write = _tunnelled(stream) if tunnel else _plain(stream)
    forwards = _Forwards(target)
    try:
        await spdy.Connection(read, write, forwards.opened).run()
    except (StreamClosedError, spdy.ProtocolError, websocket.ProtocolError):
        pass
    finally:
        for task in list(forwards.tasks):
            task.cancel()


Reader = Callable[[], Awaitable[bytes]]


def _plain(stream: IOStream) -> tuple[Reader, Send]:
    return (
        lambda: stream.read_bytes(2 * _READ_BYTES, partial=True),
        lambda data: websocket.write(stream, data),
    )


def _tunnelled(stream: IOStream) -> tuple[Reader, Send]:
    socket = websocket.WebSocket(stream)
    pieces: AsyncIterator[tuple[bool, bytes]] = socket.pieces()

    async def read() -> bytes:
        async for _, data in pieces:
            if data:
                return data
        return b""

    return read, socket.send
