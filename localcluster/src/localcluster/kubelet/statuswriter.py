"""Tells the API the status of one pod, in its turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client, pod_path
from ..apimachinery.jsontypes import Obj

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


def temporary(error: ApiError | OSError) -> bool:
    """Tell whether what failed with this error may succeed later."""
    return not isinstance(error, ApiError) or error.code >= 500 or error.code == 429


@dataclass
class StatusWriter:
    """Writes the latest status: what was overtaken while the last was on its way is no news.

    Args:
        metadata: The pod's.
        written: Takes in the pod as an update of its status returned it.

    Attributes:
        silent: Whether the API is to be told nothing more.
    """

    client: Client
    metadata: Obj
    written: Callable[[Obj], None]
    silent: bool = False
    _latest: Obj | None = None
    _news: Obj | None = None
    _over: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, status: Obj) -> None:
        """Have a status written, if it differs from the last one."""
        if status != self._latest:
            self._latest = self._news = status
            self._wake.set()

    def close(self) -> None:
        """Let `run` return once all is written."""
        self._over = True
        self._wake.set()

    async def run(self) -> None:
        """Write what is put."""
        while self._news is not None or not self._over:
            self._wake.clear()
            status, self._news = self._news, None
            if status is None:
                await self._wake.wait()
            elif not self.silent and not await self._write(status):
                self._news = self._news or status
                await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, status: Obj) -> bool:
        """Write the status; return False when it is worth another attempt."""
        name, uid = self.metadata["name"], self.metadata["uid"]
        path = pod_path(self.metadata["namespace"], name, "status")
        try:
            body = {"metadata": {"uid": uid}, "status": status}
            self.written(await self.client.patch(path, body))
        except (ApiError, OSError) as error:
            if not isinstance(error, ApiError) or error.code not in (404, 409):
                log.warning("status of %s: %s", name, error)
            return not temporary(error)
        return True
