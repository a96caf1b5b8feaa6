"""Changes of the text of the queue's scripts: a clock of the tests' own, and planted bugs.

The scripts read the time with `redis.call('TIME')`. With `VIRTUAL_TIME` they read a key
instead, so a test says what time it is: leases run out without any sleeping, and exactly at
their deadline. Everything else is the real Lua on a real redis-server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import redis

from wqlib.queue import link

_CLOCK = "the clock of the tests"


@dataclass(frozen=True)
class Change:
    """A piece of text that stands for another one.

    Attributes:
        old: What is replaced.
        new: What stands there instead.
        scripts: The scripts that it is in; none: all of them.
        times: How often it must be there.
    """

    old: str
    new: str
    scripts: tuple[str, ...] = ()
    times: int = 1

    def apply(self, name: str, text: bytes) -> bytes:
        """The text of the script `name` with this change.

        Raises:
            LookupError: `old` is not there so often: the script is not what it was.
        """
        if self.scripts and name not in self.scripts:
            return text
        found = text.count(self.old.encode())
        if found != self.times:
            raise LookupError(
                f"{self.old!r} is {found} times in the script {name!r}, not {self.times}. "
                "The script has changed: change this test with it."
            )
        return text.replace(self.old.encode(), self.new.encode())


VIRTUAL_TIME = Change("redis.call('TIME')", f"redis.call('LRANGE', '{_CLOCK}', 0, 1)")


@contextlib.contextmanager
def changed(*changes: Change) -> Iterator[None]:
    """Queues that are made inside run scripts with these changes."""
    real = link._source

    def source(name: str) -> bytes:
        link._source = real  # for what the script includes
        try:
            text = real(name)
        finally:
            link._source = source
        for change in changes:
            text = change.apply(name, text)
        return text

    link._source = source  # type: ignore[assignment]
    try:
        yield
    finally:
        link._source = real


class Clock:
    """What the scripts take for the server's clock.

    Attributes:
        now: The time, in ms since the epoch.
    """

    def __init__(self, client: redis.Redis, now: int = 1_000_000) -> None:
        self._client = client
        self.set(now)

    def set(self, now: int) -> None:
        """Let it be `now`, in ms since the epoch."""
        self.now = now
        with self._client.pipeline() as pipeline:
            pipeline.delete(_CLOCK)
            pipeline.rpush(_CLOCK, now // 1000, now % 1000 * 1000)
            pipeline.execute()
