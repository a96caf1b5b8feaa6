"""The ways in which a client may change a part of an object.

JSON merge patch (RFC 7386), JSON patch (RFC 6902) and Kubernetes' strategic merge patch, which
knows that a list such as `containers` is merged by the name of its elements.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..apimachinery.apierrors import ApiError, bad_request, too_large
from ..apimachinery.jsontypes import Obj, copied

# The lists that a strategic merge merges, and the field that tells their elements apart.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port"),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "conditions": ("type",),
    "addresses": ("type",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "resourceClaims": ("name",),
}
# Lists of plain values that are united instead of replaced.
_UNITED = {"finalizers"}
# As the real server: what a JSON patch may do, and how much its copies may add, in bytes.
_MAX_OPERATIONS = 10_000
_MAX_COPIED = 3 * 1024 * 1024
_DIRECTIVES = ("$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys")


def merge_keys(field: str) -> tuple[str, ...]:
    """Return the fields that may tell the elements of a list apart; empty for most lists."""
    return _MERGE_KEYS.get(field, ())


def is_united(field: str) -> bool:
    """Tell whether a strategic merge unites two lists of plain values."""
    return field in _UNITED


def _kind(value: Any) -> str:
    """Return what the real server's JSON reader calls a value."""
    kinds = {dict: "object", list: "array", str: "string", bool: "bool"}
    return kinds.get(type(value), "number")


def require_object(patch: Any) -> None:
    """Raise a 400 when a merge patch is no object."""
    if not isinstance(patch, dict):
        kind = _kind(patch)
        raise bad_request(
            f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        )


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` after a JSON merge patch; the arguments stay as they are."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_merge_patch(target: Any, patch: Any, *, prune_empty: bool = False) -> Any:
    """Return `target` after a strategic merge patch; the arguments stay as they are."""
    if not isinstance(patch, dict):
        return copied(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: copied(v) for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    _check_directives(patch)
    retained = patch.get("$retainKeys")
    if retained is not None:
        result = {name: value for name, value in result.items() if name in retained}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [x for x in result.get(field) or [] if x not in value]
    for name, value in patch.items():
        if name == "$patch" or name.startswith(_DIRECTIVES):
            continue
        if value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            result[name] = _merge_list(name, result.get(name), value)
        else:
            result[name] = strategic_merge_patch(result.get(name), value)
    for name, order in patch.items():
        if name.startswith("$setElementOrder/"):
            field = name.partition("/")[2]
            if isinstance(result.get(field), list):
                live = target.get(field) if isinstance(target, dict) else None
                result[field] = _ordered(field, result[field], order, live or [])
    return result


def _check_directives(patch: Obj) -> None:
    for name, value in patch.items():
        if name.startswith(_DIRECTIVES) and not isinstance(value, list):
            raise bad_request(f"error decoding patch: {name} must be a list")


def _merge_key(field: str, elements: list[Any]) -> str | None:
    candidates = _MERGE_KEYS.get(field, ())
    dicts = [element for element in elements if isinstance(element, dict)]
    if not dicts or len(dicts) != len(elements):
        return None
    for candidate in candidates:
        if all(candidate in element or "$patch" in element for element in dicts):
            return candidate
    return None


def _merge_list(field: str, target: Any, patch: list[Any]) -> list[Any]:
    existing = list(target) if isinstance(target, list) else []
    if field in _UNITED:
        return existing + [value for value in patch if value not in existing]
    if any(isinstance(x, dict) and x.get("$patch") == "replace" for x in patch):
        return [copied(x) for x in patch if not (isinstance(x, dict) and "$patch" in x)]
    key = _merge_key(field, patch)
    if key is None:
        return [copied(element) for element in patch]
    for element in patch:
        wanted = element.get(key)
        place = next((i for i, x in enumerate(existing) if x.get(key) == wanted), None)
        if element.get("$patch") == "delete":
            if place is not None:
                existing.pop(place)
        elif place is None:
            existing.append(strategic_merge_patch({}, element))
        else:
            existing[place] = strategic_merge_patch(existing[place], element)
    return _ordered(field, existing, patch, target if isinstance(target, list) else [])


def _ordered(field: str, elements: list[Any], order: list[Any], live: list[Any]) -> list[Any]:
    """Put the elements that `order` names in that order, and the others where they stood among
    them in the live list, as far as that can be told."""
    key = _merge_key(field, elements)

    def identity(element: Any) -> Any:
        return element.get(key) if key and isinstance(element, dict) else element

    def ranks(listed: list[Any]) -> dict[Any, int]:
        return {identity(element): rank for rank, element in enumerate(listed)}

    if not all(isinstance(identity(x), str | int) for x in [*elements, *order, *live]):
        return elements
    wanted, lived = ranks(order), ranks(live)
    named = sorted(
        (x for x in elements if identity(x) in wanted), key=lambda x: wanted[identity(x)]
    )
    result = []
    for other in (x for x in elements if identity(x) not in wanted):
        place = lived.get(identity(other), -1)
        while named and not 0 <= place < lived.get(identity(named[0]), -1):
            result.append(named.pop(0))
        result.append(other)
    return result + named


def json_patch(target: Any, operations: Any) -> Any:
    """Return `target` after a JSON patch; the arguments stay as they are.

    Raises:
        ApiError: an operation does not fit the object.
    """
    if not isinstance(operations, list):
        raise bad_request(
            f"json: cannot unmarshal {_kind(operations)} into Go value of type jsonpatch.Patch"
        )
    if len(operations) > _MAX_OPERATIONS:
        raise too_large(
            f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got"
            f" {len(operations)}"
        )
    result, grown = copied(target), 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise bad_request("error decoding patch: an operation is an object")
        if operation.get("op") == "copy":
            source = _walk(result, _pointer(operation.get("from")), operation)
            grown += len(json.dumps(source))
            if grown > _MAX_COPIED:
                raise _too_much_copied(grown)
        result = _apply_operation(result, operation)
    return result


def _too_much_copied(size: int) -> ApiError:
    text = (
        "the server rejected our request due to an error in our request: Unable to copy, the"
        f" accumulated size increase of copy is {size}, exceeding the limit {_MAX_COPIED}"
    )
    return ApiError(422, "Invalid", text, {})


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise bad_request(f"error decoding patch: {path!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _impossible(_operation: Obj) -> ApiError:
    text = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", text, {})


def _index(container: list[Any], part: str, operation: Obj, *, extra: int = 0) -> int:
    if not re.fullmatch("[0-9]{1,9}", part) or int(part) >= len(container) + extra:
        raise _impossible(operation)
    return int(part)


def _walk(document: Any, parts: list[str], operation: Obj) -> Any:
    for part in parts:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(document, part, operation)]
        else:
            raise _impossible(operation)
    return document


def _add(document: Any, parts: list[str], value: Any, operation: Obj) -> Any:
    if not parts:
        return value
    parent, last = _walk(document, parts[:-1], operation), parts[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        place = len(parent) if last == "-" else _index(parent, last, operation, extra=1)
        parent.insert(place, value)
    else:
        raise _impossible(operation)
    return document


def _remove(document: Any, parts: list[str], operation: Obj) -> Any:
    if not parts:
        return None
    parent, last = _walk(document, parts[:-1], operation), parts[-1]
    _walk(parent, [last], operation)
    del parent[int(last) if isinstance(parent, list) else last]
    return document


def _apply_operation(document: Any, operation: Obj) -> Any:
    kind, parts = operation.get("op"), _pointer(operation.get("path"))
    if kind == "test":
        try:
            found = _walk(document, parts, operation)
        except ApiError:
            found = None
        if found != operation.get("value"):
            raise _impossible(operation)
        return document
    if kind == "add":
        return _add(document, parts, copied(operation.get("value")), operation)
    if kind == "remove":
        return _remove(document, parts, operation)
    if kind == "replace":
        _walk(document, parts, operation)
        if not parts:
            return copied(operation.get("value"))
        parent, last = _walk(document, parts[:-1], operation), parts[-1]
        parent[int(last) if isinstance(parent, list) else last] = copied(operation.get("value"))
        return document
    if kind in ("move", "copy"):
        source = _pointer(operation.get("from"))
        value = copied(_walk(document, source, operation))
        if kind == "move":
            document = _remove(document, source, operation)
        return _add(document, parts, value, operation)
    raise _impossible(operation)
