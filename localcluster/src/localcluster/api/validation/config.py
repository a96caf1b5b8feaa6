"""What the server refuses about ConfigMaps and Secrets."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from .names import config_key_faults
from .part import Part

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


def _check_keys(obj: Part, name: str) -> None:
    for key in obj[name] or {}:
        obj.causes.faults(f"{name}[{key}]", key, config_key_faults(key))


def validate_secret(obj: Part) -> None:
    """Complain about the keys and the size of a Secret."""
    _check_keys(obj, "data")
    if sum(map(_bytes, (obj["data"] or {}).values())) > _MOST:
        obj.causes.too_long("data", _MOST)


def validate_secret_type(obj: Part) -> None:
    """Complain about the keys that a Secret of its type lacks."""
    keys = _SECRET_KEYS.get(obj["type"] or "", ())
    missing = [name for name in keys if name not in (obj["data"] or {})]
    if obj["type"] == "kubernetes.io/basic-auth" and len(missing) < len(keys):
        return
    for name in missing:
        obj.required(f"data[{name}]")


def validate_config_map(obj: Part) -> None:
    """Complain about the keys and the size of a ConfigMap."""
    _check_keys(obj, "data")
    _check_keys(obj, "binaryData")
    size = sum(len(str(value).encode()) for value in (obj["data"] or {}).values())
    if size + sum(map(_bytes, (obj["binaryData"] or {}).values())) > _MOST:
        obj.causes.too_long("[]", _MOST)


def validate_config_map_keys(obj: Part) -> None:
    """Complain about keys that are both in `data` and in `binaryData`."""
    for name in obj["data"] or {}:
        if name in (obj["binaryData"] or {}):
            obj.invalid(f"data[{name}]", "duplicate of key present in binaryData", name)


def validate_immutable(old: Obj, new: Part) -> None:
    """Complain about a change of what says that it does not change."""
    if old.get("immutable"):
        for name in ("data", "binaryData", "immutable"):
            if old.get(name) != new[name]:
                new.forbidden(name, "field is immutable when `immutable` is set")
    if new["kind"] == "Secret":
        new.immutable("type", old)
