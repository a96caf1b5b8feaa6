"""The memory of the cluster: its objects, one resourceVersion, and a bounded log of changes.

Objects that are in the store never change: a write puts a new dictionary in the place of the
old one. So readers and watchers may hold what they got without copying it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .apimachinery.jsontypes import Key, Obj, dumps

# How many of the latest changes the watchers may still be busy with.
_FRESH = 100


class Entry:
    """One version of an object, with its JSON text once somebody asked for it."""

    __slots__ = ("_head", "_item", "_obj", "version")

    def __init__(self, obj: Obj, version: int) -> None:
        self.version = version
        self._obj: Obj | None = obj
        self._head = (obj["apiVersion"], obj["kind"])
        self._item: bytes | None = None

    @property
    def obj(self) -> Obj:
        """The object; nobody changes it."""
        if self._obj is not None:
            return self._obj
        return {"apiVersion": self._head[0], "kind": self._head[1], **json.loads(self.item)}

    @property
    def item(self) -> bytes:
        """The object as an element of a list: without `apiVersion` and `kind`."""
        if self._item is None:
            rest = {k: v for k, v in self.obj.items() if k not in ("apiVersion", "kind")}
            self._item = dumps(rest)
        return self._item

    @property
    def text(self) -> bytes:
        """The whole object."""
        head = f'{{"apiVersion":"{self._head[0]}","kind":"{self._head[1]}",'
        return head.encode() + self.item[1:]

    def pack(self) -> None:
        """Keep the text alone, which takes a third of the memory."""
        if self.item:
            self._obj = None


class Change(NamedTuple):
    """One write: `old` is None when the object is new, `deleted` says that it is gone."""

    version: int
    resource: str
    new: Entry
    old: Entry | None
    deleted: bool


@dataclass
class Watcher:
    """Somebody who wants to hear of every change of one resource."""

    resource: str
    notify: Callable[[Change], None]


@dataclass
class Store:
    """Objects by resource and (namespace, name).

    Args:
        log_size: How many changes are kept for watchers that come back.
        most: Of some resources, how many objects are kept; the oldest go. The real server keeps
            Events for an hour, however many there are.
    """

    log_size: int = 1500
    most: dict[str, int] = field(default_factory=lambda: {"events": 1500})
    version: int = 0
    _objects: dict[str, dict[Key, Entry]] = field(default_factory=dict)
    _log: deque[Change] = field(default_factory=deque)
    _watchers: list[Watcher] = field(default_factory=list)
    _forgotten: int = 0

    def get(self, resource: str, key: Key) -> Entry | None:
        """Return the object's present version, or None."""
        return self._objects.get(resource, {}).get(key)

    def list(self, resource: str, namespace: str | None = None) -> list[Entry]:
        """Return the objects of a resource in the order of namespace and name."""
        entries = self._objects.get(resource, {})
        keys = sorted(key for key in entries if namespace is None or key[0] == namespace)
        return [entries[key] for key in keys]

    def count(self, resource: str) -> int:
        """Return how many objects of a resource there are."""
        return len(self._objects.get(resource, {}))

    def put(self, resource: str, key: Key, obj: Obj) -> Entry:
        """Write the object (which now belongs to the store) under the next resourceVersion."""
        old = self.get(resource, key)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        entry = Entry(obj, self.version)
        self._objects.setdefault(resource, {})[key] = entry
        self._publish(Change(self.version, resource, entry, old, deleted=False))
        entries = self._objects[resource]
        if len(entries) > self.most.get(resource, len(entries)):
            self.delete(resource, next(iter(entries)))
        return entry

    def delete(self, resource: str, key: Key) -> Entry:
        """Remove the object; its last version carries the resourceVersion of the deletion."""
        old = self._objects[resource].pop(key)
        self.version += 1
        last = dict(old.obj, metadata=dict(old.obj["metadata"]))
        last["metadata"]["resourceVersion"] = str(self.version)
        entry = Entry(last, self.version)
        self._publish(Change(self.version, resource, entry, old, deleted=True))
        return entry

    def since(self, resource: str, version: int) -> Iterator[Change] | None:
        """Return the changes after `version`, or None when the log no longer has them all."""
        if version < self._forgotten:
            return None
        return (c for c in self._log if c.resource == resource and c.version > version)

    @property
    def oldest(self) -> int:
        """The oldest resourceVersion that a watch can still start from."""
        return self._forgotten

    def watch(self, resource: str, notify: Callable[[Change], None]) -> Watcher:
        """Call `notify` with each change of the resource from now on."""
        watcher = Watcher(resource, notify)
        self._watchers.append(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """End what `watch` began."""
        self._watchers.remove(watcher)

    def _publish(self, change: Change) -> None:
        self._log.append(change)
        while len(self._log) > self.log_size:
            self._forgotten = self._log.popleft().version
        if len(self._log) > _FRESH:
            self._pack(self._log[-_FRESH])
        for watcher in list(self._watchers):
            if watcher.resource == change.resource:
                watcher.notify(change)

    def _pack(self, change: Change) -> None:
        """Pack what a change left behind, now that the watchers have seen it."""
        if change.old is not None:
            change.old.pack()
        if change.deleted or change.resource in self.most:
            change.new.pack()
