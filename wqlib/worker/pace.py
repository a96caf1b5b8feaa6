"""How many items a worker leases at a time, when nobody tells it.

This module is pure: it does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..queue.items import Lease
from ..queue.workqueue import MAX_BATCH

BATCH_SECONDS = 0.03  # of work that is leased ahead; with its record it is over within 0.05
_GROWTH = 4  # times as many as before, at most


class Pace:
    """Measures how long items take, and which share of them this worker does.

    How many others there are is seen from the item ids, which are given in turn: of those that
    were given between two leases of ours, others have got what we have not.

    Args:
        slots: How many items are worked on at a time.
    """

    def __init__(self, slots: int = 1) -> None:
        self._slots = slots
        self._item_seconds = 0.0  # a mean in which the latest half counts as much as all before
        self._last_id = 0
        self._workers = 1.0
        self._most = slots

    def note_work(self, items: int, seconds: float) -> None:
        """So many items took so long, together."""
        if items:
            mean = seconds / items
            known = self._item_seconds
            self._item_seconds = (known + mean) / 2 if known else mean

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

    def wanted(self, pending: int, held: int = 0) -> int:
        """How many items to lease now: what we shall finish soon, and no more than a fair share.

        Args:
            pending: How many wait in the queue.
            held: How many we hold already.
        """
        room = self._slots - held
        if self._item_seconds:
            ahead = int(self._slots * BATCH_SECONDS / self._item_seconds)
            room = min(max(self._slots, ahead), self._most, MAX_BATCH) - held
        fair = int(pending / (2 * self._workers))
        return min(room, max(1, fair))
