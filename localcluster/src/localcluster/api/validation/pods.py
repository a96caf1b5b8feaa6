"""What the server refuses about pods: their settings, containers, probes and hooks.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import re
from dataclasses import replace

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import quantity
from ..schema.schema import UNKNOWN
from .metadata import validate_annotations, validate_labels, validate_selector
from .names import (
    IP_RULE,
    is_ip,
    label_faults,
    port_name_faults,
    qualified_name_faults,
    subdomain_faults,
)
from .part import NOT_NEGATIVE, Part, repeated
from .volumes import validate_mounts, validate_volumes

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_RESTART_POLICIES = ["Always", "OnFailure", "Never"]
_RESOURCES = {"cpu", "memory", "ephemeral-storage"}
# Printable ASCII, but not the `=`.
_ENV_NAME = re.compile(r"[ -<>-~]+")
_ENV_NAME_RULE = (
    "a valid environment variable name must consist only of printable ASCII characters other"
    " than '='"
)
_EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
_MOST = 2**31 - 1
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)


def template_of(obj: Obj) -> tuple[str, Obj]:
    """Return the pod template in an object, with its path; a pod is its own.

    A kind that has no pods has an empty one.
    """
    if obj["kind"] == "Pod":
        return "", obj
    spec, at = obj.get("spec"), "spec.template"
    if obj["kind"] == "CronJob":
        spec, at = ((spec or {}).get("jobTemplate") or {}).get("spec"), f"spec.jobTemplate.{at}"
    found = spec.get("template") if isinstance(spec, dict) else None
    return at, found if isinstance(found, dict) else {}


def validate_limits(obj: Part) -> None:
    """Complain about containers that ask for more than they may use."""
    at, template = template_of(obj.value)
    pod = Part(template.get("spec") or {}, UNKNOWN, f"{at}.spec".lstrip("."), obj.causes)
    for container in pod.each("initContainers", "containers"):
        resources = container.part("resources")
        limits = resources["limits"] or {}
        for name, value in (resources["requests"] or {}).items():
            if name in limits and quantity(value) > quantity(limits[name]):
                why = f"must be less than or equal to {name} limit of {limits[name]}"
                resources.invalid("requests", why, str(value))


def validate_template(template: Part, *, whole: bool = True) -> None:
    """Complain about a pod template; when not as a `whole`, about its metadata only."""
    metadata = replace(template.part("metadata"), path=template.path)
    validate_labels(metadata, "labels")
    validate_annotations(metadata)
    if whole:
        validate_pod_spec(template.part("spec"))
        for _ in range(2 if template["spec"].get("ephemeralContainers") else 0):
            why = "ephemeral containers not allowed in pod template"
            template.forbidden("spec.ephemeralContainers", why)


def validate_pod_spec(spec: Part) -> None:
    """Complain about a pod's spec, in a pod or in a template."""
    validate_volumes(spec)
    spec.require("containers")
    volumes = {volume["name"] for volume in spec.each("volumes")}
    for part in _CONTAINERS:
        _containers(spec.each(part), volumes)
    spec.choose("restartPolicy", _RESTART_POLICIES, always=True)
    _pod_settings(spec)


def _containers(containers: list[Part], volumes: set[str]) -> None:
    for container, again in repeated(containers, "name"):
        container.check("name", label_faults, required=True)
        if again and container["name"] and not label_faults(container["name"]):
            container.duplicate("name")
        container.require("image")
        container.choose("imagePullPolicy")
        for port in container.each("ports"):
            port.port("containerPort")
            if port["hostPort"]:
                port.port("hostPort")
        validate_mounts(container, volumes)
        _environment(container.each("env"))
        _container_settings(container)
        _hooks_and_probes(container)


def _environment(variables: list[Part]) -> None:
    for variable in variables:
        variable.require("name")
        if variable["name"] and not _ENV_NAME.fullmatch(variable["name"]):
            variable.invalid("name", _ENV_NAME_RULE)
        if variable["value"] and variable["valueFrom"]:
            variable.invalid("valueFrom", "may not be specified when `value` is not empty", "")


def _pod_settings(spec: Part) -> None:
    """Complain about the settings of the pod as a whole."""
    names = [container["name"] for container in spec.each("containers")]
    for container in spec.each("initContainers"):
        if container["name"] in names:
            container.duplicate("name")
    seconds = spec["activeDeadlineSeconds"]
    if seconds is not None and not 0 < seconds <= _MOST:
        spec.invalid("activeDeadlineSeconds", f"must be between 1 and {_MOST}, inclusive")
    spec.choose("dnsPolicy")
    for toleration in spec.each("tolerations"):
        _toleration(toleration)
    spec.check("hostname", label_faults)
    spec.check("subdomain", label_faults)
    spec.check("nodeName", subdomain_faults)
    spec.check("serviceAccountName", subdomain_faults)
    validate_labels(spec, "nodeSelector")
    for alias in spec.each("hostAliases"):
        if not is_ip(alias["ip"]):
            alias.invalid("ip", IP_RULE)
    for spread in spec.each("topologySpreadConstraints"):
        _spread(spread)
    _security(spec.part("securityContext"))
    if spec["os"]:
        spec.part("os").choose("name", ["linux", "windows"], always=True)
    for gate, again in repeated(spec.each("schedulingGates"), "name"):
        if again:
            gate.causes.duplicate(gate.path, gate["name"])


def _toleration(toleration: Part) -> None:
    operator, effect = toleration["operator"] or "Equal", toleration["effect"]
    toleration.check("key", qualified_name_faults)
    if not toleration["key"] and operator != "Exists":
        why = "operator must be Exists when `key` is empty, which means"
        toleration.invalid("operator", f'{why} "match all values and all keys"', operator)
    if toleration["tolerationSeconds"] is not None and effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        toleration.invalid("effect", why, effect or "")
    if operator == "Exists" and toleration["value"]:
        why = "value must be empty when `operator` is 'Exists'"
        toleration.invalid("operator", why, toleration.value)
    toleration.choose("operator", ["Equal", "Exists"])
    toleration.choose("effect", _EFFECTS)


def _spread(spread: Part) -> None:
    if spread["maxSkew"] <= 0:
        spread.invalid("maxSkew", "must be greater than zero")
    spread.require("topologyKey", why="can not be empty")
    spread.choose("whenUnsatisfiable", always=True)
    validate_selector(spread.part("labelSelector"))


def _security(security: Part) -> None:
    """Complain about the security context of a pod or of a container."""
    if not security.value:
        return
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        if security[name] is not None and not 0 <= security[name] <= _MOST:
            security.invalid(name, f"must be between 0 and {_MOST}, inclusive")
    if security["allowPrivilegeEscalation"] is False:
        why = "cannot set `allowPrivilegeEscalation` to false and"
        if security["privileged"]:
            security.invalid("", f"{why} `privileged` to true")
        added = security.part("capabilities")["add"] or []
        if "CAP_SYS_ADMIN" in added or "SYS_ADMIN" in added:
            security.invalid("", f"{why} `capabilities.Add` CAP_SYS_ADMIN")
    for name in ("seccompProfile", "appArmorProfile"):
        if security[name]:
            profile = security.part(name)
            profile.choose("type", always=True)
            if profile["type"] == "Localhost":
                why = "must be set when seccomp type is Localhost"
                profile.require("localhostProfile", why=why)
    security.choose("procMount")


def _container_settings(container: Part) -> None:
    """Complain about ports, environment sources, resources and the termination message."""
    for port, again in repeated(container.each("ports"), "name"):
        port.check("name", port_name_faults)
        if port["name"] and again:
            port.duplicate("name")
        port.choose("protocol")
    for source in container["envFrom"] or []:
        if not (source.get("configMapRef") or source.get("secretRef")):
            why = "must specify one of: `configMapRef` or `secretRef`"
            container.invalid("envFrom", why, "")
    for variable in container.each("env"):
        if variable["valueFrom"] is not None:
            _value_source(variable.part("valueFrom"))
    policy = "terminationMessagePolicy"
    if container[policy] not in (None, "", "File", "FallbackToLogsOnError"):
        container.invalid(policy, "must be 'File' or 'FallbackToLogsOnError'")
    _resources(container.part("resources"))
    _security(container.part("securityContext"))


def _value_source(source: Part) -> None:
    if not any(part is not None for part in source.value.values()):
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or"
        source.invalid("", f"{why} `secretKeyRef`", "")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if source[kind] is not None:
            source.part(kind).require("key")


def _resources(resources: Part) -> None:
    for part in ("limits", "requests"):
        for name, value in (resources[part] or {}).items():
            at = f"{part}[{name}]"
            if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
                resources.invalid(at, "must be a standard resource type or fully qualified", name)
                resources.invalid(at, "must be a standard resource for containers", name)
            elif re.match(r"-[\d.]*[1-9]", str(value)):
                resources.invalid(at, NOT_NEGATIVE, str(value))


def _hooks_and_probes(container: Part) -> None:
    """Complain about lifecycle hooks and probes, in the order of the real server."""
    for kind in ("postStart", "preStop") if container["lifecycle"] else ():
        if container["lifecycle"].get(kind) is not None:
            _handler(container.part("lifecycle").part(kind))
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container[kind] is not None:
            probe = container.part(kind)
            _handler(probe)
            probe.not_negative(*_COUNTS)
            if kind != "readinessProbe" and (probe["successThreshold"] or 1) != 1:
                probe.invalid("successThreshold", "must be 1")


def _handler(handler: Part) -> None:
    """Complain unless there is exactly one handler, and a valid one."""
    known = [name for name in _HANDLERS if handler[name] is not None]
    if not known:
        handler.required("", "must specify a handler type")
    for name in known[1:]:
        handler.forbidden(name, "may not specify more than 1 handler type")
    for name in known[:1]:
        part = handler.part(name)
        if name == "exec":
            part.require("command")
        elif name in ("httpGet", "tcpSocket", "grpc"):
            part.port("port")
            part.choose("scheme")
