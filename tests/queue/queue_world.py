"""Real queues on a real Redis, held against the model call by call.

A `World` has a few workers, each with a `WorkQueue` and with hands that hold leases. Every
call goes to Redis and to the model, and both must say the same. A call may also lose its
reply: Redis acted, but the worker does not know. It then repeats the call, or dies.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import redis
from queue_model import Disagreement, Model, Told
from scripts import Clock

from wqlib.errors import LeaseLost
from wqlib.events import Event
from wqlib.queue import WorkQueue
from wqlib.queue.items import DeadItem, Lease
from wqlib.queue.workqueue import MAX_BATCH, Completion

NAME = "world"
LEASE_MS = 10_000


class Call(NamedTuple):
    """A call of a worker: the method (`exchange` stands for four), and its arguments.

    `times` are those of the work on each of `leases`: how many s ago it began and ended.
    """

    kind: str
    leases: tuple[Lease, ...] = ()
    results: tuple[bytes | None, ...] = ()
    count: int = 0
    items: tuple[bytes, ...] = ()
    item_ids: tuple[int, ...] = ()
    reason: str = ""
    lease_ms: int = LEASE_MS
    times: tuple[float, ...] = ()
    begins: int = MAX_BATCH
    progress: str = ""

    def __str__(self) -> str:
        what: list[object] = [lease.id for lease in self.leases]
        what += [*self.items, *self.item_ids]
        return f"{self.method}({', '.join(map(str, what))})"

    @property
    def method(self) -> str:
        """The method of `WorkQueue` that it is made with."""
        plain = {(0, 1): "lease", (1, 0): "complete", (1, 1): "complete_and_lease"}
        if self.kind == "exchange":
            most = f"exchange {self.count}"
            if self.times or self.begins < self.count:
                return most
            return plain.get((len(self.leases), self.count), most)
        return self.kind


class Answer(NamedTuple):
    """What a call gave: new or renewed leases, lost lease ids, and what else it returned."""

    leases: tuple[Lease, ...] = ()
    lost: tuple[str, ...] = ()
    value: object = None


class Sent(NamedTuple):
    """A call as it went out: its number, its bytes, and what it was answered.

    `answer` is None if a failover has undone it: the new primary has never heard of it.
    """

    call: Call
    number: int
    packed: bytes
    answer: Answer | None


@dataclass(frozen=True)
class Hand:
    """What a worker knows.

    Attributes:
        held: The leases that it believes to hold.
        doubt: The call whose reply was lost, or None.
        past: The last two calls that were answered.
    """

    held: tuple[Lease, ...] = ()
    doubt: Sent | None = None
    past: tuple[Sent, ...] = ()


class World:
    """Some workers on one queue, and the model of it.

    Args:
        url: A Redis that is ours alone: all that is in it goes.
        workers: Their names.
        max_attempts: As for `WorkQueue`; 0 for None.
    """

    def __init__(self, url: str, workers: str, *, max_attempts: int = 2) -> None:
        self.client = redis.Redis.from_url(url)
        self.client.flushall()
        self.clock = Clock(self.client)
        self.model = Model(self.clock.now)
        self.max_attempts = max_attempts
        self.queues = {
            worker: WorkQueue(
                NAME,
                url=url,
                worker=worker,
                lease_seconds=LEASE_MS / 1000,
                max_attempts=max_attempts or None,
            )
            for worker in workers
        }
        self.observer = WorkQueue(NAME, url=url, worker="observer")
        for queue in (*self.queues.values(), self.observer):
            queue._store.link._tidied = float("inf")  # or the numbers of calls leap now and then
        for script in self.observer._store.scripts.values():
            self.client.script_load(script.source)
        self._taps = {worker: Tap(queue) for worker, queue in self.queues.items()}
        self.hands = {worker: Hand() for worker in workers}
        self._last_event = "0"

    def close(self) -> None:
        for queue in (*self.queues.values(), self.observer):
            queue.close()
        self.client.close()

    # -- what may happen

    def push(self, items: tuple[bytes, ...]) -> None:
        """Somebody's RPUSH."""
        self.client.rpush(NAME, *items)
        self.model.push(items)

    def tick(self, ms: int) -> None:
        """Time passes."""
        self.clock.set(self.clock.now + ms)
        self.model.now, self.model.told = self.clock.now, []

    def crash(self, worker: str) -> None:
        """A worker dies, and another one of that name knows nothing of it."""
        self.hands[worker] = Hand()
        self.model.told = []

    def call(self, worker: str, call: Call, *, reply_lost: bool = False) -> Answer:
        """A worker makes a call; if its reply is lost, the worker is in doubt afterwards."""
        queue = self.queues[worker]
        answer = perform(queue, call)
        agree(call, answer, self._expected(worker, call, answer))
        sent = Sent(call, queue._store.link._calls, self._taps[worker].last, answer)
        hand = self.hands[worker]
        self.hands[worker] = replace(hand, doubt=sent) if reply_lost else _taught(hand, sent)
        return answer

    def repeat(self, worker: str) -> Answer:
        """A worker in doubt sends its call once more, as the library does by itself.

        It gets the first answer, less the leases that were lost since. If none is left, the
        library asks anew. If the call was undone, it is made now.
        """
        queue, doubt = self.queues[worker], self.hands[worker].doubt
        assert doubt
        call, first = doubt.call, doubt.answer
        with rewound(queue, doubt.number):
            answer = perform(queue, call)
        if not first:
            agree(call, answer, self._expected(worker, call, answer))
            self.hands[worker] = _taught(self.hands[worker], doubt._replace(answer=answer))
            return answer
        still = tuple(lease for lease in first.leases if self.model.is_live(lease.id))
        if call.kind == "renew":
            expected = self._expected(worker, call, answer)
        elif call.count and not still and not first.lost and self.model.pending:
            expected = self._expected(worker, call._replace(leases=(), results=()), answer)
        else:
            expected, self.model.told = first._replace(leases=still), []
        agree(call, answer, expected)
        self.hands[worker] = _taught(self.hands[worker], doubt._replace(answer=answer))
        return answer

    def late_copy(self, worker: str) -> bool:
        """Copies of the last two calls arrive again, as a network may hold one back.

        Nobody reads the answers, and they must change nothing. (`renew` is no such call: to
        renew twice is to renew later.) Returns whether there was one to send.
        """
        self.model.told = []
        wire = self.queues[worker]._store.link._wire
        copies = [sent for sent in self.hands[worker].past if sent.call.kind != "renew"]
        for sent in copies:
            if wire:
                wire.send(sent.packed)
                wire.read()
        return bool(copies)

    # -- what must hold

    def check(self) -> None:
        """Does all that can be seen of the queue agree with the model?"""
        model, queue = self.model, self.observer
        stats, snapshot = queue.stats(), queue.snapshot()
        seen: dict[str, object] = {
            "stats": {name: getattr(stats, name) for name in Counts._fields},
            "drained": queue.drained(),
            "at": round(stats.at * 1000),
            "peek": queue.peek(len(model.pending) + 9),
            "dead": queue.dead_items(),
            "results": queue.results(),
            "snapshot": (snapshot.stats, snapshot.pending, snapshot.leases, snapshot.dead),
            "end": bool(self.client.llen(f"{{{NAME}}}:drained")),
            "lent": queue._store.link.command("ZRANGE", f"{{{NAME}}}:leases", 0, -1, "WITHSCORES"),
        }
        known = {
            "stats": counts(model)._asdict(),
            "drained": model.drained,
            "at": model.now,
            "peek": model.pending,
            "dead": dead_items(model),
            "results": model.results,
            "snapshot": (stats, model.pending, leases(model), dead_items(model)),
            # Whoever waits for the end blocks on a list, which must not be empty then. (It may
            # be left from an earlier end: `lease` empties it before anybody waits.)
            "end": seen["end"] or (model.drained and bool(model.done or model.dead)),
            "lent": lent(model),
        }
        for what, value in known.items():
            if seen[what] != value:
                raise Disagreement(f"{what}: {seen[what]!r}; the model has {value!r}")

    def check_events(self) -> None:
        """Do the events since the last time tell what the last step did, and nothing else?"""
        events = self.observer.events(self._last_event)
        if events:
            self._last_event = events[-1].stream_id
        told = list(map(told_by, events))
        if Counter(told) != Counter(self.model.told) or told[-1:] != self.model.told[-1:]:
            raise Disagreement(f"events {told}; the model has {self.model.told}")
        if events and events[-1].pending != len(self.model.pending):
            raise Disagreement(f"{events[-1]} in a queue of {len(self.model.pending)}")

    def _expected(self, worker: str, call: Call, answer: Answer) -> Answer:
        model, ids = self.model, [lease.id for lease in call.leases]
        if call.kind == "exchange":
            lost = model.exchange(
                worker,
                [(*one, bool(call.times)) for one in zip(ids, call.results, strict=True)],
                [(x.id, x.item, round(x.deadline * 1000)) for x in answer.leases],
                count=call.count,
                begins=call.begins,
                lease_ms=LEASE_MS,
                max_attempts=self.max_attempts,
            )
            return Answer(answer.leases, tuple(lost))
        if call.kind == "renew":
            until = (model.now + call.lease_ms) / 1000
            renewed = model.renew(ids, call.lease_ms, call.progress)
            return Answer(tuple(x._replace(deadline=until) for x in call.leases if x.id in renewed))
        if call.kind in ("release", "fail"):
            lost = model.give_back(call.kind, ids, call.reason, self.max_attempts)
            is_dead = call.kind == "fail" and not lost and model.told[1:2] == [Told("dead", ids[0])]
            return Answer(lost=tuple(lost), value=is_dead)
        if call.kind == "requeue_dead":
            return Answer(value=model.requeue_dead(call.item_ids))
        if call.kind == "drop_dead":
            return Answer(value=model.drop_dead(call.item_ids))
        return Answer(value=model.put(call.items) if call.kind == "put" else model.clear())


class Counts(NamedTuple):
    """The numbers of `Stats` that the model knows too."""

    pending: int
    leased: int
    done: int
    dead: int
    put: int
    leases: int
    expired: int
    released: int
    failed: int
    dropped: int


def counts(model: Model) -> Counts:
    sizes = map(len, (model.pending, model.leases, model.done, model.dead))
    return Counts(*sizes, *(model.counts[name] for name in Counts._fields[4:]))


def dead_items(model: Model) -> list[Any]:
    """The dead items of the model, in the queue's form."""
    found = []
    for item_id, (item, past) in sorted(model.dead.items()):
        history = [entry._asdict() | {"at": entry.at / 1000} for entry in past.history]
        last = past.history[-1]
        found.append(DeadItem(item_id, item, last.reason or last.what, history))
    return found


def leases(model: Model) -> list[Lease]:
    """The leases of the model by deadline, in the queue's form."""
    by_deadline = sorted((held.deadline, lease_id) for lease_id, held in model.leases.items())
    return [Lease(x, model.leases[x].item, deadline / 1000) for deadline, x in by_deadline]


def lent(model: Model) -> list[bytes]:
    """Lease ids and deadlines of the model, as Redis has them in `{name}:leases`."""
    flat = []
    for lease in leases(model):
        flat += [lease.id.encode(), b"%d" % round(lease.deadline * 1000)]
    return flat


def told_by(event: Event) -> Told:
    """An event of the queue, in the model's form."""
    more: object = None
    if event.kind == "lease":
        more = event.begins
    elif event.kind == "renew":
        more = event.progress
    elif event.kind == "complete":
        more = bool(event.began)
        if not event.began <= event.ended <= (event.at if more else 0.0):
            raise Disagreement(f"the work began at {event.began} and ended at {event.ended}")
    return Told(event.kind, event.lease_id or event.count, more)


def perform(queue: WorkQueue, call: Call) -> Answer:
    """Make a call on a real queue."""
    try:
        return _performed(queue, call)
    except LeaseLost as error:
        return Answer(lost=tuple(lease.id for lease in error.lost), value=False)


def _performed(queue: WorkQueue, call: Call) -> Answer:
    leases, method = call.leases, call.method
    if method == "lease":
        lease = queue.lease()
        return Answer((lease,) if lease else ())
    if method == "complete":
        queue.complete(leases[0], call.results[0])
        return Answer()
    if method == "complete_and_lease":
        lease = queue.complete_and_lease(leases[0], call.results[0])
        return Answer((lease,) if lease else ())
    if call.kind == "exchange":
        times = [time.monotonic() - seconds for seconds in call.times]
        done: list[Completion] = [
            (lease, result, *times)  # type: ignore[misc]
            for lease, result in zip(leases, call.results, strict=True)
        ]
        return Answer(tuple(queue.exchange(done, call.count, begins=call.begins)))
    if call.kind == "renew":
        progress = {lease.id: call.progress for lease in leases}
        return Answer(tuple(queue.renew_all(leases, call.lease_ms / 1000, progress)))
    if call.kind == "release":
        queue.release_all(leases, call.reason)
        return Answer(value=False)
    if call.kind == "fail":
        return Answer(value=queue.fail(leases[0], call.reason))
    if call.kind == "requeue_dead":
        return Answer(value=queue.requeue_dead(call.item_ids))
    if call.kind == "drop_dead":
        return Answer(value=queue.drop_dead(call.item_ids))
    return Answer(value=queue.put(call.items) if call.kind == "put" else queue.clear())


def agree(call: Call, answer: Answer, expected: Answer) -> None:
    if call.kind == "exchange":  # the value says nothing
        answer, expected = answer._replace(value=None), expected._replace(value=None)
    if answer != expected:
        raise Disagreement(f"{call} gave {answer}; the model has {expected}")


def _taught(hand: Hand, sent: Sent) -> Hand:
    """The hand of a worker that got its answer."""
    assert sent.answer
    named = {lease.id for lease in sent.call.leases}
    held = tuple(lease for lease in hand.held if lease.id not in named)
    return Hand((*held, *sent.answer.leases), None, (*hand.past, sent)[-2:])


class Tap:
    """Listens to what a queue sends.

    Attributes:
        last: The last bytes that it sent, which are one call.
    """

    def __init__(self, queue: WorkQueue) -> None:
        self.last = b""
        self._open = queue._store.link.open
        queue._store.link.open = self._tapped  # type: ignore[method-assign]

    def _tapped(self) -> Any:
        wire = self._open()
        send = wire.send

        def listen(data: bytes) -> None:
            self.last = data
            send(data)

        wire.send = listen  # type: ignore[assignment]
        return wire


@contextlib.contextmanager
def rewound(queue: WorkQueue, number: int) -> Any:
    """Inside, the next call of a queue goes out under `number`, as the one back then did."""
    latest = queue._store.link._calls
    queue._store.link._calls = number - 1
    try:
        yield
    finally:
        queue._store.link._calls = max(latest, queue._store.link._calls)
