"""The garbage collector, and the controller that empties deleted namespaces.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from dataclasses import dataclass

from wqlib.localcluster.apimachinery import resources
from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.client import Client
from wqlib.localcluster.apimachinery.informer import Informer, Key, WorkQueue
from wqlib.localcluster.apimachinery.jsontypes import Obj, controller_of
from wqlib.localcluster.apimachinery.resources import path_of


@dataclass
class Garbage:
    """Deletes what has lost its owner, and carries out Orphan and Foreground deletions.

    https://kubernetes.io/docs/concepts/architecture/garbage-collection/
    """

    client: Client
    informers: dict[str, Informer]

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._work)
        self._kinds: dict[str, tuple[str, Key]] = {}

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            return
        uid, metadata = obj["metadata"]["uid"], obj["metadata"]
        if new is None:
            self._kinds.pop(uid, None)
            for child in self._dependents(uid):
                self._note(child)
            for reference in metadata.get("ownerReferences") or []:
                self._look_at_owner(reference["uid"])
        elif metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
            self._note(obj)
            for reference in metadata.get("ownerReferences") or []:
                if metadata.get("deletionTimestamp"):
                    self._look_at_owner(reference["uid"])

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
        if uid in self._kinds:
            self.queue.add(("", uid))

    def _dependents(self, uid: str) -> list[Obj]:
        return [
            obj
            for informer in self.informers.values()
            for obj in informer.objects.values()
            if any(r["uid"] == uid for r in obj["metadata"].get("ownerReferences") or [])
        ]

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
        references = metadata.get("ownerReferences") or []
        if not references:
            return
        owners = [self._exists(obj, reference) for reference in references]
        if any(owner is not None for owner in owners):
            return
        if not await self._really_gone(obj, references):
            return
        await self._delete(obj, "Background")

    async def _really_gone(self, obj: Obj, references: list[Obj]) -> bool:
        """Ask the API itself: the cache may not have seen a new owner yet."""
        for reference in references:
            resource = resources.find_kind(reference["apiVersion"], reference["kind"])
            if resource is None:
                continue
            namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
            try:
                owner = await self.client.get(path_of(resource, namespace, reference["name"]))
            except ApiError as error:
                if error.code != 404:
                    raise
                continue
            if owner["metadata"]["uid"] == reference["uid"]:
                return False
        return True

    async def _orphan(self, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        for child in self._dependents(uid):
            kept = [r for r in child["metadata"]["ownerReferences"] if r["uid"] != uid]
            await self._patch(child, {"metadata": {"ownerReferences": kept or None}})
        await self._drop_finalizer(obj, "orphan")

    async def _foreground(self, obj: Obj) -> None:
        children = self._dependents(obj["metadata"]["uid"])
        for child in children:
            if not child["metadata"].get("deletionTimestamp"):
                await self._delete(
                    child, "Foreground" if controller_of(child) is None else "Background"
                )
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


_ROOTS_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal"
    " endpoints such as the internal service IP or kubernetes.default.svc. No other usage is"
    " guaranteed across distributions of Kubernetes clusters."
)


@dataclass
class Namespaces:
    """Gives each namespace what every namespace has, and empties those that are deleted."""

    client: Client
    namespaces: Informer
    authority: str = ""

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._work)

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self.queue.add(("", new["metadata"]["name"]))

    def content_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Give a namespace back what it always has when somebody deleted it."""
        if new is None and old and old["metadata"]["name"] in ("default", "kube-root-ca.crt"):
            self.queue.add(("", old["metadata"]["namespace"]))

    async def _work(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None:
            return
        if namespace["metadata"].get("deletionTimestamp"):
            await self._empty(key[1])
            return
        account = {"kind": "ServiceAccount", "metadata": {"name": "default"}}
        await self._give(key[1], "serviceaccounts", account)
        if self.authority:
            about = {"kubernetes.io/description": _ROOTS_DESCRIPTION}
            metadata = {"name": "kube-root-ca.crt", "annotations": about}
            data = {"ca.crt": self.authority}
            roots = {"kind": "ConfigMap", "metadata": metadata, "data": data}
            await self._give(key[1], "configmaps", roots)

    async def _give(self, namespace: str, plural: str, obj: Obj) -> None:
        """Create an object in a namespace unless it is there."""
        try:
            await self.client.create(
                f"/api/v1/namespaces/{namespace}/{plural}", {"apiVersion": "v1", **obj}
            )
        except ApiError as error:
            if error.code not in (403, 404, 409):
                raise

    async def _empty(self, name: str) -> None:
        left = 0
        for resource in resources.stored_namespaced():
            path = path_of(resource, name)
            found = len((await self.client.get(path))["items"])
            if found:
                await self.client.delete(path, propagationPolicy="Background")
            left += found
        if left:
            self.queue.add_after(("", name), 0.05)
            return
        path = f"/api/v1/namespaces/{name}/finalize"
        try:
            await self.client.replace(path, {"spec": {"finalizers": []}})
        except ApiError as error:
            if error.code != 404:
                raise
