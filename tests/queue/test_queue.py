"""The queue's promises, each with tests that fail without it. All on a real redis-server.

They run on one server, on a Redis Cluster and on a Valkey, see `conftest.py`.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from itertools import pairwise

import pytest
import redis
from conftest import MakeQueue, run_out, soon
from proxy import Proxy

from wqlib.errors import (
    ItemTooLarge,
    LeaseLost,
    QueueError,
    RedisRefused,
    RedisUnreachable,
    WrongKeyType,
    WrongVersion,
)
from wqlib.queue import WorkQueue
from wqlib.queue.items import MAX_ITEM_BYTES, MAX_RESULT_BYTES, Lease
from wqlib.redisserver import RedisServer

pytestmark = pytest.mark.every_server

FRUITS = b"apple banana cherry date fig grape lemon melon orange".split()


def drain(queue: WorkQueue) -> list[Lease]:
    """Lease and complete everything."""
    leases = []
    lease = queue.lease()
    while lease:
        leases.append(lease)
        lease = queue.complete_and_lease(lease)
    return leases


def someone_waits(queue: WorkQueue) -> bool:
    """Does some client of this Redis block?"""
    queue.stats()  # leads to the node of a Redis Cluster that has the queue
    return b"blocked_clients:0" not in queue._store.link.command("INFO", "clients")


class TestFilling:
    def test_items_come_out_in_the_order_in_which_they_went_in(self, queue: WorkQueue) -> None:
        assert queue.put(FRUITS) == 9
        assert [lease.item for lease in drain(queue)] == FRUITS

    def test_one_item_may_be_text_bytes_or_json(self, queue: WorkQueue) -> None:
        for item in ("café", b"\xff\x00", {"tile": [1, 2]}, 7, None):
            assert queue.put(item) == 1
        leases = drain(queue)
        assert [lease.item for lease in leases] == [
            "café".encode(),
            b"\xff\x00",
            b'{"tile":[1,2]}',
            b"7",
            b"null",
        ]
        assert leases[0].text == "café"
        assert leases[1].text == "\\xff\x00"
        assert leases[2].json() == {"tile": [1, 2]}

    def test_items_pushed_by_anybody_are_items(
        self, queue: WorkQueue, redis_server: RedisServer
    ) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            client.rpush(queue.name, "apple", b"\xff\xfe")
            assert client.lrange(queue.name, 0, -1) == [b"apple", b"\xff\xfe"]
        assert [lease.item for lease in drain(queue)] == [b"apple", b"\xff\xfe"]

    def test_an_iterator_is_read_piece_by_piece_and_reports_progress(
        self, queue: WorkQueue
    ) -> None:
        seen: list[int] = []
        total = queue.put((f"item {i}" for i in range(30_000)), progress=seen.append)
        assert total == 30_000
        assert seen[-1] == 30_000
        assert len(seen) > 1
        assert all(b > a for a, b in pairwise(seen))
        assert queue.stats().pending == 30_000

    def test_an_item_of_several_megabytes_and_an_empty_one_pass(self, queue: WorkQueue) -> None:
        large = bytes(range(256)) * 4096 * 8  # 8 MiB
        queue.put([large, b""])
        assert [lease.item for lease in drain(queue)] == [large, b""]

    def test_an_item_that_is_too_large_is_refused_and_nothing_is_put(
        self, queue: WorkQueue
    ) -> None:
        with pytest.raises(ItemTooLarge, match=r"16,777,217 bytes is too large"):
            queue.put([b"fine", bytes(MAX_ITEM_BYTES + 1)])
        assert queue.stats().pending == 0

    def test_a_bad_item_in_an_iterator_says_how_far_it_came(self, queue: WorkQueue) -> None:
        def items() -> object:
            yield from (b"x" for _ in range(10_000))
            yield bytes(MAX_ITEM_BYTES + 1)

        with pytest.raises(ItemTooLarge, match="8000 items before it are in the queue"):
            queue.put(items())
        assert queue.stats().pending == 8000

    def test_filling_through_a_connection_that_breaks_neither_loses_nor_doubles(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        with Proxy(redis_server.port) as proxy:
            queue = make_queue(url=f"redis://:{redis_server.password}@127.0.0.1:{proxy.port}")
            items = [b"%d" % i for i in range(40_000)]

            def break_it(_: int) -> None:
                proxy.cut_replies = 1

            assert queue.put(iter(items), progress=break_it) == 40_000
            assert proxy.cuts >= 3
        assert make_queue().peek(50_000) == items

    def test_a_filling_with_a_name_goes_on_where_it_was_cut_off(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        items = [f"{i}" for i in range(30_000)]
        with Proxy(redis_server.port) as proxy:
            url = f"redis://:{redis_server.password}@127.0.0.1:{proxy.port}"
            queue = make_queue(url=url, patience_seconds=0.0)

            def break_it(_: int) -> None:
                proxy.cut_replies = 1

            with pytest.raises(RedisUnreachable):
                queue.put(iter(items), progress=break_it, resume="monday")
            assert proxy.cuts == 1
        again = make_queue()
        before = again.stats().pending
        assert 0 < before < 30_000
        assert again.put(iter(items), resume="monday") == 30_000 - before
        assert again.put(items, resume="monday") == 0
        assert again.put(["other"], resume="tuesday") == 1
        assert again.peek(40_000) == [item.encode() for item in [*items, "other"]]

    def test_two_fillings_under_one_name_do_not_mix(self, make_queue: MakeQueue) -> None:
        one, other = make_queue(), make_queue()

        def cut_in(_: int) -> None:
            other.put([f"{i}" for i in range(20_000)], resume="monday")

        with pytest.raises(QueueError, match="8000 items: another program is filling"):
            one.put((f"{i}" for i in range(20_000)), progress=cut_in, resume="monday")
        assert one.peek(30_000) == [b"%d" % i for i in range(20_000)]


class TestNothingIsLost:
    def test_an_item_is_in_the_list_or_leased_at_every_moment(self, queue: WorkQueue) -> None:
        queue.put(FRUITS)
        lease = queue.lease()
        assert lease
        stats = queue.stats()
        assert (stats.pending, stats.leased) == (8, 1)
        queue.complete(lease)
        stats = queue.stats()
        assert (stats.pending, stats.leased, stats.done) == (8, 0, 1)

    def test_an_item_whose_lease_ran_out_is_lent_again_first_in_line(
        self, make_queue: MakeQueue
    ) -> None:
        dies, lives = make_queue("dies", lease_seconds=0.05), make_queue("lives")
        dies.put(FRUITS)
        lost = dies.lease()
        assert lost
        time.sleep(0.06)
        again = lives.lease()
        assert again
        assert (again.item, again.attempt, again.item_id) == (b"apple", 2, lost.item_id)
        assert lives.stats().expired == 1

    def test_an_item_that_came_back_shows_in_the_plain_list(self, queue: WorkQueue) -> None:
        queue.put(["apple", "banana"])
        lease = queue.lease()
        assert lease
        queue.release(lease, "lunch")
        assert queue.peek() == [b"apple", b"banana"]

    def test_a_renewed_lease_does_not_run_out(self, make_queue: MakeQueue) -> None:
        queue, other = make_queue(lease_seconds=1), make_queue("other")
        queue.put("apple")
        lease = queue.lease()
        assert lease
        renewed = queue.renew(lease, 600)
        soon(lambda: queue.stats().at > lease.deadline)
        assert other.lease() is None
        queue.complete(renewed)
        assert queue.stats().expired == 0

    def test_a_lease_call_whose_reply_was_cut_off_strands_nothing(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        with Proxy(redis_server.port) as proxy:
            queue = make_queue(url=f"redis://:{redis_server.password}@127.0.0.1:{proxy.port}")
            queue.put(FRUITS)
            lease = queue.lease()
            items = []
            while lease:
                items.append(lease.item)
                proxy.cut_replies = 1
                lease = queue.complete_and_lease(lease)
            assert proxy.cuts == 9
        assert items == FRUITS
        stats = make_queue().stats()
        assert (stats.done, stats.leased, stats.leases) == (9, 0, 9)

    def test_release_and_fail_are_safe_to_repeat(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        with Proxy(redis_server.port) as proxy:
            queue = make_queue(url=f"redis://:{redis_server.password}@127.0.0.1:{proxy.port}")
            queue.put(["apple", "banana"])
            for end in (queue.release, queue.fail):
                lease = queue.lease()
                assert lease
                proxy.cut_replies = 1
                end(lease)
            assert proxy.cuts == 2
        stats = make_queue().stats()
        assert (stats.pending, stats.leased, stats.released, stats.failed) == (2, 0, 1, 1)

    def test_a_script_cache_that_was_flushed_is_filled_again(
        self, queue: WorkQueue, redis_server: RedisServer
    ) -> None:
        queue.put(FRUITS)
        with redis.Redis.from_url(redis_server.url) as client:
            lease = queue.lease()
            while lease:
                client.script_flush()
                lease = queue.complete_and_lease(lease)
        assert queue.stats().done == 9

    def test_a_restart_of_redis_is_survived(self) -> None:
        with (
            RedisServer(appendonly=True) as server,
            WorkQueue("job2", url=server.url, patience_seconds=30) as queue,
        ):
            queue.put(FRUITS)
            lease = queue.lease()
            assert lease
            time.sleep(1.5)  # the append-only file is synced every second
            server.restart()
            assert queue.complete_and_lease(lease)
            stats = queue.stats()
            assert (stats.done, stats.pending, stats.leased) == (1, 7, 1)

    def test_parent_and_child_of_a_fork_share_nothing(self, queue: WorkQueue) -> None:
        queue.put(["a", "b", "c"])
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            lease = queue.lease()
            queue.put(["child 1", "child 2"])
            os.write(write, lease.id.encode() if lease else b"nothing")
            os._exit(0)
        os.waitpid(child, 0)
        lease = queue.lease()
        assert lease
        assert os.read(read, 100).decode() != lease.id
        assert queue.put(["x", "y", "z"]) == 3
        assert queue.stats().pending == 1 + 2 + 3
        os.close(read)
        os.close(write)

    def test_clear_is_safe_to_repeat(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        other = make_queue()
        with Proxy(redis_server.port) as proxy:
            queue = make_queue(url=f"redis://:{redis_server.password}@127.0.0.1:{proxy.port}")
            queue.put(["old", "old"])
            proxy.before_retry = lambda: other.put(["new", "new"])
            proxy.cut_replies = 1
            assert queue.clear() == 2
            assert proxy.cuts == 1
        assert other.peek() == [b"new", b"new"]

    def test_a_script_cache_that_is_flushed_all_the_time_is_borne(
        self, queue: WorkQueue, redis_server: RedisServer
    ) -> None:
        queue.put(str(i) for i in range(200))
        stop = threading.Event()

        def flush() -> None:
            with redis.Redis.from_url(redis_server.url) as client:
                while not stop.is_set():
                    client.script_flush()

        thread = threading.Thread(target=flush)
        thread.start()
        try:
            assert len(drain(queue)) == 200
        finally:
            stop.set()
            thread.join()


class TestAZombieDoesNoHarm:
    def test_it_cannot_complete_renew_release_or_fail_what_it_lost(
        self, make_queue: MakeQueue
    ) -> None:
        zombie, other = make_queue("zombie", lease_seconds=0.05), make_queue("other")
        zombie.put("apple")
        lost = zombie.lease()
        assert lost
        time.sleep(0.06)
        lease = other.lease()
        assert lease
        for act in (zombie.complete, zombie.renew, zombie.release, zombie.fail):
            with pytest.raises(LeaseLost, match=r"no longer yours"):
                act(lost)
        with pytest.raises(LeaseLost):
            zombie.complete(lost, "wrong")
        other.complete(lease, "right")
        assert other.results() == {lease.item_id: b"right"}
        assert other.stats().done == 1

    def test_a_lease_is_lost_at_its_deadline_even_if_nobody_took_the_item(
        self, make_queue: MakeQueue
    ) -> None:
        queue = make_queue(lease_seconds=0.05)
        queue.put("apple")
        lease = queue.lease()
        assert lease
        time.sleep(0.06)
        with pytest.raises(LeaseLost):
            queue.complete(lease)
        assert queue.stats().done == 0

    def test_an_item_cannot_be_completed_twice(self, queue: WorkQueue) -> None:
        queue.put("apple")
        lease = queue.lease()
        assert lease
        queue.complete(lease)
        with pytest.raises(LeaseLost):
            queue.complete(lease)
        with pytest.raises(LeaseLost):
            queue.exchange([(lease, None), (lease, None)], 0)
        assert queue.stats().done == 1

    def test_naming_one_lease_twice_in_a_batch_completes_it_once(self, queue: WorkQueue) -> None:
        queue.put("apple")
        lease = queue.lease()
        assert lease
        with pytest.raises(LeaseLost):
            queue.exchange([(lease, None), (lease, None)], 0)
        assert queue.stats().done == 1

    def test_a_lost_lease_lends_nothing_new(self, make_queue: MakeQueue) -> None:
        queue = make_queue(lease_seconds=0.05)
        queue.put(["apple", "banana"])
        lease = queue.lease()
        assert lease
        time.sleep(0.06)
        with pytest.raises(LeaseLost):
            queue.complete_and_lease(lease)
        assert queue.stats().leased == 0

    def test_an_old_lease_means_nothing_after_clear(self, queue: WorkQueue) -> None:
        queue.put("apple")
        old = queue.lease()
        queue.clear()
        queue.put("banana")
        new = queue.lease()
        assert old
        assert new
        assert new.item_id > old.item_id
        with pytest.raises(LeaseLost):
            queue.complete(old)

    def test_the_fencing_token_grows_with_each_attempt(self, queue: WorkQueue) -> None:
        queue.put("apple")
        tokens = []
        for _ in range(4):
            lease = queue.lease()
            assert lease
            tokens.append(lease.token)
            queue.release(lease)
        assert tokens == sorted(set(tokens))


class TestEqualItems:
    def test_two_apples_are_two_leases(self, queue: WorkQueue) -> None:
        queue.put(["apple", "apple"])
        first, second = queue.lease(), queue.lease()
        assert first
        assert second
        assert first.id != second.id
        queue.complete(first)
        assert queue.stats().leased == 1
        queue.complete(second)
        assert queue.drained()

    def test_equal_items_that_came_back_keep_numbers_of_their_own(self, queue: WorkQueue) -> None:
        queue.put(["apple"] * 3)
        first, second = queue.lease(), queue.lease()
        assert first
        assert second
        queue.release(first)
        queue.release(second)
        leases = drain(queue)
        assert len({lease.item_id for lease in leases}) == 3
        assert sorted(lease.attempt for lease in leases) == [1, 2, 2]


class TestTheEnd:
    def test_drained_means_nothing_pending_and_nothing_leased(self, queue: WorkQueue) -> None:
        assert queue.drained()
        queue.put("apple")
        assert not queue.drained()
        lease = queue.lease()
        assert lease
        assert not queue.drained()
        queue.complete(lease)
        assert queue.drained()

    def test_a_lease_that_ran_out_is_not_the_end(self, make_queue: MakeQueue) -> None:
        queue = make_queue(lease_seconds=0.02)
        queue.put("apple")
        assert queue.lease()
        time.sleep(0.03)
        assert not queue.drained()
        assert queue.lease(wait_seconds=1)

    def test_a_waiting_worker_learns_of_the_end_at_once(self, make_queue: MakeQueue) -> None:
        for _ in range(3):  # a second round must not be fooled by the first one's end
            busy, idle = make_queue("busy", lease_seconds=600), make_queue("idle")
            busy.put("apple")
            lease = busy.lease()
            assert lease
            answers: list[Lease | None] = []
            waiter = threading.Thread(target=lambda: answers.append(idle.lease(wait_seconds=60)))  # noqa: B023
            waiter.start()
            soon(lambda: someone_waits(busy))  # noqa: B023
            assert waiter.is_alive()
            busy.complete(lease)
            waiter.join(10)
            assert answers == [None]

    def test_dying_as_the_last_item_is_an_end_too(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_attempts=1)
        queue.put("apple")
        lease = queue.lease()
        assert lease
        assert queue.fail(lease)
        assert queue.drained()
        assert [event.kind for event in queue.events()][-2:] == ["dead", "drained"]


class TestWaiting:
    def wait_in_thread(self, queue: WorkQueue, **options: object) -> tuple[list, threading.Thread]:
        answers: list[Lease | None] = []
        thread = threading.Thread(
            target=lambda: answers.append(queue.lease(wait_seconds=60, **options))
        )
        thread.start()
        with queue.copy() as twin:
            soon(lambda: someone_waits(twin))
        return answers, thread

    def test_a_plain_rpush_wakes_it(self, make_queue: MakeQueue, redis_server: RedisServer) -> None:
        queue = make_queue()
        answers, thread = self.wait_in_thread(queue, until_drained=False)
        with redis.Redis.from_url(redis_server.url) as client:
            client.rpush(queue.name, "apple")
        thread.join(10)
        assert answers[0]
        assert answers[0].item == b"apple"

    def test_a_release_wakes_it(self, make_queue: MakeQueue) -> None:
        busy, idle = make_queue("busy", lease_seconds=600), make_queue("idle")
        busy.put("apple")
        lease = busy.lease()
        assert lease
        answers, thread = self.wait_in_thread(idle)
        busy.release(lease)
        thread.join(10)
        assert answers[0]
        assert answers[0].attempt == 2

    def test_a_lease_that_runs_out_wakes_it(self, make_queue: MakeQueue) -> None:
        dies, idle = make_queue("dies", lease_seconds=0.5), make_queue("idle")
        dies.put("apple")
        lost = dies.lease()
        assert lost
        lease = idle.lease(wait_seconds=60)
        assert lease
        assert (lease.item, lease.attempt) == (b"apple", 2)
        assert lease.deadline - idle.lease_seconds - lost.deadline < 30

    def test_it_asks_the_server_a_few_times_only(self, make_queue: MakeQueue) -> None:
        busy, idle = make_queue("busy", lease_seconds=600), make_queue("idle")
        busy.put("apple")
        assert busy.lease()
        before = busy._store.link.command("INFO", "commandstats")
        assert idle.lease(wait_seconds=1.0) is None
        after = busy._store.link.command("INFO", "commandstats")

        def calls(info: bytes) -> int:
            line = next(row for row in info.decode().splitlines() if "cmdstat_evalsha:" in row)
            return int(line.split("calls=")[1].split(",")[0])

        assert calls(after) - calls(before) <= 4

    def test_a_clear_wakes_it(self, make_queue: MakeQueue) -> None:
        busy, idle = make_queue("busy", lease_seconds=600), make_queue("idle")
        busy.put("apple")
        assert busy.lease()
        answers, thread = self.wait_in_thread(idle)
        busy.clear()
        thread.join(10)
        assert answers == [None]

    def test_it_does_not_spin_when_there_is_no_connection_left_to_wait_on(self) -> None:
        with RedisServer() as server, WorkQueue("job2", url=server.url) as queue:
            queue.put("apple")
            assert queue.lease()
            with redis.Redis.from_url(server.url) as client:
                client.config_set("maxclients", 2)
                client.config_resetstat()
                assert queue.lease(wait_seconds=1.5) is None
                assert client.info("commandstats")["cmdstat_evalsha"]["calls"] < 15

    def test_ringing_often_does_not_block(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        for _ in range(5000):
            queue.interrupt()
        assert queue.lease(wait_seconds=60, until_drained=False) is None

    def test_a_waiter_that_is_killed_holds_nothing(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        # A client that vanishes in the middle of the blocking call, just when an item comes.
        queue = make_queue()
        with redis.Redis.from_url(redis_server.url) as client:
            raw = client.connection_pool.make_connection()
            raw.connect()
            raw.send_command("BLMOVE", queue.name, queue.name, "LEFT", "LEFT", 0)
            soon(lambda: client.info("clients")["blocked_clients"] > 0)
            queue.put("apple")
            raw.disconnect()
        assert queue.peek() == [b"apple"]

    def test_interrupt_ends_the_wait(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        answers, thread = self.wait_in_thread(queue, until_drained=False)
        queue.interrupt()
        thread.join(10)
        assert answers == [None]


class TestPoison:
    def test_an_item_that_fails_too_often_is_dead_with_its_history(
        self, make_queue: MakeQueue
    ) -> None:
        queue = make_queue("worker-a", max_attempts=2)
        queue.put(["poison", "apple"])
        for attempt in (1, 2):
            lease = queue.lease()
            assert lease
            assert lease.item == b"poison"
            assert queue.fail(lease, f"böse {attempt}") == (attempt == 2)
        [dead] = queue.dead_items()
        assert (dead.item, dead.error) == (b"poison", "böse 2")
        assert [(h["attempt"], h["worker"], h["what"]) for h in dead.history] == [
            (1, "worker-a", "fail"),
            (2, "worker-a", "fail"),
        ]
        assert abs(dead.history[0]["at"] - queue.server_time()) < 60
        assert [lease.item for lease in drain(queue)] == [b"apple"]
        stats = queue.stats()
        assert (stats.done, stats.dead, stats.failed) == (1, 1, 2)

    def test_nothing_that_a_call_does_besides_is_left_out_of_the_events(
        self, make_queue: MakeQueue
    ) -> None:
        queue, dies = make_queue("lives", max_attempts=1), make_queue("dies")
        queue.put(["poison", "apple", "banana"])
        poison, lease = dies.lease(), queue.lease()
        assert poison
        assert lease
        run_out(queue, poison)
        assert queue.complete_and_lease(lease)  # in the same call the poison's lease runs out
        kinds = [event.kind for event in queue.events()]
        assert kinds == ["put", "lease", "lease", "expire", "dead", "complete", "lease"]

    def test_an_item_that_kills_its_workers_is_dead_too(self, make_queue: MakeQueue) -> None:
        queue = make_queue(lease_seconds=0.02, max_attempts=3)
        queue.put("poison")
        for _ in range(3):
            assert queue.lease()
            time.sleep(0.03)
        assert queue.lease() is None
        assert [dead.error for dead in queue.dead_items()] == ["expire"]
        assert queue.drained()

    def test_a_release_does_not_count(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_attempts=1)
        queue.put("apple")
        for _ in range(5):
            lease = queue.lease()
            assert lease
            queue.release(lease, "node drained")
        assert queue.stats().dead == 0

    def test_dead_items_can_be_put_back(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_attempts=1)
        queue.put(["bad", "worse", b"\xff"])
        for _ in range(3):
            lease = queue.lease()
            assert lease
            queue.fail(lease, "no")
        dead = queue.dead_items()
        assert [item.item for item in dead] == [b"bad", b"worse", b"\xff"]
        assert queue.requeue_dead([dead[0].item_id]) == 1
        assert queue.requeue_dead([dead[0].item_id]) == 0
        assert queue.requeue_dead() == 2
        assert [(lease.item, lease.attempt) for lease in drain(queue)] == [
            (b"bad", 2),
            (b"worse", 2),
            (b"\xff", 2),
        ]
        assert queue.stats().dead == 0

    def test_without_max_attempts_nothing_dies(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_attempts=None)
        queue.put("apple")
        for _ in range(20):
            lease = queue.lease()
            assert lease
            assert not queue.fail(lease)


class TestRoundTrips:
    def test_one_call_an_item(self, queue: WorkQueue, redis_server: RedisServer) -> None:
        queue.put(f"item {i}" for i in range(500))
        lease = queue.lease()
        with redis.Redis.from_url(redis_server.url) as client:
            client.config_resetstat()
            while lease:
                lease = queue.complete_and_lease(lease)
            calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert calls == 500

    def test_a_batch_is_leased_completed_and_fenced_item_by_item(
        self, make_queue: MakeQueue
    ) -> None:
        queue, other = make_queue(), make_queue("other")
        queue.put(f"item {i}" for i in range(100))
        batch = queue.exchange((), 16)
        assert len(batch) == 16
        kept = queue.renew_all(batch[:8], 600)
        run_out(queue, *batch[8:])
        with pytest.raises(LeaseLost) as caught:
            queue.exchange([(lease, None) for lease in [*kept, *batch[8:]]], 16)
        assert [lease.id for lease in caught.value.lost] == [lease.id for lease in batch[8:]]
        assert queue.stats().done == 8
        assert len(other.exchange((), 500)) == 92

    def test_a_batch_has_a_limit(self, queue: WorkQueue) -> None:
        with pytest.raises(ValueError, match="at most 500"):
            queue.exchange((), 501)


class TestEvents:
    def test_they_tell_the_whole_story(self, make_queue: MakeQueue) -> None:
        queue = make_queue("pod-a", lease_seconds=30)
        queue.put(["apple", "banana"])
        lease = queue.lease()
        assert lease
        lease = queue.complete_and_lease(queue.renew(lease))
        assert lease
        queue.release(lease, "stopped early")
        drain(queue)
        events = queue.events()
        assert [(e.kind, e.item or e.reason or e.count, e.attempt, e.pending) for e in events] == [
            ("put", 2, 0, 2),
            ("lease", "apple", 1, 1),
            ("renew", 0, 1, 1),
            ("complete", 0, 1, 0),
            ("lease", "banana", 1, 0),
            ("release", "stopped early", 1, 1),
            ("lease", "banana", 2, 0),
            ("complete", 0, 2, 0),
            ("drained", 0, 0, 0),
        ]
        assert all(e.worker == "pod-a" for e in events if e.lease_id)
        assert all(abs(e.deadline - e.at - 30) < 0.002 for e in events if e.kind == "lease")
        assert [e.at for e in events] == sorted(e.at for e in events)

    def test_they_can_be_read_in_pieces_and_waited_for(self, make_queue: MakeQueue) -> None:
        queue, writer = make_queue(), make_queue()
        queue.put("apple")
        first = queue.events()
        assert queue.events(first[-1].stream_id) == []
        thread = threading.Timer(0.1, lambda: writer.put("banana"))
        thread.start()
        late = queue.events(first[-1].stream_id, wait_seconds=10)
        thread.join()
        assert [e.kind for e in late] == ["put"]

    def test_a_long_item_is_cut_short_in_its_event(self, queue: WorkQueue) -> None:
        queue.put("x" * 1000)
        queue.lease()
        assert queue.events()[-1].item == "x" * 64


class TestSnapshot:
    def test_it_shows_what_waits_what_is_leased_and_what_is_dead(self, queue: WorkQueue) -> None:
        queue.max_attempts = 1
        queue.put(["poison", "apple", "banana", "cherry"])
        lease = queue.lease()
        assert lease
        queue.fail(lease, "rotten")
        held = queue.lease()
        assert held
        seen = queue.snapshot()
        assert seen.pending == [b"banana", b"cherry"]
        assert seen.leases == [held]
        assert [(dead.item, dead.error) for dead in seen.dead] == [(b"poison", "rotten")]
        assert seen.dead == queue.dead_items()
        assert (seen.stats.pending, seen.stats.leased, seen.stats.dead) == (2, 1, 1)
        assert 0 < held.deadline - seen.stats.at <= queue.lease_seconds

    def test_it_brings_no_more_than_it_is_asked_for(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_attempts=1)
        queue.put(f"{i}" for i in range(30))
        for lease in queue.exchange((), 10):
            queue.fail(lease)
        queue.exchange((), 10)
        for limit in (0, 1, 7):
            seen = queue.snapshot(limit)
            assert (len(seen.pending), len(seen.leases), len(seen.dead)) == (limit,) * 3
            assert (seen.stats.pending, seen.stats.leased, seen.stats.dead) == (10, 10, 10)
        with pytest.raises(ValueError, match="limit is -1"):
            queue.snapshot(-1)

    def test_the_numbers_add_up(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_attempts=2)
        for round_ in range(2):
            queue.put(["a", "b", "c", "d", "e"])
            leases = queue.exchange((), 5)
            queue.complete(leases[0])
            queue.release(leases[1])
            queue.fail(leases[2])
            run_out(queue, *leases[3:])
            again = queue.exchange((), 3)
            assert len(again) == 3
            stats = queue.stats()
            ended = stats.done + stats.expired + stats.released + stats.failed
            assert (stats.done, stats.released, stats.failed, stats.expired) == (1, 1, 1, 2)
            assert stats.leases == 8 == ended + stats.leased
            assert (stats.pending, stats.put) == (1, 5)
            if round_ == 0:
                queue.clear()


class TestManyWorkers:
    def test_every_item_is_done_exactly_once(self, make_queue: MakeQueue) -> None:
        total, done = 2000, []
        make_queue().put(str(i) for i in range(total))

        def work(queue: WorkQueue) -> None:
            lease = queue.lease()
            while lease:
                done.append(lease.text)
                lease = queue.complete_and_lease(lease, wait_seconds=10)

        threads = [
            threading.Thread(target=work, args=(make_queue(f"worker-{n}"),)) for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert Counter(done) == Counter(map(str, range(total)))
        completions = Counter(
            e.item_id for e in make_queue().events(limit=100_000) if e.kind == "complete"
        )
        assert len(completions) == total
        assert set(completions.values()) == {1}

    def test_threads_may_share_one_queue(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        queue.put(str(i) for i in range(500))
        done: list[str] = []

        def work() -> None:
            while lease := queue.lease():
                done.append(lease.text)
                queue.complete(lease)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(done) == sorted(map(str, range(500)))


class TestBadInput:
    def test_no_redis_is_said_plainly(self) -> None:
        with (
            WorkQueue("job2", host="127.0.0.1", port=1, patience_seconds=0.2) as queue,
            pytest.raises(RedisUnreachable, match=r"127\.0\.0\.1:1 did not answer for 0\.2 s"),
        ):
            queue.lease()

    def test_a_wrong_password_is_said_plainly(self, redis_server: RedisServer) -> None:
        for password in ("wrong", None):
            with (
                WorkQueue("job2", port=redis_server.port, password=password) as queue,
                pytest.raises(RedisRefused, match="password"),
            ):
                queue.lease()

    def test_a_key_of_another_type_is_said_plainly_and_left_alone(
        self, queue: WorkQueue, redis_server: RedisServer
    ) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            client.set(queue.name, "precious")
            for act in (queue.lease, queue.stats, queue.clear, lambda: queue.put("apple")):
                with pytest.raises(WrongKeyType, match="not a list"):
                    act()
            assert client.get(queue.name) == b"precious"
            assert client.keys(f"{{{queue.name}}}:*") == []

    @pytest.mark.parametrize(
        "key", "leases leased requeued tries dead counts results events drained".split()
    )
    def test_a_side_key_of_another_type_is_said_plainly_and_nothing_is_done(
        self, make_queue: MakeQueue, redis_server: RedisServer, key: str
    ) -> None:
        queue = make_queue()
        full = f"{{{queue.name}}}:{key}"
        with redis.Redis.from_url(redis_server.url) as client:
            client.rpush(queue.name, "apple")
            client.set(full, "precious")
            for act in (queue.lease, queue.stats, queue.clear, lambda: queue.put("fig")):
                with pytest.raises(WrongKeyType, match=f"{key}, but that is a string"):
                    act()
            assert client.lrange(queue.name, 0, -1) == [b"apple"]
            client.delete(full)
        lease = queue.lease()
        assert lease
        assert lease.text == "apple"

    def test_the_queue_of_another_version_is_refused(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        for first in (lambda q: q.put("apple"), lambda q: q.lease(), lambda q: q.clear()):
            with redis.Redis.from_url(redis_server.url) as client:
                name = make_queue().name
                client.delete(f"{{{name}}}:counts")
                client.rpush(name, "banana")
                first(make_queue())
                client.hset(f"{{{name}}}:counts", "version", "99")
                for act in (lambda q: q.lease(), lambda q: q.put("fig"), lambda q: q.peek()):
                    with pytest.raises(WrongVersion, match="version 99"):
                        act(make_queue())
                client.hset(f"{{{name}}}:counts", "version", "1")
                assert make_queue().stats()

    def test_a_redis_without_memory_refuses_new_items_and_nothing_is_half_done(self) -> None:
        with RedisServer() as server, WorkQueue("job2", url=server.url) as queue:
            queue.put("apple")
            with redis.Redis.from_url(server.url) as client:
                client.config_set("maxmemory", 1)
                with pytest.raises(RedisRefused, match="memory limit"):
                    queue.put("x")
                client.config_set("maxmemory", client.info("memory")["used_memory"] + 1_000_000)
                with pytest.raises(RedisRefused, match=r"The first \d+ items are in") as caught:
                    queue.put(bytes(1000) for _ in range(20_000))
                put = int(re.search(r"first (\d+) items", str(caught.value))[1])
                assert queue.stats().pending == 1 + put

    def test_a_redis_without_memory_lets_the_work_go_on(self) -> None:
        with RedisServer() as server, WorkQueue("job2", url=server.url, max_attempts=2) as queue:
            queue.put(["apple", "banana", "cherry"])
            with redis.Redis.from_url(server.url) as client:
                client.config_set("maxmemory", 1)
                first = queue.lease()
                assert first
                queue.release(queue.renew(first))
                for _ in range(2):
                    lease = queue.lease()
                    assert lease
                    queue.fail(lease)
                assert queue.requeue_dead() == 1
                assert [lease.text for lease in drain(queue)] == ["banana", "cherry", "apple"]
            stats = queue.stats()
            assert (stats.pending, stats.leased, stats.done, stats.failed) == (0, 0, 3, 2)

    def test_a_result_that_is_too_large_leaves_the_lease_in_force(self, queue: WorkQueue) -> None:
        queue.put("apple")
        lease = queue.lease()
        assert lease
        with pytest.raises(ItemTooLarge, match="result"):
            queue.complete(lease, bytes(MAX_RESULT_BYTES + 1))
        queue.complete(lease, b"")
        assert queue.results() == {lease.item_id: b""}

    @pytest.mark.parametrize("name", ["", "a{b}c", "}", "x" * 513])
    def test_a_name_that_cannot_be_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="name"):
            WorkQueue(name)

    @pytest.mark.parametrize("name", ["job 2", "line\nbreak", "é", "-1", "a:b"])
    def test_an_odd_name_is_a_name(self, make_queue: MakeQueue, name: str) -> None:
        queue = make_queue(name=name)
        queue.clear()
        queue.put("apple")
        assert len(drain(queue)) == 1
        queue.clear()

    @pytest.mark.parametrize(
        "options",
        [
            {"lease_seconds": 0},
            {"lease_seconds": -1},
            {"lease_seconds": float("nan")},
            {"max_attempts": 0},
            {"worker": "a b"},
            {"url": "http://x"},
            {"url": "redis://:secret@x:99999/0"},
        ],
    )
    def test_an_option_that_makes_no_sense_is_refused(self, options: dict) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            WorkQueue("job2", **options)
        assert "secret" not in str(caught.value)

    def test_a_lease_of_somebody_elses_making_is_lost(self, queue: WorkQueue) -> None:
        for lease_id in ("", "x", "1-1", "1-1@", "' .. evil .. '", "1-1@a\x00\xff"):
            with pytest.raises((LeaseLost, QueueError)):
                queue.complete(Lease(lease_id, b"", 0.0))

    def test_clear_leaves_nothing_but_a_counter_and_an_event(
        self, make_queue: MakeQueue, redis_server: RedisServer
    ) -> None:
        queue = make_queue()
        queue.put(FRUITS)
        queue.lease()
        assert queue.clear() == 9
        stats = queue.stats()
        assert (stats.pending, stats.leased, stats.done, stats.put) == (0, 0, 0, 0)
        assert [e.kind for e in queue.events()] == ["clear"]

    def test_whoever_reads_the_events_sees_every_clear(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        last = "0"
        for _ in range(50):
            queue.put("apple")
            events = queue.events(last)
            queue.clear()
            kinds = [event.kind for event in queue.events(events[-1].stream_id)]
            assert kinds == ["clear"]
            last = events[-1].stream_id
