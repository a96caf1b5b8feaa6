"""What Redis answers instead of a result: waited for if it passes, told at once if it lasts.

Each error by a real server that is brought to say it, and each once more, in all forms in which
Redis gives it, by a relay that says it in a real server's place.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import redis
from conftest import soon
from proxy import Proxy

from wqlib.errors import NotReplicated, QueueError, RedisRefused, WrongKeyType
from wqlib.queue import WorkQueue
from wqlib.queue.refusals import LASTS, LOOK, RULES, WAIT, Rule, Verdict
from wqlib.redisserver import RedisServer

# What Redis or Valkey says, and what a caller is told of it.
SAID = {
    "LOADING Redis is loading the dataset in memory": "still loading its data. Wait until",
    "LOADING valkey is loading the dataset in memory": "still loading its data. Wait until",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": (
        "keeps it busy. Find out"
    ),
    "BUSY Redis is busy running a module command.": "keeps it busy. Find out",
    "OOM command not allowed when used memory > 'maxmemory'.": "memory limit.* Raise maxmemory",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist": (
        "cannot save its data.* Check its log and its disk"
    ),
    "MISCONF Errors writing to the AOF file: No space left on device": "cannot save its data",
    "TRYAGAIN Multiple keys request during rehashing of slot": "slot is moving.* Wait until",
    "NOSCRIPT No matching script. Please use EVAL.": "forgets scripts.* who calls SCRIPT FLUSH",
    "ERR max number of clients reached": "as many clients as it allows. Raise maxclients",
    "ERR max number of clients + cluster connections reached": "as many clients as it allows",
    "READONLY You can't write against a read only replica.": "is a replica.* Name the primary",
    "UNBLOCKED force unblock from blocking operation, instance state changed": (
        "is a replica.* Name the primary"
    ),
    "REDIRECT 127.0.0.1:1": "is a replica",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": (
        "lost its primary. Name the primary"
    ),
    "NOREPLICAS Not enough good replicas to write.": "min-replicas-to-write.* Restart its replicas",
    "CLUSTERDOWN The cluster is down": "Redis Cluster is down.* CLUSTER INFO",
    "CLUSTERDOWN Hash slot not served": "Redis Cluster is down.* CLUSTER INFO",
    "MOVED 1 127.0.0.1:PORT": "disagree about which has the queue's slot. CLUSTER NODES",
    "INPROG Failover already in progress": "is failing over to a replica. Wait",
    "ERR Replica is failing over": "is failing over to a replica. Wait",
    "WAITED 0 of 1": "too few replicas have it so far. Check its replicas",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "is not a list. Choose",
    "NOPERM User pod has no permissions to run the 'evalsha' command": (
        "lacks a permission that the queue needs .NOPERM User pod.* `wqlib queue acl NAME`"
    ),
    "ERR The user executing the script can't run this command or subcommand": "lacks a permission",
    "ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: The user "
    "executing the script can't run this command or subcommand": "lacks a permission",
    "ERR ACL failure in script: No permissions to access a key": "lacks a permission",
    "NOAUTH Authentication required.": "refused the login .NOAUTH.* came from the URL: put",
    "WRONGPASS invalid username-password pair or user is disabled.": "refused the login .WRONGP",
    "DENIED Redis is running in protected mode because protected mode is enabled": (
        "protected mode.* Set a password"
    ),
    "ERR unknown command 'EVALSHA', with args beginning with: 'secret' ": (
        "EVALSHA or EVAL is disabled there.* Enable both"
    ),
    "ERR unknown command `LPOP`, with args beginning with: `secret`, ": "Redis 6.2 or newer",
    "ERR wrong number of arguments for 'lpop' command": "Redis 6.2 or newer",
    "NOPROTO unsupported protocol version": "Redis 6.2 or newer",
    "CROSSSLOT Keys in request don't hash to the same slot": "several slots.* Is a proxy in front",
    "ERR SELECT is not allowed in cluster mode": "no database with that number. Name another",
    "ERR DB index is out of range": "no database with that number. Name another",
    "ERR Protocol error: too big inline request": "does not speak the Redis protocol. Are host",
    "ERR max daily request limit exceeded. Limit: 10000": "max daily request limit exceeded",
}
FORMS = {
    "": "{said}",
    "in a script of Redis 6.2": (
        "ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: -{said}"
    ),
    "in a script of Redis 7": "{said} script: 0a1b, on @user_script:7.",
    "in a script of Valkey": "{said} script: on @user_script:7.",
}
IN_SCRIPTS = ("OOM", "MISCONF", "READONLY", "NOREPLICAS", "MASTERDOWN", "WRONGTYPE")


def rule_of(said: str) -> Rule | None:
    """The rule for what Redis says; None: for its refusal of a login, which has no rule."""
    if said.startswith(("NOAUTH", "WRONGPASS")):
        return None
    inside = re.sub("ERR Error running script .*: 7: ", "", said)
    return next(rule for rule in RULES if re.match(rule.sign, inside))


def verdict_of(said: str) -> Verdict:
    rule = rule_of(said)
    return rule.verdict if rule else LASTS


CASES = [
    pytest.param(form.format(said=said), said, id=f"{said[:40]} {name}".strip())
    for said in SAID
    for name, form in FORMS.items()
    if not name or said.startswith(IN_SCRIPTS)
]


@pytest.fixture(scope="module")
def relayed() -> Iterator[tuple[Proxy, str]]:
    """A relay to a server, and its URL."""
    with RedisServer() as server, Proxy(server.port) as proxy:
        yield proxy, server.url.replace(str(server.port), str(proxy.port))


@contextmanager
def refusing(
    relayed: tuple[Proxy, str], text: str, times: int, **options: Any
) -> Iterator[tuple[WorkQueue, Proxy]]:
    """A queue with one item, whose next scripts get this error so many times."""
    proxy, url = relayed
    with WorkQueue("job2", url=url, **options) as queue:
        queue.clear()
        queue.put("apple")
        queue.lease()
        queue.put("banana")
        proxy.refusal, proxy.refusals = text.replace("PORT", str(proxy.port)), times
        proxy.refused = proxy.connections = 0
        try:
            yield queue, proxy
        finally:
            proxy.refusals = 0


def test_every_rule_is_tried() -> None:
    assert {rule_of(said) for said in SAID} == {None, *RULES}


@pytest.mark.parametrize(("text", "said"), [c for c in CASES if verdict_of(c.values[1]) != LASTS])
def test_what_passes_is_waited_for(relayed: tuple[Proxy, str], text: str, said: str) -> None:
    with refusing(relayed, text, 2, patience_seconds=60) as (queue, proxy):
        if said.startswith("NOSCRIPT"):
            proxy.refusals = 1  # the next time the script comes along
        lease = queue.lease()
        assert lease
        assert lease.item == b"banana"
        assert (proxy.refused, proxy.refusals) == (1 if said.startswith("NOSCRIPT") else 2, 0)
        assert bool(proxy.connections) == (verdict_of(said) is LOOK)


@pytest.mark.parametrize(("text", "said"), [c for c in CASES if verdict_of(c.values[1]) != LASTS])
def test_what_lasts_beyond_the_patience_is_told(
    relayed: tuple[Proxy, str], text: str, said: str
) -> None:
    rule = rule_of(said)
    assert rule
    with refusing(relayed, text, 10**6, patience_seconds=0.1) as (queue, proxy):
        if said.startswith("NOSCRIPT"):  # the relay does not refuse what comes along
            assert queue.lease()
            return
        with pytest.raises(rule.error, match=SAID[said]) as caught:
            queue.lease()
        assert proxy.refused > 1
        did = "did not confirm" if said.startswith("WAITED") else "refused"
        where = f"Redis at 127.0.0.1:{proxy.port}"
        assert str(caught.value).startswith(f"{where} {did} the call for 0.1 s: ")
        proxy.refusals = 0
        assert queue.lease()  # nothing was done, and nothing is spoilt


@pytest.mark.parametrize(("text", "said"), [c for c in CASES if verdict_of(c.values[1]) == LASTS])
def test_what_lasts_ends_at_once(relayed: tuple[Proxy, str], text: str, said: str) -> None:
    rule = rule_of(said)
    with refusing(relayed, text, 10**6, patience_seconds=600) as (queue, proxy):
        with pytest.raises(QueueError, match=SAID[said]) as caught:
            queue.lease()
        assert proxy.refused == 1
        assert type(caught.value) is (rule.error if rule else RedisRefused)
        assert str(caught.value).startswith(f"Redis at 127.0.0.1:{proxy.port} refused the ")
        assert "secret" not in str(caught.value)
        assert "user_script" not in str(caught.value)


def test_who_fills_is_told_at_once_that_memory_is_full(relayed: tuple[Proxy, str]) -> None:
    text = "OOM command not allowed when used memory > 'maxmemory'."
    with refusing(relayed, text, 10**6, patience_seconds=600) as (queue, proxy):
        with pytest.raises(RedisRefused, match="The first 0 items are in the queue"):
            queue.put("cherry")
        assert proxy.refused == 1


def test_the_errors_have_their_kinds() -> None:
    kinds = {rule.error for rule in RULES}
    assert kinds == {RedisRefused, QueueError, WrongKeyType, NotReplicated}
    assert {rule.verdict for rule in RULES} == {WAIT, LOOK, LASTS}


# -- by real servers


class Brought:
    """A server that is brought to refuse, and back.

    Args:
        server: The server.
    """

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.client = redis.Redis.from_url(server.url, protocol=2)
        self.was = {
            name: self.client.config_get(name)[name]
            for name in ("maxmemory", "maxclients", "save", "lua-time-limit")
        }

    def no_memory(self) -> Callable[[], object]:
        self.client.config_set("maxmemory", 1)
        return lambda: self.client.config_set("maxmemory", self.was["maxmemory"])

    def no_disk(self) -> Callable[[], object]:
        in_the_way = self.server.folder / "dump.rdb"
        in_the_way.mkdir()
        self.client.config_set("save", "3600 1")
        self.client.bgsave()
        soon(lambda: self.client.info("persistence")["rdb_last_bgsave_status"] == "err")

        def back() -> None:
            in_the_way.rmdir()
            self.client.bgsave()

        return back

    def no_replicas(self) -> Callable[[], object]:
        self.client.config_set("min-replicas-to-write", 1)
        return lambda: self.client.config_set("min-replicas-to-write", 0)

    def replica(self) -> Callable[[], object]:
        self.client.replicaof("127.0.0.1", 1)
        return lambda: self.client.replicaof("no", "one")

    def replica_alone(self) -> Callable[[], object]:
        self.client.config_set("replica-serve-stale-data", "no")
        return self.replica()

    def busy(self) -> Callable[[], object]:
        def loop() -> None:
            with suppress(redis.ResponseError):  # it is killed
                other.eval("while true do end", 0)

        other = redis.Redis.from_url(self.server.url)
        self.client.config_set("lua-time-limit", 10)
        threading.Thread(target=loop, daemon=True).start()
        soon(self.is_busy)
        return self.client.script_kill

    def is_busy(self) -> bool:
        try:
            self.client.get("x")
        except redis.ResponseError as error:
            return "BUSY" in str(error)
        return False

    def full(self) -> Callable[[], object]:
        self.client.config_set("maxclients", 1)
        return lambda: self.client.config_set("maxclients", self.was["maxclients"])


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


REAL = {
    "no_memory": "memory limit",
    "no_disk": "cannot save its data",
    "no_replicas": "min-replicas-to-write",
    "replica": "is a replica, and accepts no writes",
    "replica_alone": "has lost its primary",
    "busy": "keeps it busy",
    "full": "as many clients as it allows",
}


@pytest.mark.parametrize("way", REAL)
def test_a_real_server_that_says_not_now_is_waited_for(server: RedisServer, way: str) -> None:
    brought, answers = Brought(server), list[object]()
    with WorkQueue("job2", url=server.url, patience_seconds=0.2) as queue:
        queue.clear()
        queue.put("apple")
        lost = queue.lease()
        assert lost
        queue.complete(lost)
        queue.put("banana")
        act: Callable[[], object] = queue.lease
        if way == "no_memory":  # what a worker does frees memory; but this call only remembers
            act = lambda: queue.renew_all([lost])  # noqa: E731
        back = getattr(brought, way)()
        if way == "full":
            queue._store.link.close()
        try:
            with pytest.raises(QueueError, match=REAL[way]):
                act()
            queue.patience_seconds = 120
            thread = threading.Thread(target=lambda: answers.append(act()))
            thread.start()
            time.sleep(0.1)
            assert not answers
        finally:
            back()
        thread.join(60)
        if way == "no_memory":
            assert answers == [[]]
        else:
            assert [getattr(answer, "item", answer) for answer in answers] == [b"banana"]


def test_a_server_that_loads_its_data_is_waited_for() -> None:
    with (
        RedisServer(appendonly=True) as server,
        WorkQueue("job2", url=server.url, patience_seconds=120) as queue,
    ):
        queue.put("apple")
        with redis.Redis.from_url(server.url) as client, client.pipeline() as pipeline:
            for number in range(15_000):
                pipeline.set(f"key {number}", "x")
            pipeline.execute()
        server.settings = ("key-load-delay 100",)  # microseconds
        restart = threading.Thread(target=server.restart)
        restart.start()
        soon(lambda: is_loading(server))
        queue.patience_seconds = 0.3
        with pytest.raises(QueueError, match="it is still loading its data"):
            queue.lease()
        queue.patience_seconds = 120
        assert queue.lease()
        restart.join()


def is_loading(server: RedisServer) -> bool:
    try:
        with redis.Redis.from_url(server.url) as client:
            return client.info("persistence")["loading"] == 1
    except redis.RedisError:
        return False


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('rename-command EVALSHA ""', "EVALSHA or EVAL is disabled there"),
        ('rename-command EVAL ""', "EVALSHA or EVAL is disabled there"),
        ('rename-command TYPE ""', "with no command renamed"),
        ("cluster-enabled yes", "no node of it has the queue's slot"),
    ],
)
def test_a_server_that_will_never_do_is_told_so(settings: str, told: str) -> None:
    with (
        RedisServer(settings=(settings,)) as server,
        WorkQueue("job2", url=server.url, patience_seconds=0.2) as queue,
        pytest.raises(QueueError, match=told),
    ):
        queue.put("apple")


MANAGED = ("SCRIPT", "CONFIG", "CLIENT", "INFO", "DEBUG", "KEYS", "ACL", "CLUSTER", "ROLE", "HELLO")


def test_a_managed_server_that_forbids_what_is_not_needed_will_do() -> None:
    settings = [f'rename-command {name} ""' for name in MANAGED]
    with (
        RedisServer(appendonly=True, settings=settings) as server,
        WorkQueue("job2", url=server.url, max_attempts=1, patience_seconds=60) as queue,
    ):
        queue.put([b"apple", b"banana", b"cherry"], resume="monday")
        lease = queue.lease()
        assert lease
        queue.renew(lease)
        server.restart()  # it has forgotten the scripts
        queue.release(lease)
        bad = queue.lease()
        assert bad
        assert queue.fail(bad, "no")
        good = queue.lease()
        while good:
            good = queue.complete_and_lease(good, "sweet", wait_seconds=1)
        assert queue.lease(wait_seconds=0.05, until_drained=False) is None
        assert queue.export(io.StringIO()) == {"leased": 0, "pending": 0, "dead": 1}
        assert queue.requeue_dead() == 1
        assert queue.stats().done == 2
        assert queue.clear() == 1
