"""A primary and two replicas under three sentinels, and real failovers: nobody prepares them.

The primary is killed, or hangs, until the sentinels have put a replica in its place and the other
one follows that. Then it comes back, believes that it is still the primary, and serves whoever
asks it, until the sentinels let it follow the new one.

Replication is asynchronous, so what was on no replica by then is gone. That a call which two of
the three nodes have is never lost takes what this module sees to: one node is away at a time, the
replicas have caught up before the next failover, and the old primary is not back before it is
over. (A replica that is not yet told of the new primary would go on confirming what the old one
gets, and then drop it.)
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable

import redis

from wqlib.redisserver import RedisServer, _clean_up_after_us

from .relay import Network, Relay
from .servers import Node, until, wait

SERVICE = "mymaster"
_DOWN_MS = 3000  # long, so that a busy machine does not depose a primary that is well
_PATIENCE_SECONDS = 90.0
_HELD_SECONDS = (0.0, 0.3)
_CUT_SECONDS = 0.2
_HANGS = 0.3  # share of the failovers
# Sentinels that look more often: an old primary follows the new one after 4 publish periods.
_TIMERS = {
    "info-period": 500,
    "ping-period": 500,
    "ask-period": 300,
    "publish-period": 500,
    "tilt-trigger": 20_000,
    "tilt-period": 2_000,
}


class Sentinel(RedisServer):
    """One sentinel, which keeps what it learns in a file.

    Args:
        primary: The port at which it watches the primary.
        password: That of the primary and of its replicas.
    """

    def __init__(self, primary: int, password: str) -> None:
        self._primary, self._login = primary, password
        super().__init__()

    def start(self) -> None:
        super().start()
        self.client = redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)
        timers = [word for timer in _TIMERS.items() for word in timer]
        with contextlib.suppress(redis.ResponseError):  # Redis 6.2 has no such timers
            self.client.execute_command("SENTINEL", "DEBUG", *timers)

    def names(self) -> int:
        """The port of the primary, as this sentinel knows it."""
        told = self.client.sentinel_get_master_addr_by_name(SERVICE)
        return int(told[1]) if told else 0

    def close(self) -> None:
        self.stop(crash=True)
        super().close()

    def _launch(self, port: int) -> bool:
        file = self.folder / "sentinel.conf"
        if not file.exists():
            file.write_text(
                f"bind 127.0.0.1\nport {port}\ndir {self.folder}\n"
                f"sentinel monitor {SERVICE} 127.0.0.1 {self._primary} 2\n"
                f"sentinel auth-pass {SERVICE} {self._login}\n"
                f"sentinel down-after-milliseconds {SERVICE} {_DOWN_MS}\n"
                f"sentinel failover-timeout {SERVICE} 10000\n"
                f"sentinel parallel-syncs {SERVICE} 2\n"
            )
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.binary), str(file), "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watcher = _clean_up_after_us(self._process.pid, self.folder)
        client = redis.Redis(port=port, socket_timeout=5)
        if wait(lambda: bool(client.ping()), 20) and self._process.poll() is None:
            return True
        self.stop(crash=True)
        return False


class Sentinels:
    """The whole of it; see the head of this module.

    Args:
        network: Where the relays run, through which all but the sentinels among themselves speak.
        seed: Decides what happens in which failover.
        key: Key of the event stream.
        waits: Calls are acknowledged when a replica has them. Otherwise each failover is prepared
            so far that the replicas have everything.
        durable: Keep everything on disk.
    """

    forgets = True

    def __init__(
        self, network: Network, seed: int, key: str, *, waits: bool, durable: bool = True
    ) -> None:
        self.password = secrets.token_urlsafe(16)
        self.stale_writes = 0
        self._network, self._key, self._waits = network, key, waits
        self._rng = random.Random(f"{seed}/sentinels")
        self._nodes: list[Node] = []
        self._sentinels: list[Sentinel] = []
        self._relays: dict[RedisServer, Relay] = {}
        try:
            self._form(durable)
        except BaseException:
            self.close()
            raise

    def urls(self) -> list[str]:
        ports = [self._relays[sentinel].port for sentinel in self._sentinels]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return [f"redis+sentinel://:{self.password}@{hosts}/{SERVICE}/0"]

    def owner(self) -> redis.Redis:
        return self._primary.client

    def crash(self) -> bool:
        """Kill a replica or a sentinel by SIGKILL and start it again."""
        if self._rng.random() < 0.5:
            self._rng.choice(self._sentinels).restart(crash=True)
            return True
        node = self._rng.choice(self._replicas())
        if not self._are_ready():
            return False
        node.restart(crash=True)
        node.client.replicaof("127.0.0.1", self._relays[self._primary].port)
        self._until(self._are_ready, "the replica that was killed to follow")
        return True

    def failover(self) -> bool:
        old = self._primary
        if not wait(lambda: self._are_ready() and self._all_name(old)):
            return False
        if not self._waits and not self._hold_writes(old):
            return False
        hangs = self._waits and self._rng.random() < _HANGS
        if self._waits:  # what comes now is in no replica when the primary goes
            self._network.copying = "held"
            time.sleep(self._rng.uniform(*_HELD_SECONDS))
        if hangs:
            os.kill(old.pid, signal.SIGSTOP)
        else:
            old.stop(crash=True)
        gone_at = time.time()
        self._network.copying = "cut"
        try:
            time.sleep(_CUT_SECONDS)
            self._network.copying = "on"
            self._until(lambda: self._has_moved(old), "the sentinels to choose another primary")
        finally:
            if hangs:
                os.kill(old.pid, signal.SIGCONT)
            else:
                time.sleep(self._rng.uniform(0, 2.0))
                old.start()
        # What waited in the sockets of one that hung, it still does; nobody else may write there.
        if not hangs:
            self._watch(old, gone_at)
        self._until(self._are_ready, "the old primary to follow the new one")
        return True

    def close(self) -> None:
        for server in (*self._sentinels, *self._nodes):
            server.close()

    # -- forming

    def _form(self, durable: bool) -> None:
        for _ in range(3):
            relay = self._network.relay()
            announced = ("replica-announce-ip 127.0.0.1", f"replica-announce-port {relay.port}")
            node = Node(self.password, *announced, durable=durable)
            relay.target = node.port
            self._nodes.append(node)
            self._relays[node] = relay
        self._primary = self._nodes[0]
        primary = self._relays[self._primary].port
        for node in self._replicas():
            node.client.replicaof("127.0.0.1", primary)
        self._until(self._are_ready, "the replicas to follow")
        for _ in range(3):
            sentinel = Sentinel(primary, self.password)
            self._sentinels.append(sentinel)
            self._relays[sentinel] = self._network.relay()
            self._relays[sentinel].target = sentinel.port
        self._until(self._know_all, "the sentinels to know each other and the replicas")

    def _know_all(self) -> bool:
        for sentinel in self._sentinels:
            told = sentinel.client.sentinel_master(SERVICE)
            if (told["num-other-sentinels"], told["num-slaves"]) != (2, 2):
                return False
        return True

    # -- looking

    def _replicas(self) -> list[Node]:
        return [node for node in self._nodes if node is not self._primary]

    def _are_ready(self) -> bool:
        """Both replicas follow the primary, and have caught up."""
        port = self._relays[self._primary].port
        return all(
            node.is_ready_replica() and node.info("replication")["master_port"] == port
            for node in self._replicas()
        )

    def _all_name(self, node: Node) -> bool:
        return all(s.names() == self._relays[node].port for s in self._sentinels)

    def _has_moved(self, old: Node) -> bool:
        """Do all sentinels name another one, and does the third node follow that?"""
        for node in self._nodes:
            if node is not old and node.is_primary() and self._all_name(node):
                port = self._relays[node].port
                (third,) = (n for n in self._nodes if n not in (old, node))
                told = third.info("replication")
                if told["role"] == "slave" and told["master_port"] == port:
                    self._primary = node
                    return True
        return False

    def _hold_writes(self, primary: Node) -> bool:
        """Let nobody write for a moment, until both replicas have everything."""
        primary.client.execute_command("CLIENT", "PAUSE", 2000, "WRITE")

        def has_all() -> bool:
            offset = primary.info("replication")["master_repl_offset"]
            return all(
                n.info("replication")["slave_repl_offset"] == offset for n in self._replicas()
            )

        return wait(has_all, 1.5)

    def _watch(self, old: Node, gone_at: float) -> None:
        """Look whether anybody writes to an old primary, until the sentinels let it follow."""
        written: set[bytes] = set()
        command = ("XRANGE", self._key, f"{gone_at * 1000:.0f}", "+", "COUNT", 100)

        def follows() -> bool:
            found = old.client.execute_command(*command)
            if not old.is_primary():
                return True
            written.update(stream_id for stream_id, _ in found)
            return False

        self._until(follows, "the sentinels to tell the old primary of the new one")
        self.stale_writes += len(written)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        until(condition, what, _PATIENCE_SECONDS)
