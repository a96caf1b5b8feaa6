"""Merge patches: JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch.

The second knows that a list such as `containers` is merged by the name of its elements.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from __future__ import annotations

from typing import Any

from ...apimachinery.apierrors import ApiError, bad_request, go_value
from ...apimachinery.jsontypes import Obj, deep_copy
from ..schema.schema import Type

_DIRECTIVES = ("$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys")


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` after a JSON merge patch; the arguments stay as they are."""
    if not isinstance(patch, dict):
        return deep_copy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_merge_patch(target: Any, patch: Any, kind: Type) -> Any:
    """Return `target` after a strategic merge patch; the arguments stay as they are.

    Args:
        kind: The type of the target, which says how each list is merged.
    """
    if not isinstance(patch, dict):
        return deep_copy(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: deep_copy(v) for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    _check_directives(patch)
    retained = patch.get("$retainKeys")
    if retained is not None:
        result = {name: value for name, value in result.items() if name in retained}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [x for x in result.get(field) or [] if x not in value]
    for name, value in patch.items():
        if name == "$patch" or name.startswith(_DIRECTIVES):
            continue
        if value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            result[name] = _merge_list(result.get(name), value, kind.part(name))
        else:
            result[name] = strategic_merge_patch(result.get(name), value, kind.part(name))
    for name, order in patch.items():
        if name.startswith("$setElementOrder/"):
            field = name.partition("/")[2]
            if isinstance(result.get(field), list):
                live = target.get(field) if isinstance(target, dict) else None
                result[field] = _ordered(result[field], order, live or [], kind.part(field))
    return result


def _check_directives(patch: Obj) -> None:
    for name, value in patch.items():
        if name.startswith(_DIRECTIVES) and not isinstance(value, list):
            raise bad_request(f"error decoding patch: {name} must be a list")


def _merge_list(target: Any, patch: list[Any], kind: Type) -> list[Any]:
    if any(isinstance(x, dict) and x.get("$patch") == "replace" for x in patch):
        return [deep_copy(x) for x in patch if not (isinstance(x, dict) and "$patch" in x)]
    existing = list(target) if isinstance(target, list) else []
    key, inner = kind.merge_key, kind.items
    if kind.merged and not key:
        return existing + [value for value in patch if value not in existing]
    if not key or inner is None or not all(isinstance(x, dict) for x in patch):
        return [deep_copy(element) for element in patch]
    for element in patch:
        if target and key not in element:
            why = f"map: {go_value(element)} does not contain declared merge key: {key}"
            raise ApiError(500, "", why)
        wanted = element.get(key)
        place = next((i for i, x in enumerate(existing) if x.get(key) == wanted), None)
        if element.get("$patch") == "delete":
            if place is not None:
                existing.pop(place)
        elif place is None or key not in element:
            existing.append(strategic_merge_patch({}, element, inner))
        else:
            existing[place] = strategic_merge_patch(existing[place], element, inner)
    return _ordered(existing, patch, target if isinstance(target, list) else [], kind)


def _ordered(elements: list[Any], order: list[Any], live: list[Any], kind: Type) -> list[Any]:
    """Put the elements that `order` names in that order, and the others where they stood among
    them in the live list, as far as that can be told."""

    def identity(element: Any) -> Any:
        return element.get(kind.merge_key) if isinstance(element, dict) else element

    def ranks(listed: list[Any]) -> dict[Any, int]:
        return {identity(element): rank for rank, element in enumerate(listed)}

    if not all(isinstance(identity(x), str | int) for x in [*elements, *order, *live]):
        return elements
    wanted, lived = ranks(order), ranks(live)
    named = sorted(
        (x for x in elements if identity(x) in wanted), key=lambda x: wanted[identity(x)]
    )
    result = []
    for other in (x for x in elements if identity(x) not in wanted):
        place = lived.get(identity(other), -1)
        while named and not 0 <= place < lived.get(identity(named[0]), -1):
            result.append(named.pop(0))
        result.append(other)
    return result + named
