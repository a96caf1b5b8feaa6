"""One open connection to Redis, which packs commands and reads replies by hiredis alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any, cast

import hiredis
import redis
from redis.connection import AbstractConnection, SSLConnection

from ..errors import RedisRefused

Argument = bytes | str | int | float

_READ_BYTES = 65536
_REASON_SECONDS = 1.0  # for a server to say why it hangs up
_MORE = object()  # hiredis: the reply is not complete


def packed(*words: Argument) -> bytes:
    """Return a command in Redis' wire format."""
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

    Raises:
        Refusal: Redis refused the login, or the database.
        RedisRefused: What answered is no Redis.
        redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError: There is no
            connection. An `ssl.SSLError` comes as it is.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        _open(connection)
        self._connection = connection
        self._reader: Any = hiredis.Reader(replyError=Refusal, notEnoughData=_MORE)
        self._buffer = bytearray(_READ_BYTES)
        link = cast("socket.socket", connection._sock)
        self.send, self.fileno, self._receive = link.sendall, link.fileno, link.recv_into
        self._open_file = link.makefile
        if not isinstance(link, ssl.SSLSocket):
            # The kernel keeps the time instead of Python, which would ask it before each step.
            seconds = connection.socket_timeout or 0.0
            limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
            link.settimeout(None)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def read(self) -> Any:
        """Return the next reply; a `Refusal` is returned, not raised.

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

    def parts(self) -> Iterator[Any]:
        """Yield all that comes, bit by bit: of an array its length first, then its elements.

        So a reply may be larger than our memory. Afterwards this connection is good for nothing.

        Raises:
            Refusal: Redis refused something.
            OSError: The connection broke, or nothing came in time.
        """
        with self._open_file("rb", _READ_BYTES) as file:
            while (line := file.readline()).endswith(b"\r\n"):
                if line.startswith(b"$"):
                    size = int(line[1:]) + 2
                    if size > 1 and len(line := file.read(size) or b"") < size:
                        break
                    yield line[:-2] if size > 1 else None
                elif line.startswith(b"-"):
                    raise Refusal(line[1:-2].decode("utf-8", "replace"))
                else:
                    yield line[1:-2] if line.startswith(b"+") else int(line[1:])
        raise ConnectionResetError("the connection broke, or nothing came in time")

    def close(self) -> None:
        """Hang up."""
        self._connection.disconnect()


def _open(connection: AbstractConnection) -> None:
    handled = sys.exception()
    connection.redis_connect_func = cast("Any", _greet)
    try:
        connection.connect()
    except redis.exceptions.ResponseError as error:
        raise Refusal(f"{_code(error) or 'ERR'} {error}") from None
    except redis.exceptions.InvalidResponse:
        raise RedisRefused(
            f"What answers at {connection._host_error()} is not Redis. Are host and port right?"
        ) from None
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
        if code := _code(error):  # redis-py takes some answers for the end of a connection
            raise Refusal(f"{code} {error}") from None
        cause = error.__context__
        if isinstance(cause, ssl.SSLError) and cause is not handled:
            raise cause from None
        if "handshake" in str(cause):
            raise TimeoutError("no TLS handshake; if it does not speak TLS, use redis://") from None
        raise
    finally:
        if sys.exception() is not handled:
            connection.disconnect()


def _code(error: redis.exceptions.RedisError) -> str | None:
    """Return the code of an answer of Redis, which newer versions of redis-py tell apart."""
    return getattr(error, "status_code", None)


def _greet(connection: AbstractConnection) -> None:
    """Log in, and see that who answers speaks as we do."""
    try:
        connection.on_connect()
        if not (connection.password or connection.db):  # so nothing has been said yet
            connection.send_command("PING")
            with contextlib.suppress(redis.exceptions.ResponseError):
                connection.read_response()
    except redis.exceptions.ConnectionError as error:
        if _code(error) or type(error) is not redis.exceptions.ConnectionError:  # an answer
            raise
        if not isinstance(connection, SSLConnection):
            raise ConnectionAbortedError(
                "it hangs up without an answer; if it speaks TLS, use rediss://"
            ) from None
        # It sent the reason before it hung up, but what we wrote then may have erased it.
        with contextlib.closing(connection._connect()) as link:
            link.settimeout(_REASON_SECONDS)
            with contextlib.suppress(TimeoutError):
                link.recv(1)
        raise
