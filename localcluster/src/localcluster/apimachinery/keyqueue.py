"""The queue between informers and a controller; client-go's is the package `workqueue`.

https://github.com/kubernetes/sample-controller/blob/master/docs/controller-client-go.md
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .apierrors import ApiError
from .jsontypes import Key

log = logging.getLogger(__name__)


@dataclass
class KeyQueue:
    """A queue of the keys of objects to reconcile: each at most once, and worked on by one task.

    Args:
        reconcile: Brings the object with this key to its desired state; called again after it
            raised, each time a little later.
    """

    reconcile: Callable[[Key], Awaitable[None]]
    _dirty: set[Key] = field(default_factory=set)
    _processing: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _timers: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)

    def add(self, key: Key) -> None:
        """Schedule the object to be reconciled soon."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._start(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Schedule the object to be reconciled after a delay in seconds."""
        loop = asyncio.get_running_loop()
        due, earlier = loop.time() + max(seconds, 0.001), self._timers.get(key)
        if earlier and earlier.when() <= due:
            return
        if earlier:
            earlier.cancel()
        self._timers[key] = loop.call_at(due, self._wake, key)

    def _wake(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    def _start(self, key: Key) -> None:
        self._processing.add(key)
        task = asyncio.get_running_loop().create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: Key) -> None:
        await asyncio.sleep(0)
        while key in self._dirty:
            self._dirty.discard(key)
            try:
                await self.reconcile(key)
                self._failures.pop(key, None)
            except (ApiError, OSError) as error:
                self._retry(key, str(error))
            except Exception:
                log.exception("working on %s", key)
                self._retry(key, "")
        self._processing.discard(key)

    def _retry(self, key: Key, why: str) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(0.005 * 2 ** min(count, 10), 5.0)
        log.debug("again in %.3f s: %s %s", delay, key, why)
        self.add_after(key, delay)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
