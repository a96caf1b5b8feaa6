"""The client of the Kubernetes page: its commands to Redis, in their order, written anew.

The page "Fine Parallel Processing Using a Work Queue" calls it `rediswq.py`. The page's program,
`notebooks/worker/page/worker.py`, runs on it as it stands. With `DIE_AFTER=n` the process is killed
right after the nth command that changes something.
"""

from __future__ import annotations

import hashlib
import os
import signal
import uuid
from typing import Any

import redis


class RedisWQ:
    def __init__(self, name: str, **options: Any) -> None:
        options.setdefault("port", int(os.environ.get("REDIS_SERVICE_PORT", "6379")))
        options.setdefault("password", os.environ.get("REDIS_PASSWORD"))
        self._db = redis.Redis(**options)
        self._session = str(uuid.uuid4())
        self._main, self._held = name, f"{name}:processing"
        self._prefix = f"{name}:leased_by_session:"
        self._left = int(os.environ.get("DIE_AFTER", "0"))

    def sessionID(self) -> str:
        return self._session

    def empty(self) -> bool:
        return self._db.llen(self._main) == 0 and self._db.llen(self._held) == 0

    def lease(
        self, lease_secs: int = 60, block: bool = True, timeout: int | None = None
    ) -> bytes | None:
        if block:
            item = self._db.brpoplpush(self._main, self._held, timeout=timeout)
        else:
            item = self._db.rpoplpush(self._main, self._held)
        if item:
            self._step()
            self._db.set(self._lease(item), self._session, ex=lease_secs)
            self._step()
        return item

    def complete(self, value: bytes) -> None:
        self._db.lrem(self._held, 0, value)
        self._step()
        self._db.delete(self._lease(value))
        self._step()

    def _lease(self, item: bytes) -> str:
        return self._prefix + hashlib.sha224(item).hexdigest()

    def _step(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
