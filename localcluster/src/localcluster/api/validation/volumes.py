"""What the server refuses about volumes and their mounts."""

from __future__ import annotations

from dataclasses import replace

from .names import label_faults
from .part import Part, repeated

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
_DATA = ("configMap", "secret", "downwardAPI")
_ONE_TYPE = "may not specify more than 1 volume type"


def validate_volumes(spec: Part) -> None:
    """Complain about the volumes in the spec of a pod."""
    volumes = spec.each("volumes")
    for volume in volumes:
        volume.check("name", label_faults, required=True)
    for volume, again in repeated(volumes, "name"):
        if volume["name"] and again:
            volume.duplicate("name")
        kinds = [kind for kind in volume.value if kind != "name"]
        for kind in sorted(kinds, key=lambda kind: kind != "emptyDir")[1:]:
            volume.forbidden(kind, _ONE_TYPE)
        if len(kinds) == 1:
            _source(volume, kinds[0])


def _source(volume: Part, kind: str) -> None:
    source = volume.part(kind)
    if kind in _DATA:
        _data(source, {"configMap": "name", "secret": "secretName"}.get(kind))
    elif kind == "projected":
        _mode(source, "defaultMode")
        for part in source.each("sources"):
            _projection(part)
        _path_conflicts(source)
    require_parts(volume, kind)
    if kind == "hostPath":
        if ".." in str(source["path"]).split("/"):
            source.invalid("path", "must not contain '..'")
        source.choose("type")


def require_parts(volume: Part, kind: str) -> None:
    """Complain about what a volume of a type lacks."""
    volume.part(kind).require(*_REQUIRED.get(kind, ()))


def _projection(part: Part) -> None:
    kinds = [kind for kind in part.value if part[kind] is not None]
    if len(kinds) > 1:
        part.forbidden("", _ONE_TYPE)
    elif kinds and kinds[0] in _DATA:
        _data(part.part(kinds[0]), None if kinds[0] == "downwardAPI" else "name")


def _data(source: Part, name: str | None) -> None:
    """Complain about a volume of files; `name` is the field with the name of their source."""
    source.require(*[name] if name else ())
    _mode(source, "defaultMode")
    for item in source.each("items"):
        if name is None:
            # The real server leaves the number out of these paths.
            _field(replace(item, path=source.path))
            continue
        item.require("key")
        _path(item)
        _mode(item, "mode")


def _field(item: Part) -> None:
    _path(item)
    field, resource = item.part("fieldRef"), item.part("resourceFieldRef")
    if item["fieldRef"] is not None and item["resourceFieldRef"] is not None:
        why = "fieldRef and resourceFieldRef can not be specified simultaneously"
        item.invalid("", why, "resource")
    elif item["fieldRef"] is not None:
        path = str(field["fieldPath"] or "")
        if not path.startswith(("metadata.labels[", "metadata.annotat")):
            field.choose("fieldPath", _FIELDS, always=True)
    elif item["resourceFieldRef"] is not None:
        resource.require("containerName")
        if resource["containerName"]:
            resource.choose("resource", _RESOURCES, always=True)
    else:
        item.required("", "one of fieldRef and resourceFieldRef is required")
    _mode(item, "mode")


def _path_conflicts(source: Part) -> None:
    seen: set[str] = set()
    for part in source.each("sources"):
        for reference in (part.part(kind) for kind in _DATA):
            for item in reference.each("items"):
                if item["path"] and item["path"] in seen:
                    source.invalid("", "conflicting duplicate paths", reference["name"] or "")
                seen.add(item["path"])


def _path(item: Part) -> None:
    if not item["path"]:
        item.required("path")
    elif not _leads_out(item, "path") and item["path"].startswith(".."):
        item.invalid("path", "must not start with '..'")


def _leads_out(part: Part, name: str) -> bool:
    """Complain about a path that leads out of its volume; return whether it does."""
    if part[name].startswith("/"):
        part.invalid(name, "must be a relative path")
    elif ".." in part[name].split("/"):
        part.invalid(name, "must not contain '..'")
    else:
        return False
    return True


def _mode(part: Part, name: str) -> None:
    if part[name] is not None and not 0 <= part[name] <= 0o777:
        part.invalid(name, "must be a number between 0 and 0777 (octal), both inclusive")


def validate_mounts(container: Part, volumes: set[str]) -> None:
    """Complain about the mounts of a container."""
    for mount, again in repeated(container.each("volumeMounts"), "mountPath"):
        # The real server leaves the number out of the paths of these, too.
        unnumbered = replace(mount, path=container.at("volumeMounts"))
        if mount["name"] not in volumes:
            mount.causes.not_found(mount.at("name"), mount["name"])
        mount.require("mountPath")
        if mount["mountPath"] and again:
            mount.invalid("mountPath", "must be unique")
        if mount["subPath"]:
            _leads_out(unnumbered, "subPath")
        if mount["subPathExpr"]:
            if mount["subPath"]:
                mount.invalid("subPathExpr", "subPathExpr and subPath are mutually exclusive")
            _leads_out(unnumbered, "subPathExpr")
