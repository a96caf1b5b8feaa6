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


@dataclass
class Namespaces:
    """Gives each namespace what every namespace has, and empties those that are deleted."""

    client: Client
    namespaces: Informer

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._work)

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self.queue.add(("", new["metadata"]["name"]))

    async def _work(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None:
            return
        if namespace["metadata"].get("deletionTimestamp"):
            await self._empty(key[1])
            return
        path = f"/api/v1/namespaces/{key[1]}/serviceaccounts"
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": key[1]},
        }
        try:
            await self.client.create(path, account)
        except ApiError as error:
            if error.code not in (403, 404, 409):
                raise

    async def _empty(self, name: str) -> None:
        left = 0
        for resource in resources.stored_namespaced():
            await self.client.delete(path_of(resource, name), propagationPolicy="Background")
            left += len((await self.client.get(path_of(resource, name)))["items"])
        if left:
            self.queue.add_after(("", name), 0.05)
            return
        path = f"/api/v1/namespaces/{name}/finalize"
        try:
            await self.client.replace(path, {"spec": {"finalizers": []}})
        except ApiError as error:
            if error.code != 404:
                raise
