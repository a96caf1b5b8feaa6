"""How a class is doing: everybody's progress, and whose pods do not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from ...cluster import manifests, states
from ...cluster.kube import get
from ...shown import shown, table
from ..predictions import data
from . import names, objects, progress
from .names import Learner
from .objects import Object
from .progress import Progress
from .teacher import Teacher, no_such_class

AT_ONCE = 8
LONGEST_TROUBLE = 70
# A pod with one of these reasons makes no progress by itself.
_STUCK = (
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "OOMKilled",
    "RunContainerError",
    "Unschedulable",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One learner at one moment.

    Attributes:
        learner: Who.
        progress: How far.
        running: How many pods run.
        waiting: How many pods should run and do not.
        stuck: What makes no progress, and why; one line each.
    """

    learner: Learner
    progress: Progress
    running: int
    waiting: int
    stuck: tuple[str, ...]


def read(teacher: Teacher, group: str) -> list[Row]:
    """Look at everybody in a class, in the order of their numbers.

    Raises:
        ClassError: There is no such class.
    """
    learners = list(teacher.namespaces(names.checked(group)))
    if not learners:
        raise no_such_class(teacher, group)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda learner: _row(teacher, learner), learners))


def _row(teacher: Teacher, learner: Learner) -> Row:
    where = learner.namespace
    kind = manifests.kind_of("configmap")
    published = manifests.find(teacher.api, where, kind, objects.PROGRESS) or {}
    pods = _items(teacher.core.list_namespaced_pod, where)
    jobs = _items(teacher.batch.list_namespaced_job, where)
    refused = "reason=FailedCreate"
    events = _items(teacher.core.list_namespaced_event, where, field_selector=refused)
    phases = [pod.get("status", {}).get("phase") for pod in pods]
    return Row(
        learner,
        progress.read(published),
        phases.count("Running"),
        phases.count("Pending"),
        (*stuck_jobs(jobs, events), *stuck_pods(pods)),
    )


def _items(call: Any, where: str, **selector: str) -> list[Object]:
    return list(get(call, where, **selector).get("items") or [])


def stuck_pods(pods: Sequence[Object]) -> list[str]:
    """List the pods that are stuck, and why. Pods with the same trouble share a line."""
    found = Counter(
        f"job/{pod.job}: {pod.reason}" if pod.job else f"pod/{pod.name}: {pod.reason}"
        for pod in map(states.to_pod, pods)
        if pod.reason in _STUCK and pod.phase in ("Pending", "Running")
    )
    return [f"{one} ({count} pods)" if count > 1 else one for one, count in found.items()]


def stuck_jobs(jobs: Sequence[Object], events: Sequence[Object]) -> list[str]:
    """List the Jobs that want more pods than they may have, and what the cluster said last."""
    said = {
        str((event.get("involvedObject") or {}).get("uid")): str(event.get("message") or "")
        for event in sorted(events, key=lambda event: str(event.get("lastTimestamp") or ""))
    }
    found = []
    for job in jobs:
        status, wanted = job.get("status", {}), job["spec"].get("parallelism", 1)
        message = said.get(job["metadata"]["uid"])
        ended = any(states.has_condition(job, end) for end in ("Complete", "Failed"))
        if message and not ended and not status.get("succeeded"):
            active = status.get("active", 0)
            if active < wanted:
                why = "quota" if "exceeded quota" in message else message
                found.append(f"job/{job['metadata']['name']}: {active} of {wanted} pods ({why})")
    return found


def lines(rows: Sequence[Row], now: float) -> list[str]:
    """Return a class as a table.

    Args:
        rows: Everybody.
        now: In seconds since the epoch.
    """
    cells = [("LEARNER", "DONE", "LAST", "WHEN", "PODS", "STUCK")]
    for row in rows:
        done, pods = row.progress, f"{row.running}"
        cells.append(
            (
                row.learner.namespace,
                f"{done.done} of {done.of}" if done.of else str(done.done),
                shown(done.last) or "-",
                _ago(now - done.at) if done.at else "-",
                pods + (f" +{row.waiting} waiting" if row.waiting else ""),
                "; ".join(shown(one, LONGEST_TROUBLE) for one in row.stuck),
            )
        )
    begun = sum(1 for row in rows if row.progress.last)
    troubled = sum(1 for row in rows if row.stuck)
    total = f"{len(rows)} learners, {begun} have begun, {troubled} with something stuck"
    return [*(line.rstrip() for line in table(cells)), total]


def guesses(rows: Sequence[Row], notebook: str) -> list[str]:
    """Return what the class guessed as a table: for each prediction, how many chose each option.

    Args:
        rows: Everybody.
        notebook: Only its predictions, e.g. "06"; "": those at which somebody guessed.
    """
    cells = []
    for name, entry in data.known().items():
        chosen = Counter(row.progress.guesses.get(name, 0) for row in rows)
        made = len(rows) - chosen[0]
        if name[:2] == notebook or (made and not notebook):
            options = [
                f"{option}: {chosen[option]}{'✓' if option == entry.right else ''}"
                for option in range(1, len(entry.pictures) + 1)
            ]
            cells.append([name, *options, f"{made} of {len(rows)} guessed"])
    width = max(map(len, cells), default=0)
    padded = [[*row[:-1], *[""] * (width - len(row)), row[-1]] for row in cells]
    return table(padded) if cells else ["No guesses yet."]


def cut_to_fit(text: Sequence[str], columns: int, height: int) -> list[str]:
    """Return as much of a table as a terminal can show; the last line stays."""
    cut = [line[: columns - 1] for line in text]
    left_out = len(cut) - height
    if left_out <= 0:
        return cut
    return [*cut[: height - 2], f"... {left_out + 1} more: make the window higher", cut[-1]]


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a class as data: one object per learner."""
    return [
        {
            "learner": row.learner.name,
            "namespace": row.learner.namespace,
            **asdict(row.progress),
            "running": row.running,
            "waiting": row.waiting,
            "stuck": list(row.stuck),
        }
        for row in rows
    ]


def _ago(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"
