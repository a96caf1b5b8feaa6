"""Which queues a Redis holds, and what kind of server it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from .address import Address
from .link import Link

_SCAN_KEYS = 1000  # that Redis looks at in one step
_COUNTS, _HELD = b"}:counts", b":processing"


class Found(NamedTuple):
    """Names of queues, each in order.

    Attributes:
        queues: Those that this library has put items into or lent items of.
        lists: Other plain lists. RPUSH makes such a queue, which the first worker takes up; but
            a list may be anything else, too.
    """

    queues: list[str]
    lists: list[str]


def find(address: Address, patience_seconds: float = 5.0) -> Found:
    """Look through all keys of a Redis, or of all primaries of a Redis Cluster, by SCAN.

    Raises:
        QueueError: Redis is away, or refused it.
    """
    queues, lists = set[bytes](), set[bytes]()
    with contextlib.closing(Link(address, patience_seconds=patience_seconds)) as link:
        for node in _primaries(link, address) if is_cluster(link) else [address]:
            with contextlib.closing(Link(node, patience_seconds=patience_seconds)) as one:
                for key in _scan(one, "hash", "{*}:counts"):
                    queues.add(key[1 : -len(_COUNTS)])
                lists.update(key for key in _scan(one, "list", "*") if not key.startswith(b"{"))
    of_the_page = {key for key in lists if key.endswith(_HELD)}
    lists |= {key.removesuffix(_HELD) for key in of_the_page}
    return Found(_texts(queues), _texts(lists - queues - of_the_page))


def is_cluster(link: Link) -> bool:
    """Is this a node of a Redis Cluster? (HELLO needs no right.)"""
    told = link.command("HELLO")
    return dict(zip(told[::2], told[1::2], strict=False)).get(b"mode") == b"cluster"


def _primaries(link: Link, address: Address) -> Iterator[Address]:
    nodes = {
        (bytes(primary[0] or b""), primary[1])
        for _, _, primary, *_ in link.command("CLUSTER", "SLOTS")
    }
    for host, port in nodes:  # without a host: the one that was asked
        yield address.override(host=host.decode() or None, port=port)


def _scan(link: Link, kind: str, pattern: str) -> Iterator[bytes]:
    cursor = b"0"
    while True:
        cursor, keys = link.command(
            "SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_KEYS, "TYPE", kind
        )
        yield from keys
        if cursor == b"0":
            return


def _texts(keys: set[bytes]) -> list[str]:
    """Return keys as names of queues, without those that no queue can have."""
    names = []
    for key in keys:
        with contextlib.suppress(UnicodeDecodeError):
            name = key.decode()
            if name and not {"{", "}"} & set(name) and len(key) <= 512:
                names.append(name)
    return sorted(names)
