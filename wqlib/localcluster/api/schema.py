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
from wqlib.localcluster.apimachinery.apierrors import WrongType, bad_request
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.quantities import canonical

_TABLE = r"^ {4}%s(?:: [^=\n]*)? = (\{.*?\})$"
_TYPES = re.compile(_TABLE % "openapi_types", re.MULTILINE | re.DOTALL)
_NAMES = re.compile(_TABLE % "attribute_map", re.MULTILINE | re.DOTALL)

# Kinds whose model is not simply called V1<Kind>.
_MODELS = {"Event": "CoreV1Event"}
_AS_STRING = {"str", "datetime", "bytes", "bytearray"}
_QUANTITIES = {
    "allocatable",
    "allocatedResources",
    "capacity",
    "default",
    "defaultRequest",
    "divisor",
    "hard",
    "limits",
    "max",
    "maxLimitRequestRatio",
    "min",
    "overhead",
    "requests",
    "sizeLimit",
    "used",
}
# Times are shown even when they are null.
_TIMES = ("Time", "Timestamp")
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
    """

    name: str
    many: str = ""


Model = dict[str, Type]

_STRING = Type("str")


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


@functools.cache
def _type(text: str) -> Type:
    if text in _AS_STRING:
        return _STRING
    found = re.match(r"^(?:list|List)\[(.*)\]$", text)
    if found:
        return Type(_type(found[1]).name, "list")
    found = re.match(r"^(?:dict\(|Dict\[|dict\[)str, (.*)[)\]]$", text)
    if found:
        inner = _type(found[1])
        return Type("any" if inner.many else inner.name, "dict")
    return Type("any" if text == "object" else text)


def source(name: str) -> str | None:
    """Return the source of a model, or None when it is unknown."""
    path = _files().get(name.lower())
    return path.read_text(encoding="utf-8") if path else None


def names(text: str) -> dict[str, str]:
    """Return the JSON names of a model's attributes, read from its source."""
    found = _NAMES.search(text)
    attributes: dict[str, str] = ast.literal_eval(found[1]) if found else {}
    return attributes


@functools.cache
def model(name: str) -> Model | None:
    """Return a model's fields by their JSON names, or None when it is unknown."""
    text = source(name)
    types = _TYPES.search(text) if text else None
    if text is None or types is None:
        return None
    attributes = names(text)
    listed: dict[str, str] = ast.literal_eval(types[1])
    return {attributes[attribute]: _type(kind) for attribute, kind in listed.items()}


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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _says_nothing(field: str, value: Any, kind: Type) -> bool:
    """Tell whether a value is one that the API leaves out: null, or an empty list or map."""
    if value is None:
        return not field.endswith(_TIMES)
    return kind.many in ("list", "dict") and value in ([], {})


class _Checker:
    """Walks one object, and gathers what does not fit its kind.

    Args:
        known: the object that is stored; what the new one shares with it was checked before.
    """

    def __init__(self, known: Obj | None) -> None:
        self.unknown: list[str] = []
        self._known = known

    def whole(self, obj: Obj, name: str) -> Any:
        """Check an object, but for those of its parts that are the very ones of the known one."""
        if self._known is None:
            return self.model(obj, name, "")
        known = self._known
        changed = {k: v for k, v in obj.items() if v is not known.get(k)}
        checked = self.model(changed, name, "")
        return {k: checked.get(k, v) for k, v in obj.items() if k in checked or k not in changed}

    def model(self, value: Any, name: str, path: str) -> Any:
        fields = model(name)
        if fields is None or value is None:
            return value
        if not isinstance(value, dict):
            raise self.wrong(value, name, path, struct_name(name))
        result = {}
        for key, inner in value.items():
            kind = fields.get(key)
            if kind is _STRING and type(inner) is str and key not in _QUANTITIES:
                result[key] = inner
                continue
            where = f"{path}.{key}" if path else key
            if kind is None:
                self.unknown.append(where)
            elif not _says_nothing(key, inner, kind):
                result[key] = self.field(inner, kind, name, where)
        return result

    def field(self, value: Any, kind: Type, owner: str, path: str) -> Any:
        if value is None:
            return value
        if kind.many == "list":
            if not isinstance(value, list):
                raise self.wrong(value, owner, path, f"[]{_go(kind.name, path)}")
            single = _type(kind.name)
            if single is _STRING and all(type(x) is str for x in value):
                return list(value)
            return [self.field(x, single, owner, f"{path}[{i}]") for i, x in enumerate(value)]
        if kind.many == "dict":
            if not isinstance(value, dict):
                raise self.wrong(value, owner, path, f"map[string]{_go(kind.name, path)}")
            single = _type(kind.name)
            quantities = path.rpartition(".")[2] in _QUANTITIES
            if quantities and single is _STRING:
                return {key: canonical(x) for key, x in value.items()}
            return {key: self.field(x, single, owner, path) for key, x in value.items()}
        self.plain(value, kind.name, owner, path)
        if kind is _STRING and path.rpartition(".")[2] in _QUANTITIES:
            return canonical(value)
        if kind.name in ("str", "int", "bool", "float", "any"):
            return value
        return self.model(value, kind.name, path)

    def plain(self, value: Any, kind: str, owner: str, path: str) -> None:
        if kind == "str":
            last = path.rpartition(".")[2]
            fits = isinstance(value, str) or (last in _QUANTITIES and _is_number(value))
        elif kind == "bool":
            fits = isinstance(value, bool)
        elif kind == "int":
            fits = _is_number(value) and float(value).is_integer()
        else:
            fits = kind != "float" or _is_number(value)
        if not fits:
            raise self.wrong(value, owner, path, _go(kind, path))

    def wrong(self, value: Any, owner: str, path: str, wanted: str) -> TypeError:
        bare = re.sub(r"\[\d+\]", "", path)
        return TypeError(
            f"json: cannot unmarshal {_shown(value)} into Go struct field"
            f" {struct_name(owner)}.{bare} of type {wanted}",
            _go_kind(wanted),
            _go_given(value),
        )


def _go_given(value: Any) -> str:
    kinds = {dict: "map", list: "slice", str: "string", bool: "bool", float: "float64"}
    return kinds.get(type(value), "int64")


def _go_kind(wanted: str) -> str:
    if wanted.startswith("map["):
        return "map"
    return "slice" if wanted.startswith("[]") else wanted


def struct_name(name: str) -> str:
    """Return the name of the Go struct that a model stands for."""
    return re.sub(r"^(CoreV1|V1)", "", name)


def _go(kind: str, path: str) -> str:
    if kind == "int":
        return "int64" if path.rpartition(".")[2] in _LONG else "int32"
    return {"str": "string", "bool": "bool", "float": "float64"}.get(
        kind, f"v1.{struct_name(kind)}"
    )


def check(obj: Obj, options: Options, known: Obj | None = None) -> Obj:
    """Return the object without fields that its kind does not have.

    Args:
        known: the stored object that `obj` was made from; parts that they share are taken as
            they are.

    Raises:
        ApiError: a field has the wrong type, or is unknown and the client wants to be strict.
    """
    kind, version = obj.get("kind", ""), obj.get("apiVersion", "").rpartition("/")[2]
    checker = _Checker(known)
    prefix = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    try:
        result = checker.whole(obj, model_of(kind))
    except TypeError as error:
        why, wanted, given = error.args
        raise WrongType(prefix, why, wanted, given) from None
    if checker.unknown and options.validation == "Strict":
        listed = ", ".join(f"unknown field {json.dumps(path)}" for path in checker.unknown)
        raise bad_request(f"{prefix}strict decoding error: {listed}")
    if options.validation != "Ignore":
        options.warnings += [f"unknown field {json.dumps(path)}" for path in checker.unknown]
    checked: Obj = result
    return checked
