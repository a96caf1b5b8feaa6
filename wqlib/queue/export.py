"""A queue as a text file, and back: what is not done yet, as JSON lines.

The first line says what it is, from when, and how much there is::

    {"format": "wqlib queue", "version": 1, "queue": "job2", "at": 1764000000.12,
     "pending": 2, "leased": 1, "dead": 1}

(on one line). Each further line is an item: first those that are leased, then those that wait,
both in their order, then those that are dead::

    {"state": "leased", "item": "apple", "lease": "1-1@pod-a", "deadline": 1764000030.12}
    {"state": "pending", "item": "banana"}
    {"state": "pending", "item_base64": "//8="}
    {"state": "dead", "item": "cherry", "item_id": 3, "error": "...", "history": [...]}

Bytes that are not UTF-8 are in `item_base64`. Times are seconds since the epoch by the Redis
server's clock. A reader skips fields that it does not know; what an old reader cannot skip gets
a new version. This module is pure: it does no I/O.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast

from ..errors import QueueError
from .items import MAX_ITEM_BYTES

FORMAT, VERSION = "wqlib queue", 1
STATES = ("leased", "pending", "dead")
# JSON may write a byte as six characters; and there is the rest of the line.
MAX_LINE_BYTES = 6 * MAX_ITEM_BYTES + 2**20

_NOTHING: Mapping[str, Any] = {}
_encode = json.JSONEncoder(separators=(",", ":")).encode

State = Literal["leased", "pending", "dead"]


class BadQueueFile(QueueError):
    """A file is not an export of a queue, or it is damaged; the message names the line."""


class Entry(NamedTuple):
    """An item of a file, in which state it was, and what more is written of it."""

    state: State
    item: bytes
    more: Mapping[str, Any] = _NOTHING


def write(name: str, at: float, numbers: dict[str, int], entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the lines of a file, each with its end.

    Args:
        name: Name of the queue.
        at: Its moment, in seconds since the epoch, by the server's clock.
        numbers: How many items are in which state.
        entries: The items, in the order that is described above.
    """
    yield _line({"format": FORMAT, "version": VERSION, "queue": name, "at": at} | numbers)
    for entry in entries:
        yield _line({"state": entry.state, **_item(entry.item), **entry.more})


def read(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the items of a file, one after the other.

    Args:
        lines: The lines of the file, with or without their ends.

    Raises:
        BadQueueFile: It is not such a file, or damaged, or cut short. It is only known to be
            good when the last item was read.
    """
    number, head, seen = 0, None, Counter[str]()
    for number, line in enumerate(lines, 1):
        fields = _fields(line, number)
        if head is None:
            head = _head(fields)
            continue
        entry = _entry(fields, number)
        seen[entry.state] += 1
        yield entry
    if head is None:
        raise BadQueueFile("The file is empty. `wqlib queue export` writes such a file.")
    for state in STATES:
        if seen[state] != head.get(state):
            raise BadQueueFile(
                f"The file is incomplete: line 1 announces {head.get(state)} {state} items, but up "
                f"to line {number} there are {seen[state]}. Export the queue again."
            )


def read_plain(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield each line of any text file as an item, without its end; skip empty lines.

    Raises:
        BadQueueFile: A line is too long for an item.
    """
    for number, line in enumerate(lines, 1):
        item = line.removesuffix(b"\n").removesuffix(b"\r")
        if item:
            yield Entry("pending", _not_too_large(item, number))


def _line(fields: dict[str, Any]) -> str:
    return _encode(fields) + "\n"


def _item(item: bytes) -> dict[str, str]:
    try:
        return {"item": item.decode()}
    except UnicodeDecodeError:
        return {"item_base64": base64.b64encode(item).decode()}


def _fields(line: bytes, number: int) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise BadQueueFile(f"Line {number} is longer than any item can be.")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadQueueFile(_bad(number, f"it is not JSON ({error})")) from None
    if not isinstance(fields, dict):
        raise BadQueueFile(_bad(number, "it is not a JSON object"))
    return fields


def _head(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("format") != FORMAT:
        raise BadQueueFile(_bad(1, f'it does not say "format": "{FORMAT}"'))
    if fields.get("version") != VERSION:
        raise BadQueueFile(
            f"The file has version {fields.get('version')!r} of the format, and this program "
            f"knows version {VERSION}. Use the wqlib that wrote it, or a newer one."
        )
    return fields


def _entry(fields: dict[str, Any], number: int) -> Entry:
    state = fields.get("state")
    if state not in STATES:
        raise BadQueueFile(_bad(number, f"its state is none of {', '.join(STATES)}"))
    text, coded = fields.get("item"), fields.get("item_base64")
    try:
        if isinstance(text, str) and coded is None:
            item = text.encode()
        elif isinstance(coded, str) and text is None:
            item = base64.b64decode(coded, validate=True)
        else:
            raise BadQueueFile(_bad(number, "it needs one text, item or item_base64"))
    except ValueError as error:
        raise BadQueueFile(_bad(number, f"its item is damaged ({error})")) from None
    return Entry(cast("State", state), _not_too_large(item, number))


def _not_too_large(item: bytes, number: int) -> bytes:
    if len(item) > MAX_ITEM_BYTES:
        raise BadQueueFile(
            f"The item in line {number} is too large: more than {MAX_ITEM_BYTES:,} bytes. "
            "Store it elsewhere and put its address in the queue."
        )
    return item


def _bad(number: int, why: str) -> str:
    return f"Line {number} is not that of an exported queue: {why}."
