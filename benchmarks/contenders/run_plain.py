"""The floors, and the client of the Kubernetes page, all on redis-py and hiredis.

Settings:

- `redis-py`: one EVALSHA of `return 1` an item, by the ordinary `client.evalsha`. No queue that
  asks the server once an item can be faster with that client.
- `socket`: the same over a bare socket with hiredis as parser: nothing in Python is faster.
- `page`: the sequence of commands of the client on the Kubernetes page "Fine Parallel Processing
  Using a Work Queue" and of the worker's loop there, written anew. An item is five round trips.
  It acknowledges, but nothing ever looks for expired leases, so a killed worker's item is lost.
"""

from __future__ import annotations

import hashlib
import socket
from typing import Any

import hiredis
import redis
from protocol import serve


class Floor:
    """Nothing but round trips."""

    def __init__(self, url: str) -> None:
        self.seen: list[Any] = []
        self._client = redis.Redis.from_url(url)
        self._digest = self._client.script_load("return 1")

    def fill(self, items: int) -> None:
        pass

    def drain(self, items: int) -> None:
        client, digest, seen = self._client, self._digest, self.seen
        first = len(seen)
        for number in range(first, first + items):
            if client.evalsha(digest, 0) == 1:
                seen.append(number)

    def left(self) -> int:
        return 0


class SocketFloor(Floor):
    """The same, with nothing between Python and the socket."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        options = self._client.connection_pool.connection_kwargs
        self._line = socket.create_connection((options["host"], options["port"]))
        self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._line.sendall(hiredis.pack_command(("AUTH", options["password"])))
        if self._line.recv(100) != b"+OK\r\n":
            raise RuntimeError("the server does not take the password")

    def drain(self, items: int) -> None:
        line, reader, seen = self._line, hiredis.Reader(), self.seen
        command = hiredis.pack_command(("EVALSHA", self._digest, 0))
        first = len(seen)
        for number in range(first, first + items):
            line.sendall(command)
            reader.feed(line.recv(4096))
            if reader.gets() == 1:
                seen.append(number)


class Page:
    """empty(), lease(), complete(): the three calls of the page's loop."""

    MAIN, HELD, LEASE = "job2", "job2:processing", "job2:leased_by_session:"

    def __init__(self, url: str) -> None:
        self.seen: list[Any] = []
        self._db = redis.Redis.from_url(url)

    def fill(self, items: int) -> None:
        for first in range(0, items, 1000):
            self._db.lpush(self.MAIN, *range(first, min(first + 1000, items)))

    def drain(self, items: int) -> None:
        seen = self.seen
        for _ in range(items):
            if self._empty():
                return
            item = self._lease(10, 2)
            if item is not None:
                seen.append(item)
                self._complete(item)

    def left(self) -> int:
        return self._db.llen(self.MAIN) + self._db.llen(self.HELD)

    def _empty(self) -> bool:
        return self._db.llen(self.MAIN) == 0 and self._db.llen(self.HELD) == 0

    def _lease(self, seconds: int, timeout: int) -> bytes | None:
        item = self._db.brpoplpush(self.MAIN, self.HELD, timeout=timeout)
        if item:
            self._db.setex(self.LEASE + hashlib.sha224(item).hexdigest(), seconds, "session")
        return item

    def _complete(self, item: bytes) -> None:
        self._db.lrem(self.HELD, 0, item)
        self._db.delete(self.LEASE + hashlib.sha224(item).hexdigest())


def make(url: str, setting: str) -> Floor | Page:
    return {"redis-py": Floor, "socket": SocketFloor, "page": Page}[setting](url)


if __name__ == "__main__":
    serve(make)
