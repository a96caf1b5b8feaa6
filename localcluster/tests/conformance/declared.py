"""What may differ from the recording, each with its reason, read from `gaps.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compare import Difference

FILE = Path(__file__).parent / "gaps.toml"
_UNRECORDED = "not_yet_recorded"


@dataclass(frozen=True)
class Declaration:
    """One kind of difference that is known.

    Attributes:
        kind: "gap" (only the recording has the leaf), "extra" (only the local cluster), or
            "either" (the recording is of one moment, and the leaf may have any of some values).
        where: Pattern of "scenario | step | path", in which `*` stands for anything.
        values: What the leaf may be in the recording and here, for "either".
    """

    kind: str
    where: str
    reason: str
    values: tuple[Any, ...] = ()

    def covers(self, difference: Difference) -> bool:
        """Tell whether it speaks of this difference."""
        if self.kind == "either":
            values = (difference.recorded, difference.found)
            return difference.kind == "conflict" and self.allows(difference.where, *values)
        return difference.kind == self.kind and self._is_about(difference.where)

    def allows(self, where: str, *values: Any) -> bool:
        """Tell whether a leaf may have each of these values."""
        return self._is_about(where) and all(value in self.values for value in values)

    def _is_about(self, where: str) -> bool:
        pattern = ".*".join(re.escape(part) for part in self.where.split("*"))
        return bool(re.fullmatch(pattern, where, re.DOTALL))


def load(file: Path = FILE) -> list[Declaration]:
    """Return the declarations.

    Raises:
        ValueError: One has no reason, its pattern would cover everything, or it allows one value.
    """
    found = []
    for kind, entries in _read(file).items():
        for entry in entries:
            wide = any(where.strip("*| ") == "" for where in entry["where"])
            values = tuple(entry.get("values", ()))
            known = len(values) > 1 if kind == "either" else kind in ("gap", "extra") and not values
            if not known or not entry["reason"].strip() or wide:
                raise ValueError(f"{file.name}: {entry} needs a kind, narrow patterns, a reason")
            found += [Declaration(kind, where, entry["reason"], values) for where in entry["where"]]
    return found


def not_yet_recorded(file: Path = FILE) -> set[str]:
    """Return the names of the scenarios that no real cluster has played yet."""
    return set(tomllib.loads(file.read_text()).get(_UNRECORDED, []))


def _read(file: Path) -> dict[str, list[dict[str, Any]]]:
    found = tomllib.loads(file.read_text())
    found.pop(_UNRECORDED, None)
    return found


def split(
    differences: Iterable[Difference], declarations: list[Declaration]
) -> tuple[list[Difference], dict[Declaration, list[Difference]]]:
    """Return the differences that nobody declared, and those that somebody did."""
    left: list[Difference] = []
    used: dict[Declaration, list[Difference]] = {}
    for difference in differences:
        by = next((d for d in declarations if d.covers(difference)), None)
        if by is None:
            left.append(difference)
        else:
            used.setdefault(by, []).append(difference)
    return left, used
