"""The environment of a container: what the manifest says, and what Kubernetes adds.

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.jsontypes import Obj

PORTS_ANNOTATION = "wqlib.local/ports"

# Gets one object: (plural, namespace, name).
Fetch = Callable[[str, str, str], Awaitable[Obj]]

_SUFFIXES = {
    "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


class ConfigError(Exception):
    """The container's configuration refers to something that is not there."""


def quantity(text: str) -> float:
    """Return a Kubernetes quantity such as `50m` or `128Mi` as a number."""
    found = re.match(r"^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([A-Za-z]*)$", str(text))
    if not found:
        raise ConfigError(f"{text!r} is no quantity")
    return float(found[1]) * _SUFFIXES.get(found[2], 1.0)


def expand(text: str, env: dict[str, str]) -> str:
    """Replace `$(NAME)` by its value; `$$(NAME)` stands for itself, unknown names stay."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return env.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", value, text)


def service_environment(services: list[Obj], real_ports: Callable[[Obj], Obj]) -> dict[str, str]:
    """Return the variables by which a pod finds the Services of its namespace.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    env: dict[str, str] = {}
    for service in services:
        spec = service["spec"]
        host, ports = spec.get("clusterIP"), spec.get("ports") or []
        if not host or host == "None" or not ports:
            continue
        name = service["metadata"]["name"].upper().replace("-", "_")
        real = real_ports(service)
        for i, port in enumerate(ports):
            number = str(real.get(str(port["port"]), port["port"]))
            protocol = port.get("protocol", "TCP")
            if i == 0:
                env[f"{name}_SERVICE_HOST"] = host
                env[f"{name}_SERVICE_PORT"] = number
                env[f"{name}_PORT"] = f"{protocol.lower()}://{host}:{number}"
            if port.get("name"):
                part = port["name"].upper().replace("-", "_")
                env[f"{name}_SERVICE_PORT_{part}"] = number
            link = f"{name}_PORT_{port['port']}_{protocol}"
            env[link] = f"{protocol.lower()}://{host}:{number}"
            env[f"{link}_PROTO"] = protocol.lower()
            env[f"{link}_PORT"] = number
            env[f"{link}_ADDR"] = host
    return env


@dataclass
class Resolver:
    """Finds the values that a container's `env` and `envFrom` name."""

    pod: Obj
    pod_ip: str
    host_ip: str
    fetch: Fetch

    async def resolve(self, container: Obj, base: dict[str, str]) -> dict[str, str]:
        """Return `base` with the container's own variables.

        Raises:
            ConfigError: a Secret, ConfigMap or key is missing.
        """
        env = dict(base)
        for source in container.get("envFrom") or []:
            env.update(await self._all_of(source))
        for variable in container.get("env") or []:
            name = variable["name"]
            if "valueFrom" in variable:
                value = await self._value(variable["valueFrom"], container)
                if value is not None:
                    env[name] = value
            else:
                env[name] = expand(str(variable.get("value") or ""), env)
        return env

    async def _all_of(self, source: Obj) -> dict[str, str]:
        prefix = source.get("prefix") or ""
        for kind in ("secret", "configMap"):
            reference = source.get(f"{kind}Ref")
            if reference is not None:
                data = await self._data(kind, reference)
                return {prefix + name: value for name, value in (data or {}).items()}
        return {}

    async def _data(self, kind: str, reference: Obj) -> dict[str, str] | None:
        namespace, name = self.pod["metadata"]["namespace"], reference.get("name", "")
        plural = {"secret": "secrets", "configMap": "configmaps"}[kind]
        try:
            found = await self.fetch(plural, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
            if reference.get("optional"):
                return None
            raise ConfigError(f'{kind.lower()} "{name}" not found') from None
        data: dict[str, str] = found.get("data") or {}
        if kind == "secret":
            return {k: base64.b64decode(v).decode(errors="replace") for k, v in data.items()}
        return data

    async def _value(self, source: Obj, container: Obj) -> str | None:
        for kind in ("secret", "configMap"):
            reference = source.get(f"{kind}KeyRef")
            if reference is None:
                continue
            data = await self._data(kind, reference)
            key = reference.get("key", "")
            if data is not None and key in data:
                return data[key]
            if reference.get("optional"):
                return None
            word = {"secret": "Secret", "configMap": "ConfigMap"}[kind]
            where = f"{self.pod['metadata']['namespace']}/{reference.get('name', '')}"
            raise ConfigError(f"couldn't find key {key} in {word} {where}")
        if "fieldRef" in source:
            return self._field(source["fieldRef"].get("fieldPath", ""))
        if "resourceFieldRef" in source:
            return self._resource(source["resourceFieldRef"], container)
        raise ConfigError(f"valueFrom {', '.join(source)} is not supported by the local cluster")

    def _field(self, path: str) -> str:
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        fixed = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "status.hostIP": self.host_ip,
            "status.hostIPs": self.host_ip,
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
        }
        if path in fixed:
            return str(fixed[path])
        found = re.match(r"^metadata\.(labels|annotations)\['(.+)'\]$", path)
        if found:
            values: dict[str, Any] = metadata.get(found[1]) or {}
            return str(values.get(found[2], ""))
        raise ConfigError(f"unsupported fieldPath: {path}")

    def _resource(self, reference: Obj, container: Obj) -> str:
        part, _, name = reference.get("resource", "").partition(".")
        found = ((container.get("resources") or {}).get(part) or {}).get(name)
        divisor = quantity(reference.get("divisor") or "1") or 1.0
        return str(math.ceil(quantity(found) / divisor)) if found else "0"
