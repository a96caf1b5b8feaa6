"""What the server refuses about what runs pods for long: the group `apps`, and its forerunner."""

from __future__ import annotations

import re
from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.selectors import match_labels
from .causes import Causes
from .metadata import validate_selector
from .names import INT_OR_PERCENT_RULE
from .pods import validate_template

_PERCENT = re.compile(r"[0-9]{1,9}%")
_STATEFUL_SET_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def validate_replica_set(obj: Obj, causes: Causes) -> None:
    """Complain about a ReplicaSet."""
    causes.not_negative(obj["spec"], ("replicas", "minReadySeconds"))
    # The real server says "deployment" and "ReplicaSet" of both.
    _check_pods(obj, "deployment", "ReplicaSet", causes)


def validate_deployment(obj: Obj, causes: Causes) -> None:
    """Complain about a Deployment."""
    validate_replica_set(obj, causes)
    spec = obj["spec"]
    _check_strategy(spec["strategy"], causes)
    causes.not_negative(spec, ("revisionHistoryLimit", "progressDeadlineSeconds"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        why = "must be greater than minReadySeconds"
        causes.invalid("spec.progressDeadlineSeconds", deadline, why)


def validate_replication_controller(obj: Obj, causes: Causes) -> None:
    """Complain about a ReplicationController, whose selector is a plain map."""
    spec = obj["spec"]
    causes.not_negative(spec, ("minReadySeconds", "replicas"))
    if not spec.get("selector"):
        causes.required("spec.selector")
    elif not match_labels({"matchLabels": spec["selector"]}, _labels(spec) or {}):
        _mismatch(spec, causes)
    _check_template(spec, "ReplicationController", causes)


def validate_stateful_set(obj: Obj, causes: Causes) -> None:
    """Complain about a StatefulSet."""
    spec = obj["spec"]
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        causes.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    update = spec.get("updateStrategy") or {}
    rolling, at = update.get("rollingUpdate"), "spec.updateStrategy"
    if update.get("type") == "OnDelete" and rolling is not None:
        why = "only allowed for updateStrategy 'RollingUpdate'"
        causes.invalid(f"{at}.rollingUpdate", rolling, why)
    elif update.get("type") not in ("OnDelete", "RollingUpdate"):
        shown = {"Type": update.get("type"), "RollingUpdate": rolling}
        causes.invalid(at, shown, "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling and rolling.get("partition", 0) < 0:
        why = "must be greater than or equal to 0"
        causes.invalid(f"{at}.rollingUpdate.partition", rolling["partition"], why)
    for name, kept in (spec.get("persistentVolumeClaimRetentionPolicy") or {}).items():
        where = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        causes.one_of(where, kept, ["Delete", "Retain"])
    causes.not_negative(spec, ("replicas", "minReadySeconds"))
    if (spec.get("ordinals") or {}).get("start", 0) < 0:
        start, why = spec["ordinals"]["start"], "must be greater than or equal to 0"
        causes.invalid("spec.ordinals.start", start, why)
    _check_pods(obj, "statefulset", "StatefulSet", causes)


def validate_daemon_set(obj: Obj, causes: Causes) -> None:
    """Complain about a DaemonSet."""
    spec, at = obj["spec"], "spec.updateStrategy"
    _check_pods(obj, "daemonset", "DaemonSet", causes)
    causes.not_negative(spec, ("minReadySeconds", "revisionHistoryLimit"))
    update: Obj = spec.get("updateStrategy") or {}
    rolling: Any = update.get("rollingUpdate")
    if update.get("type") not in ("OnDelete", "RollingUpdate"):
        shown = {"Type": update.get("type"), "RollingUpdate": rolling}
        causes.unsupported(at, shown, ["RollingUpdate", "OnDelete"])
    elif update["type"] == "RollingUpdate" and rolling is None:
        causes.required(f"{at}.rollingUpdate")
    elif update["type"] == "RollingUpdate":
        surge, unavailable = rolling.get("maxSurge", 0), rolling.get("maxUnavailable", 1)
        for name, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
            check_int_or_percent(value, f"{at}.rollingUpdate.{name}", causes)
        if not _is_zero(surge) and not _is_zero(unavailable):
            why = "may not be set when maxUnavailable is non-zero"
            causes.invalid(f"{at}.rollingUpdate.maxSurge", surge, why)
        elif _is_zero(surge) and _is_zero(unavailable):
            why = "cannot be 0 when maxSurge is 0"
            causes.required(f"{at}.rollingUpdate.maxUnavailable", why)


def _labels(spec: Obj) -> Any:
    return spec["template"]["metadata"].get("labels")


def _mismatch(spec: Obj, causes: Causes) -> None:
    why = "`selector` does not match template `labels`"
    causes.invalid("spec.template.metadata.labels", _labels(spec), why)


def _check_pods(obj: Obj, kind: str, title: str, causes: Causes) -> None:
    """Complain about the selector and the template of an object.

    Args:
        kind: Of what the selector is, in the server's words; `title` is of what the template is.
    """
    spec = obj["spec"]
    selector = spec.get("selector")
    if selector is None:
        causes.required("spec.selector")
    else:
        validate_selector(selector, "spec.selector", causes)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            why = f"empty selector is invalid for {kind}"
            causes.invalid("spec.selector", selector, why)
    if selector is None or not match_labels(selector, _labels(spec) or {}):
        _mismatch(spec, causes)
    _check_template(spec, title, causes)


def _check_template(spec: Obj, title: str, causes: Causes) -> None:
    template, at = spec["template"], "spec.template.spec"
    # The pod spec of a StatefulSet is not looked at: it mounts volumes that only its pods have.
    validate_template(template, "spec.template", causes, whole=title != "StatefulSet")
    policy = template["spec"].get("restartPolicy")
    if policy != "Always":
        causes.unsupported(f"{at}.restartPolicy", policy, ["Always"])
    if template["spec"].get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {title} is not Supported"
        causes.forbidden(f"{at}.activeDeadlineSeconds", why)


def _check_strategy(strategy: Obj, causes: Causes) -> None:
    rolling: Any = strategy.get("rollingUpdate")
    at = "spec.strategy.rollingUpdate"
    if strategy["type"] == "Recreate":
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            causes.forbidden(at, why)
        return
    if strategy["type"] != "RollingUpdate":
        shown = {"Type": strategy["type"], "RollingUpdate": rolling}
        causes.unsupported("spec.strategy", shown, ["Recreate", "RollingUpdate"])
        return
    unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
    check_int_or_percent(unavailable, f"{at}.maxUnavailable", causes)
    check_int_or_percent(surge, f"{at}.maxSurge", causes)
    if _is_zero(unavailable) and _is_zero(surge):
        causes.invalid(f"{at}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    check_percent(unavailable, f"{at}.maxUnavailable", causes)


def check_int_or_percent(value: Any, at: str, causes: Causes) -> None:
    """Complain unless something is a number or a percentage, such as `maxSurge`."""
    if isinstance(value, int):
        if value < 0:
            causes.invalid(at, value, "must be greater than or equal to 0")
    elif not _PERCENT.fullmatch(str(value)):
        causes.invalid(at, value, INT_OR_PERCENT_RULE)


def check_percent(value: Any, at: str, causes: Causes) -> None:
    """Complain about more than a hundred per cent."""
    if _PERCENT.fullmatch(str(value)) and int(value[:-1]) > 100:
        causes.invalid(at, value, "must not be greater than 100%")


def _is_zero(value: int | str) -> bool:
    return str(value).rstrip("%") == "0"


def validate_selector_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about a change of the selector, which ties the pods to their owner."""
    causes.immutable("spec.selector", old["spec"].get("selector"), new["spec"].get("selector"))


def validate_stateful_set_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about a change of what a StatefulSet may not change."""
    if frozen(old["spec"], _STATEFUL_SET_MAY_CHANGE) != frozen(
        new["spec"], _STATEFUL_SET_MAY_CHANGE
    ):
        *most, last = (f"'{name}'" for name in _STATEFUL_SET_MAY_CHANGE)
        why = f"updates to statefulset spec for fields other than {', '.join(most)} and {last}"
        causes.forbidden("spec", f"{why} are forbidden")


def frozen(spec: Obj, may_change: tuple[str, ...]) -> Obj:
    """Return a spec without the fields that may change."""
    return {name: value for name, value in spec.items() if name not in may_change}
