"""What a controller needs to follow the API: a cache of one resource, a queue of work, events.

https://github.com/kubernetes/sample-controller/blob/master/docs/controller-client-go.md
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .apierrors import ApiError
from .client import Client
from .events import EventFilter
from .jsontypes import Obj, key_of, now, now_micro
from .profile import profile

log = logging.getLogger(__name__)

Key = tuple[str, str]

# As client-go's EventCorrelator, but for how much it remembers.
_SIMILAR, _COMBINE_SECONDS = 10, 600.0
_BURST, _REFILL_SECONDS = 25.0, 300.0
_REMEMBERED = 1024
# How many may wait to be written; then the oldest are lost.
_QUEUED = 1000
OnChange = Callable[[Obj | None, Obj | None], None]


def version_of(obj: Obj) -> int:
    """Return the object's resourceVersion as a number, to tell newer from older."""
    return int(obj["metadata"].get("resourceVersion") or 0)


@dataclass
class Informer:
    """A copy of one resource, kept up to date by a watch.

    Args:
        on_change: called with (old, new) after each change; None stands for absence.
        params: query parameters of list and watch, such as a field selector.
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
        """Take in what a write of our own returned, ahead of the watch."""
        known = self.objects.get(key_of(obj))
        if version_of(obj) > self._seen and (known is None or version_of(known) < version_of(obj)):
            self.objects[key_of(obj)] = obj

    async def run(self) -> None:
        """Follow the resource for ever."""
        while True:
            try:
                await self._list()
                await self._watch()
            except ApiError as error:
                if error.code != 410:
                    log.warning("watch of %s: %s", self.path, error)
                    await asyncio.sleep(0.5)
            except OSError as error:
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


@dataclass
class WorkQueue:
    """Names of things to look at: each at most once, and never two at the same time for one.

    Args:
        work: brings the thing with this key to where it should be; it is called again after
            it raised, each time a little later.
    """

    work: Callable[[Key], Awaitable[None]]
    _waiting: set[Key] = field(default_factory=set)
    _running: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _timers: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)

    def add(self, key: Key) -> None:
        """Have the thing looked at soon."""
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._running:
            self._start(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Have the thing looked at after a while."""
        loop = asyncio.get_running_loop()
        earlier = self._timers.get(key)
        if earlier and not earlier.cancelled() and loop.time() <= earlier.when():
            if earlier.when() <= loop.time() + seconds:
                return
            earlier.cancel()
        self._timers[key] = loop.call_later(max(seconds, 0.001), self.add, key)

    def _start(self, key: Key) -> None:
        self._running.add(key)
        task = asyncio.get_running_loop().create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: Key) -> None:
        await asyncio.sleep(0)
        while key in self._waiting:
            self._waiting.discard(key)
            try:
                await self.work(key)
                self._failures.pop(key, None)
            except (ApiError, OSError) as error:
                self._again(key, str(error))
            except Exception:
                log.exception("working on %s", key)
                self._again(key, "")
        self._running.discard(key)

    def _again(self, key: Key, why: str) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(0.005 * 2**count, 5.0)
        log.debug("again in %.3f s: %s %s", delay, key, why)
        self.add_after(key, delay)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()


@dataclass
class Recorder:
    """Writes Events about objects, as `kubectl describe` shows them.

    Args:
        component: who speaks, for example `job-controller`.
        host: the node, for the kubelet.
    """

    client: Client
    component: str
    host: str = ""
    _queue: deque[tuple[int, Obj]] = field(default_factory=deque)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)
    _filter: EventFilter = field(default_factory=EventFilter)
    _last_stamp: int = 0
    _counts: dict[int, tuple[str, int]] = field(default_factory=dict)

    def event(
        self,
        obj: Obj,
        reason: str,
        message: str,
        *,
        kind: str = "Normal",
        part: str = "",
        action: str = "",
    ) -> None:
        """Record that something happened to `obj`.

        Args:
            part: a field path inside the object.
            action: what was being done; an event that names it has the newer form, in which the
                times and the count have other places.
        """
        metadata = obj["metadata"]
        involved: Obj = {
            "kind": obj["kind"],
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "apiVersion": obj["apiVersion"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if part:
            involved["fieldPath"] = part
        source = {"component": self.component, **({"host": self.host} if self.host else {})}
        moment = now()
        event: Obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                # In the order of time when listed by name.
                "name": f"{metadata['name']}.{self._stamp():016x}",
                "namespace": metadata.get("namespace") or "default",
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message[:1024],
            "source": source,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self.component if profile().modern else "",
            "reportingInstance": self.host if profile().modern else "",
        }
        if action:
            event |= {"source": {}, "firstTimestamp": None, "lastTimestamp": None}
            event |= {"eventTime": now_micro(), "action": action}
            event |= {"reportingComponent": self.component}
            event |= {"reportingInstance": f"{self.component}-{platform.node()}"}
            del event["count"]
        known_by = self._filter.admit(event)
        if known_by is None:
            return
        # Its hash stands for what tells it apart: the names would take much memory.
        self._queue.append((hash(known_by), event))
        if len(self._queue) > _QUEUED:
            self._queue.popleft()
        self._filled.set()

    def _stamp(self) -> int:
        """Return a time in nanoseconds that was never returned before."""
        self._last_stamp = max(time.time_ns(), self._last_stamp + 1)
        return self._last_stamp

    async def run(self) -> None:
        """Write what was recorded, for ever."""
        while True:
            while not self._queue:
                self._filled.clear()
                await self._filled.wait()
            known_by, event = self._queue.popleft()
            try:
                await self._write(known_by, event)
            except (ApiError, OSError) as error:
                log.debug("event lost: %s", error)

    async def _write(self, same: int, event: Obj) -> None:
        path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        known = self._counts.get(same)
        if known:
            name, count = known
            change: Obj = {"message": event["message"]}
            if event["eventTime"]:
                change["series"] = {"count": count + 1, "lastObservedTime": event["eventTime"]}
            else:
                change |= {"lastTimestamp": event["lastTimestamp"], "count": count + 1}
            try:
                await self.client.patch(f"{path}/{name}", change)
                self._counts[same] = (name, count + 1)
                return
            except ApiError:
                pass
        await self.client.create(path, event)
        if len(self._counts) > 4096:
            self._counts.clear()
        self._counts[same] = (event["metadata"]["name"], 1)
