"""The way to an API server over HTTP/1.1, with TLS.

Connections are kept and used again, because a TLS handshake costs more than a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from .jsontypes import dumps
from .transport import Made, Request, Response, Text, WatchEvent


@contextlib.contextmanager
def _resets() -> Iterator[None]:
    """Raise a `ConnectionResetError` when what comes ends too early, or is no HTTP."""
    try:
        yield
    except EOFError:
        raise ConnectionResetError("the API server closed the connection") from None
    except (ValueError, IndexError, asyncio.LimitOverrunError):
        text = "the API server answers in no HTTP that is known here"
        raise ConnectionResetError(text) from None


@dataclass
class _Connection:
    """One connection; it carries one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, message: bytes) -> None:
        """Send a request, and read the head of the reply."""
        with _resets():
            self.writer.write(message)
            await self.writer.drain()
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            self.status = int(first[9:12])
            pairs = (line.partition(":") for line in lines)
            self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    async def chunk(self) -> bytes:
        """Return the next chunk of a chunked body; empty at its end."""
        with _resets():
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def body(self) -> bytes:
        """Return the whole body."""
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while part := await self.chunk():
                parts.append(part)
            return b"".join(parts)
        with _resets():
            return await self.reader.readexactly(int(self.headers.get("content-length", "0")))

    def close(self) -> None:
        self.writer.close()


@dataclass
class _Events:
    """The events of a watch, read from the lines of a chunked body."""

    _connection: _Connection
    _rest: bytes = b""

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> list[WatchEvent]:
        try:
            while part := await self._connection.chunk():
                *lines, self._rest = (self._rest + part).split(b"\n")
                if lines:
                    return [_event(line) for line in lines]
        except ConnectionResetError:
            pass
        raise StopAsyncIteration

    def close(self) -> None:
        self._connection.close()


def _event(line: bytes) -> WatchEvent:
    found = json.loads(line)
    return WatchEvent(found["type"], Made(found["object"]))


@dataclass
class HttpTransport:
    """The way to one API server.

    Args:
        server: The base URL, `https://host:port`.
        token: The bearer token; empty where `context` shows a certificate instead.
        context: Trusts the server's CA.
        parallel: How many requests may be under way at once, watches not counted.
    """

    server: str
    token: str = ""
    context: ssl.SSLContext | None = None
    parallel: int = 8
    _idle: list[_Connection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.parallel)

    async def answer(self, request: Request) -> Response:
        """Return the server's response."""
        watches = bool(request.param("watch"))
        async with contextlib.nullcontext() if watches else self._slots:
            connection = await self._send(self._message(request))
            if watches and connection.status < 400:
                return Response(connection.status, Text(b""), events=_Events(connection))
            try:
                text = await connection.body()
            except BaseException:
                connection.close()
                raise
            if connection.headers.get("connection") == "close":
                connection.close()
            else:
                self._idle.append(connection)
            return Response(connection.status, Text(text))

    async def _send(self, message: bytes) -> _Connection:
        """Send a message over an idle connection, or over a new one when that is closed."""
        while True:
            known = self._idle.pop() if self._idle else None
            connection = known or await self._connect()
            try:
                await connection.send(message)
            except BaseException as error:
                connection.close()
                if known is None or not isinstance(error, ConnectionError):
                    raise
            else:
                return connection

    async def _connect(self) -> _Connection:
        url = urlsplit(self.server)
        opened = asyncio.open_connection(str(url.hostname), url.port or 443, ssl=self.context)
        return _Connection(*await opened)

    def _message(self, request: Request) -> bytes:
        target = request.path
        if request.query:
            target += "?" + urlencode(request.query, doseq=True)
        body = request.body if isinstance(request.body, bytes) else dumps(request.body)
        lines = [
            f"{request.method} {target} HTTP/1.1",
            f"Host: {urlsplit(self.server).netloc}",
            *([f"Authorization: Bearer {self.token}"] if self.token else []),
            "Accept: application/json",
            f"Content-Type: {request.content_type or 'application/json'}",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()
