"""A work queue on a plain Redis list, whose items are lent, never given away.

A worker *leases* an item until a deadline, and *completes* it before that. If it dies, the
deadline passes and the item is lent again, so nothing is lost; and the dead worker's lease
id is void, so if it was only slow, it can do no harm. Each step is one Lua script in `lua/`,
hence atomic, and all times are the Redis server's::

    queue = WorkQueue("job2")
    queue.put(["apple", "banana", "cherry"])
    lease = queue.lease()
    while lease:
        print(lease.text)
        lease = queue.complete_and_lease(lease)   # one round trip an item

Where the idea comes from: the work queue of the Kubernetes task page "Fine Parallel
Processing Using a Work Queue", and leases as in Gray and Cheriton, "Leases: an efficient
fault-tolerant mechanism for distributed file cache consistency" (1989).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..errors import LeaseLost
from .items import Lease, encode_result, lease_id
from .store import StoredQueue, check_lease_seconds
from .wire import Argument

MAX_BATCH = 500
_LONGEST_WAIT_SECONDS = 30.0

Completion = tuple[Lease, bytes | str | None]


class WorkQueue(StoredQueue):
    """A queue of items in Redis that workers lease.

    Args:
        name: Name of the Redis list. Without `{` and `}`, which Redis Cluster gives a meaning.
        host, port, password, username: Where Redis is; what is not given is taken from the
            environment, see `Address.from_environment`.
        url: All of that as `redis://:password@host:port/db`, and nothing is taken from the
            environment; or an `Address`.
        worker: Who leases: the name of the pod (`HOSTNAME`), or of this machine.
        lease_seconds: How long a lease lasts unless it is renewed.
        max_attempts: Failed or expired attempts after which an item is dead; None: never.
        patience_seconds: How long a call goes on trying while Redis is away.

    Raises:
        ValueError: If an argument makes no sense.

    Every method may raise `RedisUnreachable`, `RedisRefused`, `WrongKeyType` or `WrongVersion`.
    A queue may be shared by threads; `copy` gives a thread that waits one of its own.
    """

    def lease(self, *, wait_seconds: float = 0.0, until_drained: bool = True) -> Lease | None:
        """Borrow the next item.

        Args:
            wait_seconds: How long to wait for an item; blocks on the server, does not poll.
            until_drained: Stop waiting once nothing is pending and nothing is leased. False: wait
                on, for work without an end.

        Returns:
            The lease, or None: the queue has drained or the time is up (`drained` tells which).
        """
        leases = self.exchange((), 1, wait_seconds=wait_seconds, until_drained=until_drained)
        return leases[0] if leases else None

    def complete(self, lease: Lease, result: bytes | str | None = None) -> None:
        """Mark the item of a lease as done, and keep a small result for it.

        Raises:
            LeaseLost: The deadline passed, or the lease was ended before; nothing is recorded.
            ItemTooLarge: The result has more than 1 MiB; the lease is still in force.
        """
        self.exchange(((lease, result),), 0)

    def complete_and_lease(
        self,
        lease: Lease,
        result: bytes | str | None = None,
        *,
        wait_seconds: float = 0.0,
        until_drained: bool = True,
    ) -> Lease | None:
        """`complete` and `lease` in one round trip. If the lease is lost, nothing is lent."""
        leases = self.exchange(
            ((lease, result),), 1, wait_seconds=wait_seconds, until_drained=until_drained
        )
        return leases[0] if leases else None

    def exchange(
        self,
        done: Sequence[Completion],
        count: int,
        *,
        wait_seconds: float = 0.0,
        until_drained: bool = True,
    ) -> list[Lease]:
        """Complete several items and lease several, in one round trip.

        Args:
            done: Leases to complete, each with its result; at most 500.
            count: How many items to lease at most; 0 to 500.
            wait_seconds, until_drained: As in `lease`.

        Returns:
            The new leases, at most `count`.

        Raises:
            LeaseLost: Some of `done` were lost (`error.lost` holds them). The others are
                completed; nothing is lent.
        """
        if len(done) > MAX_BATCH or not 0 <= count <= MAX_BATCH:
            raise ValueError(f"A batch is at most {MAX_BATCH} items.")
        if wait_seconds != wait_seconds:
            raise ValueError("wait_seconds is not a number.")
        completions: list[Argument] = []
        for lease, result in done:
            completions += lease_id(lease), b"" if result is None else encode_result(lease, result)
        give_up_at = wait_seconds and time.monotonic() + wait_seconds
        while True:
            reply = (self._link if self._checked else self._ready).run(
                self._scripts["lease"],
                self.worker,
                int(self.lease_seconds * 1000),
                count,
                self.max_attempts or 0,
                *completions,
            )
            if reply[0]:
                raise _lost([done[int(position)][0] for position in reply[0].split(b",")])
            if len(reply) == 6:
                return [Lease(reply[4].decode(), reply[5], int(reply[1]) / 1000)]
            if len(reply) > 4 or not count:
                ends, size = int(reply[1]) / 1000, len(reply)
                return [Lease(reply[i].decode(), reply[i + 1], ends) for i in range(4, size, 2)]
            pending, wait_ms = reply[2:]
            completions = []
            if pending:  # the answer to a repeated call, whose leases have run out since
                continue
            drained = wait_ms < 0
            left = give_up_at - time.monotonic()
            if left <= 0 or (drained and until_drained):
                return []
            if self._interrupted:
                self._interrupted = False
                return []
            keys = [self._list] if drained else [self._list, self._keys["drained"]]
            until_expiry = left if drained else wait_ms / 1000 + 0.001
            self._doorbell.wait(keys, min(left, until_expiry, _LONGEST_WAIT_SECONDS))

    def interrupt(self) -> None:
        """Let the `lease` that waits now, or the next one that would, return None at once.

        For another thread, or a signal handler.
        """
        self._interrupted = True
        self._doorbell.ring()

    def renew(self, lease: Lease, lease_seconds: float | None = None) -> Lease:
        """Let a lease last `lease_seconds` (default: the queue's) from now.

        Returns:
            The same lease with its new deadline.

        Raises:
            LeaseLost: It had run out.
        """
        renewed = self.renew_all([lease], lease_seconds)
        if not renewed:
            raise _lost([lease])
        return renewed[0]

    def renew_all(self, leases: Sequence[Lease], lease_seconds: float | None = None) -> list[Lease]:
        """Renew several leases, at most 500, in one round trip.

        Returns:
            Those that were still in force, with their new deadline.
        """
        if len(leases) > MAX_BATCH:
            raise ValueError(f"A batch is at most {MAX_BATCH} items.")
        seconds = self.lease_seconds if lease_seconds is None else lease_seconds
        check_lease_seconds(seconds)
        deadline, *renewed = self._ready.run(
            self._scripts["renew"], int(seconds * 1000), *map(lease_id, leases)
        )
        pairs = zip(leases, renewed, strict=True)
        return [lease._replace(deadline=deadline / 1000) for lease, ok in pairs if ok]

    def release(self, lease: Lease, reason: str = "") -> None:
        """Give an item back undone; it waits again, first in line. Counts as no failure.

        Raises:
            LeaseLost: The lease had run out.
        """
        self._give_back("release", [lease], reason)

    def release_all(self, leases: Sequence[Lease], reason: str = "") -> None:
        """Give several items back undone, at most 500, in one round trip.

        Raises:
            LeaseLost: Some had run out (`error.lost` holds them); the others are given back.
        """
        self._give_back("release", leases, reason)

    def fail(self, lease: Lease, error: str = "") -> bool:
        """Report that this attempt failed. The item waits again, first in line, or is dead.

        Returns:
            True if that was its last attempt and the item is now dead.

        Raises:
            LeaseLost: The lease had run out.
        """
        return self._give_back("fail", [lease], error) == b"2"

    def _give_back(self, kind: str, leases: Sequence[Lease], reason: str) -> bytes:
        if len(leases) > MAX_BATCH:
            raise ValueError(f"A batch is at most {MAX_BATCH} items.")
        why = str(reason).encode("utf-8", "backslashreplace")[:1000]
        answer: bytes = self._ready.run(
            self._scripts["give_back"], kind, why, self.max_attempts or 0, *map(lease_id, leases)
        )
        if b"0" in answer:
            raise _lost([x for x, told in zip(leases, answer, strict=True) if told == ord("0")])
        return answer


def _lost(leases: list[Lease]) -> LeaseLost:
    names = ", ".join(lease.id for lease in leases[:3]) + (" ..." if len(leases) > 3 else "")
    error = LeaseLost(
        f"The lease {names} is no longer yours: it ran out, or was ended before. "
        "Drop this result; the item is, or will be, lent to another worker."
    )
    error.lost = leases
    return error
