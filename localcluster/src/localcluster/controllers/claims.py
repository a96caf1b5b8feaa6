"""Claims: how controllers adopt the objects that their selectors match, and release others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..apimachinery.apierrors import ignored
from ..apimachinery.client import Client
from ..apimachinery.events import Recorder
from ..apimachinery.jsontypes import Obj, owner_reference
from .ownerindex import OwnedInformer, selects


def is_kept(obj: Obj) -> bool:
    """Tell whether nobody deletes the object."""
    return not obj["metadata"].get("deletionTimestamp")


@dataclass
class Claims:
    """Claims the objects of one kind for the controllers of another.

    Attributes:
        finalizer: What adopted objects get and released ones lose, if anything.
    """

    client: Client
    informer: OwnedInformer
    recorder: Recorder
    finalizer: ClassVar[str] = ""

    def of(self, owner: Obj) -> list[Obj]:
        """Return the objects that `owner` controls."""
        return self.informer.objects.controlled_by(owner)

    async def claim(self, owner: Obj, adoptable: Callable[[Obj], bool] = is_kept) -> list[Obj]:
        """Return the objects of `owner`; adopt those that match, and release those that do not.

        Args:
            adoptable: Tells whether an object without a controller may be adopted.
        """
        lost = {"ownerReferences": [{"$patch": "delete", "uid": owner["metadata"]["uid"]}]}
        gained: Obj = {"ownerReferences": [owner_reference(owner)]}
        if self.finalizer:
            gained["finalizers"] = [self.finalizer]

        def released(obj: Obj) -> Obj:
            if self.finalizer not in (obj["metadata"].get("finalizers") or []):
                return lost
            return {**lost, "$deleteFromPrimitiveList/finalizers": [self.finalizer]}

        await self.patch_all([obj for obj in self.of(owner) if not selects(owner, obj)], released)
        if is_kept(owner):
            free = self.informer.objects.uncontrolled(owner["metadata"]["namespace"])
            orphans = [obj for obj in free if adoptable(obj) and selects(owner, obj)]
            await self.patch_all(orphans, lambda _obj: gained)
        return [obj for obj in self.of(owner) if selects(owner, obj)]

    async def patch_all(self, objects: list[Obj], change: Callable[[Obj], Obj]) -> None:
        """Change the metadata of objects; those that are gone already do not matter."""

        async def patch(obj: Obj) -> None:
            with ignored(404, 409):
                self.informer.put(await self.client.patch_same(obj, {"metadata": change(obj)}))

        await asyncio.gather(*(patch(obj) for obj in objects))
