"""The kinds of Redis that the tests run on: one server, a Redis Cluster, a Valkey."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from types import TracebackType

import redis
from redis.crc import key_slot

from wqlib import redisserver
from wqlib.errors import RedisServerMissing
from wqlib.redisserver import RedisServer

SLOTS = 16384


class RedisCluster:
    """A Redis Cluster of three nodes on 127.0.0.1, without replicas.

    It stands in for a `RedisServer`: `url`, `port` and `password` are those of the first node,
    where `name_here` finds names for. `other_url` is that of the second node, which sends
    whoever asks for such a name to the first one.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.nodes: list[RedisServer] = []
        try:
            for _ in range(3):
                self.nodes.append(RedisServer(settings=("cluster-enabled yes",)))
            self.password = self.nodes[0].password
            self.clients = [redis.Redis.from_url(node.url) for node in self.nodes]
            self._join()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def other_url(self) -> str:
        return self.nodes[1].url

    @property
    def port(self) -> int:
        return self.nodes[0].port

    def name_here(self, name: str) -> str:
        """`name`, with a suffix that puts it on the first node."""
        names = itertools.chain([name], (f"{name} {n}" for n in itertools.count(1)))
        return next(some for some in names if self.owner(some) == 0)

    def owner(self, name: str) -> int:
        """Which node has the keys of this name."""
        return key_slot(name.encode()) * len(self.nodes) // SLOTS

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def __enter__(self) -> RedisCluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _join(self) -> None:
        for position, (node, client) in enumerate(zip(self.nodes, self.clients, strict=True)):
            client.config_set("masterauth", self.password)
            client.config_set("requirepass", self.password)
            node.password = self.password
            slots = [slot for slot in range(SLOTS) if slot * 3 // SLOTS == position]
            client.execute_command("CLUSTER ADDSLOTS", *slots)
            # Equal epochs would have to be sorted out first, which takes a while.
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", position + 1)
            client.close()
        self.clients = [redis.Redis.from_url(node.url) for node in self.nodes]
        for node in self.nodes[1:]:
            self.clients[0].execute_command("CLUSTER MEET", node.host, node.port)
        end = time.monotonic() + 60
        while not all(self._is_complete(client) for client in self.clients):
            assert time.monotonic() < end, "the nodes did not become one Redis Cluster"
            time.sleep(0.05)

    def _is_complete(self, client: redis.Redis) -> bool:
        info = client.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"


def find_valkey() -> Path | None:
    """A valkey-server other than the server that all tests run on, or None."""
    default = redisserver.find()
    others = [path for path in redisserver._candidates() if path.name == "valkey-server"]
    return next((path for path in others if path != default and is_usable(path)), None)


def is_usable(path: Path) -> bool:
    """Does this server run here, and is it new enough?"""
    try:
        return bool(redisserver.version(path))
    except RedisServerMissing:
        return False


def kinds() -> list[str]:
    """The kinds of Redis that this machine has."""
    return ["alone", "cluster", *(["valkey"] if find_valkey() else [])]
