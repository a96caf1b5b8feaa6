"""Decoding of request bodies: JSON, YAML and protobuf become plain data that JSON can express.

JSON has no infinity, Kubernetes no text with half a surrogate pair, and no object is nested as
deeply as a hundred. YAML brings aliases, with which a few lines stand for millions of values.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj, deep_copy
from ...apimachinery.transport import Request
from . import protobuf

_MAX_DEPTH = 100
# Reading YAML takes long, and nobody else is served meanwhile.
_MAX_YAML_BYTES = 128 * 1024
_MAX_YAML_VALUES = 50_000
_LONE = re.compile("[\ud800-\udfff]")
_MEDIA_TYPES = ["application/json", "application/yaml", protobuf.CONTENT_TYPE]
PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+json": "apply",
}


def media_type(request: Request) -> str:
    """Return the media type of the body, without its parameters."""
    return request.content_type.partition(";")[0].strip()


def decode_body(request: Request, kind: str = "", duplicates: list[str] | None = None) -> Any:
    """Return the body as JSON-like data; an empty body is an error unless `kind` is empty.

    Args:
        kind: The kind of object that the path takes.
        duplicates: Filled with the paths of the fields that its JSON names twice.
    """
    body, sent_as = request.body, media_type(request) or "application/json"
    if not isinstance(body, bytes):
        return deep_copy(body)  # It is its sender's, who may go on with it.
    if not body.strip() and not kind:
        return {}
    if sent_as not in _MEDIA_TYPES and sent_as not in PATCH_TYPES:
        raise apierrors.unsupported_media_type(_MEDIA_TYPES)
    if sent_as == protobuf.CONTENT_TYPE:
        return protobuf.decode(body)
    try:
        return _parse(body, sent_as.endswith("yaml"), [] if duplicates is None else duplicates)
    except (ValueError, RecursionError) as error:
        if sent_as in PATCH_TYPES:
            raise apierrors.malformed_patch(PATCH_TYPES[sent_as], _go_error(body, error)) from None
        where = f" (must be of type {kind})" if kind else ""
        raise apierrors.bad_request(
            f"the object provided is unrecognized{where}: couldn't get version/kind;"
            f" json parse error: {_go_error(body, error)} ({_excerpt(body)})"
        ) from None


def _go_error(body: bytes, error: Exception) -> str:
    """Return what is wrong with a JSON text, in the words of the real server."""
    place = getattr(error, "pos", len(body))
    rest = body.decode(errors="replace")[place:].lstrip()
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if len(rest) < 2 and not rest.strip("{["):
        return "unexpected end of JSON input"
    return f"invalid character '{rest[0]}' looking for beginning of value"


def _excerpt(body: bytes) -> str:
    return body[:64].decode(errors="replace") if body else "<empty>"


def _parse(data: bytes, as_yaml: bool, duplicates: list[str]) -> Any:
    """Return the value of a JSON or YAML text, and add to `duplicates`.

    Raises:
        ValueError: It is no such text, or one that no object of the API consists of.
        RecursionError: It is nested too deeply.
    """
    if as_yaml:
        try:  # JSON is YAML, and what kubectl sends under that name.
            return _parse(data, False, duplicates)
        except ValueError:
            return _yaml(data)
    repeated: dict[int, tuple[Obj, list[str]]] = {}

    def collect(pairs: list[tuple[str, Any]]) -> Obj:
        made = dict(pairs)
        if len(made) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            repeated[id(made)] = made, [name for name, count in counts.items() if count > 1]
        return made

    value = json.loads(
        data.decode(), object_pairs_hook=collect, parse_constant=_no_number, parse_float=_finite
    )
    if data.count(b"{") + data.count(b"[") > _MAX_DEPTH:
        _check_depth(value)
    if repeated:
        duplicates += _duplicates(value, repeated)
    return _without_surrogates(value) if b"\\u" in data else value


def _check_depth(value: Any) -> None:
    """Raise a `RecursionError` when the value is nested too deeply for an object of the API."""
    level, depth = [value], 0
    while level:
        if depth > _MAX_DEPTH:
            raise RecursionError(f"more than {_MAX_DEPTH} levels")
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += [v for v in one.values() if isinstance(v, dict | list)]
            elif isinstance(one, list):
                inner += [v for v in one if isinstance(v, dict | list)]
        level, depth = inner, depth + 1


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


def _duplicates(
    value: Any, repeated: dict[int, tuple[Obj, list[str]]], path: str = ""
) -> Iterator[str]:
    """Yield the paths of the fields that objects inside of a value have twice."""
    if isinstance(value, dict):
        for name in repeated.get(id(value), ({}, []))[1]:
            yield f"{path}.{name}".lstrip(".")
        for name, one in value.items():
            yield from _duplicates(one, repeated, f"{path}.{name}")
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _duplicates(one, repeated, f"{path}[{i}]")


def _without_surrogates(value: Any) -> Any:
    """Return the value with U+FFFD for each half of a surrogate pair, as Go reads it."""
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(one) for name, one in value.items()}
    return value


@functools.cache
def _loader() -> type[Any]:
    """Return a YAML loader without what JSON lacks: dates stay text, `<<` merges nothing.

    Few send YAML, and nobody else waits until this has been imported.
    """
    import yaml

    kept = {
        first: [rule for rule in known if not rule[0].endswith((":timestamp", ":merge"))]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": kept})


def _yaml(data: bytes) -> Any:
    if len(data) > _MAX_YAML_BYTES:
        raise ValueError(f"YAML is read up to {_MAX_YAML_BYTES} bytes; send it as JSON")
    import yaml

    try:
        return _without_surrogates(_AliasExpander().value(yaml.load(data, _loader())))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


class _AliasExpander:
    """Copies what YAML says, each alias as often as it is used, up to a bound."""

    def __init__(self) -> None:
        self._left = _MAX_YAML_VALUES

    def value(self, value: Any, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError("its aliases stand for too many values")
        if depth > _MAX_DEPTH:
            raise RecursionError(f"more than {_MAX_DEPTH} levels")
        if isinstance(value, dict):
            return {self._name(k): self.value(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(one, depth + 1) for one in value]
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is no number of JSON")
        if value is None or isinstance(value, str | int | float):
            return value
        raise ValueError(f"a value of YAML's type {type(value).__name__} has no place in an object")

    @staticmethod
    def _name(name: Any) -> str:
        if isinstance(name, bool):
            return str(name).lower()
        if isinstance(name, str | int | float):
            return str(name)
        raise ValueError(f"{name!r} is no name of a field")
