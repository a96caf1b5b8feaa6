"""What the server refuses about volumes and their mounts."""

from __future__ import annotations

from typing import Any

from ...apimachinery.jsontypes import Obj
from .causes import Causes

_FIELDS = [f"metadata.{n}" for n in ("annotations", "labels", "name", "namespace", "uid")]
_RESOURCES = [
    f"{part}.{name}"
    for part in ("limits", "requests")
    for name in ("cpu", "ephemeral-storage", "memory")
]
# What a volume of each type needs.
_REQUIRED = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "csi": ("driver",),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "hostPath": ("path",),
    "image": ("reference",),
    "iscsi": ("targetPortal", "iqn"),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "vsphereVolume": ("volumePath",),
}
_HOST_PATHS = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
]
_DATA = ("configMap", "secret", "downwardAPI")


def validate_volumes(volumes: list[Obj], at: str, causes: Causes) -> None:
    """Complain about the volumes of a pod; their names are looked at elsewhere."""
    seen: set[str] = set()
    for i, volume in enumerate(volumes):
        where = f"{at}[{i}]"
        name = str(volume.get("name") or "")
        if name and name in seen:
            causes.duplicate(f"{where}.name", name)
        seen.add(name)
        kinds = [kind for kind in volume if kind != "name"]
        for kind in sorted(kinds, key=lambda kind: kind != "emptyDir")[1:]:
            causes.forbidden(f"{where}.{kind}", "may not specify more than 1 volume type")
        if len(kinds) == 1 and isinstance(volume[kinds[0]], dict):
            _source(kinds[0], volume[kinds[0]], where, causes)


def _source(kind: str, source: Obj, where: str, causes: Causes) -> None:
    at = f"{where}.{kind}"
    if kind in _DATA:
        _data(kind, source, at, "secretName", causes)
    elif kind == "projected":
        _mode(source.get("defaultMode"), f"{at}.defaultMode", causes)
        for i, part in enumerate(source.get("sources") or []):
            _projection(part, f"{at}.sources[{i}]", causes)
        _path_conflicts(source, at, causes)
    require(kind, source, at, causes)
    if kind == "hostPath":
        if ".." in str(source.get("path")).split("/"):
            causes.invalid(f"{at}.path", source["path"], "must not contain '..'")
        causes.one_of(f"{at}.type", source.get("type"), _HOST_PATHS)


def require(kind: str, source: Obj, at: str, causes: Causes) -> None:
    """Complain about what a volume of a type lacks."""
    for name in _REQUIRED.get(kind, ()):
        if not source.get(name):
            causes.required(f"{at}.{name}")


def _projection(part: Obj, at: str, causes: Causes) -> None:
    kinds = [kind for kind in part if part[kind] is not None]
    if len(kinds) > 1:
        causes.forbidden(at, "may not specify more than 1 volume type")
        return
    for kind in kinds:
        if kind in _DATA:
            _data(kind, part[kind], f"{at}.{kind}", "name", causes)


def _data(kind: str, source: Obj, at: str, secret_name: str, causes: Causes) -> None:
    name = {"configMap": "name", "secret": secret_name}.get(kind)
    if name and not source.get(name):
        causes.required(f"{at}.{name}")
    _mode(source.get("defaultMode"), f"{at}.defaultMode", causes)
    for i, item in enumerate(source.get("items") or []):
        if kind == "downwardAPI":
            # The real server leaves the number out of these paths.
            _field(item, at, causes)
            continue
        where = f"{at}.items[{i}]"
        if not item.get("key"):
            causes.required(f"{where}.key")
        _path(item.get("path"), f"{where}.path", causes)
        _mode(item.get("mode"), f"{where}.mode", causes)


def _field(item: Obj, at: str, causes: Causes) -> None:
    _path(item.get("path"), f"{at}.path", causes)
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None and resource is not None:
        why = "fieldRef and resourceFieldRef can not be specified simultaneously"
        causes.invalid(at, "resource", why)
    elif field is not None:
        path = str(field.get("fieldPath") or "")
        if path not in _FIELDS and not path.startswith(("metadata.labels[", "metadata.annotat")):
            causes.unsupported(f"{at}.fieldRef.fieldPath", path, _FIELDS)
    elif resource is not None:
        if not resource.get("containerName"):
            causes.required(f"{at}.resourceFieldRef.containerName")
        elif resource.get("resource") not in _RESOURCES:
            found = resource.get("resource")
            causes.unsupported(f"{at}.resourceFieldRef.resource", found, _RESOURCES)
    else:
        causes.required(at, "one of fieldRef and resourceFieldRef is required")
    _mode(item.get("mode"), f"{at}.mode", causes)


def _path_conflicts(source: Obj, at: str, causes: Causes) -> None:
    seen: set[str] = set()
    for part in source.get("sources") or []:
        for kind in _DATA:
            reference = part.get(kind) or {}
            for item in reference.get("items") or []:
                path = str(item.get("path") or "")
                if path and path in seen:
                    name = reference.get("name", "")
                    causes.invalid(at, name, "conflicting duplicate paths")
                seen.add(path)


def _path(path: Any, at: str, causes: Causes) -> None:
    if not path:
        causes.required(at)
    elif not _leads_out(str(path), at, causes) and str(path).startswith(".."):
        causes.invalid(at, path, "must not start with '..'")


def _leads_out(path: str, at: str, causes: Causes) -> bool:
    """Complain about a path that leads out of its volume; return whether it does."""
    if path.startswith("/"):
        causes.invalid(at, path, "must be a relative path")
    elif ".." in path.split("/"):
        causes.invalid(at, path, "must not contain '..'")
    else:
        return False
    return True


def _mode(mode: Any, at: str, causes: Causes) -> None:
    if mode is not None and (not isinstance(mode, int) or not 0 <= mode <= 0o777):
        causes.invalid(at, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def validate_mounts(mounts: list[Obj], at: str, volumes: set[str], causes: Causes) -> None:
    """Complain about the mounts of a container."""
    seen: set[str] = set()
    for i, mount in enumerate(mounts):
        where, path = f"{at}[{i}]", mount.get("mountPath")
        if mount.get("name") not in volumes:
            causes.not_found(f"{where}.name", mount.get("name"))
        if not path:
            causes.required(f"{where}.mountPath")
        elif path in seen:
            causes.invalid(f"{where}.mountPath", path, "must be unique")
        seen.add(str(path))
        # The real server leaves the number out of these paths, too.
        if mount.get("subPath"):
            _leads_out(str(mount["subPath"]), f"{at}.subPath", causes)
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                why = "subPathExpr and subPath are mutually exclusive"
                causes.invalid(f"{where}.subPathExpr", mount["subPathExpr"], why)
            _leads_out(str(mount["subPathExpr"]), f"{at}.subPathExpr", causes)
