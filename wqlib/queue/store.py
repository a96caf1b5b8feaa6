"""A queue as it lies in Redis: how to reach it, fill it, look into it, and tidy it up.

`WorkQueue` adds what workers do. The keys are described in `lua/common.lua`, the counters in
`lua/snapshot.lua`.
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

from ..errors import ItemTooLarge, QueueError, RedisRefused, WrongKeyType, WrongVersion
from ..events import Event, decode
from .address import Address
from .doorbell import Doorbell
from .items import CHUNK_ITEMS, DeadItem, Item, Lease, Snapshot, Stats, windows
from .link import Link, Script
from .wire import Argument

MAX_SHOWN = 5000
VERSION = b"1"  # of the arrangement of keys, as in lua/common.lua

# The keys of a queue after the list itself, in the order of lua/common.lua.
_KEYS = ("leases", "leased", "requeued", "tries", "dead", "counts", "results", "events", "drained")
_KINDS = ("list", "zset", "hash", "zset", *["hash"] * 4, "stream", "list")
_SCRIPTS = ("lease", "give_back", "renew", "put", "requeue_dead", "snapshot", "clear")
_READ_BLOCK_SECONDS = 2.0

# After a fork, parent and child must share neither a connection nor the numbers of calls.
_queues: weakref.WeakSet[StoredQueue] = weakref.WeakSet()


def _after_fork() -> None:
    for queue in list(_queues):
        queue._connect()


os.register_at_fork(after_in_child=_after_fork)


class StoredQueue:
    """What a `WorkQueue` is without workers; see there for the arguments."""

    def __init__(
        self,
        name: str,
        *,
        host: str | None = None,
        port: int | None = None,
        password: str | None = None,
        username: str | None = None,
        url: str | Address | None = None,
        worker: str | None = None,
        lease_seconds: float = 30.0,
        max_attempts: int | None = 5,
        patience_seconds: float = 5.0,
    ) -> None:
        _check_name(name)
        check_lease_seconds(lease_seconds)
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts is {max_attempts}; it must be 1 or more, or None.")
        address = Address.from_url(url) if isinstance(url, str) and url else url
        address = address or Address.from_environment()
        given: dict[str, Any] = {
            "host": host,
            "port": port,
            "password": password,
            "username": username,
            "login_from": "password=..." if password is not None else None,
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
        self._interrupted = False
        self._patience_seconds = patience_seconds
        self._timeout_seconds = 10.0
        self._list = name.encode()
        self._keys = {k: f"{{{name}}}:{k}".encode() for k in _KEYS}
        self._connect()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

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

    def say_waits(self, say: Callable[[str], None]) -> None:
        """Let `say` have a line when a call waits for Redis, each minute of it, and at the end."""
        self._link.say = say

    def copy(self, worker: str | None = None, *, timeout_seconds: float | None = None) -> Self:
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

    def close(self) -> None:
        """Close the connections. Leases stay as they are."""
        self._doorbell.close()
        self._link.close()

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
        self._scripts = {name: Script(name, keys) for name in _SCRIPTS}
        self._checked = False
        _queues.add(self)

    @property
    def _ready(self) -> Link:
        """The connection, once the keys are known to be ours."""
        if not self._checked:
            self._check()
        return self._link

    def _check(self) -> None:
        """Refuse keys that are not what this library makes of them."""
        keys = [self._list, *self._keys.values()]
        kinds = self._link.commands(*(("TYPE", key) for key in keys))
        for key, kind, right in zip(keys, kinds, _KINDS, strict=True):
            if kind.decode() not in (right, "none"):
                raise WrongKeyType(
                    f"The queue {self.name} needs the key {key.decode()}, but that is a "
                    f"{kind.decode()} and not a {right}. Choose another name, or remove that key "
                    "if nobody needs it."
                )
        counts = self._keys["counts"]
        exists, version = self._link.commands(("EXISTS", counts), ("HGET", counts, "version"))
        if exists and version != VERSION:
            raise WrongVersion(
                f"The queue {self.name} was made by another version of wqlib: its keys have "
                f"version {(version or b'none').decode()}, not {VERSION.decode()}. Use that "
                "version of wqlib, or another name for the queue."
            )
        self._checked = True

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
        """
        before = added = 0
        if not isinstance(resume, str):
            raise TypeError(f"resume is the name of a filling, a text, not {resume!r}.")
        if resume:
            before = int(self._ready.command("HGET", self._keys["counts"], f"filled {resume}") or 0)
        window: list[tuple[bytes, ...]] = []
        try:
            for window in windows(items, before):
                calls: list[tuple[Argument, ...]] = []
                position = before + added
                for chunk in window:
                    calls.append((resume, position, *chunk))
                    position += len(chunk)
                replies = self._ready.run_in_turn(self._scripts["put"], calls)
                if min(replies) < 0:
                    raise QueueError(_cut_off(added, replies))
                added = position - before
                if progress:
                    progress(added)
        except ItemTooLarge as error:
            raise ItemTooLarge(f"{error} {added} items before it are in the queue.") from None
        except RedisRefused as error:
            answered = zip(window, error.answers, strict=False)
            added += sum(len(chunk) for chunk, answer in answered if answer >= 0)
            raise RedisRefused(f"{error} The first {added} items are in the queue.") from None
        return added

    # -- looking

    def stats(self) -> Stats:
        """The numbers of the queue at one moment."""
        return self.snapshot(0).stats

    def drained(self) -> bool:
        """Is nothing pending and nothing leased, decided at one moment?"""
        return self.stats().drained

    def snapshot(self, limit: int = 1000) -> Snapshot:
        """Numbers, waiting items, leases and dead items, all at one moment.

        Args:
            limit: How many of each to bring at most, 0 to 5000. Redis serves nobody else while
                it collects them.
        """
        if not 0 <= limit <= MAX_SHOWN:
            raise ValueError(f"limit is {limit}; it must be 0 to {MAX_SHOWN}.")
        now, pending, leased, dead, flat, *shown = self._ready.run(self._scripts["snapshot"], limit)
        counts = {key.decode(): int(value) for key, value in _pairs(flat)}
        ended = {name: counts.get(name, 0) for name in ("expire", "release", "fail")}
        leases = counts.get("items", 0) - counts.get("cleared", 0) + counts.get("again", 0)
        stats = Stats(
            pending=pending,
            leased=leased,
            done=leases - leased - sum(ended.values()),
            dead=dead,
            put=counts.get("put", 0),
            leases=leases,
            expired=ended["expire"],
            released=ended["release"],
            failed=ended["fail"],
            at=now / 1000,
        )
        if not shown:
            return Snapshot(stats, [], [], [])
        waiting, deadlines, items, given_up, records = shown
        held = [
            Lease(lease_id.decode(), item, int(deadline) / 1000)
            for (lease_id, deadline), item in zip(_pairs(deadlines), items, strict=True)
        ]
        return Snapshot(stats, waiting, held, _dead_items(given_up, records))

    def peek(self, count: int = 10) -> list[bytes]:
        """The next items in line, which stay where they are."""
        items: list[bytes] = self._ready.command("LRANGE", self._list, 0, count - 1)
        return items if count > 0 else []

    def results(self) -> dict[int, bytes]:
        """The results kept by `complete`, by item id."""
        found = _pairs(self._ready.command("HGETALL", self._keys["results"]))
        return {int(item_id): result for item_id, result in found}

    def dead_items(self) -> list[DeadItem]:
        """The items that were given up, with their history, by item id."""
        flat = self._ready.command("HGETALL", self._keys["dead"])
        ids = flat[::2]
        return _dead_items(
            flat, self._ready.command("HMGET", self._keys["tries"], *ids) if ids else []
        )

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
            entries = self._ready.command(
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

    def requeue_dead(self, item_ids: Iterable[int] | None = None) -> int:
        """Put dead items back at the end of the line, their failures forgiven.

        Args:
            item_ids: Which; None: all.

        Returns:
            How many now wait again.
        """
        ids = self._ready.command("HKEYS", self._keys["dead"]) if item_ids is None else item_ids
        try:
            ids = [int(item_id) for item_id in ids]
        except OverflowError:
            raise ValueError("An item id is a whole number.") from None
        return sum(
            self._ready.run(self._scripts["requeue_dead"], *ids[i : i + CHUNK_ITEMS])
            for i in range(0, len(ids), CHUNK_ITEMS)
        )

    def clear(self) -> int:
        """Wipe the queue: items, leases, dead items, results, counters and events.

        Returns:
            How many items were waiting, leased or dead.
        """
        return int(self._ready.run(self._scripts["clear"]))


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _dead_items(flat: list[bytes], records: list[bytes | None]) -> list[DeadItem]:
    found = []
    for (item_id, item), record in zip(_pairs(flat), records, strict=True):
        history = json.loads(record.decode("utf-8", "replace"))["history"] if record else []
        for attempt in history:
            attempt["at"] /= 1000
        last = history[-1] if history else {}
        error = last.get("reason") or last.get("what", "")
        found.append(DeadItem(int(item_id), item, error, history))
    return sorted(found, key=lambda dead: dead.item_id)


def check_lease_seconds(seconds: float) -> None:
    """Refuse a lease that makes no sense, with a ValueError."""
    if not 0.001 <= seconds <= 7 * 86400:
        raise ValueError(f"lease_seconds is {seconds}; it must be 0.001 s to 7 days.")


def _check_name(name: str) -> None:
    if not name or len(name.encode()) > 512:
        raise ValueError("A queue needs a name of 1 to 512 bytes.")
    if "{" in name or "}" in name:
        raise ValueError(
            f"The queue's name {name!r} must not contain {{ or }}: "
            "Redis Cluster would spread its keys over several servers."
        )


def _cut_off(added: int, replies: Sequence[int]) -> str:
    if -2 in replies:
        why = "somebody else fills the queue under the same name. Let one of you finish first"
    else:
        why = "Redis lost its memory of the calls before. Look at the queue before you go on"
    return f"The filling was interrupted after {added} items: {why}."
