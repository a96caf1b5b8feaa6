"""Field sets: which fields an object has, as paths; server-side apply works on them.

A path is a tuple of steps written as in `fieldsV1`: `f:spec` for a field, `k:{"name":"main"}` for
the element of a list that is told apart by keys, `v:"x"` for a value of a set.
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...apimachinery.jsontypes import Obj, deep_copy
from ..schema import schema
from ..schema.schema import Type

Path = tuple[str, ...]
Fields = dict[Path, Any]

# What stands at the path of a map or of a list's element that is there at all.
_PRESENT = object()

_SET_BY_SERVER = {
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
}


def fields_of(obj: Obj, *, applied: bool = False) -> Fields:
    """Return the fields of an object with their values.

    Args:
        applied: Whether it is a configuration that somebody applies, who owns no maps as such.

    Raises:
        ValueError: It is one, and a list has two elements that cannot be told apart.
    """
    metadata = {k: v for k, v in obj["metadata"].items() if k not in _SET_BY_SERVER}
    parts = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
    if metadata:
        parts["metadata"] = metadata
    collected = _Collector({}, applied)
    collected.parts((), parts, schema.of(obj), there=True)
    return collected.found


@dataclass
class _Collector:
    """Walks an object along its schema, and gathers its fields.

    That a map or a list is there at all counts as a field, but not where every object of the kind
    has it: then nobody has put it there.
    """

    found: Fields
    applied: bool

    def parts(self, path: Path, struct: Obj, kind: Type, *, there: bool) -> None:
        for name, value in struct.items():
            always = there and _is_always(kind, name)
            self.value((*path, f"f:{name}"), value, kind.part(name), there=always)

    def value(self, path: Path, value: Any, kind: Type, *, there: bool) -> None:
        # As it is in every object of the kind.
        if value is None or (there and value == kind.default and not self.applied):
            return
        shared = bool(value) and is_shared(value, kind)
        if not shared:
            self.found[path] = value
        elif not there and not self.applied:
            self.found[path] = _PRESENT
        if shared and isinstance(value, dict):
            self.parts(path, value, kind, there=there)
        elif shared and kind.items:
            for element in value:
                self.element((*path, step_of(element, kind)), element, kind.items)

    def element(self, path: Path, element: Any, kind: Type) -> None:
        if self.applied and path in self.found:
            where, key = path_text(path[:-1]), path_text(path[-1:])
            raise ValueError(f"{where}: duplicate entries for key {key}")
        if is_shared(element, kind):
            self.found[path] = _PRESENT
            self.parts(path, element, kind, there=False)
        else:
            self.found[path] = element


def is_shared(value: Any, kind: Type) -> bool:
    """Tell whether several may own parts of a value, and not one the whole of it."""
    if isinstance(value, dict):
        return kind.topology == "granular"
    return isinstance(value, list) and kind.topology in ("set", "map")


def _is_always(struct: Type, field: str) -> bool:
    """Tell whether a field is in every struct of a type, be it empty."""
    return field in struct.defaults or field in struct.required


def step_of(element: Any, kind: Type) -> str:
    """Return the step that leads to an element of a list of this type."""
    if kind.topology == "set" or not isinstance(element, dict) or kind.items is None:
        return f"v:{json.dumps(element)}"
    values = {key: element.get(key, kind.items.part(key).default) for key in kind.keys}
    known = {key: value for key, value in values.items() if value is not None}
    return "k:" + json.dumps(known, separators=(",", ":"))


def to_fields_v1(paths: Iterable[Path]) -> Obj:
    """Return a set of paths in the form of `fieldsV1`."""
    root: Obj = {}
    listed = sorted(paths)
    parents = {path[:i] for path in listed for i in range(1, len(path))}
    for path in listed:
        node = root
        for step in path:
            node = node.setdefault(step, {})
        if path in parents:
            node["."] = {}
    return root


def from_fields_v1(node: Any, path: Path = ()) -> set[Path]:
    """Return the paths of a `fieldsV1`."""
    if not isinstance(node, dict) or not node:
        return {path} if path else set()
    found: set[Path] = set()
    for step, inner in node.items():
        if step == ".":
            found.add(path)
        else:
            found |= from_fields_v1(inner, (*path, step))
    return found


def path_text(path: Path) -> str:
    """Return a path as messages write it: `.spec.containers[name="main"].image`."""
    text = ""
    for step in path:
        kind, _, rest = step.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            pairs = sorted(json.loads(rest).items())
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in pairs) + "]"
        else:
            text += f"[={rest}]"
    return text


def differs(applied: Fields, live: Fields, path: Path) -> bool:
    """Tell whether a field that is applied has another value in the live object."""
    return applied[path] is not _PRESENT and live.get(path) != applied[path]


def merge(live: Any, applied: Any, kind: Type) -> Any:
    """Return the live value merged with what is applied; the arguments stay as they are."""
    if type(live) is not type(applied) or not is_shared(applied, kind):
        return deep_copy(applied)
    if isinstance(live, dict):
        changed = {k: merge(live.get(k), v, kind.part(k)) for k, v in applied.items()}
        return {**live, **changed}
    return _merge_elements(live, applied, kind)


def _merge_elements(live: list[Any], applied: list[Any], kind: Type) -> list[Any]:
    """Merge two lists: applied elements keep their order, those of others stay in place."""
    wanted = {step_of(element, kind): element for element in applied}
    result = []
    for element in live:
        change = wanted.pop(step_of(element, kind), None)
        result.append(element if change is None else merge(element, change, kind.part("")))
    return result + [deep_copy(element) for element in wanted.values()]


def without(obj: Obj, gone: Iterable[Path]) -> Obj:
    """Return the object without the fields at some paths; what they leave empty goes too."""
    result: Obj = deep_copy(obj)
    for path in sorted(gone, key=len, reverse=True):
        _remove(result, path, schema.of(obj))
    return result


def _remove(node: Any, path: Path, kind: Type) -> None:
    step, rest = path[0], path[1:]
    if isinstance(node, dict):
        name = step.removeprefix("f:")
        if name not in node:
            return
        if rest:
            _remove(node[name], rest, kind.part(name))
            if node[name] in ({}, []) and not _is_always(kind, name):
                del node[name]
        else:
            del node[name]
    elif isinstance(node, list):
        for i, element in enumerate(node):
            if step_of(element, kind) == step:
                if rest:
                    _remove(element, rest, kind.part(""))
                else:
                    del node[i]
                return
