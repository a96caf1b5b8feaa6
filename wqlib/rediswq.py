"""The client of the Kubernetes page, on this queue: a program written for it runs unchanged.

The page "Fine Parallel Processing Using a Work Queue" has a module `rediswq`, whose class
leases items and never looks for leases that ran out: when a pod dies, its item stays lent for
ever, and the Job never ends. This class has the same methods, and the promises of `WorkQueue`.
To use it, replace the page's `rediswq.py` beside the program by one line::

    from wqlib.rediswq import *

What the page leaves open is decided like this:

- While the program works, a thread renews what it holds. So work may take longer than
  `lease_secs` (the page's own program sleeps for 10 s under a lease of 10 s), and still an item
  comes back `lease_secs` after its pod died.
- When `lease` finds nothing to lend, the renewing ends, and what the program still holds comes
  back within `lease_secs`. A program that dropped an item after an exception would otherwise keep
  the queue from draining, and wait for itself.
- `complete` that comes too late (the process was frozen, say) records nothing. The page's
  program takes no notice of an answer, and there is nothing that it should do: the item is lent
  to another worker. So it is no exception, which would end the pod, but a `LateWarning` on
  standard error, and the answer False. `warnings.simplefilter("error", LateWarning)` makes
  it an exception.

Source of the interface:
https://kubernetes.io/docs/tasks/job/fine-parallel-processing-work-queue/
"""

from __future__ import annotations

import os
import uuid
import warnings
import weakref
from typing import Any

from .errors import LeaseLost
from .queue import WorkQueue
from .queue.address import Address
from .queue.items import Item, Lease, check_lease_seconds, encode
from .queue.renewer import Renewer
from .shown import shown

__all__ = ["LateWarning", "RedisWQ"]

_PATIENCE_SECONDS = 30.0


class LateWarning(RuntimeWarning):
    """`complete` came when the lease had run out; nothing was recorded."""


class RedisWQ:
    """A finite work queue, as the Kubernetes page has it. One thread uses it.

    Args:
        name: Name of the queue, a Redis list.
        host, port, db: As redis-py names them. What is not given is taken from the environment
            (`REDIS_PASSWORD`, for one), see `wqlib.queue.address.Address.from_environment`.
        more: Other arguments of redis-py's client: `username`, `password`, `ssl`, `ssl_...`,
            `socket_...`, `unix_socket_path`, `credential_provider`, `client_name`,
            `health_check_interval`. Not those for its pool and its retries, as the queue has
            neither, and not `decode_responses`: items are bytes.

    Raises:
        TypeError, ValueError: If the name is not good for a queue, or an argument makes no sense.

    Every method but `sessionID` may raise a `QueueError`, after Redis was away for 30 s; a line
    on standard error says soon that it is waited for. An item whose attempts came to no end five
    times is put aside as dead; see `wqlib queue dead`.

    Example:
        >>> q = RedisWQ(name="job2", host="redis")
        >>> while not q.empty():  # doctest: +SKIP
        ...     item = q.lease(lease_secs=10, block=True, timeout=2)
        ...     if item is not None:
        ...         print(item.decode())
        ...         q.complete(item)
    """

    def __init__(
        self,
        name: str,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        **more: Any,
    ) -> None:
        more |= {"host": host, "port": port, "db": db}
        for login in ("host", "port", "username", "password"):  # an empty variable, for one
            more[login] = more.get(login) or None
        address = Address.from_environment().override(**more)
        self._queue = WorkQueue(name, url=address, patience_seconds=_PATIENCE_SECONDS)
        self._session = f"{self._queue.worker}-{uuid.uuid4().hex[:8]}"
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._held: list[Lease] = []  # oldest first
        queue = self._queue.copy(timeout_seconds=3.0)
        queue.patience_seconds = 1.0
        self._renewer = Renewer(queue, closes=True)  # if Redis stays away, `complete` says so
        weakref.finalize(self, self._renewer.stop).atexit = False

    def sessionID(self) -> str:
        """Return the name of this client: that of the pod or machine, and a random end."""
        return self._session

    def empty(self) -> bool:
        """Is there nothing left to do: nothing waits, and nothing is leased?

        False does not say that there is something to lease now: others may hold what is left.
        """
        return self._queue.drained()

    def lease(
        self, lease_secs: float = 60, block: bool = True, timeout: float | None = None
    ) -> bytes | None:
        """Borrow the next item.

        Args:
            lease_secs: How long after the death of this process another may have the item, in
                seconds (0.001 to 7 days).
            block: Wait for an item when there is none.
            timeout: How long to wait, in seconds; None or 0: without an end.

        Returns:
            The item, or None: there was none, the time is up, or the last item of the queue
            was completed while we waited, so that `empty` is now true.
        """
        check_lease_seconds(lease_secs, "lease_secs")
        if self._process != os.getpid():  # after a fork: the leases are the parent's
            self._begin()
        self._queue.lease_seconds = lease_secs
        lease = self._queue.lease()
        if lease is None:
            self._renewer.drop_all()
            if not block:
                return None
            # In a queue that had drained before, a program without an end waits for more.
            lease = self._queue.lease(
                wait_seconds=timeout or float("inf"), until_drained=not self._queue.drained()
            )
        if lease is None:
            return None
        self._held.append(lease)
        self._renewer.hold([lease], lease_secs)
        return lease.item

    def complete(self, value: Item) -> bool:
        """Mark an item as done. Of several equal ones it is the one that was leased first.

        Args:
            value: What `lease` returned.

        Returns:
            True; False after a `LateWarning`, if we have no lease on such an item any more.
        """
        item = encode(value)
        for lease in [held for held in self._held if held.item == item]:
            try:
                self._queue.complete(lease)
            except LeaseLost:
                done = False  # an equal one may be ours still: this one, lent to us again
            else:
                done = True
            self._held.remove(lease)
            self._renewer.drop(lease)
            if done:
                return True
        warnings.warn(
            f"Too late for {shown(item)}: this worker has no lease on it any more, so nothing "
            "is recorded. The item is, or will be, lent to another worker.",
            LateWarning,
            stacklevel=2,
        )
        return False
