"""What the buttons of the live view make happen, in the cluster and in the queue.

None of it touches the picture: that follows from what happens.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Literal, Protocol

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

    def kill_pod(self, pod: str, *, grace_seconds: int) -> None: ...
    def freeze_pod(self, pod: str) -> None: ...
    def thaw_pod(self, pod: str) -> None: ...
    def scale(self, job: str, parallelism: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Request:
    """Something that the reader wants done.

    Attributes:
        kind: What.
        pod: Which pod, for "kill", "end", "freeze" and "thaw".
        number: How many pods, for "scale".
        text: Which items, for "add": a number, or items with commas between them.
    """

    kind: Literal["stop", "kill", "end", "freeze", "thaw", "scale", "add"]
    pod: str = ""
    number: int = 0
    text: str = ""


class Actions:
    """Carries requests out, one after the other, on a thread of its own: a cluster may be slow.

    Args:
        queue: The queue that is watched; a connection of our own is made to it.
        cluster: What `wqlib.connect()` gave, or None.
        job: Says which Job to scale, or "" if nobody knows.

    Attributes:
        messages: What was done, or why it was not, in a sentence for each request.
    """

    def __init__(self, queue: Queue, cluster: Cluster | None, job: Callable[[], str]) -> None:
        self.messages: SimpleQueue[str] = SimpleQueue()
        self._queue = queue
        self._cluster: Any = cluster  # without one there are no buttons that need it
        self._job = job
        self._added = 0
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, request: Request) -> None:
        """Carry this out soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="wqlib-actions", daemon=True)
            self._thread.start()
        self._requests.put(request)

    def stop(self) -> None:
        """Carry out what was asked for, and end."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join(5.0)
            self._thread = None

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                self.messages.put(self._carry_out(request))
            except Exception as error:
                self.messages.put(f"That did not work: {error or type(error).__name__}")

    def _carry_out(self, request: Request) -> str:
        """Do it, and say in a sentence what was done."""
        pod = request.pod
        if request.kind == "kill":
            self._cluster.kill_pod(pod, grace_seconds=0)
            return f"Killed pod {pod}."
        if request.kind == "end":
            self._cluster.kill_pod(pod, grace_seconds=GRACE_SECONDS)
            return f"Asked pod {pod} to end."
        if request.kind == "freeze":
            self._cluster.freeze_pod(pod)
            return f"Froze pod {pod}: it renews nothing now, and does not know it."
        if request.kind == "thaw":
            self._cluster.thaw_pod(pod)
            return f"Thawed pod {pod}: it goes on as if nothing had happened."
        if request.kind == "add":
            return self._add(request.text)
        job = self._job()
        if not job:
            return "Say which Job to scale: Dashboard(queue, cluster, job)."
        self._cluster.scale(job, request.number)
        return f"Job {job} may run {request.number} pods at once."

    def _add(self, text: str) -> str:
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
