"""What the tests share: a real Redis, and queues on it that are wiped afterwards.

`WQLIB_REDIS_SERVER` says which server all tests run on. A module with the mark `every_server`
runs on one server, on a Redis Cluster of three nodes, and on a Valkey when there is one.
`WQLIB_CONTEXT` names the real cluster that `cluster` is, instead of a local one.
"""

from __future__ import annotations

import itertools
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from clusters import REAL
from hypothesis import settings
from servers import RedisCluster, find_valkey, kinds

from wqlib.cluster import Cluster, connect
from wqlib.queue import WorkQueue
from wqlib.queue.items import Lease
from wqlib.redisserver import RedisServer

_numbers = itertools.count(1)

MakeQueue = Callable[..., WorkQueue]
Spawn = Callable[..., "subprocess.Popen[str]"]


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("no deadline: the machine may be busy", deadline=None)
    settings.load_profile("no deadline: the machine may be busy")
    # In the background of a shell SIGINT is ignored, also by all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "every_server: runs on each kind of Redis in turn")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "redis_server" in metafunc.fixturenames and metafunc.definition.get_closest_marker(
        "every_server"
    ):
        metafunc.parametrize("redis_server", kinds(), indirect=True, scope="session")


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts programs whose output is read as text; what is left of them at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def begin(
        command: Sequence[str], stderr: int | None = subprocess.STDOUT, **options: Any
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, **options
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """A Redis Cluster of three nodes."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer | RedisCluster]:
    """A Redis of our own, for all tests that do not restart it."""
    kind = getattr(request, "param", "alone")
    if kind == "cluster":
        yield request.getfixturevalue("redis_cluster")
    else:
        with RedisServer(binary=find_valkey() if kind == "valkey" else None) as server:
            yield server


@pytest.fixture
def make_queue(redis_server: RedisServer | RedisCluster) -> Iterator[MakeQueue]:
    """Makes queues; those of one test share a name unless told otherwise.

    On a Redis Cluster their keys lie on the node of `redis_server.url`, but the queues ask
    another one and are sent there.
    """
    made: list[WorkQueue] = []
    shared, url = f"test {next(_numbers)}", redis_server.url
    if isinstance(redis_server, RedisCluster):
        shared, url = redis_server.name_here(shared), redis_server.other_url

    def make(worker: str = "worker-a", *, name: str = shared, **options: object) -> WorkQueue:
        options.setdefault("url", url)
        queue = WorkQueue(name, worker=worker, **options)
        made.append(queue)
        return queue

    yield make
    for queue in made:
        queue.close()
    with WorkQueue(shared, url=url) as queue:
        if queue._store.link.command("TYPE", shared) in (b"list", b"none"):
            queue.clear()
        queue._store.link.command("DEL", shared)


def run_out(queue: WorkQueue, *leases: Lease) -> None:
    """Let leases run out now, so that a test need not be faster than a short lease."""
    queue.stats()  # leads to the node of a Redis Cluster that has the queue
    for lease in leases:
        queue._store.link.command("ZADD", f"{{{queue.name}}}:leases", "XX", 1, lease.id)


def soon(condition: object, seconds: float = 30.0) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


@pytest.fixture
def queue(make_queue: MakeQueue) -> WorkQueue:
    """An empty queue."""
    return make_queue()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A local cluster of our own, which ends with this module."""
    if REAL:
        yield
        return
    from wqlib.cluster import local

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WQLIB_HOME", str(tmp_path_factory.mktemp("home")))
        yield
        local.stop()


@pytest.fixture(scope="module")
def cluster(home: None) -> Iterator[Cluster]:
    """A namespace of our own; nothing of it is left at the end."""
    with connect(namespace=f"wq-test-{secrets.token_hex(3)}") as cluster:
        try:
            yield cluster
        finally:
            cluster.clean_up()


@pytest.fixture
def fresh(cluster: Cluster) -> Cluster:
    """The same, without the pods and Jobs that an earlier test left."""
    for pod in cluster.pods():
        if not pod.job and pod.name != "redis":
            cluster.delete(f"pod/{pod.name}", grace_seconds=0)
    for job in cluster.batch.list_namespaced_job(cluster.namespace).items:
        cluster.delete(f"job/{job.metadata.name}", grace_seconds=0)
    return cluster
