"""A state of a small queue, and which states are alike.

States that differ only in a way that no promise depends on are one: histories, counters,
absolute times, the names of items and workers, and how many attempts came before the present
one. Without that there would be infinitely many.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from queue_model import Model, Past
from queue_world import NAME, Call, Hand, lent

PREFIX = f"{{{NAME}}}:".encode()
_LEASE = re.compile(rb"(?<!\d)(\d+)-(\d+)(?!\d)")
_ITEM = re.compile(rb"<\w+>")
_COUNTERS = {b"items", b"again", b"put", b"expire", b"release", b"fail"}
_IN_THE_MODEL = (b"leases", b"results", b"events")


class Step(NamedTuple):
    """Something that may happen next. `what` is call, repeat, late copy, crash, tick or failover.

    A failover undoes the last `undone` calls: their replies were lost, and no replica had them.
    """

    what: str
    worker: str = ""
    call: Call | None = None
    reply_lost: bool = False
    ms: int = 0
    undone: int = 0

    def __str__(self) -> str:
        if self.what == "tick":
            return f"{self.ms / 1000:g} s pass"
        if self.what == "failover":
            return f"a failover; calls undone: {self.undone}"
        if self.what != "call":
            return f"{self.worker}: {self.what}"
        return f"{self.worker}: {self.call}" + (" and the reply is lost" if self.reply_lost else "")


@dataclass(frozen=True)
class State:
    """All that there is at one moment, and how it came to it."""

    dump: tuple[bytes, ...]
    values: dict[bytes, list[Any]]
    model: Model
    hands: dict[str, Hand]
    number: int = 0
    before: State | None = None
    step: Step | None = None

    def path(self) -> list[str]:
        """The steps from the beginning."""
        return [*self.before.path(), str(self.step)] if self.before else []


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def canonical(state: State) -> bytes:
    """A digest that is the same for states that are alike."""
    workers = list(state.hands)
    texts = [_text(state, names) for names in (workers, workers[::-1])]
    return hashlib.blake2b(min(texts), digest_size=16).digest()


def _text(state: State, workers: Sequence[str]) -> bytes:
    """The state with items, workers and leases named in the order in which they appear."""
    model = state.model
    present = {b"%d-%d" % (p.item_id, p.attempt) for p in _pasts(model)}
    names: dict[bytes, bytes] = {}

    def name(kind: bytes, thing: bytes) -> bytes:
        return names.setdefault(kind + thing, kind + b"%d" % len(names))

    def renamed(row: object) -> bytes:
        text = repr(row).encode()
        for position, worker in enumerate(workers):
            text = text.replace(b"@" + worker.encode(), b"@%d" % position)
        text = _LEASE.sub(lambda m: name(b"id", m[1]) + b"-%d" % (m[0] in present), text)
        return _ITEM.sub(lambda m: name(b"item", m[0]), text)

    in_line = [(item, [p[:3] for p in model.returned.get(item, ())]) for item in model.pending]
    rows = [renamed([(item, [b"%d-%d/%d" % p for p in some]) for item, some in in_line])]
    rows += [renamed(pair) for pair in _deadlines(model)]
    rows += [renamed(_hand(state.hands[worker])) for worker in workers]
    # What has no order gets its names here, if it has none yet, and its order from them.
    return b"\n".join([*rows, *sorted(map(renamed, _loose(state)))])


def _loose(state: State) -> Iterator[object]:
    """What lies in Redis in no order: hashes and sets, less what no promise depends on."""
    yield from ((b"done %d-0" % item_id, item) for item_id, item in state.model.done.items())
    for key, value in sorted(state.values.items()):
        name = key.removeprefix(PREFIX)
        if name in _IN_THE_MODEL or b"clock" in name or key == NAME.encode():
            continue
        if name == b"requeued":
            yield from (re.sub(rb"^\w+", b"came back", member) for member in value[::2])
        elif name == b"drained":
            yield name
        else:
            for field_name, what in pairs(value).items():
                if name == b"tries":
                    yield _record(field_name, what)
                elif name != b"counts" or field_name not in _COUNTERS:
                    yield (name, field_name, what)


def _pasts(model: Model) -> Iterator[Past]:
    yield from (held.past for held in model.leases.values())
    yield from (past for _, past in model.dead.values())
    for some in model.returned.values():
        yield from some


def _record(item_id: bytes, record: bytes) -> bytes:
    """How often an item failed, without the history."""
    kept = json.loads(record)
    return b"%b-%d failed %d" % (item_id, kept["attempt"], kept["failed"])


def _deadlines(model: Model) -> list[tuple[bytes, int]]:
    """Leases in the order of their deadlines, and how long they last from now."""
    flat = lent(model)
    return [(x, max(0, int(at) - model.now)) for x, at in zip(flat[::2], flat[1::2], strict=True)]


def _hand(hand: Hand) -> tuple[object, ...]:
    doubt: tuple[object, ...] = ()
    if hand.doubt:
        call, answer = hand.doubt.call, hand.doubt.answer
        doubt = (call.method, [lease.id for lease in call.leases])
        if answer:
            doubt += ([lease.id for lease in answer.leases], answer.lost, answer.value)
    return ([lease.id for lease in hand.held], doubt)
