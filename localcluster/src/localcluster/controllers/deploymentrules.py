"""The rules of the Deployment controller: pure functions of a Deployment and its ReplicaSets.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from __future__ import annotations

import json
import math

from ..apimachinery.jsontypes import Obj, condition_in, deep_copy, now, seconds_since, whole_number

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
NOT_INHERITED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
)
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
# What the API server fills in when it is asked for a default of "never".
_UNLIMITED = 2**31 - 1


def template_hash(template: Obj) -> str:
    """Return the hash that names the ReplicaSet of a template."""
    number = 2166136261
    for byte in json.dumps(template, sort_keys=True).encode():
        number = (number * 16777619 ^ byte) % 2**32
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def same_template(one: Obj, other: Obj) -> bool:
    """Tell whether two pod templates are equal, the label with their hash left out."""
    return _without_hash(one) == _without_hash(other)


def _without_hash(template: Obj) -> Obj:
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if v}
    kept = {k: v for k, v in (metadata.pop("labels", None) or {}).items() if k != HASH}
    return {**template, "metadata": {**metadata, **({"labels": kept} if kept else {})}}


def replicas(found: Obj) -> int:
    """Return how many pods a Deployment or ReplicaSet asks for."""
    return int(found["spec"].get("replicas", 1))


def total(sets: list[Obj]) -> int:
    return sum(replicas(one) for one in sets)


def count(sets: list[Obj], name: str) -> int:
    """Return the sum of a number in the ReplicaSets' statuses."""
    return sum((one.get("status") or {}).get(name, 0) for one in sets)


def active(sets: list[Obj]) -> list[Obj]:
    return [one for one in sets if replicas(one) > 0]


def by_age(sets: list[Obj]) -> list[Obj]:
    return sorted(sets, key=lambda one: (one["metadata"]["creationTimestamp"], revision(one)))


def annotations_of(found: Obj) -> dict[str, str]:
    return found["metadata"].get("annotations") or {}


def revision(found: Obj) -> int:
    text = annotations_of(found).get(REVISION, "0")
    return whole_number(text) or 0


def is_rolling(deployment: Obj) -> bool:
    return bool(deployment["spec"]["strategy"]["type"] == "RollingUpdate")


def fence_posts(deployment: Obj) -> tuple[int, int]:
    """Return how many pods may be surplus, and how many unavailable, during an update."""
    if not is_rolling(deployment):
        return 0, 0
    rolling, wanted = (
        deployment["spec"]["strategy"].get("rollingUpdate") or {},
        replicas(deployment),
    )
    surge = resolve(rolling.get("maxSurge", 0), wanted, up=True)
    missing = resolve(rolling.get("maxUnavailable", 0), wanted, up=False)
    if surge == 0 and missing == 0:
        missing = 1
    return surge, min(missing, wanted)


def resolve(value: int | str, whole: int, *, up: bool) -> int:
    """Return a number, or so many percent of a whole."""
    if isinstance(value, int):
        return value
    exact = whole * int(value.rstrip("%")) / 100
    return math.ceil(exact) if up else math.floor(exact)


def new_size(deployment: Obj, sets: list[Obj], newest: Obj) -> int:
    """Return how large the newest ReplicaSet may be now."""
    if not is_rolling(deployment):
        return replicas(deployment)
    room = replicas(deployment) + fence_posts(deployment)[0] - total(sets)
    missing = replicas(deployment) - replicas(newest)
    return replicas(newest) + max(0, min(room, missing))


def proportions(deployment: Obj, sets: list[Obj]) -> list[tuple[Obj, int]]:
    """Return the new sizes of ReplicaSets when a Deployment is scaled amid an update."""
    wanted = replicas(deployment)
    allowed = wanted + fence_posts(deployment)[0] if wanted else 0
    to_add, added = allowed - total(sets), 0
    oldest_first = sorted(sets, key=lambda one: one["metadata"]["creationTimestamp"])
    order = oldest_first[::-1] if to_add > 0 else oldest_first
    ordered = sorted(order, key=lambda one: -replicas(one))
    sizes = []
    for one in ordered:
        share = _share(deployment, one) if to_add else 0
        left = to_add - added
        share = min(share, left) if left > 0 else max(share, left)
        added += share
        sizes.append(replicas(one) + share)
    if sizes:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(ordered, sizes, strict=True))


def _share(deployment: Obj, one: Obj) -> int:
    if replicas(deployment) == 0:
        return -replicas(one)
    most = replicas(deployment) + fence_posts(deployment)[0]
    before = annotations_of(one).get(MAX_REPLICAS) or (deployment.get("status") or {}).get(
        "replicas", 0
    )
    if not int(before):
        return 0
    return math.floor(replicas(one) * most / int(before) + 0.5) - replicas(one)


def status_of(deployment: Obj, sets: list[Obj], newest: Obj | None) -> Obj:
    """Return the status that results from these ReplicaSets, with the known conditions."""
    known = deployment.get("status") or {}
    available = count(sets, "availableReplicas")
    counts = {
        "replicas": count(sets, "replicas"),
        "updatedReplicas": count([newest] if newest else [], "replicas"),
        "readyReplicas": count(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(sets) - available),
        "collisionCount": known.get("collisionCount", 0),
    }
    status: Obj = {"observedGeneration": deployment["metadata"]["generation"]}
    status.update({name: number for name, number in counts.items() if number})
    status["terminatingReplicas"] = count(sets, "terminatingReplicas")
    status["conditions"] = deep_copy(known.get("conditions") or [])
    if available >= replicas(deployment) - fence_posts(deployment)[1]:
        why = ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        set_condition(status, "Available", "True", *why)
    else:
        why = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        set_condition(status, "Available", "False", *why)
    return status


def set_condition(status: Obj, kind: str, holds: str, reason: str, message: str) -> None:
    """Put a condition last, unless it says the same already."""
    known, moment = condition_in(status, kind), now()
    if known and (known["status"], known["reason"]) == (holds, reason):
        return
    since = known["lastTransitionTime"] if known and known["status"] == holds else moment
    drop_condition(status, kind)
    status["conditions"].append(
        {
            "type": kind,
            "status": holds,
            "lastUpdateTime": moment,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }
    )


def refresh_progress(status: Obj, message: str) -> None:
    """Record progress of the rollout: the clock of its deadline starts again."""
    known = condition_in(status, "Progressing")
    since = known["lastTransitionTime"] if known and known["status"] == "True" else None
    drop_condition(status, "Progressing")
    set_condition(status, "Progressing", "True", "ReplicaSetUpdated", message)
    if since:
        status["conditions"][-1]["lastTransitionTime"] = since


def drop_condition(status: Obj, kind: str) -> None:
    status["conditions"] = [c for c in status.get("conditions") or [] if c["type"] != kind]


def has_deadline(deployment: Obj) -> bool:
    limit = deployment["spec"].get("progressDeadlineSeconds")
    return limit is not None and limit != _UNLIMITED


def is_complete(deployment: Obj, status: Obj) -> bool:
    """Tell whether all pods are new and available."""
    wanted = replicas(deployment)
    names = ("updatedReplicas", "replicas", "availableReplicas")
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return seen and all(status.get(name, 0) == wanted for name in names)


def has_progressed(deployment: Obj, status: Obj) -> bool:
    """Tell whether the new status shows progress over the previous one."""
    was = deployment.get("status") or {}

    def old_pods(of: Obj) -> int:
        return int(of.get("replicas", 0) - of.get("updatedReplicas", 0))

    better = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_pods(status) < old_pods(was) or any(
        status.get(name, 0) > was.get(name, 0) for name in better
    )


def seconds_to_deadline(deployment: Obj, status: Obj) -> float | None:
    """Return how many seconds without progress are left, or None when nothing limits them."""
    known = condition_in(status, "Progressing")
    if known is None or not has_deadline(deployment):
        return None
    if known["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    limit = deployment["spec"]["progressDeadlineSeconds"]
    return float(limit - seconds_since(known["lastUpdateTime"]))
