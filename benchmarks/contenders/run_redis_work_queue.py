"""redis-work-queue: the loop of its README, `lease(db, 60, block=True)` and `complete`.

It has neither batches nor prefetch: an item is five round trips. Items of a killed worker come
back when somebody calls `light_clean`, which its README asks for; that is not timed here. The
items' ids are its own (UUIDs), the payload is the number. redis-py with hiredis, as for us.
"""

from __future__ import annotations

from typing import Any

from protocol import serve
from redis import Redis
from redis_work_queue import Item, KeyPrefix, WorkQueue


class Peer:
    def __init__(self, url: str, setting: str) -> None:
        self.seen: list[Any] = []
        self._db = Redis.from_url(url)
        self._queue = WorkQueue(KeyPrefix("bench"))

    def fill(self, items: int) -> None:
        for first in range(0, items, 1000):
            pipeline = self._db.pipeline()
            for number in range(first, min(first + 1000, items)):
                self._queue.add_item_to_pipeline(pipeline, Item(b"%d" % number))
            pipeline.execute()

    def drain(self, items: int) -> None:
        queue, db, seen = self._queue, self._db, self.seen
        for _ in range(items):
            item = queue.lease(db, 60, block=True, timeout=2)
            if item is None:
                return
            seen.append(item.data())
            queue.complete(db, item)

    def left(self) -> int:
        return self._queue.queue_len(self._db) + self._queue.processing(self._db)


if __name__ == "__main__":
    serve(Peer)
