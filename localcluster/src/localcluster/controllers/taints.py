"""Taints of nodes, and tolerations of pods. Pure.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from ..apimachinery.jsontypes import Obj

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
# The effects that keep a pod from a node; PreferNoSchedule is only a wish.
KEEP_OFF = ("NoSchedule", "NoExecute")


def is_cordoned(node: Obj) -> bool:
    """Tell whether a node takes no new pods (`kubectl cordon`)."""
    return bool((node.get("spec") or {}).get("unschedulable"))


def taints_of(node: Obj, *effects: str) -> list[Obj]:
    """Return the taints of a node, or those that have one of these effects."""
    taints = (node.get("spec") or {}).get("taints") or []
    return [taint for taint in taints if not effects or taint.get("effect") in effects]


def toleration_of(pod: Obj, taint: Obj) -> Obj | None:
    """Return the first toleration of a pod that matches a taint, or None."""
    tolerations: list[Obj] = pod["spec"].get("tolerations") or []
    return next((one for one in tolerations if _tolerates(one, taint)), None)


def untolerated(pod: Obj, taints: list[Obj]) -> list[Obj]:
    """Return the taints that a pod does not tolerate."""
    return [taint for taint in taints if toleration_of(pod, taint) is None]


def _tolerates(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    same = (toleration.get("value") or "") == (taint.get("value") or "")
    operator = toleration.get("operator") or "Equal"
    return operator == "Exists" or (operator == "Equal" and same)
