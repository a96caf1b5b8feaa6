"""How long a Job waits before it replaces a failed pod.

https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..apimachinery.jsontypes import Key, Obj, key_of, seconds_since
from . import jobindexes
from .jobsync import JobSync
from .podstate import finished_at

_LONGEST_SECONDS = 600.0


@dataclass
class _Failures:
    """The pods of a Job that failed since its last success, and when the last of them did."""

    job: str
    uids: set[str] = field(default_factory=set)
    last: str = ""


@dataclass
class Backoff:
    """Remembers failures, and tells how long to wait after them.

    Args:
        first: Seconds to wait after one failure; each further one in a row doubles it.
    """

    first: float
    _failures: dict[Key, _Failures] = field(default_factory=dict)

    def forget(self, key: Key) -> None:
        """Forget a Job that is gone."""
        self._failures.pop(key, None)

    def note(self, sync: JobSync) -> None:
        """Remember the failures since the last success."""
        key, uid = key_of(sync.job), sync.job["metadata"]["uid"]
        failures = self._failures.get(key)
        if failures is None or failures.job != uid:
            failures = self._failures[key] = _Failures(uid)
        newly_failed = sync.newly_failed
        if sync.newly_succeeded:
            best = max(finished_at(pod) for pod in sync.newly_succeeded)
            failures.uids.clear()
            newly_failed = [pod for pod in newly_failed if finished_at(pod) > best]
        for pod in newly_failed:
            if pod["metadata"]["uid"] not in failures.uids:
                failures.uids.add(pod["metadata"]["uid"])
                failures.last = max(failures.last, finished_at(pod))

    def seconds(self, job: Obj) -> float:
        """Return how long to wait before failed pods of the Job are replaced."""
        failures = self._failures.get(key_of(job))
        return self._left(len(failures.uids), failures.last) if failures else 0.0

    def due(self, sync: JobSync, indexes: list[int]) -> tuple[list[int], float]:
        """Return the indexes whose own wait is over, or else how long the shortest lasts."""
        waits = {}
        for index in indexes:
            failed = sync.delayed_pods.get(index)
            count = jobindexes.failures(failed) + 1
            waits[index] = self._left(count, finished_at(failed)) if failed else 0.0
        due = [index for index in indexes if waits[index] == 0]
        return due, 0.0 if due or not waits else min(waits.values())

    def _left(self, count: int, last: str) -> float:
        if not count or not self.first:
            return 0.0
        delay = min(self.first * 2.0 ** min(count - 1, 30), _LONGEST_SECONDS)
        return max(0.0, delay - seconds_since(last))
