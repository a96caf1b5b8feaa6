"""Filling a queue with any number of items, without a gap and without doubles."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ..errors import ItemTooLarge, QueueError, RedisRefused
from .items import Item, encode, utf8
from .store import CHUNK_ITEMS, Store
from .wire import Argument

_CHUNK_BYTES = 2**20
_CHUNKS_AT_ONCE = 8


def fill(
    store: Store, items: Item | Iterable[Item], progress: Callable[[int], None] | None, resume: str
) -> int:
    """Append items; see `WorkQueue.put`. Up to 8 calls go out at once."""
    before = added = 0
    if utf8(resume, "The name of a fill (resume)"):
        before = int(store.command("HGET", "counts", f"filled {resume}") or 0)
    chunks = _chunks(islice(_encoded(items), before, None))
    window: list[tuple[bytes, ...]] = []
    try:
        while window := list(islice(chunks, _CHUNKS_AT_ONCE)):
            calls: list[tuple[Argument, ...]] = []
            position = before + added
            for chunk in window:
                calls.append((resume, position, *chunk))
                position += len(chunk)
            replies = store.run_in_turn("put", calls)
            if min(replies) < 0:
                raise QueueError(_cut_off(added, replies))
            added = position - before
            if progress:
                progress(added)
    except ItemTooLarge as error:
        raise ItemTooLarge(f"{error} {added} items before it are in the queue.") from None
    except (TypeError, ValueError) as error:  # of an item, or of the iterable
        error.add_note(f"{added} items before it are in the queue.")
        raise
    except RedisRefused as error:
        answered = zip(window, error.answers, strict=False)
        added += sum(len(chunk) for chunk, answer in answered if answer >= 0)
        raise type(error)(f"{error} The first {added} items are in the queue.") from None
    return added


def _encoded(items: Any) -> Iterator[bytes]:
    """Encode items; a list as a whole first, so a bad item in it is found before any is put."""
    if isinstance(items, (list, tuple)):
        return iter([encode(item) for item in items])
    if not isinstance(items, (bytes, bytearray, memoryview, str, dict)):
        with contextlib.suppress(TypeError):  # it cannot be iterated: it is one item
            return map(encode, items)
    return iter((encode(items),))


def _chunks(items: Iterator[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Cut items into what one call takes: up to 1000 items and about 1 MiB."""
    chunk: list[bytes] = []
    size = 0
    for item in items:
        if chunk and (len(chunk) >= CHUNK_ITEMS or size + len(item) > _CHUNK_BYTES):
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(item)
        size += len(item)
    if chunk:
        yield tuple(chunk)


def _cut_off(added: int, replies: Sequence[int]) -> str:
    if -2 in replies:
        why = "another program is filling the queue under the same name. Let one finish first"
    else:
        why = "Redis has forgotten the earlier calls. Check the queue before you continue"
    return f"Filling was interrupted after {added} items: {why}."
