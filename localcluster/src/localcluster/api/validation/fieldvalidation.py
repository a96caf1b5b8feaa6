"""Field validation: unknown fields, and values of the wrong type, as the schema tells them.

https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from __future__ import annotations

import base64
import functools
import json
import re
from typing import Any

from ...apimachinery import quantities
from ...apimachinery.apierrors import WrongType, bad_request
from ...apimachinery.jsontypes import Obj, json_type, parse_time
from ..defaults.typedefaults import zero_value
from ..options import WriteOptions
from ..schema import schema
from ..schema.schema import Type

# Times are shown even when they are null, but for this one.
_TIMES, _CREATED = ("Time", "Timestamp"), "creationTimestamp"
_QUANTITY = "([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)"
_EMPTY: dict[str, Any] = {"array": [], "map": {}}
_BITS = {"int32": 31, "int64": 63}
_GO_TYPES = {"string": "string", "boolean": "bool", "number": "float64", "bytes": "[]uint8"}
# The parts of a time, as the real server's messages name them.
_TIME = (
    (r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"),
    (r"\d\d", "15"), (":", ":"), (r"\d\d", "04"), (":", ":"), (r"\d\d", "05"),
    (r"(\.\d{1,9})?", ""), (r"Z|[+-]\d\d:\d\d", "Z07:00"),
)  # fmt: skip
_MICRO_TIME = (*_TIME[:-2], (r"\.\d{6}", ".000000"), _TIME[-1])


class _Checker:
    """Walks one object, and gathers what does not fit its kind.

    Args:
        known: The object that is stored; what the new one shares with it was checked before.
    """

    def __init__(self, known: Obj | None) -> None:
        self.unknown: list[str] = []
        self._known = known

    def check_object(self, obj: Obj, kind: Type) -> Any:
        """Check an object, but for those of its parts that are the very ones of the known one."""
        if self._known is None:
            return self.struct(obj, kind, "")
        known = self._known
        changed = {k: v for k, v in obj.items() if v is not known.get(k)}
        checked = self.struct(changed, kind, "")
        return {k: checked.get(k, v) for k, v in obj.items() if k in checked or k not in changed}

    def struct(self, struct: Obj, kind: Type, path: str) -> Obj:
        result: Obj = {}
        for key, value in struct.items():
            field = kind.fields.get(key)
            if field and field.type == "string" and type(value) is str:
                result[key] = value
                continue
            where = f"{path}.{key}" if path else key
            if field is None:
                self.unknown.append(where)
            elif value is None:
                if key.endswith(_TIMES) and key != _CREATED:
                    result[key] = None
            # The API leaves out an empty list or map.
            elif field.type not in _EMPTY or value != _EMPTY[field.type]:
                result[key] = self.value(value, field, kind, where)
        return result

    def value(self, value: Any, kind: Type, owner: Type, path: str) -> Any:
        if kind.type == "struct" and isinstance(value, dict):
            return self.struct(value, kind, path)
        if kind.type == "map" and isinstance(value, dict):
            return {key: self.part(x, kind, owner, path) for key, x in value.items()}
        if kind.type == "array" and isinstance(value, list):
            return [self.part(x, kind, owner, f"{path}[{i}]") for i, x in enumerate(value)]
        if kind.type in _PARSED:
            return _PARSED[kind.type](value, kind)
        if not _fits(value, kind):
            raise self.wrong_type(value, kind, owner, path)
        return int(value) if kind.type == "integer" else value

    def part(self, value: Any, kind: Type, owner: Type, path: str) -> Any:
        """Check an element of a list, or a value of a map."""
        assert kind.items is not None
        if value is None:
            return zero_value(kind.items)
        return self.value(value, kind.items, owner, path)

    def wrong_type(self, value: Any, kind: Type, owner: Type, path: str) -> TypeError:
        """Return the error of the real server's JSON reader.

        Its arguments are the message, and of which kinds the value in Go should be and is.
        """
        given = _given(value) if kind.type in ("integer", "number") else json_type(value)
        struct, bare = owner.name.rpartition(".")[2], re.sub(r"\[\d+\]", "", path)
        wanted = _go_type(kind)
        text = (
            f"json: cannot unmarshal {given} into Go struct field {struct}.{bare} of type {wanted}"
        )
        sort = {"array": "slice", "bytes": "slice", "map": "map", "struct": "struct"}
        kinds = {dict: "map", list: "slice", str: "string", bool: "bool", float: "float64"}
        return TypeError(text, sort.get(kind.type, wanted), kinds.get(type(value), "int64"))


def _given(value: Any) -> str:
    """Return what the real server's JSON reader calls a value where it reads a number."""
    given = json_type(value)
    return f"number {json.dumps(value)}" if given == "number" else given


def _unparsed(why: str) -> TypeError:
    """Return the error of a type that reads its JSON itself."""
    return TypeError(why, "", "")


def _fits(value: Any, kind: Type) -> bool:
    """Tell whether a value is the text, the boolean or the number that it should be."""
    if kind.type in ("string", "bytes"):
        return isinstance(value, str) and (kind.type == "string" or _is_base64(value))
    if kind.type == "boolean" or isinstance(value, bool):
        return kind.type in ("any", "boolean") and isinstance(value, bool)
    if kind.type == "integer":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        bits = _BITS[kind.format]
        return whole and -(1 << bits) <= value < 1 << bits
    return kind.type == "any" or (kind.type == "number" and isinstance(value, int | float))


def _int_or_string(value: Any, _kind: Type) -> Any:
    if isinstance(value, str) or _fits(value, _INT32):
        return value
    raise _unparsed(f"json: cannot unmarshal {_given(value)} into Go value of type int32")


_INT32 = Type("integer", format="int32")


@functools.lru_cache(maxsize=1024, typed=True)
def _canonical(value: str | float) -> str | float | None:
    """Return a quantity as it is stored, or None if it is none."""
    return quantities.canonical(value) if quantities.is_quantity(value) else None


def _quantity(value: Any, _kind: Type) -> Any:
    found = None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        found = _canonical(value)
    if found is not None:
        return found
    has_form = isinstance(value, str) and re.fullmatch(_QUANTITY, value, re.ASCII)
    why = "unable to parse quantity's suffix"
    if not has_form:
        why = f"quantities must match the regular expression '^{_QUANTITY}$'"
    raise _unparsed(why)


def _time(value: Any, kind: Type) -> Any:
    if not isinstance(value, str):
        text = f"json: cannot unmarshal {json_type(value)} into Go value of type string"
        raise _unparsed(text)
    layout = _MICRO_TIME if kind.name.endswith("MicroTime") else _TIME
    why = _time_error(value, layout)
    if why:
        named = json.dumps("".join(name for _, name in layout))
        raise _unparsed(f"parsing time {json.dumps(value)} as {named}: {why}")
    return value


_PARSED = {"int-or-string": _int_or_string, "quantity": _quantity, "time": _time}


@functools.lru_cache(maxsize=1024)
def _time_error(text: str, layout: tuple[tuple[str, str], ...]) -> str:
    """Return what is wrong with a time, or an empty text."""
    rest = text
    for form, name in layout:
        found = re.match(form, rest, re.ASCII)
        if found is None:
            return f"cannot parse {json.dumps(rest)} as {json.dumps(name)}"
        rest = rest[found.end() :]
    if rest:
        return f"extra text: {json.dumps(rest)}"
    try:
        parse_time(text)
    except ValueError as error:
        part = re.search("month|day|hour|minute|second", str(error))
        return f"{part[0] if part else 'day'} out of range"
    return ""


def _is_base64(text: str) -> bool:
    """Tell whether a text is base64; raise the real server's error if it is not."""
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        found = re.match(r"[A-Za-z0-9+/]*", text)
        place = found.end() if found and found.end() < len(text) else len(text) // 4 * 4
        raise _unparsed(f"illegal base64 data at input byte {place}") from None
    return True


def _go_type(kind: Type) -> str:
    """Return a type as Go calls it; a named string or list goes by what it is made of."""
    if kind.type == "integer":
        return kind.format
    if kind.type == "map" and kind.items:
        quantity = kind.items.type == "quantity"
        return "v1.ResourceList" if quantity else f"map[string]{_go_type(kind.items)}"
    if kind.type == "array" and kind.items:
        return f"[]{_go_type(kind.items)}"
    return _GO_TYPES.get(kind.type) or ".".join(kind.name.split(".")[-2:])


def check(obj: Obj, options: WriteOptions | None = None, known: Obj | None = None) -> Obj:
    """Return the object without fields that its kind does not have.

    Args:
        known: The stored object that `obj` was made from; parts that they share are taken as
            they are.

    Raises:
        ApiError: A field has the wrong type, or is unknown and the client wants to be strict.
    """
    options = options or WriteOptions()
    kind, version = obj["kind"], str(obj["apiVersion"]).rpartition("/")[2]
    checker = _Checker(known)
    prefix = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    try:
        result: Obj = checker.check_object(obj, schema.of(obj))
    except TypeError as error:
        why, wanted, given = error.args
        raise WrongType(prefix, why, wanted, given) from None
    told = [f"duplicate field {json.dumps(path)}" for path in options.duplicates]
    told += [f"unknown field {json.dumps(path)}" for path in checker.unknown]
    if told and options.field_validation == "Strict":
        raise bad_request(f"{prefix}strict decoding error: {', '.join(told)}")
    if options.field_validation != "Ignore":
        options.warnings += told
    return result
