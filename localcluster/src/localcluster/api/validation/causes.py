"""The causes of a refusal (`StatusCause`), in the words in which the real server gives them."""

from __future__ import annotations

import json
from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile


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

    def one_of(self, field: str, value: Any, supported: list[str]) -> None:
        if value and value not in supported:
            self.unsupported(field, value, supported)

    def not_negative(self, spec: Obj, names: tuple[str, ...], at: str = "spec") -> None:
        for name in names:
            value = spec.get(name)
            if isinstance(value, int) and value < 0:
                self.invalid(f"{at}.{name}", value, "must be greater than or equal to 0")

    def duplicate(self, field: str, value: Any) -> None:
        self._add(field, "FieldValueDuplicate", f"Duplicate value: {json.dumps(value)}")

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

    def too_long(self, field: str, most: int, unit: str = "bytes") -> None:
        text = f"Too long: may not be more than {most} {unit}"
        self._add(field, "FieldValueTooLong", text)

    def too_many(self, field: str, count: int, most: int) -> None:
        text = f"Too many: {count}: must have at most {most} items"
        self._add(field, "FieldValueTooMany", text)


class Bare(str):
    """A value that is shown as it is, without quotes."""


def _shown(value: Any) -> str:
    """Return a value as the server shows it: 1.20 writes maps as Go does."""
    if isinstance(value, Bare):
        return value
    if profile().modern or not _is_text_map(value):
        return json.dumps(value, separators=(",", ":"))
    return _go_map(value)


def shown_selector(selector: Obj | None) -> Any:
    """Return a selector as the server shows it; a missing one is the text "null"."""
    if selector is None:
        return "null"
    if profile().modern:
        return selector
    labels = _go_map(selector.get("matchLabels"))
    rest = "MatchExpressions:[]v1.LabelSelectorRequirement(nil)"
    return Bare(f"v1.LabelSelector{{MatchLabels:{labels}, {rest}}}")


def shown_int_or_string(value: int | str) -> Any:
    """Return a number or percentage, such as `maxSurge`, as the server shows it."""
    if profile().modern:
        return value
    kind, number, text = (0, value, "") if isinstance(value, int) else (1, 0, value)
    return Bare(f"intstr.IntOrString{{Type:{kind}, IntVal:{number}, StrVal:{json.dumps(text)}}}")


def go_texts(values: list[Any]) -> str:
    """Return a list of texts as Go writes it."""
    return f"[]string{{{', '.join(json.dumps(value) for value in values)}}}"


def shown_texts(values: list[Any]) -> Any:
    """Return a list of texts as the server shows it."""
    return values if profile().modern else Bare(go_texts(values))


def shown_role(role: Obj) -> Any:
    """Return a binding's `roleRef` as the server shows it: under the names that Go has for it."""
    named = {name: role.get(name[0].lower() + name[1:], "") for name in ("Kind", "Name")}
    named = {"APIGroup": role.get("apiGroup", ""), **named}
    if profile().modern:
        return named
    inner = ", ".join(f"{name}:{json.dumps(value)}" for name, value in named.items())
    return Bare(f"rbac.RoleRef{{{inner}}}")


def shown_strategy(strategy: Obj) -> Any:
    """Return a Deployment's strategy as the server shows it."""
    if profile().modern:
        return strategy
    kind, rest = json.dumps(strategy["type"]), "(*apps.RollingUpdateDeployment)(nil)"
    return Bare(f"apps.DeploymentStrategy{{Type:{kind}, RollingUpdate:{rest}}}")


def _is_text_map(value: Any) -> bool:
    """Tell whether a value is a map of texts, or none at all."""
    texts = value.values() if isinstance(value, dict) else []
    return isinstance(value, dict | None) and all(isinstance(text, str) for text in texts)


def _go_map(value: Any) -> str:
    if value is None:
        return "map[string]string(nil)"
    inner = ", ".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in sorted(value.items()))
    return f"map[string]string{{{inner}}}"
