"""What the buttons of the live view make happen, in the cluster and in the queue.

None of it touches the picture: that follows from what happens.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol

from ..history.feed import WatchedCluster, WatchedQueue

GRACE_SECONDS = 30
MOST_ITEMS_AT_ONCE = 10_000


class Queue(WatchedQueue, Protocol):
    """What a live view needs of a queue; `wqlib.WorkQueue` has it."""

    name: str
    address: Any  # with a host and a port

    def put(self, items: list[str]) -> int: ...


class Cluster(WatchedCluster, Protocol):
    """What a live view needs of a cluster; what `wqlib.connect()` gives has it."""

    def crash_pod(self, pod: str) -> None: ...
    def kill_pod(self, pod: str, *, grace_seconds: int) -> None: ...
    def evict_pod(self, pod: str) -> None: ...
    def logs(self, target: str, *, tail: int) -> str: ...
    def events(self, target: str) -> list[str]: ...
    def freeze_pod(self, pod: str) -> None: ...
    def thaw_pod(self, pod: str) -> None: ...
    def scale(self, job: str, parallelism: int) -> None: ...


class Actions:
    """Carries out what is asked for, one after the other, on a thread of its own.

    A cluster may be slow. Each action says in a sentence what it did.

    Args:
        queue: The queue that is watched; a connection of our own is made to it.
        cluster: What `wqlib.connect()` gave, or None.
        job: Says which Job to scale, or "" if nobody knows.

    Attributes:
        messages: What was done, or why it was not; "" if that is nothing to speak of.
    """

    def __init__(self, queue: Queue, cluster: Cluster | None, job: Callable[[], str]) -> None:
        self.messages: SimpleQueue[str] = SimpleQueue()
        self._queue = queue
        self._cluster: Any = cluster  # without one there are no buttons that need it
        self._job = job
        self._added = 0
        self._requests: SimpleQueue[Callable[[], str] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, action: Callable[..., str], *arguments: Any) -> None:
        """Carry this out soon."""
        self._requests.put(partial(action, *arguments))

    def start(self) -> None:
        """Begin to carry out what is asked for, if anything is."""
        if self._thread is None and not self._requests.empty():
            self._thread = threading.Thread(target=self._run, name="wqlib-actions", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Carry out what was asked for, and end."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join(5.0)
            self._thread = None

    def _run(self) -> None:
        while (action := self._requests.get()) is not None:
            try:
                self.messages.put(action())
            except Exception as error:
                self.messages.put(f"That did not work: {error or type(error).__name__}")

    def kill(self, pod: str) -> str:
        self._cluster.crash_pod(pod)
        return f"Killed pod {pod}."

    def delete(self, pod: str) -> str:
        self._cluster.kill_pod(pod, grace_seconds=GRACE_SECONDS)
        return f"Deleted pod {pod}: it is asked to end."

    def evict(self, pod: str) -> str:
        self._cluster.evict_pod(pod)
        return f"Evicted pod {pod}: it is asked to end."

    def freeze(self, pod: str) -> str:
        self._cluster.freeze_pod(pod)
        return f"Froze pod {pod}: it renews nothing now, and does not know it."

    def thaw(self, pod: str) -> str:
        self._cluster.thaw_pod(pod)
        return f"Thawed pod {pod}: it goes on as if nothing had happened."

    def scale(self, number: int) -> str:
        job = self._job()
        if not job:
            return "Say which Job to scale: Dashboard(queue, cluster, job)."
        self._cluster.scale(job, number)
        return f"Job {job} may run {number} pods at once."

    def add(self, text: str) -> str:
        items = items_of(text, self._added)
        if not items:
            return "Say which items to add: a number, or their names with commas between them."
        with contextlib.closing(self._queue.copy()) as queue:
            number = queue.put(items)
        self._added += number
        return f"Added {number:,} {'item' if number == 1 else 'items'}."


def items_of(text: str, before: int = 0) -> list[str]:
    """Return the items that a reader asked for.

    Args:
        text: A number ("20"), or items with commas between them ("apple, banana").
        before: How many were added before, so that numbered items get new numbers.
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,6}", text):
        number = min(int(text), MOST_ITEMS_AT_ONCE)
        return [f"added {i}" for i in range(before + 1, before + number + 1)]
    return [item for part in text.split(",") if (item := part.strip())]
