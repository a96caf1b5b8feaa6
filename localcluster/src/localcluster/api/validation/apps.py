"""What the server refuses about what runs pods for long: the group `apps`, and its forerunner."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.selectors import match_labels
from .metadata import validate_selector
from .part import Part
from .pods import validate_template

_UPDATES = ["RollingUpdate", "OnDelete"]
_STATEFUL_SET_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def validate_replica_set(obj: Part) -> None:
    """Complain about a ReplicaSet."""
    obj.part("spec").not_negative("replicas", "minReadySeconds")
    # The real server says "deployment" and "ReplicaSet" of both.
    _check_pods(obj.part("spec"), "deployment", "ReplicaSet")


def validate_deployment(obj: Part) -> None:
    """Complain about a Deployment."""
    validate_replica_set(obj)
    spec = obj.part("spec")
    _check_strategy(spec.part("strategy"))
    spec.not_negative("revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec["progressDeadlineSeconds"]
    if deadline is not None and deadline <= (spec["minReadySeconds"] or 0):
        spec.invalid("progressDeadlineSeconds", "must be greater than minReadySeconds")


def validate_replication_controller(obj: Part) -> None:
    """Complain about a ReplicationController, whose selector is a plain map."""
    spec = obj.part("spec")
    spec.not_negative("minReadySeconds", "replicas")
    if not spec["selector"]:
        spec.required("selector")
    else:
        _check_labels(spec, {"matchLabels": spec["selector"]})
    _check_template(spec, "ReplicationController")


def validate_stateful_set(obj: Part) -> None:
    """Complain about a StatefulSet."""
    spec = obj.part("spec")
    if spec["podManagementPolicy"] not in ("OrderedReady", "Parallel"):
        spec.invalid("podManagementPolicy", "must be 'OrderedReady' or 'Parallel'")
    update = spec.part("updateStrategy")
    if update["type"] == "OnDelete" and update["rollingUpdate"] is not None:
        update.invalid("rollingUpdate", "only allowed for updateStrategy 'RollingUpdate'")
    elif update["type"] not in _UPDATES:
        update.invalid("", "must be 'RollingUpdate' or 'OnDelete'", _shown(update))
    update.part("rollingUpdate").not_negative("partition")
    kept = spec.part("persistentVolumeClaimRetentionPolicy")
    for name in kept.value:
        kept.choose(name, ["Delete", "Retain"])
    spec.not_negative("replicas", "minReadySeconds")
    spec.part("ordinals").not_negative("start")
    _check_pods(spec, "statefulset", "StatefulSet")


def validate_daemon_set(obj: Part) -> None:
    """Complain about a DaemonSet."""
    spec = obj.part("spec")
    _check_pods(spec, "daemonset", "DaemonSet")
    spec.not_negative("minReadySeconds", "revisionHistoryLimit")
    update, rolling = spec.part("updateStrategy"), spec.part("updateStrategy").part("rollingUpdate")
    if update["type"] not in _UPDATES:
        spec.causes.unsupported(update.path, _shown(update), _UPDATES)
    elif update["type"] == "RollingUpdate":
        rolling.amount("maxUnavailable")
        rolling.amount("maxSurge")
        if not _is_zero(rolling["maxSurge"]) and not _is_zero(rolling["maxUnavailable"]):
            rolling.invalid("maxSurge", "may not be set when maxUnavailable is non-zero")
        elif _is_zero(rolling["maxSurge"]) and _is_zero(rolling["maxUnavailable"]):
            rolling.required("maxUnavailable", "cannot be 0 when maxSurge is 0")


def _shown(strategy: Part) -> Obj:
    """Return a strategy as the real server shows it."""
    return {"Type": strategy["type"], "RollingUpdate": strategy["rollingUpdate"]}


def _check_labels(spec: Part, selector: Obj | None) -> None:
    """Complain about a template with labels that the selector does not select."""
    labels = spec["template"]["metadata"].get("labels")
    if selector is None or not match_labels(selector, labels or {}):
        why = "`selector` does not match template `labels`"
        spec.invalid("template.metadata.labels", why, labels)


def _check_pods(spec: Part, kind: str, title: str) -> None:
    """Complain about the selector and the template in a spec.

    Args:
        kind: Of what the selector is, in the server's words; `title` is of what the template is.
    """
    selector = spec.part("selector")
    if spec["selector"] is None:
        spec.required("selector")
    else:
        validate_selector(selector)
        if not selector["matchLabels"] and not selector["matchExpressions"]:
            selector.invalid("", f"empty selector is invalid for {kind}")
    _check_labels(spec, spec["selector"])
    _check_template(spec, title)


def _check_template(spec: Part, title: str) -> None:
    # The pod spec of a StatefulSet is not looked at: it mounts volumes that only its pods have.
    validate_template(spec.part("template"), whole=title != "StatefulSet")
    pod = spec.part("template").part("spec")
    pod.choose("restartPolicy", ["Always"], always=True)
    if pod["activeDeadlineSeconds"] is not None:
        why = f"activeDeadlineSeconds in {title} is not Supported"
        pod.forbidden("activeDeadlineSeconds", why)


def _check_strategy(strategy: Part) -> None:
    rolling = strategy.part("rollingUpdate")
    if strategy["type"] == "Recreate":
        if strategy["rollingUpdate"] is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            rolling.forbidden("", why)
        return
    if strategy["type"] != "RollingUpdate":
        known = ["Recreate", "RollingUpdate"]
        strategy.causes.unsupported(strategy.path, _shown(strategy), known)
        return
    rolling.amount("maxUnavailable")
    rolling.amount("maxSurge")
    if _is_zero(rolling["maxUnavailable"]) and _is_zero(rolling["maxSurge"]):
        rolling.invalid("maxUnavailable", "may not be 0 when `maxSurge` is 0")
    rolling.at_most_all("maxUnavailable")


def _is_zero(value: int | str) -> bool:
    return str(value).rstrip("%") == "0"


def validate_stateful_set_update(old: Obj, new: Part) -> None:
    """Complain about a change of what a StatefulSet may not change."""
    was, now = (frozen(spec, _STATEFUL_SET_MAY_CHANGE) for spec in (old["spec"], new["spec"]))
    if was != now:
        *most, last = (f"'{name}'" for name in _STATEFUL_SET_MAY_CHANGE)
        why = f"updates to statefulset spec for fields other than {', '.join(most)} and {last}"
        new.forbidden("spec", f"{why} are forbidden")


def frozen(spec: Obj, may_change: tuple[str, ...]) -> Obj:
    """Return a spec without the fields that may change."""
    return {name: value for name, value in spec.items() if name not in may_change}
