"""Which fields each kind of object has, and what each may hold: read from one data file.

`openapi.json` is what a real Kubernetes says in `/openapi/v3`, without the descriptions;
`tests/record_openapi.py` makes it. Everything that depends on types reads it through here:
validation, defaults, patches, field management and the documents that are served.
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...apimachinery.jsontypes import Obj

REFERENCE = "#/components/schemas/"
KIND = "x-kubernetes-group-version-kind"


@dataclass(frozen=True, eq=False)
class Type:
    """What a value may be.

    Attributes:
        type: `string`, `integer`, `number`, `boolean`, `array`, `map`, `struct`, `any`, or what
            has rules of its own: `bytes`, `int-or-string`, `quantity`, `time`.
        name: The definition that describes it, such as `io.k8s.api.core.v1.PodSpec`; or empty.
        format: Of an integer or a number: `int32`, `int64`, `double`.
        items: The type of the elements of an array, or of the values of a map.
        enum: What a string may be; anything if empty.
        default: What the API fills in where a field of this type is left out; None for nothing.
        topology: How several managers share it: `atomic` as a whole; a `granular` map or struct by
            its fields; a `set` by its elements; a `map`, which is an array, by its elements' keys.
        keys: The fields that tell the elements of such an array apart.
        merge_key: The field that a strategic merge patch knows the elements of an array by.
        merged: Whether such a patch adds to an array, and does not replace it.
    """

    type: str
    name: str = ""
    format: str = ""
    items: Type | None = None
    enum: tuple[str, ...] = ()
    default: Any = None
    topology: str = "atomic"
    keys: tuple[str, ...] = ()
    merge_key: str = ""
    merged: bool = False

    @functools.cached_property
    def fields(self) -> dict[str, Type]:
        """The types of a struct's fields by their names."""
        return _fields(self.name) if self.type == "struct" else {}

    @functools.cached_property
    def required(self) -> frozenset[str]:
        """The fields that a struct never leaves out."""
        return frozenset(definitions()[self.name].get("required", ()) if self.fields else ())

    @functools.cached_property
    def defaults(self) -> dict[str, Type]:
        """The fields of a struct that have a default."""
        return {k: t for k, t in self.fields.items() if t.default is not None}

    @functools.cached_property
    def composed(self) -> dict[str, Type]:
        """The fields of a struct that hold structs, one or many."""
        return {k: t for k, t in self.fields.items() if t.innermost.type == "struct"}

    @property
    def innermost(self) -> Type:
        """The type of what an array or a map consists of in the end."""
        return self.items.innermost if self.items else self

    def part(self, field: str) -> Type:
        """Return the type of a field of a struct, or of any part of a map or an array."""
        return self.fields.get(field) or self.items or UNKNOWN


# Of what no schema tells: fields by themselves, lists as a whole.
UNKNOWN = Type("any", topology="granular")


@functools.cache
def definitions() -> dict[str, Obj]:
    """Return all definitions by name, in the form of OpenAPI."""
    text = Path(__file__).with_name("openapi.json").read_text(encoding="ascii")
    found: dict[str, Obj] = json.loads(text)["components"]["schemas"]
    return found


@functools.cache
def _names() -> dict[tuple[str, str], str]:
    found = {}
    for name, definition in definitions().items():
        for kind in definition.get(KIND, ()):
            group = f"{kind['group']}/" if kind["group"] else ""
            found[f"{group}{kind['version']}", kind["kind"]] = name
    return found


def name_of(api_version: str, kind: str) -> str:
    """Return the name of a kind's definition, or an empty text if there is none."""
    return _names().get((api_version, kind), "")


@functools.cache
def named(name: str) -> Type:
    """Return the type that a definition describes."""
    return _type({"$ref": REFERENCE + name}) if name else UNKNOWN


def of_kind(api_version: str, kind: str) -> Type:
    """Return the type of a kind's objects: `of_kind("apps/v1", "Deployment")`."""
    return named(name_of(api_version, kind))


def of(obj: Obj) -> Type:
    """Return the type of an object, by its `apiVersion` and `kind`."""
    return of_kind(obj["apiVersion"], obj["kind"])


def walk(value: Any, kind: Type, path: str = "") -> Iterator[tuple[str, Any, Type]]:
    """Yield each part of a value that the schema knows: its path, itself, and its type."""
    yield path, value, kind
    if kind.type == "array" and kind.items and isinstance(value, list):
        for i, one in enumerate(value):
            yield from walk(one, kind.items, f"{path}[{i}]")
    elif isinstance(value, dict):
        for name, one in value.items():
            inner = kind.fields.get(name) or (kind.items if kind.type == "map" else None)
            if inner:
                below = f"{path}[{name}]" if kind.type == "map" else f"{path}.{name}"
                yield from walk(one, inner, below.removeprefix("."))


@functools.cache
def _fields(name: str) -> dict[str, Type]:
    return {key: _type(one) for key, one in definitions()[name]["properties"].items()}


def _type(schema: Obj) -> Type:
    """Return the type of a property, whose own words come before those of what it refers to."""
    reference = schema.get("$ref") or (schema["allOf"][0]["$ref"] if "allOf" in schema else "")
    name = reference.removeprefix(REFERENCE)
    said = {**definitions()[name], **schema} if name else schema
    kind = _kind(said)
    items = said.get("items") or said.get("additionalProperties")
    if kind in ("map", "struct"):
        topology = said.get("x-kubernetes-map-type", "granular")
    else:
        topology = said.get("x-kubernetes-list-type", "atomic")
    return Type(
        kind,
        name,
        said.get("format", ""),
        _type(items) if items else None,
        tuple(said.get("enum", ())),
        said.get("default"),
        topology,
        tuple(said.get("x-kubernetes-list-map-keys", ())),
        said.get("x-kubernetes-patch-merge-key", ""),
        "merge" in said.get("x-kubernetes-patch-strategy", "").split(","),
    )


def _kind(said: Obj) -> str:
    kind: str = said.get("type", "any")
    if "oneOf" in said:
        return str(said.get("format", "quantity"))
    if kind == "object":
        kinds = {"additionalProperties": "map", "properties": "struct"}
        return next((kind for key, kind in kinds.items() if key in said), "any")
    return {"date-time": "time", "byte": "bytes"}.get(said.get("format", ""), kind)
