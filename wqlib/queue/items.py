"""What goes into a queue and what comes out: items, leases, numbers.

This module is pure: it does no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import ItemTooLarge, LeaseLost
from ..events import split_lease_id

MAX_ITEM_BYTES = 16 * 2**20
MAX_RESULT_BYTES = 2**20

Item = bytes | str | int | float | bool | dict[str, Any] | None


class Lease(NamedTuple):
    """An item lent to one worker until a deadline.

    Attributes:
        id: The lease id, `<item id>-<attempt>@<worker>`.
        item: The item, as bytes.
        deadline: When the lease ends, in seconds since the epoch by the Redis server's clock.
    """

    id: str
    item: bytes
    deadline: float

    @property
    def text(self) -> str:
        """The item as text; bytes that are not UTF-8 are shown as `\\xNN`."""
        return self.item.decode("utf-8", "backslashreplace")

    def json(self) -> Any:
        """The item read as JSON."""
        return json.loads(self.item)

    @property
    def item_id(self) -> int:
        """The number that the item got when it was lent for the first time."""
        return split_lease_id(self.id)[0]

    @property
    def attempt(self) -> int:
        """How often the item has been lent, this time included."""
        return split_lease_id(self.id)[1]

    @property
    def token(self) -> tuple[int, int]:
        """`(item id, attempt)`: for one item it only grows, so pass it on as fencing token."""
        return split_lease_id(self.id)[:2]


def lease_id(lease: Lease) -> str:
    """Return the id of a lease; what is no lease is a TypeError."""
    if not isinstance(lease, Lease):
        raise TypeError(f"{lease!r:.80} is not a lease. Pass what `lease` returned.")
    return lease.id


def check_lease_seconds(seconds: float, name: str = "lease_seconds") -> None:
    """Refuse a lease that makes no sense, with a ValueError."""
    if not 0.001 <= seconds <= 7 * 86400:
        raise ValueError(f"{name} is {seconds}; it must be 0.001 s to 7 days.")


def checked_worker(name: str | None) -> str:
    """Return the name of a worker ("" for None); what can be none is a TypeError or ValueError."""
    if name is None:
        return ""
    utf8(name, "A worker's name")
    if any(map(str.isspace, name)):
        raise ValueError(f"A worker's name must not contain white space: {name!r}.")
    return name


def lease_lost(leases: Sequence[Lease]) -> LeaseLost:
    """Return the error that says that these leases are lost."""
    names = ", ".join(lease.id for lease in leases[:3]) + (" ..." if len(leases) > 3 else "")
    error = LeaseLost(
        f"The lease {names} is no longer yours: it ran out, or was ended before. "
        "Drop this result; the item is, or will be, lent to another worker."
    )
    error.lost = leases
    return error


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of a queue at one moment.

    Attributes:
        pending: Items that wait.
        leased: Items that are lent.
        done: Items completed.
        dead: Items given up.
        put: Items added through `WorkQueue.put` (not by redis-cli).
        leases: Leases handed out.
        expired: Leases that ran out.
        released: Leases given back.
        failed: Leases that ended in `fail`.
        at: When, in seconds since the epoch by the server's clock.
        dropped: Dead items removed for good.
    """

    pending: int
    leased: int
    done: int
    dead: int
    put: int
    leases: int
    expired: int
    released: int
    failed: int
    at: float
    dropped: int = 0

    @property
    def drained(self) -> bool:
        """Nothing waits and nothing is leased."""
        return self.pending == 0 and self.leased == 0


@dataclass(frozen=True, slots=True)
class DeadItem:
    """An item that was given up.

    Attributes:
        item_id: Its number.
        item: The item, as bytes.
        error: Why its last attempt ended.
        history: One dict an attempt: `at` (s), `attempt`, `worker`, `what`, `reason`.
    """

    item_id: int
    item: bytes
    error: str
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ItemState:
    """One item, wherever it is.

    Attributes:
        item_id: Its number.
        state: "leased", "waiting" (it was lent before), "dead", "done", or "unknown": no item has
            had that number yet, or the queue was cleared since.
        item: The item, as bytes, if it is leased or dead, or else None.
        lease: Its lease, if it is leased.
        result: What `complete` kept for it.
        history: One dict for each attempt that came to no end: `at` (s), `attempt`, `worker`,
            `what`, `reason`; the last 20. Nothing is kept of an item that is done.
    """

    item_id: int
    state: str
    item: bytes | None = None
    lease: Lease | None = None
    result: bytes | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A queue at one moment.

    Attributes:
        stats: Its numbers.
        pending: The first items that wait.
        leases: The leases whose deadlines come first.
        dead: Dead items, by item id.
    """

    stats: Stats
    pending: list[bytes]
    leases: list[Lease]
    dead: list[DeadItem]


def utf8(text: str, what: str) -> bytes:
    """Return text as UTF-8.

    Args:
        text: The text.
        what: What it is, for the error.

    Raises:
        TypeError: It is no text.
        ValueError: It has characters that UTF-8 cannot hold.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be text (str), not {_kind(text)}.")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} has {text[error.start]!a} at position {error.start}, one half of a "
            "surrogate pair, which UTF-8 cannot hold. Encode it yourself, as in "
            'text.encode("utf-8", "surrogateescape"), or leave it out.'
        ) from None


def encode(item: Item) -> bytes:
    """Return an item as the queue keeps it: bytes as they are, text as UTF-8, the rest as JSON.

    Raises:
        ItemTooLarge: It has more than 16 MiB.
        TypeError, ValueError: It is neither of these.
    """
    if isinstance(item, (bytes, bytearray, memoryview)):
        kept = bytes(item)
    elif isinstance(item, str):
        try:
            kept = item.encode()
        except UnicodeEncodeError:
            kept = utf8(item, "An item")  # which says what is wrong
    else:
        kept = _as_json(item)
    if len(kept) > MAX_ITEM_BYTES:
        raise ItemTooLarge(
            f"An item of {len(kept):,} bytes is too large: at most {MAX_ITEM_BYTES:,}. "
            "Store it elsewhere and put its address in the queue."
        )
    return kept


def _as_json(item: Any) -> bytes:
    try:
        return _to_json(item).encode()
    except RecursionError:
        raise ValueError("An item is nested too deeply for JSON. Put bytes instead.") from None
    except ValueError as error:
        if "Circular" in str(error):
            raise ValueError("An item contains itself, which JSON cannot hold.") from None
        if "Out of range" in str(error):
            raise ValueError(
                "An item is or contains NaN or an infinite number, which JSON does not have. Put "
                "None or a text instead."
            ) from None
        raise ValueError(f"An item cannot be written as JSON: {error}.") from None
    except TypeError as error:
        if "keys must be" not in str(error):
            raise
        raise TypeError(f"An item is a dict that JSON cannot hold: {error}.") from None


def _refuse(value: object) -> None:
    hint = ""
    if hasattr(value, "tolist"):
        hint = ", as in .tolist()"
    elif isinstance(value, (bytes, bytearray, memoryview)):
        hint = ", as in .decode(), or put bytes alone"
    raise TypeError(
        f"An item is or contains a value of the type {_kind(value)}. It must be bytes, text, or "
        "what JSON knows: numbers, text, True, False, None, lists, and dicts with text as keys. "
        f"Convert it first{hint}."
    )


_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_refuse).encode


def _kind(value: object) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def encode_result(result: bytes | str | None) -> bytes:
    """Return a result as lua/lease.lua takes it: "=" and the bytes, or nothing for None.

    Raises:
        ItemTooLarge: It has more than 1 MiB.
        TypeError, ValueError: It is neither bytes, text nor None.
    """
    if result is None:
        return b""
    if isinstance(result, str):
        kept = utf8(result, "A result")
    elif isinstance(result, bytes):
        kept = result
    else:
        # A buffer, too: a worker keeps results for a moment, and a task may use it again.
        how = "bytes" if isinstance(result, (bytearray, memoryview)) else "json.dumps"
        raise TypeError(
            f"A result must be bytes, text or None, not {_kind(result)}. Convert it first, as in "
            f"{how}(result)."
        )
    if len(kept) > MAX_RESULT_BYTES:
        raise ItemTooLarge(
            f"A result of {len(kept):,} bytes is too large: at most {MAX_RESULT_BYTES:,}. "
            "Store it elsewhere and keep its address. The lease is still yours."
        )
    return b"=" + kept
