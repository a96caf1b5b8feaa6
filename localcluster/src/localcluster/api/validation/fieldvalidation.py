"""Field validation: unknown fields, and values of the wrong type."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from ...apimachinery.apierrors import WrongType, bad_request
from ...apimachinery.jsontypes import Obj, json_type, parse_time
from ...apimachinery.quantities import canonical
from ..defaults.zerovalues import ZERO_VALUES, zero_value
from ..options import WriteOptions
from ..schema.schema import STRING, Type, is_quantity, model, model_of, struct_name, type_of

# Times are shown even when they are null.
_TIMES = ("Time", "Timestamp")
_INT64_FIELDS = {
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
    "runAsUser",
    "runAsGroup",
    "fsGroup",
    "generation",
    "tolerationSeconds",
    "observedGeneration",
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_omitted(field: str, value: Any, kind: Type) -> bool:
    """Tell whether a value is one that the API leaves out: null, or an empty list or map."""
    if value is None:
        return not field.endswith(_TIMES)
    return kind.many in ("list", "dict") and value in ([], {})


class _Checker:
    """Walks one object, and gathers what does not fit its kind.

    Args:
        known: The object that is stored; what the new one shares with it was checked before.
    """

    def __init__(self, known: Obj | None) -> None:
        self.unknown: list[str] = []
        self._known = known

    def check_object(self, obj: Obj, name: str) -> Any:
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
            raise self.wrong_type(value, name, path, struct_name(name))
        result = {}
        for key, inner in value.items():
            kind = fields.get(key)
            if kind is STRING and type(inner) is str and not is_quantity(key):
                result[key] = inner
                continue
            where = f"{path}.{key}" if path else key
            if kind is None:
                self.unknown.append(where)
            elif not _is_omitted(key, inner, kind):
                result[key] = self.field(inner, kind, name, where)
        return result

    def field(self, value: Any, kind: Type, owner: str, path: str) -> Any:
        if value is None:
            return value
        if kind.many == "list":
            if not isinstance(value, list):
                raise self.wrong_type(value, owner, path, f"[]{_go_type(kind.name, path)}")
            single = type_of(kind.name)
            if single is STRING and all(type(x) is str for x in value):
                return list(value)
            return [
                zero_value(kind.name) if x is None else self.field(x, single, owner, f"{path}[{i}]")
                for i, x in enumerate(value)
            ]
        if kind.many == "dict":
            if not isinstance(value, dict):
                raise self.wrong_type(value, owner, path, f"map[string]{_go_type(kind.name, path)}")
            single = type_of(kind.name)
            if single is STRING and is_quantity(path.rpartition(".")[2]):
                return {key: canonical(x) for key, x in value.items()}
            return {
                key: zero_value(kind.name) if x is None else self.field(x, single, owner, path)
                for key, x in value.items()
            }
        self.plain(value, kind.name, owner, path)
        if kind.time and not _is_time(value):
            raise bad_request(
                f'parsing time {json.dumps(value)} as "2006-01-02T15:04:05Z07:00": cannot parse it'
            )
        if kind is STRING and is_quantity(path.rpartition(".")[2]):
            return canonical(value)
        if kind.name in ZERO_VALUES:
            return value
        return self.model(value, kind.name, path)

    def plain(self, value: Any, kind: str, owner: str, path: str) -> None:
        if kind == "str":
            last = path.rpartition(".")[2]
            fits = isinstance(value, str) or (is_quantity(last) and _is_number(value))
        elif kind == "bool":
            fits = isinstance(value, bool)
        elif kind == "int":
            fits = _is_number(value) and float(value).is_integer()
        else:
            fits = kind != "float" or _is_number(value)
        if not fits:
            raise self.wrong_type(value, owner, path, _go_type(kind, path))

    def wrong_type(self, value: Any, owner: str, path: str, wanted: str) -> TypeError:
        bare = re.sub(r"\[\d+\]", "", path)
        return TypeError(
            f"json: cannot unmarshal {json_type(value)} into Go struct field"
            f" {struct_name(owner)}.{bare} of type {wanted}",
            _go_kind(wanted),
            _go_kind_of_value(value),
        )


@functools.lru_cache(maxsize=1024)
def _is_time(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", text, re.A):
        return False
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def _go_kind_of_value(value: Any) -> str:
    kinds = {dict: "map", list: "slice", str: "string", bool: "bool", float: "float64"}
    return kinds.get(type(value), "int64")


def _go_kind(wanted: str) -> str:
    if wanted.startswith("map["):
        return "map"
    return "slice" if wanted.startswith("[]") else wanted


def _go_type(kind: str, path: str) -> str:
    if kind == "int":
        return "int64" if path.rpartition(".")[2] in _INT64_FIELDS else "int32"
    return {"str": "string", "bool": "bool", "float": "float64"}.get(
        kind, f"v1.{struct_name(kind)}"
    )


def check(obj: Obj, options: WriteOptions | None = None, known: Obj | None = None) -> Obj:
    """Return the object without fields that its kind does not have.

    Args:
        known: The stored object that `obj` was made from; parts that they share are taken as
            they are.

    Raises:
        ApiError: A field has the wrong type, or is unknown and the client wants to be strict.
    """
    options = options or WriteOptions()
    kind, version = obj.get("kind", ""), str(obj.get("apiVersion", "")).rpartition("/")[2]
    checker = _Checker(known)
    prefix = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    try:
        result = checker.check_object(obj, model_of(kind))
    except TypeError as error:
        why, wanted, given = error.args
        raise WrongType(prefix, why, wanted, given) from None
    if checker.unknown and options.field_validation == "Strict":
        listed = ", ".join(f"unknown field {json.dumps(path)}" for path in checker.unknown)
        raise bad_request(f"{prefix}strict decoding error: {listed}")
    if options.field_validation != "Ignore":
        options.warnings += [f"unknown field {json.dumps(path)}" for path in checker.unknown]
    checked: Obj = result
    return checked
