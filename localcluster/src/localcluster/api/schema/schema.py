"""Which fields each kind of object has: read from the installed `kubernetes` client's models.

The client's source says for each model which fields it has and of which type. It is read as
text, model by model when one is needed, because importing the client takes a second.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

_TABLE = r"^ {4}%s(?:: [^=\n]*)? = (\{.*?\})$"
_TYPES = re.compile(_TABLE % "openapi_types", re.MULTILINE | re.DOTALL)
_NAMES = re.compile(_TABLE % "attribute_map", re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r"""["'](\w+)["']: ["']([^"']+)["']""")

# How the client's source marks a field that is never left out, before and since its version 36.
_REQUIRED = (
    re.compile(r"Invalid value for `(\w+)`, must not be `None`"),
    re.compile(r"\n {4}(\w+): (?!Optional\[)[^=\n]+(?: = Field\(|(?=\n))"),
)

# Kinds whose model is not simply called V1<Kind>.
_MODELS = {"Event": "CoreV1Event"}
_AS_STRING = {"str", "bytes", "bytearray"}
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


@dataclass(frozen=True)
class Type:
    """The type of a field: `str`, `int`, `bool`, `float`, `any`, or the name of a model.

    Attributes:
        many: `list` or `dict` when the field holds several of them.
        time: Whether the text is a time.
    """

    name: str
    many: str = ""
    time: bool = False


Model = dict[str, Type]

STRING = Type("str")
_TIME = Type("str", time=True)


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
def type_of(text: str) -> Type:
    """Return the type that the client's source writes as `text`."""
    if text in _AS_STRING:
        return STRING
    if text == "datetime":
        return _TIME
    found = re.match(r"^(?:list|List)\[(.*)\]$", text)
    if found:
        return Type(type_of(found[1]).name, "list")
    found = re.match(r"^(?:dict\(|Dict\[|dict\[)str, (.*)[)\]]$", text)
    if found:
        inner = type_of(found[1])
        return Type("any" if inner.many else inner.name, "dict")
    return Type("any" if text == "object" else text)


def source(name: str) -> str | None:
    """Return the source of a model, or None when it is unknown."""
    path = _files().get(name.lower())
    return path.read_text(encoding="utf-8") if path else None


def json_names(text: str) -> dict[str, str]:
    """Return the JSON names of a model's attributes, read from its source."""
    found = _NAMES.search(text)
    return _table(found[1]) if found else {}


def _table(text: str) -> dict[str, str]:
    # Not by `ast`, which some Pythons cannot use in two threads at once.
    return dict(_PAIR.findall(text))


@functools.cache
def _read(name: str) -> tuple[Model, tuple[str, ...]] | None:
    """Read a model: its fields, and which of them are never left out."""
    text = source(name)
    types = _TYPES.search(text) if text else None
    if text is None or types is None:
        return None
    attributes = json_names(text)
    listed = _table(types[1])
    fields = {attributes[attribute]: type_of(kind) for attribute, kind in listed.items()}
    needed = [attributes.get(name) for mark in _REQUIRED for name in mark.findall(text)]
    return fields, tuple(dict.fromkeys(field for field in needed if field))


@functools.cache
def model(name: str) -> Model | None:
    """Return a model's fields by their JSON names, or None when it is unknown."""
    found = _read(name)
    return found[0] if found else None


@functools.cache
def required(name: str) -> tuple[str, ...]:
    """Return the JSON names of a model's fields that are never left out."""
    found = _read(name)
    return found[1] if found else ()


def model_of(kind: str) -> str:
    """Return the name of the model of a kind."""
    return _MODELS.get(kind, f"V1{kind}")


def is_quantity(field: str) -> bool:
    """Tell whether a field holds quantities, which may be written as numbers too."""
    return field in _QUANTITIES


def struct_name(name: str) -> str:
    """Return the name of the Go struct that a model stands for."""
    return re.sub(r"^(CoreV1|V1)", "", name)
