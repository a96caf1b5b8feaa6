"""The garbage collector: deletes what has lost its owner.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..apimachinery import resources
from ..apimachinery.apierrors import ApiError, ignored
from ..apimachinery.client import MERGE
from ..apimachinery.jsontypes import Key, Obj
from ..apimachinery.resources import path_of
from .controller import Controller
from .ownerindex import OwnedInformer


@dataclass
class GarbageCollector(Controller):
    """Deletes what has lost its owner, and carries out Orphan and Foreground deletions.

    https://kubernetes.io/docs/concepts/architecture/garbage-collection/
    """

    informers: dict[str, OwnedInformer]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._queued: dict[str, tuple[str, Key]] = {}
        self._absent_owners: set[str] = set()

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            return
        uid, metadata = obj["metadata"]["uid"], obj["metadata"]
        if new is None:
            self._queued.pop(uid, None)
            self._remember_absent(uid)
            for dependent in self._dependents(uid):
                self._enqueue(dependent)
            for reference in metadata.get("ownerReferences") or []:
                self._enqueue_owner(reference["uid"])
            return
        references = metadata.get("ownerReferences") or []
        before = (old["metadata"].get("ownerReferences") or []) if old else []
        for dangling in {r["uid"] for r in before} - {r["uid"] for r in references}:
            self._enqueue_owner(dangling)
        if metadata.get("deletionTimestamp"):
            self._enqueue(obj)
            for reference in references:
                self._enqueue_owner(reference["uid"])
        elif references and (before != references or metadata["uid"] not in self._queued):
            self._enqueue(obj)

    def _remember_absent(self, uid: str) -> None:
        """Remember an owner that is gone for sure, so that nobody asks again for each dependent."""
        if len(self._absent_owners) > 10_000:
            self._absent_owners.clear()
        self._absent_owners.add(uid)

    def _enqueue(self, obj: Obj) -> None:
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        metadata = obj["metadata"]
        self._queued[metadata["uid"]] = (
            resource.name,
            (metadata.get("namespace", ""), metadata["name"]),
        )
        self.queue.add(("", metadata["uid"]))

    def _enqueue_owner(self, uid: str) -> None:
        """Enqueue an owner that may wait for this dependent to go."""
        if uid in self._queued:
            self.queue.add(("", uid))

    def _dependents(self, uid: str) -> list[Obj]:
        found: list[Obj] = []
        for informer in self.informers.values():
            found += informer.objects.of(uid)
        return found

    def _find_owner(self, obj: Obj, reference: Obj) -> Obj | None:
        resource = resources.find_kind(reference["apiVersion"], reference["kind"])
        if resource is None or resource.name not in self.informers:
            return None
        namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
        owner = self.informers[resource.name].get(namespace, reference["name"])
        return owner if owner and owner["metadata"]["uid"] == reference["uid"] else None

    async def _sync(self, key: Key) -> None:
        place = self._queued.get(key[1])
        if place is None:
            return
        resource_name, (namespace, name) = place
        obj = self.informers[resource_name].get(namespace, name)
        if obj is None or obj["metadata"]["uid"] != key[1]:
            return
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            finalizers = metadata.get("finalizers") or []
            if "orphan" in finalizers:
                await self._orphan(obj)
            elif "foregroundDeletion" in finalizers:
                await self._foreground(obj)
            return
        await self._process_owners(obj)

    async def _process_owners(self, obj: Obj) -> None:
        """Delete an object without owners; drop its references to owners that are gone."""
        references = obj["metadata"].get("ownerReferences") or []
        solid = [r for r in references if self._find_owner(obj, r)]
        dangling = [r for r in references if r not in solid]
        if not dangling or not await self._are_absent(obj, dangling):
            return
        if solid:
            await self._remove_references(obj, {r["uid"] for r in dangling})
        else:
            await self._delete(obj, "Background")

    async def _remove_references(self, obj: Obj, uids: set[str]) -> None:
        kept = [r for r in obj["metadata"]["ownerReferences"] if r["uid"] not in uids]
        await self._set(obj, "ownerReferences", kept)

    async def _are_absent(self, obj: Obj, references: list[Obj]) -> bool:
        """Ask the API itself: the cache may not have seen a new owner yet."""
        for reference in references:
            resource = resources.find_kind(reference["apiVersion"], reference["kind"])
            if resource is None:
                # Nobody can tell whether an owner of an unknown kind is there.
                return False
            if reference["uid"] in self._absent_owners:
                continue
            namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
            try:
                owner = await self.client.get(path_of(resource, namespace, reference["name"]))
            except ApiError as error:
                if error.code != 404:
                    raise
            else:
                if owner["metadata"]["uid"] == reference["uid"]:
                    return False
            self._remember_absent(reference["uid"])
        return True

    async def _orphan(self, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        for dependent in self._dependents(uid):
            await self._remove_references(dependent, {uid})
        await self._drop_finalizer(obj, "orphan")

    async def _foreground(self, obj: Obj) -> None:
        dependents = self._dependents(obj["metadata"]["uid"])
        for dependent in dependents:
            if not dependent["metadata"].get("deletionTimestamp"):
                await self._delete_dependent(dependent, obj["metadata"]["uid"])
        blocking = [
            dependent
            for dependent in dependents
            if any(
                r.get("blockOwnerDeletion") and r["uid"] == obj["metadata"]["uid"]
                for r in dependent["metadata"].get("ownerReferences") or []
            )
        ]
        if not blocking:
            await self._drop_finalizer(obj, "foregroundDeletion")

    async def _delete_dependent(self, dependent: Obj, uid: str) -> None:
        """Delete a dependent of an owner that waits for it, unless another owner keeps it."""
        others = [r for r in dependent["metadata"]["ownerReferences"] if r["uid"] != uid]
        owners = [self._find_owner(dependent, reference) for reference in others]
        if any(o and not o["metadata"].get("deletionTimestamp") for o in owners):
            await self._remove_references(dependent, {uid})
        else:
            own_dependents = self._dependents(dependent["metadata"]["uid"])
            await self._delete(dependent, "Foreground" if own_dependents else "Background")

    async def _drop_finalizer(self, obj: Obj, name: str) -> None:
        kept = [f for f in obj["metadata"].get("finalizers") or [] if f != name]
        await self._set(obj, "finalizers", kept)

    async def _set(self, obj: Obj, name: str, values: list[Any]) -> None:
        with ignored(404, 409):
            await self.client.patch_same(obj, {"metadata": {name: values or None}}, how=MERGE)

    async def _delete(self, obj: Obj, policy: str) -> None:
        with ignored(404, 409):
            await self.client.delete_same(obj, propagationPolicy=policy)
