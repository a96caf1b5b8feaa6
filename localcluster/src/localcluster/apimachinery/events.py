"""Events: recorded by a component, combined when they are similar, and written to the API.

Each component keeps its number of Events small before it writes one:
https://github.com/kubernetes/client-go/blob/master/tools/record/events_cache.go
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .apierrors import ApiError
from .client import Client
from .jsontypes import Obj, now, now_micro

log = logging.getLogger(__name__)

EventKey = tuple[str, ...]

# From so many different messages of one kind on, the further ones are combined.
_SIMILAR = 10
_SIMILAR_SECONDS = 600.0
# So many Events about one object in a row, then one in five minutes.
_BURST = 25.0
_SECONDS_EACH = 300.0
_MOST_KEYS = 4096
# How many may wait to be written; then the oldest are lost.
_QUEUED = 1000


@dataclass
class EventCorrelator:
    """Combines, counts or drops the Events of one component.

    Args:
        clock: Seconds that only go up; tests give their own.
    """

    clock: Callable[[], float] = time.monotonic
    _groups: dict[int, tuple[float, tuple[int, ...]]] = field(default_factory=dict)
    _tokens: dict[str, tuple[float, float]] = field(default_factory=dict)

    def admit(self, event: Obj) -> EventKey | None:
        """Return the key of an Event (equal ones are counted), or None to drop it.

        The message of an Event that is combined with similar ones is changed in place.
        """
        uid = str(event["involvedObject"]["uid"])
        key = self._aggregate(event, uid)
        return key if self._within_burst(uid) else None

    def _aggregate(self, event: Obj, uid: str) -> EventKey:
        moment, message = self.clock(), event["message"]
        group_key = (uid, event["type"], event["reason"])
        # Hashes stand for names and messages, which would take much memory.
        group, said = hash(group_key), hash(message)
        if len(self._groups) > _MOST_KEYS:
            self._groups.clear()
        seen, messages = self._groups.get(group, (moment, ()))
        if moment - seen > _SIMILAR_SECONDS:
            messages = ()
        known = said in messages
        fits = known or len(messages) < _SIMILAR - 1
        self._groups[group] = (moment, (*messages, said) if fits and not known else messages)
        if fits:
            return (*group_key, event["involvedObject"].get("fieldPath", ""), message)
        event["message"] = f"(combined from similar events): {message}"[:1024]
        return group_key

    def _within_burst(self, uid: str) -> bool:
        moment = self.clock()
        if len(self._tokens) > _MOST_KEYS:
            self._tokens.clear()
        left, since = self._tokens.get(uid, (_BURST, moment))
        left = min(_BURST, left + (moment - since) / _SECONDS_EACH)
        self._tokens[uid] = (left - 1 if left >= 1 else left, moment)
        return left >= 1


@dataclass
class Recorder:
    """Writes Events about objects, as `kubectl describe` shows them.

    Args:
        component: Who reports, for example `job-controller`.
        host: The node, for the kubelet.
    """

    client: Client
    component: str
    host: str = ""
    _queue: deque[tuple[int, Obj]] = field(default_factory=deque)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)
    _correlator: EventCorrelator = field(default_factory=EventCorrelator)
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
            part: A field path inside the object.
            action: What was being done; an event that names it has the newer form, in which the
                times and the count have other places.
        """
        metadata = obj["metadata"]
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
            "involvedObject": _reference(obj, part),
            "reason": reason,
            "message": message[:1024],
            "source": source,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        }
        if action:
            event |= {"source": {}, "firstTimestamp": None, "lastTimestamp": None}
            event |= {"eventTime": now_micro(), "action": action}
            event |= {"reportingInstance": f"{self.component}-{platform.node()}"}
            del event["count"]
        known_by = self._correlator.admit(event)
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
        """Write what was recorded until cancelled."""
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
        if len(self._counts) > _MOST_KEYS:
            self._counts.clear()
        self._counts[same] = (event["metadata"]["name"], 1)


def _reference(obj: Obj, part: str) -> Obj:
    """Return how an Event names the object that it is about, or a part of it."""
    metadata = obj["metadata"]
    return {
        "kind": obj["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "apiVersion": obj["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion", ""),
        **({"fieldPath": part} if part else {}),
    }
