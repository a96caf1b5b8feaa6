"""The tables of Jobs, ReplicaSets and Deployments."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj, parse_time
from ...apimachinery.profile import profile
from ...apimachinery.selectors import selector_text
from .columns import AGE, NAME, Layout, Row, age, column, duration

_WIDE = [
    column("Containers", priority=1),
    column("Images", priority=1),
    column("Selector", priority=1),
]


def _wide(obj: Obj) -> Row:
    spec = obj["spec"]
    containers = spec["template"]["spec"].get("containers") or []
    names, images = (",".join(c.get(k, "") for c in containers) for k in ("name", "image"))
    return [names, images, selector_text(spec.get("selector")) or "<none>"]


def _job_status(job: Obj) -> str:
    conditions = {
        c["type"]
        for c in (job.get("status") or {}).get("conditions") or []
        if c.get("status") == "True"
    }
    for name in ("Complete", "Failed"):
        if name in conditions:
            return name
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if "Suspended" in conditions:
        return "Suspended"
    if "FailureTarget" in conditions:
        return "FailureTarget"
    if "SuccessCriteriaMet" in conditions:
        return "SuccessCriteriaMet"
    return "Running"


def _took(job: Obj) -> str:
    """Return how long the Job has run, or ran."""
    status = job.get("status") or {}
    if not status.get("startTime"):
        return ""
    if not status.get("completionTime"):
        return age(status["startTime"])
    span = parse_time(status["completionTime"]) - parse_time(status["startTime"])
    return duration(span.total_seconds())


def _completions(job: Obj) -> str:
    spec, succeeded = job["spec"], (job.get("status") or {}).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 1)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job(job: Obj) -> Row:
    created = age(job["metadata"].get("creationTimestamp"))
    row = [job["metadata"]["name"], _completions(job), _took(job), created, *_wide(job)]
    return [row[0], _job_status(job), *row[1:]] if profile().modern else row


def _set(obj: Obj) -> Row:
    status = obj.get("status") or {}
    return [
        obj["metadata"]["name"],
        obj["spec"].get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(obj["metadata"].get("creationTimestamp")),
        *_wide(obj),
    ]


def _deployment(obj: Obj) -> Row:
    status = obj.get("status") or {}
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(obj["metadata"].get("creationTimestamp")),
        *_wide(obj),
    ]


_STATUS = [column("Status")] if profile().modern else []

WORKLOADS: dict[str, Layout] = {
    "Job": ([NAME, *_STATUS, column("Completions"), column("Duration"), AGE, *_WIDE], _job),
    "ReplicaSet": (
        [
            NAME,
            column("Desired", kind="integer"),
            column("Current", kind="integer"),
            column("Ready", kind="integer"),
            AGE,
            *_WIDE,
        ],
        _set,
    ),
    "Deployment": (
        [NAME, column("Ready"), column("Up-to-date"), column("Available"), AGE, *_WIDE],
        _deployment,
    ),
}
