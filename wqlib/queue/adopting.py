"""What the client of the Kubernetes page left behind in a queue, and how it comes back.

That client moves an item into the list `job2:processing`, sets the key
`job2:leased_by_session:<SHA-224 of the item>` for as long as its lease lasts, and takes both away
when the work is done. Nothing looks for leases that ran out, so the items of a worker that died
lie there for ever. Equal items share such a key: as long as one of them is leased, all of them
count as leased.

Between the two steps, a worker that lives has an item without a lease, for an instant. So an item
is taken only if it had no lease at two looks, some time apart.

Source of these names: https://kubernetes.io/docs/tasks/job/fine-parallel-processing-work-queue/
"""

from __future__ import annotations

import hashlib
import time
from typing import NamedTuple

from ..errors import QueueError, RedisUnreachable, WrongKeyType
from .finding import is_cluster
from .store import Store
from .wire import Argument

_ITEMS_AT_ONCE = 200


class Adoption(NamedTuple):
    """What became of the items of the page's client.

    Attributes:
        taken: How many wait in the queue again.
        left: How many are still in the hands of the page's client.
    """

    taken: int
    left: int


def foreign(store: Store) -> int:
    """Count the items that the page's client has taken from this queue and not completed."""
    try:
        return 0 if is_cluster(store.link) else int(store.link.command("LLEN", _held(store)))
    except RedisUnreachable:
        raise
    except QueueError:  # it is somebody else's key, or may not be asked for
        return 0


def adopt(store: Store, pause_seconds: float) -> Adoption:
    """Take back what has no lease; see `WorkQueue.adopt`."""
    link, held = store.link, _held(store)
    if is_cluster(link):
        raise QueueError(
            "On a Redis Cluster there is nothing to adopt: the client of the Kubernetes page "
            f"cannot work there, because {store.name} and {held} are in different slots."
        )
    store.run("snapshot", 0)  # says best what is wrong with the queue
    try:
        items = _items(store)
    except WrongKeyType:
        raise WrongKeyType(
            f"The key {held} is not a list, so it is not from the client of the Kubernetes page, "
            "and there is nothing to adopt."
        ) from None
    keys = {item: _lease_key(store, item) for item in items}  # the newest first
    lapsed = _without_lease(store, keys)
    if lapsed:
        time.sleep(pause_seconds)
    taken = 0
    for start in range(0, len(lapsed), _ITEMS_AT_ONCE):
        pairs: list[Argument] = []
        for item in lapsed[start : start + _ITEMS_AT_ONCE]:
            pairs += item, keys[item]
        taken += store.run("adopt", held, *pairs)
    return Adoption(taken, link.command("LLEN", held))


def _items(store: Store) -> list[bytes]:
    """Return what lies in the list of the page's client, piece by piece."""
    items: list[bytes] = []
    while some := store.link.command(
        "LRANGE", _held(store), len(items), len(items) + _ITEMS_AT_ONCE - 1
    ):
        items += some
    return items


def _without_lease(store: Store, keys: dict[bytes, str]) -> list[bytes]:
    """Return the items whose key, given by the item, is not there."""
    found: list[bytes] = []
    names = list(keys.items())
    for start in range(0, len(names), _ITEMS_AT_ONCE):
        some = names[start : start + _ITEMS_AT_ONCE]
        replies = store.link.commands(*(("EXISTS", key) for _, key in some))
        found += [item for (item, _), exists in zip(some, replies, strict=True) if not exists]
    return found


def _held(store: Store) -> str:
    return f"{store.name}:processing"


def _lease_key(store: Store, item: bytes) -> str:
    return f"{store.name}:leased_by_session:{hashlib.sha224(item).hexdigest()}"
