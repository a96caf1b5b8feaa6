"""What the server refuses about a pod's settings: the slips that are easily made by hand."""

from __future__ import annotations

import re
from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from .causes import Causes

_DNS = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]
_OLD_DNS = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
_PROTOCOLS = ["SCTP", "TCP", "UDP"]
_RESOURCES = {"cpu", "memory", "ephemeral-storage"}
_PORT_NAME = re.compile(r"[-a-z0-9]+")
_MOST = 2**31 - 1


def check_spec(spec: Obj, at: str, causes: Causes) -> None:
    """Complain about the settings of the pod as a whole."""
    names = {container.get("name") for container in spec.get("containers") or []}
    for i, container in enumerate(spec.get("initContainers") or []):
        if container.get("name") in names:
            causes.duplicate(f"{at}.initContainers[{i}].name", container["name"])
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is not None and not 0 < seconds <= _MOST:
        why = f"must be between 1 and {_MOST}, inclusive"
        causes.invalid(f"{at}.activeDeadlineSeconds", seconds, why)
    _one_of(
        spec.get("dnsPolicy"), f"{at}.dnsPolicy", _DNS if profile().modern else _OLD_DNS, causes
    )
    for i, toleration in enumerate(spec.get("tolerations") or []):
        where = f"{at}.tolerations[{i}].operator"
        _one_of(toleration.get("operator"), where, ["Equal", "Exists"], causes)


def check_container(container: Obj, at: str, causes: Causes) -> None:
    """Complain about ports, sources of the environment, resources and the last words."""
    _ports(container.get("ports") or [], f"{at}.ports", causes)
    for source in container.get("envFrom") or []:
        if not (source.get("configMapRef") or source.get("secretRef")):
            why = "must specify one of: `configMapRef` or `secretRef`"
            causes.invalid(f"{at}.envFrom", "", why)
    for i, variable in enumerate(container.get("env") or []):
        if variable.get("valueFrom") is not None:
            _source(variable["valueFrom"], f"{at}.env[{i}].valueFrom", causes)
    policy = container.get("terminationMessagePolicy")
    if policy not in (None, "", "File", "FallbackToLogsOnError"):
        why = "must be 'File' or 'FallbackToLogsOnError'"
        causes.invalid(f"{at}.terminationMessagePolicy", policy, why)
    _amounts(container.get("resources") or {}, f"{at}.resources", causes)


def _one_of(value: Any, at: str, supported: list[str], causes: Causes) -> None:
    if value and value not in supported:
        causes.unsupported(at, value, supported)


def _ports(ports: list[Obj], at: str, causes: Causes) -> None:
    seen: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name")
        if name:
            if len(name) > 15:
                causes.invalid(f"{at}[{i}].name", name, "must be no more than 15 characters")
            if not _PORT_NAME.fullmatch(name):
                why = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
                causes.invalid(f"{at}[{i}].name", name, why)
            if not re.search("[a-z]", name):
                why = "must contain at least one letter or number (a-z, 0-9)"
                causes.invalid(f"{at}[{i}].name", name, why)
            if name in seen:
                causes.duplicate(f"{at}[{i}].name", name)
            seen.add(name)
        _one_of(port.get("protocol"), f"{at}[{i}].protocol", _PROTOCOLS, causes)


def _source(source: Obj, at: str, causes: Causes) -> None:
    if not any(part is not None for part in source.values()):
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or"
        causes.invalid(at, "", f"{why} `secretKeyRef`")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if source.get(kind) is not None and not source[kind].get("key"):
            causes.required(f"{at}.{kind}.key")


def _amounts(resources: Obj, at: str, causes: Causes) -> None:
    for part in ("limits", "requests"):
        for name, value in (resources.get(part) or {}).items():
            where = f"{at}.{part}[{name}]"
            if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
                causes.invalid(where, name, "must be a standard resource type or fully qualified")
                causes.invalid(where, name, "must be a standard resource for containers")
            elif re.match(r"-[\d.]*[1-9]", str(value)):
                causes.invalid(where, str(value), "must be greater than or equal to 0")
