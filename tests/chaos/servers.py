"""The Redis that the chaos strikes: alone with a replica, or a small Redis Cluster.

(Or one under sentinels, whose failovers nobody prepares: see `sentinel`.)

Both stand behind relays, so that clients keep one address while what is behind it changes. All
nodes write their append-only file with `appendfsync always`, and only a *coordinated* failover
is tried: Redis replicates asynchronously, so one that nobody prepared may lose what was already
acknowledged, and no client can help that.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import redis

from wqlib.redisserver import RedisServer

from .relay import Network, Relay

SLOTS = 16384
_BUS_OFFSET = 10_000
_PATIENCE_SECONDS = 20.0


class Redis(Protocol):
    """What the conductor does to a Redis, whatever it is made of."""

    password: str
    forgets: bool  # what was never acknowledged may be gone after a failover
    stale_writes: int  # how often somebody was seen to write to a primary that was replaced

    def urls(self) -> list[str]:
        """The URLs with which clients may begin, all of relays."""

    def owner(self) -> redis.Redis:
        """A direct client of the node that has the queue now."""

    def crash(self) -> bool:
        """Kill the node that has the queue by SIGKILL and start it again. True if done."""

    def failover(self) -> bool:
        """Let the replica take over, without a loss. True if done."""

    def close(self) -> None:
        """End all nodes."""


class Node(RedisServer):
    """A redis-server with a given password and more settings, beside which a bus port is free."""

    def __init__(self, password: str, *settings: str, durable: bool = True, port: int = 0) -> None:
        self._given_password, self._settings = password, settings
        self._given_port = port
        super().__init__(appendonly=durable)
        self.client = redis.Redis(port=self.port, password=password, socket_timeout=5, protocol=2)
        # As it is: a field of a stream's entry may be there several times.
        self.client.response_callbacks.pop("XRANGE", None)

    def start(self) -> None:
        self.port = self.port or self._given_port or free_port()
        super().start()

    def close(self) -> None:
        self.stop(crash=True)
        super().close()

    def _config(self, port: int) -> str:
        self.password = self._given_password
        lines = [
            f'masterauth "{self.password}"',
            "appendfsync always",
            "auto-aof-rewrite-percentage 0",
            "repl-diskless-sync-delay 0",
            *self._settings,
        ]
        return super()._config(port) + "\n".join(lines) + "\n"

    def info(self, section: str) -> dict[str, Any]:
        return dict(self.client.info(section))

    def is_safe_on_disk(self) -> bool:
        """All that it has is in its append-only file: it is not just writing a new one."""
        kept = self.info("persistence")
        return not (kept["loading"] or kept["aof_rewrite_in_progress"]) and not kept.get(
            "aof_rewrite_scheduled"
        )

    def is_ready_replica(self) -> bool:
        """It has all that its primary has, in memory and on disk."""
        told = self.info("replication")
        return (
            told["role"] == "slave"
            and told["master_link_status"] == "up"
            and not told["master_sync_in_progress"]
            and self.is_safe_on_disk()
        )

    def is_primary(self) -> bool:
        return bool(self.info("replication")["role"] == "master")


class Alone:
    """One Redis, with a replica if it shall fail over.

    Args:
        network: Where its relay runs.
        replica: Start a replica.
        durable: Keep everything on disk.
    """

    forgets, stale_writes = False, 0

    def __init__(self, network: Network, *, replica: bool = True, durable: bool = True) -> None:
        self.password = secrets.token_urlsafe(16)
        self._relay = network.relay()
        self._primary = Node(self.password, durable=durable)
        self._nodes = [self._primary]
        self._relay.target = self._primary.port
        if replica:
            self._nodes.append(Node(self.password))
            self._nodes[1].client.replicaof("127.0.0.1", self._primary.port)
            until(self._nodes[1].is_ready_replica, "the replica to follow")

    def urls(self) -> list[str]:
        return [url(self.password, self._relay)]

    def owner(self) -> redis.Redis:
        return self._primary.client

    def crash(self) -> bool:
        if not self._primary.is_safe_on_disk():
            return False
        self._primary.restart(crash=True)
        return True

    def failover(self) -> bool:
        old, new = sorted(self._nodes, key=lambda node: node is not self._primary)
        if not wait(lambda: new.is_ready_replica() and old.is_safe_on_disk()):
            return False
        try:
            old.client.execute_command("FAILOVER", "TIMEOUT", 3000)
        except redis.ResponseError:
            return False  # it does not think that the replica is ready
        if not wait(new.is_primary):
            return False
        self._primary, self._relay.target = new, new.port
        until(old.is_ready_replica, "the old primary to follow the new one")
        return True

    def close(self) -> None:
        for node in self._nodes:
            node.close()


class Cluster:
    """A Redis Cluster of three masters, and a replica of the one that has the queue.

    Each node announces the port of its relay, so that clients that are sent on (MOVED) come to
    a relay again. A replica takes over only when it is told to.
    """

    forgets, stale_writes = False, 0

    def __init__(self, network: Network, queue: str) -> None:
        self.password = secrets.token_urlsafe(16)
        self._relays: list[Relay] = []
        self._nodes: list[Node] = []
        for _ in range(4):
            self._add_node(network)
        try:
            self._form(queue)
        except BaseException:
            self.close()
            raise

    def urls(self) -> list[str]:
        return [url(self.password, relay) for relay in self._relays]

    def owner(self) -> redis.Redis:
        for node in self._pair:
            with contextlib.suppress(redis.RedisError):
                if node.is_primary():
                    return node.client
        raise redis.ConnectionError("No node has the queue at the moment.")

    def crash(self) -> bool:
        primary = self._primary()
        if not primary.is_safe_on_disk():
            return False
        primary.restart(crash=True)
        until(lambda: self._is_ok(primary), "the cluster to serve again")
        return True

    def failover(self) -> bool:
        primary = self._primary()
        replica = next(node for node in self._pair if node is not primary)
        if not wait(lambda: replica.is_ready_replica() and primary.is_safe_on_disk()):
            return False
        try:
            replica.client.execute_command("CLUSTER", "FAILOVER")
        except redis.ResponseError:
            return False
        if not wait(replica.is_primary):
            return False
        until(primary.is_ready_replica, "the old primary to follow the new one")
        return True

    def close(self) -> None:
        for node in self._nodes:
            node.close()

    def _add_node(self, network: Network) -> None:
        relay = network.relay()
        port = free_port()
        node = Node(
            self.password,
            "cluster-enabled yes",
            "cluster-node-timeout 3000",
            "cluster-replica-no-failover yes",
            "cluster-announce-ip 127.0.0.1",
            f"cluster-announce-port {relay.port}",
            f"cluster-announce-bus-port {port + _BUS_OFFSET}",
            port=port,
        )
        relay.target = node.port
        self._relays.append(relay)
        self._nodes.append(node)

    def _form(self, queue: str) -> None:
        masters, spare = self._nodes[:3], self._nodes[3]
        slot = int(masters[0].client.execute_command("CLUSTER", "KEYSLOT", queue))
        for i, node in enumerate(masters):
            share = range(i * SLOTS // 3, (i + 1) * SLOTS // 3)
            node.client.execute_command("CLUSTER", "ADDSLOTS", *share)
            if slot in share:
                self._pair = (node, spare)
        for node in self._nodes[1:]:
            self._nodes[0].client.execute_command(
                "CLUSTER", "MEET", "127.0.0.1", node.port, node.port + _BUS_OFFSET
            )
        until(lambda: all(map(self._is_ok, masters)), "the cluster to form")
        owner = self._pair[0].client.execute_command("CLUSTER", "MYID")
        owner = owner.decode() if isinstance(owner, bytes) else owner

        def follow() -> bool:
            spare.client.execute_command("CLUSTER", "REPLICATE", owner)
            return True

        until(follow, "the replica to know its primary")
        until(spare.is_ready_replica, "the replica to follow")

    def _primary(self) -> Node:
        found: list[Node] = []

        def search() -> bool:
            found[:] = [node for node in self._pair if node.is_primary()]
            return len(found) == 1

        until(search, "one node to have the queue")
        return found[0]

    def _is_ok(self, node: Node) -> bool:
        told = node.client.execute_command("CLUSTER", "INFO")
        text = told if isinstance(told, str) else str(told)
        return "cluster_state:ok" in text or "'cluster_state': 'ok'" in text


def url(password: str, relay: Relay) -> str:
    return f"redis://:{password}@127.0.0.1:{relay.port}/0"


def free_port() -> int:
    """A port that is free, and whose bus port (10,000 above) is a port and free, too."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port: int = server.getsockname()[1]
        if port < 65_536 - _BUS_OFFSET:
            with (
                contextlib.suppress(OSError),
                socket.create_server(("127.0.0.1", port + _BUS_OFFSET)),
            ):
                return port


def wait(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until a condition is true; False if it does not become so. Redis may be away."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.02)


def until(condition: Callable[[], bool], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
    """Wait for a condition that must become true."""
    if not wait(condition, seconds):
        raise TimeoutError(f"Waited {seconds:g} s for {what}, in vain.")
