"""What a manifest may not say, and the words in which the real server refuses it (422)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

from wqlib.localcluster.apimachinery.apierrors import invalid
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.resources import Resource
from wqlib.localcluster.apimachinery.selectors import match_labels

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_LABEL_1035 = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
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
_WORDS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an"
    " alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or"
    " 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_POD_FIELDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only"
    " additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be"
    " set to 1 if it was previously negative)"
)


_UNSUPPORTED_JOB_FIELDS = (
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "podFailurePolicy",
    "successPolicy",
)


class Causes(list[Obj]):
    """The complaints about one object."""

    def required(self, field: str, why: str = "") -> None:
        self._add(
            field, "FieldValueRequired", f"Required value: {why}" if why else "Required value"
        )

    def invalid(self, field: str, value: Any, why: str) -> None:
        shown = json.dumps(value)
        self._add(field, "FieldValueInvalid", f"Invalid value: {shown}: {why}")

    def unsupported(self, field: str, value: Any, supported: list[str]) -> None:
        known = ", ".join(json.dumps(one) for one in supported)
        text = f"Unsupported value: {json.dumps(value)}: supported values: {known}"
        self._add(field, "FieldValueNotSupported", text)

    def duplicate(self, field: str, value: Any) -> None:
        self._add(field, "FieldValueDuplicate", f"Duplicate value: {json.dumps(value)}")

    def forbidden(self, field: str, why: str) -> None:
        self._add(field, "FieldValueForbidden", f"Forbidden: {why}")

    def _add(self, field: str, reason: str, message: str) -> None:
        self.append({"reason": reason, "message": message, "field": field})


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
    elif kind in ("Role", "RoleBinding"):
        if "/" in name or "%" in name or name in (".", ".."):
            causes.invalid("metadata.name", name, "may not contain '/' or '%'")
    elif not valid_name(name):
        causes.invalid("metadata.name", name, _WORDS_SUBDOMAIN)
    for owner in metadata.get("ownerReferences") or []:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                word = "version" if field == "apiVersion" else field
                causes.invalid(f"metadata.ownerReferences.{field}", "", f"{word} must not be empty")
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            causes.invalid(
                "metadata.labels",
                value,
                "a valid label must be an empty string or consist of alphanumeric characters,"
                " '-', '_' or '.', and must start and end with an alphanumeric character"
                f" (label {key!r})",
            )


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
                " digits, '_', '-', or '.', and must not start with a digit",
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
        for j, mount in enumerate(container.get("volumeMounts") or []):
            if mount.get("name") not in volumes:
                message = f'Not found: "{mount.get("name")}"'
                field = f"{where}.volumeMounts[{j}].name"
                causes.append({"reason": "FieldValueNotFound", "message": message, "field": field})
        _environment(container.get("env") or [], f"{where}.env", causes)
        _resources(container.get("resources") or {}, f"{where}.resources", causes)


def _pod_spec(spec: Obj, at: str, causes: Causes) -> None:
    volumes = {str(volume.get("name") or "") for volume in spec.get("volumes") or []}
    for i, volume in enumerate(spec.get("volumes") or []):
        name = str(volume.get("name") or "")
        if len(name) > 63 or not _LABEL.fullmatch(name):
            causes.invalid(f"{at}.volumes[{i}].name", name, _WORDS_LABEL)
    if not spec.get("containers"):
        causes.required(f"{at}.containers")
    _containers(spec.get("initContainers") or [], f"{at}.initContainers", volumes, causes)
    _containers(spec.get("containers") or [], f"{at}.containers", volumes, causes)
    policy = spec.get("restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        causes.unsupported(f"{at}.restartPolicy", policy, ["Always", "OnFailure", "Never"])


def _pod(obj: Obj, causes: Causes) -> None:
    _pod_spec(obj["spec"], "spec", causes)


def _not_negative(spec: Obj, names: tuple[str, ...], causes: Causes) -> None:
    for name in names:
        value = spec.get(name)
        if isinstance(value, int) and value < 0:
            causes.invalid(f"spec.{name}", value, "must be greater than or equal to 0")


def _job(obj: Obj, causes: Causes) -> None:
    spec = obj["spec"]
    numbers = ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished")
    _not_negative(spec, (*numbers, "activeDeadlineSeconds"), causes)
    if spec["completionMode"] != "NonIndexed":
        causes.unsupported("spec.completionMode", spec["completionMode"], ["NonIndexed"])
    for name in _UNSUPPORTED_JOB_FIELDS:
        if spec.get(name) is not None:
            causes.forbidden(f"spec.{name}", "the local cluster does not support it")
    template = spec["template"]
    if not spec.get("selector"):
        causes.required("spec.selector")
    elif not match_labels(spec["selector"], template["metadata"].get("labels") or {}):
        causes.invalid(
            "spec.template.metadata.labels",
            template["metadata"].get("labels"),
            "`selector` does not match template `labels`",
        )
    policy = template["spec"].get("restartPolicy")
    _pod_spec({**template["spec"], "restartPolicy": "Never"}, "spec.template.spec", causes)
    if policy == "Always":
        at = "spec.template.spec.restartPolicy"
        causes.required(at, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        causes.unsupported("spec.template.spec.restartPolicy", policy, ["OnFailure", "Never"])


def _service(obj: Obj, causes: Causes) -> None:
    spec = obj["spec"]
    if spec["type"] not in ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"):
        supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
        causes.unsupported("spec.type", spec["type"], supported)
    if not spec.get("ports") and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.required("spec.ports")
    for i, port in enumerate(spec.get("ports") or []):
        number = port.get("port")
        if not isinstance(number, int) or not 0 < number < 65536:
            causes.invalid(
                f"spec.ports[{i}].port", number, "must be between 1 and 65535, inclusive"
            )
        if len(spec["ports"]) > 1 and not port.get("name"):
            causes.required(f"spec.ports[{i}].name")


def _data(obj: Obj, causes: Causes) -> None:
    for name, value in (obj.get("data") or {}).items():
        if not valid_data_key(name):
            causes.invalid(
                f"data[{name}]",
                name,
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            )
        if obj["kind"] == "Secret":
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, TypeError, ValueError):
                causes.invalid(f"data[{name}]", "<hidden>", "the value is not base64")


_CREATE: dict[str, Callable[[Obj, Causes], None]] = {
    "Pod": _pod,
    "Job": _job,
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


def check_update(resource: Resource, old: Obj, new: Obj) -> None:
    """Raise a 422 when the change from `old` to `new` is not allowed."""
    causes = Causes()
    kind = new["kind"]
    _metadata(kind, new["metadata"], causes)
    check = _CREATE.get(kind)
    if check:
        check(new, causes)
    was, now = old.get("spec") or {}, new.get("spec") or {}
    if kind == "Pod" and _frozen_pod(was) != _frozen_pod(now):
        causes.forbidden("spec", _POD_FIELDS)
    if kind == "Job":
        for name in ("completions", "selector", "template", "completionMode"):
            if was.get(name) != now.get(name):
                causes.invalid(f"spec.{name}", now.get(name), "field is immutable")
    if kind == "Service" and was.get("clusterIP") != now.get("clusterIP"):
        causes.invalid("spec.clusterIP", now.get("clusterIP"), "field is immutable")
    if kind in ("Secret", "ConfigMap") and old.get("immutable"):
        for name in ("data", "binaryData", "immutable"):
            if old.get(name) != new.get(name):
                causes.forbidden(name, "field is immutable when `immutable` is set")
    if kind == "Secret" and old.get("type") != new.get("type"):
        causes.invalid("type", new.get("type"), "field is immutable")
    if causes:
        raise invalid(kind, resource.group, new["metadata"]["name"], list(causes))
