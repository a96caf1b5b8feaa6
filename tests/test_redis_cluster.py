"""The queue on a Redis Cluster: all keys of a queue lie in one slot, and it finds the node."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from wqlib.export import read
from wqlib.queue import WorkQueue
from wqlib.queuecli import main
from wqlib.redisserver import find

SLOTS = 16384


def free_port() -> int:
    """A port that is free, and whose bus port (10,000 above) is a port at all."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port: int = server.getsockname()[1]
        if port < 55_000:
            return port


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The ports of two nodes, each with half of the slots."""
    ports, processes = [free_port(), free_port()], []
    try:
        for port in ports:
            settings = f"port {port}\nbind 127.0.0.1\ncluster-enabled yes\nrequirepass pw\n"
            processes.append(
                subprocess.Popen(
                    [find(), "-"],
                    cwd=tmp_path_factory.mktemp(f"node{port}"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    text=True,
                )
            )
            stdin = processes[-1].stdin
            assert stdin
            stdin.write(settings + "masterauth pw\nsave ''\n")
            stdin.close()
        clients = [redis.Redis(port=port, password="pw") for port in ports]
        until(lambda: all(client.ping() for client in clients))
        half = SLOTS // 2
        clients[0].execute_command("CLUSTER ADDSLOTS", *range(half))
        clients[1].execute_command("CLUSTER ADDSLOTS", *range(half, SLOTS))
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1])
        until(lambda: all(is_ok(client) for client in clients))
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.wait()


def is_ok(client: redis.Redis) -> bool:
    """Does this node serve its slots?"""
    try:
        client.get("any key")
    except redis.exceptions.MovedError:
        return True
    return True


def until(condition: object) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if condition():  # type: ignore[operator]
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < end, "the cluster did not come up"
        time.sleep(0.05)


@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize("name", ["job2", "job3", "a queue", "z"])
def test_a_queue_works_whichever_node_is_asked(nodes: list[int], asked: int, name: str) -> None:
    with WorkQueue(name, port=nodes[asked], password="pw", lease_seconds=0.05) as queue:
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


def test_waiting_works_on_the_node_that_has_the_queue(nodes: list[int], tmp_path: Path) -> None:
    for port in nodes:
        with (
            WorkQueue("waits", port=port, password="pw", lease_seconds=0.3) as queue,
            queue.copy("other") as other,
        ):
            queue.clear()
            queue.put("apple")
            assert queue.lease()
            lease = other.lease(wait_seconds=10)
            assert lease
            assert lease.attempt == 2


@pytest.mark.parametrize("asked", [0, 1])
def test_a_queue_is_exported_whichever_node_is_asked(
    nodes: list[int], asked: int, tmp_path: Path
) -> None:
    url = f"redis://:pw@127.0.0.1:{nodes[asked]}"
    with WorkQueue("exported", url=url) as queue:
        queue.clear()
        queue.put(["apple", "banana"])
        queue.lease()
        assert main(["export", "exported", "-o", str(tmp_path / "out"), "--redis", url]) == 0
    with (tmp_path / "out").open("rb") as file:
        assert [entry.item for entry in read(file)] == [b"apple", b"banana"]
