"""`/openapi/v2` as kubectl reads it: not JSON, but the protobuf form of the same document.

Only what kubectl looks at is written: definitions, and which operations take `fieldValidation`.
https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ...apimachinery import resources
from ...apimachinery.jsontypes import Obj
from ...apimachinery.version import GIT_VERSION

# What the real server says, because the true name is no legal media type.
CONTENT_TYPE = "application/octet-stream"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _named(name: str, value: bytes) -> bytes:
    return _field(1, name) + _field(2, value)


def _extension(name: str, value: object) -> bytes:
    """Return a NamedAny, whose value is YAML text; JSON is YAML."""
    return _named(name, _field(2, json.dumps(value) + "\n"))


def _schema(schema: Obj) -> bytes:
    out = b""
    if "$ref" in schema:
        out += _field(1, schema["$ref"])
    if "format" in schema:
        out += _field(2, schema["format"])
    if "description" in schema:
        out += _field(4, schema["description"])
    for name in schema.get("required", []):
        out += _field(19, name)
    for value in schema.get("enum", []):
        out += _field(20, _field(2, json.dumps(value) + "\n"))
    if "additionalProperties" in schema:
        out += _field(21, _field(1, _schema(schema["additionalProperties"])))
    if "type" in schema:
        out += _field(22, _field(1, schema["type"]))
    if "items" in schema:
        out += _field(23, _field(1, _schema(schema["items"])))
    if "properties" in schema:
        inner = (_field(1, _named(n, _schema(s))) for n, s in schema["properties"].items())
        out += _field(25, b"".join(inner))
    for name, value in schema.items():
        if name.startswith("x-"):
            out += _field(31, _extension(name, value))
    return out


def _query(name: str) -> bytes:
    query = _field(2, "query") + _field(4, name)
    return _field(1, _field(2, _field(3, query)))


def _patch_operation(resource: resources.Resource) -> bytes:
    kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
    parameters = (_field(8, _query(n)) for n in ("dryRun", "fieldManager", "fieldValidation"))
    return (
        _field(5, f"patch{resource.kind}")
        + b"".join(parameters)
        + _field(13, _extension("x-kubernetes-action", "patch"))
        + _field(13, _extension("x-kubernetes-group-version-kind", kind))
    )


def _paths() -> Iterable[bytes]:
    for resource in resources.ALL:
        if resource.plural != "bindings":
            path = resources.path_of(
                resource, "{namespace}" if resource.namespaced else "", "{name}"
            )
            yield _field(2, _named(path, _field(8, _patch_operation(resource))))


def document(definitions: dict[str, Obj]) -> bytes:
    """Return the whole document, with the definitions of all kinds."""
    listed = definitions.items()
    info = _field(1, "Kubernetes") + _field(2, GIT_VERSION)
    return (
        _field(1, "2.0")
        + _field(2, info)
        + _field(8, b"".join(_paths()))
        + _field(9, b"".join(_field(1, _named(name, _schema(s))) for name, s in listed))
    )
