"""Bad input is refused in plain words with nothing half done, and items are only ever bytes."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import redis
from conftest import MakeQueue

from wqlib.errors import ItemTooLarge, WrongKeyType
from wqlib.queue import WorkQueue
from wqlib.queue.items import Lease
from wqlib.redisserver import RedisServer
from wqlib.worker import Worker

MEGABYTES_50 = bytes(50_000_000)
NAN = float("nan")


class TestLargeItems:
    @pytest.mark.parametrize(
        "put",
        [MEGABYTES_50, [b"fine", MEGABYTES_50], MEGABYTES_50.decode(), {"a": "x" * 50_000_000}],
    )
    def test_fifty_megabytes_are_refused(self, queue: WorkQueue, put: object) -> None:
        with pytest.raises(
            ItemTooLarge, match=r"50,000,\d+ bytes is too large: at most 16,777,216"
        ):
            queue.put(put)
        assert (queue.stats().put, queue.peek()) == (0, [])

    def test_a_result_of_fifty_megabytes_is_refused_and_the_batch_with_it(
        self, queue: WorkQueue
    ) -> None:
        queue.put(["apple", "banana"])
        first, second = queue.exchange((), 2)
        with pytest.raises(ItemTooLarge, match="result of 50,000,000 bytes"):
            queue.exchange([(first, "fine"), (second, MEGABYTES_50)], 2)
        assert (queue.stats().done, queue.stats().leased) == (0, 2)
        queue.exchange([(first, "fine"), (second, "fine")], 0)

    def test_what_others_push_may_be_larger(
        self, queue: WorkQueue, redis_server: RedisServer
    ) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            client.rpush(queue.name, MEGABYTES_50)
        for end in (queue.release, queue.fail, queue.complete):
            lease = queue.lease()
            assert lease
            assert len(lease.item) == 50_000_000
            end(lease)
        assert queue.drained()


SIDE_KEYS = "leases leased requeued tries dead counts results events drained".split()
CALLS: dict[str, Callable[[WorkQueue, Lease], object]] = {
    "put": lambda queue, _: queue.put("new"),
    "lease": lambda queue, _: queue.lease(),
    "complete": lambda queue, lease: queue.complete(lease, "result"),
    "complete_and_lease": lambda queue, lease: queue.complete_and_lease(lease),
    "renew": lambda queue, lease: queue.renew(lease),
    "release": lambda queue, lease: queue.release(lease),
    "fail": lambda queue, lease: queue.fail(lease),
    "stats": lambda queue, _: queue.stats(),
    "results": lambda queue, _: queue.results(),
    "events": lambda queue, _: queue.events(),
    "dead_items": lambda queue, _: queue.dead_items(),
    "requeue_dead": lambda queue, _: queue.requeue_dead([1]),
    "drop_dead": lambda queue, _: queue.drop_dead([1]),
    "item": lambda queue, _: queue.item(1),
}


class TestAStrangeKey:
    """Somebody else's key is where the queue would keep its own."""

    @pytest.mark.parametrize("key", SIDE_KEYS)
    def test_every_call_refuses_it_by_name_and_changes_nothing(
        self, make_queue: MakeQueue, redis_server: RedisServer, key: str
    ) -> None:
        queue = make_queue(max_attempts=1)
        queue.put(["bad", "done", "held", "waits"])
        for act in (queue.fail, queue.complete):
            lease = queue.lease()
            assert lease
            act(lease)
        held = queue.lease()
        assert held
        strange = f"{{{queue.name}}}:{key}"
        with redis.Redis.from_url(redis_server.url) as client:
            client.delete(strange)
            client.set(strange, "precious")
            before = self.everything(queue, client)
            for name, call in CALLS.items():
                with (
                    queue.copy() as newcomer,
                    pytest.raises(
                        WrongKeyType, match=f"needs the key {strange}, but that is a str"
                    ),
                ):
                    call(newcomer, held)
                assert self.everything(queue, client) == before, name
            client.delete(strange)

    def everything(self, queue: WorkQueue, client: redis.Redis) -> dict[bytes, bytes | None]:
        keys = [queue.name.encode(), *client.keys(f"{{{queue.name}}}:*")]
        return {key: client.dump(key) for key in keys if b"}:call:" not in key}


class TestOddArguments:
    @pytest.mark.parametrize("seconds", [0, -1, -0.001, NAN, float("inf"), 1e300, 0.0009])
    def test_a_renewal_for_no_time_or_for_ever_is_refused(
        self, queue: WorkQueue, seconds: float
    ) -> None:
        queue.put("apple")
        lease = queue.lease()
        assert lease
        with pytest.raises(ValueError, match=r"0\.001 s to 7 days"):
            queue.renew(lease, seconds)
        queue.complete(lease)

    @pytest.mark.parametrize("count", [-1, 501, 10**40, NAN])
    def test_a_batch_of_an_impossible_size_is_refused(self, queue: WorkQueue, count: int) -> None:
        queue.put("apple")
        with pytest.raises(ValueError, match="at most 500"):
            queue.exchange((), count)
        assert queue.stats().leased == 0

    @pytest.mark.parametrize("lease", [None, "1-1@worker-a", 7])
    def test_what_is_no_lease_is_a_type_error(self, queue: WorkQueue, lease: Lease) -> None:
        for act in (queue.complete, queue.renew, queue.release, queue.fail):
            with pytest.raises(TypeError):
                act(lease)

    def test_an_item_id_without_end_is_refused(self, queue: WorkQueue) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            queue.requeue_dead([float("inf")])

    def test_a_wait_that_is_no_number_is_refused(self, queue: WorkQueue) -> None:
        with pytest.raises(ValueError, match="not a number"):
            queue.lease(wait_seconds=NAN, until_drained=False)

    def test_a_filling_whose_name_is_no_text_is_refused(self, queue: WorkQueue) -> None:
        with pytest.raises((TypeError, ValueError)):
            queue.put("apple", resume=b"\xff")
        assert queue.stats().pending == 0

    def test_an_item_that_is_nested_too_deeply_is_refused(self, queue: WorkQueue) -> None:
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(ValueError, match="nested"):
            queue.put({"deep": deep})


ENDLESS = "a number without end"
KINDS: dict[str, Any] = {
    "a surrogate": "a\udc80b",
    "NaN": NAN,
    "infinity": float("-inf"),
    ENDLESS: 10**5000,
    "a numpy integer": numpy.int64(3),
    "a numpy float": numpy.float64(1.5),
    "a numpy NaN": numpy.float64("nan"),
    "a numpy array": numpy.arange(4).reshape(2, 2),
    "a numpy array of one": numpy.array(3),
    "a set": {1, 2},
    "an object": object(),
    "an exception": ValueError("x"),
    "a date": datetime.date(2026, 1, 1),
    "odd keys": {(1, 2): 3},
    "bytes": b"x\xff",
    "a bytearray": bytearray(b"x"),
    "a memoryview": memoryview(b"xyx")[::2],
    "text": "x",
    "an int": 7,
    "a list": [1],
    "a dict": {"a": 1},
    "None": None,
}
BINARY = {"bytes", "a bytearray", "a memoryview"}
JSON = {"a numpy float", "an int", "a list", "a dict", "None"}
# What takes such a value, which kinds it takes, and how its refusal begins.
TAKERS: dict[str, tuple[Callable[[WorkQueue, Lease, Any], object], set[str], str]] = {
    "put": (lambda queue, _, value: queue.put([value]), {"text"} | BINARY | JSON, "An item"),
    "put inside": (
        lambda queue, _, value: queue.put({"a": [value]}),
        {"text", "a surrogate"} | JSON,  # in JSON it is \\udc80
        "An item",
    ),
    "complete": (
        lambda q, lease, value: q.complete(lease, value),
        {"text", "None", "bytes"},
        "A result",
    ),
    "fail": (lambda q, lease, value: q.fail(lease, value), {*KINDS} - {ENDLESS}, "Exceeds"),
    "worker": (lambda queue, _, value: queue.copy(value), {"text", "None"}, "A worker's name"),
    "name": (lambda queue, _, value: WorkQueue(value), {"text"}, "A queue's name"),
    "resume": (lambda queue, _, value: queue.put("x", resume=value), {"text"}, "The name of a fil"),
}


class TestKinds:
    """Each kind of value in each place that takes one: taken, or refused in our own words."""

    @pytest.mark.parametrize("place", TAKERS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_value_is_taken_or_refused_and_nothing_half_done(
        self, queue: WorkQueue, kind: str, place: str
    ) -> None:
        take, taken, told = TAKERS[place]
        queue.put("apple")
        lease = queue.lease()
        assert lease
        before = queue.stats()
        if kind in taken:
            take(queue, lease, KINDS[kind])
        else:
            with pytest.raises((TypeError, ValueError), match=f"^{told}"):
                take(queue, lease, KINDS[kind])
            assert dataclasses.replace(queue.stats(), at=before.at) == before

    def test_a_refusal_says_what_to_do(self, queue: WorkQueue) -> None:
        for kind, told in (
            ("a surrogate", "'.udc80' at position 1, one half of a surrogate pair"),
            ("NaN", "NaN or an infinite number, which JSON does not have"),
            ("a numpy array", r"the type numpy.ndarray.*Convert it first, as in \.tolist"),
            ("an object", "the type object"),
            ("odd keys", "keys must be str"),
        ):
            with pytest.raises((TypeError, ValueError), match=told):
                queue.put([KINDS[kind]])

    def test_a_bad_item_of_an_iterator_says_how_many_are_in(self, queue: WorkQueue) -> None:
        with pytest.raises(TypeError, match="An item") as caught:
            queue.put(object() if n == 20_000 else n for n in range(30_000))
        added = queue.stats().put
        assert 0 < added <= 20_000
        assert caught.value.__notes__ == [f"{added} items before it are in the queue."]

    def test_what_contains_itself_is_refused(self, queue: WorkQueue) -> None:
        snake: list[object] = []
        snake.append(snake)
        with pytest.raises(ValueError, match="An item contains itself"):
            queue.put({"a": snake})

    def test_bytes_are_kept_as_they_are_whatever_holds_them(self, queue: WorkQueue) -> None:
        queue.put([bytearray(b"a\xff"), memoryview(b"abc")[::2], numpy.bytes_(b"x")])
        assert queue.peek() == [b"a\xff", b"ac", b"x"]


NASTY = [
    b"\x1b[2J\x1b[31mred\x07",
    b"\x1b]0;a new title\x07",
    b"a line\r\nFailed on everything\nWorking on \x00",
    b"\xff\xfe\x80 not UTF-8 \xc3",
    "\u202egnp.exe \u2028 \u200b \x85 \x9b31m".encode(),
    b"%s %n %d {0} {item} %(name)s ${jndi:x} $(reboot) `reboot`",
    b"']] redis.call('SET', 'canary', '1') --",
    b'"; return redis.call("SET", "canary", "1") --',
    b"return redis.call('SET', 'canary', '1')",
    b"*3\r\n$3\r\nSET\r\n$6\r\ncanary\r\n$1\r\n1\r\n",
    b"1-1@worker-a",
    b"x" * 1_000_000,
    b"\n" * 1_000_000,
    b"",
]


class TestTrust:
    def test_items_are_bytes_and_nothing_else(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        queue = make_queue(max_attempts=2)
        queue.put(NASTY)
        with redis.Redis.from_url(redis_server.url) as client:
            client.rpush(queue.name, *NASTY)
            for _ in NASTY * 2:
                lease = queue.lease()
                assert lease
                queue.fail(lease, lease.text)
                lease = queue.lease()
                assert lease
                if lease.item_id % 2:
                    queue.complete(lease, lease.item)
                else:
                    queue.fail(lease, lease.text)
            assert client.exists("canary") == 0
        both = [*queue.results().items(), *((d.item_id, d.item) for d in queue.dead_items())]
        assert [item for _, item in sorted(both)] == NASTY * 2
        assert len(queue.dead_items()) == len(NASTY)
        assert len(queue.events(limit=1000)) > 4 * len(NASTY)

    def test_the_log_of_a_worker_shows_them_escaped_and_cut(
        self, make_queue: MakeQueue, capsys: pytest.CaptureFixture[str]
    ) -> None:
        queue = make_queue(max_attempts=2)
        queue.put(NASTY)

        def process(item: bytes) -> bytes:
            if item in NASTY[::2]:
                raise ValueError(item.decode("utf-8", "backslashreplace"))
            return item

        assert Worker(queue, process).run() == 0
        lines = capsys.readouterr().out.split("\n")
        # A line when it begins, one for each attempt, one for each failure, one at the end.
        assert len(lines) == 1 + len(NASTY) + 3 * len(NASTY[::2]) + 1 + 1
        assert [line for line in lines if not line.isprintable()] == []
        assert max(map(len, lines)) < 1200
        assert "Working on \\x1b[2J\\x1b[31mred\\x07" in lines

    def test_nor_do_odd_names_get_into_the_log_as_they_are(
        self, make_queue: MakeQueue, capsys: pytest.CaptureFixture[str]
    ) -> None:
        queue = make_queue("worker\x1b[31m", name="job\n2")
        assert Worker(queue, bytes.upper).run() == 0
        lines = capsys.readouterr().out.split("\n")
        assert [line for line in lines if not line.isprintable()] == []
        assert len(lines) == 3


def test_a_key_of_another_type_under_the_name_stops_every_call(
    queue: WorkQueue, redis_server: RedisServer
) -> None:
    lease = Lease("1-1@worker-a", b"", 0.0)
    with redis.Redis.from_url(redis_server.url) as client:
        for make in (
            lambda: client.set(queue.name, "precious"),
            lambda: client.hset(queue.name, "precious", "1"),
            lambda: client.sadd(queue.name, "precious"),
            lambda: client.xadd(queue.name, {"precious": "1"}),
        ):
            make()
            before = client.dump(queue.name)
            for name in ("put", "lease", "complete", "complete_and_lease", "renew", "release"):
                with queue.copy() as newcomer, pytest.raises(WrongKeyType, match="not a list"):
                    CALLS[name](newcomer, lease)
            assert client.dump(queue.name) == before
            assert client.keys(f"{{{queue.name}}}:*") == []
            client.delete(queue.name)
