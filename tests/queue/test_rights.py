"""A user of Redis' ACL with the printed rights can do its part, and nothing more."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterator

import pytest
import redis

from wqlib.errors import QueueError, RedisRefused
from wqlib.queue import WorkQueue
from wqlib.queue.rights import ROLES, acl
from wqlib.redisserver import RedisServer, version

NAMES = ["job2", "a queue", 'odd *?[x]"\\ é']


def fill(queue: WorkQueue) -> None:
    queue.put(["apple", "banana"], resume="monday")


def work(queue: WorkQueue) -> None:
    queue.lease_seconds = 0.001
    queue.exchange((), 2)
    queue.lease_seconds = 600
    while not queue.stats().expired:  # the two come back
        lease = queue.lease(wait_seconds=0.1)
    assert lease
    queue.renew(lease)
    queue.release(lease)
    again = queue.lease()
    assert again
    queue.fail(again, "no")
    last = queue.lease(wait_seconds=0.1)
    while last:
        last = queue.complete_and_lease(last, "sweet")
    assert queue.snapshot().stats.done
    queue.lease(wait_seconds=0.05, until_drained=False)


def watch(queue: WorkQueue) -> None:
    queue.snapshot()
    queue.peek()
    queue.results()
    queue.dead_items()
    queue.item(1)
    queue.events()
    queue.events("9999999999999", wait_seconds=0.01)
    queue.server_time()
    queue.export(io.StringIO())


def own(queue: WorkQueue) -> None:
    fill(queue)
    work(queue)
    watch(queue)
    queue.requeue_dead()
    queue.drop_dead([99])
    queue._store.link.command("RPUSH", f"{queue.name}:processing", "pear")
    assert queue.adopt(0) == (1, 0)
    queue.clear()


PARTS: dict[str, Callable[[WorkQueue], None]] = {
    "filler": fill,
    "worker": work,
    "watcher": watch,
    "owner": own,
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def user(server: RedisServer, rules: list[str], name: str, **options: object) -> WorkQueue:
    """A queue that is used by a user with these rules; two items wait, one is dead."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.script_flush()
        client.execute_command("ACL", "SETUSER", "pod", "reset", "on", ">pw", *rules)
    with WorkQueue(name, url=server.url, max_attempts=1) as queue:
        queue.put(["fig", "lemon", "melon"])
        bad = queue.lease()
        assert bad
        queue.fail(bad, "no")
    return WorkQueue(
        name, host="127.0.0.1", port=server.port, username="pod", password="pw", **options
    )


@pytest.mark.parametrize("role", PARTS)
@pytest.mark.parametrize("name", NAMES)
def test_the_rules_are_enough(server: RedisServer, role: str, name: str) -> None:
    with user(server, shlex.split(acl(name, role)), name) as queue:
        PARTS[role](queue)


@pytest.mark.parametrize("role", PARTS)
def test_without_any_one_of_the_commands_something_fails_and_nothing_is_lost(
    server: RedisServer, role: str
) -> None:
    if version(server.binary) < "7":
        pytest.skip("scripts of Redis 6.2 cannot ask what their user may do")
    rules = acl("job2", role).split()
    commands = [rule for rule in rules if rule.startswith("+")]
    assert len(commands) > 10
    for command in commands:
        fewer = [rule for rule in rules if rule != command]
        with user(server, fewer, "job2") as queue, pytest.raises(QueueError) as caught:
            PARTS[role](queue)
        told = str(caught.value)
        assert "lacks a permission" in told or "EVALSHA or EVAL is disabled" in told, command
        with WorkQueue("job2", url=server.url) as queue:
            stats = queue.stats()
            there = stats.pending + stats.leased + stats.dead + stats.done
            assert there == stats.put >= 3, command


@pytest.mark.parametrize("role", PARTS)
def test_nothing_else_is_possible(server: RedisServer, role: str) -> None:
    user(server, shlex.split(acl("job2", role)), "job2").close()
    allowed = {rule[1:] for rule in acl("job2", role).split() if rule.startswith("+")}
    strange = [
        ("TYPE", "job22"),
        ("TYPE", "{job22}:leases"),
        ("EVAL", "return redis.call('TYPE', KEYS[1])", 1, "job3"),
        ("EVAL", "return redis.call('FLUSHALL')", 0),
    ]
    pod = redis.Redis(port=server.port, username="pod", password="pw", socket_timeout=5, protocol=2)
    with pod, redis.Redis.from_url(server.url) as client:
        commands = {name.lower(): told for name, told in client.execute_command("COMMAND").items()}
        everything = set(commands) - {"auth", "hello", "quit", "reset"}
        for name in sorted(everything - allowed):
            strange.append((name, *["job2"] * max(0, abs(commands[name]["arity"]) - 1)))
        for words in strange:
            with pytest.raises(
                redis.ResponseError, match=r"[Pp]ermission|can't|not allowed|unknown"
            ):
                pod.execute_command(*words)


def test_a_missing_right_is_named_and_how_to_give_it(server: RedisServer) -> None:
    rules = [rule for rule in acl("job2", "worker").split() if rule != "+llen"]
    with (
        user(server, rules, "job2") as queue,
        pytest.raises(RedisRefused, match="`wqlib queue acl NAME` prints the ACL rules"),
    ):
        queue.lease()


def test_there_are_no_other_roles() -> None:
    with pytest.raises(ValueError, match="no boss here: the roles are worker, filler"):
        acl("job2", "boss")
    assert set(PARTS) == set(ROLES)
