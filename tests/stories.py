"""Runs to test with, written as what happened: pure, so no Redis is needed."""

from __future__ import annotations

from typing import Any

from wqlib.events import Event, PodEvent
from wqlib.history import History
from wqlib.history.recording import Recorded

T0 = 1_764_000_000.0


class Story:
    """Writes events as the queue would, so tests read as what happened."""

    def __init__(self, pending: int = 0) -> None:
        self.events: list[Recorded] = []
        self.pending = pending

    def _add(self, kind: Any, at: float, lease: str = "", change: int = 0, **more: Any) -> Story:
        self.pending += change
        if lease:
            token, _, worker = lease.partition("@")
            item_id, attempt = token.split("-")
            more |= {"lease_id": lease, "item_id": int(item_id), "attempt": int(attempt)}
            more |= {"worker": worker}
        stream_id = f"{int((T0 + at) * 1000)}-0"
        self.events.append(Event(kind, T0 + at, stream_id, pending=self.pending, **more))
        return self

    def put(self, at: float, count: int) -> Story:
        return self._add("put", at, change=count, count=count)

    def lease(
        self, at: float, lease: str, item: str = "apple", seconds: float = 10, begins: bool = True
    ) -> Story:
        deadline = T0 + at + seconds
        return self._add("lease", at, lease, -1, item=item, deadline=deadline, begins=begins)

    def renew(self, at: float, lease: str, seconds: float = 10, progress: str = "") -> Story:
        return self._add("renew", at, lease, deadline=T0 + at + seconds, progress=progress)

    def complete(self, at: float, lease: str, *worked: float) -> Story:
        """`worked`: when the work began and ended, or nothing: it is not told."""
        began, ended = [T0 + moment for moment in worked] or (0.0, 0.0)
        return self._add("complete", at, lease, began=began, ended=ended)

    def expire(self, at: float, lease: str) -> Story:
        return self._add("expire", at, lease, 1)

    def fail(self, at: float, lease: str, reason: str = "boom") -> Story:
        return self._add("fail", at, lease, 1, reason=reason)

    def release(self, at: float, lease: str, reason: str = "SIGTERM") -> Story:
        return self._add("release", at, lease, 1, reason=reason)

    def dead(self, at: float, lease: str, reason: str = "fail: boom") -> Story:
        return self._add("dead", at, lease, -1, reason=reason)

    def requeue(self, at: float, count: int) -> Story:
        return self._add("requeue", at, change=count, count=count)

    def drained(self, at: float) -> Story:
        return self._add("drained", at)

    def clear(self, at: float) -> Story:
        self.pending = 0
        return self._add("clear", at)

    def pod(
        self,
        at: float,
        kind: Any,
        pod: str,
        job: str = "job-wq-2",
        reason: str = "",
        node: str = "",
    ) -> Story:
        self.events.append(PodEvent(kind, T0 + at, pod, job, reason, node))
        return self

    def history(self) -> History:
        history = History()
        history.add(self.events)
        return history


def three_ends() -> Story:
    """A pod crashes and is started again, one is deleted, one evicted, and one deleted by force."""
    story, job = Story(9), "j"
    pods = crash, ended, moved, force = "j-crash", "j-ended", "j-moved", "j-force"
    for number, pod in enumerate(pods, 1):
        story.pod(0, "running", pod, job).lease(0.5, f"{number}-1@{pod}", "", 4)
    story.pod(1, "restarting", crash, job, "exit code 137").pod(1.01, "running", crash, job)
    story.lease(1.5, f"5-1@{crash}", "", 4)
    story.pod(1, "terminating", ended, job).complete(2.5, f"2-1@{ended}", 0.5, 2.5)
    story.pod(2.6, "failed", ended, job, "exit code 143").pod(2.6, "deleted", ended, job)
    story.pod(1.2, "terminating", moved, job, "EvictionByEvictionAPI")
    story.complete(2.5, f"3-1@{moved}", 0.5, 2.5).pod(2.6, "failed", moved, job, "exit code 143")
    story.pod(1.3, "terminating", force, job).pod(1.3, "deleted", force, job)
    return story


def lost_and_found() -> Story:
    """Three items; pod a is killed while it holds one, and pod b picks that up."""
    return (
        Story()
        .put(0, 3)
        .pod(0.5, "running", "job-wq-2-aaaaa")
        .pod(0.6, "running", "job-wq-2-bbbbb")
        .lease(1, "1-1@job-wq-2-aaaaa", "apple", 5)
        .lease(1.1, "2-1@job-wq-2-bbbbb", "banana", 5)
        .pod(2, "failed", "job-wq-2-aaaaa", reason="exit code 137")
        .complete(3, "2-1@job-wq-2-bbbbb")
        .lease(3, "3-1@job-wq-2-bbbbb", "cherry", 5)
        .complete(6.5, "3-1@job-wq-2-bbbbb")
        .expire(6.5, "1-1@job-wq-2-aaaaa")
        .lease(6.5, "1-2@job-wq-2-bbbbb", "apple", 5)
        .complete(8, "1-2@job-wq-2-bbbbb")
        .drained(8)
        .pod(8.4, "succeeded", "job-wq-2-bbbbb")
    )
