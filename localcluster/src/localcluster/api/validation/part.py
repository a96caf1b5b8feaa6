"""A part of an object as validation sees it: what it is, where it is, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...apimachinery.jsontypes import Obj
from ..schema import schema
from ..schema.schema import Type
from .causes import Causes
from .names import INT_OR_PERCENT_RULE, PORT_RULE, is_port, port_name_faults

NOT_NEGATIVE = "must be greater than or equal to 0"
_PERCENT = re.compile(r"[0-9]{1,9}%")
_ITS_OWN = object()


@dataclass(slots=True, eq=False)
class Part:
    """A part of an object; complaints about it and its fields go to `causes`.

    `part[name]` is the value of a field, or None. Everywhere an empty name means the part itself.
    """

    value: Any
    kind: Type
    path: str
    causes: Causes

    def __getitem__(self, name: str) -> Any:
        return self.value.get(name) if name else self.value

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path and name else self.path or name

    def part(self, name: str) -> Part:
        """Return the struct or map in a field; an empty one if it is missing."""
        value, at = self.value.get(name) or {}, f"{self.path}.{name}" if self.path else name
        return Part(value, self.kind.part(name), at, self.causes)

    def each(self, *names: str) -> list[Part]:
        """Return the elements of the lists in some fields."""
        found = []
        for name in names:
            listed = self.value.get(name)
            if listed:
                kind, at = self.kind.part(name).part(""), self.at(name)
                found += [Part(x, kind, f"{at}[{i}]", self.causes) for i, x in enumerate(listed)]
        return found

    def required(self, name: str, why: str = "") -> None:
        """Complain that a field is missing."""
        self.causes.required(self.at(name), why)

    def require(self, *names: str, why: str = "") -> None:
        """Complain about each of some fields that is missing or empty."""
        for name in names:
            if not self[name]:
                self.required(name, why)

    def invalid(self, name: str, why: str, value: Any = _ITS_OWN) -> None:
        """Complain about the value of a field."""
        self.causes.invalid(self.at(name), self[name] if value is _ITS_OWN else value, why)

    def forbidden(self, name: str, why: str) -> None:
        """Complain that there is a field, or a change of it, at all."""
        self.causes.forbidden(self.at(name), why)

    def duplicate(self, name: str) -> None:
        """Complain that the value of a field occurs for the second time."""
        self.causes.duplicate(self.at(name), self[name])

    def unsupported(self, name: str, known: list[str]) -> None:
        """Complain that a field is none of the known values."""
        self.causes.unsupported(self.at(name), self[name], known)

    def choose(self, name: str, known: list[str] | None = None, *, always: bool = False) -> None:
        """Complain about a field with a value that is not known.

        Args:
            known: The values; those that the schema names if None.
            always: Whether a field without a value is not right either.
        """
        known = list(self.kind.part(name).enum) if known is None else known
        if (self[name] or always) and self[name] not in known:
            self.unsupported(name, known)

    def check(
        self, name: str, faults: Callable[[str], list[str]], *, required: bool = False
    ) -> None:
        """Complain about a name in a field.

        Args:
            faults: Returns what is wrong with it.
            required: Whether there has to be one.
        """
        if self[name]:
            self.causes.faults(self.at(name), self[name], faults(self[name]))
        elif required:
            self.required(name)

    def not_negative(self, *names: str) -> None:
        """Complain about each of some numbers that is below zero."""
        for name in names:
            if isinstance(self[name], int) and self[name] < 0:
                self.invalid(name, NOT_NEGATIVE)

    def port(self, name: str, *, optional: bool = False) -> None:
        """Complain about the number of a port, or the name if it is a text."""
        if isinstance(self[name], str):
            self.causes.faults(self.at(name), self[name], port_name_faults(self[name]))
        elif not is_port(self[name]) and not (optional and self[name] is None):
            self.invalid(name, PORT_RULE, self[name] or 0)

    def amount(self, name: str) -> None:
        """Complain unless a field is a number or a percentage, such as `maxSurge`."""
        if isinstance(self[name], int):
            self.not_negative(name)
        elif not _PERCENT.fullmatch(str(self[name])):
            self.invalid(name, INT_OR_PERCENT_RULE)

    def at_most_all(self, name: str) -> None:
        """Complain about more than a hundred per cent."""
        if _PERCENT.fullmatch(str(self[name])) and int(self[name][:-1]) > 100:
            self.invalid(name, "must not be greater than 100%")

    def immutable(self, name: str, old: Obj) -> None:
        """Complain about a field that is not as it was."""
        self.causes.immutable(self.at(name), old.get(name), self[name])


def repeated(parts: list[Part], name: str) -> Iterator[tuple[Part, bool]]:
    """Yield each part with whether one before it has the same value in a field."""
    seen = set()
    for part in parts:
        yield part, part[name] in seen
        seen.add(part[name])


def whole(obj: Obj, causes: Causes) -> Part:
    """Return an object as the part that contains all others."""
    return Part(obj, schema.of(obj), "", causes)
