"""Feed a `History` from a queue and, if there is one, a cluster.

The live view and `wqlib watch` both read a run through this. One thread calls `poll` again
and again; a thread of the feed follows the pods and only hands their changes over. When
Redis or the API server is away, the feed says so and tries again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, Protocol, Self

from ..errors import QueueError
from ..events import Event, PodEvent
from .fold import History
from .recording import COUNTERS, Reading

READ_ENTRIES = 10_000
MOST_READS = 5  # in one poll, so that a picture is drawn now and then while catching up
CLOCK_SECONDS = 5.0
READING_SECONDS = 1.0
PATIENCE_SECONDS = 0.25
REPLY_SECONDS = 2.0  # a Redis that hangs shall not stop the view for long
POD_RETRY_SECONDS = 2.0


class WatchedQueue(Protocol):
    """What a feed needs of a queue; `wqlib.WorkQueue` has it."""

    patience_seconds: float

    def copy(self, *, timeout_seconds: float | None = None) -> Self: ...
    def server_time(self) -> float: ...
    def stats(self) -> Any: ...  # with the fields of a `Reading`
    def events(self, after: str, *, limit: int) -> list[Event]: ...
    def results(self) -> dict[int, bytes]: ...
    def close(self) -> None: ...


class WatchedCluster(Protocol):
    """What a feed needs of a cluster; what `wqlib.connect()` gives has it."""

    def watch_pods(self, stop: threading.Event, job: str | None) -> Iterable[PodEvent]: ...


class Feed:
    """Reads what happens to a queue and its pods into a history.

    Args:
        queue: The queue; the feed uses a connection of its own.
        cluster: What `wqlib.connect()` gave, or None: lanes then come from the workers.
        job: Only pods of this Job; None for all.
        history: The history to go on with.

    Attributes:
        history: What happened so far. Only `poll` changes it.
        drained: Everything known is read, and nothing waits and nothing is leased.
    """

    def __init__(
        self,
        queue: WatchedQueue,
        cluster: WatchedCluster | None = None,
        job: str | None = None,
        history: History | None = None,
    ) -> None:
        self.history = history or History()
        self.drained = False
        self._queue = queue.copy(timeout_seconds=REPLY_SECONDS)
        self._queue.patience_seconds = PATIENCE_SECONDS
        self._cluster = cluster
        self._job = job
        self._after = "0"
        self._offset: float | None = None  # the server's clock less ours
        self._clock_at = self._reading_at = float("-inf")
        self._reading: Reading | None = None
        self._now = 0.0
        self._lost_at: float | None = None
        self._why_lost = ""
        self._pods: SimpleQueue[PodEvent | Exception] = SimpleQueue()
        self._pods_lost = ""
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def now(self) -> float:
        """Return the time by the server's clock; it stands still while the connection is lost."""
        if self._lost_at is None:
            self._now = max(self._now, time.time() + (self._offset or 0.0))
        return self._now

    @property
    def trouble(self) -> str:
        """Say what is wrong with the connections, or return ""."""
        words = []
        if self._lost_at is not None:
            ago = int(time.monotonic() - self._lost_at)
            words.append(f"Connection to Redis lost {ago} s ago, retrying. ({self._why_lost})")
        if self._pods_lost:
            words.append(f"The pods cannot be followed, retrying. ({self._pods_lost})")
        return " ".join(words)

    def poll(self) -> bool:
        """Read what is new, without waiting for it.

        Returns:
            Whether the history changed.
        """
        before = self.history.version
        try:
            self._read_queue()
            self._lost_at = None
        except QueueError as error:
            if self._lost_at is None:
                self._now = self.now
                self._lost_at = time.monotonic()
                self._clock_at = float("-inf")
            self._why_lost = str(error)
        else:
            self._read_pods()
        return self.history.version != before

    def results(self) -> dict[int, bytes]:
        """Return the results by item id, read through the feed's own connection.

        Raises:
            QueueError: Redis does not answer.
        """
        return self._queue.results()

    def close(self) -> None:
        """Stop following, and close the connection."""
        self._stop.set()
        self._queue.close()
        if self._watcher is not None:
            self._watcher.join(5.0)

    def _read_queue(self) -> None:
        tick = time.monotonic()
        if tick - self._clock_at >= CLOCK_SECONDS:
            if self._offset is None:
                self._queue.server_time()  # connects, which would take part in the measure
            asked = time.time()
            server = self._queue.server_time()
            least, most = server - time.time(), server - asked
            # What was known stays true unless this says otherwise: times shall not run backwards.
            known = (least + most) / 2 if self._offset is None else self._offset
            self._offset = min(max(known, least), most)
            self._clock_at = tick
        if self._reading is None and tick - self._reading_at >= READING_SECONDS:
            stats = self._queue.stats()
            counts = {name: getattr(stats, name) for name in COUNTERS}
            self._reading, self._reading_at = Reading(stats.at, **counts), tick
        for _ in range(MOST_READS):
            events = self._queue.events(self._after, limit=READ_ENTRIES)
            if events:
                self._after = events[-1].stream_id
                self._fold(events)
            if len(events) < READ_ENTRIES:
                self._settle()
                counts_now = self.history.counts
                left = counts_now.pending + counts_now.leased
                self.drained = bool(counts_now.total) and not left
                return

    def _fold(self, events: list[Event]) -> None:
        """Add events, and compare the counts with the reading at the moment it was taken."""
        reading = self._reading
        if reading is None or events[-1].at < reading.at:
            self.history.add(events)
            return
        start = next(i for i, event in enumerate(events) if event.at >= reading.at)
        self.history.add(events[:start])
        # Calls in the same millisecond came before the reading or after it: either is right.
        while self._reading is not None and start < len(events):
            stop = start + 1
            while stop < len(events) and events[stop].stream_id == events[start].stream_id:
                stop += 1
            if self._agrees() or events[start].at > reading.at:
                break
            self.history.add(events[start:stop])
            start = stop
        self._settle()
        self.history.add(events[start:])

    def _settle(self) -> None:
        """Take over the counters of the queue, if the events say something else."""
        if self._reading is not None and not self._agrees():
            self.history.add([self._reading])
        self._reading = None

    def _agrees(self) -> bool:
        counts, reading = self.history.counts, self._reading
        return all(getattr(counts, name) == getattr(reading, name) for name in COUNTERS)

    def _read_pods(self) -> None:
        if self._cluster is None:
            return
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=self._watch, args=(self._cluster,), name="wqlib-pods", daemon=True
            )
            self._watcher.start()
        with contextlib.suppress(Empty):
            while True:
                news = self._pods.get_nowait()
                if isinstance(news, PodEvent):
                    self._pods_lost = ""
                    self.history.add([replace(news, at=news.at + (self._offset or 0.0))])
                else:
                    self._pods_lost = f"{news}" or type(news).__name__

    def _watch(self, cluster: WatchedCluster) -> None:
        while not self._stop.is_set():
            try:
                for event in cluster.watch_pods(self._stop, self._job):
                    self._pods.put(event)
            except Exception as error:
                self._pods.put(error)
            self._stop.wait(POD_RETRY_SECONDS)
