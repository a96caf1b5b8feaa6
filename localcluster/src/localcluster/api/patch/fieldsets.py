"""Field sets: which fields an object has, as paths; server-side apply works on them.

A path is a tuple of steps written as in `fieldsV1`: `f:spec` for a field, `k:{"name":"main"}` for
the element of a list that is told apart by keys, `v:"x"` for a value of a set.
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ...apimachinery.jsontypes import Obj, deep_copy

Path = tuple[str, ...]
Fields = dict[Path, Any]

# What stands at the path of a map or of a list's element that is there at all.
_PRESENT = object()

LIST_MAP_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "ephemeralContainers": (("name",),),
    "env": (("name",),),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "volumeDevices": (("devicePath",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "imagePullSecrets": (("name",),),
    "secrets": (("name",),),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "conditions": (("type",),),
    "addresses": (("type",),),
    "ownerReferences": (("uid",),),
    "podIPs": (("ip",),),
}
_KEY_DEFAULTS = {"protocol": "TCP"}
LIST_SETS = {"finalizers"}
# Maps that only one manager can own as a whole.
_ATOMIC = {
    "configMapKeyRef",
    "fieldRef",
    "involvedObject",
    "labelSelector",
    "namespaceSelector",
    "nodeSelector",
    "podSelector",
    "resourceFieldRef",
    "roleRef",
    "secretKeyRef",
    "selector",
    "targetRef",
}
# Parts that every object of their kind has, so that nobody owns them as such.
_UNOWNED = {
    "containers",
    "jobTemplate",
    "loadBalancer",
    "metadata",
    "spec",
    "status",
    "strategy",
    "template",
}
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
    """
    found: Fields = {}
    for name, value in obj.items():
        if name in ("apiVersion", "kind"):
            continue
        if name == "metadata":
            value = {k: v for k, v in value.items() if k not in _SET_BY_SERVER}
            if not value:
                continue
        _add(found, (f"f:{name}",), name, value, applied)
    return found


def keys_of(field: str, elements: Any) -> tuple[str, ...] | None:
    """Return the keys that tell the elements of a list apart; None for a list owned as a whole."""
    candidates = LIST_MAP_KEYS.get(field)
    if candidates is None or not isinstance(elements, list) or not elements:
        return None
    for keys in candidates:
        if all(isinstance(x, dict) and keys[0] in x for x in elements):
            return keys
    return None


def step_of(element: Obj, keys: tuple[str, ...]) -> str:
    """Return the step that leads to an element of a list."""
    values = {key: element.get(key, _KEY_DEFAULTS.get(key)) for key in keys}
    known = {key: value for key, value in values.items() if value is not None}
    return "k:" + json.dumps(known, separators=(",", ":"))


def _add(found: Fields, path: Path, name: str, value: Any, applied: bool) -> None:
    if value is None:
        return
    if isinstance(value, dict) and value and name not in _ATOMIC:
        if not applied and name not in _UNOWNED:
            found[path] = _PRESENT
        for inner, part in value.items():
            _add(found, (*path, f"f:{inner}"), inner, part, applied)
        return
    if name in LIST_SETS and isinstance(value, list):
        if not applied:
            found[path] = _PRESENT
        for one in value:
            found[(*path, f"v:{json.dumps(one)}")] = one
        return
    keys = keys_of(name, value)
    if keys is None:
        found[path] = value
        return
    if not applied and name not in _UNOWNED:
        found[path] = _PRESENT
    for element in value:
        step = (*path, step_of(element, keys))
        if name == "ownerReferences":
            found[step] = element
            continue
        found[step] = _PRESENT
        for inner, part in element.items():
            _add(found, (*step, f"f:{inner}"), inner, part, applied)


# Stands at the end of every path of a new object; never changed, so one is enough.
_LEAF: Obj = {}


def tree_of(obj: Obj) -> Obj:
    """Return the fields of a new object as `fieldsV1`; faster than by way of paths."""
    metadata = {k: v for k, v in obj["metadata"].items() if k not in _SET_BY_SERVER}
    parts = {**obj, "metadata": metadata}
    return {
        f"f:{name}": _tree(name, parts[name])
        for name in sorted(parts)
        if name not in ("apiVersion", "kind") and parts[name] not in (None, {})
    }


def _tree(name: str, value: Any) -> Obj:
    if isinstance(value, dict):
        if not value or name in _ATOMIC:
            return _LEAF
        tree: Obj = {}
        if name not in _UNOWNED:
            tree["."] = _LEAF
        for inner in sorted(value):
            if value[inner] is not None:
                tree[f"f:{inner}"] = _tree(inner, value[inner])
        return tree
    if isinstance(value, list):
        if name in LIST_SETS:
            return {".": _LEAF, **{f"v:{json.dumps(one)}": _LEAF for one in value}}
        keys = keys_of(name, value)
        if keys is None:
            return _LEAF
        tree = {}
        if name not in _UNOWNED:
            tree["."] = _LEAF
        for element in value:
            inside = _LEAF if name == "ownerReferences" else _tree("", element)
            tree[step_of(element, keys)] = inside
        return tree
    return _LEAF


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


def merge(live: Any, applied: Any, field: str = "") -> Any:
    """Return the live value merged with what is applied; the arguments stay as they are."""
    if isinstance(live, dict) and isinstance(applied, dict) and field not in _ATOMIC:
        result = dict(live)
        for name, value in applied.items():
            result[name] = merge(live.get(name), value, name)
        return result
    if isinstance(live, list) and isinstance(applied, list):
        if field in LIST_SETS:
            return [*live, *(x for x in applied if x not in live)]
        keys = keys_of(field, applied)
        if keys is not None and keys_of(field, live) == keys:
            return _merge_elements(live, applied, keys)
    return deep_copy(applied)


def _merge_elements(live: list[Obj], applied: list[Obj], keys: tuple[str, ...]) -> list[Obj]:
    """Merge two lists: applied elements keep their order, those of others stay in place."""
    wanted = {step_of(element, keys): element for element in applied}
    result = []
    for element in live:
        change = wanted.pop(step_of(element, keys), None)
        result.append(element if change is None else merge(element, change))
    return result + [deep_copy(element) for element in wanted.values()]


def without(obj: Any, gone: Iterable[Path]) -> Any:
    """Return the object without the fields at some paths; what they leave empty goes too."""
    result = deep_copy(obj)
    for path in sorted(gone, key=len, reverse=True):
        _remove(result, path, "")
    return result


def _remove(node: Any, path: Path, field: str) -> None:
    step, rest = path[0], path[1:]
    if isinstance(node, dict):
        name = step.removeprefix("f:")
        if name not in node:
            return
        if rest:
            _remove(node[name], rest, name)
            if node[name] in ({}, []) and name not in _UNOWNED:
                del node[name]
        else:
            del node[name]
    elif isinstance(node, list):
        for i, element in enumerate(node):
            if _is_at(element, step, field, node):
                if rest:
                    _remove(element, rest, "")
                else:
                    del node[i]
                return


def _is_at(element: Any, step: str, field: str, elements: list[Any]) -> bool:
    if step.startswith("v:"):
        return bool(element == json.loads(step[2:]))
    keys = keys_of(field, elements)
    return keys is not None and step_of(element, keys) == step
