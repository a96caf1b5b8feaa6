"""The server's side of SPDY/3.1, which kubectl speaks inside a WebSocket for port-forward.

Only what it uses is here: streams that the client opens, data, ends, pings.
https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from .buffer import BoundedBuffer
from .websocket import WebSocket

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _HEADERS = 1, 2, 3, 6, 8
_FIN = 1
_REFUSED = 3
_VERSION = 0x8003
_MAX_CONTROL = 64 * 1024
_MAX_STREAMS = 2048
_PIECE = 32 * 1024

# The protocol's own text, with which both sides begin their compression of headers: words
# with their length before them, then this and that.
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language
accept-ranges age allow authorization cache-control connection content-base content-encoding
content-language content-length content-location content-md5 content-range content-type date etag
expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since
last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer
retry-after server te trailer transfer-encoding upgrade user-agent vary via warning
www-authenticate method get status
""".split()
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue,"
    " Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age="
    "gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _text(word: str) -> bytes:
    return struct.pack(">I", len(word)) + word.encode()


DICTIONARY = b"".join(
    [
        *map(_text, _WORDS),
        *map(_text, ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie")),
        *map(_text, ("keep-alive", "origin")),
        _REST.encode(),
    ]
)


class ProtocolError(Exception):
    """The client does not keep to the protocol."""


class Stream:
    """One stream that the client has opened.

    Attributes:
        headers: Names in small letters.
        received: What comes in.
    """

    def __init__(self, connection: Connection, number: int, headers: dict[str, str]) -> None:
        self.connection = connection
        self.number = number
        self.headers = headers
        self.received = BoundedBuffer()
        self.ended = False

    async def send(self, data: bytes) -> None:
        """Send data; return when the system has taken it over."""
        for start in range(0, len(data), _PIECE):
            if not self.ended:
                piece = data[start : start + _PIECE]
                await self.connection.write(struct.pack(">II", self.number, len(piece)) + piece)

    async def end(self) -> None:
        """Say that nothing more comes from here."""
        if not self.ended:
            self.ended = True
            await self.connection.write(struct.pack(">II", self.number, _FIN << 24))

    async def reset(self) -> None:
        """Break the stream off."""
        self.ended = True
        self.received.abandon()
        self.connection.streams.pop(self.number, None)
        await self.connection.control(_RST_STREAM, struct.pack(">II", self.number, 5))


class Connection:
    """All streams of one client.

    Args:
        opened: Called with each new stream.
    """

    def __init__(self, socket: WebSocket, opened: Callable[[Stream], None]) -> None:
        self.write = socket.send
        self._socket = socket
        self._pieces = socket.pieces()
        self._opened = opened
        self.streams: dict[int, Stream] = {}
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    async def run(self) -> None:
        """Take in frames until the client has gone."""
        try:
            while await self._fill(8):
                first, second = struct.unpack(">II", await self._take(8))
                flags, size = second >> 24, second & 0xFFFFFF
                if first >> 31:
                    await self._control_frame(first, flags, size)
                else:
                    await self._data_frame(first, flags, size)
        finally:
            for stream in self.streams.values():
                stream.ended = True
                stream.received.end()

    async def control(self, kind: int, body: bytes) -> None:
        """Send a control frame."""
        await self.write(struct.pack(">HHI", _VERSION, kind, len(body)) + body)

    async def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            piece = await anext(self._pieces, None)
            if piece is None:
                return False
            self._buffer += piece[1]
        return True

    async def _take(self, size: int) -> bytes:
        if not await self._fill(size):
            raise ProtocolError("the connection ends in the middle of a frame")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _data_frame(self, number: int, flags: int, size: int) -> None:
        stream = self.streams.get(number)
        while size:
            await self._fill(1)
            data = await self._take(max(1, min(size, len(self._buffer), _PIECE)))
            size -= len(data)
            if stream is not None:
                await stream.received.put(data, self._socket.ping)
        if flags & _FIN and stream is not None:
            stream.received.end()

    async def _control_frame(self, first: int, flags: int, size: int) -> None:
        kind = first & 0xFFFF
        if size > _MAX_CONTROL or first >> 16 != _VERSION:
            raise ProtocolError("no frame of SPDY/3.1")
        body = await self._take(size)
        if kind == _SYN_STREAM and size >= 10:
            await self._syn_stream(body, flags)
        elif kind == _HEADERS and size >= 4:
            self._headers(body[4:])
        elif kind == _RST_STREAM and size >= 4:
            stream = self.streams.pop(struct.unpack(">I", body[:4])[0], None)
            if stream is not None:
                stream.ended = True
                stream.received.abandon()
        elif kind == _PING and size >= 4 and body[3] & 1:
            await self.control(_PING, body)

    async def _syn_stream(self, body: bytes, flags: int) -> None:
        number = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF
        headers = self._headers(body[10:])
        if number in self.streams or len(self.streams) >= _MAX_STREAMS:
            await self.control(_RST_STREAM, struct.pack(">II", number, _REFUSED))
            return
        stream = self.streams[number] = Stream(self, number, headers)
        if flags & _FIN:
            stream.received.end()
        nothing = self._deflate.compress(struct.pack(">I", 0))
        nothing += self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self.control(_SYN_REPLY, struct.pack(">I", number) + nothing)
        self._opened(stream)

    def _headers(self, packed: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(packed, _MAX_CONTROL)
            if self._inflate.unconsumed_tail:
                raise ProtocolError("the headers are too long")
            (count,), at = struct.unpack_from(">I", raw), 4
            texts = []
            for _ in range(2 * count):
                (size,) = struct.unpack_from(">I", raw, at)
                texts.append(raw[at + 4 : at + 4 + size].decode())
                at += 4 + size
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"the headers cannot be read: {error}") from None
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}
