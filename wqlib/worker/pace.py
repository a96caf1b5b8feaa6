"""How many items a worker leases at a time, when nobody tells it.

This module is pure: it does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..queue.items import Lease
from ..queue.workqueue import MAX_BATCH

BATCH_SECONDS = 0.03  # of work that is leased ahead; with its record it is over within 0.05
_GROWTH = 4  # times as many as before, at most
# How much of the mean the latest batch is. Among short items a long one is expected for a while,
# or of each batch with a long one the rest would have to be given back.
_RISE, _FALL = 0.5, 0.125


class Pace:
    """Measures how long items take, and which share of them this worker does.

    How many others there are is seen from the item ids, which are given in turn: of those that
    were given between two leases of ours, others have got what we have not.

    Args:
        slots: How many items are worked on at a time.
    """

    def __init__(self, slots: int = 1) -> None:
        self._slots = slots
        self._item_seconds = 0.0  # a mean that rises fast and falls slowly
        self._last_id = 0
        self._workers = 1.0
        self._most = slots

    def note_work(self, items: int, seconds: float) -> None:
        """So many items took so long, together."""
        if items:
            mean = seconds / items
            known = self._item_seconds or mean
            self._item_seconds = known + (mean - known) * (_RISE if mean > known else _FALL)

    def note_leases(self, leases: Sequence[Lease]) -> None:
        """These were lent to us."""
        fresh = [one.item_id for one in (*leases[:1], *leases[-1:]) if one.attempt == 1]
        if not fresh:
            return
        ours, last = len(leases), fresh[-1]
        if self._last_id and last > self._last_id:
            seen = max(1.0, (last - self._last_id) / ours)
            self._workers = (self._workers + seen) / 2
        self._last_id = last
        self._most = min(MAX_BATCH, max(self._most, _GROWTH * ours))

    def ahead(self, slow: int = 0) -> int:
        """How many items to hold: those that we work on, and what we shall finish soon.

        Args:
            slow: How many of the slots are taken by items that take long.
        """
        if not self._item_seconds:
            return self._slots
        soon = (self._slots - slow) * BATCH_SECONDS / self._item_seconds
        return max(self._slots, int(min(slow + soon, self._most, MAX_BATCH)))

    def wanted(self, pending: int, held: int = 0, slow: int = 0) -> int:
        """How many items to lease now: what we shall finish soon, and no more than a fair share.

        Args:
            pending: How many wait in the queue.
            held: How many we hold already.
            slow: As for `ahead`.
        """
        fair = int(pending / (2 * self._workers))
        return min(self.ahead(slow) - held, max(1, fair))
