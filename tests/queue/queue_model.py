"""What the queue promises, as a small pure model: no Redis, no Lua, no clock but `now`.

It is a judge. Each method takes the arguments of a call and, where the queue is free to
choose, what it chose; the model refuses what breaks a promise, and otherwise follows. It is
written from the documentation, to be as plain and as obviously right as possible: not fast,
and sharing nothing with the queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

HISTORY_KEPT = 20


class Disagreement(AssertionError):
    """The queue did what it must not do."""


class Attempt(NamedTuple):
    """How one attempt at an item ended, `at` in ms."""

    at: int
    attempt: int
    worker: str
    what: str
    reason: str


class Past(NamedTuple):
    """What is known of an item that has been lent."""

    item_id: int
    attempt: int
    failed: int = 0
    history: tuple[Attempt, ...] = ()


class Told(NamedTuple):
    """An event.

    Attributes:
        kind: What happened.
        what: To which lease, or to how many items.
        more: Of a lease, whether the work begins at once; of a renewal, how far it is; of a
            completion, whether the times of the work are told.
    """

    kind: str
    what: str | int
    more: object = None


class Held(NamedTuple):
    """An item that is lent, until `deadline` in ms."""

    item: bytes
    past: Past
    worker: str
    deadline: int


class Model:
    """A queue.

    Attributes:
        now: The time, in ms.
        pending: The items that wait, in line.
        returned: Of those, what is known of the ones that came back. Equal items are alike:
            any of them may be lent as the one that came back.
        leases: Lease id -> what is lent under it.
        dead: Item id -> the item that was given up.
        done: Item id -> the item that was completed.
        results: Item id -> its result.
        counts: put, leases, expired, released, failed, dropped.
        told: The events of the last call: kind, lease id or number, and what else each tells.
    """

    def __init__(self, now: int) -> None:
        self.now = now
        self.pending: list[bytes] = []
        self.returned: dict[bytes, tuple[Past, ...]] = {}
        self.leases: dict[str, Held] = {}
        self.dead: dict[int, tuple[bytes, Past]] = {}
        self.done: dict[int, bytes] = {}
        self.results: dict[int, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.last_item_id = 0
        self.told: list[Told] = []

    def copy(self) -> Model:
        """The same queue, to be led elsewhere."""
        twin = Model(self.now)
        twin.pending = list(self.pending)
        twin.last_item_id = self.last_item_id
        for name in ("returned", "leases", "dead", "done", "results", "counts"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    @property
    def drained(self) -> bool:
        return not self.pending and not self.leases

    def is_live(self, lease_id: str) -> bool:
        """Is this lease in force?"""
        return lease_id in self.leases and self.leases[lease_id].deadline > self.now

    def put(self, items: Sequence[bytes]) -> int:
        self.push(items)
        self.counts["put"] += len(items)
        self.told = [Told("put", len(items))] if items else []
        return len(items)

    def push(self, items: Sequence[bytes]) -> None:
        """Somebody's RPUSH."""
        self.pending += items
        self.told = []

    def exchange(
        self,
        worker: str,
        done: Sequence[tuple[str, bytes | None, bool]],
        lent: Sequence[tuple[str, bytes, int]],
        *,
        count: int,
        begins: int,
        lease_ms: int,
        max_attempts: int,
    ) -> list[str]:
        """Complete and lease.

        Args:
            worker: Who asks.
            done: Lease id and result of what is done, and whether the times of the work are told.
            lent: What the queue lent: lease id, item and deadline in ms.
            count: How many items were asked for.
            begins: How many of them the worker begins at once.

        Returns:
            The lease ids of `done` that were lost.
        """
        was_drained, self.told = self.drained, []
        expired = [lease for lease, held in self.leases.items() if held.deadline <= self.now]
        self.counts["expired"] += len(expired)
        for lease_id in sorted(expired, key=lambda x: (self.leases[x].deadline, x), reverse=True):
            self._give_back("expire", lease_id, "", max_attempts)
        lost = [one[0] for one in done if not self._complete(*one)]
        number = 0 if lost else min(count, len(self.pending))
        if len(lent) != number:
            raise Disagreement(f"{number} items to lend, but {len(lent)} were lent")
        for position, (lease_id, item, deadline) in enumerate(lent):
            self._lend(worker, lease_id, item, deadline)
            self.told.append(Told("lease", lease_id, position < begins))
            if deadline != self.now + lease_ms:
                raise Disagreement(f"{lease_id} until {deadline}, not {self.now + lease_ms}")
        self._tell_the_end(was_drained)
        return lost

    def renew(self, lease_ids: Sequence[str], lease_ms: int, progress: str) -> list[str]:
        """Returns the lease ids that were renewed, all with this progress."""
        renewed = [lease_id for lease_id in lease_ids if self.is_live(lease_id)]
        for lease_id in renewed:
            held = self.leases[lease_id]
            self.leases[lease_id] = held._replace(deadline=self.now + lease_ms)
        self.told = [Told("renew", lease_id, progress) for lease_id in renewed]
        return renewed

    def give_back(
        self, kind: str, lease_ids: Sequence[str], reason: str, max_attempts: int
    ) -> list[str]:
        """`release` or `fail`; returns the lease ids that were lost."""
        was_drained, self.told = self.drained, []
        lost = []
        for lease_id in lease_ids:
            if self.is_live(lease_id):
                self.counts["failed" if kind == "fail" else "released"] += 1
                self._give_back(kind, lease_id, reason, max_attempts)
            else:
                lost.append(lease_id)
        self._tell_the_end(was_drained)
        return lost

    def requeue_dead(self, item_ids: Sequence[int]) -> int:
        """Put these dead items, in this order, at the end of the line."""
        known = [item_id for item_id in dict.fromkeys(item_ids) if item_id in self.dead]
        for item_id in known:
            item, past = self.dead.pop(item_id)
            self.pending.append(item)
            self._remember(item, past._replace(failed=0))
        self.told = [Told("requeue", len(known))] if known else []
        return len(known)

    def drop_dead(self, item_ids: Sequence[int]) -> int:
        """Remove these dead items, in this order."""
        known = [item_id for item_id in dict.fromkeys(item_ids) if item_id in self.dead]
        self.told = []
        self.counts["dropped"] += len(known)
        for item_id in known:
            _, past = self.dead.pop(item_id)
            lease_id = f"{item_id}-{past.attempt}@{past.history[-1].worker}"
            self.told.append(Told("drop", lease_id))
        return len(known)

    def clear(self) -> int:
        gone = len(self.pending) + len(self.leases) + len(self.dead)
        last_item_id = self.last_item_id
        self.__init__(self.now)  # type: ignore[misc]
        self.last_item_id = last_item_id
        self.told = [Told("clear", 0)]
        return gone

    def _complete(self, lease_id: str, result: bytes | None, are_times_told: bool) -> bool:
        if not self.is_live(lease_id):
            return False
        held = self.leases.pop(lease_id)
        self.done[held.past.item_id] = held.item
        if result is not None:
            self.results[held.past.item_id] = result
        self.told.append(Told("complete", lease_id, are_times_told))
        return True

    def _lend(self, worker: str, lease_id: str, item: bytes, deadline: int) -> None:
        alike = self.pending.count(item)
        if self.pending.pop(0) != item:
            raise Disagreement(f"{item!r} was lent out of turn")
        item_id, attempt = map(int, lease_id.partition("@")[0].split("-"))
        pasts = self.returned.get(item, ())
        [*known] = (p for p in pasts if (p.item_id, p.attempt + 1) == (item_id, attempt))
        if known:
            past = known[0]._replace(attempt=attempt)
            self.returned[item] = tuple(p for p in pasts if p is not known[0])
        elif item_id > self.last_item_id and attempt == 1 and alike > len(pasts):
            past = Past(item_id, attempt)
            self.last_item_id = item_id
        else:
            raise Disagreement(f"{item!r} cannot be {lease_id}; what came back: {pasts}")
        if lease_id != f"{item_id}-{attempt}@{worker}":
            raise Disagreement(f"{lease_id!r} is not a lease id for {worker}")
        self.leases[lease_id] = Held(item, past, worker, deadline)
        self.counts["leases"] += 1

    def _give_back(self, kind: str, lease_id: str, reason: str, max_attempts: int) -> None:
        item, past, worker, _ = self.leases.pop(lease_id)
        entry = Attempt(self.now, past.attempt, worker, kind, reason)
        past = past._replace(
            failed=past.failed + (kind != "release"),
            history=(*past.history, entry)[-HISTORY_KEPT:],
        )
        self.told.append(Told(kind, lease_id))
        if 0 < max_attempts <= past.failed:
            self.dead[past.item_id] = (item, past)
            self.told.append(Told("dead", lease_id))
        else:
            self.pending.insert(0, item)
            self._remember(item, past)

    def _remember(self, item: bytes, past: Past) -> None:
        self.returned[item] = (*self.returned.get(item, ()), past)

    def _tell_the_end(self, was_drained: bool) -> None:
        if self.drained and not was_drained:
            self.told.append(Told("drained", 0))
