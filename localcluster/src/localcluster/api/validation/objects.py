"""What a manifest may not say, and the words in which the real server refuses it (422)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from ...apimachinery.apierrors import invalid
from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from ...apimachinery.resources import Resource
from ...apimachinery.selectors import NAME_RULE, VALUE_RULE, valid_key, valid_value
from . import pods, probes
from . import volumes as volumerules
from .apps import check_set, check_set_change
from .batch import check_job, check_job_change
from .causes import Causes, go_texts, shown_role, shown_texts

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_LABEL_1035 = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_ENV_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
_QUANTITY = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$")

_WORDS_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used"
    r" for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_WORDS_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
    " must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex"
    " used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_WORDS_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or"
    " 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_WORDS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an"
    " alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or"
    " 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_WORDS_PORT = "must be between 1 and 65535, inclusive"
_POD_FIELDS_OF_OLD = (
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


def valid_name(name: str) -> bool:
    """Tell whether `name` is safe and legal as the name of any object."""
    return len(name) <= 253 and bool(_SUBDOMAIN.fullmatch(name))


def valid_data_key(name: str) -> bool:
    """Tell whether `name` is good as a key of a ConfigMap or Secret, and so as a file's name."""
    known = re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", name)
    return bool(known) and name != "." and not name.startswith("..")


def _metadata(kind: str, metadata: Obj, causes: Causes) -> None:
    name = metadata["name"]
    if kind == "Namespace":
        if len(name) > 63 or not _LABEL.fullmatch(name):
            causes.invalid("metadata.name", name, _WORDS_LABEL)
    elif kind == "Service":
        if len(name) > 63 or not _LABEL_1035.fullmatch(name):
            causes.invalid("metadata.name", name, _WORDS_1035)
    elif kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        if "/" in name or "%" in name or name in (".", ".."):
            causes.invalid("metadata.name", name, "may not contain '/' or '%'")
    elif not valid_name(name):
        causes.invalid("metadata.name", name, _WORDS_SUBDOMAIN)
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


def _environment(variables: list[Obj], at: str, causes: Causes) -> None:
    for i, variable in enumerate(variables):
        where = f"{at}[{i}]"
        if not variable.get("name"):
            causes.required(f"{where}.name")
        elif not _ENV_NAME.fullmatch(variable["name"]):
            causes.invalid(
                f"{where}.name",
                variable["name"],
                "a valid environment variable name must consist of alphabetic characters,"
                " digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',"
                "  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is"
                " '[-._a-zA-Z][-._a-zA-Z0-9]*')",
            )
        if variable.get("value") and variable.get("valueFrom"):
            causes.invalid(
                f"{where}.valueFrom", "", "may not be specified when `value` is not empty"
            )


def _resources(resources: Obj, at: str, causes: Causes) -> None:
    for part in ("limits", "requests"):
        for name, value in (resources.get(part) or {}).items():
            if not _QUANTITY.fullmatch(str(value)):
                causes.invalid(
                    f"{at}.{part}[{name}]",
                    value,
                    "quantities must match the regular expression"
                    " '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                )


def _containers(containers: list[Obj], at: str, volumes: set[str], causes: Causes) -> None:
    seen: set[str] = set()
    for i, container in enumerate(containers):
        where = f"{at}[{i}]"
        name = container.get("name")
        if not name:
            causes.required(f"{where}.name")
        elif len(name) > 63 or not _LABEL.fullmatch(name):
            causes.invalid(f"{where}.name", name, _WORDS_LABEL)
        elif name in seen:
            causes.duplicate(f"{where}.name", name)
        seen.add(name or "")
        if not container.get("image"):
            causes.required(f"{where}.image")
        policy = container.get("imagePullPolicy")
        if policy not in (None, "Always", "IfNotPresent", "Never"):
            causes.unsupported(
                f"{where}.imagePullPolicy", policy, ["Always", "IfNotPresent", "Never"]
            )
        for j, port in enumerate(container.get("ports") or []):
            number = port.get("containerPort")
            if not isinstance(number, int) or not 0 < number < 65536:
                causes.invalid(
                    f"{where}.ports[{j}].containerPort",
                    number,
                    "must be between 1 and 65535, inclusive",
                )
        mounts = container.get("volumeMounts") or []
        volumerules.check_mounts(mounts, f"{where}.volumeMounts", volumes, causes)
        _environment(container.get("env") or [], f"{where}.env", causes)
        pods.check_container(container, where, causes)
        probes.check(container, where, causes)
        _resources(container.get("resources") or {}, f"{where}.resources", causes)


def _pod_spec(spec: Obj, at: str, causes: Causes) -> None:
    volumes = {str(volume.get("name") or "") for volume in spec.get("volumes") or []}
    for i, volume in enumerate(spec.get("volumes") or []):
        name = str(volume.get("name") or "")
        if not name:
            causes.required(f"{at}.volumes[{i}].name")
        elif len(name) > 63 or not _LABEL.fullmatch(name):
            causes.invalid(f"{at}.volumes[{i}].name", name, _WORDS_LABEL)
    volumerules.check_volumes(spec.get("volumes") or [], f"{at}.volumes", causes)
    if not spec.get("containers"):
        causes.required(f"{at}.containers")
    _containers(spec.get("initContainers") or [], f"{at}.initContainers", volumes, causes)
    _containers(spec.get("containers") or [], f"{at}.containers", volumes, causes)
    policy = spec.get("restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        causes.unsupported(f"{at}.restartPolicy", policy, ["Always", "OnFailure", "Never"])
    pods.check_spec(spec, at, causes)
    if spec.get("hostname") and not _LABEL.fullmatch(spec["hostname"]):
        causes.invalid(f"{at}.hostname", spec["hostname"], _WORDS_LABEL)


def _pod(obj: Obj, causes: Causes) -> None:
    _pod_spec(obj["spec"], "spec", causes)


def _template(template: Obj, causes: Causes) -> None:
    _labels(template["metadata"].get("labels"), "spec.template.labels", causes)
    _pod_spec(template["spec"], "spec.template.spec", causes)


def _job(obj: Obj, causes: Causes) -> None:
    found = Causes()
    _template(obj["spec"]["template"], found)
    # In the real server's order: the Job's numbers first, then its template, then the rest.
    check_job(obj, causes)
    at = next((i for i, c in enumerate(causes) if "template" in c["field"]), len(causes))
    causes[at:at] = found


def _set(obj: Obj, causes: Causes) -> None:
    check_set(obj, causes)
    _template(obj["spec"]["template"], causes)


def _service(obj: Obj, causes: Causes) -> None:
    spec = obj["spec"]
    if spec["type"] not in ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"):
        supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
        causes.unsupported("spec.type", spec["type"], supported)
    if not spec.get("ports") and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.required("spec.ports")
    for i, port in enumerate(spec.get("ports") or []):
        at, number, target = f"spec.ports[{i}]", port.get("port"), port.get("targetPort")
        if len(spec["ports"]) > 1 and not port.get("name"):
            causes.required(f"{at}.name")
        elif port.get("name") in {other.get("name") for other in spec["ports"][:i]}:
            causes.duplicate(f"{at}.name", port["name"])
        if not isinstance(number, int) or not 0 < number < 65536:
            causes.invalid(f"{at}.port", number or 0, _WORDS_PORT)
        if port.get("protocol") not in ("SCTP", "TCP", "UDP"):
            causes.unsupported(f"{at}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"])
        if isinstance(target, int) and not 0 < target < 65536:
            causes.invalid(f"{at}.targetPort", target, _WORDS_PORT)
    if spec.get("sessionAffinity") not in (None, "", "ClientIP", "None"):
        given = spec["sessionAffinity"]
        causes.unsupported("spec.sessionAffinity", given, ["ClientIP", "None"])
    if spec["type"] == "ExternalName" and not spec.get("externalName"):
        causes.required("spec.externalName")


def _data(obj: Obj, causes: Causes) -> None:
    for name, value in (obj.get("data") or {}).items():
        if not valid_data_key(name):
            causes.invalid(
                f"data[{name}]",
                name,
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
                " (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is"
                " '[-._a-zA-Z0-9]+')",
            )
        if obj["kind"] == "Secret":
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, TypeError, ValueError):
                causes.invalid(f"data[{name}]", "<hidden>", "the value is not base64")


_CREATE: dict[str, Callable[[Obj, Causes], None]] = {
    "Pod": _pod,
    "Job": _job,
    "ReplicaSet": _set,
    "Deployment": _set,
    "Service": _service,
    "Secret": _data,
    "ConfigMap": _data,
}


def check_create(resource: Resource, obj: Obj) -> None:
    """Raise a 422 when the new object (with its defaults) is not valid."""
    causes = Causes()
    _metadata(obj["kind"], obj["metadata"], causes)
    check = _CREATE.get(obj["kind"])
    if check:
        check(obj, causes)
    if causes:
        raise invalid(obj["kind"], resource.group, obj["metadata"]["name"], list(causes))


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


def check_update(resource: Resource, old: Obj, new: Obj) -> None:
    """Raise a 422 when the change from `old` to `new` is not allowed."""
    causes = Causes()
    kind = new["kind"]
    _metadata(kind, new["metadata"], causes)
    _no_new_finalizers(old["metadata"], new["metadata"], causes)
    check = _CREATE.get(kind)
    if check:
        check(new, causes)
    was, now = old.get("spec") or {}, new.get("spec") or {}
    if kind == "Pod" and _frozen_pod(was) != _frozen_pod(now):
        causes.forbidden("spec", _POD_FIELDS if profile().modern else _POD_FIELDS_OF_OLD)
    if kind == "Job":
        # The real server looks at a Job's spec twice.
        causes += [c for c in causes if "auto-generated" not in c["message"]]
        check_job_change(old, new, causes)
    if kind in ("ReplicaSet", "Deployment"):
        check_set_change(old, new, causes)
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
    if causes:
        raise invalid(kind, resource.group, new["metadata"]["name"], list(causes))
