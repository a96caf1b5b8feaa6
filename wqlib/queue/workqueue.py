"""A work queue on a plain Redis list, whose items are lent, never given away.

A worker *leases* an item until a deadline, and *completes* it before that. If it dies, the
deadline passes and the item is leased again, so nothing is lost; and the dead worker's lease
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

import copy
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Self, TextIO

from ..events import Event
from . import adopting, looking
from .address import Address
from .filling import fill
from .items import (
    DeadItem,
    Item,
    ItemState,
    Lease,
    Snapshot,
    Stats,
    check_lease_seconds,
    checked_worker,
    encode_result,
    lease_id,
    lease_lost,
)
from .options import Password
from .store import CHUNK_ITEMS, Store
from .wire import Argument

MAX_BATCH = 500
_LONGEST_WAIT_SECONDS = 30.0

# A lease and the result to keep; and when the work began and ended, by `time.monotonic`.
Completion = tuple[Lease, bytes | str | None] | tuple[Lease, bytes | str | None, float, float]


class WorkQueue:
    """A queue of items in Redis that workers lease.

    Args:
        name: Name of the Redis list. Without `{` and `}`, which Redis Cluster gives a meaning.
        host, port, password, username: Where Redis is; what is not given is taken from the
            environment, see `Address.from_environment`. A `host` with a "/" in front is a Unix
            socket. `password` may be a function that returns it, or (user, password); it is
            called for each connection.
        url: All of that as `redis://:password@host:port/db?option=...` (see `Address.from_url`),
            and nothing is taken from the environment; or an `Address`.
        worker: Who leases: the name of the pod (`HOSTNAME`), or of this machine.
        lease_seconds: How long a lease lasts unless it is renewed.
        max_attempts: Failed or expired attempts after which an item is dead; None: never.
        patience_seconds: How long a call goes on trying while Redis is away.
        replicas: How many replicas must have a change before its call returns (`WAIT`); a call
            that too few confirm within the patience raises `NotReplicated`, and has happened.

    Attributes:
        pending: How many items waited after the last exchange.

    Raises:
        ValueError: If an argument makes no sense.

    Every method may raise `RedisUnreachable`, `RedisRefused`, `WrongKeyType` or `WrongVersion`.
    A queue may be shared by threads; `copy` gives a thread that waits one of its own.
    """

    def __init__(
        self,
        name: str,
        *,
        host: str | None = None,
        port: int | None = None,
        password: Password | None = None,
        username: str | None = None,
        url: str | Address | None = None,
        worker: str | None = None,
        lease_seconds: float = 30.0,
        max_attempts: int | None = 5,
        patience_seconds: float = 5.0,
        replicas: int = 0,
    ) -> None:
        check_lease_seconds(lease_seconds)
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts is {max_attempts}; it must be 1 or more, or None.")
        if replicas < 0:
            raise ValueError(f"replicas is {replicas}; it must be 0 or more.")
        address = Address.from_url(url) if isinstance(url, str) and url else url
        address = address or Address.from_environment()
        if not isinstance(address, Address):
            raise TypeError(f"url must be text or an Address, not {type(address).__name__}.")
        self.address = address.override(host=host, port=port, password=password, username=username)
        self.name = name
        self.worker = checked_worker(
            checked_worker(worker) or os.environ.get("HOSTNAME") or socket.gethostname()
        )
        self.lease_seconds = lease_seconds
        self.max_attempts = max_attempts
        self.pending = 0
        self._store = Store(
            name, self.address, patience_seconds, self.address.timeout_seconds, replicas
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def patience_seconds(self) -> float:
        """How long a call goes on trying while Redis is away. May be changed at any time."""
        return self._store.link.patience_seconds

    @patience_seconds.setter
    def patience_seconds(self, seconds: float) -> None:
        self._store.link.patience_seconds = seconds

    def copy(self, worker: str | None = None, *, timeout_seconds: float | None = None) -> Self:
        """Return the same queue over a connection of its own, for another thread or worker.

        Args:
            worker: Who leases; None: the same.
            timeout_seconds: How long to wait for one reply of Redis; None: the same (10).
        """
        twin = copy.copy(self)
        twin.worker = checked_worker(worker) or self.worker
        twin._store = self._store.copy(timeout_seconds)
        return twin

    def close(self) -> None:
        """Close the connections. Leases stay as they are."""
        self._store.close()

    # -- filling

    def put(
        self,
        items: Item | Iterable[Item],
        *,
        progress: Callable[[int], None] | None = None,
        resume: str = "",
    ) -> int:
        """Append items.

        Args:
            items: One item, or any iterable of items, of any length: it is read piece by piece.
                Bytes are taken as they are, text as UTF-8, anything else as JSON. (A list as
                one item: put it into a list.)
            progress: Called now and then with the number of items that are in by now.
            resume: A name for this filling. The queue counts what came in under it, so after
                any failure the same call with the same items goes on where it was cut off.

        Returns:
            How many items were added.

        Raises:
            ItemTooLarge: An item has more than 16 MiB. What came before it in the iterable may
                be in the queue; the message says how many that is.
            TypeError, ValueError: An item is nothing that JSON can hold; a note says the same.
        """
        return fill(self._store, items, progress, resume)

    # -- working

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
        begins: int = MAX_BATCH,
    ) -> list[Lease]:
        """Complete several items and lease several, in one round trip.

        Args:
            done: Leases to complete, each with its result, and perhaps with the times
                (`time.monotonic`, seconds) when the work on it began and ended; at most 500.
            count: How many items to lease at most; 0 to 500.
            wait_seconds, until_drained: As in `lease`.
            begins: How many of the new items are worked on at once; each of the others begins
                when an earlier one of this worker has ended. The event stream says so.

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
        now = time.monotonic()
        for lease, result, *times in done:
            timing = ""
            if times:
                began, ended = times
                timing = f" {int((now - began) * 1000)} {int((now - ended) * 1000)}"
            kept = b"" if result is None else encode_result(result)
            completions += lease_id(lease), kept, timing
        give_up_at = wait_seconds and time.monotonic() + wait_seconds
        while True:
            reply = self._store.run(
                "lease",
                self.worker,
                int(self.lease_seconds * 1000),
                count,
                self.max_attempts or 0,
                begins,
                *completions,
            )
            self.pending = reply[2]
            if reply[0]:
                raise lease_lost([done[int(position)][0] for position in reply[0].split(b",")])
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
            keys = ("list",) if drained else ("list", "drained")
            until_expiry = left if drained else wait_ms / 1000 + 0.001
            if self._store.wait(min(left, until_expiry, _LONGEST_WAIT_SECONDS), *keys):
                return []

    def interrupt(self) -> None:
        """Let the `lease` that waits now, or the next one that would, return None at once.

        For another thread, or a signal handler.
        """
        self._store.doorbell.ring()

    @property
    def bell(self) -> int:
        """A file descriptor: a byte that is written to it does what `interrupt` does."""
        return self._store.doorbell.hand

    def pause(self, seconds: float) -> None:
        """Wait so long, 30 s at most, or until `interrupt`."""
        self._store.wait(min(seconds, _LONGEST_WAIT_SECONDS))

    def renew(self, lease: Lease, lease_seconds: float | None = None) -> Lease:
        """Let a lease last `lease_seconds` (default: the queue's) from now.

        Returns:
            The same lease with its new deadline.

        Raises:
            LeaseLost: It had run out.
        """
        renewed = self.renew_all([lease], lease_seconds)
        if not renewed:
            raise lease_lost([lease])
        return renewed[0]

    def renew_all(
        self,
        leases: Sequence[Lease],
        lease_seconds: float | None = None,
        progress: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Lease]:
        """Renew several leases, at most 500, in one round trip.

        Args:
            leases: Which.
            lease_seconds: How long they last from now; None: as long as the queue's.
            progress: By lease id, how far the work is, for those who watch; cut after 200 bytes.

        Returns:
            Those that were still in force, with their new deadline.
        """
        if len(leases) > MAX_BATCH:
            raise ValueError(f"A batch is at most {MAX_BATCH} items.")
        seconds = self.lease_seconds if lease_seconds is None else lease_seconds
        check_lease_seconds(seconds)
        pairs: list[Argument] = []
        for lease in leases:
            known = lease_id(lease)
            text = " ".join(progress.get(known, "").split())
            pairs += known, f" {text}".encode("utf-8", "replace")[:201] if text else ""
        deadline, *renewed = self._store.run("renew", int(seconds * 1000), *pairs)
        told = zip(leases, renewed, strict=True)
        return [lease._replace(deadline=deadline / 1000) for lease, ok in told if ok]

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
        answer: bytes = self._store.run(
            "give_back", kind, why, self.max_attempts or 0, *map(lease_id, leases)
        )
        if b"0" in answer:
            raise lease_lost(
                [x for x, told in zip(leases, answer, strict=True) if told == ord("0")]
            )
        return answer

    # -- looking

    def stats(self) -> Stats:
        """Return the numbers of the queue at one moment."""
        return self.snapshot(0).stats

    def drained(self) -> bool:
        """Is nothing pending and nothing leased, decided at one moment?"""
        return self.stats().drained

    def overdue(self, at: float) -> int:
        """Return how many leases had run out at a moment, and nobody has taken them back since.

        Workers do that when they ask for work; so if it stays above 0, none asks.

        Args:
            at: Seconds since the epoch by the server's clock, such as `stats().at`.
        """
        return int(self._store.command("ZCOUNT", "leases", "-inf", int(at * 1000)))

    def snapshot(self, limit: int = 1000) -> Snapshot:
        """Return numbers, waiting items, leases and dead items, all from one moment.

        Args:
            limit: How many of each to bring at most, 0 to 5000. Redis serves nobody else while
                it collects them.
        """
        return looking.snapshot(self._store, limit)

    def peek(self, count: int = 10) -> list[bytes]:
        """Return the next items in line, which stay where they are."""
        items: list[bytes] = self._store.command("LRANGE", "list", 0, count - 1)
        return items if count > 0 else []

    def results(self) -> dict[int, bytes]:
        """Return the results kept by `complete`, by item id."""
        found = looking.pairs(self._store.command("HGETALL", "results"))
        return {int(item_id): result for item_id, result in found}

    def dead_items(self) -> list[DeadItem]:
        """Return the items that were given up, with their history, by item id."""
        return looking.dead_items(self._store)

    def item(self, item_id: int) -> ItemState:
        """Return where an item is that was lent at least once, and what came of its attempts."""
        return looking.item(self._store, *_numbers([item_id]))

    def foreign(self) -> int:
        """Count the items that the client of the Kubernetes page took and has not completed.

        They are in no number of `stats`. 0 on a Redis Cluster, where that client cannot work.
        """
        return adopting.foreign(self._store)

    def events(
        self, after: str = "0", *, wait_seconds: float = 0.0, limit: int = 10_000
    ) -> list[Event]:
        """Return what happened to the queue, oldest first; the stream keeps some 100,000 entries.

        Args:
            after: `stream_id` of the last event that you know, or "0" for all.
            wait_seconds: How long to wait for a new one when there is none.
            limit: How many entries of the stream to read at most.

        Returns:
            The events; an entry of the stream may hold several, and is never cut in two.
        """
        return looking.events(self._store, after, wait_seconds, limit)

    def export(self, file: TextIO) -> dict[str, int]:
        """Write all that is not done as JSON lines, in the format of `wqlib.queue.export`.

        It is all from one moment, and the queue stays as it is. Items go to the file as they
        come, so a queue may be larger than our memory. Redis holds a copy until it is sent, and
        serves nobody else while it makes it (some tenths of a second a million small items).

        Args:
            file: A text file, open for writing.

        Returns:
            How many items are leased, pending and dead.

        Raises:
            QueueError: Redis did not give all of it; the file is not whole then.
        """
        return looking.write_export(self._store, file)

    def server_time(self) -> float:
        """Return the Redis server's clock, in seconds since the epoch."""
        seconds, micros = self._store.link.command("TIME")
        return int(seconds) + int(micros) / 1e6

    # -- tidying

    def requeue_dead(self, item_ids: Iterable[int] | None = None) -> int:
        """Put dead items back at the end of the line, their failures forgiven.

        Args:
            item_ids: Which; None: all.

        Returns:
            How many now wait again.
        """
        ids = self._store.command("HKEYS", "dead") if item_ids is None else item_ids
        return self._of_the_dead("requeue_dead", ids)

    def drop_dead(self, item_ids: Iterable[int]) -> int:
        """Remove dead items for good.

        Returns:
            How many of these were dead, and are gone.
        """
        return self._of_the_dead("drop_dead", item_ids)

    def _of_the_dead(self, script: str, item_ids: Iterable[int]) -> int:
        ids = _numbers(item_ids)
        return sum(
            self._store.run(script, *ids[i : i + CHUNK_ITEMS])
            for i in range(0, len(ids), CHUNK_ITEMS)
        )

    def adopt(self, pause_seconds: float = 2.0) -> adopting.Adoption:
        """Take back what workers with the client of the Kubernetes page left behind.

        Only items whose lease there has run out come back, to the head of the line. That client
        does not renew leases: a worker of it that lives, and takes longer than its lease, may do
        such an item too.

        Args:
            pause_seconds: An item must be without a lease for so long: a worker that has just
                taken one notes its lease a moment later.

        Raises:
            QueueError: It is a Redis Cluster, where that client cannot work.
        """
        return adopting.adopt(self._store, pause_seconds)

    def clear(self) -> int:
        """Wipe the queue: items, leases, dead items, results, counters and events.

        Returns:
            How many items were waiting, leased or dead.
        """
        return int(self._store.run("clear"))


def _numbers(item_ids: Iterable[int]) -> list[int]:
    try:
        return [int(item_id) for item_id in item_ids]
    except OverflowError:
        raise ValueError("An item id is a whole number.") from None
