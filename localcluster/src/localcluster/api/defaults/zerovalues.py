"""Zero values: a required field that an object leaves out is read as its zero value.

So the real server reads it: a missing text is an empty one. Whether that is allowed is a matter of
validation, which then needs not ask for each field whether it is there.
"""

from __future__ import annotations

import functools
from typing import Any

from ...apimachinery.jsontypes import Obj
from ..schema.schema import Type, model, model_of, required

ZERO_VALUES: dict[str, Any] = {"str": "", "int": 0, "float": 0, "bool": False, "any": None}

# What the real server keeps as a pointer: left out is not the same as empty.
_POINTERS = ("any", "V1LabelSelector")


def fill_zero_values(obj: Obj, before: Obj | None) -> Obj:
    """Give the object a zero value for each required field that it leaves out, and return it.

    Args:
        obj: An object of our own, which has been checked; it is changed.
        before: What was stored so far; the parts that are the same are complete.
    """
    nested, missing = _plan(model_of(obj["kind"]))
    for key in nested.keys() & obj.keys():
        if before is None or key not in before or before[key] != obj[key]:
            _fill(obj[key], nested[key])
    for key, kind in missing.items():
        if obj.get(key) is None:
            obj[key] = zero_value(kind)
    return obj


def zero_value(kind: str) -> Any:
    """Return the value of a type that was not given."""
    if kind in ZERO_VALUES:
        return ZERO_VALUES[kind]
    made: Obj = {}
    _fill_model(made, kind)
    return made


@functools.cache
def _plan(name: str) -> tuple[dict[str, Type], dict[str, str]]:
    """Return which fields of a model have models themselves, and the types of those it needs."""
    fields = model(name) or {}
    nested = {key: kind for key, kind in fields.items() if kind.name not in ZERO_VALUES}
    needed = {key: fields[key] for key in required(name) if key in fields}
    missing = {key: k.name for key, k in needed.items() if not k.many and k.name not in _POINTERS}
    return nested, missing


def _fill(value: Any, kind: Type) -> None:
    if kind.many == "list":
        for one in value or ():
            _fill_model(one, kind.name)
    elif kind.many == "dict":
        for one in (value or {}).values():
            _fill_model(one, kind.name)
    else:
        _fill_model(value, kind.name)


def _fill_model(value: Any, name: str) -> None:
    if not isinstance(value, dict):
        return
    nested, missing = _plan(name)
    for key in nested.keys() & value.keys():
        _fill(value[key], nested[key])
    for key, kind in missing.items():
        if value.get(key) is None:
            value[key] = zero_value(kind)
