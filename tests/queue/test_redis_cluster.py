"""The queue on a Redis Cluster: all its keys lie in one slot, and it finds the node.

That each promise holds there is tested in test_queue.py, which runs on a Redis Cluster too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from conftest import soon
from redis.crc import key_slot
from servers import RedisCluster, find_valkey

from wqlib import redisserver
from wqlib.commands.queue import main
from wqlib.errors import LeaseLost, RedisRefused
from wqlib.queue import WorkQueue
from wqlib.queue.export import read

NAMES = ["job2", "job3", "a queue", "z"]


def ids(cluster: RedisCluster) -> list[str]:
    return [client.execute_command("CLUSTER MYID") for client in cluster.clients]


@contextmanager
def a_move_under_way(
    cluster: RedisCluster, name: str, target: int, source: int | None = None
) -> Iterator[None]:
    """Inside, the slot of `name` is on its way to another node; afterwards it is there."""
    source = (cluster.owner(name) if source is None else source) % 3
    slot, names, clients = key_slot(name.encode()), ids(cluster), cluster.clients
    clients[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
    clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
    yield
    move_keys(cluster, name, source, target)
    for client in (clients[target], clients[source], *clients):
        client.execute_command("CLUSTER SETSLOT", slot, "NODE", names[target])


def move_keys(cluster: RedisCluster, name: str, source: int, target: int) -> None:
    """Move all keys of the slot of `name`."""
    client, node, slot = cluster.clients[source], cluster.nodes[target], key_slot(name.encode())
    while keys := client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
        to = (node.host, node.port, "", 0, 10_000, "AUTH", node.password, "KEYS", *keys)
        client.execute_command("MIGRATE", *to)


class Workers:
    """Threads that drain a queue, each on a client of its own.

    Attributes:
        done: The items that they completed.
        lost: The items that one had to let go of, since its lease was not its own any more.
        errors: What ended one of them.
    """

    def __init__(self, name: str, urls: list[str]) -> None:
        self.done: list[bytes] = []
        self.lost: list[bytes] = []
        self.errors: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._work, args=(name, url, f"worker-{number}"))
            for number, url in enumerate(urls)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, name: str, url: str, worker: str) -> None:
        try:
            with WorkQueue(name, url=url, worker=worker, patience_seconds=120) as queue:
                lease = queue.lease(wait_seconds=120)
                while lease:
                    item = lease.item
                    try:
                        lease = queue.complete_and_lease(lease, wait_seconds=120)
                        self.done.append(item)
                    except LeaseLost:
                        self.lost.append(item)
                        lease = queue.lease(wait_seconds=120)
        except Exception as error:
            self.errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()
        assert not self.errors


def bring_home(cluster: RedisCluster, name: str) -> None:
    """The slot of `name` is at its first node again, and empty."""
    slot, names = key_slot(name.encode()), ids(cluster)
    for client in cluster.clients:
        client.execute_command("CLUSTER SETSLOT", slot, "STABLE")
        if keys := client.execute_command("CLUSTER GETKEYSINSLOT", slot, 1000):
            client.delete(*keys)
        client.execute_command("CLUSTER SETSLOT", slot, "NODE", names[cluster.owner(name)])


@pytest.fixture
def cluster(redis_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """The Redis Cluster; slots that a test moves go home afterwards."""
    yield redis_cluster
    for name in ("moves", "is moving", "moves often"):
        bring_home(redis_cluster, name)


def test_the_names_here_lie_on_every_node(redis_cluster: RedisCluster) -> None:
    assert {redis_cluster.owner(name) for name in NAMES} == {0, 1, 2}


@pytest.mark.parametrize("asked", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_a_queue_works_whichever_node_is_asked(
    redis_cluster: RedisCluster, asked: int, name: str
) -> None:
    url = redis_cluster.nodes[asked].url
    with WorkQueue(name, url=url, lease_seconds=0.05) as queue:
        queue.clear()
        queue.put([f"item {number}" for number in range(50)])
        assert queue.lease()
        time.sleep(0.06)
        queue.lease_seconds = 30
        lease, seen = queue.lease(), []
        while lease:
            seen.append(lease.text)
            lease = queue.complete_and_lease(lease, wait_seconds=1)
        assert len(seen) == 50
        assert queue.stats().expired == 1
        assert queue.drained()


def test_all_keys_of_a_queue_lie_in_its_slot(redis_cluster: RedisCluster) -> None:
    with WorkQueue("job2", url=redis_cluster.url, max_attempts=1) as queue:
        queue.clear()
        queue.put(["apple", "banana", "cherry"])
        for act in (queue.release, queue.fail):
            lease = queue.lease()
            assert lease
            act(lease)
        lease = queue.lease()
        assert lease
        queue.complete(lease, "sweet")
    keys = [key for client in redis_cluster.clients for key in client.keys("*job2*")]
    assert len(keys) >= 9
    assert {key_slot(key) for key in keys} == {key_slot(b"job2")}


def test_waiting_works_on_the_node_that_has_the_queue(redis_cluster: RedisCluster) -> None:
    for node in redis_cluster.nodes:
        with (
            WorkQueue("waits", url=node.url, lease_seconds=0.3) as queue,
            queue.copy("other") as other,
        ):
            queue.clear()
            queue.put("apple")
            assert queue.lease()
            lease = other.lease(wait_seconds=10)
            assert lease
            assert lease.attempt == 2


def test_a_queue_that_moved_to_another_node_is_found_again(cluster: RedisCluster) -> None:
    source = cluster.owner("moves")
    with WorkQueue("moves", url=cluster.nodes[source].url) as queue:
        queue.put(["apple", "banana"])
        lease = queue.lease()
        assert lease
        with a_move_under_way(cluster, "moves", (source + 1) % 3):
            pass
        lease = queue.complete_and_lease(lease, "sweet")
        assert lease
        assert lease.item == b"banana"
        assert queue.stats().done == 1


def test_a_call_waits_while_the_queue_moves_to_another_node(cluster: RedisCluster) -> None:
    source = cluster.owner("is moving")
    answers: list[object] = []

    def lease() -> None:
        try:
            answers.append(queue.lease())
        except Exception as error:
            answers.append(error)

    with WorkQueue("is moving", url=cluster.nodes[source].url, patience_seconds=20) as queue:
        queue.put("apple")
        with a_move_under_way(cluster, "is moving", (source + 1) % 3):
            thread = threading.Thread(target=lease)
            thread.start()
            thread.join(0.5)
        thread.join(30)
        assert [getattr(answer, "item", answer) for answer in answers] == [b"apple"]


def test_nothing_is_lost_while_the_queue_moves_around(cluster: RedisCluster) -> None:
    items, home = [f"{number}".encode() for number in range(3000)], cluster.owner("moves often")
    with WorkQueue("moves often", url=cluster.url, patience_seconds=120) as queue:
        queue.put(items)
        workers = Workers("moves often", [node.url for node in cluster.nodes])
        for step in range(3):
            here = len(workers.done)
            soon(lambda here=here: len(workers.done) > here + 200 or workers.errors)
            with a_move_under_way(cluster, "moves often", (home + step + 1) % 3, home + step):
                time.sleep(0.1)
        workers.join()
        assert (sorted(workers.done), workers.lost) == (sorted(items), [])
        assert (queue.stats().done, queue.drained()) == (3000, True)


def test_what_has_moved_ahead_of_its_slot_is_asked_for_there(cluster: RedisCluster) -> None:
    """ASK: the key is at the new node, the slot is not yet."""
    source = cluster.owner("is moving")
    with WorkQueue("is moving", url=cluster.nodes[source].url, patience_seconds=0.2) as queue:
        queue.put(["apple", "banana"])
        with a_move_under_way(cluster, "is moving", (source + 1) % 3):
            move_keys(cluster, "is moving", source, (source + 1) % 3)
            assert queue.peek() == [b"apple", b"banana"]
            with pytest.raises(RedisRefused, match="slot is moving to another node"):
                queue.lease()  # a script asks for all keys, also those that are not there yet
        assert queue.lease()


def test_the_queue_goes_on_with_the_replica_of_a_node_that_died() -> None:
    with RedisCluster("cluster-node-timeout 1000") as cluster:
        replica, name = cluster.add_replica(), cluster.name_here("job2")
        items = [f"{number}".encode() for number in range(3000)]
        with WorkQueue(name, url=cluster.other_url, replicas=1) as filler:
            filler.put(items)
        # The first worker knows no other node than the one that dies.
        workers = Workers(name, [cluster.url, cluster.other_url])
        soon(lambda: len(workers.done) > 200 or workers.errors)
        cluster.nodes[0].stop(crash=True)
        workers.join()
        # What the replica had not received yet was done again. That may have been a lease, too:
        # the one that each worker held.
        assert set(workers.done) == set(items)
        assert len(workers.lost) <= 2
        with WorkQueue(name, url=cluster.other_url) as queue:
            assert (queue.stats().done, queue.drained()) == (3000, True)
            assert queue._store.link.node == (replica.host, replica.port)


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_a_queue_is_exported_whichever_node_is_asked(
    redis_cluster: RedisCluster, asked: int, tmp_path: Path
) -> None:
    url = redis_cluster.nodes[asked].url
    with WorkQueue("exported", url=url) as queue:
        queue.clear()
        queue.put(["apple", "banana"])
        queue.lease()
        assert main(["export", "exported", "-o", str(tmp_path / "out"), "--redis", url]) == 0
    with (tmp_path / "out").open("rb") as file:
        assert [entry.item for entry in read(file)] == [b"apple", b"banana"]


def test_a_valkey_is_among_the_servers_of_these_tests() -> None:
    path = find_valkey()
    if not path and redisserver.find().name == "valkey-server":
        pytest.skip("all tests run on a Valkey")
    if not path:
        pytest.skip("there is no valkey-server on this machine, so no test ran on one")
    with (
        redisserver.RedisServer(binary=path) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert "valkey_version" in client.info("server")
