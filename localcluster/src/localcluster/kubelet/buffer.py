"""Bytes that wait between two tasks, never more than a fixed number of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

_LIMIT = 256 * 1024
_STALLED_SECONDS = 2.0


class BoundedBuffer:
    """A bounded queue of bytes: who puts waits while it is full, who gets waits while it is empty.

    Args:
        on_drained: Called when it is no longer full, and when nobody reads any more.

    Attributes:
        abandoned: Set when nobody reads any more, or the sender has broken off.
    """

    def __init__(self, on_drained: Callable[[], None] | None = None) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self.abandoned = asyncio.Event()
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._on_drained = on_drained

    @property
    def full(self) -> bool:
        return not self._writable.is_set()

    async def put(self, data: bytes, ping: Callable[[], Awaitable[None]]) -> None:
        """Add data, once the buffer is no longer full.

        Args:
            ping: Called again and again while it is full. It sends something, for who does
                not read any more would not see that the client is gone.
        """
        while self.full:
            try:
                async with asyncio.timeout(_STALLED_SECONDS):
                    await self._writable.wait()
            except TimeoutError:
                await ping()
        self.add(data)

    def add(self, data: bytes) -> None:
        """Add data at once; whoever does this looks at `full` before it takes in more."""
        if self._ended or self.abandoned.is_set() or not data:
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _LIMIT:
            self._writable.clear()
        self._changed.set()

    def end(self) -> None:
        """Say that nothing more comes."""
        self._ended = True
        self._changed.set()

    def abandon(self) -> None:
        """Say that nobody reads any more: what comes is dropped."""
        self.abandoned.set()
        self._parts.clear()
        self._changed.set()
        self._mark_writable()

    async def get(self) -> bytes:
        """Return the next data; empty at the end."""
        while not self._parts:
            if self._ended or self.abandoned.is_set():
                return b""
            self._changed.clear()
            await self._changed.wait()
        data = self._parts.popleft()
        self._size -= len(data)
        if self._size < _LIMIT:
            self._mark_writable()
        return data

    def _mark_writable(self) -> None:
        if not self._writable.is_set():
            self._writable.set()
            if self._on_drained:
                self._on_drained()
