"""What the API fills in for Jobs, ReplicaSets and Deployments.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""

from __future__ import annotations

from collections.abc import Callable

from ..apimachinery.jsontypes import Obj
from ..apimachinery.profile import profile

PodSpec = Callable[[Obj], None]

# What a Job had no idea of in 1.20: dropped silently, as that server does.
_NOT_YET = (
    "backoffLimitPerIndex",
    "completionMode",
    "managedBy",
    "maxFailedIndexes",
    "podFailurePolicy",
    "podReplacementPolicy",
    "successPolicy",
    "suspend",
)
_UNLIMITED = 2**31 - 1


def _template(spec: Obj, pod_spec: PodSpec) -> Obj:
    template: Obj = spec.setdefault("template", {})
    template.setdefault("metadata", {}).setdefault("creationTimestamp", None)
    pod_spec(template.setdefault("spec", {}))
    return template


def job(obj: Obj, pod_spec: PodSpec, *, new: bool) -> None:
    """Complete a Job; a new one gets the labels and the selector that tie its pods to it."""
    spec = obj.setdefault("spec", {})
    if not profile().modern:
        for name in _NOT_YET:
            spec.pop(name, None)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    limited = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", _UNLIMITED if limited else 6)
    if profile().modern:
        _modern_job(spec)
    template = _template(spec, pod_spec)
    if new and not spec.get("manualSelector"):
        _tie(obj, spec, template)
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    obj["status"] = {}


def _modern_job(spec: Obj) -> None:
    policy = spec.get("podFailurePolicy")
    for rule in (policy or {}).get("rules") or []:
        for wanted in rule.get("onPodConditions") or []:
            wanted.setdefault("status", "True")
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if policy else "TerminatingOrFailed")
    spec.setdefault("manualSelector", False)


def _tie(obj: Obj, spec: Obj, template: Obj) -> None:
    """Give the template labels that only this Job's pods have, and select by them."""
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    marks = {"controller-uid": uid, "job-name": name}
    chosen = "controller-uid"
    if profile().modern:
        marks |= {f"batch.kubernetes.io/{key}": value for key, value in marks.items()}
        chosen = "batch.kubernetes.io/controller-uid"
    template["metadata"]["labels"] = {**marks, **(template["metadata"].get("labels") or {})}
    selector = spec.setdefault("selector", {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), chosen: uid}


def replica_set(obj: Obj, pod_spec: PodSpec) -> None:
    """Complete a ReplicaSet."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec, pod_spec)
    obj["status"] = {"replicas": 0}


def deployment(obj: Obj, pod_spec: PodSpec) -> None:
    """Complete a Deployment."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec, pod_spec)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    obj["status"] = {}
