"""JSON patch (RFC 6902), with the limits that the real server sets to it."""

from __future__ import annotations

import json
import re
from typing import Any

from ...apimachinery.apierrors import ApiError, bad_request, too_large
from ...apimachinery.jsontypes import Obj, deep_copy, json_type

# As the real server: what a JSON patch may do, and how much its copies may add, in bytes.
_MAX_OPERATIONS = 10_000
_MAX_COPIED = 3 * 1024 * 1024


def json_patch(target: Any, operations: Any) -> Any:
    """Return `target` after a JSON patch; the arguments stay as they are.

    Raises:
        ApiError: An operation does not fit the object.
    """
    if not isinstance(operations, list):
        raise _unreadable(operations, "value", "[]handlers.jsonPatchOp")
    if len(operations) > _MAX_OPERATIONS:
        raise too_large(
            f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got"
            f" {len(operations)}"
        )
    result, grown = deep_copy(target), 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise _unreadable(operation, "value", "handlers.jsonPatchOp")
        for name in ("op", "path", "from"):
            if not isinstance(operation.get(name), str | None):
                field = f"struct field jsonPatchOp.{name}"
                raise _unreadable(operation[name], field, "string")
        if operation.get("op") == "copy":
            source = _walk(result, _pointer(operation.get("from")))
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


def _unreadable(value: Any, what: str, wanted: str) -> ApiError:
    text = f"json: cannot unmarshal {json_type(value)} into Go {what} of type {wanted}"
    return bad_request(f"error decoding patch: {text}")


def _pointer(path: str | None) -> list[str]:
    if path is None or (path and not path.startswith("/")):
        raise _inapplicable()
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _inapplicable() -> ApiError:
    text = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", text, {})


def _index(container: list[Any], part: str, *, extra: int = 0) -> int:
    if not re.fullmatch("[0-9]{1,9}", part) or int(part) >= len(container) + extra:
        raise _inapplicable()
    return int(part)


def _walk(document: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(document, part)]
        else:
            raise _inapplicable()
    return document


def _add(document: Any, parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    parent, last = _walk(document, parts[:-1]), parts[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        place = len(parent) if last == "-" else _index(parent, last, extra=1)
        parent.insert(place, value)
    else:
        raise _inapplicable()
    return document


def _remove(document: Any, parts: list[str]) -> Any:
    if not parts:
        return None
    parent, last = _walk(document, parts[:-1]), parts[-1]
    _walk(parent, [last])
    del parent[int(last) if isinstance(parent, list) else last]
    return document


def _apply_operation(document: Any, operation: Obj) -> Any:
    kind, parts = operation.get("op"), _pointer(operation.get("path"))
    if kind == "test":
        try:
            found = _walk(document, parts)
        except ApiError:
            found = None
        if found != operation.get("value"):
            raise _inapplicable()
        return document
    if kind == "add":
        return _add(document, parts, deep_copy(operation.get("value")))
    if kind == "remove":
        return _remove(document, parts)
    if kind == "replace":
        _walk(document, parts)
        if not parts:
            return deep_copy(operation.get("value"))
        parent, last = _walk(document, parts[:-1]), parts[-1]
        parent[int(last) if isinstance(parent, list) else last] = deep_copy(operation.get("value"))
        return document
    if kind in ("move", "copy"):
        source = _pointer(operation.get("from"))
        value = deep_copy(_walk(document, source))
        if kind == "move":
            document = _remove(document, source)
        return _add(document, parts, value)
    raise _inapplicable()
