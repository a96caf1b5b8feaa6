"""A thread that lets leases last while the work on their items takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..errors import QueueError
from .items import Lease
from .workqueue import WorkQueue

_NEVER = float("inf")


@dataclass(slots=True, eq=False)
class _Terms:
    """For how long some leases are renewed, and when next, by `time.monotonic`."""

    seconds: float
    due: float


class Renewer:
    """Renews each lease when a quarter of its time has passed, until told otherwise.

    After a failure it tries again when another sixteenth has passed. The thread begins with the
    first lease. A lease that is lost is renewed no longer.

    Args:
        queue: What renews them; others may use it too.
        trouble: Gets the error when Redis did not renew them.
        closes: The queue is the renewer's alone, which closes it at its end.
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
        self._next = _NEVER  # when the thread looks again
        self._changed = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def hold(self, leases: Iterable[Lease], seconds: float) -> None:
        """Renew these leases, at most 500, from now on, each time for so many seconds."""
        terms = _Terms(seconds, time.monotonic() + seconds / 4)
        for lease in leases:
            self._held[lease.id] = (lease, terms)
        if terms.due < self._next:
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
        if self._closes and not self._thread:
            self._queue.close()

    def _run(self) -> None:
        while True:
            self._changed.clear()
            if self._is_over:  # asked after that, for `stop` says so before it wakes us
                break
            self._next = _NEVER  # what is held from here on wakes this thread
            self._next = min((terms.due for _, terms in list(self._held.values())), default=_NEVER)
            wait_seconds = max(0.0, self._next - time.monotonic())
            if self._changed.wait(min(wait_seconds, threading.TIMEOUT_MAX)):
                continue
            now, due = time.monotonic(), dict[_Terms, list[Lease]]()
            for lease, terms in list(self._held.values()):
                if terms.due <= now:
                    due.setdefault(terms, []).append(lease)
            for terms, leases in due.items():
                self._renew(leases, terms)
        if self._closes:
            self._queue.close()

    def _renew(self, leases: list[Lease], terms: _Terms) -> None:
        try:
            renewed = self._queue.renew_all(leases, terms.seconds)
        except QueueError as error:
            terms.due = time.monotonic() + terms.seconds / 16
            if not self._is_over:
                self._trouble(error)
            return
        terms.due = time.monotonic() + terms.seconds / 4
        ids = {lease.id for lease in renewed}
        self.drop(*(lease for lease in leases if lease.id not in ids))
