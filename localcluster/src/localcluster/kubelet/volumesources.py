"""What the files of a volume hold: a ConfigMap, a Secret, fields of the pod, or several of these.

https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

import base64
from pathlib import PurePosixPath

from ..apimachinery.apierrors import ApiError
from ..apimachinery.jsontypes import Obj
from .podenv import ConfigError, Resolver

# The content of each file, and its mode.
Payload = dict[str, tuple[bytes, int]]
DATA_KINDS = ("configMap", "secret", "downwardAPI")
_MODE = 0o644


class MountError(Exception):
    """The volume cannot be made yet: the message says what is missing."""


async def payload(resolver: Resolver, volume: Obj) -> Payload:
    """Return the files of a volume.

    Raises:
        MountError: An object or a key that it needs is not there.
    """
    files: Payload = {}
    problems = []
    for source in _sources(volume):
        for kind in set(source) & set(DATA_KINDS):
            mode = (volume.get("projected") or source[kind]).get("defaultMode", _MODE)
            try:
                files |= await _files(resolver, kind, source[kind], mode)
            except MountError as error:
                problems.append(str(error))
    if problems:
        raise MountError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return files


def _sources(volume: Obj) -> list[Obj]:
    """Return what a volume is made of: itself, unless it is projected."""
    return volume["projected"].get("sources") or [] if "projected" in volume else [volume]


def references(volume: Obj) -> set[tuple[str, str]]:
    """Return (plural, name) of the objects whose changes a volume follows."""
    found = set()
    for source in _sources(volume):
        if "configMap" in source:
            found.add(("configmaps", str(source["configMap"].get("name") or "")))
        if "secret" in source:
            secret = source["secret"]
            found.add(("secrets", str(secret.get("secretName") or secret.get("name") or "")))
    return found


async def _files(resolver: Resolver, kind: str, source: Obj, mode: int) -> Payload:
    if kind == "downwardAPI":
        return {
            _inside(item["path"]): (_field(resolver, item), _mode_of(item, mode))
            for item in source.get("items") or []
        }
    data = await _data(resolver, kind, source)
    items = source.get("items")
    if not items:
        return {_inside(name): (content, mode) for name, content in data.items()}
    files: Payload = {}
    for item in items:
        if item["key"] in data:
            files[_inside(item["path"])] = (data[item["key"]], _mode_of(item, mode))
        elif not source.get("optional"):
            words = {"configMap": "configmap references non-existent config key"}
            why = words.get(kind, "references non-existent secret key")
            raise MountError(f"{why}: {item['key']}")
    return files


async def _data(resolver: Resolver, kind: str, source: Obj) -> dict[str, bytes]:
    name = str(source.get("secretName") or source.get("name") or "")
    try:
        found = await resolver.find(kind, name, optional=bool(source.get("optional"))) or {}
    except (ApiError, ConfigError) as error:
        raise MountError(str(error)) from None
    coded = found.get("binaryData") if kind == "configMap" else found.get("data")
    data = {key: base64.b64decode(value) for key, value in (coded or {}).items()}
    if kind == "configMap":
        data |= {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return data


def _mode_of(item: Obj, otherwise: int) -> int:
    mode = item.get("mode")
    return otherwise if mode is None else int(mode)


def _field(resolver: Resolver, item: Obj) -> bytes:
    try:
        if "fieldRef" in item:
            return resolver.field(str(item["fieldRef"].get("fieldPath", ""))).encode()
        wanted = item["resourceFieldRef"]
        name, spec = wanted.get("containerName", ""), resolver.pod["spec"]
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            if container["name"] == name:
                return resolver.resource(wanted, container).encode()
        raise MountError(f"container {name} not found")
    except ConfigError as error:
        raise MountError(str(error)) from None


def _inside(path: str) -> str:
    """Return the path of a file in its volume; the API has checked it, and so do we."""
    clean = PurePosixPath(path)
    parts = clean.parts
    if not parts or clean.is_absolute() or ".." in parts or parts[0].startswith(".."):
        raise MountError(f"invalid path {path}: it must lie inside the volume")
    return str(clean)
