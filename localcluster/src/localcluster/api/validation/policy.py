"""What the server refuses about rules for others: budgets, limits, quotas, roles, priorities."""

from __future__ import annotations

from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import is_quantity, quantity
from .apps import check_int_or_percent, check_percent
from .causes import Causes
from .metadata import validate_selector
from .names import qualified_name_faults, subdomain_faults

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
_SCOPES = {
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
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


def validate_budget(obj: Obj, causes: Causes) -> None:
    """Complain about a PodDisruptionBudget."""
    spec = obj["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        names = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
        shown = {name[0].upper() + name[1:]: spec.get(name) for name in names}
        causes.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")
    for name, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            check_int_or_percent(value, f"spec.{name}", causes)
            check_percent(value, f"spec.{name}", causes)
    validate_selector(spec.get("selector"), "spec.selector", causes)
    policy, known = spec.get("unhealthyPodEvictionPolicy"), ["AlwaysAllow", "IfHealthyBudget"]
    causes.one_of("spec.unhealthyPodEvictionPolicy", policy, known)


def validate_limit_range(obj: Obj, causes: Causes) -> None:
    """Complain about a LimitRange."""
    limits = obj["spec"].get("limits") or []
    for i, limit in enumerate(limits):
        at, kind = f"spec.limits[{i}]", limit.get("type") or ""
        causes.faults(f"{at}.type", kind, qualified_name_faults(kind))
        if kind in [other.get("type") for other in limits[:i]]:
            causes.duplicate(f"{at}.type", kind)
        if kind == "Pod":
            for name in ("default", "defaultRequest"):
                if limit.get(name):
                    causes.forbidden(f"{at}.{name}", "may not be specified when `type` is 'Pod'")
        if kind == "PersistentVolumeClaim" and not any(
            "storage" in (limit.get(name) or {}) for name in ("min", "max")
        ):
            why = "either minimum or maximum storage value is required, but neither was provided"
            causes.required(f"{at}.limits", why)
        _bounds(limit, at, causes)


def _bounds(limit: Obj, at: str, causes: Causes) -> None:
    for low, high, blamed, why in _BOUNDS:
        lower, upper = limit.get(low) or {}, limit.get(high) or {}
        for name in sorted(lower.keys() & upper.keys()):
            if _above(lower[name], upper[name]):
                value = limit[blamed][name]
                causes.invalid(
                    f"{at}.{blamed}[{name}]", value, why.format(lower[name], upper[name])
                )
    for name, ratio in (limit.get("maxLimitRequestRatio") or {}).items():
        if _above("1", ratio):
            causes.invalid(
                f"{at}.maxLimitRequestRatio[{name}]", ratio, f"ratio {ratio} is less than 1"
            )


def _above(one: Any, other: Any) -> bool:
    return is_quantity(one) and is_quantity(other) and quantity(one) > quantity(other)


def validate_quota(obj: Obj, causes: Causes) -> None:
    """Complain about a ResourceQuota."""
    spec = obj["spec"]
    for name, value in (spec.get("hard") or {}).items():
        at = f"spec.hard[{name}]"
        causes.faults(at, name, qualified_name_faults(name))
        if "/" not in name and name not in _QUOTAS and "hugepages-" not in name:
            causes.invalid(at, name, "must be a standard resource for quota")
        if _above("0", value):
            causes.invalid(at, value, "must be greater than or equal to 0")
        elif name in _COUNTED and is_quantity(value) and quantity(value) % 1:
            causes.invalid(at, value, "must be an integer")
    scopes = spec.get("scopes") or []
    if not set(scopes) <= _SCOPES:
        causes.invalid("spec.scopes", scopes, "unsupported scope")


def validate_priority_class(obj: Obj, causes: Causes) -> None:
    """Complain about a PriorityClass; the system's own are above what others may have."""
    name, value = obj["metadata"]["name"], obj.get("value", 0)
    if name not in ("system-cluster-critical", "system-node-critical"):
        if name.startswith("system-"):
            why = "priority class names with 'system-' prefix are reserved for system use only."
            why += f" error: {name} is not a known system priority class"
            causes.forbidden("metadata.name", why)
        if value > _MOST_PRIORITY:
            why = f"maximum allowed value of a user defined priority is {_MOST_PRIORITY}"
            causes.forbidden("value", why)
    policies = ["Never", "PreemptLowerPriority"]
    causes.one_of("preemptionPolicy", obj.get("preemptionPolicy"), policies)


def validate_priority_class_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about another value; pods have taken it over."""
    if old.get("value") != new.get("value"):
        causes.forbidden("value", "may not be changed in an update.")
    name = "preemptionPolicy"
    causes.immutable(name, old.get(name), new.get(name))


def validate_role(obj: Obj, causes: Causes) -> None:
    """Complain about a Role or ClusterRole."""
    for i, rule in enumerate(obj.get("rules") or []):
        at, paths = f"rules[{i}]", rule.get("nonResourceURLs")
        if not rule.get("verbs"):
            causes.required(f"{at}.verbs", "verbs must contain at least one value")
        if paths:
            if obj["kind"] == "Role":
                why = "namespaced rules cannot apply to non-resource URLs"
                causes.invalid(f"{at}.nonResourceURLs", paths, why)
            if any(rule.get(name) for name in ("apiGroups", "resources", "resourceNames")):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                causes.invalid(f"{at}.nonResourceURLs", paths, why)
            continue
        if not rule.get("apiGroups"):
            why = "resource rules must supply at least one api group"
            causes.required(f"{at}.apiGroups", why)
        if not rule.get("resources"):
            why = "resource rules must supply at least one resource"
            causes.required(f"{at}.resources", why)


def validate_role_binding(obj: Obj, causes: Causes) -> None:
    """Complain about a RoleBinding or ClusterRoleBinding."""
    role, local = obj.get("roleRef") or {}, obj["kind"] == "RoleBinding"
    if role.get("apiGroup") != _RBAC:
        causes.unsupported("roleRef.apiGroup", role.get("apiGroup", ""), [_RBAC])
    known = ["Role", "ClusterRole"] if local else ["ClusterRole"]
    if role.get("kind") not in known:
        causes.unsupported("roleRef.kind", role.get("kind", ""), known)
    if not role.get("name"):
        causes.required("roleRef.name")
    for i, subject in enumerate(obj.get("subjects") or []):
        _subject(subject, f"subjects[{i}]", local, causes)


def _subject(subject: Obj, at: str, local: bool, causes: Causes) -> None:
    kind, name, group = (subject.get(key) or "" for key in ("kind", "name", "apiGroup"))
    if not name:
        causes.required(f"{at}.name")
    if kind == "ServiceAccount":
        if name:
            causes.faults(f"{at}.name", name, subdomain_faults(name))
        if group:
            causes.unsupported(f"{at}.apiGroup", group, [""])
        if not local and not subject.get("namespace"):
            causes.required(f"{at}.namespace")
    elif kind not in ("User", "Group"):
        causes.unsupported(f"{at}.kind", kind, ["ServiceAccount", "User", "Group"])
    elif group != _RBAC:
        causes.unsupported(f"{at}.apiGroup", group, [_RBAC])


def validate_role_binding_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about a binding to another role."""
    if old.get("roleRef") != new.get("roleRef"):
        role = new.get("roleRef") or {}
        shown = {"APIGroup": role.get("apiGroup", "")}
        shown |= {"Kind": role.get("kind", ""), "Name": role.get("name", "")}
        causes.invalid("roleRef", shown, "cannot change roleRef")


def validate_lease(obj: Obj, causes: Causes) -> None:
    """Complain about a Lease."""
    spec = obj.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        causes.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    causes.not_negative(spec, ("leaseTransitions",))
