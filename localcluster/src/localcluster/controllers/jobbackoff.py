"""How long a Job waits before it replaces a failed pod.

https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..apimachinery.jsontypes import Obj, seconds_since
from . import jobindexes
from .jobsync import Look
from .podstate import end_of

_LONGEST_SECONDS = 600.0


@dataclass
class _Failures:
    """Who failed since the Job's last success, and when the last of them did."""

    uids: set[str] = field(default_factory=set)
    last: str = ""


@dataclass
class Backoff:
    """Remembers failures, and tells how long to wait after them.

    Args:
        first: seconds to wait after one failure; each further one in a row doubles it.
    """

    first: float
    _failures: dict[str, _Failures] = field(default_factory=dict)

    def forget(self, job: Obj) -> None:
        """The Job is gone."""
        self._failures.pop(job["metadata"]["uid"], None)

    def note(self, look: Look) -> None:
        """Remember the failures since the last success."""
        failures = self._failures.setdefault(look.job["metadata"]["uid"], _Failures())
        fallen = look.fallen
        if look.risen:
            best = max(end_of(pod) for pod in look.risen)
            failures.uids.clear()
            fallen = [pod for pod in fallen if end_of(pod) > best]
        for pod in fallen:
            if pod["metadata"]["uid"] not in failures.uids:
                failures.uids.add(pod["metadata"]["uid"])
                failures.last = max(failures.last, end_of(pod))

    def seconds(self, job: Obj) -> float:
        """Return how long to wait before failed pods of the Job are replaced."""
        failures = self._failures.get(job["metadata"]["uid"])
        return self._left(len(failures.uids), failures.last) if failures else 0.0

    def due(self, look: Look, indexes: list[int]) -> tuple[list[int], float]:
        """Return the indexes whose own wait is over, or else how long the shortest lasts."""
        waits = {}
        for index in indexes:
            failed = look.kept.get(index)
            count = jobindexes.failures(failed) + 1
            waits[index] = self._left(count, end_of(failed)) if failed else 0.0
        due = [index for index in indexes if waits[index] == 0]
        return due, 0.0 if due or not waits else min(waits.values())

    def _left(self, count: int, last: str) -> float:
        if not count or not self.first:
            return 0.0
        delay = min(self.first * 2.0 ** min(count - 1, 30), _LONGEST_SECONDS)
        return max(0.0, delay - seconds_since(last))
