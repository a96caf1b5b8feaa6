"""Node affinity: nodeSelector, and the terms that select nodes. Pure.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity
"""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.selectors import labels, satisfies

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity(pod: Obj, kind: str) -> Obj:
    """Return what a pod says of `nodeAffinity`, `podAffinity` or `podAntiAffinity`."""
    return (pod["spec"].get("affinity") or {}).get(kind) or {}


def required_terms(pod: Obj) -> list[Obj] | None:
    """Return the terms of which a node must satisfy one; None when the pod has no such list."""
    required = affinity(pod, "nodeAffinity").get(REQUIRED)
    return None if required is None else required.get("nodeSelectorTerms") or []


def admits(pod: Obj, node: Obj) -> bool:
    """Tell whether the pod's nodeSelector and node affinity admit the node."""
    found = labels(node)
    if any(found.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    terms = required_terms(pod)
    return terms is None or any(matches_term(term, node) for term in terms)


def matches_term(term: Obj, node: Obj) -> bool:
    """Tell whether a node satisfies a node selector term; an empty one matches none."""
    found = labels(node)
    name = {"metadata.name": node["metadata"]["name"]}
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_matches(r, found) for r in expressions) and all(_matches(r, name) for r in fields)


def _matches(requirement: Obj, found: dict[str, str]) -> bool:
    value, values = found.get(requirement["key"]), requirement.get("values") or []
    return satisfies(value, requirement.get("operator", ""), values)
