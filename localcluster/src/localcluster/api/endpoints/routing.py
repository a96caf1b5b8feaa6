"""The paths of the API: which object, or which list, each points at."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from ...apimachinery import resources
from ...apimachinery.jsontypes import Key
from ...apimachinery.resources import Resource


class Target(NamedTuple):
    """What a path of the API points at."""

    resource: Resource
    namespace: str | None
    name: str
    subresource: str

    @property
    def key(self) -> Key:
        """Return the (namespace, name) of the object."""
        return self.namespace or "", self.name


def parse_path(path: str) -> Target | None:
    """Return what a path points at, or None when it points at nothing."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3 or not all(rest):
        return None
    resource = resources.find(group, version, rest[0])
    if resource is None or (namespace is not None and not resource.namespaced):
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    return Target(resource, namespace, name, subresource)
