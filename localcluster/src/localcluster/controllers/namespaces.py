"""The controller that gives each namespace what every one has, and empties deleted ones.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery import resources
from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, now
from ..apimachinery.keyqueue import KeyQueue
from ..apimachinery.resources import Resource, path_of

# What a namespace that is being emptied says, unless something goes wrong.
_ALL_WELL = [
    (
        "NamespaceDeletionDiscoveryFailure",
        "False",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "False",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
]
_NO_FINALIZERS = (
    "NamespaceFinalizersRemaining",
    "False",
    "ContentHasNoFinalizers",
    "All content-preserving finalizers finished",
)

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
        self.queue = KeyQueue(self._work)
        self._left: dict[str, list[Resource]] = {}
        self._waits: dict[str, float] = {}

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
            await self._empty(namespace)
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

    async def _empty(self, namespace: Obj) -> None:
        """Delete all that the namespace contains; it goes when nothing is left."""
        name, everything = namespace["metadata"]["name"], resources.stored_namespaced()
        looked = self._left.get(name) or everything
        left = await self._delete_all(name, looked)
        if not left and len(looked) < len(everything):
            # Whoever was still at work may have left something elsewhere.
            left = await self._delete_all(name, everything)
        if not left:
            await self._finalize(name)
            return
        self._left[name] = [resource for resource in everything if resource.name in left]
        await self._say_what_remains(namespace, left)
        self._waits[name] = min(1.0, self._waits.get(name, 0.025) * 2)
        self.queue.add_after(("", name), self._waits[name])

    async def _delete_all(self, name: str, looked: list[Resource]) -> dict[str, int]:
        """Delete the objects of some resources; returns how many of each are still there."""
        left = {}
        for resource in looked:
            path = path_of(resource, name)
            if not (await self.client.get(path))["items"]:
                continue
            await self.client.delete(path, propagationPolicy="Background")
            count = len((await self.client.get(path))["items"])
            if count:
                left[resource.name] = count
        return left

    async def _say_what_remains(self, namespace: Obj, left: dict[str, int]) -> None:
        """Write into the namespace's conditions what it still waits for."""
        listed = ", ".join(
            f"{name}. has {count} resource instances" for name, count in left.items()
        )
        text = f"Some resources are remaining: {listed}"
        said = [*_ALL_WELL, ("NamespaceContentRemaining", "True", "SomeResourcesRemain", text)]
        said.append(_NO_FINALIZERS)
        status = namespace.get("status") or {}
        known = {c["type"]: c for c in status.get("conditions") or []}
        conditions = []
        for kind, holds, reason, message in said:
            made = {"type": kind, "status": holds, "reason": reason, "message": message}
            old = known.get(kind, {})
            since = old["lastTransitionTime"] if old.get("status") == holds else now()
            conditions.append({**made, "lastTransitionTime": since})
        if conditions == status.get("conditions"):
            return
        path = f"/api/v1/namespaces/{namespace['metadata']['name']}/status"
        body = {**namespace, "status": {**status, "conditions": conditions}}
        try:
            await self.client.replace(path, body)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _finalize(self, name: str) -> None:
        self._waits.pop(name, None)
        self._left.pop(name, None)
        path = f"/api/v1/namespaces/{name}/finalize"
        try:
            await self.client.replace(path, {"spec": {"finalizers": []}})
        except ApiError as error:
            if error.code != 404:
                raise
