"""The verb PATCH: merge, strategic merge, JSON patch and server-side apply.

https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
"""

from __future__ import annotations

from typing import Any

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Key, Obj, deep_copy, json_type
from ...apimachinery.resources import Resource
from ..objects.rest import Rest
from ..objects.subresources import checked_scale, scale_of, scaled
from ..options import WriteOptions
from ..patch import managedfields
from ..patch.jsonpatch import json_patch
from ..patch.strategicpatch import merge_patch, strategic_merge_patch
from ..schema import schema
from ..schema.schema import Type
from ..validation import fieldvalidation

_SCALE = schema.of_kind("autoscaling/v1", "Scale")


def _patched(old: Obj, change: Any, patch_type: str, kind: Type) -> Any:
    if patch_type == "json":
        return json_patch(old, change)
    if not isinstance(change, dict):
        what = f"{json_type(change)} into Go value of type map[string]interface {{}}"
        prefix = "" if patch_type == "strategic" else "error decoding patch: "
        raise apierrors.bad_request(f"{prefix}json: cannot unmarshal {what}")
    if patch_type == "strategic":
        return strategic_merge_patch(old, change, kind)
    return merge_patch(old, change)


def patch_object(
    rest: Rest,
    resource: Resource,
    key: Key,
    body: Any,
    patch_type: str,
    options: WriteOptions,
    subresource: str = "",
) -> tuple[Obj, bool]:
    """Patch an object; return it, and whether an apply created it."""
    if patch_type == "apply":
        return _apply(rest, resource, key, body, options, subresource)
    old = rest.get(resource, *key).obj
    patched = _patched(old, body, patch_type, schema.of(old))
    metadata: Any = patched.get("metadata") if isinstance(patched, dict) else None
    if metadata is None:
        raise apierrors.bad_request("the patched object is no object of the API any more")
    if isinstance(metadata, dict):
        if metadata.get("name") != key[1]:
            raise apierrors.name_mismatch(metadata.get("name") or "", key[1])
        if metadata.get("uid") != old["metadata"]["uid"]:
            raise apierrors.immutable(resource, key[1], "metadata.uid", metadata.get("uid"))
    try:
        obj = rest.incoming(resource, key[0], patched, options, old)
    except apierrors.WrongType as error:
        raise apierrors.patch_of_wrong_type(body, patched, patch_type, error) from None
    if subresource != "status":
        # From here on it is completed in place, and must not share anything with the old one.
        obj = deep_copy(obj)
    return rest.write(resource, key, old, obj, subresource, options), False


def write_scale(
    rest: Rest, resource: Resource, key: Key, body: Any, patch_type: str, options: WriteOptions
) -> Obj:
    """Change an object's replicas through its `Scale`, and return the new one."""
    old = rest.get(resource, *key).obj
    wanted = body
    if patch_type != "replace":
        wanted = _patched(scale_of(old), body, patch_type, _SCALE)
    if not isinstance(wanted, dict):
        raise apierrors.bad_request("the body is no object")
    obj = deep_copy(scaled(old, fieldvalidation.check(checked_scale(wanted), options, None)))
    return scale_of(rest.write(resource, key, old, obj, "", options))


def _apply(
    rest: Rest, resource: Resource, key: Key, body: Any, options: WriteOptions, subresource: str
) -> tuple[Obj, bool]:
    """Lay a configuration over the object, and record who manages its fields."""
    if not isinstance(body, dict):
        raise apierrors.bad_request("error decoding patch: a configuration is an object")
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise apierrors.bad_request("metadata.managedFields must be nil")
    known = WriteOptions(field_validation="Warn")
    config = rest.incoming(resource, key[0], body, known)
    if known.warnings:
        path = known.warnings[0].partition('"')[2].rstrip('"')
        raise apierrors.not_typed(resource, key, f".{path}: field not declared in schema")
    if config["metadata"].setdefault("name", key[1]) != key[1]:
        raise apierrors.name_mismatch(config["metadata"]["name"], key[1])
    entry = rest.store.get(resource.name, key)
    old = entry.obj if entry else None
    if old is None and (subresource or config["metadata"].get("resourceVersion")):
        raise apierrors.not_found(resource.plural, resource.group, key[1])
    try:
        merged, managed = managedfields.apply(
            old, config, options.manager, subresource=subresource, force=options.force
        )
    except ValueError as error:
        raise apierrors.not_typed(resource, key, str(error)) from None
    if old is None:
        return rest.create(resource, key[0], merged, options, managed=managed), True
    obj = deep_copy(merged)
    return rest.write(resource, key, old, obj, subresource, options, managed=managed), False
