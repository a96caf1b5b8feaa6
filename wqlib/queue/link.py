"""One client's calls to Redis: scripts by digest, honest retries, errors in plain words.

redis-py repeats a command silently when its reply was cut off, and a lease that is taken
twice strands an item. So its retries are off. Each call of a script carries a number that
grows; a call that has to be repeated keeps its number, and the script then answers what it
answered before (see lua/common.lua).
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import threading
import time
from collections.abc import Callable, Generator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import redis

from ..errors import QueueError, RedisRefused, RedisUnreachable, WrongKeyType
from .address import Address, PasswordUnavailable, place
from .tls import explain_tls
from .wire import Argument, Refusal, Wire, packed

_INCLUDE = re.compile(rb"^ *--include (\w+)\n", re.MULTILINE)
_TIDY_SECONDS = 60.0
_QUIET_SECONDS = 1.0  # a shorter wait for Redis is not worth a word
_EACH_SECONDS = 60.0  # between the words during a long one

_LOGIN = re.compile(r"NOAUTH|WRONGPASS")
_CAUSES = (
    ("refused|No such file", "nothing listens there"),
    ("Permission denied", "its socket may not be opened by this user"),
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


class Script:
    """A Lua script of `lua/`, bound to its keys and packed as far as possible.

    Args:
        name: `lua/{name}.lua`.
        keys: Its keys.

    Attributes:
        source: The text, with what it includes.
        keys: Its keys.
    """

    def __init__(self, name: str, keys: Sequence[bytes]) -> None:
        self.source, self.keys = _source(name), keys
        digest = hashlib.sha1(self.source).hexdigest()
        head = packed("EVALSHA", digest, len(keys), *keys)
        self._words, self._head = 3 + len(keys), head[head.index(b"\n") + 1 :]

    def pack(self, *arguments: Argument) -> bytes:
        """Return the whole command in Redis' wire format."""
        tail = packed(*arguments)
        start = tail.index(b"\n") + 1
        return b"*%d\r\n%b%b" % (self._words + len(arguments), self._head, tail[start:])


@cache
def _source(name: str) -> bytes:
    """Return the text of a script; a line `--include other` stands for the text of another."""
    text = (Path(__file__).parent / "lua" / f"{name}.lua").read_bytes()
    return _INCLUDE.sub(lambda line: _source(line[1].decode()), text)


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
        self._has_logged_in = False
        self._calls = 0
        self._tidied = float("-inf")

    def command(self, *words: Argument) -> Any:
        """Send one command and return its reply. It is sent again after a cut connection.

        Raises:
            RedisUnreachable, RedisRefused, WrongKeyType, QueueError: See `wqlib.errors`.
        """
        return self.commands(words)[0]

    def commands(self, *commands: Sequence[Argument]) -> list[Any]:
        """Send several commands in one go and return their replies."""
        with self._lock:
            return self._insist([packed(*words) for words in commands])

    def run(self, script: Script, *arguments: Argument) -> Any:
        """Run a script under the next number and return its reply.

        Raises:
            RedisUnreachable, RedisRefused, WrongKeyType, QueueError: See `wqlib.errors`.
        """
        with self._lock:
            request = script.pack(self._next_call(), *arguments)
            wire = self._wire
            if not wire:
                return self._insist([request], script)[0]
            try:  # the usual way: one question, one answer
                wire.send(request)
                reply = wire.read()
            except OSError:
                self._start_over()
            except BaseException:  # e.g. Ctrl-C between question and answer
                self.close()
                raise
            else:
                if type(reply) is not Refusal:
                    return reply
            return self._insist([request], script)[0]

    def run_in_turn(self, script: Script, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script several times in one go, each call only if the one before it ran.

        The script gets its number and the number of the call before it (0 for the first).
        """
        with self._lock:
            requests = []
            for position, arguments in enumerate(calls):
                before = self._calls if position else 0
                requests.append(script.pack(self._next_call(), before, *arguments))
            return self._insist(requests, script)

    def stream(self, *commands: Sequence[Argument], timeout_seconds: float) -> Generator[Any]:
        """Send commands over a connection of their own and yield the replies as `Wire.parts`.

        Raises:
            QueueError: Redis did not give all.
        """
        try:
            with contextlib.closing(self.open(timeout_seconds)) as wire:
                wire.send(b"".join(packed(*words) for words in commands))
                yield from wire.parts()
        except (redis.exceptions.RedisError, OSError, Refusal) as error:
            raise QueueError(f"Redis did not give all of the queue: {error}") from None

    def _next_call(self) -> int:
        """Return the number of a call: 1, 2, 3 ...; every 16th, and one a minute at least, is one
        above a multiple of 16: the script then keeps house (see lua/close.lua)."""
        self._calls += 1
        now = time.monotonic()
        if now - self._tidied > _TIDY_SECONDS:
            self._calls = (self._calls + 14) // 16 * 16 + 1
            self._tidied = now
        return self._calls

    def open(self, timeout_seconds: float | None = None) -> Wire:
        """Return a new connection to the node that this link talks to now."""
        seconds = timeout_seconds or self.timeout_seconds
        return Wire(self.address.connection(seconds, self._host, self._port))

    def close(self) -> None:
        """Hang up. The next call connects anew."""
        if self._wire:
            self._wire.close()
        self._wire = None

    def _insist(self, requests: Sequence[bytes], script: Script | None = None) -> list[Any]:
        """Send commands until they are answered, or patience ends."""
        started, pause, waited = time.monotonic(), 0.02, 0.0
        next_word = _QUIET_SECONDS
        while True:
            where, moved = place(self._host, self._port), None
            try:
                replies = self._attempt(requests, script)
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
                waited, why = time.monotonic() - started, _said(str(error))
                may_change = self._has_logged_in and self.address.rotates
                if not may_change or waited >= self.patience_seconds:
                    raise self._login_refused(why) from None
            except (
                redis.exceptions.ConnectionError,
                redis.exceptions.TimeoutError,
                OSError,
                UnicodeError,  # a host name that cannot be one
            ) as error:
                if told := explain_tls(error, where):
                    raise RedisRefused(told) from None
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
        """Return the error that says which login Redis got, as it wants another one."""
        where, source = place(self._host, self._port), self.address.login_from
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

    def _attempt(self, requests: Sequence[bytes], script: Script | None) -> list[Any]:
        try:
            return self._exchange(requests)
        except Refusal as refusal:
            if not script or "NOSCRIPT" not in str(refusal):
                raise
        # Both at once, so that nobody's SCRIPT FLUSH comes between them.
        return self._exchange([packed("SCRIPT", "LOAD", script.source), *requests], ahead=1)

    def _exchange(self, requests: Sequence[bytes], ahead: int = 0) -> list[Any]:
        """Send commands and return their replies but for the first `ahead`."""
        if not self._wire:
            self._wire = self.open()
            self._has_logged_in = True
        self._wire.send(b"".join(requests))
        replies = [self._wire.read() for _ in requests]
        for reply in replies:
            if isinstance(reply, Refusal):
                reply.answers = [x for x in replies[ahead:] if not isinstance(x, Refusal)]
                raise reply
        return replies[ahead:]

    def _start_over(self) -> None:
        self.close()
        self._host, self._port = self.address.host, self.address.port  # the node may be gone


def translated(refusal: Exception) -> QueueError:
    """Return what Redis refused, as an error in our words."""
    told = _in_words(_said(str(refusal)))
    told.answers = getattr(refusal, "answers", ())
    return told


def _said(text: str) -> str:
    """Return what Redis said, without the arguments that it repeats: one may be a password."""
    return re.sub(r",? with args beginning with:.*", "", text, flags=re.DOTALL)


def _why_away(error: Exception) -> str:
    """Return why Redis cannot be reached, in words."""
    text = str(error)
    if isinstance(error, PasswordUnavailable):
        return text
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
