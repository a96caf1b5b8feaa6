"""The completion indexes of Indexed Jobs: pure functions.

https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from ..apimachinery.jsontypes import Obj, whole_number
from .podstate import is_active, phase

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def is_indexed(job: Obj) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def per_index(job: Obj) -> bool:
    """Tell whether each index has its own limit of failures."""
    return is_indexed(job) and job["spec"].get("backoffLimitPerIndex") is not None


def index_of(pod: Obj) -> int | None:
    """Return the pod's completion index, or None when it carries none that is a number."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    index = whole_number(text)
    return None if index is None or index < 0 else index


def valid_index(job: Obj, pod: Obj) -> int | None:
    """Return the pod's index if the Job has such an index."""
    index = index_of(pod)
    return index if index is not None and index < job["spec"]["completions"] else None


def parse(text: str | None) -> list[range]:
    """Return the indexes that a field such as `0-2,5` names; what are no numbers is ignored."""
    found = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        begin, end = whole_number(first), whole_number(last or first)
        if begin is not None and end is not None:
            found.append(range(begin, end + 1))
    return found


def compact(indexes: Iterable[int]) -> str:
    """Return indexes as the status writes them: `0-2,5`; two neighbours as `3,4`."""
    spans: list[list[int]] = []
    for index in sorted(indexes):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    parts = []
    for first, last in spans:
        middle = "-" if last > first + 1 else ","
        parts.append(str(first) if first == last else f"{first}{middle}{last}")
    return ",".join(parts)


def known(job: Obj, field: str) -> set[int]:
    """Return the indexes in a field of the Job's status that it still has."""
    all_indexes = range(job["spec"]["completions"])
    found = parse((job.get("status") or {}).get(field))
    return {i for span in found for i in all_indexes[max(span.start, 0) : max(span.stop, 0)]}


def succeeded(job: Obj, pods: list[Obj]) -> set[int]:
    """Return the indexes that are done, those of pods which just ended included."""
    ended = {valid_index(job, pod) for pod in pods if phase(pod) == "Succeeded"}
    return known(job, "completedIndexes") | {index for index in ended if index is not None}


def pending(job: Obj, busy: set[int | None], count: int) -> list[int]:
    """Return the first indexes, at most `count`, that are not among the busy ones."""
    free = (index for index in range(job["spec"]["completions"]) if index not in busy)
    return list(itertools.islice(free, max(0, count)))


def active_indexes(pods: list[Obj]) -> set[int | None]:
    """Return the indexes of the active pods."""
    return {index_of(pod) for pod in pods if is_active(pod)}


def surplus(job: Obj, ranked: list[Obj], count: int) -> list[Obj]:
    """Return the active pods that must go.

    Whoever has no valid index, or one that another pod has, goes in any case.

    Args:
        ranked: The active pods, those that may go first in front.
        count: At least so many have to go.
    """
    chosen, kept = [], []
    taken: set[int] = set()
    for pod in reversed(ranked):
        index = valid_index(job, pod)
        if index is None or index in taken:
            chosen.append(pod)
        else:
            taken.add(index)
            kept.append(pod)
    left = list(reversed(kept))
    return chosen + left[: max(0, count - len(chosen))]


def failure_count(pod: Obj | None) -> tuple[int, int]:
    """Return how often an index failed before this pod: counted and ignored failures."""
    notes = ((pod or {"metadata": {}})["metadata"].get("annotations")) or {}
    return int(notes.get(FAILURES, 0)), int(notes.get(IGNORED, 0))


def failures(pod: Obj | None) -> int:
    """Return how often an index failed before this pod, in all."""
    return sum(failure_count(pod))
