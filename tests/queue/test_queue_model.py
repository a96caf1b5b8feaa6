"""The queue and its model do the same thing, whatever happens in whatever order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from planted import BUGS
from queue_model import Disagreement
from queue_world import LEASE_MS, Call, World, rewound
from scripts import VIRTUAL_TIME, Change, changed

from wqlib.errors import QueueError
from wqlib.queue.items import Lease
from wqlib.redisserver import RedisServer

WORKERS = "ABCD"
MOST_LEASES = 16  # as many as the queue takes back in one call, so that the model can be plain

workers = st.sampled_from(WORKERS)
items = st.one_of(
    st.sampled_from([b"apple", b"apple", b"banana", b"", b"1-1@A", b"\x00\xff\r\n", b"%s{0}"]),
    st.binary(max_size=20),
)
some_items = st.lists(items, min_size=1, max_size=4).map(tuple)
results = st.one_of(st.none(), st.binary(max_size=8))
reasons = st.sampled_from(["", "no", "böse \x00 \x1b[31m", 'quo"te'])
some_times = st.sampled_from([(), (), (0.0, 0.0), (7.5, 0.03), (90_000.0, 20.0)])
made_up = st.sampled_from(
    ["", "x", "1-1", "1-1@", "1-1@B", "2-2@A", "0-0@A", "-1--1@A", "1-1@A\x00", "99999999999-1@A"]
)
mostly_answered = st.sampled_from([False, False, False, True])


class Machine(RuleBasedStateMachine):
    """Many workers on one queue."""

    url = ""

    @initialize(max_attempts=st.sampled_from([0, 1, 2, 3]))
    def begin(self, max_attempts: int) -> None:
        self.world = World(self.url, WORKERS, max_attempts=max_attempts)
        self.ever: list[Lease] = []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()

    # -- filling

    @rule(worker=workers, some=some_items, lost=mostly_answered)
    def put(self, worker: str, some: tuple[bytes, ...], lost: bool) -> None:
        self.call(worker, Call("put", items=some), lost)

    @rule(some=some_items)
    def push(self, some: tuple[bytes, ...]) -> None:
        self.world.push(some)

    # -- working

    @rule(
        worker=workers,
        count=st.integers(0, 4),
        begins=st.sampled_from([0, 1, 2, 500]),
        times=some_times,
        data=st.data(),
        lost=mostly_answered,
    )
    def exchange(
        self,
        worker: str,
        count: int,
        begins: int,
        times: tuple[float, ...],
        data: st.DataObject,
        lost: bool,
    ) -> None:
        leases = self.choose(worker, data)
        given = tuple(data.draw(results) for _ in leases)
        count = min(count, MOST_LEASES - len(self.world.model.leases))
        call = Call("exchange", leases, given, count=count, begins=begins, times=times)
        self.call(worker, call, lost)

    @rule(worker=workers, times=some_times, lost=mostly_answered)
    def flush(self, worker: str, times: tuple[float, ...], lost: bool) -> None:
        held = self.world.hands[worker].held
        done = held[: (len(held) + 1) // 2]
        given = tuple(lease.id.encode() for lease in done)
        self.call(worker, Call("exchange", done, given, times=times), lost)

    @rule(worker=workers, lost=mostly_answered)
    def give_back_what_was_not_begun(self, worker: str, lost: bool) -> None:
        self.call(worker, Call("release", self.world.hands[worker].held[1:]), lost)

    @rule(worker=workers, lost=mostly_answered)
    def complete_all_and_lease(self, worker: str, lost: bool) -> None:
        held = self.world.hands[worker].held
        room = MOST_LEASES - len(self.world.model.leases)
        given = tuple(lease.id.encode() for lease in held)
        self.call(worker, Call("exchange", held, given, count=min(1, room)), lost)

    @rule(
        worker=workers,
        data=st.data(),
        ms=st.integers(1, 2 * LEASE_MS),
        progress=st.sampled_from(["", "", "page 3 of 9"]),
        lost=mostly_answered,
    )
    def renew(self, worker: str, data: st.DataObject, ms: int, progress: str, lost: bool) -> None:
        leases = self.choose(worker, data)
        self.call(worker, Call("renew", leases, lease_ms=ms, progress=progress), lost)

    @rule(worker=workers, data=st.data(), reason=reasons, lost=mostly_answered)
    def release(self, worker: str, data: st.DataObject, reason: str, lost: bool) -> None:
        self.call(worker, Call("release", self.choose(worker, data), reason=reason), lost)

    @rule(worker=workers, data=st.data(), reason=reasons, lost=mostly_answered)
    def fail(self, worker: str, data: st.DataObject, reason: str, lost: bool) -> None:
        for lease in self.choose(worker, data)[:1]:
            self.call(worker, Call("fail", (lease,), reason=reason), lost)

    # -- tidying

    @precondition(lambda self: self.world.model.dead)
    @rule(
        kind=st.sampled_from(["requeue_dead", "drop_dead"]),
        worker=workers, data=st.data(), lost=mostly_answered,
    )  # fmt: skip
    def requeue_or_drop_the_dead(
        self, kind: str, worker: str, data: st.DataObject, lost: bool
    ) -> None:
        ids = st.sampled_from([*self.world.model.dead, 77])
        some = tuple(data.draw(st.lists(ids, min_size=1, max_size=3)))
        self.call(worker, Call(kind, item_ids=some), lost)

    @precondition(lambda self: len(self.ever) > 12)
    @rule(worker=workers, lost=mostly_answered)
    def clear(self, worker: str, lost: bool) -> None:
        self.call(worker, Call("clear"), lost)

    # -- misfortunes

    @rule(ms=st.one_of(st.integers(1, LEASE_MS), st.just(LEASE_MS)))
    def time_passes(self, ms: int) -> None:
        self.world.tick(ms)

    @precondition(lambda self: self.world.model.leases)
    @rule(by=st.sampled_from([-1, 0, 1]))
    def time_passes_until_about_the_next_deadline(self, by: int) -> None:
        ahead = [h.deadline for h in self.world.model.leases.values()]
        self.world.tick(max(0, min(ahead) + by - self.world.model.now))

    @rule(worker=workers)
    def crash(self, worker: str) -> None:
        self.world.crash(worker)

    @rule(worker=workers)
    def a_late_copy(self, worker: str) -> None:
        self.world.late_copy(worker)

    @rule(worker=workers)
    def repeat(self, worker: str) -> None:
        if self.world.hands[worker].doubt:
            self.ever += self.world.repeat(worker).leases

    @invariant()
    def queue_and_model_agree(self) -> None:
        if hasattr(self, "world"):
            self.world.check()
            self.world.check_events()
            self.world.model.told = []

    def choose(self, worker: str, data: st.DataObject) -> tuple[Lease, ...]:
        """Some leases: what the worker holds, what it or another one ever held, what nobody did."""
        sources = [st.builds(Lease, made_up, items, st.just(0.0))]
        if self.ever:
            sources.append(st.sampled_from(self.ever))
        if held := self.world.hands[worker].held:
            sources += [st.sampled_from(held)] * 3
        return tuple(data.draw(st.lists(st.one_of(sources), max_size=3)))

    def call(self, worker: str, call: Call, lost: bool) -> None:
        if self.world.hands[worker].doubt:  # it waits for an answer: that comes first
            self.repeat(worker)
            self.queue_and_model_agree()
        self.ever += self.world.call(worker, call, reply_lost=lost).leases


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a Redis that no other test uses."""
    with RedisServer() as server:
        yield server.url


def run(url: str, *changes: Change, examples: int, shrink: bool = True) -> None:
    """Play the machine on queues whose scripts have these changes."""
    machine = type("Machine", (Machine,), {"url": url})
    checked = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=shrink,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    with changed(VIRTUAL_TIME, *changes):
        run_state_machine_as_test(machine, settings=checked)


def test_the_queue_does_what_the_model_does(url: str) -> None:
    run(url, examples=120)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """Two workers on an empty queue."""
    with changed(VIRTUAL_TIME):
        world = World(url, "AB", max_attempts=3)
    yield world
    world.close()


def test_a_repeated_call_that_takes_leases_back_tells_so(world: World) -> None:
    world.call("A", Call("put", items=(b"apple", b"banana")))
    world.call("B", Call("exchange", count=1))
    world.tick(LEASE_MS // 2)
    world.call("A", Call("exchange", count=1), reply_lost=True)
    world.tick(LEASE_MS // 2)  # now the lease of B has run out
    world.repeat("A")
    events = [(event.kind, event.lease_id) for event in world.observer.events()]
    assert world.observer.stats().expired == events.count(("expire", "1-1@B"))


def test_an_exchange_tells_of_the_leases_that_it_took_back_and_found_dead(world: World) -> None:
    world.max_attempts = world.queues["B"].max_attempts = 1
    world.call("A", Call("put", items=(b"poison", b"apple", b"banana")))
    world.call("A", Call("exchange", count=1))
    world.tick(LEASE_MS // 2)
    held = world.call("B", Call("exchange", count=1)).leases
    world.tick(LEASE_MS // 2)  # now the lease of A has run out
    world.call("B", Call("exchange", held, (None,), count=1))
    assert world.observer.stats().dead == 1
    kinds = [event.kind for event in world.observer.events()]
    assert kinds[-4:] == ["expire", "dead", "complete", "lease"]


def test_a_call_that_comes_after_the_next_one_strands_nothing(world: World) -> None:
    """Redis held a call back, so the worker gave it up, and went on with another one."""
    world.call("A", Call("put", items=(b"apple", b"banana")))
    apple, banana = world.call("A", Call("exchange", count=2)).leases
    world.call("A", Call("release", (banana,)))
    queue = world.queues["A"]
    queue._store.link._calls += 1
    held_back = queue._store.link._calls
    world.call("A", Call("renew", (apple,)))
    with rewound(queue, held_back), contextlib.suppress(QueueError):
        queue.exchange([(apple, "apple"), (banana, "banana")], 0)
    world.clock.set(world.clock.now + LEASE_MS)
    while lease := queue.lease():
        queue.complete(lease, lease.item)
    assert queue.drained()
    assert sorted(queue.results().values()) == [b"apple", b"banana"]


@pytest.mark.parametrize(
    "bug",
    [
        "whoever lost a lease may still complete",
        "a lease lives on at its deadline",
        "drained ignores leases",
        "an item that is lent is forgotten",
        "a repeated call is made twice",
        "what comes back goes to the end of the line",
        "a lost lease does not stop the lending",
    ],
)
def test_a_planted_bug_is_found(url: str, bug: str) -> None:
    # All of them, and the shortest way to each, are in test_queue_exploration.py.
    with pytest.raises((Disagreement, QueueError)):
        run(url, *BUGS[bug], examples=1000, shrink=False)
