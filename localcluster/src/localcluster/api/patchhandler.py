"""PATCH: the four ways in which a client may change a part of an object.

https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
"""

from __future__ import annotations

from typing import Any

from ..apimachinery import apierrors
from ..apimachinery.jsontypes import Obj, copied
from ..apimachinery.resources import Resource
from ..store import Key
from . import managedfields
from .jsonpatch import json_patch
from .parameters import WriteOptions
from .rest import Rest
from .strategicpatch import merge_patch, require_object, strategic_merge_patch
from .subresources import scale_of, scaled

_WAYS = {
    "merge": merge_patch,
    "strategic": strategic_merge_patch,
    "json": json_patch,
}


def change(
    rest: Rest,
    resource: Resource,
    key: Key,
    body: Any,
    how: str,
    options: WriteOptions,
    subresource: str = "",
) -> tuple[Obj, bool]:
    """Change a part of an object; returns it, and whether an apply created it."""
    if how == "apply":
        return _apply(rest, resource, key, body, options, subresource)
    old = rest.get(resource, *key).obj
    if how != "json":
        require_object(body)
    patched = _WAYS[how](old, body)
    if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
        raise apierrors.bad_request("the patched object is no object of the API any more")
    given = patched["metadata"].get("name")
    if given != key[1]:
        raise apierrors.other_name(given, key[1])
    uid = patched["metadata"].get("uid")
    if uid != old["metadata"]["uid"]:
        raise apierrors.immutable(resource, key[1], "metadata.uid", uid)
    try:
        obj = rest.incoming(resource, key[0], patched, options, old)
    except apierrors.WrongType as error:
        raise apierrors.patch_of_wrong_type(body, patched, how, error) from None
    if subresource != "status":
        # From here on it is completed in place, and must not share anything with the old one.
        obj = copied(obj)
    return rest.write(resource, key, old, obj, subresource, options), False


def resize(
    rest: Rest, resource: Resource, key: Key, body: Any, how: str, options: WriteOptions
) -> Obj:
    """Change an object's size through its `Scale`; returns the new one."""
    old = rest.get(resource, *key).obj
    wanted = body if how == "replace" else _WAYS.get(how, merge_patch)(scale_of(old), body)
    if not isinstance(wanted, dict):
        raise apierrors.bad_request("the body is no object")
    return scale_of(rest.write(resource, key, old, copied(scaled(old, wanted)), "", options))


def _apply(
    rest: Rest, resource: Resource, key: Key, body: Any, options: WriteOptions, subresource: str
) -> tuple[Obj, bool]:
    """Server-side apply: lay the configuration over the object, and note whose it is."""
    if not isinstance(body, dict):
        raise apierrors.bad_request("error decoding patch: a configuration is an object")
    if (body.get("metadata") or {}).get("managedFields") is not None:
        raise apierrors.bad_request("metadata.managedFields must be nil")
    known = WriteOptions(field_validation="Warn")
    config = rest.incoming(resource, key[0], body, known)
    if known.warnings:
        raise apierrors.undeclared(resource, key, known.warnings[0])
    if config["metadata"].setdefault("name", key[1]) != key[1]:
        raise apierrors.other_name(config["metadata"]["name"], key[1])
    entry = rest.store.get(resource.name, key)
    old = entry.obj if entry else None
    if old is None and (subresource or config["metadata"].get("resourceVersion")):
        raise apierrors.not_found(resource.plural, resource.group, key[1])
    merged, managed = managedfields.apply(
        old, config, options.manager, subresource=subresource, force=options.force
    )
    if old is None:
        return rest.create(resource, key[0], merged, options, managed=managed), True
    obj = copied(merged)
    return rest.write(resource, key, old, obj, subresource, options, managed=managed), False
