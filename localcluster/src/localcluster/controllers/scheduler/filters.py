"""Filters: whether a node may and can take a pod. Pure.

The checks come in the order of the real scheduler, which reports only the first that fails.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ...apimachinery.jsontypes import Obj
from ..taints import KEEP_OFF, UNSCHEDULABLE, is_cordoned, taints_of, toleration_of, untolerated
from . import podaffinity, topologyspread
from .nodeaffinity import admits, required_terms
from .nodeinfo import Check, NodeInfo, Port, Snapshot, Unschedulable, host_ports, requests

Refuses = Callable[[NodeInfo], bool]


def check_for(pod: Obj, snapshot: Snapshot) -> Check:
    """Return a function that tells why a node does not take the pod, or None when it does."""
    simple = [(refuses, why) for make, why in _CHECKS if (refuses := make(pod))]
    made = [topologyspread.check_for(pod, snapshot), podaffinity.check_for(pod, snapshot)]
    checks = [_resources(pod), *filter(None, made)]

    def check_all(info: NodeInfo) -> Unschedulable | None:
        for refuses, why in simple:
            if refuses(info):
                return why
        return next(filter(None, (check(info) for check in checks)), None)

    return check_all


def fit_error(pod: Obj, found: Sequence[Unschedulable]) -> str:
    """Return what a pod is told that none of the nodes takes, given the reasons of each.

    There is no preemption here, so no pod is ever found that could make room.
    """
    if not found:
        return "no nodes available to schedule pods"
    helps = Counter(
        "No preemption victims found for incoming pod"
        if one.resolvable
        else "Preemption is not helpful for scheduling"
        for one in found
    )
    preemption = _histogram(len(found), helps)
    if pod["spec"].get("preemptionPolicy") == "Never":
        preemption = "not eligible due to preemptionPolicy=Never."
    reasons = Counter(reason for one in found for reason in one.reasons)
    start = _histogram(len(found), reasons)
    return f"{start} no new claims to deallocate, preemption: {preemption}"


def _histogram(nodes: int, counts: Counter[str]) -> str:
    each = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{nodes} nodes are available: {', '.join(each)}."


def _pinned(pod: Obj) -> Refuses | None:
    """Keep to the nodes that the pod's node affinity names; no other is looked at."""
    names: set[str] = set()
    for term in required_terms(pod) or []:
        fields = term.get("matchFields") or []
        named = [f["values"] for f in fields if f.get("operator") == "In" and f.get("values")]
        if not named:
            return None
        names |= set.intersection(*map(set, named))
    return (lambda info: info.name not in names) if names else None


def _unschedulable(pod: Obj) -> Refuses | None:
    if toleration_of(pod, {"key": UNSCHEDULABLE, "effect": "NoSchedule"}):
        return None
    return lambda info: is_cordoned(info.node)


def _named(pod: Obj) -> Refuses | None:
    name = pod["spec"].get("nodeName")
    return (lambda info: info.name != name) if name else None


def _tainted(pod: Obj) -> Refuses | None:
    return lambda info: bool(untolerated(pod, taints_of(info.node, *KEEP_OFF)))


def _unselected(pod: Obj) -> Refuses | None:
    if not pod["spec"].get("nodeSelector") and required_terms(pod) is None:
        return None
    return lambda info: not admits(pod, info.node)


def _ports(pod: Obj) -> Refuses | None:
    wanted = host_ports(pod)
    return (lambda info: any(_clash(port, info) for port in wanted)) if wanted else None


def _clash(wanted: Port, info: NodeInfo) -> bool:
    return any(
        count > 0
        and wanted[1:] == held[1:]
        and (wanted[0] == held[0] or "0.0.0.0" in (wanted[0], held[0]))
        for held, count in info.ports.items()
    )


def _resources(pod: Obj) -> Check:
    wanted = {name: amount for name, amount in sorted(requests(pod).items()) if amount > 0}

    def check(info: NodeInfo) -> Unschedulable | None:
        reasons, resolvable = [], True
        if len(info.pods) + 1 > info.allocatable.get("pods", 0.0):
            reasons.append("Too many pods")
        for name, amount in wanted.items():
            has = info.allocatable.get(name, 0.0)
            # A thousandth of a unit is the smallest amount there is.
            if amount > has - info.requested[name] + 1e-6:
                reasons.append(f"Insufficient {name}")
                resolvable = resolvable and amount <= has
        return Unschedulable(reasons, resolvable) if reasons else None

    return check


_CHECKS: tuple[tuple[Callable[[Obj], Refuses | None], Unschedulable], ...] = (
    (_pinned, Unschedulable(["node(s) didn't satisfy plugin(s) [NodeAffinity]"])),
    (_unschedulable, Unschedulable(["node(s) were unschedulable"])),
    (_named, Unschedulable(["node(s) didn't match the requested node name"])),
    (_tainted, Unschedulable(["node(s) had untolerated taint(s)"])),
    (_unselected, Unschedulable(["node(s) didn't match Pod's node affinity/selector"])),
    (_ports, Unschedulable(["node(s) didn't have free ports for the requested pod ports"], True)),
)
