"""Watches: the changes of a resource, for as long as someone reads.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj
from ...apimachinery.resources import Resource
from ...apimachinery.selectors import Match
from ...apimachinery.transport import Content, Made, WatchEvent
from ...store import Change, Entry, Store, Watcher

# A reader this far behind has to start again.
_MAX_BEHIND = 20_000
_BOOKMARK_SECONDS = 60.0
_INITIAL_END = "k8s.io/initial-events-end"


class _Alarm:
    """Wakes a waiter without a task each time, which `asyncio.wait_for` costs."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[bool] | None = None

    def ring(self) -> None:
        self._resolve(True)

    async def wait(self, seconds: float) -> bool:
        """Return True when it rang, False when the time was over."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._resolve, False)
        try:
            return await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _resolve(self, rung: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(rung)


@dataclass
class Watch:
    """One watch; it hears of each change from the moment that it is made.

    Args:
        since: The resourceVersion to start after; None sends what is there first.
        timeout: After how many seconds the server ends the watch.
        render: Makes of an object what this watcher wants to see.
    """

    store: Store
    resource: Resource
    namespace: str | None
    match: Match | None
    since: int | None
    bookmarks: bool
    initial_end: bool
    timeout: float
    render: Callable[[Entry], Content] = lambda entry: entry

    def __post_init__(self) -> None:
        self._alarm = _Alarm()
        self._end = asyncio.get_running_loop().time() + self.timeout
        self._over = False
        self._ready: list[WatchEvent] = []
        self._pending: deque[Change] = deque()
        name, store = self.resource.name, self.store
        self._watcher: Watcher | None = store.watch(name, self._notify)
        if self.since is None:
            present = store.list(name, self.namespace)
            self._ready = [self._seen("ADDED", e) for e in present if self._matches(e.obj)]
            if self.initial_end:
                self._ready.append(self._bookmark({_INITIAL_END: "true"}))
            return
        missed = store.since(name, self.since)
        if missed is None:
            self._expire(self.since, store.oldest)
        else:
            self._pending.extend(missed)

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> list[WatchEvent]:
        while True:
            if len(self._pending) > _MAX_BEHIND:
                self._expire(self._pending[0].version, self.store.version)
            while self._pending:
                event = self._event(self._pending.popleft())
                if event:
                    self._ready.append(event)
            if self._ready:
                ready, self._ready = self._ready, []
                return ready
            left = self._end - asyncio.get_running_loop().time()
            if self._over or left <= 0:
                self.close()
                raise StopAsyncIteration
            rung = await self._alarm.wait(min(left, _BOOKMARK_SECONDS))
            if not rung and self.bookmarks:
                self._ready.append(self._bookmark({}))

    def close(self) -> None:
        """End the watch, also for whoever waits for the next events."""
        if self._watcher is not None:
            self.store.unwatch(self._watcher)
            self._watcher = None
        self._over = True
        self._pending.clear()
        self._ready.clear()
        self._alarm.ring()

    def _notify(self, change: Change) -> None:
        self._pending.append(change)
        self._alarm.ring()

    def _expire(self, version: int, oldest: int) -> None:
        """End the watch with the error that sends its reader back to the start."""
        self.close()
        self._ready = [WatchEvent("ERROR", Made(apierrors.expired(version, oldest).body()))]

    def _seen(self, kind: str, entry: Entry) -> WatchEvent:
        return WatchEvent(kind, self.render(entry))

    def _bookmark(self, annotations: Obj) -> WatchEvent:
        metadata: Obj = {"resourceVersion": str(self.store.version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        head = {"kind": self.resource.kind, "apiVersion": self.resource.group_version}
        return WatchEvent("BOOKMARK", Made({**head, "metadata": metadata}))

    def _selects(self, entry: Entry | None) -> bool:
        if entry is None:
            return False
        if self.match is None and self.namespace is None:
            return True
        obj = entry.obj
        in_reach = self.namespace in (None, obj["metadata"].get("namespace", ""))
        return in_reach and self._matches(obj)

    def _matches(self, obj: Obj) -> bool:
        return self.match is None or self.match(obj)

    def _event(self, change: Change) -> WatchEvent | None:
        """Return a change as seen through the watcher's selectors."""
        before = self._selects(change.old)
        if change.deleted:
            return self._seen("DELETED", change.new) if before else None
        if self._selects(change.new):
            return self._seen("MODIFIED" if before else "ADDED", change.new)
        if change.old is None or not before:
            return None
        # It no longer matches: it is shown as it last did, with its new version.
        last = change.old.obj
        metadata = {**last["metadata"], "resourceVersion": str(change.version)}
        return self._seen("DELETED", Entry({**last, "metadata": metadata}, change.version))
