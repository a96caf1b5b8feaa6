"""One client's calls to Redis: scripts by digest, honest retries, errors in plain words.

redis-py repeats a command silently when its reply was cut off, and a lease that is taken
twice strands an item. So its retries are off. Each call of a script carries a number that
grows; a call that has to be repeated keeps its number, and the script then answers what it
answered before (see lua/common.lua).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import hiredis

from ..errors import QueueError
from .address import Address, place
from .refusals import LASTS, LOOK, TROUBLES, Trouble, diagnose
from .sentinels import Sentinels, check_primary
from .wire import Argument, Refusal, Wire, packed

_INCLUDE = re.compile(rb"^ *--include (\w+)\n", re.MULTILINE)
_TIDY_SECONDS = 60.0
_QUIET_SECONDS = 1.0  # a shorter wait for Redis is not worth a word
_EACH_SECONDS = 60.0  # between the words during a long one
_COPY_SECONDS = 1.0  # for which Redis waits for its replicas at a time
_ANSWER_KEPT_SECONDS = 3600  # as in lua/common.lua

_LOG = logging.getLogger("wqlib.queue")
_SENT_ON = re.compile(r"(MOVED|ASK) \d+ (.*):(\d+)$")
_NOWHERE = (None, b"", b"?")  # instead of the host of a node
_ASKING = packed("ASKING")
_LOOKING = ("export", "item", "snapshot")  # the scripts that change nothing

Node = tuple[str, int]


class Script:
    """A Lua script of `lua/`, bound to its keys and packed as far as possible.

    Args:
        name: `lua/{name}.lua`.
        keys: Its keys.

    Attributes:
        source: The text, with what it includes.
        keys: Its keys.
        changes: It may change the queue.
    """

    def __init__(self, name: str, keys: Sequence[bytes]) -> None:
        self.source, self.keys, self.changes = _source(name), keys, name not in _LOOKING
        digest = hashlib.sha1(self.source).hexdigest()
        self._words, self._head = 3 + len(keys), _bare("EVALSHA", digest, len(keys), *keys)

    def pack(self, *arguments: Argument) -> bytes:
        """Return the whole command in Redis' wire format."""
        tail = packed(*arguments)
        start = tail.index(b"\n") + 1
        return b"*%d\r\n%b%b" % (self._words + len(arguments), self._head, tail[start:])

    def with_source(self, request: bytes) -> bytes:
        """Return the same command as an EVAL, which brings the script along.

        Redis keeps it then, as by SCRIPT LOAD, which managed servers may forbid.
        """
        whole = _bare("EVAL", self.source, len(self.keys), *self.keys)
        return request.replace(self._head, whole, 1)


def _bare(*words: Argument) -> bytes:
    """Return words in Redis' wire format without their number."""
    line = packed(*words)
    return line[line.index(b"\n") + 1 :]


@cache
def _source(name: str) -> bytes:
    """Return the text of a script; a line `--include other` stands for the text of another."""
    text = (Path(__file__).parent / "lua" / f"{name}.lua").read_bytes()
    return _INCLUDE.sub(lambda line: _source(line[1].decode()), text)


class Link:
    """A connection to Redis that one thread uses at a time (a lock sees to it).

    A call that waits for Redis for longer than a second is logged under `wqlib.queue`, each
    minute of it again, and its end, with the fields `queue`, `redis` (where it is asked) and
    `waited_seconds`.

    Args:
        address: Where Redis is.
        patience_seconds: How long a call goes on trying while Redis is away.
        timeout_seconds: How long to wait for one reply, or for a connection.
        replicas: How many replicas must have a change before its call returns.
        queue: What the log names.

    Attributes:
        node: (host, port) of the node that has our slot, or of the primary that the sentinels
            named last; None: they are to be asked.
        sentinels: Those of the address, if it has any.
    """

    def __init__(
        self,
        address: Address,
        *,
        patience_seconds: float = 5.0,
        timeout_seconds: float = 10.0,
        replicas: int = 0,
        queue: str = "",
    ) -> None:
        self.address = address
        self.patience_seconds = patience_seconds
        self.timeout_seconds = timeout_seconds
        self.replicas = replicas
        self._queue = queue
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self.sentinels = Sentinels(address, timeout_seconds) if address.sentinels else None
        self._nodes: list[Node] = [(address.host, address.port)]  # where one may begin
        self.node: Node | None = None if self.sentinels else self._nodes[0]
        self._starts = 0  # since the last answer
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
            if not wire or self.replicas or self.sentinels:
                return self._insist([request], script)[0]
            try:  # the usual way: one question, one answer
                wire.send(request)
                reply = wire.read()
            except (OSError, hiredis.HiredisError) as error:
                reply = error
            except BaseException:  # e.g. Ctrl-C between question and answer
                self.close()
                raise
            else:
                if type(reply) is not Refusal:
                    return reply
            return self._insist([request], script, reply)[0]

    def run_in_turn(self, script: Script, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script several times in one go, each call only if the one before it ran.

        The script gets its number and the number of the call before it (0 for the first).
        It is what fills a queue: see `Rule.stops_filling`.
        """
        with self._lock:
            requests = []
            for position, arguments in enumerate(calls):
                before = self._calls if position else 0
                requests.append(script.pack(self._next_call(), before, *arguments))
            return self._insist(requests, script, fills=True)

    def stream(self, *commands: Sequence[Argument], timeout_seconds: float) -> Generator[Any]:
        """Send commands over a connection of their own and yield the replies as `Wire.parts`.

        Raises:
            QueueError: Redis did not give all.
        """
        try:
            with contextlib.closing(self.open(timeout_seconds)) as wire:
                wire.send(b"".join(packed(*words) for words in commands))
                yield from wire.parts()
        except TROUBLES as error:
            why = diagnose(error, self.address, self.where).why
            raise QueueError(f"Redis did not return the whole queue: {why}.") from None

    def _next_call(self) -> int:
        """Return the number of a call: 1, 2, 3 ...; every 16th, and one a minute at least, is one
        above a multiple of 16: the script then keeps house (see lua/close.lua)."""
        self._calls += 1
        now = time.monotonic()
        if now - self._tidied > _TIDY_SECONDS:
            self._calls = (self._calls + 14) // 16 * 16 + 1
            self._tidied = now
        return self._calls

    @property
    def where(self) -> str:
        """The node that is asked, for people."""
        return place(*self.node) if self.node else str(self.address)

    def open(self, timeout_seconds: float | None = None) -> Wire:
        """Return a new connection to the node that this link talks to now.

        Raises:
            Refusal: The login was refused; or the sentinels named a node that is no primary.
            Any other of `refusals.TROUBLES`: There is no connection.
        """
        node = self.node
        if not node:
            assert self.sentinels
            node = self.node = self.sentinels.primary()
        wire = Wire(self.address.connection(timeout_seconds or self.timeout_seconds, *node))
        if self.sentinels:
            try:
                check_primary(wire)
            except BaseException:
                wire.close()
                raise
        return wire

    def close(self) -> None:
        """Hang up. The next call connects anew."""
        if self._wire:
            self._wire.close()
        self._wire = None
        if self.sentinels:
            self.sentinels.close()
            self.node = None

    def _insist(
        self,
        requests: Sequence[bytes],
        script: Script | None = None,
        error: Exception | None = None,
        *,
        fills: bool = False,
    ) -> list[Any]:
        """Send commands until they are answered, or patience ends.

        Args:
            requests: The commands, packed.
            script: The script that they run.
            error: What came when they were sent before.
            fills: They fill a queue.
        """
        started, pause, next_word = time.monotonic(), 0.02, _QUIET_SECONDS
        again = error is not None
        if isinstance(error, OSError):  # an old connection broke: Redis may be there all the same
            self._start_over()
            error = None
        elif error and str(error).startswith("NOSCRIPT"):
            error = None
        while True:
            try:
                if error:
                    raise error
                replies = self._attempt(requests, script, again)
            except TROUBLES as problem:
                trouble, sent_on = self._diagnose(problem), _SENT_ON.match(str(problem))
                answers, error, again = getattr(problem, "answers", ()), None, True
            except BaseException:
                self.close()
                raise
            else:
                self._starts = 0
                if next_word > _QUIET_SECONDS:
                    waited = time.monotonic() - started
                    line = f"Redis at {self.where} answers, after {waited:.0f} s"
                    self._log(line, waited)
                return replies
            waited, where = time.monotonic() - started, self.where
            moved_to = self._sent_to(sent_on) if sent_on and sent_on[1] == "MOVED" else None
            lasts = trouble.verdict is LASTS or (fills and trouble.stops_filling)
            is_over = waited + (0.0 if moved_to else pause) >= self.patience_seconds
            if trouble.verdict is LOOK or not self._wire:
                self._start_over()
            if lasts or is_over:
                told = trouble.error(None if lasts else self.patience_seconds)
                told.answers = answers
                raise told from None
            if moved_to:
                self.node = moved_to
            elif waited >= next_word:
                since = "" if next_word == _QUIET_SECONDS else f", for {waited:.0f} s now"
                line = f"Waiting for Redis at {where}{since}: {trouble.why}"
                self._log(line, waited)
                next_word = (waited // _EACH_SECONDS + 1) * _EACH_SECONDS
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 1.0)

    def _diagnose(self, error: Exception) -> Trouble:
        trouble = diagnose(error, self.address, self.where)
        if trouble.is_login and self._has_logged_in and self.address.rotates:
            return replace(trouble, verdict=LOOK)  # the new password may not be here yet
        return trouble

    def _log(self, line: str, waited: float) -> None:
        fields = {"queue": self._queue, "redis": self.where, "waited_seconds": round(waited, 3)}
        _LOG.warning(line, extra=fields)

    def _attempt(self, requests: Sequence[bytes], script: Script | None, again: bool) -> list[Any]:
        """Send commands once and return their replies.

        Raises:
            Any of `refusals.TROUBLES`.
        """
        if self.sentinels and self.sentinels.have_news():
            self._start_over()
        if not self._wire:
            self._wire = self.open()
            self._has_logged_in = True
            self._learn_nodes(self._wire)
        copied = []
        if self.replicas and script and script.changes:
            # A repeated call may only be answered, and change nothing; and WAIT waits for what
            # this connection has changed. So it changes something.
            if again:
                copied = [packed("EXPIRE", script.keys[-1], _ANSWER_KEPT_SECONDS)]
            milliseconds = int(1000 * min(_COPY_SECONDS, self.timeout_seconds / 2))
            copied.append(packed("WAIT", self.replicas, milliseconds))
        try:
            replies, copies = self._exchange(self._wire, requests, script, copied)
        except Refusal as refusal:
            ask = _SENT_ON.match(str(refusal))
            if not ask or ask[1] != "ASK" or copied:
                raise
            node = self._sent_to(ask)
            with contextlib.closing(
                Wire(self.address.connection(self.timeout_seconds, *node))
            ) as w:
                return self._exchange(w, requests, script, asking=True)[0]
        if copied and copies[-1] < self.replicas:
            few = Refusal(f"WAITED {copies[-1]} of {self.replicas}")
            few.answers = replies
            raise few
        return replies

    def _exchange(
        self,
        wire: Wire,
        requests: Sequence[bytes],
        script: Script | None,
        after: Sequence[bytes] = (),
        *,
        asking: bool = False,
    ) -> tuple[list[Any], list[Any]]:
        """Send commands, and others after them; return the replies to these and those.

        A script that Redis does not know is brought along.

        Args:
            wire: Where to.
            requests, script: As in `_insist`.
            after: More commands.
            asking: The slot is only on its way to that node.

        Raises:
            Refusal: The first of them; `answers` holds the other replies to `requests`.
        """
        size = len(requests)
        for by_source in (False, True):
            if by_source and script:  # the first brings it for all: no flush comes between
                requests = [script.with_source(requests[0]), *requests[1:]]
            sent = [*requests, *after]
            wire.send(b"".join([_ASKING + one for one in sent] if asking else sent))
            replies = [wire.read() for _ in range(len(sent) * (1 + asking))]
            if asking:
                replies = replies[1::2]
            refused = [reply for reply in replies if type(reply) is Refusal]
            if not refused:
                return replies[:size], replies[size:]
            if not script or not str(refused[0]).startswith("NOSCRIPT"):
                break
        refused[0].answers = [reply for reply in replies[:size] if type(reply) is not Refusal]
        raise refused[0]

    def _learn_nodes(self, wire: Wire) -> None:
        """Learn where else the nodes of a Redis Cluster are, in case that this one dies."""
        if self.sentinels:
            return
        wire.send(packed("CLUSTER", "SLOTS"))
        slots = wire.read()
        if isinstance(slots, list):  # no Refusal: it is a Redis Cluster, and we may ask
            nodes = {
                (n[0].decode(), n[1]) for slot in slots for n in slot[2:] if n[0] not in _NOWHERE
            }
            self._nodes[1:] = sorted(nodes - {self._nodes[0]})

    def _sent_to(self, sent_on: re.Match[str]) -> Node:
        """Return the node that a MOVED or ASK names; one without a host means the same host."""
        host = self.node[0] if self.node else self.address.host
        return sent_on[2] or host, int(sent_on[3])

    def _start_over(self) -> None:
        """Hang up, and begin again where one may begin: the node may be gone."""
        self.close()
        if not self.sentinels:
            self.node = self._nodes[self._starts % len(self._nodes)]
            self._starts += 1
