"""Which fields each kind of object has: read from the installed `kubernetes` client's models.

The client's source says for each model which fields it has and of which type. It is read as
text, model by model when one is needed, because importing the client takes a second.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wqlib.localcluster.api.rest import Options
from wqlib.localcluster.apimachinery.apierrors import bad_request
from wqlib.localcluster.apimachinery.jsontypes import Obj, parse_time

_TABLE = r"^ {4}%s(?:: [^=\n]*)? = (\{.*?\})$"
_TYPES = re.compile(_TABLE % "openapi_types", re.MULTILINE | re.DOTALL)
_NAMES = re.compile(_TABLE % "attribute_map", re.MULTILINE | re.DOTALL)

# How the client's source marks a field that is never left out, before and since its version 36.
_REQUIRED = re.compile(
    r"Invalid value for `(\w+)`, must not be `None`|"
    r"^ {4}(\w+): (?!Optional\[)[^=\n]+(?: = Field\(|$)",
    re.MULTILINE,
)

_PLAIN: dict[str, Any] = {"str": "", "int": 0, "float": 0, "bool": False, "any": None}

# Kinds whose model is not simply called V1<Kind>.
_MODELS = {"Event": "CoreV1Event"}
_QUANTITIES = {"limits", "requests", "capacity", "allocatable", "divisor", "sizeLimit"}
_LONG = {
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
    "runAsUser",
    "runAsGroup",
    "fsGroup",
    "generation",
    "tolerationSeconds",
    "observedGeneration",
}


@dataclass(frozen=True)
class Type:
    """The type of a field: `str`, `int`, `bool`, `float`, `any`, or the name of a model.

    Attributes:
        many: `list` or `dict` when the field holds several of them.
        time: whether the text is a time.
    """

    name: str
    many: str = ""
    time: bool = False


Model = dict[str, Type]


@functools.cache
def _folder() -> Path | None:
    spec = importlib.util.find_spec("kubernetes")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) / "client" / "models" if places else None


@functools.cache
def _files() -> dict[str, Path]:
    folder = _folder()
    if folder is None or not folder.is_dir():
        return {}
    return {path.stem.replace("_", ""): path for path in folder.glob("*.py")}


def _type(text: str) -> Type:
    found = re.match(r"^(?:list|List)\[(.*)\]$", text)
    if found:
        return Type(_type(found[1]).name, "list")
    found = re.match(r"^(?:dict\(|Dict\[|dict\[)str, (.*)[)\]]$", text)
    if found:
        inner = _type(found[1])
        return Type("any" if inner.many else inner.name, "dict")
    if text == "datetime":
        return Type("str", time=True)
    return Type({"bytes": "str", "bytearray": "str", "object": "any"}.get(text, text))


@functools.cache
def model(name: str) -> Model | None:
    """Return a model's fields by their JSON names, or None when it is unknown."""
    path = _files().get(name.lower())
    if path is None:
        return None
    text = path.read_text(encoding="utf-8")
    types, names = _TYPES.search(text), _NAMES.search(text)
    if types is None or names is None:
        return None
    attributes: dict[str, str] = ast.literal_eval(names[1])
    listed: dict[str, str] = ast.literal_eval(types[1])
    return {attributes[attribute]: _type(kind) for attribute, kind in listed.items()}


@functools.cache
def required(name: str) -> tuple[str, ...]:
    """Return the JSON names of a model's fields that are never left out."""
    path, fields = _files().get(name.lower()), model(name)
    if path is None or fields is None:
        return ()
    text = path.read_text(encoding="utf-8")
    names = _NAMES.search(text)
    attributes: dict[str, str] = ast.literal_eval(names[1]) if names else {}
    found = [old or new for old, new in _REQUIRED.findall(text)]
    return tuple({attributes[one]: None for one in found if one in attributes})


def complete(obj: Obj, before: Obj | None = None) -> Obj:
    """Return the object with a zero value for each required field that it leaves out.

    So the real server reads it: a missing text is an empty one, and an object or list that is
    null is not there. Whether that is allowed is a matter of validation.

    Args:
        before: what was stored so far; the parts that are the same are complete.
    """
    before = before or {}
    known = [key for key, value in obj.items() if key in before and before[key] == value]
    rest = {key: value for key, value in obj.items() if key not in known}
    completed: Obj = _complete(rest, model_of(obj.get("kind", "")))
    return {**completed, **{key: obj[key] for key in known}}


def _complete(value: Any, name: str) -> Any:
    fields = model(name)
    if fields is None or not isinstance(value, dict):
        return value
    result = {}
    for key, inner in value.items():
        kind = fields.get(key)
        if kind is None or (inner is None and not kind.many and kind.name in _PLAIN):
            result[key] = inner
        elif inner is None:
            continue
        elif kind.many == "list":
            result[key] = [_complete(one, kind.name) for one in inner]
        elif kind.many == "dict":
            result[key] = {k: _complete(one, kind.name) for k, one in inner.items()}
        else:
            result[key] = _complete(inner, kind.name)
    for key in required(name):
        if result.get(key) is None and not fields[key].many and fields[key].name != "any":
            result[key] = _zero(fields[key].name)
    return result


def _zero(kind: str) -> Any:
    return _PLAIN[kind] if kind in _PLAIN else _complete({}, kind)


def model_of(kind: str) -> str:
    """Return the name of the model of a kind."""
    return _MODELS.get(kind, f"V1{kind}")


def is_quantity(field: str) -> bool:
    """Tell whether a field holds quantities, which may be written as numbers too."""
    return field in _QUANTITIES


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"


class _Checker:
    """Walks one object, and gathers what does not fit its kind."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def model(self, value: Any, name: str, path: str) -> Any:
        fields = model(name)
        if fields is None or value is None:
            return value
        if not isinstance(value, dict):
            raise self.wrong(value, name, path, struct_name(name))
        result = {}
        for key, inner in value.items():
            kind = fields.get(key)
            where = f"{path}.{key}" if path else key
            if kind is None:
                self.unknown.append(where)
            else:
                result[key] = self.field(inner, kind, name, where)
        return result

    def field(self, value: Any, kind: Type, owner: str, path: str) -> Any:
        if value is None:
            return value
        if kind.many == "list":
            if not isinstance(value, list):
                raise self.wrong(value, owner, path, f"[]{_go(kind.name, path)}")
            single = Type(kind.name)
            return [
                _zero(kind.name) if x is None else self.field(x, single, owner, f"{path}[{i}]")
                for i, x in enumerate(value)
            ]
        if kind.many == "dict":
            if not isinstance(value, dict):
                raise self.wrong(value, owner, path, f"map[string]{_go(kind.name, path)}")
            single = Type(kind.name)
            quantities = path.rpartition(".")[2] in _QUANTITIES
            if quantities:
                single = Type("any")
            return {
                key: _zero(kind.name) if x is None else self.field(x, single, owner, path)
                for key, x in value.items()
            }
        self.plain(value, kind.name, owner, path)
        if kind.time and not _is_time(value):
            raise bad_request(
                f'parsing time {json.dumps(value)} as "2006-01-02T15:04:05Z07:00": cannot parse it'
            )
        if kind.name in _PLAIN:
            return value
        return self.model(value, kind.name, path)

    def plain(self, value: Any, kind: str, owner: str, path: str) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        last = path.rpartition(".")[2]
        fits = {
            "str": isinstance(value, str) or (number and last in _QUANTITIES),
            "int": number and float(value).is_integer() if number else False,
            "float": number,
            "bool": isinstance(value, bool),
        }
        if not fits.get(kind, True):
            raise self.wrong(value, owner, path, _go(kind, path))

    def wrong(self, value: Any, owner: str, path: str, wanted: str) -> TypeError:
        bare = re.sub(r"\[\d+\]", "", path)
        return TypeError(
            f"json: cannot unmarshal {_shown(value)} into Go struct field"
            f" {struct_name(owner)}.{bare} of type {wanted}"
        )


def _is_time(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", text, re.A):
        return False
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def struct_name(name: str) -> str:
    """Return the name of the Go struct that a model stands for."""
    return re.sub(r"^(CoreV1|V1)", "", name)


def _go(kind: str, path: str) -> str:
    if kind == "int":
        return "int64" if path.rpartition(".")[2] in _LONG else "int32"
    return {"str": "string", "bool": "bool", "float": "float64"}.get(
        kind, f"v1.{struct_name(kind)}"
    )


def check(obj: Obj, options: Options) -> Obj:
    """Return the object without fields that its kind does not have.

    Raises:
        ApiError: a field has the wrong type, or is unknown and the client wants to be strict.
    """
    kind, version = obj.get("kind", ""), str(obj.get("apiVersion", "")).rpartition("/")[2]
    checker = _Checker()
    prefix = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    try:
        result = checker.model(obj, model_of(kind), "")
    except TypeError as error:
        raise bad_request(prefix + str(error)) from None
    if checker.unknown and options.validation == "Strict":
        listed = ", ".join(f"unknown field {json.dumps(path)}" for path in checker.unknown)
        raise bad_request(f"{prefix}strict decoding error: {listed}")
    if options.validation != "Ignore":
        options.warnings += [f"unknown field {json.dumps(path)}" for path in checker.unknown]
    checked: Obj = result
    return checked
