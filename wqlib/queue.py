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

import copy
import json
import os
import socket
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from .connection import Address, Argument, Doorbell, Link, Script
from .errors import ItemTooLarge, LeaseLost, QueueError, RedisRefused
from .events import Event, decode
from .items import CHUNK_ITEMS, DeadItem, Item, Lease, Stats, encode_result, windows

MAX_BATCH = 500

# The keys of a queue after the list itself, in the order of lua/common.lua.
_KEYS = ("leases", "leased", "requeued", "tries", "dead", "counts", "results", "events", "drained")
_SCRIPTS = ("lease", "give_back", "renew", "put", "requeue_dead", "stats", "clear")
_LONGEST_WAIT_SECONDS = 30.0
_READ_BLOCK_SECONDS = 2.0


# After a fork, parent and child must share neither a connection nor the numbers of calls.
_queues: weakref.WeakSet[WorkQueue] = weakref.WeakSet()


def _after_fork() -> None:
    for queue in list(_queues):
        queue._connect()


os.register_at_fork(after_in_child=_after_fork)


class WorkQueue:
    """A queue of items in Redis that workers lease.

    Args:
        name: Name of the Redis list. Without `{` and `}`, which Redis Cluster gives a meaning.
        host, port, password, username: Where Redis is; what is not given is taken from the
            environment, see `Address.from_environment`.
        url: All of that as `redis://:password@host:port/db`.
        worker: Who leases: the name of the pod (`HOSTNAME`), or of this machine.
        lease_seconds: How long a lease lasts unless it is renewed.
        max_attempts: Failed or expired attempts after which an item is dead; None: never.
        patience_seconds: How long a call goes on trying while Redis is away.

    Raises:
        ValueError: If an argument makes no sense.

    Every method may raise `RedisUnreachable`, `RedisRefused` or `WrongKeyType`. A queue may be
    shared by threads; `copy` gives a thread that waits one of its own.
    """

    def __init__(
        self,
        name: str,
        *,
        host: str | None = None,
        port: int | None = None,
        password: str | None = None,
        username: str | None = None,
        url: str | None = None,
        worker: str | None = None,
        lease_seconds: float = 30.0,
        max_attempts: int | None = 5,
        patience_seconds: float = 5.0,
    ) -> None:
        _check_name(name)
        _check_lease_seconds(lease_seconds)
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts is {max_attempts}; it must be 1 or more, or None.")
        address = Address.from_url(url) if url else Address.from_environment()
        given: dict[str, Any] = {
            "host": host,
            "port": port,
            "password": password,
            "username": username,
        }
        self.address = replace(address, **{k: v for k, v in given.items() if v is not None})
        self.name = name
        self.worker = worker or os.environ.get("HOSTNAME") or socket.gethostname()
        if any(c.isspace() or 0xD800 <= ord(c) < 0xE000 for c in self.worker):
            raise ValueError(
                f"The worker's name {self.worker!r} must be UTF-8 without white space."
            )
        self.lease_seconds = lease_seconds
        self.max_attempts = max_attempts
        self._patience_seconds = patience_seconds
        self._keys = {k: f"{{{name}}}:{k}".encode() for k in _KEYS}
        self._list = name.encode()
        self._interrupted = False
        self._timeout_seconds = 10.0
        self._connect()

    def __repr__(self) -> str:
        return f"<WorkQueue {self.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def patience_seconds(self) -> float:
        """How long a call goes on trying while Redis is away. May be changed at any time."""
        return self._link.patience_seconds

    @patience_seconds.setter
    def patience_seconds(self, seconds: float) -> None:
        self._patience_seconds = self._link.patience_seconds = seconds

    def copy(self, worker: str | None = None, *, timeout_seconds: float | None = None) -> WorkQueue:
        """The same queue over a connection of its own, for another thread or worker.

        Args:
            worker: Who leases; None: the same.
            timeout_seconds: How long to wait for one reply of Redis; None: the same (10).
        """
        twin = copy.copy(self)
        twin.worker = worker or self.worker
        twin._timeout_seconds = timeout_seconds or self._timeout_seconds
        twin._connect()
        return twin

    def _connect(self) -> None:
        """Make the connection, not yet open, and a name of our own for the record of calls."""
        self._link = Link(
            self.address,
            patience_seconds=self._patience_seconds,
            timeout_seconds=self._timeout_seconds,
        )
        self._doorbell = Doorbell(self._link)
        caller = f"{{{self.name}}}:call:{os.urandom(8).hex()}".encode()
        keys = (self._list, *self._keys.values(), caller)
        self._scripts = {name: Script.load(name, keys) for name in _SCRIPTS}
        _queues.add(self)

    def close(self) -> None:
        """Close the connections. Leases stay as they are."""
        self._doorbell.close()
        self._link.close()

    # -- filling

    def put(
        self, items: Item | Iterable[Item], *, progress: Callable[[int], None] | None = None
    ) -> int:
        """Append items.

        Args:
            items: One item, or any iterable of items, of any length: it is read piece by piece.
                Bytes are taken as they are, text as UTF-8, anything else as JSON. (A list as
                one item: put it into a list.)
            progress: Called now and then with the number of items that are in by now.

        Returns:
            How many items were added.

        Raises:
            ItemTooLarge: An item has more than 16 MiB. What came before it in the iterable may
                be in the queue; the message says how many that is.
        """
        added = 0
        window: list[tuple[bytes, ...]] = []
        try:
            for window in windows(items):
                replies = self._link.run_in_turn(self._scripts["put"], window)
                if -1 in replies:
                    raise QueueError(
                        f"The filling was interrupted after {added} items: Redis lost its memory "
                        "of the calls before. Look at the queue before you go on."
                    )
                added += sum(map(len, window))
                if progress:
                    progress(added)
        except ItemTooLarge as error:
            raise ItemTooLarge(f"{error} {added} items before it are in the queue.") from None
        except RedisRefused as error:
            answered = zip(window, error.answers, strict=False)
            added += sum(len(chunk) for chunk, answer in answered if answer != -1)
            raise RedisRefused(f"{error} The first {added} items are in the queue.") from None
        return added

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
        done: Sequence[tuple[Lease, bytes | str | None]],
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
        give_up_at = time.monotonic() + wait_seconds
        flat: list[Argument] = []
        for lease, result in done:
            flat += (lease.id, encode_result(lease, result))
        while True:
            completed, lent, deadline, pending, wait_ms = self._link.run(
                self._scripts["lease"],
                self.worker,
                int(self.lease_seconds * 1000),
                count,
                self.max_attempts or 0,
                *flat,
            )
            if 0 in completed:
                raise _lost([done[i][0] for i, ok in enumerate(completed) if not ok])
            if lent or not count:
                ends = deadline / 1000
                return [Lease(lent[i].decode(), lent[i + 1], ends) for i in range(0, len(lent), 2)]
            flat = []
            drained = pending == 0 and wait_ms < 0
            left = give_up_at - time.monotonic()
            if left <= 0 or (drained and until_drained):
                return []
            if self._interrupted:
                self._interrupted = False
                return []
            if pending == 0:
                keys = [self._list] if drained else [self._list, self._keys["drained"]]
                until_expiry = wait_ms / 1000 + 0.001 if wait_ms >= 0 else left
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
        _check_lease_seconds(seconds)
        deadline, renewed = self._link.run(
            self._scripts["renew"], int(seconds * 1000), *(lease.id for lease in leases)
        )
        return [
            lease._replace(deadline=deadline / 1000)
            for lease, ok in zip(leases, renewed, strict=True)
            if ok
        ]

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
        if len(leases) > MAX_BATCH:
            raise ValueError(f"A batch is at most {MAX_BATCH} items.")
        self._give_back("release", leases, reason)

    def fail(self, lease: Lease, error: str = "") -> bool:
        """Report that this attempt failed. The item waits again, first in line, or is dead.

        Returns:
            True if that was its last attempt and the item is now dead.

        Raises:
            LeaseLost: The lease had run out.
        """
        return self._give_back("fail", [lease], error) == [2]

    def _give_back(self, kind: str, leases: Sequence[Lease], reason: str) -> list[int]:
        why = reason.encode("utf-8", "backslashreplace")[:1000]
        ids = [lease.id for lease in leases]
        answer: list[int] = self._link.run(
            self._scripts["give_back"], kind, why, self.max_attempts or 0, *ids
        )
        if 0 in answer:
            raise _lost([leases[i] for i, ok in enumerate(answer) if not ok])
        return answer

    # -- looking

    def stats(self) -> Stats:
        """The numbers of the queue at one moment."""
        pending, leased, dead, at, flat = self._link.run(self._scripts["stats"])
        counts = {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}
        names = ("done", "put", "leases", "expired", "released", "failed")
        rest = {name: counts.get(name, 0) for name in names}
        return Stats(pending=pending, leased=leased, dead=dead, at=at / 1000, **rest)

    def drained(self) -> bool:
        """Is nothing pending and nothing leased, decided at one moment?"""
        return self.stats().drained

    def peek(self, count: int = 10) -> list[bytes]:
        """The next items in line, which stay where they are."""
        items: list[bytes] = self._link.command("LRANGE", self._list, 0, count - 1)
        return items if count > 0 else []

    def results(self) -> dict[int, bytes]:
        """The results kept by `complete`, by item id."""
        flat = self._link.command("HGETALL", self._keys["results"])
        return {int(flat[i]): flat[i + 1] for i in range(0, len(flat), 2)}

    def events(
        self, after: str = "0", *, wait_seconds: float = 0.0, limit: int = 10_000
    ) -> list[Event]:
        """What happened to the queue, oldest first. The stream keeps about 100,000 entries.

        Args:
            after: `stream_id` of the last event that you know, or "0" for all.
            wait_seconds: How long to wait for a new one when there is none.
            limit: How many entries of the stream to read at most.

        Returns:
            The events; an entry of the stream may hold several, and is never cut in two.
        """
        give_up_at = time.monotonic() + wait_seconds
        while True:
            entries = self._link.command(
                "XRANGE", self._keys["events"], f"({after}", "+", "COUNT", limit
            )
            left = give_up_at - time.monotonic()
            if entries or left <= 0:
                return [e for entry in entries for e in decode(entry[0].decode(), entry[1])]
            block = max(1, int(min(left, _READ_BLOCK_SECONDS) * 1000))
            self._link.command(
                "XREAD", "COUNT", 1, "BLOCK", block, "STREAMS", self._keys["events"], after
            )

    def server_time(self) -> float:
        """The Redis server's clock, in seconds since the epoch."""
        seconds, micros = self._link.command("TIME")
        return int(seconds) + int(micros) / 1e6

    # -- tidying

    def dead_items(self) -> list[DeadItem]:
        """The items that were given up, with their history, by item id."""
        flat = self._link.command("HGETALL", self._keys["dead"])
        ids = flat[::2]
        records = self._link.command("HMGET", self._keys["tries"], *ids) if ids else []
        found = []
        for item_id, item, record in zip(ids, flat[1::2], records, strict=True):
            history = json.loads(record.decode("utf-8", "replace"))["history"] if record else []
            for attempt in history:
                attempt["at"] /= 1000
            last = history[-1] if history else {}
            error = last.get("reason") or last.get("what", "")
            found.append(DeadItem(int(item_id), item, error, history))
        return sorted(found, key=lambda dead: dead.item_id)

    def requeue_dead(self, item_ids: Iterable[int] | None = None) -> int:
        """Put dead items back at the end of the line, their failures forgiven.

        Args:
            item_ids: Which; None: all.

        Returns:
            How many now wait again.
        """
        ids = self._link.command("HKEYS", self._keys["dead"]) if item_ids is None else item_ids
        ids = [int(item_id) for item_id in ids]
        return sum(
            self._link.run(self._scripts["requeue_dead"], *ids[i : i + CHUNK_ITEMS])
            for i in range(0, len(ids), CHUNK_ITEMS)
        )

    def clear(self) -> int:
        """Wipe the queue: items, leases, dead items, results, counters and events.

        Returns:
            How many items were waiting, leased or dead.
        """
        return int(self._link.run(self._scripts["clear"]))


def _check_name(name: str) -> None:
    if not name or len(name.encode()) > 512:
        raise ValueError("A queue needs a name of 1 to 512 bytes.")
    if "{" in name or "}" in name:
        raise ValueError(
            f"The queue's name {name!r} must not contain {{ or }}: "
            "Redis Cluster would spread its keys over several servers."
        )


def _check_lease_seconds(seconds: float) -> None:
    if not 0.001 <= seconds <= 7 * 86400:
        raise ValueError(f"lease_seconds is {seconds}; it must be 0.001 s to 7 days.")


def _lost(leases: list[Lease]) -> LeaseLost:
    names = ", ".join(lease.id for lease in leases[:3]) + (" ..." if len(leases) > 3 else "")
    error = LeaseLost(
        f"The lease {names} is no longer yours: it ran out, or was ended before. "
        "Drop this result; the item is, or will be, lent to another worker."
    )
    error.lost = leases
    return error
