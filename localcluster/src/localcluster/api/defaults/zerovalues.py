"""The defaults that the schema names: what the API fills in where an object leaves a field out.

Most are zero values, as the real server reads them: a missing text is an empty one. Whether that
is allowed is a matter of validation, which then needs not ask for each field whether it is there.
"""

from __future__ import annotations

from typing import Any

from ...apimachinery.jsontypes import Obj
from ..schema import schema
from ..schema.schema import Type

_ZERO = {"string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "bytes": ""}


def fill_zero_values(obj: Obj, before: Obj | None) -> Obj:
    """Give the object the default of each field that it leaves out, and return it.

    Args:
        obj: An object of our own, which has been checked; it is changed.
        before: What was stored so far; the parts that are the same are complete.
    """
    kind = schema.of(obj)
    for key in kind.composed.keys() & obj.keys():
        if before is None or key not in before or before[key] != obj[key]:
            _fill(obj[key], kind.composed[key])
    _fill_missing(obj, kind)
    return obj


def zero_value(kind: Type) -> Any:
    """Return the value of a type that was not given."""
    return _filled({}, kind) if kind.type == "struct" else _ZERO.get(kind.type)


def _fill_missing(struct: Obj, kind: Type) -> None:
    for key, one in kind.defaults.items():
        if struct.get(key) is None:
            struct[key] = _filled({}, one) if one.default == {} else one.default


def _filled(value: Any, kind: Type) -> Any:
    _fill(value, kind)
    return value


def _fill(value: Any, kind: Type) -> None:
    if kind.type == "struct":
        if isinstance(value, dict):
            for key in kind.composed.keys() & value.keys():
                _fill(value[key], kind.composed[key])
            _fill_missing(value, kind)
    elif kind.items:
        for one in value.values() if isinstance(value, dict) else value or ():
            _fill(one, kind.items)
