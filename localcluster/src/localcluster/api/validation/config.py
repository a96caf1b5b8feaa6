"""What the server refuses about ConfigMaps and Secrets."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from .causes import Causes
from .names import config_key_faults

_MOST = 1024 * 1024
# Of some types of Secret, which keys it must have: all of them, but of a password any one.
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/basic-auth": ("username", "password"),
}


def _bytes(encoded: object) -> int:
    text = str(encoded)
    return len(text) // 4 * 3 - text[-2:].count("=")


def validate_secret(obj: Obj, causes: Causes) -> None:
    """Complain about the keys and the size of a Secret."""
    data = obj.get("data") or {}
    for name in data:
        causes.faults(f"data[{name}]", name, config_key_faults(name))
    if sum(_bytes(value) for value in data.values()) > _MOST:
        causes.too_long("data", _MOST)


def validate_secret_type(obj: Obj, causes: Causes) -> None:
    """Complain about the keys that a Secret of its type lacks."""
    kind, data = obj.get("type") or "", obj.get("data") or {}
    keys = _SECRET_KEYS.get(kind, ())
    missing = [name for name in keys if name not in data]
    if kind == "kubernetes.io/basic-auth" and len(missing) < len(keys):
        return
    for name in missing:
        causes.required(f"data[{name}]")


def validate_config_map(obj: Obj, causes: Causes) -> None:
    """Complain about the keys and the size of a ConfigMap."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for part, found in (("data", data), ("binaryData", binary)):
        for name in found:
            causes.faults(f"{part}[{name}]", name, config_key_faults(name))
    size = sum(len(str(value).encode()) for value in data.values())
    if size + sum(_bytes(value) for value in binary.values()) > _MOST:
        causes.too_long("[]", _MOST)


def validate_config_map_keys(obj: Obj, causes: Causes) -> None:
    """Complain about keys that are both in `data` and in `binaryData`."""
    for name in obj.get("data") or {}:
        if name in (obj.get("binaryData") or {}):
            causes.invalid(f"data[{name}]", name, "duplicate of key present in binaryData")


def validate_immutable(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about a change of what says that it does not change."""
    if old.get("immutable"):
        for name in ("data", "binaryData", "immutable"):
            if old.get(name) != new.get(name):
                causes.forbidden(name, "field is immutable when `immutable` is set")
    if new["kind"] == "Secret":
        causes.immutable("type", old.get("type"), new.get("type"))
