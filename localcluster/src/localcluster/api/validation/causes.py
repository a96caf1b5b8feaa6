"""The causes of a refusal (`StatusCause`), in the words in which the real server gives them."""

from __future__ import annotations

import json
from typing import Any

from ...apimachinery.jsontypes import Obj


class Causes(list[Obj]):
    """The causes for which one object is refused."""

    def required(self, field: str, why: str = "") -> None:
        self._add(
            field, "FieldValueRequired", f"Required value: {why}" if why else "Required value"
        )

    def invalid(self, field: str, value: Any, why: str) -> None:
        self._add(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {why}")

    def unsupported(self, field: str, value: Any, supported: list[str]) -> None:
        known = ", ".join(json.dumps(one) for one in supported)
        text = f"Unsupported value: {_shown(value)}: supported values: {known}"
        self._add(field, "FieldValueNotSupported", text)

    def duplicate(self, field: str, value: Any) -> None:
        self._add(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")

    def not_found(self, field: str, value: Any) -> None:
        self._add(field, "FieldValueNotFound", f"Not found: {_shown(value)}")

    def forbidden(self, field: str, why: str) -> None:
        self._add(field, "FieldValueForbidden", f"Forbidden: {why}")

    def _add(self, field: str, reason: str, message: str) -> None:
        self.append({"reason": reason, "message": message, "field": field})

    def faults(self, field: str, value: Any, why: list[str]) -> None:
        for one in why:
            self.invalid(field, value, one)

    def immutable(self, field: str, old: Any, new: Any) -> None:
        if old != new:
            self.invalid(field, new, "field is immutable")

    def too_long(self, field: str, most: int) -> None:
        self._add(field, "FieldValueTooLong", f"Too long: may not be more than {most} bytes")

    def too_many(self, field: str, count: int, most: int) -> None:
        text = f"Too many: {count}: must have at most {most} items"
        self._add(field, "FieldValueTooMany", text)


def _shown(value: Any) -> str:
    """Return a value as the server shows it: as Go writes JSON, with sorted maps of texts."""
    return json.dumps(_sorted(value), separators=(",", ":"), ensure_ascii=False)


def _sorted(value: Any) -> Any:
    """Sort the maps of texts in a value, such as labels; a struct keeps the order of its fields."""
    if isinstance(value, list):
        return [_sorted(one) for one in value]
    if not isinstance(value, dict):
        return value
    if all(isinstance(text, str) for text in value.values()):
        return dict(sorted(value.items()))
    return {key: _sorted(one) for key, one in value.items()}
