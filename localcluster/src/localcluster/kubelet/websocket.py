"""The server's side of a WebSocket on a stream that was upgraded to it.

Messages are passed on in pieces as they come, so a message of any size needs little memory.
https://www.rfc-editor.org/rfc/rfc6455
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncGenerator

from tornado.iostream import IOStream

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PIECE = 64 * 1024
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


def accept(key: str) -> str:
    """Return the value of `Sec-WebSocket-Accept` for a client's key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest()).decode()


def _unmask(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class ProtocolError(Exception):
    """The client does not keep to the protocol."""


class WebSocket:
    """One WebSocket; `StreamClosedError` comes out of its methods when the client is gone."""

    def __init__(self, stream: IOStream) -> None:
        self.stream = stream
        self._answered = asyncio.Event()

    async def pieces(self) -> AsyncGenerator[tuple[bool, bytes]]:
        """Yield what comes in: whether a message begins here, and a piece of it."""
        begins = True
        while True:
            first, second = await self.stream.read_bytes(2)
            opcode, size = first & 15, second & 127
            if not second & 128 or first & 0x70:
                raise ProtocolError("a client masks its frames and uses no extension")
            if size == 126:
                (size,) = struct.unpack(">H", await self.stream.read_bytes(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self.stream.read_bytes(8))
            mask = await self.stream.read_bytes(4)
            if opcode >= _CLOSE:
                if not await self._control(opcode, size, mask):
                    return
                continue
            if begins != (opcode in (_TEXT, _BINARY)):
                raise ProtocolError("a message begins inside another")
            while size > 0:
                # A multiple of four, so that the mask begins anew with each piece.
                data = await self.stream.read_bytes(min(size, _PIECE))
                size -= len(data)
                yield begins, _unmask(data, mask)
                begins = False
            begins = bool(first & 128)

    async def _control(self, opcode: int, size: int, mask: bytes) -> bool:
        """Answer a frame of the protocol itself; return False at the end."""
        if size > 125:
            raise ProtocolError("a control frame is too long")
        data = _unmask(await self.stream.read_bytes(size), mask)
        if opcode == _CLOSE:
            await self._send(_CLOSE, data[:2])
            return False
        if opcode == _PING:
            await self._send(_PONG, data)
        elif opcode == _PONG:
            self._answered.set()
        return True

    async def send(self, *parts: bytes) -> None:
        """Send one message; return when the system has taken it over."""
        await self._send(_BINARY, *parts)

    async def ping(self) -> None:
        """Send something to which only a client that is gone does not listen."""
        await self._send(_PING)

    async def round_trip(self) -> None:
        """Wait until the client has answered a ping: somebody must read what comes meanwhile."""
        self._answered.clear()
        await self.ping()
        await self._answered.wait()

    async def close(self) -> None:
        """Say goodbye."""
        await self._send(_CLOSE, struct.pack(">H", 1000))

    async def _send(self, opcode: int, *parts: bytes) -> None:
        size = sum(map(len, parts))
        if size < 126:
            head = struct.pack(">BB", 128 | opcode, size)
        elif size < 1 << 16:
            head = struct.pack(">BBH", 128 | opcode, 126, size)
        else:
            head = struct.pack(">BBQ", 128 | opcode, 127, size)
        # Tornado does not expect that the waiting for a write is cancelled: hence the shield.
        await asyncio.shield(self.stream.write(b"".join((head, *parts))))
