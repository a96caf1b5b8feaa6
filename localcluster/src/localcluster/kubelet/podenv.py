"""The environment of a container: what the manifest says, and what Kubernetes adds.

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..apimachinery.apierrors import ApiError
from ..apimachinery.jsontypes import Obj
from ..apimachinery.quantities import quantity

_PASSED_ON = ("TZ", "LD_LIBRARY_PATH")

# Gets one object: (plural, namespace, name).
Fetch = Callable[[str, str, str], Awaitable[Obj]]


class ConfigError(Exception):
    """The container's configuration refers to something that is not there."""


def base_environment() -> dict[str, str]:
    """Return what every container gets; of this process's own environment nearly nothing."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The image's files are shared by pods and stay as they are.
    return {"LANG": "C.UTF-8", **passed, "PYTHONDONTWRITEBYTECODE": "1"}


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
    """Finds the values that a container's `env` and `envFrom` name.

    Attributes:
        allocatable: What the node has for pods: a container without a limit may use it all.
    """

    pod: Obj
    pod_ip: str
    host_ip: str
    fetch: Fetch
    allocatable: Obj = field(default_factory=dict)

    async def resolve(self, container: Obj, base: dict[str, str]) -> dict[str, str]:
        """Return `base` with the container's own variables.

        Raises:
            ConfigError: A Secret, ConfigMap or key is missing.
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
            if reference is None:
                continue
            data = await self._data(kind, reference) or {}
            named = {prefix + name: value for name, value in sorted(data.items())}
            # A process could not even be started with a NUL in its environment.
            return {n: v.replace("\0", "") for n, v in named.items()}
        return {}

    async def find(self, kind: str, name: str, *, optional: bool) -> Obj | None:
        """Return a `secret` or a `configMap`; None if it is optional and not there.

        Raises:
            ConfigError: It is not there.
        """
        try:
            return await self.fetch(f"{kind.lower()}s", self.pod["metadata"]["namespace"], name)
        except ApiError as error:
            if error.code != 404:
                raise
            if optional:
                return None
            raise ConfigError(f'{kind.lower()} "{name}" not found') from None

    async def _data(self, kind: str, reference: Obj) -> dict[str, str] | None:
        optional = bool(reference.get("optional"))
        found = await self.find(kind, reference.get("name", ""), optional=optional)
        if found is None:
            return None
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
            return self.field(source["fieldRef"].get("fieldPath", ""))
        if "resourceFieldRef" in source:
            return self.resource(source["resourceFieldRef"], container)
        raise ConfigError(f"valueFrom {', '.join(source)} is not supported by the local cluster")

    def field(self, path: str) -> str:
        """Return the value of one of the pod's own fields."""
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
        whole = re.match(r"^metadata\.(labels|annotations)$", path)
        if whole:
            values: Obj = metadata.get(whole[1]) or {}
            return "\n".join(f"{k}={json.dumps(v)}" for k, v in sorted(values.items()))
        found = re.match(r"^metadata\.(labels|annotations)\['(.+)'\]$", path)
        if found:
            values = metadata.get(found[1]) or {}
            return str(values.get(found[2], ""))
        raise ConfigError(f"unsupported fieldPath: {path}")

    def resource(self, reference: Obj, container: Obj) -> str:
        """Return a limit or a request of a container, in units of the divisor, rounded up."""
        part, _, name = reference.get("resource", "").partition(".")
        resources = container.get("resources") or {}
        found = (resources.get(part) or {}).get(name)
        if found is None and part == "limits":
            found = self.allocatable.get(name)
        try:
            divisor = quantity(reference.get("divisor") or "1") or 1.0
            # Rounded first, for 0.3 / 0.1 is a little more than 3 to a computer.
            return str(math.ceil(round(quantity(found or "0") / divisor, 6)))
        except ValueError as error:
            raise ConfigError(str(error)) from None
