"""The controller that gives each namespace what every one has, and empties deleted ones.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

from dataclasses import dataclass

from wqlib.localcluster.apimachinery import resources
from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.client import Client
from wqlib.localcluster.apimachinery.informer import Informer, Key, WorkQueue
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.resources import path_of

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
