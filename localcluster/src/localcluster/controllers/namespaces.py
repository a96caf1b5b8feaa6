"""The namespace controller: default contents of each, and the end of deleted ones.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery import resources
from ..apimachinery.apierrors import ignored
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, now
from ..apimachinery.resources import Resource, path_of
from .controller import Controller

# What a namespace that is being emptied says, unless something goes wrong.
_NO_FAILURES = [
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
class NamespaceController(Controller):
    """Creates the default contents of each namespace, and empties those that are deleted."""

    namespaces: Informer
    authority: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._remaining: dict[str, list[Resource]] = {}
        self._delays: dict[str, float] = {}

    namespace_changed = Controller.enqueue

    def configmap_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Restore the default contents of a namespace when somebody deleted them."""
        if new is None and old and old["metadata"]["name"] in ("default", "kube-root-ca.crt"):
            self.queue.add(("", old["metadata"]["namespace"]))

    serviceaccount_changed = configmap_changed

    async def _sync(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None:
            return
        if namespace["metadata"].get("deletionTimestamp"):
            await self._delete_contents(namespace)
            return
        account = {"kind": "ServiceAccount", "metadata": {"name": "default"}}
        await self._ensure(key[1], "serviceaccounts", account)
        if self.authority:
            about = {"kubernetes.io/description": _ROOTS_DESCRIPTION}
            metadata = {"name": "kube-root-ca.crt", "annotations": about}
            data = {"ca.crt": self.authority}
            roots = {"kind": "ConfigMap", "metadata": metadata, "data": data}
            await self._ensure(key[1], "configmaps", roots)

    async def _ensure(self, namespace: str, plural: str, obj: Obj) -> None:
        """Create an object in a namespace unless it is there."""
        path = f"/api/v1/namespaces/{namespace}/{plural}"
        with ignored(403, 404, 409):
            await self.client.create(path, {"apiVersion": "v1", **obj})

    async def _delete_contents(self, namespace: Obj) -> None:
        """Delete all that the namespace contains; finalize it when nothing is left."""
        name, everything = namespace["metadata"]["name"], resources.stored_namespaced()
        resources_left = self._remaining.get(name) or everything
        left = await self._delete_all(name, resources_left)
        if not left and len(resources_left) < len(everything):
            # Whoever was still at work may have left something elsewhere.
            left = await self._delete_all(name, everything)
        if not left:
            await self._finalize(name)
            return
        self._remaining[name] = [resource for resource in everything if resource.name in left]
        await self._report_remaining(namespace, left)
        self._delays[name] = min(1.0, self._delays.get(name, 0.025) * 2)
        self.queue.add_after(("", name), self._delays[name])

    async def _delete_all(self, name: str, resources_left: list[Resource]) -> dict[str, int]:
        """Delete the objects of some resources; return how many of each are still there."""
        left = {}
        for resource in resources_left:
            path = path_of(resource, name)
            if not (await self.client.get(path))["items"]:
                continue
            await self.client.delete(path, propagationPolicy="Background")
            count = len((await self.client.get(path))["items"])
            if count:
                left[resource.name] = count
        return left

    async def _report_remaining(self, namespace: Obj, left: dict[str, int]) -> None:
        """Write into the namespace's conditions what it still waits for."""
        listed = ", ".join(
            f"{name}. has {count} resource instances" for name, count in left.items()
        )
        text = f"Some resources are remaining: {listed}"
        said = [*_NO_FAILURES, ("NamespaceContentRemaining", "True", "SomeResourcesRemain", text)]
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
        with ignored(404, 409):
            await self.client.replace(path, body)

    async def _finalize(self, name: str) -> None:
        self._delays.pop(name, None)
        self._remaining.pop(name, None)
        path = f"/api/v1/namespaces/{name}/finalize"
        with ignored(404):
            await self.client.replace(path, {"spec": {"finalizers": []}})
