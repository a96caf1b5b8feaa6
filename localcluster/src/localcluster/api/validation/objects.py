"""Validation of objects: what cannot be decoded (400), and what is invalid (422)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from ...apimachinery.apierrors import bad_request, invalid
from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from ...apimachinery.quantities import is_quantity
from ...apimachinery.resources import Resource
from ...apimachinery.selectors import NAME_RULE, VALUE_RULE, valid_key, valid_value
from .apps import validate_replicated, validate_selector_update
from .batch import validate_job, validate_job_update
from .causes import Causes, go_texts, shown_role, shown_texts
from .names import (
    DNS_1035_RULE,
    DNS_LABEL_RULE,
    SUBDOMAIN_RULE,
    is_config_key,
    is_dns_1035_label,
    is_dns_label,
    is_subdomain,
)
from .pods import PORT_RULE, containers_of, validate_limits, validate_pod_spec
from .podupdates import validate_ephemeral_containers, validate_pod_subresource

_CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    " (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is"
    " '[-._a-zA-Z0-9]+')"
)
_QUANTITY_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_FINALIZERS = {"kubernetes", "orphan", "foregroundDeletion"}
_SERVICE_TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
_OLD_POD_FIELDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    " `spec.initContainers[*].image`, `spec.activeDeadlineSeconds` or `spec.tolerations` (only"
    " additions to existing tolerations)"
)
_POD_FIELDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only"
    " additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be"
    " set to 1 if it was previously negative)"
)


def _metadata(kind: str, metadata: Obj, causes: Causes) -> None:
    name = metadata["name"]
    if kind == "Namespace":
        if not is_dns_label(name):
            causes.invalid("metadata.name", name, DNS_LABEL_RULE)
    elif kind == "Service":
        if not is_dns_1035_label(name):
            causes.invalid("metadata.name", name, DNS_1035_RULE)
    elif kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        if "/" in name or "%" in name or name in (".", ".."):
            causes.invalid("metadata.name", name, "may not contain '/' or '%'")
    elif not is_subdomain(name):
        causes.invalid("metadata.name", name, SUBDOMAIN_RULE)
    # A Job that has no labels of its own shows its template's, which are checked there.
    if kind != "Job":
        _labels(metadata.get("labels"), "metadata.labels", causes)
    for key in metadata.get("annotations") or {}:
        if not valid_key(key.lower()):
            causes.invalid("metadata.annotations", key, NAME_RULE)

    _owners(metadata.get("ownerReferences") or [], causes)


def _owners(references: list[Obj], causes: Causes) -> None:
    at = "metadata.ownerReferences"
    for reference in references:
        for name, word in (("apiVersion", "version"), ("kind", "kind"), ("name", "name"),
                           ("uid", "uid")):  # fmt: skip
            if not reference.get(name):
                causes.invalid(f"{at}.{name}", "", f"{word} must not be empty")
    controllers = [str(r.get("name")) for r in references if r.get("controller")]
    if len(controllers) > 1:
        why = 'Only one reference can have Controller set to true. Found "true" in references for'
        causes.invalid(at, references, f"{why} {' and '.join(controllers[:2])}")


def _labels(found: Obj | None, at: str, causes: Causes) -> None:
    for key, value in sorted((found or {}).items(), key=str):
        if not valid_key(key):
            causes.invalid(at, key, NAME_RULE)
        if not isinstance(value, str) or not valid_value(value):
            causes.invalid(at, value, VALUE_RULE)


def _template(template: Obj, causes: Causes) -> None:
    _labels(template["metadata"].get("labels"), "spec.template.labels", causes)
    validate_pod_spec(template["spec"], "spec.template.spec", causes)


def _job(obj: Obj, causes: Causes) -> None:
    found = Causes()
    _template(obj["spec"]["template"], found)
    # In the real server's order: the Job's numbers first, then its template, then the rest.
    validate_job(obj, causes)
    at = next((i for i, c in enumerate(causes) if "template" in c["field"]), len(causes))
    causes[at:at] = found


def _replicated(obj: Obj, causes: Causes) -> None:
    validate_replicated(obj, causes)
    _template(obj["spec"]["template"], causes)


def _service(obj: Obj, causes: Causes) -> None:
    spec = obj["spec"]
    if spec["type"] not in _SERVICE_TYPES:
        causes.unsupported("spec.type", spec["type"], _SERVICE_TYPES)
    if not spec.get("ports") and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.required("spec.ports")
    for i, port in enumerate(spec.get("ports") or []):
        at, number, target = f"spec.ports[{i}]", port.get("port"), port.get("targetPort")
        if len(spec["ports"]) > 1 and not port.get("name"):
            causes.required(f"{at}.name")
        elif port.get("name") in {other.get("name") for other in spec["ports"][:i]}:
            causes.duplicate(f"{at}.name", port["name"])
        if not isinstance(number, int) or not 0 < number < 65536:
            causes.invalid(f"{at}.port", number or 0, PORT_RULE)
        if port.get("protocol") not in ("SCTP", "TCP", "UDP"):
            causes.unsupported(f"{at}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"])
        if isinstance(target, int) and not 0 < target < 65536:
            causes.invalid(f"{at}.targetPort", target, PORT_RULE)
    causes.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ["ClientIP", "None"])
    if spec["type"] == "ExternalName" and not spec.get("externalName"):
        causes.required("spec.externalName")


def _config_keys(obj: Obj, causes: Causes) -> None:
    for name in obj.get("data") or {}:
        if not is_config_key(name):
            causes.invalid(f"data[{name}]", name, _CONFIG_KEY_RULE)


def _pod(obj: Obj, causes: Causes) -> None:
    validate_pod_spec(obj["spec"], "spec", causes)
    validate_ephemeral_containers(obj["spec"], "spec", causes)


_SPECS: dict[str, Callable[[Obj, Causes], None]] = {
    "Pod": _pod,
    "Job": _job,
    "ReplicaSet": _replicated,
    "Deployment": _replicated,
    "Service": _service,
    "Secret": _config_keys,
    "ConfigMap": _config_keys,
}


def validate_create(resource: Resource, obj: Obj) -> None:
    """Raise a 422 when the new object (with its defaults) is not valid."""
    causes = Causes()
    _metadata(obj["kind"], obj["metadata"], causes)
    validate = _SPECS.get(obj["kind"])
    if validate:
        validate(obj, causes)
    if obj["kind"] == "Pod" and obj["spec"].get("ephemeralContainers"):
        causes.forbidden("spec.ephemeralContainers", "cannot be set on create")
    _raise_if_any(resource.group, obj, causes)
    _validate_rules(resource, obj)


def _frozen_pod(spec: Obj) -> Obj:
    """Return the part of a pod's spec that may never change."""
    frozen = {
        name: value
        for name, value in spec.items()
        if name
        not in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")
    }
    for kind in ("containers", "initContainers"):
        frozen[kind] = [{**c, "image": ""} for c in spec.get(kind) or []]
    return frozen


def _no_new_finalizers(old: Obj, new: Obj, causes: Causes) -> None:
    added = sorted(set(new.get("finalizers") or []) - set(old.get("finalizers") or []))
    if old.get("deletionTimestamp") and added:
        why = "no new finalizers can be added if the object is being deleted, found new finalizers"
        for _ in range(2):  # as the real server, which looks at the metadata twice
            causes.forbidden("metadata.finalizers", f"{why} {go_texts(added)}")


def validate_update(resource: Resource, old: Obj, new: Obj, subresource: str = "") -> None:
    """Raise a 422 when the change from `old` to `new` is not allowed."""
    causes = Causes()
    kind = new["kind"]
    _metadata(kind, new["metadata"], causes)
    _no_new_finalizers(old["metadata"], new["metadata"], causes)
    validate = _SPECS.get(kind)
    if validate:
        validate(new, causes)
    was, now = old.get("spec") or {}, new.get("spec") or {}
    if kind == "Pod" and subresource:
        validate_pod_subresource(subresource, old, new, causes)
    elif kind == "Pod" and _frozen_pod(was) != _frozen_pod(now):
        causes.forbidden("spec", _POD_FIELDS if profile().modern else _OLD_POD_FIELDS)
    if kind == "Job":
        # The real server looks at a Job's spec twice.
        causes += [c for c in causes if "auto-generated" not in c["message"]]
        validate_job_update(old, new, causes)
    if kind in ("ReplicaSet", "Deployment"):
        validate_selector_update(old, new, causes)
    if kind == "Service" and was.get("clusterIP") and was["clusterIP"] != now.get("clusterIP"):
        shown = shown_texts([now.get("clusterIP")])
        causes.invalid("spec.clusterIPs[0]", shown, "may not change once set")
    if kind in ("RoleBinding", "ClusterRoleBinding") and old.get("roleRef") != new.get("roleRef"):
        causes.invalid("roleRef", shown_role(new["roleRef"]), "cannot change roleRef")
    if kind in ("Secret", "ConfigMap") and old.get("immutable"):
        for name in ("data", "binaryData", "immutable"):
            if old.get(name) != new.get(name):
                causes.forbidden(name, "field is immutable when `immutable` is set")
    if kind == "Secret" and old.get("type") != new.get("type"):
        causes.invalid("type", new.get("type"), "field is immutable")
    _raise_if_any(resource.group, new, causes)
    _validate_rules(resource, new)


def _raise_if_any(group: str, obj: Obj, causes: Causes) -> None:
    if causes:
        raise invalid(obj["kind"], group, obj["metadata"]["name"], list(causes))


def _validate_rules(resource: Resource, obj: Obj) -> None:
    """Raise a 422 for the rules that are only checked in an object that is valid so far."""
    causes = Causes()
    for i, name in enumerate(obj["metadata"].get("finalizers") or []):
        if "/" not in name and name not in _FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.invalid(f"metadata.finalizers[{i}]", name, why)
    validate = _RULES.get(obj["kind"])
    if validate:
        validate(obj, causes)
    validate_limits(obj, causes)
    of_old = obj["kind"] == "NetworkPolicy" and not profile().modern
    _raise_if_any("extensions" if of_old else resource.group, obj, causes)


# Of some types of Secret, which keys it must have: all of them, but of a password any one.
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/basic-auth": ("username", "password"),
}


def _secret_keys(obj: Obj, causes: Causes) -> None:
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
    "Secret": _secret_keys,
    "ConfigMap": _config_map,
    "Role": _role,
    "ClusterRole": _role,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Event": _event,
    "NetworkPolicy": _network_policy,
}


def check_decodable(obj: Obj) -> None:
    """Raise a 400 when a quantity or the data of a Secret cannot be read at all."""
    kind = obj["kind"]
    version = obj["apiVersion"].rpartition("/")[2]
    prefix = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    if kind == "Secret":
        for value in (obj.get("data") or {}).values():
            place = _broken_base64(value)
            if place is not None:
                raise bad_request(f"{prefix}illegal base64 data at input byte {place}")
    for _, container in containers_of(obj):
        resources = container.get("resources") or {}
        for part in ("limits", "requests"):
            for value in (resources.get(part) or {}).values():
                if not is_quantity(value):
                    raise bad_request(prefix + _QUANTITY_RULE)


def _broken_base64(value: object) -> int | None:
    """Return where a text stops being base64, or None when it is sound."""
    text = str(value)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = re.match(r"[A-Za-z0-9+/]*", text)
        return found.end() if found and found.end() < len(text) else len(text) // 4 * 4
    return None
