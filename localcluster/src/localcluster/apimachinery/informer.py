"""Informers: a cache of one resource each, kept up to date by a watch.

https://github.com/kubernetes/sample-controller/blob/master/docs/controller-client-go.md
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from .apierrors import ApiError
from .client import Client
from .jsontypes import Key, Obj, key_of

log = logging.getLogger(__name__)

OnChange = Callable[[Obj | None, Obj | None], None]


def version_of(obj: Obj) -> int:
    """Return the object's resourceVersion as a number, to tell newer from older."""
    return int(obj["metadata"].get("resourceVersion") or 0)


@dataclass
class Informer:
    """A copy of one resource, kept up to date by a watch.

    Args:
        on_change: Called with (old, new) after each change; None stands for absence.
        params: Query parameters of list and watch, such as a field selector.
    """

    client: Client
    path: str
    on_change: OnChange = lambda old, new: None
    params: dict[str, str] = field(default_factory=dict)
    objects: dict[Key, Obj] = field(default_factory=dict)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: int = 0
    _kind: dict[str, str] = field(default_factory=dict)

    def get(self, namespace: str, name: str) -> Obj | None:
        """Return the cached object, or None."""
        return self.objects.get((namespace, name))

    def put(self, obj: Obj) -> None:
        """Store what a write of our own returned, ahead of the watch."""
        known = self.objects.get(key_of(obj))
        if version_of(obj) > self._seen and (known is None or version_of(known) < version_of(obj)):
            self.objects[key_of(obj)] = obj

    async def run(self) -> None:
        """Follow the resource until cancelled."""
        while True:
            try:
                await self._list()
                await self._watch()
            except (ApiError, OSError) as error:
                if isinstance(error, ApiError) and error.code == 410:
                    continue
                log.warning("watch of %s: %s", self.path, error)
                await asyncio.sleep(0.5)

    async def _list(self) -> None:
        listed = await self.client.get(self.path, **self.params)
        version = int(listed["metadata"]["resourceVersion"])
        kind = listed["kind"].removesuffix("List")
        items = [{"apiVersion": listed["apiVersion"], "kind": kind, **o} for o in listed["items"]]
        current = {key_of(obj): obj for obj in items}
        for key in [key for key in self.objects if key not in current]:
            self._change(self.objects.pop(key), None)
        for key, obj in current.items():
            old = self.objects.get(key)
            if old is None or version_of(old) < version_of(obj):
                self.objects[key] = obj
                self._change(old, obj)
        self._seen = version
        self.synced.set()

    async def _watch(self) -> None:
        while True:
            version = str(self._seen)
            async for kind, obj in self.client.watch(
                self.path, **self.params, resourceVersion=version
            ):
                if kind == "ERROR":
                    raise ApiError(obj.get("code", 500), obj.get("reason", ""), obj["message"])
                self._seen = max(self._seen, version_of(obj))
                if kind != "BOOKMARK":
                    self._take(kind, obj)

    def _take(self, kind: str, obj: Obj) -> None:
        key = key_of(obj)
        old = self.objects.get(key)
        if kind == "DELETED":
            if old is not None and old["metadata"]["uid"] == obj["metadata"]["uid"]:
                del self.objects[key]
            self._change(obj, None)
        elif old is None or version_of(old) <= version_of(obj):
            self.objects[key] = obj
            self._change(old, obj)

    def _change(self, old: Obj | None, new: Obj | None) -> None:
        try:
            self.on_change(old, new)
        except Exception:
            log.exception("following %s", self.path)
