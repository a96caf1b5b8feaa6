"""What the server refuses about pods: their settings, containers, probes and hooks.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from ...apimachinery.quantities import quantity
from .causes import Causes
from .names import DNS_LABEL, DNS_LABEL_RULE, is_dns_label
from .volumes import validate_mounts, validate_volumes

_DNS = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]
_OLD_DNS = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
_PROTOCOLS = ["SCTP", "TCP", "UDP"]
_PULL_POLICIES = ["Always", "IfNotPresent", "Never"]
_RESTART_POLICIES = ["Always", "OnFailure", "Never"]
_RESOURCES = {"cpu", "memory", "ephemeral-storage"}
_PORT_NAME = re.compile(r"[-a-z0-9]+")
_PROBE_PORT_NAME = re.compile(r"[-a-zA-Z0-9]+")
_ALPHANUMERIC = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
PORT_RULE = "must be between 1 and 65535, inclusive"
_ENV_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
_ENV_NAME_RULE = (
    "a valid environment variable name must consist of alphabetic characters,"
    " digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',"
    "  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is"
    " '[-._a-zA-Z][-._a-zA-Z0-9]*')"
)
_MOST = 2**31 - 1
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)


def containers_of(obj: Obj) -> Iterator[tuple[str, Obj]]:
    """Yield the containers of a pod, or of a template, with their paths."""
    at, spec = "spec", obj.get("spec") or {}
    if obj["kind"] == "CronJob":
        at, spec = f"{at}.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {}
    if obj["kind"] != "Pod":
        at, spec = f"{at}.template.spec", (spec.get("template") or {}).get("spec") or {}
    for part in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(part) or []):
            yield f"{at}.{part}[{i}]", container


def validate_limits(obj: Obj, causes: Causes) -> None:
    """Complain about containers that ask for more than they may use."""
    for at, container in containers_of(obj):
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        for name, value in (resources.get("requests") or {}).items():
            if name in limits and quantity(value) > quantity(limits[name]):
                most = f" of {limits[name]}" if profile().modern else ""
                why = f"must be less than or equal to {name} limit{most}"
                causes.invalid(f"{at}.resources.requests", str(value), why)


def validate_pod_spec(spec: Obj, at: str, causes: Causes) -> None:
    """Complain about a pod's spec, in a pod or in a template."""
    volumes = {str(volume.get("name") or "") for volume in spec.get("volumes") or []}
    for i, volume in enumerate(spec.get("volumes") or []):
        name = str(volume.get("name") or "")
        if not name:
            causes.required(f"{at}.volumes[{i}].name")
        elif not is_dns_label(name):
            causes.invalid(f"{at}.volumes[{i}].name", name, DNS_LABEL_RULE)
    validate_volumes(spec.get("volumes") or [], f"{at}.volumes", causes)
    if not spec.get("containers"):
        causes.required(f"{at}.containers")
    _containers(spec.get("initContainers") or [], f"{at}.initContainers", volumes, causes)
    _containers(spec.get("containers") or [], f"{at}.containers", volumes, causes)
    ephemeral = spec.get("ephemeralContainers") or []
    _containers(ephemeral, f"{at}.ephemeralContainers", volumes, causes)
    policy = spec.get("restartPolicy")
    if policy not in _RESTART_POLICIES:
        causes.unsupported(f"{at}.restartPolicy", policy, _RESTART_POLICIES)
    _pod_settings(spec, at, causes)
    if spec.get("hostname") and not DNS_LABEL.fullmatch(spec["hostname"]):
        causes.invalid(f"{at}.hostname", spec["hostname"], DNS_LABEL_RULE)


def _containers(containers: list[Obj], at: str, volumes: set[str], causes: Causes) -> None:
    seen: set[str] = set()
    for i, container in enumerate(containers):
        where = f"{at}[{i}]"
        name = container.get("name")
        if not name:
            causes.required(f"{where}.name")
        elif not is_dns_label(name):
            causes.invalid(f"{where}.name", name, DNS_LABEL_RULE)
        elif name in seen:
            causes.duplicate(f"{where}.name", name)
        seen.add(name or "")
        if not container.get("image"):
            causes.required(f"{where}.image")
        policy = container.get("imagePullPolicy")
        if policy is not None and policy not in _PULL_POLICIES:
            causes.unsupported(f"{where}.imagePullPolicy", policy, _PULL_POLICIES)
        for j, port in enumerate(container.get("ports") or []):
            number = port.get("containerPort")
            if not isinstance(number, int) or not 0 < number < 65536:
                causes.invalid(f"{where}.ports[{j}].containerPort", number, PORT_RULE)
        mounts = container.get("volumeMounts") or []
        validate_mounts(mounts, f"{where}.volumeMounts", volumes, causes)
        _environment(container.get("env") or [], f"{where}.env", causes)
        _container_settings(container, where, causes)
        _hooks_and_probes(container, where, causes)


def _environment(variables: list[Obj], at: str, causes: Causes) -> None:
    for i, variable in enumerate(variables):
        where = f"{at}[{i}]"
        if not variable.get("name"):
            causes.required(f"{where}.name")
        elif not _ENV_NAME.fullmatch(variable["name"]):
            causes.invalid(f"{where}.name", variable["name"], _ENV_NAME_RULE)
        if variable.get("value") and variable.get("valueFrom"):
            why = "may not be specified when `value` is not empty"
            causes.invalid(f"{where}.valueFrom", "", why)


def _pod_settings(spec: Obj, at: str, causes: Causes) -> None:
    """Complain about the settings of the pod as a whole."""
    names = {container.get("name") for container in spec.get("containers") or []}
    for i, container in enumerate(spec.get("initContainers") or []):
        if container.get("name") in names:
            causes.duplicate(f"{at}.initContainers[{i}].name", container["name"])
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is not None and not 0 < seconds <= _MOST:
        why = f"must be between 1 and {_MOST}, inclusive"
        causes.invalid(f"{at}.activeDeadlineSeconds", seconds, why)
    policies = _DNS if profile().modern else _OLD_DNS
    causes.one_of(f"{at}.dnsPolicy", spec.get("dnsPolicy"), policies)
    for i, toleration in enumerate(spec.get("tolerations") or []):
        where = f"{at}.tolerations[{i}].operator"
        causes.one_of(where, toleration.get("operator"), ["Equal", "Exists"])


def _container_settings(container: Obj, at: str, causes: Causes) -> None:
    """Complain about ports, environment sources, resources and the termination message."""
    _ports(container.get("ports") or [], f"{at}.ports", causes)
    for source in container.get("envFrom") or []:
        if not (source.get("configMapRef") or source.get("secretRef")):
            why = "must specify one of: `configMapRef` or `secretRef`"
            causes.invalid(f"{at}.envFrom", "", why)
    for i, variable in enumerate(container.get("env") or []):
        if variable.get("valueFrom") is not None:
            _value_source(variable["valueFrom"], f"{at}.env[{i}].valueFrom", causes)
    policy = container.get("terminationMessagePolicy")
    if policy not in (None, "", "File", "FallbackToLogsOnError"):
        why = "must be 'File' or 'FallbackToLogsOnError'"
        causes.invalid(f"{at}.terminationMessagePolicy", policy, why)
    _resources(container.get("resources") or {}, f"{at}.resources", causes)


def _ports(ports: list[Obj], at: str, causes: Causes) -> None:
    seen: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name")
        if name:
            if len(name) > 15:
                causes.invalid(f"{at}[{i}].name", name, "must be no more than 15 characters")
            if not _PORT_NAME.fullmatch(name):
                causes.invalid(f"{at}[{i}].name", name, _ALPHANUMERIC)
            if not re.search("[a-z]", name):
                why = "must contain at least one letter or number (a-z, 0-9)"
                causes.invalid(f"{at}[{i}].name", name, why)
            if name in seen:
                causes.duplicate(f"{at}[{i}].name", name)
            seen.add(name)
        causes.one_of(f"{at}[{i}].protocol", port.get("protocol"), _PROTOCOLS)


def _value_source(source: Obj, at: str, causes: Causes) -> None:
    if not any(part is not None for part in source.values()):
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or"
        causes.invalid(at, "", f"{why} `secretKeyRef`")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if source.get(kind) is not None and not source[kind].get("key"):
            causes.required(f"{at}.{kind}.key")


def _resources(resources: Obj, at: str, causes: Causes) -> None:
    for part in ("limits", "requests"):
        for name, value in (resources.get(part) or {}).items():
            where = f"{at}.{part}[{name}]"
            if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
                causes.invalid(where, name, "must be a standard resource type or fully qualified")
                causes.invalid(where, name, "must be a standard resource for containers")
            elif re.match(r"-[\d.]*[1-9]", str(value)):
                causes.invalid(where, str(value), "must be greater than or equal to 0")


def _hooks_and_probes(container: Obj, at: str, causes: Causes) -> None:
    """Complain about lifecycle hooks and probes, in the order of the real server."""
    lifecycle = container.get("lifecycle") or {}
    for kind in ("postStart", "preStop"):
        if lifecycle.get(kind) is not None:
            _handler(lifecycle[kind], f"{at}.lifecycle.{kind}", causes)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(kind) is not None:
            _probe(container[kind], f"{at}.{kind}", kind, causes)


def _probe(probe: Obj, at: str, kind: str, causes: Causes) -> None:
    _handler(probe, at, causes)
    for name in _COUNTS:
        if (probe.get(name) or 0) < 0:
            causes.invalid(f"{at}.{name}", probe[name], "must be greater than or equal to 0")
    wins = probe.get("successThreshold") or 1
    if kind != "readinessProbe" and wins != 1:
        causes.invalid(f"{at}.successThreshold", wins, "must be 1")


def _handler(handler: Obj, at: str, causes: Causes) -> None:
    """Complain unless there is exactly one handler, and a valid one."""
    known = [name for name in _HANDLERS if handler.get(name) is not None]
    if not known:
        causes.required(at, "must specify a handler type")
    for name in known[1:]:
        causes.forbidden(f"{at}.{name}", "may not specify more than 1 handler type")
    for name in known[:1]:
        if name == "exec" and not handler["exec"].get("command"):
            causes.required(f"{at}.exec.command")
        elif name in ("httpGet", "tcpSocket"):
            _handler_port(handler[name].get("port"), f"{at}.{name}.port", causes)


def _handler_port(port: int | str | None, at: str, causes: Causes) -> None:
    if isinstance(port, str) and not _PROBE_PORT_NAME.fullmatch(port):
        causes.invalid(at, port, _ALPHANUMERIC)
    elif not isinstance(port, str) and not 0 < (port or 0) < 65536:
        causes.invalid(at, port or 0, PORT_RULE)
