"""Waiting for work without polling: Redis says when one of several lists is not empty."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence

from .link import Link, Node
from .refusals import LASTS, TROUBLES, diagnose
from .wire import Refusal, Wire, packed


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
        self._node: Node | None = None
        self._hand, self._bell = socket.socketpair()
        self._hand.setblocking(False)
        self._bell.setblocking(False)
        self._rung = False
        self._pause_seconds = 0.0

    @property
    def hand(self) -> int:
        """A file descriptor: whatever is written to it ends the present `wait`, or the next one."""
        return self._hand.fileno()

    def ring(self) -> None:
        """Let the present `wait`, or the next one, return at once. Signal handlers may call it."""
        self._rung = True
        with contextlib.suppress(OSError):  # it has been rung often enough, or is gone
            self._hand.send(b"!")

    def wait(self, keys: Sequence[bytes], seconds: float) -> bool:
        """Wait until one of the lists is not empty, `seconds` are over, or Redis is gone.

        Returns:
            Whether somebody rang, which ends it at once.
        """
        link = self._link
        try:
            if self._node != link.node:  # there is another primary by now
                self._hang_up()
            for key in keys:
                if key not in self._lines:
                    self._lines[key] = link.open()
                    self._node = link.node
                if key not in self._blocked:
                    self._lines[key].send(packed("BLMOVE", key, key, "LEFT", "LEFT", 0))
                    self._blocked.add(key)
            sockets = {self._lines[key].fileno(): key for key in keys}
            news = link.sentinels.news() if link.sentinels else None
            for ready in self._listen([*sockets, *([news] if news else [])], seconds):
                if ready == news:  # a failover: the caller asks, and is led to the new primary
                    self._hang_up()
                    break
                answer = self._lines[sockets[ready]].read()
                self._blocked.discard(sockets[ready])
                if isinstance(answer, Refusal):
                    raise answer
            self._pause_seconds = 0.0
        except TROUBLES as error:
            self._hang_up()
            trouble = diagnose(error, link.address, link.where)
            if isinstance(error, Refusal) and trouble.verdict is LASTS and not trouble.is_login:
                raise trouble.error() from None
            # The caller asks Redis next, and meets the error there. If it does not (there may be
            # no connection left for us), it shall not ask in a tight loop.
            self._pause_seconds = min(max(0.05, 2 * self._pause_seconds), 1.0)
            self._listen([], min(seconds, self._pause_seconds))
        except BaseException:
            self._hang_up()
            raise
        rung, self._rung = self._rung, False
        return rung

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
