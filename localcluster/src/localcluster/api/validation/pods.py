"""What the server refuses about pods: their settings, containers, probes and hooks.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import quantity
from .causes import Causes
from .metadata import validate_annotations, validate_labels, validate_selector
from .names import (
    IP_RULE,
    PORT_RULE,
    is_ip,
    is_port,
    label_faults,
    port_name_faults,
    subdomain_faults,
)
from .volumes import validate_mounts, validate_volumes

_DNS = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]
_PROTOCOLS = ["SCTP", "TCP", "UDP"]
_PULL_POLICIES = ["Always", "IfNotPresent", "Never"]
_RESTART_POLICIES = ["Always", "OnFailure", "Never"]
_RESOURCES = {"cpu", "memory", "ephemeral-storage"}
# Printable ASCII, but not the `=`.
_ENV_NAME = re.compile(r"[ -<>-~]+")
_ENV_NAME_RULE = (
    "a valid environment variable name must consist only of printable ASCII characters other"
    " than '='"
)
_NOT_NEGATIVE = "must be greater than or equal to 0"
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


def containers_of(obj: Obj) -> Iterator[tuple[str, Obj]]:
    """Yield the containers of a pod, or of a template, with their paths."""
    at, template = template_of(obj)
    spec, at = template.get("spec") or {}, f"{at}.spec".lstrip(".")
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
                why = f"must be less than or equal to {name} limit of {limits[name]}"
                causes.invalid(f"{at}.resources.requests", str(value), why)


def validate_template(template: Obj, at: str, causes: Causes, *, whole: bool = True) -> None:
    """Complain about a pod template; when not as a `whole`, about its metadata only."""
    validate_labels(template["metadata"].get("labels"), f"{at}.labels", causes)
    validate_annotations(template["metadata"].get("annotations"), f"{at}.annotations", causes)
    if not whole:
        return
    validate_pod_spec(template["spec"], f"{at}.spec", causes)
    if template["spec"].get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        causes.forbidden(f"{at}.spec.ephemeralContainers", why)


def validate_pod_spec(spec: Obj, at: str, causes: Causes) -> None:
    """Complain about a pod's spec, in a pod or in a template."""
    volumes = {str(volume.get("name") or "") for volume in spec.get("volumes") or []}
    for i, volume in enumerate(spec.get("volumes") or []):
        name = str(volume.get("name") or "")
        if not name:
            causes.required(f"{at}.volumes[{i}].name")
        else:
            causes.faults(f"{at}.volumes[{i}].name", name, label_faults(name))
    validate_volumes(spec.get("volumes") or [], f"{at}.volumes", causes)
    if not spec.get("containers"):
        causes.required(f"{at}.containers")
    _containers(spec.get("initContainers") or [], f"{at}.initContainers", volumes, causes)
    _containers(spec.get("containers") or [], f"{at}.containers", volumes, causes)
    ephemeral = spec.get("ephemeralContainers") or []
    _containers(ephemeral, f"{at}.ephemeralContainers", volumes, causes)
    if ephemeral and at != "spec":
        why = "ephemeral containers not allowed in pod template"
        causes.forbidden(f"{at}.ephemeralContainers", why)
    policy = spec.get("restartPolicy")
    if policy not in _RESTART_POLICIES:
        causes.unsupported(f"{at}.restartPolicy", policy, _RESTART_POLICIES)
    _pod_settings(spec, at, causes)


def _containers(containers: list[Obj], at: str, volumes: set[str], causes: Causes) -> None:
    seen: set[str] = set()
    for i, container in enumerate(containers):
        where = f"{at}[{i}]"
        name = container.get("name")
        if not name:
            causes.required(f"{where}.name")
        elif label_faults(name):
            causes.faults(f"{where}.name", name, label_faults(name))
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
            if not is_port(number):
                causes.invalid(f"{where}.ports[{j}].containerPort", number, PORT_RULE)
            if port.get("hostPort") and not is_port(port["hostPort"]):
                causes.invalid(f"{where}.ports[{j}].hostPort", port["hostPort"], PORT_RULE)
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
    causes.one_of(f"{at}.dnsPolicy", spec.get("dnsPolicy"), _DNS)
    for i, toleration in enumerate(spec.get("tolerations") or []):
        _toleration(toleration, f"{at}.tolerations[{i}]", causes)
    for name, faults in (
        ("hostname", label_faults),
        ("subdomain", label_faults),
        ("nodeName", subdomain_faults),
        ("serviceAccountName", subdomain_faults),
    ):
        if spec.get(name):
            causes.faults(f"{at}.{name}", spec[name], faults(spec[name]))
    validate_labels(spec.get("nodeSelector"), f"{at}.nodeSelector", causes)
    for i, alias in enumerate(spec.get("hostAliases") or []):
        if not is_ip(alias.get("ip")):
            causes.invalid(f"{at}.hostAliases[{i}].ip", alias.get("ip"), IP_RULE)
    for i, spread in enumerate(spec.get("topologySpreadConstraints") or []):
        _spread(spread, f"{at}.topologySpreadConstraints[{i}]", causes)
    _security(spec.get("securityContext") or {}, f"{at}.securityContext", causes)
    if (spec.get("os") or {}).get("name") not in (None, "linux", "windows"):
        causes.unsupported(f"{at}.os.name", spec["os"]["name"], ["linux", "windows"])
    for i, gate in enumerate(spec.get("schedulingGates") or []):
        if gate in spec["schedulingGates"][:i]:
            causes.duplicate(f"{at}.schedulingGates[{i}]", gate.get("name"))


def _toleration(toleration: Obj, at: str, causes: Causes) -> None:
    operator, effect = toleration.get("operator") or "Equal", toleration.get("effect")
    if toleration.get("key"):
        validate_labels({toleration["key"]: ""}, f"{at}.key", causes)
    elif operator != "Exists":
        why = "operator must be Exists when `key` is empty, which means"
        causes.invalid(f"{at}.operator", operator, f'{why} "match all values and all keys"')
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        causes.invalid(f"{at}.effect", effect or "", why)
    if operator == "Exists" and toleration.get("value"):
        why = "value must be empty when `operator` is 'Exists'"
        causes.invalid(f"{at}.operator", toleration, why)
    causes.one_of(f"{at}.operator", operator, ["Equal", "Exists"])
    causes.one_of(f"{at}.effect", effect, _EFFECTS)


def _spread(spread: Obj, at: str, causes: Causes) -> None:
    if spread.get("maxSkew", 0) <= 0:
        causes.invalid(f"{at}.maxSkew", spread.get("maxSkew", 0), "must be greater than zero")
    if not spread.get("topologyKey"):
        causes.required(f"{at}.topologyKey", "can not be empty")
    allowed, given = ["DoNotSchedule", "ScheduleAnyway"], spread.get("whenUnsatisfiable")
    if given not in allowed:
        causes.unsupported(f"{at}.whenUnsatisfiable", given, allowed)
    validate_selector(spread.get("labelSelector"), f"{at}.labelSelector", causes)


def _security(security: Obj, at: str, causes: Causes) -> None:
    """Complain about the security context of a pod or of a container."""
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        number = security.get(name)
        if number is not None and not 0 <= number <= _MOST:
            causes.invalid(f"{at}.{name}", number, f"must be between 0 and {_MOST}, inclusive")
    if security.get("allowPrivilegeEscalation") is False:
        why = "cannot set `allowPrivilegeEscalation` to false and"
        if security.get("privileged"):
            causes.invalid(at, security, f"{why} `privileged` to true")
        added = (security.get("capabilities") or {}).get("add") or []
        if "CAP_SYS_ADMIN" in added or "SYS_ADMIN" in added:
            causes.invalid(at, security, f"{why} `capabilities.Add` CAP_SYS_ADMIN")
    for name in ("seccompProfile", "appArmorProfile"):
        profile, known = security.get(name), ["Localhost", "RuntimeDefault", "Unconfined"]
        if profile and profile.get("type") not in known:
            causes.unsupported(f"{at}.{name}.type", profile.get("type"), known)
        elif profile and profile["type"] == "Localhost" and not profile.get("localhostProfile"):
            why = "must be set when seccomp type is Localhost"
            causes.required(f"{at}.{name}.localhostProfile", why)
    mount = security.get("procMount")
    causes.one_of(f"{at}.procMount", mount, ["Default", "Unmasked"])


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
    _security(container.get("securityContext") or {}, f"{at}.securityContext", causes)


def _ports(ports: list[Obj], at: str, causes: Causes) -> None:
    seen: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name")
        if name:
            causes.faults(f"{at}[{i}].name", name, port_name_faults(name))
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
                causes.invalid(where, str(value), _NOT_NEGATIVE)


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
            causes.invalid(f"{at}.{name}", probe[name], _NOT_NEGATIVE)
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
            scheme = handler[name].get("scheme")
            causes.one_of(f"{at}.{name}.scheme", scheme, ["HTTP", "HTTPS"])
        elif name == "grpc" and not is_port(handler["grpc"].get("port")):
            causes.invalid(f"{at}.grpc.port", handler["grpc"].get("port") or 0, PORT_RULE)


def _handler_port(port: int | str | None, at: str, causes: Causes) -> None:
    if isinstance(port, str):
        causes.faults(at, port, port_name_faults(port))
    elif not is_port(port):
        causes.invalid(at, port or 0, PORT_RULE)
