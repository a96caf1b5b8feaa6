"""Watches: the changes of a resource as one line of JSON each, for as long as someone reads.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj
from ...apimachinery.resources import Resource
from ...apimachinery.selectors import Match
from ...store import Change, Entry, Store

# A reader this far behind has to start again.
_MAX_BEHIND = 20_000
_BOOKMARK_SECONDS = 60.0


@dataclass(frozen=True)
class WatchRequest:
    """What a watcher asks for.

    Args:
        since: The resourceVersion to start after; None sends what is there first.
        timeout: After how many seconds the server ends the watch.
        render: Turns an object into the JSON that this watcher wants.
    """

    resource: Resource
    namespace: str | None
    match: Match
    since: int | None
    bookmarks: bool
    initial_end: bool
    timeout: float
    render: Callable[[Entry], bytes]


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


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def _bookmark(request: WatchRequest, version: int, *, initial_end: bool = False) -> bytes:
    metadata: Obj = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    resource = request.resource
    body = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}
    return _line("BOOKMARK", json.dumps(body).encode())


def _selects(request: WatchRequest, entry: Entry | None) -> bool:
    if entry is None:
        return False
    namespace = entry.obj["metadata"].get("namespace", "")
    in_reach = request.namespace is None or namespace == request.namespace
    return in_reach and request.match(entry.obj)


def _event(request: WatchRequest, change: Change) -> bytes | None:
    """Return the line of a change, as seen through the watcher's selectors."""
    before, after = _selects(request, change.old), _selects(request, change.new)
    if change.deleted:
        return _line("DELETED", request.render(change.new)) if before else None
    if after:
        return _line("MODIFIED" if before else "ADDED", request.render(change.new))
    return _line("DELETED", _last_match(request, change)) if before else None


def _last_match(request: WatchRequest, change: Change) -> bytes:
    """Return an object that no longer matches, as it last matched, with its new version."""
    assert change.old is not None
    metadata = {**change.old.obj["metadata"], "resourceVersion": str(change.version)}
    return request.render(Entry({**change.old.obj, "metadata": metadata}, change.version))


async def watch_events(
    store: Store, request: WatchRequest, closed: asyncio.Event
) -> AsyncIterator[bytes]:
    """Yield the lines of a watch until it times out, or its reader leaves or falls behind."""
    name = request.resource.name
    pending: deque[Change] = deque()
    alarm = _Alarm()

    def notify(change: Change) -> None:
        pending.append(change)
        alarm.ring()

    start = store.version
    if request.since is None:
        first = b"".join(
            _line("ADDED", request.render(entry))
            for entry in store.list(name, request.namespace)
            if request.match(entry.obj)
        )
        if request.initial_end:
            first += _bookmark(request, start, initial_end=True)
        if first:
            yield first
        missed = store.since(name, start)
    else:
        missed = store.since(name, request.since)
    if missed is None:
        error = apierrors.expired(request.since or 0, store.oldest)
        yield _line("ERROR", json.dumps(error.body()).encode())
        return
    pending.extend(missed)
    watcher = store.watch(name, notify)
    loop = asyncio.get_running_loop()
    end = loop.time() + request.timeout
    leaving = loop.create_task(closed.wait())
    leaving.add_done_callback(lambda _: alarm.ring())
    try:
        while not closed.is_set():
            if len(pending) > _MAX_BEHIND:
                error = apierrors.expired(pending[0].version, store.version)
                yield _line("ERROR", json.dumps(error.body()).encode())
                return
            lines = []
            while pending:
                line = _event(request, pending.popleft())
                if line:
                    lines.append(line)
            if lines:
                yield b"".join(lines)
                continue
            left = end - loop.time()
            if left <= 0:
                return
            rung = await alarm.wait(min(left, _BOOKMARK_SECONDS))
            if not rung and request.bookmarks and not closed.is_set():
                yield _bookmark(request, store.version)
    finally:
        leaving.cancel()
        store.unwatch(watcher)
