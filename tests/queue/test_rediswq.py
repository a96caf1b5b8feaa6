"""The client of the Kubernetes page: its own program, with a pod that dies, and each method.

`notebooks/worker/page/worker.py` is the program that the page prints, unchanged: (c) The Kubernetes
Authors, CC BY 4.0, from
https://kubernetes.io/docs/tasks/job/fine-parallel-processing-work-queue/
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import Spawn, soon
from redis.credentials import UsernamePasswordCredentialProvider

from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer
from wqlib.rediswq import LateWarning, RedisWQ

FRUIT = "apple banana cherry date fig grape lemon melon orange".split()

# Python runs this file before any program. It stands for what is around the page's program in a
# cluster: DNS, which knows the Service `redis`; and it cuts short what stands for the work.
AROUND = """
import socket, time
resolve, sleep = socket.getaddrinfo, time.sleep
def lookup(host, *rest, **more):
    return resolve("127.0.0.1" if host == "redis" else host, *rest, **more)
socket.getaddrinfo = lookup
time.sleep = lambda seconds: sleep(0.4 if seconds == 10 else seconds)
"""


@pytest.fixture
def pod(
    spawn: Spawn, tmp_path: Path, redis_server: RedisServer
) -> Callable[[str], subprocess.Popen]:
    """Starts the page's program as its image has it: two files in a folder."""
    (tmp_path / "rediswq.py").write_text("from wqlib.rediswq import *\n")
    (tmp_path / "sitecustomize.py").write_text(AROUND)
    shutil.copy(
        Path(__file__).parents[2] / "notebooks/worker/page/worker.py", tmp_path / "worker.py"
    )

    def begin(name: str) -> subprocess.Popen:
        return spawn(
            [sys.executable, "-u", "worker.py"],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}",
                "HOSTNAME": name,
                "REDIS_SERVICE_PORT": str(redis_server.port),
                "REDIS_PASSWORD": redis_server.password,
            },
            stderr=subprocess.PIPE,
        )

    return begin


@pytest.fixture
def job2(redis_server: RedisServer) -> Iterator[WorkQueue]:
    """The queue of the page, empty before and after."""
    with WorkQueue("job2", url=redis_server.url, worker="test") as queue:
        queue.clear()
        yield queue
        queue.clear()


@pytest.fixture
def client(redis_server: RedisServer, job2: WorkQueue) -> Callable[[], RedisWQ]:
    def connect() -> RedisWQ:
        return RedisWQ(
            name="job2", host="127.0.0.1", port=redis_server.port, password=redis_server.password
        )

    return connect


def outcome(process: subprocess.Popen) -> list[str]:
    """The lines that a program wrote, after it ended by itself and well."""
    text, complaints = process.communicate(timeout=40)
    assert (process.returncode, complaints) == (0, "")
    return text.splitlines()


# -- the page's program


def test_the_pages_program_survives_the_death_of_a_pod(job2: WorkQueue, pod: Callable) -> None:
    job2.put(FRUIT)
    victim, survivor = pod("pod-a"), pod("pod-b")

    def held() -> list[str]:
        """What the victim holds now, by its leases in the event stream."""
        mine = [e for e in job2.events() if e.worker == "pod-a"]
        ended = {e.lease_id for e in mine if e.kind != "lease"}
        return [e.item for e in mine if e.kind == "lease" and e.lease_id not in ended]

    soon(lambda: job2.stats().done >= 2 and held())
    victim.kill()
    [lost] = held()
    lines = outcome(survivor)
    assert lines[0].startswith("Worker with sessionID: pod-b-")
    assert lines[1] == "Initial queue state: empty=False"
    assert f"Working on {lost}" in lines
    assert lines[-1] == "Queue empty, exiting"
    stats = job2.stats()
    assert (stats.done, stats.expired, stats.dead, stats.drained) == (9, 1, 0, True)
    assert lines.count("Waiting for work") >= 1  # up to 10 s, in waits of 2 s


def test_the_pages_program_finds_an_empty_queue(job2: WorkQueue, pod: Callable) -> None:
    assert outcome(pod("pod-a"))[1:] == ["Initial queue state: empty=True", "Queue empty, exiting"]


def test_the_pages_program_runs_what_the_pages_commands_put(
    job2: WorkQueue, redis_server: RedisServer, pod: Callable
) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.rpush("job2", "apple", "apple")
    first, second = pod("pod-a"), pod("pod-b")
    assert [*outcome(first), *outcome(second)].count("Working on apple") == 2
    assert job2.stats().done == 2


# -- each method


def test_a_session_has_a_name_of_its_own(client: Callable, monkeypatch) -> None:
    monkeypatch.setenv("HOSTNAME", "pod-a")
    names = {client().sessionID() for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("pod-a-") for name in names)


def test_the_environment_says_where_redis_is(
    redis_server: RedisServer, job2: WorkQueue, monkeypatch
) -> None:
    monkeypatch.setenv("WQLIB_REDIS_URL", redis_server.url)
    job2.put("apple")
    assert RedisWQ("job2").lease(block=False) == b"apple"
    assert RedisWQ("job2", db=1).empty()


TAKEN: list[dict[str, Any]] = [
    {"socket_timeout": 5, "socket_connect_timeout": 2.5, "health_check_interval": 30},
    {"socket_timeout": None, "max_connections": None},
    {"decode_responses": False},
    {"ssl": False, "ssl_cert_reqs": None, "ssl_ca_certs": "/no/such"},
    {"socket_keepalive": True, "socket_keepalive_options": {}, "client_name": "me"},
]


@pytest.mark.parametrize("more", TAKEN)
def test_it_takes_the_arguments_of_redis_py(
    redis_server: RedisServer, job2: WorkQueue, more: dict[str, Any]
) -> None:
    redis.Redis(**more)
    q = RedisWQ("job2", "127.0.0.1", redis_server.port, password=redis_server.password, **more)
    assert q.empty()


def test_it_takes_a_provider_of_credentials_as_redis_py_has_it(
    redis_server: RedisServer, job2: WorkQueue
) -> None:
    provider = UsernamePasswordCredentialProvider(password=redis_server.password)
    assert RedisWQ("job2", port=redis_server.port, credential_provider=provider).empty()


def test_it_takes_the_path_of_a_unix_socket() -> None:
    with RedisServer(settings=["unixsocket redis.sock"]) as server:
        path = str(server.folder / "redis.sock")
        assert RedisWQ("job2", unix_socket_path=path, password=server.password).empty()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"decode_responses": True}, r"decode_responses: items are bytes.* item\.decode\(\)"),
        ({"retry_on_timeout": True}, "retry_on_timeout: the queue retries its calls itself"),
        ({"connection_pool": object()}, "connection_pool: the queue makes its own connections"),
        ({"protocol": 3}, "protocol: it has no meaning for a queue"),
        ({"pasword": "x"}, "pasword: it has no meaning for a queue"),
    ],
)
def test_it_refuses_what_it_would_not_heed(more: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match=f"Omit the argument {told}"):
        RedisWQ(name="job2", **more)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), "soon", []])
def test_a_timeout_that_makes_no_sense_is_refused(seconds: Any) -> None:
    with pytest.raises(ValueError, match="socket_timeout must be above 0, in seconds"):
        RedisWQ("job2", socket_timeout=seconds)


def test_empty_means_nothing_waits_and_nothing_is_leased(client: Callable, job2: WorkQueue) -> None:
    q = client()
    assert q.empty()
    job2.put("apple")
    assert not q.empty()
    assert q.lease(block=False) == b"apple"
    assert not q.empty()
    assert q.complete(b"apple") is True
    assert q.empty()


def test_lease_without_block_does_not_wait(client: Callable, job2: WorkQueue) -> None:
    began = time.monotonic()
    assert client().lease(block=False, timeout=60) is None
    assert time.monotonic() - began < 30


def test_lease_waits_as_long_as_it_is_told_also_when_the_queue_had_drained(
    client: Callable,
) -> None:
    began = time.monotonic()
    assert client().lease(timeout=0.3) is None
    assert time.monotonic() - began >= 0.3


def test_lease_without_a_timeout_waits_for_an_item(client: Callable, job2: WorkQueue) -> None:
    pusher = threading.Timer(0.2, job2.put, ["apple"])
    pusher.start()
    assert client().lease() == b"apple"
    pusher.join()


def test_a_wait_ends_when_another_completes_the_last_item(
    client: Callable, job2: WorkQueue
) -> None:
    job2.put("apple")
    lease = job2.lease()
    q = client()
    other = threading.Timer(0.2, job2.complete, [lease])
    other.start()
    assert q.lease() is None
    other.join()
    assert q.empty()


@pytest.mark.parametrize("lease_secs", [0, -1, float("nan"), 10**9])
def test_a_lease_has_a_sensible_length(client: Callable, lease_secs: float) -> None:
    with pytest.raises(ValueError, match=r"must be 0\.001 s to 7 days"):
        client().lease(lease_secs=lease_secs)


def test_work_may_take_longer_than_its_lease(client: Callable, job2: WorkQueue) -> None:
    job2.put("apple")
    q = client()
    assert q.lease(lease_secs=0.4) == b"apple"
    assert job2.lease(wait_seconds=1.5) is None  # it would be lent to us if it had run out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert q.complete(b"apple") is True
    assert (job2.stats().done, job2.stats().expired) == (1, 0)


def test_a_completion_that_comes_too_late_is_told_and_not_recorded(
    client: Callable, job2: WorkQueue, redis_server: RedisServer
) -> None:
    job2.put(b"apple\x1b[2J")
    q = client()
    item = q.lease(lease_secs=0.4)
    lease_id = next(e.lease_id for e in job2.events() if e.kind == "lease")
    os.kill(redis_server.pid, signal.SIGSTOP)  # nobody can renew in time
    time.sleep(0.6)
    os.kill(redis_server.pid, signal.SIGCONT)
    other = job2.lease(wait_seconds=10)
    assert other is not None
    assert other.id != lease_id
    with pytest.warns(LateWarning, match=r"^Too late for apple\\x1b\[2J: ") as told:
        assert q.complete(item) is False
    assert told[0].filename == __file__
    assert (job2.stats().done, job2.stats().leased) == (0, 1)
    job2.complete(other)


def test_completing_what_was_never_leased_is_told(client: Callable, job2: WorkQueue) -> None:
    with pytest.warns(LateWarning):
        assert client().complete(b"apple") is False
    assert job2.stats().done == 0


def test_equal_items_are_completed_in_the_order_of_their_leases(
    client: Callable, job2: WorkQueue
) -> None:
    job2.put(["apple"] * 3)
    q = client()
    assert [q.lease() for _ in range(3)] == [b"apple"] * 3
    assert q.complete("apple")
    assert q.complete(b"apple")
    assert job2.stats().leased == 1
    completed = [e.item_id for e in job2.events() if e.kind == "complete"]
    leased = [e.item_id for e in job2.events() if e.kind == "lease"]
    assert completed == leased[:2]


def test_an_item_that_the_program_dropped_comes_back_to_it(
    client: Callable, job2: WorkQueue
) -> None:
    """A program that catches its exceptions, and never completes what failed, still ends."""
    job2.put(["bad", "good"])
    q, worked, failed = client(), [], False
    while not q.empty():
        item = q.lease(lease_secs=0.3, timeout=5)
        if item is None:
            continue
        worked.append(item)
        if item == b"bad" and not failed:
            failed = True
            continue
        assert q.complete(item)
    assert worked == [b"bad", b"good", b"bad"]
    assert (job2.stats().done, job2.stats().dead) == (2, 0)


def test_a_client_that_is_gone_renews_nothing(client: Callable, job2: WorkQueue) -> None:
    job2.put("apple")
    q = client()
    q.lease(lease_secs=0.3)
    del q
    lease = job2.lease(wait_seconds=20)
    assert lease is not None
    assert lease.attempt == 2
    job2.complete(lease)
    soon(lambda: not [t for t in threading.enumerate() if t.name == "wqlib-renew"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_may_go_on_with_a_client_of_its_own(client: Callable, job2: WorkQueue) -> None:
    job2.put(["apple", "banana"])
    q = client()
    assert q.lease(lease_secs=0.4) == b"apple"
    child = os.fork()
    if child == 0:
        ok = q.lease(lease_secs=0.4) == b"banana"
        time.sleep(1.0)
        os._exit(0 if ok and q.complete(b"banana") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert q.complete(b"apple")
    assert (job2.stats().done, job2.stats().expired) == (2, 0)


def test_it_needs_neither_kubernetes_nor_jupyter() -> None:
    code = "import sys, wqlib.rediswq; print(sorted({m.split('.')[0] for m in sys.modules}))"
    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "redis" in names
    for absent in ("kubernetes", "IPython", "ipywidgets", "matplotlib", "tornado", "yaml"):
        assert f"'{absent}'" not in names


def test_it_travels_in_the_bundle(tmp_path: Path) -> None:
    from wqlib.course.bundle import bundle

    bundle(tmp_path)
    (tmp_path / "rediswq.py").write_text("from wqlib.rediswq import *\n")
    done = subprocess.run(
        [sys.executable, "-c", "import rediswq, wqlib; print(rediswq.RedisWQ, wqlib.__file__)"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"<class 'wqlib.rediswq.RedisWQ'> {tmp_path / 'wqlib/__init__.py'}\n"
