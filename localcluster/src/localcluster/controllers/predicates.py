"""Scheduling predicates: whether a node may and can take a pod. Pure.

The checks come in the order of the real scheduler, which reports only the first that fails.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.jsontypes import Obj
from ..apimachinery.profile import profile
from ..apimachinery.quantities import quantity
from ..apimachinery.selectors import labels
from .podstate import has_ended

_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


@dataclass(frozen=True)
class Unschedulable:
    """Why a node does not take a pod.

    Attributes:
        resolvable: Whether preemption could help, as it only lacks resources.
    """

    reasons: list[str]
    resolvable: bool = False


def is_assigned(pod: Obj) -> bool:
    """Tell whether a pod takes up resources of its node."""
    return bool(pod["spec"].get("nodeName")) and not has_ended(pod)


def filter_node(pod: Obj, node: Obj, others: list[Obj]) -> Unschedulable | None:
    """Return why the node does not take the pod beside the others, or None when it does."""
    spec, modern = pod["spec"], profile().modern
    tolerations = spec.get("tolerations") or []
    if node["spec"].get("unschedulable") and not _tolerated(_UNSCHEDULABLE, tolerations):
        return Unschedulable(["node(s) were unschedulable"])
    for taint in node["spec"].get("taints") or []:
        wanted = taint.get("effect") in ("NoSchedule", "NoExecute")
        if wanted and not _tolerated(taint, tolerations):
            which = f"{{{taint['key']}: {taint.get('value', '')}}}"
            if modern:
                return Unschedulable([f"node(s) had untolerated taint {which}"])
            return Unschedulable([f"node(s) had taint {which}, that the pod didn't tolerate"])
    if not _matches_affinity(spec, node):
        ending = "/selector" if modern else ""
        return Unschedulable([f"node(s) didn't match Pod's node affinity{ending}"])
    missing = _insufficient(pod, node, others)
    return Unschedulable(missing, resolvable=True) if missing else None


def _tolerated(taint: Obj, tolerations: list[Obj]) -> bool:
    for one in tolerations:
        if one.get("effect") and one["effect"] != taint.get("effect"):
            continue
        if one.get("key") and one["key"] != taint["key"]:
            continue
        if one.get("operator") == "Exists" or one.get("value", "") == taint.get("value", ""):
            return True
    return False


def _matches_affinity(spec: Obj, node: Obj) -> bool:
    """Tell whether the pod's nodeSelector and node affinity admit the node."""
    found = labels(node)
    if any(found.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    name = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(_matches(requirement, found) for requirement in term.get("matchExpressions") or [])
        and all(_matches(requirement, name) for requirement in term.get("matchFields") or [])
        for term in required.get("nodeSelectorTerms") or []
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _matches(requirement: Obj, found: dict[str, str]) -> bool:
    value, values = found.get(requirement["key"]), requirement.get("values") or []
    operator = requirement.get("operator")
    if operator in ("Exists", "DoesNotExist"):
        return bool((value is not None) == (operator == "Exists"))
    if operator in ("In", "NotIn"):
        return bool((value in values) == (operator == "In"))
    try:
        more = int(value or "") - int(values[0])
    except (ValueError, IndexError):
        return False
    return more > 0 if operator == "Gt" else more < 0


def requests(pod: Obj) -> dict[str, float]:
    """Return what a pod asks for in all: its containers together, or its largest init container."""
    spec = pod["spec"]
    total: dict[str, float] = {}
    for container in spec.get("containers") or []:
        _add(total, container)
    sidecars: dict[str, float] = {}
    largest: dict[str, float] = {}
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            _add(sidecars, container)
            continue
        at_once = dict(sidecars)
        _add(at_once, container)
        for name, amount in at_once.items():
            largest[name] = max(largest.get(name, 0.0), amount)
    for name, amount in sidecars.items():
        total[name] = total.get(name, 0.0) + amount
    return {n: max(total.get(n, 0.0), largest.get(n, 0.0)) for n in {*total, *largest}}


def _add(total: dict[str, float], container: Obj) -> None:
    wanted = (container.get("resources") or {}).get("requests") or {}
    for name, amount in wanted.items():
        total[name] = total.get(name, 0.0) + quantity(amount)


def _insufficient(pod: Obj, node: Obj, others: list[Obj]) -> list[str]:
    """Return the resources that the node lacks, as reasons."""
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    reasons = []
    if len(others) >= quantity(allocatable.get("pods", "1000")):
        reasons.append("Too many pods")
    wanted = {name: amount for name, amount in requests(pod).items() if amount > 0}
    if wanted:
        used: dict[str, float] = {}
        for other in others:
            for name, amount in requests(other).items():
                used[name] = used.get(name, 0.0) + amount
        for name in sorted(wanted):
            # A thousandth of a unit is the smallest amount there is.
            free = quantity(allocatable.get(name, "0")) - used.get(name, 0.0)
            if wanted[name] > free + 1e-6:
                reasons.append(f"Insufficient {name}")
    return reasons
