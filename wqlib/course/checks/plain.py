"""What a learner's value means, in plain built-in types; and how a value is shown in a message.

A value is read with the methods of types that are known exactly, never with its own: a class of
the learner's may call itself equal to all.
"""

from __future__ import annotations

import collections
import inspect
import sys
from collections.abc import Iterable
from types import EllipsisType
from typing import Any

import redis

from ...cluster import Cluster
from ...events import Event
from ...queue import WorkQueue

_SCALARS = (int, float, complex, str, bytes, bool, type(None))
_DICTS = (dict, collections.defaultdict, collections.Counter, collections.OrderedDict)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_LISTS: tuple[type, ...] = (collections.deque, range, *_VIEWS)
_MOST_VALUES, _DEEPEST = 200_000, 20
_OURS: dict[Any, str] = {Cluster: "cluster", WorkQueue: "queue", redis.Redis: "client"}
_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    type(None): "None",
}


class NotPlain(Exception):
    """A value that cannot be read safely, or not at all; the message goes on from its name."""


class StillBlank(Exception):
    """A value that holds `...`."""


def plain(value: Any) -> Any:
    """Return what a value means: plain numbers, texts, bytes, lists, tuples, sets and dicts.

    numpy's numbers and arrays, defaultdict, Counter, OrderedDict, named tuples, deques, ranges and
    what `keys()` gives become the plain thing.

    Raises:
        NotPlain: It is, or holds, an object of another type, or is far too large.
        StillBlank: It is, or holds, `...`.
    """
    return _plain(value, 0, [_MOST_VALUES])


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0 or depth > _DEEPEST:
        raise NotPlain("is far larger than it should be.")
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is EllipsisType:
        raise StillBlank
    if kind in (list, tuple, set, frozenset):
        return kind(_plain(part, depth + 1, left) for part in value)
    if kind in _DICTS:
        parts = [_plain(pair, depth + 1, left) for pair in dict.items(value)]
        return dict(parts)
    if kind in _LISTS:
        return [_plain(part, depth + 1, left) for part in value]
    if kind.__bases__ == (tuple,) and "_fields" in vars(kind):  # a named tuple
        return tuple(_plain(part, depth + 1, left) for part in tuple.__iter__(value))
    if _is_of_numpy(kind) and type(value.tolist()) is not kind:
        return _plain(value.tolist(), depth + 1, left)
    raise NotPlain(f"is, or holds, {a(kind.__name__)}.")


def _is_of_numpy(kind: type) -> bool:
    """Is this the type of numpy's arrays or of one of its numbers, and not one made from it?"""
    numpy = sys.modules.get("numpy")
    return numpy is not None and kind in {numpy.ndarray, *numpy.sctypeDict.values()}


def as_one_of(value: Any, types: Iterable[type]) -> tuple[bool, Any]:
    """Return whether a plain value can be one of some types, and the value as the first that fits.

    Where a list is wanted, a tuple means the same; for a float an int; for a set a frozenset or a
    list without doubles. A bool is no number.
    """
    types = tuple(types)
    if type(value) in types:
        return True, value
    for kind in types:
        if kind is float and type(value) is int:
            return True, value
        if (kind, type(value)) in ((list, tuple), (tuple, list), (set, frozenset)):
            return True, kind(value)
        if kind is set and type(value) in (list, tuple):
            try:
                if len(set(value)) == len(value):
                    return True, set(value)
            except TypeError:  # it holds what no set can
                continue
    return False, value


def text(value: Any) -> Any:
    """Return a text for bytes, as the queue takes both; another value as it is."""
    return value.decode("utf-8", "replace") if type(value) is bytes else value


def counted(number: int, one: str, many: str) -> str:
    """Return "1 item is" or "3 items are", from `one` = "item is" and `many` = "items are"."""
    return f"{number:,} {one if number == 1 else many}"


def shown(value: Any, most: int = 60) -> str:
    """Return a value as a message shows it: functions by name, what is long cut.

    Args:
        value: Anything; its own `repr` is only asked if its type is known.
        most: How many characters are enough.
    """
    for parts in (8, 3, 2, 1):
        said = _shown(value, parts, 0)
        if len(said) <= most:
            break
    return said if len(said) <= 2 * most else f"{said[: 2 * most - 1]}…"


def shown_call(name: str, *args: Any) -> str:
    """Return a call as a message shows it, such as `work(queue, square)`."""
    return f"{name}({', '.join(shown(one, 40) for one in args)})"


def _shown(value: Any, parts: int, depth: int) -> str:
    kind = type(value)
    if kind is float:
        return f"{value:.6g}"
    if kind in (str, bytes):
        return repr(value if len(value) <= 40 else value[:38]) + "…" * (len(value) > 40)
    if kind in _SCALARS:
        return repr(value)
    if kind in (*_DICTS, list, tuple, set, frozenset) and depth < 3:
        return _shown_parts(value, parts, depth)
    if inspect.isroutine(value) or inspect.isclass(value):
        name = getattr(value, "__name__", "")
        return "a lambda" if name == "<lambda>" else str(name).strip("_")
    if kind is Event:
        about = [value.kind, f"item {value.item_id}" * bool(value.item_id), value.worker]
        return f"Event({', '.join(filter(None, about))})"
    if kind in _OURS:
        return _OURS[kind]
    if _is_of_numpy(kind) and type(value.tolist()) is not kind:
        return _shown(value.tolist(), parts, depth)
    return "…" if depth else a(kind.__name__)


def _shown_parts(value: Any, parts: int, depth: int) -> str:
    opening, closing = "[]" if type(value) is list else "()" if type(value) is tuple else "{}"
    if isinstance(value, dict):
        pairs = list(dict.items(value))
        said = [
            f"{_shown(name, parts, depth + 1)}: {_shown(one, parts, depth + 1)}"
            for name, one in pairs[:parts]
        ]
    else:
        said = [_shown(one, parts, depth + 1) for one in list(value)[:parts]]
        if not value and opening == "{":
            return "set()"
    if len(value) > parts:
        said.append(f"… {len(value) - parts} more")
    elif type(value) is tuple and len(value) == 1:
        said = [f"{said[0]},"]
    return f"{opening}{', '.join(said)}{closing}"


def type_name(kind: type) -> str:
    """Return what a learner calls a type: "a whole number" for int."""
    return _NAMES.get(kind) or a(kind.__name__)


def a(noun: str) -> str:
    """Return a noun with its article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
