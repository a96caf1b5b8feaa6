"""`wqlib queue adopt`: what workers with the client of the Kubernetes page left behind comes back.

Their program is the page's own (`notebooks/worker/page/worker.py`), on the page's commands
(`page_client.py`).
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest
import redis
from conftest import Spawn, soon
from page_client import RedisWQ
from servers import RedisCluster

from wqlib.commands import cli
from wqlib.errors import QueueError, WrongKeyType
from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer

TESTS = Path(__file__).parents[1]
FRUIT = "apple banana cherry date fig grape lemon melon orange".split()
AROUND = """
import socket, time
resolve, sleep = socket.getaddrinfo, time.sleep
def lookup(host, *rest, **more):
    return resolve("127.0.0.1" if host == "redis" else host, *rest, **more)
socket.getaddrinfo = lookup
time.sleep = lambda seconds: sleep(work if seconds == 10 else seconds)
"""

NEW_WORKER = [
    sys.executable, "-c", "import sys; from wqlib.worker import run; sys.exit(run(bytes))",
]  # fmt: skip

OldWorker = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A Redis with nothing of `job2` in it, before and after."""
    with redis.Redis.from_url(redis_server.url) as client:
        _remove_job2(client)
        yield client
        _remove_job2(client)


def _remove_job2(client: redis.Redis) -> None:
    for pattern in ("job2*", "{job2}*"):
        for key in client.scan_iter(pattern):
            client.delete(key)


@pytest.fixture
def job2(client: redis.Redis, redis_server: RedisServer) -> Iterator[WorkQueue]:
    with WorkQueue("job2", url=redis_server.url, worker="test") as queue:
        yield queue


@pytest.fixture
def old(client: redis.Redis, redis_server: RedisServer) -> RedisWQ:
    """A client of the page in this process."""
    return RedisWQ("job2", host="127.0.0.1", port=redis_server.port, password=redis_server.password)


@pytest.fixture
def old_worker(spawn: Spawn, tmp_path: Path, redis_server: RedisServer) -> OldWorker:
    """Starts the page's program, whose work on an item takes `work` seconds."""
    shutil.copy(TESTS.parent / "notebooks/worker/page/worker.py", tmp_path / "worker.py")
    shutil.copy(TESTS / "page_client.py", tmp_path / "rediswq.py")

    def begin(*, work: float, **environment: str) -> subprocess.Popen[str]:
        (tmp_path / "sitecustomize.py").write_text(f"work = {work}\n{AROUND}")
        return spawn(
            [sys.executable, "-u", "worker.py"],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(tmp_path),
                "REDIS_SERVICE_PORT": str(redis_server.port),
                "REDIS_PASSWORD": redis_server.password,
                **environment,
            },
            stderr=None,
        )

    return begin


@pytest.fixture
def run(redis_server: RedisServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command of `wqlib queue` that ends with 0; returns what it said."""

    def command(*arguments: str) -> str:
        assert cli.main(["queue", *arguments, "--redis", redis_server.url]) == 0
        return "".join(capsys.readouterr())

    return command


def leases_run_out(client: redis.Redis) -> None:
    """The leases of the page's client end now, so that no test waits for it."""
    for key in client.scan_iter("job2:leased_by_session:*"):
        client.delete(key)


def drain(queue: WorkQueue) -> list[str]:
    done = []
    while lease := queue.lease():
        done.append(lease.text)
        queue.complete(lease)
    assert queue.drained()
    return done


def test_what_a_killed_worker_of_the_page_held_comes_back_once(
    client: redis.Redis, job2: WorkQueue, old_worker: OldWorker, run: Callable[..., str],
    redis_server: RedisServer,
) -> None:  # fmt: skip
    client.rpush("job2", *FRUIT)
    victims = [old_worker(work=60) for _ in range(2)]
    soon(lambda: len(client.keys("job2:leased_by_session:*")) == 2)
    for victim in victims:
        victim.kill()
        victim.wait()
    for command in (["stats", "job2"], ["list", "--all"]):
        assert "2 items are in job2:processing." in run(*command), command
    told = run("adopt", "job2")  # the leases are still there, as if the workers were
    assert told.startswith("0 items taken back")
    assert "2 items in job2:processing still have a lease" in told
    assert job2.stats().pending == 7

    leases_run_out(client)
    assert run("adopt", "job2") == "2 items taken back to the head of the line.\n"
    assert run("adopt", "job2") == "0 items taken back to the head of the line.\n"
    assert job2.peek(9) == [b"orange", b"melon", *(fruit.encode() for fruit in FRUIT[:7])]
    assert job2.stats().put == 2
    assert "processing" not in run("stats", "job2")
    done = subprocess.run(
        NEW_WORKER,
        env={**os.environ, "WQLIB_REDIS_URL": redis_server.url},
        timeout=60,
    )
    assert done.returncode == 0
    assert job2.stats().done == 9
    assert job2.drained()


# The page's worker leases (2 commands) and completes (2); it is killed after each of them.
@pytest.mark.parametrize("commands", range(1, 9))
def test_a_worker_of_the_page_may_die_at_any_line(
    client: redis.Redis, job2: WorkQueue, old_worker: OldWorker, commands: int
) -> None:
    client.rpush("job2", "apple", "banana", "cherry")
    victim = old_worker(work=0.0, DIE_AFTER=str(commands))
    assert victim.wait(60) == -9
    leases_run_out(client)
    taken = job2.adopt(0.05)
    assert taken == (1 if commands % 4 in (1, 2) else 0, 0)
    by_the_page = ["cherry", "banana"][: (commands + 1) // 4]
    assert sorted([*drain(job2), *by_the_page]) == ["apple", "banana", "cherry"]


def test_an_item_that_a_worker_has_just_taken_is_left_to_it(
    client: redis.Redis, job2: WorkQueue, old: RedisWQ
) -> None:
    client.rpush("job2", "apple")
    client.rpoplpush("job2", "job2:processing")  # the first half of a lease ...
    second_half = threading.Timer(0.2, lambda: client.set(old._lease(b"apple"), "session", 60))
    second_half.start()
    assert job2.adopt(2.0) == (0, 1)
    second_half.join()
    old.complete(b"apple")
    assert job2.adopt() == (0, 0)


def test_equal_items_share_a_lease_and_come_back_together(
    client: redis.Redis, job2: WorkQueue, old: RedisWQ
) -> None:
    client.rpush("job2", "apple", "banana", "apple")
    for _ in range(3):
        old.lease()
    client.delete(old._lease(b"banana"))
    assert job2.adopt(0.05) == (1, 2)
    client.delete(old._lease(b"apple"))
    assert job2.adopt(0.05) == (2, 0)
    assert Counter(drain(job2)) == {"apple": 2, "banana": 1}


def test_a_command_that_is_killed_loses_nothing_and_doubles_nothing(
    client: redis.Redis, job2: WorkQueue, redis_server: RedisServer
) -> None:
    items = [b"item %d" % number for number in range(8_000)]
    client.rpush("job2:processing", *items)  # the newest first
    command = "from wqlib import WorkQueue; import sys; WorkQueue('job2', url=sys.argv[1]).adopt(0)"
    kills = 0
    while client.llen("job2:processing"):
        before = client.llen("job2")
        victim = subprocess.Popen([sys.executable, "-c", command, redis_server.url])
        while client.llen("job2") == before and victim.poll() is None:
            time.sleep(0.001)
        time.sleep(random.random() / 50)
        victim.kill()
        kills += victim.wait() == -9
        with client.pipeline() as at_once:  # its last call may be on its way still
            at_once.lrange("job2", 0, -1).lrange("job2:processing", 0, -1)
            assert sorted(chain.from_iterable(at_once.execute())) == sorted(items)
    assert kills
    assert job2.adopt(0) == (0, 0)
    assert Counter(event.kind for event in job2.events()).keys() == {"put"}
    assert job2.stats().put == sum(event.count for event in job2.events()) == 8_000


def test_a_call_whose_reply_was_cut_off_takes_nothing_twice(
    client: redis.Redis, job2: WorkQueue, old: RedisWQ
) -> None:
    client.rpush("job2:processing", "apple")
    arguments = ("job2:processing", "apple", old._lease(b"apple"))
    assert job2._store.run("adopt", *arguments) == 1
    client.rpush("job2:processing", "apple")  # another one
    job2._store.link._calls -= 1
    assert job2._store.run("adopt", *arguments) == 1
    assert job2.peek() == [b"apple"]
    assert job2.adopt(0) == (1, 0)


def test_items_come_back_when_memory_is_short(client: redis.Redis, job2: WorkQueue) -> None:
    client.rpush("job2:processing", "apple", "banana")
    client.config_set("maxmemory", 1)
    try:
        assert job2.adopt(0) == (2, 0)
    finally:
        client.config_set("maxmemory", 0)
    assert drain(job2) == ["banana", "apple"]


def test_a_key_of_somebody_else_is_left_alone(client: redis.Redis, job2: WorkQueue) -> None:
    client.set("job2:processing", "text")
    assert job2.foreign() == 0
    with pytest.raises(WrongKeyType, match="job2:processing is not a list"):
        job2.adopt()
    assert client.get("job2:processing") == b"text"


def test_on_a_redis_cluster_there_is_nothing_to_adopt(redis_cluster: RedisCluster) -> None:
    with WorkQueue("page", url=redis_cluster.url) as queue:
        queue.put("apple")
        assert queue.foreign() == 0
        with pytest.raises(QueueError, match="page and page:processing are in different slots"):
            queue.adopt()
        assert drain(queue) == ["apple"]
        queue.clear()


def test_a_worker_says_what_lies_there(
    client: redis.Redis, job2: WorkQueue, old: RedisWQ, redis_server: RedisServer
) -> None:
    client.rpush("job2", "apple", "banana")
    old.lease()
    done = subprocess.run(
        NEW_WORKER,
        env={**os.environ, "WQLIB_REDIS_URL": redis_server.url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert "1 item is in job2:processing." in done.stdout
    assert "`wqlib queue adopt job2`" in done.stdout
