"""The complaints about one object, in the words in which the real server makes them."""

from __future__ import annotations

import json
from typing import Any

from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.profile import profile


class Causes(list[Obj]):
    """The complaints about one object."""

    def required(self, field: str, why: str = "") -> None:
        self._add(
            field, "FieldValueRequired", f"Required value: {why}" if why else "Required value"
        )

    def invalid(self, field: str, value: Any, why: str) -> None:
        self._add(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {why}")

    def unsupported(self, field: str, value: Any, supported: list[str]) -> None:
        known = ", ".join(json.dumps(one) for one in supported)
        text = f"Unsupported value: {json.dumps(value)}: supported values: {known}"
        self._add(field, "FieldValueNotSupported", text)

    def duplicate(self, field: str, value: Any) -> None:
        self._add(field, "FieldValueDuplicate", f"Duplicate value: {json.dumps(value)}")

    def forbidden(self, field: str, why: str) -> None:
        self._add(field, "FieldValueForbidden", f"Forbidden: {why}")

    def _add(self, field: str, reason: str, message: str) -> None:
        self.append({"reason": reason, "message": message, "field": field})

    def too_many(self, field: str, count: int, most: int) -> None:
        text = f"Too many: {count}: must have at most {most} items"
        self._add(field, "FieldValueTooMany", text)


def _shown(value: Any) -> str:
    """Return a value as the server shows it: 1.20 writes maps and selectors as Go does."""
    if profile().modern or not isinstance(value, dict | None):
        return json.dumps(value, separators=(",", ":"))
    if value is not None and {"matchLabels", "matchExpressions"} & set(value):
        labels = _go_map(value.get("matchLabels"))
        return (
            f"v1.LabelSelector{{MatchLabels:{labels},"
            " MatchExpressions:[]v1.LabelSelectorRequirement(nil)}"
        )
    return _go_map(value)


def _go_map(value: Any) -> str:
    if value is None:
        return "map[string]string(nil)"
    inner = ", ".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in sorted(value.items()))
    return f"map[string]string{{{inner}}}"
