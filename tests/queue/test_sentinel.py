"""The queue behind Sentinel: it goes on when the primary dies, and never writes to an old one.

Three real sentinels watch a primary and two replicas, each with its password.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import soon
from servers import RedisSentinel, Sentinel

from wqlib.errors import RedisRefused, RedisUnreachable, WqlibError
from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer

PATIENCE_SECONDS = 120.0


@pytest.fixture
def sentinel() -> Iterator[RedisSentinel]:
    with RedisSentinel(down_after_seconds=1.0) as sentinel:
        yield sentinel


@pytest.fixture(scope="module")
def unchanged() -> Iterator[RedisSentinel]:
    """One whose primary stays, for the tests that kill nothing."""
    with RedisSentinel() as sentinel:
        yield sentinel


def queue_on(sentinel: RedisSentinel, name: str = "job2", **options: Any) -> WorkQueue:
    patience = {"patience_seconds": PATIENCE_SECONDS, "lease_seconds": PATIENCE_SECONDS}
    options = {"url": sentinel.url, **patience, **options}
    return WorkQueue(name, **options)


class Crew:
    """Workers and waiters, a thread each, on queues of one Redis.

    Attributes:
        done: The items whose completion was acknowledged, and when.
        woken: When each waiter got the item that it waited for.
        errors: What ended a thread.
    """

    def __init__(
        self, sentinel: RedisSentinel, workers: int, waiters: int, replicas: int = 1
    ) -> None:
        self._sentinel, self._replicas = sentinel, replicas
        self.done: list[tuple[bytes, float]] = []
        self.woken: list[float] = []
        self.errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(workers)]
        self._threads += [threading.Thread(target=self._wait, args=(n,)) for n in range(waiters)]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        try:
            options = {"worker": f"worker-{number}", "replicas": self._replicas}
            with queue_on(self._sentinel, **options) as queue:
                lease = queue.lease(wait_seconds=PATIENCE_SECONDS)
                while lease:
                    queue.complete(lease, b"")
                    self.done.append((lease.item, time.monotonic()))
                    lease = queue.lease(wait_seconds=PATIENCE_SECONDS)
        except Exception as error:
            self.errors.append(error)

    def _wait(self, number: int) -> None:
        try:
            with queue_on(self._sentinel, "waited for", worker=f"waiter-{number}") as queue:
                if queue.lease(wait_seconds=PATIENCE_SECONDS, until_drained=False):
                    self.woken.append(time.monotonic())
        except Exception as error:
            self.errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
        assert not self.errors


def test_workers_and_waiters_go_on_with_the_new_primary(sentinel: RedisSentinel) -> None:
    items = [f"{number}".encode() for number in range(2000)]
    with queue_on(sentinel, replicas=1) as filler, queue_on(sentinel, "waited for") as other:
        filler.put(items)
        crew = Crew(sentinel, workers=3, waiters=3)
        soon(lambda: len(crew.done) > 200)
        old = sentinel.kill_primary()
        killed_at = time.monotonic()
        failover_seconds = sentinel.wait_for_failover(old)
        soon(lambda: crew.done[-1][1] > killed_at + failover_seconds, 60)
        going_on_seconds = min(at for _, at in crew.done if at > killed_at + 0.1) - killed_at
        other.put([b"a", b"b", b"c"])
        crew.join()
        assert len(crew.woken) == 3
        # Nothing that was acknowledged is lost: an item is completed again only if nobody was
        # told of its completion.
        assert sorted({item for item, _ in crew.done}) == sorted(items)
        stats = filler.stats()
        assert (stats.done, stats.pending, stats.leased) == (2000, 0, 0)
        assert filler.address.sentinels
        assert going_on_seconds < 3 * failover_seconds + 10


def test_a_primary_that_is_demoted_is_left_at_once(sentinel: RedisSentinel) -> None:
    """It lives on as a primary for a while, and what is written there would be lost.

    One of its replicas stays with it for that while, so only `replicas=2` is safe here.
    """
    with queue_on(sentinel, "waited for") as other, queue_on(sentinel, replicas=2) as filler:
        filler.put([f"{number}" for number in range(500)])
        crew = Crew(sentinel, workers=2, waiters=2, replicas=2)
        old = sentinel.primary()
        soon(lambda: sentinel.client(old).info("clients")["blocked_clients"] >= 2)
        sentinel.fail_over()
        sentinel.wait_for_failover(old)
        other.put(["a", "b"])
        crew.join()
        assert len(crew.woken) == 2
        assert filler.stats().done == 500
        assert filler._store.link.node[1] == sentinel.primary().port != old.port


def test_sentinels_and_redis_speak_tls(tmp_path: Path) -> None:
    authority, files = trustme.CA(), [tmp_path / name for name in ("pem", "key", "ca")]
    leaf = authority.issue_cert("127.0.0.1")
    blobs = (leaf.cert_chain_pems[0], leaf.private_key_pem, authority.cert_pem)
    for path, blob in zip(files, blobs, strict=True):
        blob.write_to_path(path)
    try:
        sentinel = RedisSentinel(tls=(files[0], files[1], files[2]))
    except WqlibError as error:
        if re.search("directive|TLS support", str(error)):
            pytest.skip("this redis-server was built without TLS")
        raise
    with sentinel, queue_on(sentinel, replicas=1) as queue:
        queue.put(["apple", "banana"])
        first = sentinel.kill_primary()
        assert queue.lease(wait_seconds=PATIENCE_SECONDS)
        assert queue._store.link.node == ("127.0.0.1", sentinel.primary().told_port)
        assert sentinel.primary() is not first
        without_ca = sentinel.url.partition("&")[0]
        with (
            queue_on(sentinel, url=without_ca) as stranger,
            pytest.raises(RedisRefused, match="ssl_ca_certs"),
        ):
            stranger.stats()


def test_who_waits_at_a_primary_that_freezes_is_woken_by_the_news(sentinel: RedisSentinel) -> None:
    """Its machine is gone, say: no connection breaks."""
    with queue_on(sentinel, "waited for") as other:
        other.stats()
        crew = Crew(sentinel, workers=0, waiters=2)
        old = sentinel.primary()
        soon(lambda: sentinel.client(old).info("clients")["blocked_clients"] >= 2)
        frozen = old.pid
        os.kill(frozen, signal.SIGSTOP)
        try:
            sentinel.wait_for_failover(old)
            other.put(["a", "b"])
            began = time.monotonic()
            crew.join()
            # By itself a waiter asks again after 30 s, and gives an answer 10 s.
            assert time.monotonic() - began < 20
        finally:
            os.kill(frozen, signal.SIGCONT)


def test_a_stale_primary_that_returns_is_never_written_to(sentinel: RedisSentinel) -> None:
    with (
        queue_on(sentinel, replicas=1) as queue,
        queue_on(sentinel, worker="other", replicas=1) as other,
    ):
        queue.put(["apple"])
        assert other.lease()
        old = sentinel.kill_primary()
        sentinel.wait_for_failover(old)
        old.start()
        assert sentinel.is_primary(old)
        while sentinel.is_primary(old):  # until the sentinels make it a replica
            with queue_on(sentinel, replicas=1) as newcomer:
                newcomer.put("banana")
            assert queue.lease()
            assert other.stats().put > 1
        with sentinel.client(old) as client:
            assert "cmdstat_evalsha" not in client.info("commandstats")


def test_a_sentinel_that_is_late_is_not_believed(sentinel: RedisSentinel) -> None:
    """One that was away during a failover names the old primary until it hears of the new."""
    late = RedisServer()  # an old primary, and a sentinel that knows no other
    watch = (f"sentinel monitor {sentinel.service} 127.0.0.1 {late.port} 1",)
    with late, Sentinel(sentinel.sentinel_password, *watch) as lonely:
        old = sentinel.kill_primary()
        sentinel.wait_for_failover(old)
        first = sentinel.url.replace("@", f"@127.0.0.1:{lonely.port},", 1)
        with queue_on(sentinel, url=first) as queue:
            queue.put("apple")
            assert queue._store.link.node == ("127.0.0.1", sentinel.primary().port)


@pytest.mark.parametrize("dead", [(), (1,)])
def test_sentinels_that_are_frozen_or_dead_are_passed_over(
    unchanged: RedisSentinel, dead: tuple[int, ...]
) -> None:
    first, _, last = unchanged.sentinels
    os.kill(first.pid, signal.SIGSTOP)
    try:
        for number in dead:
            unchanged.sentinels[number].stop(crash=True)
        with queue_on(unchanged) as queue:
            queue.put("apple")
            assert queue.lease()
            sentinels = queue._store.link.sentinels
            assert sentinels
            assert sentinels._places[0] != (first.host, first.port)  # nobody asks it first again
            assert (last.host, last.port) in sentinels._places[:2]
    finally:
        os.kill(first.pid, signal.SIGCONT)
        for number in dead:
            unchanged.sentinels[number].start()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("/mymaster/", "/mistress/", "know no primary named 'mistress'"),
        ("sentinel_password=", "sentinel_password=x", "The sentinels refused the login .WRONGPASS"),
        ("//:", "//:x", "refused the login .* The password came from the URL"),
    ],
)
def test_what_lasts_ends_at_once(unchanged: RedisSentinel, old: str, new: str, told: str) -> None:
    with (
        queue_on(unchanged, url=unchanged.url.replace(old, new, 1)) as queue,
        pytest.raises(RedisRefused, match=told) as caught,
    ):
        queue.put("apple")
    assert unchanged.password not in str(caught.value)


def test_no_sentinel_at_all_is_said_so_at_the_end_of_the_patience(sentinel: RedisSentinel) -> None:
    for node in sentinel.sentinels:
        node.stop(crash=True)
    with (
        queue_on(sentinel, patience_seconds=0.3) as queue,
        pytest.raises(RedisUnreachable, match=r"no sentinel names the primary of mymaster \("),
    ):
        queue.put("apple")


def test_a_replica_that_the_sentinels_name_is_not_asked(unchanged: RedisSentinel) -> None:
    """They may name one for a moment during a failover: it says itself that it is none."""
    service, primary = unchanged.service, unchanged.primary()
    replica = next(node for node in unchanged.nodes if node is not primary)
    watch = (
        f"sentinel monitor {service} 127.0.0.1 {replica.port} 2",
        f"sentinel auth-pass {service} {unchanged.password}",
    )
    with Sentinel(unchanged.sentinel_password, *watch) as mistaken:
        begin, end = unchanged.url.index("@"), unchanged.url.index("/mymaster")
        url = f"{unchanged.url[:begin]}@127.0.0.1:{mistaken.port}{unchanged.url[end:]}"
        with (
            queue_on(unchanged, url=url, patience_seconds=0.3) as queue,
            pytest.raises(RedisRefused, match="it is a replica, and accepts no writes"),
        ):
            queue.stats()
