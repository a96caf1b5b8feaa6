"""A Job's own rules on failure and success: `podFailurePolicy` and `successPolicy`. Pure.

https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
https://kubernetes.io/docs/concepts/workloads/controllers/job/#success-policy
"""

from __future__ import annotations

from typing import NamedTuple

from ..apimachinery.jsontypes import Obj
from . import jobindexes


class Verdict(NamedTuple):
    """What the policy says about one failed pod.

    Attributes:
        action: `FailJob`, `FailIndex`, `Ignore` or `Count`; the last when no rule matches.
        why: Why the Job fails, if it does.
    """

    action: str = "Count"
    why: str = ""

    @property
    def counts(self) -> bool:
        """Tell whether the failure counts towards `backoffLimit`."""
        return self.action != "Ignore"


def verdict(job: Obj, pod: Obj) -> Verdict:
    """Return what the Job's `podFailurePolicy` says about a failed pod: its first match."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or []
    for number, rule in enumerate(rules):
        action = str(rule["action"])
        if action == "FailIndex" and not jobindexes.per_index(job):
            continue
        what = _exit_match(rule, pod) or _condition_match(rule, pod)
        if what:
            why = f"{what} matching {action} rule at index {number}"
            return Verdict(action, why if action == "FailJob" else "")
    return Verdict()


def _exit_match(rule: Obj, pod: Obj) -> str:
    """Return how a container's exit code satisfies the rule, or nothing."""
    wanted = rule.get("onExitCodes")
    if not wanted:
        return ""
    status, metadata = pod.get("status") or {}, pod["metadata"]
    for kind in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(kind) or []:
            if wanted.get("containerName") not in (None, container["name"]):
                continue
            ended = (container.get("state") or {}).get("terminated")
            code = (ended or {}).get("exitCode", 0)
            listed = code in wanted["values"]
            if code and listed == (wanted["operator"] == "In"):
                return (
                    f"Container {container['name']} for pod"
                    f" {metadata['namespace']}/{metadata['name']} failed with exit code {code}"
                )
    return ""


def _condition_match(rule: Obj, pod: Obj) -> str:
    """Return which of the pod's conditions satisfies the rule, or nothing."""
    metadata = pod["metadata"]
    for wanted in rule.get("onPodConditions") or []:
        for found in (pod.get("status") or {}).get("conditions") or []:
            same = found["type"] == wanted["type"]
            if same and found["status"] == wanted.get("status", "True"):
                name = f"{metadata['namespace']}/{metadata['name']}"
                return f"Pod {name} has condition {found['type']}"
    return ""


def matched_success_rule(job: Obj, done: set[int]) -> str:
    """Return which rule of `successPolicy` the finished indexes satisfy, or nothing."""
    rules = (job["spec"].get("successPolicy") or {}).get("rules") or []
    for number, rule in enumerate(rules):
        listed = rule.get("succeededIndexes")
        spans = jobindexes.parse(listed)
        of_them = {i for i in done if listed is None or any(i in span for span in spans)}
        wanted = rule.get("succeededCount")
        if wanted is None:
            wanted = sum(len(span) for span in spans)
        if len(of_them) >= wanted:
            return f"Matched rules at index {number}"
    return ""
