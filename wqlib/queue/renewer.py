"""A thread that lets leases last while the work on their items takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..errors import QueueError
from .items import Lease
from .workqueue import WorkQueue


@dataclass(slots=True, eq=False)
class _Terms:
    """For how long some leases are renewed, and `since` when they last, by `time.monotonic`."""

    seconds: float
    since: float


class Renewer:
    """Renews each lease when a quarter to half of its time has passed, until told otherwise.

    The thread begins with the first lease. A lease that is lost is renewed no longer.

    Args:
        queue: What renews them; others may use it too.
        trouble: Gets the error when Redis did not renew them. It is tried again.
        closes: The queue is the thread's alone, which closes it at its end.
    """

    def __init__(
        self,
        queue: WorkQueue,
        trouble: Callable[[QueueError], None] = lambda error: None,
        *,
        closes: bool = False,
    ) -> None:
        self._queue, self._trouble, self._closes = queue, trouble, closes
        self._held: dict[str, tuple[Lease, _Terms]] = {}
        self._tick_seconds = float("inf")
        self._changed = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def hold(self, leases: Iterable[Lease], seconds: float) -> None:
        """Renew these leases, at most 500, from now on, each time for so many seconds."""
        terms = _Terms(seconds, time.monotonic())
        self._held.update((lease.id, (lease, terms)) for lease in leases)
        if seconds / 4 < self._tick_seconds:
            self._tick_seconds = seconds / 4
            self._changed.set()
            if not self._thread:
                self._thread = threading.Thread(target=self._run, name="wqlib-renew", daemon=True)
                self._thread.start()

    def drop(self, *leases: Lease) -> None:
        """Renew these leases no longer."""
        for lease in leases:
            self._held.pop(lease.id, None)

    def drop_all(self) -> list[Lease]:
        """Renew nothing any longer. Return what was held, the oldest first."""
        held = [lease for lease, _ in list(self._held.values())]
        self._held.clear()
        return held

    def stop(self, wait_seconds: float = 0.0) -> None:
        """End the thread, and wait so long for its end."""
        self._is_over = True
        self._changed.set()
        if self._thread and wait_seconds:
            self._thread.join(wait_seconds)

    def _run(self) -> None:
        while not self._is_over:
            if self._changed.wait(self._tick_seconds):
                self._changed.clear()
                continue
            now = time.monotonic()
            due: dict[_Terms, list[Lease]] = {}
            for lease, terms in list(self._held.values()):
                if terms.since + terms.seconds / 4 <= now:
                    due.setdefault(terms, []).append(lease)
            for terms, leases in due.items():
                self._renew(leases, terms)
        if self._closes:
            self._queue.close()

    def _renew(self, leases: list[Lease], terms: _Terms) -> None:
        try:
            renewed = self._queue.renew_all(leases, terms.seconds)
        except QueueError as error:
            if not self._is_over:
                self._trouble(error)
            return
        terms.since = time.monotonic()
        ids = {lease.id for lease in renewed}
        self.drop(*(lease for lease in leases if lease.id not in ids))
