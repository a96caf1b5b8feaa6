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
_NOTE_SECONDS = 1.0


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
        chore: Something else to do in this thread. Called whenever it is awake; returns when
            (`time.monotonic`) it wants to be called again at the latest.
        closes: The queue is the renewer's alone, which closes it at its end.
    """

    def __init__(
        self,
        queue: WorkQueue,
        trouble: Callable[[QueueError], None] = lambda error: None,
        *,
        chore: Callable[[], float] = lambda: _NEVER,
        closes: bool = False,
    ) -> None:
        self._queue, self._trouble, self._chore, self._closes = queue, trouble, chore, closes
        self._held: dict[str, tuple[Lease, _Terms]] = {}
        self._notes: dict[str, str] = {}
        self._next_notes = 0.0  # before that, none goes out
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
            self.wake()

    def drop(self, *leases: Lease) -> None:
        """Renew these leases no longer."""
        for lease in leases:
            self._held.pop(lease.id, None)

    def drop_all(self) -> list[Lease]:
        """Renew nothing any longer. Return what was held, the oldest first."""
        held = [lease for lease, _ in list(self._held.values())]
        self._held.clear()
        return held

    def note(self, lease: Lease, text: str) -> None:
        """Tell how far the work is, with a renewal: soon, but at most one a second."""
        self._notes[lease.id] = text
        if self._next_notes < self._next:
            self.wake()

    def wake(self) -> None:
        """Let the thread look at once what is to do."""
        self._changed.set()
        if not self._thread:
            self._thread = threading.Thread(target=self._run, name="wqlib-renew", daemon=True)
            self._thread.start()

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
            self._next = _NEVER  # what is held or noted from here on wakes this thread
            self._next = min(
                self._chore(),
                self._next_notes if self._notes else _NEVER,
                *(terms.due for _, terms in list(self._held.values())),
                _NEVER,
            )
            wait_seconds = max(0.0, self._next - time.monotonic())
            if self._changed.wait(min(wait_seconds, threading.TIMEOUT_MAX)):
                continue
            now, by_terms = time.monotonic(), dict[_Terms, list[Lease]]()
            notes = self._take_notes(now)
            for lease, terms in list(self._held.values()):
                by_terms.setdefault(terms, []).append(lease)
            for terms, leases in by_terms.items():
                if terms.due <= now or any(lease.id in notes for lease in leases):
                    self._renew(leases, terms, notes)
        if self._closes:
            self._queue.close()

    def _take_notes(self, now: float) -> dict[str, str]:
        """Return what is to be told now, once."""
        if not self._notes or now < self._next_notes:
            return {}
        self._next_notes = now + _NOTE_SECONDS
        return {lease_id: self._notes.pop(lease_id) for lease_id in list(self._notes)}

    def _renew(self, leases: list[Lease], terms: _Terms, notes: dict[str, str]) -> None:
        try:
            renewed = self._queue.renew_all(leases, terms.seconds, notes)
        except QueueError as error:
            terms.due = time.monotonic() + terms.seconds / 16
            if not self._is_over:
                self._trouble(error)
            return
        terms.due = time.monotonic() + terms.seconds / 4
        ids = {lease.id for lease in renewed}
        self.drop(*(lease for lease in leases if lease.id not in ids))
