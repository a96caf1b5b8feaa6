"""In-process transport: the same API over a pipe inside the daemon, without TLS.

The controllers and the kubelet send the same requests as over TLS, token and all, and the same
handlers answer. What is left out is the way there: it would take most of the daemon's time.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

import tornado.httputil
import tornado.iostream
import tornado.web

from ...apimachinery.transport import Connection, Pipe


def dial(application: tornado.web.Application) -> Callable[[Connection], None]:
    """Return a function that connects a client to the application."""
    return lambda client: Pipe.between(client, _Server(application))


class _Server(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(self, application: tornado.web.Application) -> None:
        self._application = application
        self._buffer = b""
        self._exchange: _Exchange | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._exchange is None:
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if self._exchange is not None:
            self._exchange.lost()

    def _next(self) -> None:
        """Begin with the next request, if all of it is there."""
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        first, _, lines = head.partition(b"\r\n")
        headers = _headers(lines)
        size = int(headers.get("Content-Length", "0"))
        if len(rest) < size:
            return
        self._buffer = rest[size:]
        self._exchange = _Exchange(self)
        start = tornado.httputil.RequestStartLine(*first.decode("latin-1").split(" "))
        delegate = self._application.start_request(self, self._exchange)
        delegate.headers_received(start, headers)
        if size:
            delegate.data_received(rest[:size])
        delegate.finish()

    def answered(self) -> None:
        self._exchange = None
        if self._buffer:
            self._next()


@functools.lru_cache(maxsize=1024)
def _headers(lines: bytes) -> tornado.httputil.HTTPHeaders:
    """Parse a block of headers; our own clients send few different ones."""
    return tornado.httputil.HTTPHeaders.parse(lines.decode("latin-1"))


class _Exchange(tornado.httputil.HTTPConnection):
    """One request and what the handler answers to it."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._chunked = False
        self._on_close: Callable[[], None] | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done.set_result(None)

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        self._on_close = callback

    def lost(self) -> None:
        if self._on_close is not None:
            self._on_close()

    def write_headers(
        self,
        start_line: tornado.httputil.RequestStartLine | tornado.httputil.ResponseStartLine,
        headers: tornado.httputil.HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        assert isinstance(start_line, tornado.httputil.ResponseStartLine)
        self._chunked = "Content-Length" not in headers
        if self._chunked:
            headers["Transfer-Encoding"] = "chunked"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.get_all())
        head = f"HTTP/1.1 {start_line.code} {start_line.reason}\r\n{lines}\r\n".encode("latin-1")
        return self._send(head + self._framed(chunk or b""))

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._send(self._framed(chunk))

    def finish(self) -> None:
        if self._chunked:
            self._send(b"0\r\n\r\n")
        self._on_close = None
        self._server.answered()

    def _framed(self, chunk: bytes) -> bytes:
        if not self._chunked or not chunk:
            return chunk
        return b"%x\r\n%b\r\n" % (len(chunk), chunk)

    def _send(self, data: bytes) -> asyncio.Future[None]:
        if self._server.transport.is_closing():
            # As Tornado's own connections: an error for whoever waits, and none for the others.
            failed: asyncio.Future[None] = self._done.get_loop().create_future()
            failed.set_exception(tornado.iostream.StreamClosedError())
            failed.exception()
            return failed
        self._server.transport.write(data)
        return self._done
