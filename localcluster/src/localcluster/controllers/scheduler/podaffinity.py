"""Affinity between pods: near to some, away from others. Pure.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ...apimachinery.jsontypes import Obj
from ...apimachinery.selectors import labels, match_labels
from .nodeaffinity import PREFERRED, REQUIRED, affinity
from .nodeinfo import Check, NodeInfo, Snapshot, Unschedulable

# How many pods there are in the domain of a topology key.
Domains = Counter[tuple[str, str]]


class _Term(NamedTuple):
    """A term of a pod; `weight` is negative where it wants to be away."""

    pod: Obj
    raw: Obj
    weight: int = 1

    @property
    def key(self) -> str:
        return str(self.raw["topologyKey"])

    def selects(self, other: Obj, snapshot: Snapshot) -> bool:
        """Tell whether the term is about another pod."""
        return self._in_namespace(other, snapshot) and is_alike(self.pod, self.raw, other)

    def _in_namespace(self, other: Obj, snapshot: Snapshot) -> bool:
        namespace = other["metadata"].get("namespace", "")
        names, selector = self.raw.get("namespaces") or [], self.raw.get("namespaceSelector")
        if not names and selector is None:
            return bool(namespace == self.pod["metadata"].get("namespace", ""))
        if namespace in names or selector is None:
            return namespace in names
        return match_labels(selector, snapshot.namespace_labels(namespace))


def is_alike(pod: Obj, term: Obj, other: Obj) -> bool:
    """Tell whether a term of a pod selects another by labels, or by having the same as the pod.

    Args:
        term: Of affinity, or a topology spread constraint.
    """
    selector, own, found = term.get("labelSelector"), labels(pod), labels(other)
    same = [key for key in term.get("matchLabelKeys") or [] if key in own]
    unlike = [key for key in term.get("mismatchLabelKeys") or [] if key in own]
    return (
        selector is not None
        and match_labels(selector, found)
        and all(found.get(key) == own[key] for key in same)
        and all(found.get(key) != own[key] for key in unlike)
    )


def check_for(pod: Obj, snapshot: Snapshot) -> Check | None:
    """Return the check of what is required, by the pod and by those that are there."""
    near, away = _required(pod, "podAffinity"), _required(pod, "podAntiAffinity")
    if not near and not away and not snapshot.with_affinity:
        return None
    wanted, refused, existing = Domains(), Domains(), Domains()
    for other, info in snapshot.pods() if near or away else ():
        if near and all(term.selects(other, snapshot) for term in near):
            _count(wanted, near, info)
        _count(refused, [term for term in away if term.selects(other, snapshot)], info)
    for other, info in snapshot.with_affinity.values():
        terms = _required(other, "podAntiAffinity")
        _count(existing, [term for term in terms if term.selects(pod, snapshot)], info)
    # The first of pods that want to be together may go anywhere.
    first = not wanted and all(term.selects(pod, snapshot) for term in near)

    def check(info: NodeInfo) -> Unschedulable | None:
        keys = [term.key for term in near]
        found = [(key, info.labels[key]) for key in keys if key in info.labels]
        if len(found) < len(keys) or not (first or all(wanted[one] for one in found)):
            return Unschedulable(["node(s) didn't match pod affinity rules"])
        if any(one in refused for one in info.labels.items()):
            return Unschedulable(["node(s) didn't match pod anti-affinity rules"], resolvable=True)
        if any(one in existing for one in info.labels.items()):
            why = "node(s) didn't satisfy existing pods anti-affinity rules"
            return Unschedulable([why], resolvable=True)
        return None

    return check


def scores(pod: Obj, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """Return a score of 0 to 100 for each node, by what is preferred."""
    mine = _preferred(pod)
    totals = Domains()
    for other, info in snapshot.pods() if mine else ():
        _count(totals, [term for term in mine if term.selects(other, snapshot)], info)
    for other, info in snapshot.with_affinity.values():
        theirs = [*_preferred(other), *_required(other, "podAffinity")]
        _count(totals, [term for term in theirs if term.selects(pod, snapshot)], info)
    if not totals:
        return None
    sums = [sum(totals[one] for one in info.labels.items() if one in totals) for info in nodes]
    least, most = min(0, *sums), max(0, *sums)
    return [100 * (one - least) // (most - least) if most > least else 0 for one in sums]


def _count(domains: Domains, terms: list[_Term], info: NodeInfo) -> None:
    for term in terms:
        if term.key in info.labels:
            domains[term.key, info.labels[term.key]] += term.weight


def _required(pod: Obj, kind: str) -> list[_Term]:
    return [_Term(pod, raw) for raw in affinity(pod, kind).get(REQUIRED) or []]


def _preferred(pod: Obj) -> list[_Term]:
    return [
        _Term(pod, one["podAffinityTerm"], sign * one["weight"])
        for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1))
        for one in affinity(pod, kind).get(PREFERRED) or []
    ]
