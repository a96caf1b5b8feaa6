"""The cache of a resource, indexed by owner.

A controller looks for what it owns after nearly every event. With thousands of pods in the
cluster it must not look at each of them every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, controller_of
from ..apimachinery.selectors import labels, match_labels


class OwnerIndex(dict[Key, Obj]):
    """Objects by (namespace, name), as an informer keeps them, and by their owners' uids."""

    def __init__(self) -> None:
        super().__init__()
        self._by_owner: dict[str, dict[Key, None]] = {}

    def __setitem__(self, key: Key, obj: Obj) -> None:
        self._forget(key)
        super().__setitem__(key, obj)
        for owner in _owners(obj):
            self._by_owner.setdefault(owner, {})[key] = None

    def __delitem__(self, key: Key) -> None:
        self._forget(key)
        super().__delitem__(key)

    def pop(self, key: Key, *default: Any) -> Any:
        """Remove an object and return it."""
        self._forget(key)
        return super().pop(key, *default)

    def of(self, uid: str) -> list[Obj]:
        """Return the objects that name this owner, whether it controls them or not."""
        return [self[key] for key in self._by_owner.get(uid, ())]

    def controlled_by(self, owner: Obj) -> list[Obj]:
        """Return the objects that `owner` controls."""
        uid = owner["metadata"]["uid"]
        return [obj for obj in self.of(uid) if (controller_of(obj) or {}).get("uid") == uid]

    def uncontrolled(self, namespace: str) -> Iterator[Obj]:
        """Yield the objects of a namespace that no controller claims."""
        for key in list(self._by_owner.get("", ())):
            if key[0] == namespace:
                yield self[key]

    def _forget(self, key: Key) -> None:
        known = self.get(key)
        if known is None:
            return
        for owner in _owners(known):
            keys = self._by_owner.get(owner, {})
            keys.pop(key, None)
            if not keys:
                self._by_owner.pop(owner, None)


@dataclass
class OwnedInformer(Informer):
    """An informer whose cache finds objects by their owners."""

    objects: OwnerIndex = field(default_factory=OwnerIndex)


def selects(owner: Obj, obj: Obj) -> bool:
    """Tell whether the owner's selector matches the object's labels."""
    return match_labels(owner["spec"]["selector"], labels(obj))


def controller_keys(kind: str, *objects: Obj | None) -> Iterator[Key]:
    """Yield the keys of the controllers of this kind that the objects name."""
    for obj in objects:
        reference = controller_of(obj) if obj else None
        if obj and reference and reference["kind"] == kind:
            yield obj["metadata"]["namespace"], reference["name"]


def adopter_keys(owners: dict[Key, Obj], obj: Obj | None) -> list[Key]:
    """Return the keys of the owners that could adopt an object; none if it has a controller."""
    if obj is None or controller_of(obj) is not None:
        return []
    namespace = obj["metadata"]["namespace"]
    return [key for key, owner in owners.items() if key[0] == namespace and selects(owner, obj)]


def _owners(obj: Obj) -> set[str]:
    """Return the uids of all owners; the empty one stands for "no controller"."""
    found = {str(r["uid"]) for r in obj["metadata"].get("ownerReferences") or []}
    return found if controller_of(obj) else found | {""}
