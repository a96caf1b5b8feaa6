"""The garbage collector: deletes what has lost its owner.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery import resources
from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj
from ..apimachinery.keyqueue import KeyQueue
from ..apimachinery.resources import path_of
from .ownerindex import OwnedObjects


@dataclass
class Garbage:
    """Deletes what has lost its owner, and carries out Orphan and Foreground deletions.

    https://kubernetes.io/docs/concepts/architecture/garbage-collection/
    """

    client: Client
    informers: dict[str, Informer]

    def __post_init__(self) -> None:
        self.queue = KeyQueue(self._work)
        self._kinds: dict[str, tuple[str, Key]] = {}
        self._gone: set[str] = set()

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            return
        uid, metadata = obj["metadata"]["uid"], obj["metadata"]
        if new is None:
            self._kinds.pop(uid, None)
            self._remember_gone(uid)
            for child in self._dependents(uid):
                self._note(child)
            for reference in metadata.get("ownerReferences") or []:
                self._look_at_owner(reference["uid"])
            return
        references = metadata.get("ownerReferences") or []
        before = (old["metadata"].get("ownerReferences") or []) if old else []
        for lost in {r["uid"] for r in before} - {r["uid"] for r in references}:
            self._look_at_owner(lost)
        if metadata.get("deletionTimestamp"):
            self._note(obj)
            for reference in references:
                self._look_at_owner(reference["uid"])
        elif references and (before != references or metadata["uid"] not in self._kinds):
            self._note(obj)

    def _remember_gone(self, uid: str) -> None:
        """Keep in mind who is gone for sure, so that nobody has to ask for each dependent."""
        if len(self._gone) > 10_000:
            self._gone.clear()
        self._gone.add(uid)

    def _note(self, obj: Obj) -> None:
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        metadata = obj["metadata"]
        self._kinds[metadata["uid"]] = (
            resource.name,
            (metadata.get("namespace", ""), metadata["name"]),
        )
        self.queue.add(("", metadata["uid"]))

    def _look_at_owner(self, uid: str) -> None:
        """Have an owner looked at that may wait for this dependent to go."""
        if uid in self._kinds:
            self.queue.add(("", uid))

    def _dependents(self, uid: str) -> list[Obj]:
        found: list[Obj] = []
        for informer in self.informers.values():
            assert isinstance(informer.objects, OwnedObjects)
            found += informer.objects.of(uid)
        return found

    def _exists(self, obj: Obj, reference: Obj) -> Obj | None:
        resource = resources.find_kind(reference["apiVersion"], reference["kind"])
        if resource is None or resource.name not in self.informers:
            return None
        namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
        owner = self.informers[resource.name].get(namespace, reference["name"])
        return owner if owner and owner["metadata"]["uid"] == reference["uid"] else None

    async def _work(self, key: Key) -> None:
        place = self._kinds.get(key[1])
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
        await self._look_at_owners(obj)

    async def _look_at_owners(self, obj: Obj) -> None:
        """Delete what has lost all its owners; strike out those that it has lost."""
        references = obj["metadata"].get("ownerReferences") or []
        solid = [r for r in references if self._exists(obj, r)]
        lost = [r for r in references if r not in solid]
        if not lost or not await self._really_gone(obj, lost):
            return
        if solid:
            await self._strike_out(obj, {r["uid"] for r in lost})
        else:
            await self._delete(obj, "Background")

    async def _strike_out(self, obj: Obj, uids: set[str]) -> None:
        kept = [r for r in obj["metadata"]["ownerReferences"] if r["uid"] not in uids]
        await self._patch(obj, {"metadata": {"ownerReferences": kept or None}})

    async def _really_gone(self, obj: Obj, references: list[Obj]) -> bool:
        """Ask the API itself: the cache may not have seen a new owner yet."""
        for reference in references:
            resource = resources.find_kind(reference["apiVersion"], reference["kind"])
            if resource is None:
                # Nobody can tell whether an owner of an unknown kind is there.
                return False
            if reference["uid"] in self._gone:
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
            self._remember_gone(reference["uid"])
        return True

    async def _orphan(self, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        for child in self._dependents(uid):
            await self._strike_out(child, {uid})
        await self._drop_finalizer(obj, "orphan")

    async def _foreground(self, obj: Obj) -> None:
        children = self._dependents(obj["metadata"]["uid"])
        for child in children:
            if not child["metadata"].get("deletionTimestamp"):
                await self._end_child(child, obj["metadata"]["uid"])
        blocking = [
            child
            for child in children
            if any(
                r.get("blockOwnerDeletion") and r["uid"] == obj["metadata"]["uid"]
                for r in child["metadata"].get("ownerReferences") or []
            )
        ]
        if not blocking:
            await self._drop_finalizer(obj, "foregroundDeletion")

    async def _end_child(self, child: Obj, uid: str) -> None:
        """Delete a dependent of an owner that waits for it, unless another owner keeps it."""
        others = [r for r in child["metadata"]["ownerReferences"] if r["uid"] != uid]
        owners = [self._exists(child, reference) for reference in others]
        if any(o and not o["metadata"].get("deletionTimestamp") for o in owners):
            await self._strike_out(child, {uid})
        else:
            grandchildren = self._dependents(child["metadata"]["uid"])
            await self._delete(child, "Foreground" if grandchildren else "Background")

    async def _drop_finalizer(self, obj: Obj, name: str) -> None:
        kept = [f for f in obj["metadata"].get("finalizers") or [] if f != name]
        await self._patch(obj, {"metadata": {"finalizers": kept or None}})

    async def _patch(self, obj: Obj, change: Obj) -> None:
        try:
            await self.client.patch(self._path(obj), change)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _delete(self, obj: Obj, policy: str) -> None:
        try:
            await self.client.delete(
                self._path(obj),
                propagationPolicy=policy,
                preconditions={"uid": obj["metadata"]["uid"]},
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    @staticmethod
    def _path(obj: Obj) -> str:
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        metadata = obj["metadata"]
        return path_of(resource, metadata.get("namespace", ""), metadata["name"])
