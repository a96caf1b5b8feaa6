"""The same work in several patterns: each is run some times, and what it costs is compared."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from ..plots.canvas import Picture
from ..plots.costs import costs

if TYPE_CHECKING:
    from ..cluster import Cluster

Prepare = Callable[[], list[dict[str, Any]]]


@dataclass(frozen=True)
class Run:
    """One run of some Jobs, from their start until all are complete.

    Attributes:
        seconds: How long it took.
        at_once: How many pods might work at a time.
        logs: The lines that each pod printed, by its name.
    """

    seconds: float
    at_once: int
    logs: dict[str, list[str]]

    @property
    def paid(self) -> float:
        """Pod-seconds: a place for a pod is paid for while it waits, too."""
        return self.at_once * self.seconds


class Comparison:
    """Runs the same work in several patterns.

    Args:
        cluster: Where.
        work_seconds: How much work it is, in pod-seconds.
    """

    def __init__(self, cluster: Cluster, work_seconds: float) -> None:
        self._cluster, self._work = cluster, work_seconds
        self._patterns: dict[str, Prepare] = {}
        self._runs: dict[str, list[Run]] = {}

    def run(self, pattern: str, prepare: Prepare) -> Run:
        """Run a pattern for the first time; `again` repeats it.

        Args:
            pattern: Its name.
            prepare: Prepares a run, e.g. fills the queue, and returns the manifests of its Jobs.
        """
        self._patterns[pattern] = prepare
        self._runs[pattern] = [self._measure(prepare)]
        return self._runs[pattern][0]

    def again(self, times: int) -> None:
        """Repeat all patterns in turn, so that what else the machine does hits each alike."""
        for _ in range(times):
            for pattern, prepare in self._patterns.items():
                self._runs[pattern].append(self._measure(prepare))

    def report(self) -> str:
        """Return a line a pattern: the median of its runs, and the range of what was paid.

        Then which patterns cannot be told apart, since their ranges overlap.
        """
        rows = []
        for pattern, runs in self._runs.items():
            paid = [run.paid for run in runs]
            rows.append(
                f"{pattern:20} {len(runs[0].logs)} pods, done after"
                f" {median(run.seconds for run in runs):4.1f} s, paid {median(paid):4.1f}"
                f" ({min(paid):.1f} to {max(paid):.1f}), of which work"
                f" {self._work / median(paid):.0%}"
            )
        for one, other in itertools.combinations(self._runs, 2):
            (low, high), (least, most) = self._range(one), self._range(other)
            if low <= most and least <= high:
                rows.append(f"No difference seen between {one} and {other}: the ranges overlap.")
        return "\n".join(rows)

    def picture(self) -> Picture:
        """Draw what each pattern cost."""
        paid = {name: [run.paid for run in runs] for name, runs in self._runs.items()}
        return costs(paid, self._work)

    def _range(self, pattern: str) -> tuple[float, float]:
        paid = [run.paid for run in self._runs[pattern]]
        return min(paid), max(paid)

    def _measure(self, prepare: Prepare) -> Run:
        jobs = prepare()
        names = [f"job/{job['metadata']['name']}" for job in jobs]
        for name in names:  # an earlier run may have been interrupted
            self._cluster.delete(name)
        began = time.monotonic()
        self._cluster.apply(jobs)
        for name in names:
            self._cluster.wait(name, "complete")
        seconds = time.monotonic() - began
        logs: dict[str, list[str]] = {}
        for name in names:
            logs |= {pod.name: [] for pod in self._cluster.pods(name.partition("/")[2])}
            for line in self._cluster.logs(name).splitlines():
                pod, _, said = line[1:].partition("] ")
                logs[pod].append(said)
            self._cluster.delete(name)
        return Run(seconds, sum(job["spec"].get("parallelism", 1) for job in jobs), logs)
