"""Compares what a cluster answered with what was recorded, leaf by leaf.

A leaf is a value with nothing below it, or a line that a program printed. It is identical; or it
is a conflict, when its value differs; or a gap, when only the recording has it; or an extra, when
only the cluster has it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .normalise import blank, numbers

_NAMES = ("name", "type", "containerPort", "mountPath", "key", "groupVersion", "version")


@dataclass(frozen=True)
class Difference:
    """One leaf that is not identical.

    Attributes:
        kind: "conflict", "gap" or "extra".
        where: Scenario, step and path, with " | " between them.
    """

    kind: str
    where: str
    recorded: Any = None
    found: Any = None

    def __str__(self) -> str:
        told = {
            "conflict": f"recorded {self.recorded!r}\n           found    {self.found!r}",
            "gap": f"recorded {self.recorded!r}, and is left out here",
            "extra": f"found {self.found!r}, and the recording has none",
        }
        return f"{self.kind:8} {self.where}\n           {told[self.kind]}"


@dataclass
class Comparison:
    """Compares the steps of one scenario; remembers which placeholder stands for which.

    Args:
        scenario: Its name.
        identities: Whether equal placeholders must stay equal.

    Attributes:
        identical: Path and value of each leaf that both have.
    """

    scenario: str
    identities: bool = True
    identical: list[tuple[str, Any]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    _pairs: dict[tuple[bool, str, str], str] = field(default_factory=dict)

    def steps(self, recorded: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
        """Compare all steps."""
        for number in range(max(len(recorded), len(found))):
            old = recorded[number] if number < len(recorded) else {}
            new = found[number] if number < len(found) else {}
            name = old.get("step") or new.get("step")
            self._value(f"{self.scenario} | {number + 1} {name} | ", old, new)

    def _value(self, where: str, old: Any, new: Any) -> None:
        if isinstance(old, dict) and isinstance(new, dict) and (old or new):
            self._objects(where, old, new)
        elif isinstance(old, list) and isinstance(new, list) and (old or new):
            self._lists(where, old, new)
        elif _is_output(where) and isinstance(old, str) and isinstance(new, str):
            self._lines(old.split("\n"), new.split("\n"), _line_name(where))
        elif isinstance(old, dict | list) or isinstance(new, dict | list):
            self._unlike(where, old, new)
        else:
            self._leaf(where, old, new)

    def _unlike(self, where: str, old: Any, new: Any) -> None:
        """Compare two values of which one has leaves below it, and the other does not."""
        if old == new:
            self.identical.append((where, old))
        elif type(old) is type(new):
            self._only("gap", where, old)
            self._only("extra", where, new)
        else:
            self._conflict(where, old, new)

    def _objects(self, where: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        keys = {blank(key): key for key in new}
        for key, value in old.items():
            inner, other = _below(where, key), keys.pop(blank(key), None)
            if other is None:
                self._only("gap", inner, value)
            else:
                self._value(inner, value, new[other])
        for key in keys.values():
            self._only("extra", _below(where, key), new[key])

    def _lists(self, where: str, old: list[Any], new: list[Any]) -> None:
        name = next((n for n in _NAMES if _named(old, n) and _named(new, n)), None)
        if len(old) != len(new) and all(isinstance(item, str) for item in [*old, *new]):
            self._lines(old, new, lambda line: f"{where}[{line}]")
            return
        if name is None:
            for number in range(max(len(old), len(new))):
                inner = f"{where}[{number}]"
                if number >= len(new):
                    self._only("gap", inner, old[number])
                elif number >= len(old):
                    self._only("extra", inner, new[number])
                else:
                    self._value(inner, old[number], new[number])
            return
        here = {blank(str(item[name])): item for item in new}
        there = {blank(str(item[name])): item for item in old}
        both = [key for key in there if key in here]
        if both != (order := [key for key in here if key in there]):
            self._conflict(f"{where}[order]", both, order)
        for key, item in there.items():
            if key in here:
                self._value(f"{where}[{key}]", item, here[key])
            else:
                self._only("gap", f"{where}[{key}]", item)
        for key, item in here.items():
            if key not in there:
                self._only("extra", f"{where}[{key}]", item)

    def _lines(self, olds: list[str], news: list[str], name: Callable[[str], str]) -> None:
        """Compare line by line; a line that only one has moves no other."""
        matcher = difflib.SequenceMatcher(
            None, [blank(line) for line in olds], [blank(line) for line in news], autojunk=False
        )
        for tag, i, i_end, j, j_end in matcher.get_opcodes():
            if tag == "equal":
                for a, b in zip(olds[i:i_end], news[j:j_end], strict=True):
                    self._leaf(name(a), a, b)
            else:
                self._changed(olds[i:i_end], news[j:j_end], name)

    def _changed(self, olds: list[str], news: list[str], name: Callable[[str], str]) -> None:
        left = list(news)
        for line in olds:
            other = next((n for n in left if _head(n) == _head(line)), None)
            if other is None and len(olds) == len(news) == 1:
                other = left[0]
            if other is None:
                self._single("gap", name(line), line)
            else:
                left.remove(other)
                self._leaf(name(line), line, other)
        for line in left:
            self._single("extra", name(line), line)

    def _leaf(self, where: str, old: Any, new: Any) -> None:
        if type(old) is not type(new) or not self._same(old, new):
            self._conflict(where, old, new)
        else:
            self.identical.append((where, old))

    def _same(self, old: Any, new: Any) -> bool:
        if not isinstance(old, str):
            return bool(old == new)
        if blank(old) != blank(new):
            return False
        if not self.identities:
            return True
        pairs = zip(numbers(old), numbers(new), strict=True)
        return all(self._pair(kind, a, b) for (kind, a), (_, b) in pairs)

    def _pair(self, kind: str, old: str, new: str) -> bool:
        there = self._pairs.setdefault((True, kind, old), new) == new
        return there and self._pairs.setdefault((False, kind, new), old) == old

    def _conflict(self, where: str, old: Any, new: Any) -> None:
        self.differences.append(Difference("conflict", where, old, new))

    def _only(self, kind: str, where: str, value: Any) -> None:
        for path, leaf in leaves(where, value):
            self._single(kind, path, leaf)

    def _single(self, kind: str, where: str, leaf: Any) -> None:
        old, new = (leaf, None) if kind == "gap" else (None, leaf)
        self.differences.append(Difference(kind, where, old, new))


def leaves(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Return each leaf of a value with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(_below(where, key), inner)
    elif isinstance(value, list) and value:
        name = next((n for n in _NAMES if _named(value, n)), None)
        for number, inner in enumerate(value):
            yield from leaves(f"{where}[{inner[name] if name else number}]", inner)
    elif _is_output(where) and isinstance(value, str):
        yield from ((_line_name(where)(line), line) for line in value.split("\n"))
    else:
        yield where, value


def _below(where: str, key: str) -> str:
    return f"{where}{key}" if where.endswith(" | ") else f"{where}.{key}"


def _line_name(where: str) -> Callable[[str], str]:
    return lambda line: f"{where}: {line.strip()}"


def _is_output(where: str) -> bool:
    """Tell whether the path leads to a text that is compared line by line."""
    return where.endswith((" | stdout", " | stderr", " | text"))


def _named(items: list[Any], name: str) -> bool:
    if not all(isinstance(item, dict) and isinstance(item.get(name), str | int) for item in items):
        return False
    return len({blank(str(item[name])) for item in items}) == len(items)


def _head(line: str) -> str:
    """Return what says which line of an output it is."""
    return blank(line.split(":")[0] if ":" in line else line.strip().split("  ")[0])
