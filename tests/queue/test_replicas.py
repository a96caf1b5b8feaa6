"""`WorkQueue(replicas=1)`: what was acknowledged outlives the primary."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from conftest import soon
from proxy import Proxy
from servers import Node

from wqlib.errors import NotReplicated, QueueError
from wqlib.queue import WorkQueue
from wqlib.queue.items import Lease

ROUNDS = 8


class Pair:
    """A primary and a replica, which change their parts."""

    def __init__(self) -> None:
        self.primary = Node("secret")
        self.replica = Node("secret", f"replicaof 127.0.0.1 {self.primary.port}")
        self.wait_until_it_follows()

    def client(self, node: Node) -> redis.Redis:
        return redis.Redis.from_url(node.url, socket_timeout=5)

    def wait_until_it_follows(self) -> None:
        with self.client(self.primary) as client:
            soon(lambda: client.info("replication").get("slave0", {}).get("state") == "online")

    def lose_the_primary(self) -> None:
        """Kill it by SIGKILL; the replica takes over, and what was killed follows it."""
        self.primary.stop(crash=True)
        self.primary, self.replica = self.replica, self.primary
        with self.client(self.primary) as client:
            client.replicaof("no", "one")

    def bring_it_back(self) -> None:
        self.replica.start()
        with self.client(self.replica) as client:
            client.replicaof("127.0.0.1", self.primary.port)
        self.wait_until_it_follows()

    def close(self) -> None:
        for node in (self.primary, self.replica):
            node.stop(crash=True)  # a primary would wait for its replica
            node.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    try:
        yield pair
    finally:
        pair.close()


def test_nothing_that_was_acknowledged_is_lost_with_the_primary(pair: Pair) -> None:
    acknowledged: set[bytes] = set()
    for number in range(ROUNDS):
        name = f"round {number}"
        items = [f"{number}-{i}".encode() for i in range(300)]
        done: list[bytes] = []

        def work(done: list[bytes], url: str, name: str) -> None:
            try:
                with WorkQueue(name, url=url, replicas=1, patience_seconds=0) as queue:
                    lease = queue.lease()
                    while lease:
                        item, lease = lease.item, queue.complete_and_lease(lease, lease.item)
                        done.append(item)
            except QueueError:
                pass  # the primary is dead

        with WorkQueue(name, url=pair.primary.url, replicas=1) as queue:
            assert queue.put(items) == 300
        url = pair.primary.url
        threads = [threading.Thread(target=work, args=(done, url, name)) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.0, 0.1))
        pair.lose_the_primary()
        for thread in threads:
            thread.join(60)
        acknowledged.update(done)
        with WorkQueue(name, url=pair.primary.url) as queue:
            stats = queue.stats()
            assert stats.pending + stats.leased + stats.done == 300
            assert set(done) <= set(queue.results().values())
        pair.bring_it_back()
    assert len(acknowledged) > 5 * ROUNDS


def test_without_a_replica_a_call_insists_and_then_says_that_it_is_done(pair: Pair) -> None:
    pair.replica.stop(crash=True)
    with WorkQueue("job2", url=pair.primary.url, replicas=1, patience_seconds=0.1) as queue:
        with pytest.raises(
            NotReplicated, match=r"it is done, but too few replicas .* The first 1 it"
        ):
            queue.put("apple")
        assert queue.stats().pending == 1
        leases: list[Lease | None] = []
        queue.patience_seconds = 120
        thread = threading.Thread(target=lambda: leases.append(queue.lease()))
        thread.start()
        thread.join(1.5)
        assert not leases
        pair.bring_it_back()
        thread.join(60)
        [lease] = leases
        assert lease
        assert (lease.item, lease.attempt) == (b"apple", 1)
        queue.complete(lease)
        assert queue.stats().leases == 1


def test_a_call_whose_answer_was_cut_off_is_confirmed_too(pair: Pair) -> None:
    """Repeated, it changes nothing any more: that alone must not count as copied."""
    with Proxy(pair.primary.port) as proxy:
        url = f"redis://:secret@127.0.0.1:{proxy.port}"
        with WorkQueue("job2", url=url, replicas=1, patience_seconds=0.3) as queue:
            queue.put("apple")
            lease = queue.lease()
            assert lease
            frozen = pair.replica.pid
            proxy.before_retry = lambda: os.kill(frozen, signal.SIGSTOP)
            proxy.cut_replies = 1
            try:
                with pytest.raises(NotReplicated):
                    queue.complete(lease, "sweet")
            finally:
                os.kill(frozen, signal.SIGCONT)
            assert proxy.cuts == 1
            assert queue.results() == {1: b"sweet"}


def test_looking_waits_for_no_replica(pair: Pair) -> None:
    pair.replica.stop(crash=True)
    with WorkQueue("job2", url=pair.primary.url, replicas=1, patience_seconds=0.1) as queue:
        assert queue.stats().drained
        assert queue.copy().results() == {}


@pytest.mark.parametrize("replicas", [-1, -7])
def test_a_number_below_nought_is_refused(replicas: int) -> None:
    with pytest.raises(ValueError, match="it must be 0 or more"):
        WorkQueue("job2", replicas=replicas)
