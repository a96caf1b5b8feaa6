"""What measured runs can show: medians, ranges, and whether a difference was seen at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from ..history import History
from .nodes import LOCAL

if TYPE_CHECKING:
    from ..cluster import Cluster

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# Beyond these, something else uses the cores: how far runs of one pod may differ, and how much of
# the ideal there should be up to the number of cores.
_ALIKE, _BUSY = 1.3, 0.8


def cores(cluster: Cluster) -> int:
    """Return how many processor cores the pods of a cluster can use, 1 or more.

    Those of this computer on the local cluster, whose nodes share them, within the quota of a
    container; on a real cluster, those of all nodes.
    """
    if cluster.name != LOCAL:
        nodes = cluster.core.list_node().items
        return max(1, int(sum(_cpus(node.status.allocatable["cpu"]) for node in nodes)))
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS
    here = len(usable(0)) if usable else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        here = min(here, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or "max"
        pass
    return here


def _cpus(amount: str) -> float:
    return int(amount[:-1]) / 1000 if amount.endswith("m") else float(amount)


def duration(history: History) -> float:
    """Return how long a run lasted in seconds, from its first lease to its last completion."""
    spans = [span for lane in history.lanes.values() for span in lane.spans]
    ends = [span.end for span in spans if span.end is not None and span.outcome == "complete"]
    return max(ends) - min(span.lent for span in spans)


def durations(runs: Sequence[History]) -> str:
    """Return the median and the range of the durations of some runs, as text."""
    took = [duration(history) for history in runs]
    return f"{median(took):.2f} s ({min(took):.2f} to {max(took):.2f})"


def findings(runs: Mapping[int, Sequence[History]], cores: int) -> str:
    """Say what runs with several numbers of pods show, and what they do not.

    Args:
        runs: By the number of pods, among them 1: some runs of that many, on the same items.
        cores: How many cores the pods could use.

    Returns:
        A line for each number of pods: how many times as fast as one pod, the range, and whether
        that differs from the line before. Then what this machine could not show, if anything.
    """
    one_pod = median(duration(history) for history in runs[1])
    rates = {n: sorted(one_pod / duration(x) for x in some) for n, some in sorted(runs.items())}
    lines, before = ["pods  times as fast (range)"], 0
    for pods, rate in rates.items():
        line = f"{pods:4}  {median(rate):4.1f} ({rate[0]:.1f} to {rate[-1]:.1f})"
        if before and rate[0] <= rates[before][-1] and rates[before][0] <= rate[-1]:
            line += f"   no difference from {before} seen: the ranges overlap"
        lines.append(line)
        before = pods
    full = max(pods for pods in rates if pods <= cores)
    slowest, fastest = rates[1][0], rates[1][-1]
    if fastest > _ALIKE * slowest or median(rates[full]) < _BUSY * full:
        lines.append(
            f"One pod alone was {slowest:.1f} to {fastest:.1f} times as fast, and {full} on "
            f"{cores} cores {median(rates[full]):.1f} times: something else uses these cores too, "
            "and hides where the curve bends."
        )
    if before <= cores:
        lines.append(f"With {cores} cores, no bend can show up to {before} pods.")
    return "\n".join(lines)
