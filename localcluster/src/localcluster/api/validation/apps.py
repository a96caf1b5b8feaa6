"""What the server refuses about ReplicaSets and Deployments (the group `apps`)."""

from __future__ import annotations

import re
from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.selectors import match_labels
from .causes import Causes, shown_int_or_string, shown_selector, shown_strategy

_ROLLING = "spec.strategy.rollingUpdate"
_PERCENT = re.compile(r"[0-9]{1,9}%")
_WORDS_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or"
    " '93%', regex used for validation is '[0-9]+%')"
)


def validate_replicated(obj: Obj, causes: Causes) -> None:
    """Complain about a ReplicaSet or a Deployment; its pod template is checked elsewhere."""
    spec, template, kind = obj["spec"], obj["spec"]["template"], obj["kind"]
    causes.not_negative(spec, ("replicas", "minReadySeconds"))
    selector, labels = spec.get("selector"), template["metadata"].get("labels")
    if selector is None:
        causes.required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        # The real server says "deployment" of a ReplicaSet too.
        why = "empty selector is invalid for deployment"
        causes.invalid("spec.selector", shown_selector(selector), why)
    if selector is None or not match_labels(selector, labels or {}):
        why = "`selector` does not match template `labels`"
        causes.invalid("spec.template.metadata.labels", labels, why)
    policy = template["spec"].get("restartPolicy")
    if policy != "Always":
        causes.unsupported("spec.template.spec.restartPolicy", policy, ["Always"])
    if template["spec"].get("activeDeadlineSeconds") is not None:
        why = "activeDeadlineSeconds in ReplicaSet is not Supported"
        causes.forbidden("spec.template.spec.activeDeadlineSeconds", why)
    if kind == "Deployment":
        _check_strategy(spec, causes)
        causes.not_negative(spec, ("revisionHistoryLimit", "progressDeadlineSeconds"))
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
            why = "must be greater than minReadySeconds"
            causes.invalid("spec.progressDeadlineSeconds", deadline, why)


def _check_strategy(spec: Obj, causes: Causes) -> None:
    strategy = spec["strategy"]
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate":
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            causes.forbidden(_ROLLING, why)
        return
    if strategy["type"] != "RollingUpdate":
        shown = shown_strategy(strategy)
        causes.unsupported("spec.strategy", shown, ["Recreate", "RollingUpdate"])
        return
    unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
    _check_int_or_percent(unavailable, f"{_ROLLING}.maxUnavailable", causes)
    _check_int_or_percent(surge, f"{_ROLLING}.maxSurge", causes)
    at = f"{_ROLLING}.maxUnavailable"
    if _is_zero(unavailable) and _is_zero(surge):
        causes.invalid(at, shown_int_or_string(unavailable), "may not be 0 when `maxSurge` is 0")
    if _PERCENT.fullmatch(str(unavailable)) and int(unavailable[:-1]) > 100:
        causes.invalid(at, shown_int_or_string(unavailable), "must not be greater than 100%")


def _check_int_or_percent(value: Any, at: str, causes: Causes) -> None:
    if isinstance(value, int):
        if value < 0:
            causes.invalid(at, value, "must be greater than or equal to 0")
    elif not _PERCENT.fullmatch(str(value)):
        causes.invalid(at, shown_int_or_string(value), _WORDS_PERCENT)


def _is_zero(value: int | str) -> bool:
    return str(value).rstrip("%") == "0"


def validate_selector_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about a change of the selector, which ties the pods to their owner."""
    if old["spec"].get("selector") != new["spec"].get("selector"):
        shown = shown_selector(new["spec"].get("selector"))
        causes.invalid("spec.selector", shown, "field is immutable")
