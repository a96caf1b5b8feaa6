"""Pod topology spread: pods that belong together go to different nodes or zones. Pure.

https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...apimachinery.jsontypes import Obj, controller_of
from ..taints import KEEP_OFF, taints_of, untolerated
from .nodeaffinity import admits
from .nodeinfo import Check, NodeInfo, Snapshot, Unschedulable
from .podaffinity import is_alike

_HOST = "kubernetes.io/hostname"
_UNMATCHED = "node(s) didn't match pod topology spread constraints"


@dataclass(frozen=True)
class _Constraint:
    """One constraint; `count` returns how many pods of a node are to be spread."""

    key: str
    max_skew: int
    count: Callable[[NodeInfo], int]
    min_domains: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False

    def includes(self, pod: Obj, node: Obj) -> bool:
        """Tell whether the node counts at all."""
        if self.honors_affinity and not admits(pod, node):
            return False
        return not (self.honors_taints and untolerated(pod, taints_of(node, *KEEP_OFF)))


def check_for(pod: Obj, snapshot: Snapshot) -> Check | None:
    """Return the check of the constraints that must hold (`DoNotSchedule`)."""
    constraints = _constraints(pod, "DoNotSchedule")
    if not constraints:
        return None
    eligible = [
        info for info in snapshot.present() if all(c.key in info.labels for c in constraints)
    ]
    counted = [(c, _by_domain(pod, c, eligible)) for c in constraints]
    own = [is_alike(pod, c, pod) for c in _raw(pod, "DoNotSchedule")]

    def check(info: NodeInfo) -> Unschedulable | None:
        for (constraint, domains), matches in zip(counted, own, strict=True):
            if constraint.key not in info.labels:
                return Unschedulable([f"{_UNMATCHED} (missing required label)"])
            few = len(domains) < constraint.min_domains
            least = 0 if few or not domains else min(domains.values())
            skew = domains[info.labels[constraint.key]] + matches - least
            if skew > constraint.max_skew:
                return Unschedulable([_UNMATCHED], resolvable=True)
        return None

    return check


def scores(pod: Obj, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """Return a score of 0 to 100 for each node, by the constraints that are only wishes."""
    given = bool(pod["spec"].get("topologySpreadConstraints"))
    constraints = _constraints(pod, "ScheduleAnyway") if given else _defaults(pod, snapshot)
    if not constraints:
        return None

    def complete(info: NodeInfo) -> bool:
        return not given or all(c.key in info.labels for c in constraints)

    scored = [info for info in nodes if complete(info)]
    eligible = [info for info in snapshot.present() if complete(info)]
    sums = dict.fromkeys((info.name for info in scored), 0.0)
    for one in constraints:
        here = [info for info in scored if one.key in info.labels]
        domains = _by_domain(pod, one, here if one.key == _HOST else eligible)
        size = len({info.labels[one.key] for info in here})
        for info in here:
            count = domains[info.labels[one.key]]
            sums[info.name] += count * math.log(size + 2) + one.max_skew - 1
    rounded = {name: round(total) for name, total in sums.items()}
    most, least = max(rounded.values(), default=0), min(rounded.values(), default=0)
    return [
        0 if info.name not in rounded else 100 * (most + least - rounded[info.name]) // (most or 1)
        for info in nodes
    ]


def _by_domain(pod: Obj, constraint: _Constraint, nodes: Sequence[NodeInfo]) -> Counter[str]:
    found: Counter[str] = Counter()
    for info in nodes:
        if constraint.key in info.labels and constraint.includes(pod, info.node):
            found[info.labels[constraint.key]] += constraint.count(info)
    return found


def _raw(pod: Obj, action: str) -> list[Obj]:
    given = pod["spec"].get("topologySpreadConstraints") or []
    return [one for one in given if one.get("whenUnsatisfiable", "DoNotSchedule") == action]


def _constraints(pod: Obj, action: str) -> list[_Constraint]:
    return [
        _Constraint(
            one["topologyKey"],
            one["maxSkew"],
            _counter(pod, one),
            one.get("minDomains") or 1,
            one.get("nodeAffinityPolicy", "Honor") == "Honor",
            one.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )
        for one in _raw(pod, action)
    ]


def _counter(pod: Obj, constraint: Obj) -> Callable[[NodeInfo], int]:
    namespace = pod["metadata"].get("namespace")

    def counts(other: Obj) -> bool:
        metadata = other["metadata"]
        here = metadata.get("namespace") == namespace and not metadata.get("deletionTimestamp")
        return here and is_alike(pod, constraint, other)

    return lambda info: sum(map(counts, info.pods.values()))


def _owned_counter(uid: str) -> Callable[[NodeInfo], int]:
    return lambda info: info.owned[uid]


def _defaults(pod: Obj, snapshot: Snapshot) -> list[_Constraint]:
    """Return the wishes for the pods of one controller, or behind the same Services.

    The real scheduler knows no Jobs here: it spreads their pods by resources alone.
    """
    owner = controller_of(pod)
    selectors = [] if owner else snapshot.service_selectors(pod)
    if not owner and not selectors:
        return []
    merged = {key: value for selector in selectors for key, value in selector.items()}
    wish = {"labelSelector": {"matchLabels": merged}}
    count = _owned_counter(owner["uid"]) if owner else _counter(pod, wish)
    return [
        _Constraint(_HOST, 3, count),
        _Constraint("topology.kubernetes.io/zone", 5, count),
    ]
