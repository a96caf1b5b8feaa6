"""`/openapi/v2` as kubectl reads it: not JSON, but the protobuf form of the same document.

Only what kubectl looks at is written: definitions, and which operations take `fieldValidation`.
https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto
"""

from __future__ import annotations

import json

from ...apimachinery.jsontypes import Obj

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


def _operation(operation: Obj) -> bytes:
    """Return an operation of the document's JSON, as far as kubectl looks at it."""
    queries = (_field(2, one["in"]) + _field(4, one["name"]) for one in operation["parameters"])
    return (
        _field(5, operation["operationId"])
        + b"".join(_field(8, _field(1, _field(2, _field(3, one)))) for one in queries)
        + b"".join(_field(13, _extension(k, v)) for k, v in operation.items() if k[:2] == "x-")
    )


def document(document: Obj) -> bytes:
    """Return the whole document."""
    info = _field(1, document["info"]["title"]) + _field(2, document["info"]["version"])
    paths = (
        _field(2, _named(path, _field(8, _operation(verbs["patch"]))))
        for path, verbs in document["paths"].items()
        if "patch" in verbs
    )
    definitions = document["definitions"].items()
    return (
        _field(1, document["swagger"])
        + _field(2, info)
        + _field(8, b"".join(paths))
        + _field(9, b"".join(_field(1, _named(name, _schema(s))) for name, s in definitions))
    )
