"""A queue as it lies in Redis: its keys, and one client's calls on them.

The keys are described in `lua/common.lua`, the counters in `lua/snapshot.lua`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any

from ..errors import WrongKeyType, WrongVersion
from .address import Address
from .doorbell import Doorbell
from .items import utf8
from .link import Link, Script, _source
from .refusals import diagnose
from .rights import SCRIPTS, commands_of
from .wire import Argument, Refusal

CHUNK_ITEMS = 1000  # that one call takes at most
VERSION = b"1"  # of the arrangement of keys, as in lua/common.lua

# The keys of a queue, in the order of lua/common.lua, and their types.
TYPES = {
    "list": "list",
    "leases": "zset",
    "leased": "hash",
    "requeued": "zset",
    "tries": "hash",
    "dead": "hash",
    "counts": "hash",
    "results": "hash",
    "events": "stream",
    "drained": "list",
}

# After a fork, parent and child must share neither a connection nor the numbers of calls.
_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        link = store.link
        store.connect(link.patience_seconds, link.timeout_seconds, link.replicas)


os.register_at_fork(after_in_child=_after_fork)


class Store:
    """The keys of one queue and a connection to them.

    Args:
        name: Name of the queue.
        address: Where Redis is.
        patience_seconds, timeout_seconds, replicas: As for `Link`.

    Attributes:
        keys: Their names in Redis, in the order of lua/common.lua; `list` is the queue itself.
        link: The connection, not open before the first call.
        doorbell: Waits for what others do.

    Raises:
        ValueError: If no queue can have that name.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        patience_seconds: float,
        timeout_seconds: float = 10.0,
        replicas: int = 0,
    ) -> None:
        encoded = utf8(name, "A queue's name")
        if not 0 < len(encoded) <= 512:
            raise ValueError("A queue needs a name of 1 to 512 bytes.")
        if "{" in name or "}" in name:
            raise ValueError(
                f"The queue's name {name!r} must not contain {{ or }}: "
                "Redis Cluster would spread its keys over several servers."
            )
        self.name, self.address = name, address
        self.keys = {key: f"{{{name}}}:{key}".encode() for key in TYPES} | {"list": encoded}
        self.connect(patience_seconds, timeout_seconds, replicas)
        _stores.add(self)

    def connect(self, patience_seconds: float, timeout_seconds: float, replicas: int) -> None:
        """Make the connection, not yet open, and a name of our own for the record of calls."""
        self.link = Link(
            self.address,
            patience_seconds=patience_seconds,
            timeout_seconds=timeout_seconds,
            replicas=replicas,
            queue=self.name,
        )
        self.doorbell = Doorbell(self.link)
        caller = f"{{{self.name}}}:call:{os.urandom(8).hex()}".encode()
        self.scripts = {name: Script(name, (*self.keys.values(), caller)) for name in SCRIPTS}
        self._ready: set[str] = set()  # the scripts that may run; "": the keys are ours

    def copy(self, timeout_seconds: float | None = None) -> Store:
        """Return the same queue over a connection of its own."""
        link = self.link
        seconds = timeout_seconds or link.timeout_seconds
        return Store(self.name, self.address, link.patience_seconds, seconds, link.replicas)

    def close(self) -> None:
        """Close the connections."""
        self.doorbell.close()
        self.link.close()

    def run(self, script: str, *arguments: Argument) -> Any:
        """Run a script and return its reply."""
        if script not in self._ready:
            self._make_ready(script)
        return self.link.run(self.scripts[script], *arguments)

    def run_in_turn(self, script: str, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script several times in one go, each call only if the one before it ran."""
        if script not in self._ready:
            self._make_ready(script)
        return self.link.run_in_turn(self.scripts[script], calls)

    def command(self, word: str, key: str, *arguments: Argument) -> Any:
        """Send a command about one of the keys and return its reply."""
        if not self._ready:
            self._make_ready()
        return self.link.command(word, self.keys[key], *arguments)

    def wait(self, seconds: float, *keys: str) -> bool:
        """Wait until one of these lists is not empty. Return whether `interrupt` ended it."""
        return self.doorbell.wait([self.keys[key] for key in keys], seconds)

    def _make_ready(self, script: str = "") -> None:
        """Refuse keys that are not ours, and a user who may not run a script to its end."""
        if not self._ready:
            self._check_keys()
            self._ready.add("")
        if script and (self.address.username or self.address.rotates):
            keys, commands = self.scripts[script].keys, commands_of(script)
            missing = self.link.command("EVAL", _source("may"), len(keys), *keys, *commands)
            if missing:
                refusal = Refusal(f"NOPERM {missing.decode()}")
                raise diagnose(refusal, self.address, self.link.where).error()
        self._ready.add(script)

    def _check_keys(self) -> None:
        """Refuse keys that are not what this library makes of them."""
        kinds = self.link.commands(*(("TYPE", key) for key in self.keys.values()))
        for (name, key), kind in zip(self.keys.items(), kinds, strict=True):
            if kind.decode() not in (TYPES[name], "none"):
                raise WrongKeyType(
                    f"The queue {self.name} needs the key {key.decode()}, but that is a "
                    f"{kind.decode()} and not a {TYPES[name]}. Choose another name, or remove "
                    "that key if nobody needs it."
                )
        counts = self.keys["counts"]
        exists, version = self.link.commands(("EXISTS", counts), ("HGET", counts, "version"))
        if exists and version != VERSION:
            raise WrongVersion(
                f"The queue {self.name} was made by another version of wqlib: its keys have "
                f"version {(version or b'none').decode()}, not {VERSION.decode()}. Use that "
                "version of wqlib, or another name for the queue."
            )
