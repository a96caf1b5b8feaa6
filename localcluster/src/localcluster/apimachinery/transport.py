"""Transport: HTTP/1.1 as a client sees it, with pipelined requests and replies in their order.

Also a connection without a socket: the two ends of a pipe inside this process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field

_Steps = Generator[None, None, bytes]


@dataclass
class Reply:
    """The answer to one request, as far as it has come.

    Attributes:
        began: Resolved when the head is there.
        parts: What has come of the body and was not taken yet.
    """

    began: asyncio.Future[None]
    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    ended: bool = False
    error: ConnectionError | None = None
    _more: asyncio.Future[None] | None = None

    async def body(self) -> bytes:
        """Return the whole body."""
        while not self.ended:
            await self._wait()
        return b"".join(self.parts)

    async def more(self) -> bytes:
        """Return what has come since the last call; empty at the end."""
        while not self.parts and not self.ended:
            await self._wait()
        data = b"".join(self.parts)
        self.parts.clear()
        return data

    async def _wait(self) -> None:
        if self.error:
            raise self.error
        self._more = self.began.get_loop().create_future()
        await self._more
        if self.error:
            raise self.error

    def wake(self) -> None:
        """Wake whoever waits: something has come, or the connection is gone."""
        if self.error and not self.began.done():
            self.began.set_exception(self.error)
        if self._more and not self._more.done():
            self._more.set_result(None)


class Connection(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._replies: deque[Reply] = deque()
        self._parser = self._parse()
        next(self._parser)

    def send(self, message: bytes) -> Reply:
        """Send a request; the reply fills itself."""
        reply = Reply(self._loop.create_future())
        if self.closed or self.transport is None:
            raise ConnectionResetError("the API server closed the connection")
        self._replies.append(reply)
        self.transport.write(message)
        return reply

    def close(self) -> None:
        self.closed = True
        if self.transport:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        try:
            self._parser.send(None)
        except (ValueError, IndexError, StopIteration):
            self.close()
            self._lose("the API server answers in no HTTP that is known here")

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._lose("the API server closed the connection")

    def _lose(self, why: str) -> None:
        while self._replies:
            reply = self._replies.popleft()
            reply.error = ConnectionResetError(why)
            reply.wake()

    def _parse(self) -> Generator[None, None, None]:
        """Take replies out of the buffer for ever; each `yield` waits for more bytes."""
        while True:
            first, *lines = (yield from self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            reply = self._replies[0]
            reply.code = int(first[9:12])
            for line in lines:
                name, _, value = line.partition(":")
                reply.headers[name.lower()] = value.strip()
            if not reply.began.done():
                reply.began.set_result(None)
            if reply.headers.get("transfer-encoding") == "chunked":
                while size := int((yield from self._until(b"\r\n")), 16):
                    reply.parts.append((yield from self._take(size + 2))[:-2])
                    reply.wake()
                yield from self._until(b"\r\n")
            elif length := int(reply.headers.get("content-length", "0")):
                reply.parts.append((yield from self._take(length)))
            self._replies.popleft()
            reply.ended = True
            reply.wake()

    def _until(self, mark: bytes) -> _Steps:
        while (place := self._buffer.find(mark)) < 0:
            yield
        data, self._buffer = self._buffer[:place], self._buffer[place + len(mark) :]
        return data

    def _take(self, size: int) -> _Steps:
        # Joined once, however many pieces a long body comes in.
        parts, have = [self._buffer], len(self._buffer)
        while have < size:
            self._buffer = b""
            yield
            parts.append(self._buffer)
            have += len(self._buffer)
        data = b"".join(parts) if len(parts) > 1 else parts[0]
        self._buffer = data[size:]
        return data[:size]


class Pipe(asyncio.Transport):
    """One end of a connection inside this process: what is written here arrives there.

    It arrives a turn of the loop later, all that was written meanwhile in one piece.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._other: Pipe | None = None
        self._incoming: list[bytes] = []
        self._closing = False

    @classmethod
    def between(cls, client: asyncio.Protocol, server: asyncio.Protocol) -> None:
        """Connect two protocols."""
        one, two = cls(client), cls(server)
        one._other, two._other = two, one
        client.connection_made(one)
        server.connection_made(two)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._other is not None and not self._closing and data:
            self._other._receive(bytes(data))

    def close(self) -> None:
        for end in (self, self._other):
            if end is not None and not end._closing:
                end._closing = True
                self._loop.call_soon(end._end)

    def is_closing(self) -> bool:
        return self._closing

    def _receive(self, data: bytes) -> None:
        if not self._incoming:
            self._loop.call_soon(self._deliver)
        self._incoming.append(data)

    def _deliver(self) -> None:
        data = self._incoming[0] if len(self._incoming) == 1 else b"".join(self._incoming)
        self._incoming.clear()
        self._protocol.data_received(data)

    def _end(self) -> None:
        self._other = None
        self._protocol.connection_lost(None)
