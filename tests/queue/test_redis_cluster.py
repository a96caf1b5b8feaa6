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
from redis.crc import key_slot
from servers import RedisCluster, find_valkey

from wqlib import redisserver
from wqlib.commands.queue import main
from wqlib.queue import WorkQueue
from wqlib.queue.export import read

NAMES = ["job2", "job3", "a queue", "z"]


def ids(cluster: RedisCluster) -> list[str]:
    return [client.execute_command("CLUSTER MYID") for client in cluster.clients]


@contextmanager
def a_move_under_way(cluster: RedisCluster, name: str, target: int) -> Iterator[None]:
    """Inside, the slot of `name` is on its way to another node; afterwards it is there."""
    slot, source, names = key_slot(name.encode()), cluster.owner(name), ids(cluster)
    clients, node = cluster.clients, cluster.nodes[target]
    clients[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
    clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
    yield
    while keys := clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
        to = (node.host, node.port, "", 0, 10_000, "AUTH", node.password, "KEYS", *keys)
        clients[source].execute_command("MIGRATE", *to)
    for client in (clients[target], clients[source], *clients):
        client.execute_command("CLUSTER SETSLOT", slot, "NODE", names[target])


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
    for name in ("moves", "is moving"):
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
