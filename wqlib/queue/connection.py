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
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.retry import Retry

from ..errors import QueueError, RedisRefused, RedisUnreachable, WrongKeyType

Argument = bytes | str | int | float

_INCLUDE = re.compile(rb"^ *--include (\w+)\n", re.MULTILINE)
_READ_BYTES = 65536
_TIDY_SECONDS = 60.0
_QUIET_SECONDS = 1.0  # a shorter wait for Redis is not worth a word
_EACH_SECONDS = 60.0  # between the words during a long one
_MORE = object()  # hiredis: the reply is not complete


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
        login_from: Where the password came from, or may be put if there is none.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    password: str | None = None
    username: str | None = None
    db: int = 0
    tls: bool = False
    login_from: str = field(default="password=...", compare=False)

    def __repr__(self) -> str:
        return f"<Redis at {self}>"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read `redis://[user:password@]host[:port][/db]`; `rediss://` means TLS.

        Raises:
            ValueError: If it is no such URL.
        """
        default, why = cls(), "it begins with neither redis:// nor rediss://"
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("redis", "rediss"):
                raise ValueError
            why = "its port is not a number up to 65535"
            port = parts.port or default.port
            why = "what follows the port is not the number of a database"
            path = parts.path.strip("/")
            if "@" in parts.query or parts.fragment or (path and not path.isdecimal()):
                raise ValueError
            return cls(
                host=parts.hostname or default.host,
                port=port,
                password=unquote(parts.password) if parts.password else None,
                username=unquote(parts.username) if parts.username else None,
                db=int(path or 0),
                tls=parts.scheme == "rediss",
                login_from="the URL",
            )
        except ValueError:
            # URL and error may hold the password, or a part of it: they are not repeated here.
            raise ValueError(
                f"This is not the URL of a Redis server: {why}. Write "
                "redis://:password@host:6379/0, with # / ? @ : [ ] % of the password "
                "percent-encoded: %23 stands for #."
            ) from None

    @classmethod
    def from_environment(cls, url: str | None = None) -> Address:
        """Read what a pod is given.

        A URL wins: `url`, or else `WQLIB_REDIS_URL`; otherwise it is `REDIS_SERVICE_HOST` and
        `REDIS_SERVICE_PORT`, which Kubernetes sets for a Service named `redis`, and without
        them 127.0.0.1:6379. What has no password gets `REDIS_PASSWORD` and, if it names no user,
        `REDIS_USERNAME`. (`REDIS_PORT` is not read: for a Service of that name Kubernetes puts
        `tcp://...` there.)

        Args:
            url: What a command line names.

        Raises:
            ValueError: If a variable or the URL makes no sense.
        """
        get, default = os.environ.get, cls()
        if named := url or get("WQLIB_REDIS_URL"):
            found = cls.from_url(named)
            if found.password:
                return found if url else replace(found, login_from="WQLIB_REDIS_URL")
        else:
            port = get("REDIS_SERVICE_PORT") or str(default.port)
            if not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(
                    "The variable REDIS_SERVICE_PORT does not hold the number of a port. Set it to "
                    "that number alone, as in 6379, or say where Redis is in WQLIB_REDIS_URL."
                )
            found = cls(host=get("REDIS_SERVICE_HOST") or default.host, port=int(port))
        return replace(
            found,
            password=get("REDIS_PASSWORD") or None,
            username=found.username or get("REDIS_USERNAME") or None,
            login_from="REDIS_PASSWORD",
        )


class Script:
    """A Lua script of `lua/`, bound to its keys and packed as far as possible.

    Args:
        name: `lua/{name}.lua`.
        keys: Its keys.

    Attributes:
        source: The text, with what it includes.
    """

    def __init__(self, name: str, keys: Sequence[bytes]) -> None:
        self.source = _source(name)
        digest = hashlib.sha1(self.source).hexdigest()
        head = _packed("EVALSHA", digest, len(keys), *keys)
        self._words, self._head = 3 + len(keys), head[head.index(b"\n") + 1 :]

    def pack(self, *arguments: Argument) -> bytes:
        """The whole command in Redis' wire format."""
        tail = _packed(*arguments)
        start = tail.index(b"\n") + 1
        return b"*%d\r\n%b%b" % (self._words + len(arguments), self._head, tail[start:])


@cache
def _source(name: str) -> bytes:
    """The text of a script; a line `--include other` stands for the text of another."""
    text = (Path(__file__).parent / "lua" / f"{name}.lua").read_bytes()
    return _INCLUDE.sub(lambda line: _source(line[1].decode()), text)


def _packed(*words: Argument) -> bytes:
    """A command in Redis' wire format."""
    return cast("bytes", hiredis.pack_command(cast("Any", words)))


class Refusal(Exception):
    """What Redis answered instead of a result, as it came: `CODE text`.

    Attributes:
        answers: What it answered to the other calls that went out at the same time.
    """

    answers: Sequence[Any] = ()


class Wire:
    """One connection, open. redis-py makes it (TLS, login); after that hiredis alone packs and
    reads, which takes half the time of redis-py's own way through.

    Args:
        connection: Not yet open.
    """

    def __init__(self, connection: Connection) -> None:
        try:
            connection.connect()
        except redis.exceptions.ResponseError as error:
            raise Refusal(f"{getattr(error, 'status_code', None) or 'ERR'} {error}") from None
        self._connection = connection
        self._reader: Any = hiredis.Reader(replyError=Refusal, notEnoughData=_MORE)
        self._buffer = bytearray(_READ_BYTES)
        link = cast("socket.socket", connection._sock)
        self.send, self.fileno, self._receive = link.sendall, link.fileno, link.recv_into
        if not isinstance(link, ssl.SSLSocket):
            # The kernel keeps the time instead of Python, which would ask it before each step.
            seconds = connection.socket_timeout or 0.0
            limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
            link.settimeout(None)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def read(self) -> Any:
        """The next reply; a `Refusal` is returned, not raised.

        Raises:
            OSError: The connection broke, or no reply came in time.
        """
        reader = self._reader
        while (reply := reader.gets()) is _MORE:
            try:
                size = self._receive(self._buffer)
            except BlockingIOError:
                raise TimeoutError("no reply in time") from None
            if not size:
                raise ConnectionResetError("the connection broke")
            reader.feed(self._buffer, 0, size)
        return reply

    def close(self) -> None:
        """Hang up."""
        self._connection.disconnect()


class Link:
    """A connection to Redis that one thread uses at a time (a lock sees to it).

    Args:
        address: Where Redis is.
        patience_seconds: How long a call goes on trying while Redis is away.
        timeout_seconds: How long to wait for one reply, or for a connection.

    Attributes:
        say: Gets a line when a call waits for Redis, each minute of it, and at the end.
    """

    def __init__(
        self, address: Address, *, patience_seconds: float = 5.0, timeout_seconds: float = 10.0
    ) -> None:
        self.address = address
        self.patience_seconds = patience_seconds
        self.timeout_seconds = timeout_seconds
        self.say: Callable[[str], None] = lambda line: None
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._host, self._port = address.host, address.port  # of the node that has our slot
        self._calls = 0
        self._tidied = float("-inf")

    def command(self, *words: Argument) -> Any:
        """Send one command and return its reply. It is sent again after a cut connection.

        Raises:
            RedisUnreachable, RedisRefused, WrongKeyType, QueueError: See `wqlib.errors`.
        """
        with self._lock:
            return self._insist([_packed(*words)])[0]

    def commands(self, *commands: Sequence[Argument]) -> list[Any]:
        """Send several commands in one go and return their replies."""
        with self._lock:
            return self._insist([_packed(*words) for words in commands])

    def run(self, script: Script, *arguments: Argument) -> Any:
        """Run a script under the next number and return its reply.

        Raises:
            RedisUnreachable, RedisRefused, WrongKeyType, QueueError: See `wqlib.errors`.
        """
        with self._lock:
            packed = script.pack(self._next_call(), *arguments)
            wire = self._wire
            if not wire:
                return self._insist([packed], script)[0]
            try:  # the usual way: one question, one answer
                wire.send(packed)
                reply = wire.read()
            except OSError:
                self._start_over()
            except BaseException:  # e.g. Ctrl-C between question and answer
                self.close()
                raise
            else:
                if type(reply) is not Refusal:
                    return reply
            return self._insist([packed], script)[0]

    def run_in_turn(self, script: Script, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script several times in one go, each call only if the one before it ran.

        The script gets its number and the number of the call before it (0 for the first).
        """
        with self._lock:
            packed = []
            for position, arguments in enumerate(calls):
                before = self._calls if position else 0
                packed.append(script.pack(self._next_call(), before, *arguments))
            return self._insist(packed, script)

    def _next_call(self) -> int:
        """The number of a call: 1, 2, 3 ...; every 16th call, and one a minute at least, is one
        above a multiple of 16: the script then keeps house (see lua/close.lua)."""
        self._calls += 1
        now = time.monotonic()
        if now - self._tidied > _TIDY_SECONDS:
            self._calls = (self._calls + 14) // 16 * 16 + 1
            self._tidied = now
        return self._calls

    def open(self) -> Wire:
        """A new connection to the node that this link talks to now."""
        address = self.address
        kind = SSLConnection if address.tls else Connection
        return Wire(
            kind(
                host=self._host,
                port=self._port,
                db=address.db,
                username=address.username,
                password=address.password,
                socket_timeout=self.timeout_seconds,
                socket_connect_timeout=self.timeout_seconds,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        )

    def close(self) -> None:
        """Hang up. The next call connects anew."""
        if self._wire:
            self._wire.close()
        self._wire = None

    def _insist(self, packed: Sequence[bytes], script: Script | None = None) -> list[Any]:
        """Send commands until they are answered, or patience ends."""
        started, pause, waited = time.monotonic(), 0.02, 0.0
        next_word = _QUIET_SECONDS
        while True:
            where, moved = f"{self._host}:{self._port}", None
            try:
                replies = self._attempt(packed, script)
                if next_word > _QUIET_SECONDS:
                    self.say(f"Redis at {where} answers, after {waited:.0f} s")
                return replies
            except Refusal as refusal:
                moved = _MOVED.match(str(refusal))
                waited, why = time.monotonic() - started, _said(str(refusal))
                is_passing = moved or _PASSING.search(str(refusal))
                if not is_passing or waited >= self.patience_seconds:
                    if _LOGIN.match(str(refusal)):
                        raise self._login_refused(why) from None
                    raise translated(refusal) from None
            except redis.exceptions.AuthenticationError as error:
                raise self._login_refused(_said(str(error))) from None
            except (
                redis.exceptions.ConnectionError,
                redis.exceptions.TimeoutError,
                OSError,
                UnicodeError,  # a host name that cannot be one
            ) as error:
                waited, why = time.monotonic() - started, _why_away(error)
                if waited + pause >= self.patience_seconds:
                    self._start_over()
                    raise RedisUnreachable(
                        f"Redis at {where} did not answer for {self.patience_seconds:g} s ({why}). "
                        "Is it running, and are host and port right?"
                    ) from None
            except BaseException:
                self.close()
                raise
            self._start_over()
            if moved:
                self._host, self._port = moved[1] or self._host, int(moved[2])
            elif waited >= next_word:
                since = "" if next_word == _QUIET_SECONDS else f", for {waited:.0f} s now"
                self.say(f"Waiting for Redis at {where}{since}: {why}")
                next_word = (waited // _EACH_SECONDS + 1) * _EACH_SECONDS
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 1.0)

    def _login_refused(self, said: str) -> RedisRefused:
        """Redis wants another login: say which one it got."""
        where, source = f"{self._host}:{self._port}", self.address.login_from
        if not self.address.password:
            form = ", as in redis://:password@host:6379/0" if "URL" in source else ""
            return RedisRefused(
                f"Redis at {where} wants a password, and none was given. Give it by {source}{form}."
            )
        if "without any password" in said or "no password is set" in said:
            return RedisRefused(
                f"Redis at {where} has no password, but one was given, by {source}. Take it away "
                "there, or give Redis one."
            )
        return RedisRefused(
            f"Redis at {where} refused the login ({said.rstrip('.')}). The password came from "
            f"{source}: put the right one there."
        )

    def _attempt(self, packed: Sequence[bytes], script: Script | None) -> list[Any]:
        try:
            return self._exchange(packed)
        except Refusal as refusal:
            if not script or "NOSCRIPT" not in str(refusal):
                raise
        # Both at once, so that nobody's SCRIPT FLUSH comes between them.
        return self._exchange([_packed("SCRIPT", "LOAD", script.source), *packed], ahead=1)

    def _exchange(self, packed: Sequence[bytes], ahead: int = 0) -> list[Any]:
        """Send commands and return their replies but for the first `ahead`."""
        if not self._wire:
            self._wire = self.open()
        self._wire.send(b"".join(packed))
        replies = [self._wire.read() for _ in packed]
        for reply in replies:
            if isinstance(reply, Refusal):
                reply.answers = [x for x in replies[ahead:] if not isinstance(x, Refusal)]
                raise reply
        return replies[ahead:]

    def _start_over(self) -> None:
        self.close()
        self._host, self._port = self.address.host, self.address.port  # the node may be gone


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
        self._lines: dict[bytes, Wire] = {}
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
                    self._lines[key] = self._link.open()
                if key not in self._blocked:
                    self._lines[key].send(_packed("BLMOVE", key, key, "LEFT", "LEFT", 0))
                    self._blocked.add(key)
            sockets = {self._lines[key].fileno(): key for key in keys}
            for ready in self._listen(list(sockets), seconds):
                answer = self._lines[sockets[ready]].read()
                self._blocked.discard(sockets[ready])
                if isinstance(answer, Refusal):
                    raise answer
            self._pause_seconds = 0.0
        except (redis.exceptions.RedisError, OSError, Refusal) as error:
            self._hang_up()
            if "NOPERM" in str(error):
                raise translated(error) from None
            # The caller asks Redis next, and meets the error there. If it does not (there may be
            # no connection left for us), it shall not ask in a tight loop.
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
            line.close()
        self._lines.clear()
        self._blocked.clear()


_LOGIN = re.compile(r"NOAUTH|WRONGPASS")
_CAUSES = (
    ("refused", "nothing listens there"),
    ("not known|nodename|resolution|getaddrinfo|No address|idna", "its host name is unknown"),
    ("[Tt]imed? ?out|no reply in time", "it does not answer"),
    ("reset|[Cc]onnection closed|broke|Broken pipe", "the connection broke"),
    ("unreachable|No route", "there is no route to it"),
)
_MOVED = re.compile(r"MOVED \d+ (.*):(\d+)$")

# Redis only says "not now": it starts, fails over, or is busy; or the script was flushed again,
# just after it was loaded.
_PASSING = re.compile(
    r"\b(LOADING|READONLY|TRYAGAIN|ASK|CLUSTERDOWN|MASTERDOWN|BUSY|NOREPLICAS|NOSCRIPT)\b"
)


def translated(refusal: Exception) -> QueueError:
    """What Redis refused, as an error in our words."""
    told = _in_words(_said(str(refusal)))
    told.answers = getattr(refusal, "answers", ())
    return told


def _said(text: str) -> str:
    """What Redis said, without the arguments that it repeats: one may be a password."""
    return re.sub(r",? with args beginning with:.*", "", text, flags=re.DOTALL)


def _why_away(error: Exception) -> str:
    """Why Redis cannot be reached, in words."""
    text = str(error)
    return next((words for signs, words in _CAUSES if re.search(signs, text)), text)


def _in_words(text: str) -> QueueError:
    if "WRONGTYPE" in text:
        return WrongKeyType(
            "A key with the queue's name is there already, and it is not a list. "
            "Choose another name, or remove that key if nobody needs it."
        )
    if "OOM" in text:
        return RedisRefused(
            "Redis has reached its memory limit, and refused the call, which changed nothing. "
            "Raise maxmemory, free memory, or let workers finish some items."
        )
    if "NOPERM" in text:
        return RedisRefused(f"This user of Redis lacks a permission that the queue needs: {text}")
    if "unknown command" in text.lower() or "wrong number of arguments" in text.lower():
        return QueueError(f"The queue needs Redis 6.2 or newer, or Valkey. Redis said: {text}")
    return QueueError(f"Redis refused the call: {text}")
