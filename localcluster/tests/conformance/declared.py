"""What may differ from the recording, each with its reason, read from `gaps.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .compare import Difference

FILE = Path(__file__).parent / "gaps.toml"


@dataclass(frozen=True)
class Declaration:
    """One kind of difference that is known.

    Attributes:
        kind: "gap" (only the recording has the leaf) or "extra" (only the local cluster).
        where: Pattern of "scenario | step | path", in which `*` stands for anything.
    """

    kind: str
    where: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Tell whether it speaks of this difference."""
        pattern = ".*".join(re.escape(part) for part in self.where.split("*"))
        return difference.kind == self.kind and bool(
            re.fullmatch(pattern, difference.where, re.DOTALL)
        )


def load(file: Path = FILE) -> list[Declaration]:
    """Return the declarations.

    Raises:
        ValueError: One has no reason, or its pattern would cover everything.
    """
    found = []
    for kind, entries in tomllib.loads(file.read_text()).items():
        for entry in entries:
            wide = any(where.strip("*| ") == "" for where in entry["where"])
            if kind not in ("gap", "extra") or not entry["reason"].strip() or wide:
                raise ValueError(f"{file.name}: {entry} needs a kind, narrow patterns, a reason")
            found += [Declaration(kind, where, entry["reason"]) for where in entry["where"]]
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
