"""The status of a PodDisruptionBudget, which its controller and evictions both write.

https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from .jsontypes import Obj, condition_in, now
from .selectors import labels, match_labels


def covers(budget: Obj, pod: Obj) -> bool:
    """Tell whether a budget of the pod's namespace is about the pod."""
    selector = (budget.get("spec") or {}).get("selector")
    return selector is not None and match_labels(selector, labels(pod))


def with_condition(status: Obj, reason: str = "", message: str = "") -> Obj:
    """Return the status with the condition `DisruptionAllowed` that goes with its numbers.

    Args:
        reason: Why no disruption is allowed, unless the numbers say it.
    """
    allowed = status.get("disruptionsAllowed", 0) > 0
    conditions = list(status.get("conditions") or [])
    known = condition_in(status, "DisruptionAllowed")
    made = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": now(),
        "reason": reason or ("SufficientPods" if allowed else "InsufficientPods"),
        "message": message,
    }
    if known and known.get("status") == made["status"]:
        made["lastTransitionTime"] = known.get("lastTransitionTime")
    others = [condition for condition in conditions if condition is not known]
    return {**status, "conditions": [*others, made]}
