"""One client's line to Redis: scripts by digest, honest retries, errors in plain words.

redis-py repeats a command silently when its reply was cut off, and a lease that is taken
twice strands an item. So its retries are off. Each call of a script carries a number that
grows; a call that has to be repeated keeps its number, and the script then answers what it
answered before (see lua/common.lua).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.retry import Retry

from .errors import QueueError, RedisRefused, RedisUnreachable, WrongKeyType

Argument = bytes | str | int | float


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and how to log in.

    Attributes:
        host: Name or address.
        port: TCP port.
        password: Password, or None.
        username: User of Redis' ACL, or None for the default user.
        db: Number of the database.
        tls: Speak TLS.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    password: str | None = None
    username: str | None = None
    db: int = 0
    tls: bool = False

    def __repr__(self) -> str:
        return f"<Redis at {self.host}:{self.port}>"

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read `redis://[user:password@]host[:port][/db]`; `rediss://` means TLS.

        Raises:
            ValueError: If it is no such URL.
        """
        parts, default = urlsplit(url), cls()
        try:
            if parts.scheme not in ("redis", "rediss"):
                raise ValueError("it begins with neither redis:// nor rediss://")
            path = parts.path.strip("/")
            return cls(
                host=parts.hostname or default.host,
                port=parts.port or default.port,
                password=unquote(parts.password) if parts.password else None,
                username=unquote(parts.username) if parts.username else None,
                db=int(path) if path else 0,
                tls=parts.scheme == "rediss",
            )
        except ValueError as why:
            # The URL itself may hold a password: it is not repeated here.
            raise ValueError(
                f"This is not the URL of a Redis server ({why}). "
                "Write redis://:password@host:6379/0."
            ) from None

    @classmethod
    def from_environment(cls) -> Address:
        """Read what a pod is given.

        `WQLIB_REDIS_URL` wins; otherwise `REDIS_SERVICE_HOST` and `REDIS_SERVICE_PORT`, which
        Kubernetes sets for a Service named `redis`, with `REDIS_USERNAME` and
        `REDIS_PASSWORD`. Without any of them it is 127.0.0.1:6379. (`REDIS_PORT` is not
        read: for a Service of that name Kubernetes puts `tcp://...` there.)
        """
        url = os.environ.get("WQLIB_REDIS_URL")
        if url:
            return cls.from_url(url)
        default = cls()
        return cls(
            host=os.environ.get("REDIS_SERVICE_HOST") or default.host,
            port=int(os.environ.get("REDIS_SERVICE_PORT") or default.port),
            password=os.environ.get("REDIS_PASSWORD") or None,
            username=os.environ.get("REDIS_USERNAME") or None,
        )


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script of `lua/`, bound to its keys and packed as far as possible.

    Attributes:
        source: The text, with `lua/common.lua` in front.
        head: `EVALSHA digest 11 key...` in Redis' wire format, without the leading count.
        words: How many words `head` has.
    """

    source: bytes
    head: bytes
    words: int

    @classmethod
    def load(cls, name: str, keys: Sequence[bytes]) -> Script:
        """Read `lua/{name}.lua` and bind it to `keys`."""
        source = _source(name)
        digest = hashlib.sha1(source).hexdigest()
        words: tuple[Argument, ...] = ("EVALSHA", digest, len(keys), *keys)
        return cls(source, _body(words), len(words))

    def pack(self, arguments: tuple[Argument, ...]) -> bytes:
        """The whole command in wire format."""
        return b"*%d\r\n%b%b" % (self.words + len(arguments), self.head, _body(arguments))


@cache
def _source(name: str) -> bytes:
    folder = Path(__file__).parent / "lua"
    return (folder / "common.lua").read_bytes() + (folder / f"{name}.lua").read_bytes()


def _packed(*words: Argument) -> bytes:
    """A command in Redis' wire format."""
    packed: bytes = hiredis.pack_command(cast("Any", words))
    return packed


def _body(words: tuple[Argument, ...]) -> bytes:
    packed = _packed(*words)
    return packed[packed.index(b"\r\n") + 2 :]


class Link:
    """A connection to Redis that one thread uses at a time (a lock sees to it).

    Args:
        address: Where Redis is.
        patience_seconds: How long a call goes on trying while Redis is away.
        timeout_seconds: How long to wait for one reply, or for a connection.
    """

    def __init__(
        self, address: Address, *, patience_seconds: float = 5.0, timeout_seconds: float = 10.0
    ) -> None:
        self.address = address
        self.patience_seconds = patience_seconds
        self.timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._connection = self.connection()
        self._calls = 0

    def command(self, *words: Argument) -> Any:
        """Send one command and return its reply. It is sent again after a cut connection.

        Raises:
            RedisUnreachable, RedisRefused, WrongKeyType, QueueError: See `wqlib.errors`.
        """
        packed = _packed(*words)
        with self._lock:
            return self._insist(lambda: self._exchange([packed])[0])

    def run(self, script: Script, *arguments: Argument) -> Any:
        """Run a script under the next number and return its reply.

        Raises:
            RedisUnreachable, RedisRefused, WrongKeyType, QueueError: See `wqlib.errors`.
        """
        with self._lock:
            self._calls += 1
            packed = script.pack((self._calls, *arguments))
            return self._insist(lambda: self._run([packed], script)[0])

    def run_in_turn(self, script: Script, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script several times in one go, each call only if the one before it ran.

        The script gets its number and the number of the call before it (0 for the first).
        """
        with self._lock:
            packed = []
            for position, arguments in enumerate(calls):
                before = self._calls if position else 0
                self._calls += 1
                packed.append(script.pack((self._calls, before, *arguments)))
            return cast("list[Any]", self._insist(lambda: self._run(packed, script)))

    def connection(self, host: str | None = None, port: int | None = None) -> Connection:
        """A new connection, not yet open; to the node that this link uses unless told."""
        address = self.address
        kind = SSLConnection if address.tls else Connection
        return kind(
            host=host or address.host,
            port=port or address.port,
            db=address.db,
            username=address.username,
            password=address.password,
            socket_timeout=self.timeout_seconds,
            socket_connect_timeout=self.timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    def sibling(self) -> Connection:
        """A new connection to the node that this link talks to now."""
        return self.connection(self._connection.host, self._connection.port)

    def close(self) -> None:
        """Hang up. The next call connects anew."""
        self._connection.disconnect()

    def _run(self, packed: Sequence[bytes], script: Script) -> list[Any]:
        try:
            return self._exchange(packed)
        except redis.exceptions.NoScriptError:
            # Both at once, so that nobody's SCRIPT FLUSH comes between them.
            return self._exchange([_packed("SCRIPT", "LOAD", script.source), *packed])[1:]

    def _exchange(self, packed: Sequence[bytes]) -> list[Any]:
        connection = self._connection
        connection.send_packed_command(packed)
        replies: list[Any] = []
        refusal = None
        for _ in packed:
            try:
                replies.append(connection.read_response(disable_decoding=True))
            except redis.exceptions.ResponseError as error:
                refusal = refusal or error  # and read on: the other replies are on their way
        if refusal:
            refusal.answers = replies  # type: ignore[attr-defined]
            raise refusal
        return replies

    def _insist(self, attempt: Callable[[], Any]) -> Any:
        started, pause = time.monotonic(), 0.02
        while True:
            try:
                return attempt()
            except redis.exceptions.MovedError as moved:
                if time.monotonic() - started >= self.patience_seconds:
                    raise self._unreachable(moved) from None
                self._connection.disconnect()
                self._connection = self.connection(moved.host, moved.port)
            except redis.exceptions.AuthenticationError as error:
                self._connection.disconnect()
                raise RedisRefused(
                    f"Redis at {self._where()} refused the login ({error}). Give the right "
                    "password: password=..., or REDIS_PASSWORD in the environment."
                ) from None
            except redis.exceptions.ResponseError as error:
                waited = time.monotonic() - started
                if not _is_passing(error) or waited >= self.patience_seconds:
                    raise _translated(error) from None
                self._start_over()
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
                self._start_over()
                if time.monotonic() - started + pause >= self.patience_seconds:
                    raise self._unreachable(error) from None
            except BaseException:  # e.g. Ctrl-C between question and answer
                self._connection.disconnect()
                raise
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 1.0)

    def _start_over(self) -> None:
        self._connection.disconnect()
        self._connection = self.connection()  # the node that we were sent to may be gone

    def _where(self) -> str:
        return f"{self._connection.host}:{self._connection.port}"

    def _unreachable(self, error: Exception) -> RedisUnreachable:
        return RedisUnreachable(
            f"Redis at {self._where()} did not answer for {self.patience_seconds:g} s ({error}). "
            "Is it running, and are host and port right?"
        )


class Doorbell:
    """Waits until one of several lists is not empty, and takes nothing from them.

    `BLMOVE list list LEFT LEFT` blocks on the server until somebody pushes, then moves the
    first item to where it already is. Nothing is ever in the hands of a waiter, so nothing
    is lost when it is killed. Each list costs a connection of its own.

    Args:
        link: The link whose Redis it watches.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lines: dict[bytes, Connection] = {}
        self._blocked: set[bytes] = set()
        self._hand, self._bell = socket.socketpair()
        self._hand.setblocking(False)
        self._bell.setblocking(False)
        self._pause_seconds = 0.0

    def ring(self) -> None:
        """Let the present `wait`, or the next one, return at once. Signal handlers may call it."""
        with contextlib.suppress(BlockingIOError):  # it has been rung often enough
            self._hand.send(b"!")

    def wait(self, keys: Sequence[bytes], seconds: float) -> None:
        """Return when one of the lists is not empty, when somebody rings, after `seconds`, or
        when Redis is gone."""
        try:
            for key in keys:
                if key not in self._lines:
                    self._lines[key] = self._link.sibling()
                if key not in self._blocked:
                    self._lines[key].send_command("BLMOVE", key, key, "LEFT", "LEFT", 0)
                    self._blocked.add(key)
            lines: list[tuple[bytes, Any]] = [(key, self._lines[key]) for key in keys]
            sockets = {line._sock.fileno(): key for key, line in lines}
            for ready in self._listen(list(sockets), seconds):
                self._lines[sockets[ready]].read_response(disable_decoding=True)
                self._blocked.discard(sockets[ready])
            self._pause_seconds = 0.0
        except redis.exceptions.NoPermissionError as error:
            self._hang_up()
            raise _translated(error) from None
        except (redis.exceptions.RedisError, OSError):
            # The caller asks Redis next, and meets the error there. If it does not (there may be
            # no connection left for us), it shall not ask in a tight loop.
            self._hang_up()
            self._pause_seconds = min(max(0.05, 2 * self._pause_seconds), 1.0)
            self._listen([], min(seconds, self._pause_seconds))
        except BaseException:
            self._hang_up()
            raise

    def _listen(self, sockets: Sequence[int], seconds: float) -> list[int]:
        """Wait until there is something to read, and return where; the bell is read here."""
        poll = select.poll()  # select() knows no descriptors above 1023
        for number in (*sockets, self._bell.fileno()):
            poll.register(number, select.POLLIN)
        ready = [number for number, _ in poll.poll(max(0.0, seconds) * 1000)]
        if self._bell.fileno() in ready:
            self._bell.recv(4096)
        return [number for number in ready if number in sockets]

    def close(self) -> None:
        """Hang up, for good."""
        self._hang_up()
        self._hand.close()
        self._bell.close()

    def _hang_up(self) -> None:
        for line in self._lines.values():
            line.disconnect()
        self._lines.clear()
        self._blocked.clear()


_PASSING = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
    redis.exceptions.NoScriptError,  # flushed again, just after it was loaded
)


def _is_passing(error: redis.exceptions.ResponseError) -> bool:
    """Does Redis only say "not now": it starts, fails over, or is busy?"""
    return isinstance(error, _PASSING) or str(error).startswith(("BUSY", "LOADING", "NOREPLICAS"))


def _translated(error: redis.exceptions.ResponseError) -> QueueError:
    told = _in_words(error)
    told.answers = getattr(error, "answers", ())
    return told


def _in_words(error: redis.exceptions.ResponseError) -> QueueError:
    text = str(error)
    if "WRONGTYPE" in text:
        return WrongKeyType(
            "A key with the queue's name is there already, and it is not a list. "
            "Choose another name, or remove that key if nobody needs it."
        )
    if isinstance(error, redis.exceptions.OutOfMemoryError) or "OOM" in text:
        return RedisRefused(
            "Redis has reached its memory limit, and refused the call, which changed nothing. "
            "Raise maxmemory, or free memory."
        )
    if isinstance(error, redis.exceptions.NoPermissionError) or "NOPERM" in text:
        return RedisRefused(f"This user of Redis lacks a permission that the queue needs: {text}")
    if "unknown command" in text.lower() or "wrong number of arguments" in text.lower():
        return QueueError(f"The queue needs Redis 6.2 or newer, or Valkey. Redis said: {text}")
    return QueueError(f"Redis refused the call: {text}")
