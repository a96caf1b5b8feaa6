"""The kinds of Redis that the tests run on: one server, a Redis Cluster, a Valkey, a Sentinel."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

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

    Args:
        settings: More lines of the nodes' configuration.
    """

    host = "127.0.0.1"

    def __init__(self, *settings: str) -> None:
        self.nodes: list[RedisServer] = []
        self.replica: RedisServer | None = None
        self._settings = ("cluster-enabled yes", *settings)
        try:
            for _ in range(3):
                self.nodes.append(RedisServer(settings=self._settings))
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

    def add_replica(self) -> RedisServer:
        """Start a replica of the first node, which takes over when that one dies."""
        node = self.replica = Node(self.password, *self._settings)
        with redis.Redis.from_url(node.url) as client:
            client.execute_command("CLUSTER MEET", node.host, self.port)
            name = self.clients[0].execute_command("CLUSTER MYID")

            def follow() -> bool:
                client.execute_command("CLUSTER REPLICATE", name)
                return True

            soon(follow, "the replica to know its primary")
            soon(lambda: client.info("replication")["master_link_status"] == "up", "it to follow")
            for other in self.clients:  # they have to vote for it
                soon(
                    lambda ask=other.execute_command: len(ask("CLUSTER NODES")) == 4,
                    "all nodes to know the replica",
                )
        return node

    def close(self) -> None:
        for node in (*self.nodes, *([self.replica] if self.replica else [])):
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


class RedisSentinel:
    """A primary, two replicas, and three sentinels that watch them, all on 127.0.0.1.

    Args:
        down_after_seconds: How long a primary is silent until the sentinels replace it.
        settings: More lines of the nodes' configuration.
        tls: Certificate, key and the authority's certificate: all speak TLS with each other and
            with clients, and besides listen without it, for the tests.

    Attributes:
        nodes: The primary and its replicas; which of them is the primary changes.
        sentinels: The sentinels.
        service: The name under which they watch the primary.
        password: That of the nodes; the sentinels have another, `sentinel_password`.
    """

    service = "mymaster"

    def __init__(
        self,
        *,
        down_after_seconds: float = 0.5,
        settings: tuple[str, ...] = (),
        tls: tuple[Path, Path, Path] | None = None,
    ) -> None:
        self._tls = tls
        self.password, self.sentinel_password = secrets.token_hex(12), secrets.token_hex(12)
        self.nodes: list[Node] = []
        self.sentinels: list[Sentinel] = []
        try:
            for number in range(3):
                follows = f"replicaof 127.0.0.1 {self.nodes[0].told_port}" if number else ""
                self.nodes.append(Node(self.password, follows, *settings, tls=tls))
            soon(lambda: len(self.client().role()[2]) == 2, "the replicas to follow")
            watch = self._watch(int(down_after_seconds * 1000))
            for _ in range(3):
                self.sentinels.append(Sentinel(self.sentinel_password, *watch, tls=tls))
                self._hurry(self.sentinels[-1])
            soon(self.is_ready, "the sentinels to know each other")
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The URL for `WorkQueue`: the sentinels, both passwords, and the service."""
        places = ",".join(f"{node.host}:{node.told_port}" for node in self.sentinels)
        return (
            f"redis{'s' if self._tls else ''}+sentinel://:{self.password}@{places}/{self.service}/0"
            f"?sentinel_password={self.sentinel_password}"
            + (f"&ssl_ca_certs={self._tls[2]}" if self._tls else "")
        )

    def primary(self) -> Node:
        """The node that most sentinels name."""
        named = [self._named(node) for node in self.sentinels if node.pid]
        return next(node for node in self.nodes if node.told_port == max(named, key=named.count))

    def client(self, node: RedisServer | None = None) -> redis.Redis:
        """A client of a node; of the first one if None."""
        return redis.Redis.from_url((node or self.nodes[0]).url, socket_timeout=5)

    def is_primary(self, node: RedisServer) -> bool:
        """Does the node itself believe so? One that hangs up on us was just made a replica."""
        try:
            with self.client(node) as client:
                return bool(client.role()[0] == b"master")
        except redis.ConnectionError:
            return False

    def kill_primary(self) -> Node:
        """Kill the primary by SIGKILL and return it; `start()` brings it back, a stale primary."""
        node = self.primary()
        node.stop(crash=True)
        return node

    def fail_over(self) -> None:
        """Let a replica take over while the primary lives."""
        with self._sentinel_client(self.sentinels[0]) as client:
            client.execute_command("SENTINEL", "FAILOVER", self.service)

    def wait_for_failover(self, old: Node, seconds: float = 60.0) -> float:
        """Wait until every sentinel names another primary. Returns how many seconds that took."""
        began = time.monotonic()
        soon(
            lambda: all(self._named(node) != old.told_port for node in self.sentinels if node.pid),
            "the sentinels to choose a new primary",
            seconds,
        )
        return time.monotonic() - began

    def is_ready(self) -> bool:
        """Do all sentinels know each other and see a primary with two replicas that follow it?"""
        for node in self.sentinels:
            with self._sentinel_client(node) as client:
                told = client.sentinel_master(self.service)
                replicas = client.sentinel_slaves(self.service)
            if told["num-other-sentinels"] != 2 or told["flags"] != "master":
                return False
            # Not only known: seen, and fit to take over.
            if sum(replica["master-link-status"] == "ok" for replica in replicas) != 2:
                return False
        return True

    def close(self) -> None:
        for node in (*self.sentinels, *self.nodes):
            node.stop(crash=True)  # a primary would wait for its replicas
            node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _watch(self, down_after_ms: int) -> list[str]:
        what, port = self.service, self.nodes[0].told_port
        return [
            f"sentinel monitor {what} 127.0.0.1 {port} 2",
            f"sentinel auth-pass {what} {self.password}",
            f"sentinel down-after-milliseconds {what} {down_after_ms}",
            f"sentinel failover-timeout {what} 3000",
            f"sentinel parallel-syncs {what} 2",
            f"sentinel sentinel-pass {self.sentinel_password}",
        ]

    def _hurry(self, sentinel: RedisServer) -> None:
        """Let it look, and tell, twice a second (Redis 6.2 cannot: every 10 s, and 2 s)."""
        with self._sentinel_client(sentinel) as client, contextlib.suppress(redis.ResponseError):
            client.execute_command("SENTINEL", "DEBUG", "INFO-PERIOD", 500, "PUBLISH-PERIOD", 500)

    def _named(self, sentinel: RedisServer) -> int:
        with self._sentinel_client(sentinel) as client:
            return int(client.sentinel_get_master_addr_by_name(self.service)[1])

    def _sentinel_client(self, sentinel: RedisServer) -> redis.Redis:
        url = sentinel.url.removesuffix("/0")
        return redis.Redis.from_url(url, decode_responses=True, socket_timeout=5)


class Node(RedisServer):
    """A server that logs in to others like it with its own password.

    Args:
        password: Its password.
        settings: More lines of its configuration.
        tls: As for `RedisSentinel`.

    Attributes:
        told_port: The port at which others, and clients, find it: that for TLS if there is one.
    """

    def __init__(
        self, password: str, *settings: str, tls: tuple[Path, Path, Path] | None = None
    ) -> None:
        self._given = password
        self._tls_port, lines = _tls_lines(tls)
        always = (f"masterauth {password}", "repl-diskless-sync-delay 0")
        super().__init__(appendonly=True, settings=(*always, *lines, *settings))

    @property
    def told_port(self) -> int:
        return self._tls_port or self.port

    def _config(self, port: int) -> str:
        self.password = self._given
        return super()._config(port)


class Sentinel(RedisServer):
    """A sentinel. It keeps what it learns in its configuration, a file.

    Args:
        password: Its password, and that of the other sentinels.
        settings: More lines of its configuration.
        tls, told_port: As for `Node`.
    """

    def __init__(
        self, password: str, *settings: str, tls: tuple[Path, Path, Path] | None = None
    ) -> None:
        self._tls_port, lines = _tls_lines(tls)
        self._given, self._watch = password, [*lines, *settings]
        super().__init__()

    @property
    def told_port(self) -> int:
        return self._tls_port or self.port

    def _launch(self, port: int) -> bool:
        self.password, file = self._given, self._folder / "sentinel.conf"
        if not file.exists():
            lines = (f"bind {self.host}", f"port {port}", f"requirepass {self.password}")
            file.write_text("\n".join([*lines, f"dir {self._folder}", *self._watch, ""]))
        with (self._folder / "redis.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self.binary), str(file), "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watcher = redisserver._clean_up_after_us(self._process.pid, self._folder)
        with contextlib.suppress(AssertionError):
            soon(
                lambda: redisserver._answers(self.host, port, self.password) or not self.pid,
                "the sentinel to answer",
                20,
            )
        return bool(self.pid)


def _tls_lines(tls: tuple[Path, Path, Path] | None) -> tuple[int, list[str]]:
    """A free port for TLS (0: none), and the lines of the configuration that open it."""
    if not tls:
        return 0, []
    port = redisserver._free_port()
    files = zip(("tls-cert-file", "tls-key-file", "tls-ca-cert-file"), tls, strict=True)
    return port, [
        f"tls-port {port}",
        *(f'{name} "{path}"' for name, path in files),
        "tls-replication yes",
        "tls-auth-clients no",
    ]


def soon(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until `condition()` holds; a Redis that is away counts as no."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}, in vain"
        time.sleep(0.02)


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
