"""What the server refuses about rules for others: budgets, limits, quotas, roles, priorities."""

from __future__ import annotations

from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import is_quantity, quantity
from .metadata import validate_selector
from .names import qualified_name_faults, subdomain_faults
from .part import NOT_NEGATIVE, Part, repeated

_RBAC = "rbac.authorization.k8s.io"
_MOST_PRIORITY = 1_000_000_000
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = {
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
}
_QUOTAS = {
    *_COUNTED,
    *_COMPUTE,
    *(f"{part}.{name}" for part in ("limits", "requests") for name in _COMPUTE),
    "requests.storage",
}
# Which of two bounds of a LimitRange must not be above which, and whose fault it is.
_BOUNDS = (
    ("min", "max", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "defaultRequest",
     "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "defaultRequest",
     "default request value {} is greater than max value {}"),
    ("defaultRequest", "default", "defaultRequest",
     "default request value {} is greater than default limit value {}"),
    ("min", "default", "default", "min value {} is greater than default value {}"),
    ("default", "max", "default", "default value {} is greater than max value {}"),
)  # fmt: skip


def validate_budget(obj: Part) -> None:
    """Complain about a PodDisruptionBudget."""
    spec, names = obj.part("spec"), ("minAvailable", "maxUnavailable")
    if all(spec[name] is not None for name in names):
        names_in_go = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
        shown = {name[0].upper() + name[1:]: spec[name] for name in names_in_go}
        spec.invalid("", "minAvailable and maxUnavailable cannot be both set", shown)
    for name in names:
        if spec[name] is not None:
            spec.amount(name)
            spec.at_most_all(name)
    validate_selector(spec.part("selector"))
    spec.choose("unhealthyPodEvictionPolicy")


def validate_limit_range(obj: Part) -> None:
    """Complain about a LimitRange."""
    for limit, again in repeated(obj.part("spec").each("limits"), "type"):
        kind = limit["type"] or ""
        limit.causes.faults(limit.at("type"), kind, qualified_name_faults(kind))
        if again:
            limit.duplicate("type")
        for name in ("default", "defaultRequest"):
            if kind == "Pod" and limit[name]:
                limit.forbidden(name, "may not be specified when `type` is 'Pod'")
        if kind == "PersistentVolumeClaim" and not any(
            "storage" in (limit[name] or {}) for name in ("min", "max")
        ):
            why = "either minimum or maximum storage value is required, but neither was provided"
            limit.required("limits", why)
        _bounds(limit)


def _bounds(limit: Part) -> None:
    for low, high, blamed, why in _BOUNDS:
        lower, upper = limit[low] or {}, limit[high] or {}
        for name in sorted(lower.keys() & upper.keys()):
            if _above(lower[name], upper[name]):
                said = why.format(lower[name], upper[name])
                limit.invalid(f"{blamed}[{name}]", said, limit[blamed][name])
    for name, ratio in (limit["maxLimitRequestRatio"] or {}).items():
        if _above("1", ratio):
            why = f"ratio {ratio} is less than 1"
            limit.invalid(f"maxLimitRequestRatio[{name}]", why, ratio)


def _above(one: Any, other: Any) -> bool:
    return is_quantity(one) and is_quantity(other) and quantity(one) > quantity(other)


def validate_quota(obj: Part) -> None:
    """Complain about a ResourceQuota."""
    spec = obj.part("spec")
    for name, value in (spec["hard"] or {}).items():
        at = f"hard[{name}]"
        spec.causes.faults(spec.at(at), name, qualified_name_faults(name))
        if "/" not in name and name not in _QUOTAS and "hugepages-" not in name:
            spec.invalid(at, "must be a standard resource for quota", name)
        if _above("0", value):
            spec.invalid(at, NOT_NEGATIVE, value)
        elif name in _COUNTED and is_quantity(value) and quantity(value) % 1:
            spec.invalid(at, "must be an integer", value)
    if not set(spec["scopes"] or []) <= set(spec.kind.part("scopes").part("").enum):
        spec.invalid("scopes", "unsupported scope")


def validate_quota_update(old: Obj, new: Part) -> None:
    """Complain about other scopes."""
    new.part("spec").immutable("scopes", old["spec"])


def validate_priority_class(obj: Part) -> None:
    """Complain about a PriorityClass; the system's own are above what others may have."""
    name = obj["metadata"]["name"]
    if name not in ("system-cluster-critical", "system-node-critical"):
        if name.startswith("system-"):
            why = "priority class names with 'system-' prefix are reserved for system use only."
            why += f" error: {name} is not a known system priority class"
            obj.forbidden("metadata.name", why)
        if (obj["value"] or 0) > _MOST_PRIORITY:
            why = f"maximum allowed value of a user defined priority is {_MOST_PRIORITY}"
            obj.forbidden("value", why)
    obj.choose("preemptionPolicy")


def validate_priority_class_update(old: Obj, new: Part) -> None:
    """Complain about another value; pods have taken it over."""
    if old.get("value") != new["value"]:
        new.forbidden("value", "may not be changed in an update.")
    new.immutable("preemptionPolicy", old)


def validate_role(obj: Part) -> None:
    """Complain about a Role or ClusterRole."""
    for rule in obj.each("rules"):
        rule.require("verbs", why="verbs must contain at least one value")
        if rule["nonResourceURLs"]:
            if obj["kind"] == "Role":
                why = "namespaced rules cannot apply to non-resource URLs"
                rule.invalid("nonResourceURLs", why)
            if any(rule[name] for name in ("apiGroups", "resources", "resourceNames")):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                rule.invalid("nonResourceURLs", why)
        else:
            rule.require("apiGroups", why="resource rules must supply at least one api group")
            rule.require("resources", why="resource rules must supply at least one resource")


def validate_role_binding(obj: Part) -> None:
    """Complain about a RoleBinding or ClusterRoleBinding."""
    role, local = obj.part("roleRef"), obj["kind"] == "RoleBinding"
    role.choose("apiGroup", [_RBAC], always=True)
    role.choose("kind", ["Role", "ClusterRole"] if local else ["ClusterRole"], always=True)
    role.require("name")
    for subject in obj.each("subjects"):
        _subject(subject, local)


def _subject(subject: Part, local: bool) -> None:
    subject.require("name")
    if subject["kind"] == "ServiceAccount":
        subject.check("name", subdomain_faults)
        subject.choose("apiGroup", [""])
        if not local:
            subject.require("namespace")
    elif subject["kind"] not in ("User", "Group"):
        subject.unsupported("kind", ["ServiceAccount", "User", "Group"])
    else:
        subject.choose("apiGroup", [_RBAC], always=True)


def validate_role_binding_update(old: Obj, new: Part) -> None:
    """Complain about a binding to another role."""
    if old.get("roleRef") != new["roleRef"]:
        role = new.part("roleRef")
        shown = {"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]}
        new.invalid("roleRef", "cannot change roleRef", shown)


def validate_lease(obj: Part) -> None:
    """Complain about a Lease."""
    spec = obj.part("spec")
    if spec["leaseDurationSeconds"] is not None and spec["leaseDurationSeconds"] <= 0:
        spec.invalid("leaseDurationSeconds", "must be greater than 0")
    spec.not_negative("leaseTransitions")
