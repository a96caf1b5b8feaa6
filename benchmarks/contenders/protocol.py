"""How a contender talks to the benchmark. Standard library only: it runs beside every peer.

A contender is a program of its own, `program URL ITEMS SETTING`. It fills its queue with the
items 0 to ITEMS - 1 and says `{"filled": ITEMS}`. For each number N that it then reads, it
drains N items and says how long that took; at `end` it says what it has done, and what its
broker still holds. One line each way at a time; nothing else happens meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol


class Talk:
    """The line to the benchmark.

    What the contender's libraries print goes to /dev/null; stderr is shown if it fails. When
    the benchmark is gone, this process ends, whatever it is doing.
    """

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line.strip())
        os._exit(1)

    def say(self, **facts: object) -> None:
        """Send one JSON object."""
        self._out.write(json.dumps(facts) + "\n")

    def hear(self) -> str:
        """Wait for the next line."""
        return self._lines.get()


class Contender(Protocol):
    """What a contender that is asked for items, piece by piece, has to offer.

    Attributes:
        seen: Each item that was processed, appended by `drain`.
    """

    seen: list[Any]

    def fill(self, items: int) -> None:
        """Put the items 0 to `items` - 1 into the queue, with the library's own call."""

    def drain(self, items: int) -> None:
        """Process that many items."""

    def left(self) -> int:
        """How many items the broker still holds, waiting or unacknowledged."""


def serve(make: Callable[[str, str], Contender]) -> None:
    """The main program of a contender that is asked for items, piece by piece."""
    talk = Talk()
    url, items, setting = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    contender = make(url, setting)
    contender.fill(items)
    talk.say(filled=items)
    while (line := talk.hear()) != "end":
        before = len(contender.seen)  # a batch may end a little after what is asked for
        began, cpu = time.perf_counter(), time.process_time()
        contender.drain(int(line))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        talk.say(items=len(contender.seen) - before, seconds=seconds, cpu_seconds=cpu)
    say_the_end(talk, contender.seen, contender.left())


def say_the_end(talk: Talk, seen: list[Any], left: int) -> None:
    """Say what was processed and what is left, and end without a word of the libraries."""
    talk.say(done=len(seen), distinct=len(set(seen)), left=left)
    os._exit(0)


class Stopwatch:
    """What the tasks of a framework's worker do; it times them, so start and end do not count.

    Args:
        items: How many items there are in all.
        wait_ms: How long a task waits. 0: it does nothing, and the clock starts when the first
            tenth has passed; otherwise it starts with the first task.
        at_end: Called when the last item was processed.

    Attributes:
        seen: Each item that was processed.
    """

    def __init__(self, items: int, wait_ms: int, at_end: Callable[[], object]) -> None:
        self.seen: list[Any] = []
        self._warm = 0 if wait_ms else max(1, items // 10)
        self._items, self._wait_seconds, self._at_end = items, wait_ms / 1000, at_end
        self._began = self._ended = (0.0, 0.0)

    def note(self, item: object) -> None:
        """The task that does nothing; and the end of the others."""
        self.seen.append(item)
        number = len(self.seen)
        if number == self._warm:
            self._began = time.perf_counter(), time.process_time()
        elif number == self._items:
            self._ended = time.perf_counter(), time.process_time()
            self._at_end()

    def wait(self, item: object) -> None:
        """The task that waits, in a thread."""
        self._begin()
        time.sleep(self._wait_seconds)
        self.note(item)

    async def wait_async(self, item: object) -> None:
        """The task that waits, on an event loop."""
        self._begin()
        await asyncio.sleep(self._wait_seconds)
        self.note(item)

    def _begin(self) -> None:
        if self._began == (0.0, 0.0):
            self._began = time.perf_counter(), time.process_time()

    def answer(self) -> dict[str, float]:
        """What to say after the run."""
        seconds, cpu = (end - start for start, end in zip(self._began, self._ended, strict=True))
        return {"items": self._items - self._warm, "seconds": seconds, "cpu_seconds": cpu}


def at_once_and_wait_ms(setting: str) -> tuple[int, int]:
    """Take the setting `AT_ONCE [WAIT_MS]` apart."""
    at_once, *wait_ms = map(int, setting.split())
    return at_once, sum(wait_ms)
