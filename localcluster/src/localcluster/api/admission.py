"""What the real server asks of an object beside its kind's own rules, in the words it uses.

First what it cannot even read (400), then what it has to look up elsewhere (403), and the rules
of metadata and of the kinds that are only stored (422).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from ..apimachinery import apierrors
from ..apimachinery.jsontypes import Obj
from ..apimachinery.profile import profile
from ..apimachinery.quantities import is_readable, quantity
from ..apimachinery.resources import Resource
from ..store import Store
from .validation.causes import Causes

_QUANTITY_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_FINALIZERS = {"kubernetes", "orphan", "foregroundDeletion"}


def check_readable(obj: Obj) -> None:
    """Raise a 400 when a value is of no form that its field can have."""
    kind = obj["kind"]
    version = obj["apiVersion"].rpartition("/")[2]
    prefix = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    if kind == "Secret":
        for value in (obj.get("data") or {}).values():
            place = _broken_base64(value)
            if place is not None:
                raise apierrors.bad_request(f"{prefix}illegal base64 data at input byte {place}")
    for _, container in _containers(obj):
        resources = container.get("resources") or {}
        for part in ("limits", "requests"):
            for value in (resources.get(part) or {}).values():
                if not is_readable(value):
                    raise apierrors.bad_request(prefix + _QUANTITY_RULE)


def _broken_base64(value: object) -> int | None:
    """Return where a text stops to be base64, or None when it is sound."""
    text = str(value)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = re.match(r"[A-Za-z0-9+/]*", text)
        return found.end() if found and found.end() < len(text) else len(text) // 4 * 4
    return None


def _containers(obj: Obj) -> Iterator[tuple[str, Obj]]:
    """Yield the containers of a pod, or of a template, with their paths."""
    at, spec = "spec", obj.get("spec") or {}
    if obj["kind"] == "CronJob":
        at, spec = f"{at}.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {}
    if obj["kind"] != "Pod":
        at, spec = f"{at}.template.spec", (spec.get("template") or {}).get("spec") or {}
    for part in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(part) or []):
            yield f"{at}.{part}[{i}]", container


def check_references(resource: Resource, obj: Obj, store: Store) -> None:
    """Raise a 403 when a pod names what is not there, or is one more than a quota allows."""
    if obj["kind"] != "Pod":
        return
    spec, metadata = obj["spec"], obj["metadata"]
    account, namespace = spec.get("serviceAccountName"), metadata["namespace"]
    # The account `default` comes a moment after its namespace; a pod need not wait for it.
    if account != "default" and not store.get("serviceaccounts", (namespace, account)):
        why = (
            f"error looking up service account {namespace}/{account}:"
            f' serviceaccount "{account}" not found'
        )
        raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
    name = spec.get("priorityClassName")
    if name:
        found = store.get("priorityclasses.scheduling.k8s.io", ("", name))
        if found is None:
            why = f"no PriorityClass with name {name} was found"
            raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
        spec["priority"] = found.obj["value"]
    for quota in store.list("resourcequotas", namespace):
        pods = [pod.obj.get("status", {}).get("phase") for pod in store.list("pods", namespace)]
        used = sum(phase not in ("Succeeded", "Failed") for phase in pods)
        limit = ((quota.obj.get("spec") or {}).get("hard") or {}).get("pods")
        if is_readable(limit) and used >= quantity(limit):
            why = (
                f"exceeded quota: {quota.obj['metadata']['name']}, requested: pods=1,"
                f" used: pods={used}, limited: pods={limit}"
            )
            raise apierrors.forbidden(resource.plural, "", metadata["name"], why)


def check_rules(resource: Resource, obj: Obj) -> None:
    """Raise a 422 when the object breaks a rule that does not belong to one workload alone."""
    causes = Causes()
    _metadata(obj["metadata"], causes)
    check = _RULES.get(obj["kind"])
    if check:
        check(obj, causes)
    _limits(obj, causes)
    if causes:
        name, group = obj["metadata"]["name"], resource.group
        if obj["kind"] == "NetworkPolicy" and not profile().modern:
            group = "extensions"
        raise apierrors.invalid(obj["kind"], group, name, list(causes))


def _metadata(metadata: Obj, causes: Causes) -> None:
    for i, name in enumerate(metadata.get("finalizers") or []):
        if "/" not in name and name not in _FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.invalid(f"metadata.finalizers[{i}]", name, why)
    for owner in metadata.get("ownerReferences") or []:
        for field, word in (
            ("apiVersion", "version"),
            ("kind", "kind"),
            ("name", "name"),
            ("uid", "uid"),
        ):
            if not owner.get(field):
                causes.invalid(f"metadata.ownerReferences.{field}", "", f"{word} must not be empty")


def _limits(obj: Obj, causes: Causes) -> None:
    """A container may not ask for more than it may use."""
    for at, container in _containers(obj):
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        for name, value in (resources.get("requests") or {}).items():
            if name in limits and quantity(value) > quantity(limits[name]):
                most = f" of {limits[name]}" if profile().modern else ""
                why = f"must be less than or equal to {name} limit{most}"
                causes.invalid(f"{at}.resources.requests", str(value), why)


# Of some types of Secret, which keys it must have: all of them, but of a password any one.
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/basic-auth": ("username", "password"),
}


def _secret(obj: Obj, causes: Causes) -> None:
    kind, data = obj.get("type") or "", obj.get("data") or {}
    keys = _SECRET_KEYS.get(kind, ())
    missing = [name for name in keys if name not in data]
    if kind == "kubernetes.io/basic-auth" and len(missing) < len(keys):
        return
    # The real server forgot to put something in the place of its %s.
    at = "data[%s]" if kind.endswith("-auth") else "data"
    for name in missing:
        causes.required(f"{at}[{name}]")


def _config_map(obj: Obj, causes: Causes) -> None:
    for name in obj.get("data") or {}:
        if name in (obj.get("binaryData") or {}):
            causes.invalid(f"data[{name}]", name, "duplicate of key present in binaryData")


def _role(obj: Obj, causes: Causes) -> None:
    for i, rule in enumerate(obj.get("rules") or []):
        if not rule.get("verbs"):
            causes.required(f"rules[{i}].verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            why = "resource rules must supply at least one api group"
            causes.required(f"rules[{i}].apiGroups", why)
        if not rule.get("resources"):
            why = "resource rules must supply at least one resource"
            causes.required(f"rules[{i}].resources", why)


def _role_binding(obj: Obj, causes: Causes) -> None:
    role = obj.get("roleRef") or {}
    known = ["Role", "ClusterRole"] if obj["kind"] == "RoleBinding" else ["ClusterRole"]
    if role.get("kind") not in known:
        causes.unsupported("roleRef.kind", role.get("kind", ""), known)
    if not role.get("name"):
        causes.required("roleRef.name")


def _network_policy(obj: Obj, causes: Causes) -> None:
    known = ["Ingress", "Egress"]
    for i, kind in enumerate(obj["spec"]["policyTypes"]):
        if kind not in known:
            causes.unsupported(f"spec.policyTypes[{i}]", kind, known)


def _event(obj: Obj, causes: Causes) -> None:
    about = (obj.get("involvedObject") or {}).get("namespace")
    if about and about != obj["metadata"]["namespace"]:
        causes.invalid("involvedObject.namespace", about, "does not match event.namespace")


_RULES: dict[str, Callable[[Obj, Causes], None]] = {
    "Secret": _secret,
    "ConfigMap": _config_map,
    "Role": _role,
    "ClusterRole": _role,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Event": _event,
    "NetworkPolicy": _network_policy,
}
