"""What the tests share: one real redis-server, and queues on it that are wiped afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer

_numbers = itertools.count(1)

MakeQueue = Callable[..., WorkQueue]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A redis-server of our own, for all tests that do not restart it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def make_queue(redis_server: RedisServer) -> Iterator[MakeQueue]:
    """Makes queues; those of one test share a name unless told otherwise."""
    made: list[WorkQueue] = []
    shared = f"test {next(_numbers)}"

    def make(worker: str = "worker-a", *, name: str = shared, **options: object) -> WorkQueue:
        options.setdefault("url", redis_server.url)
        queue = WorkQueue(name, worker=worker, **options)
        made.append(queue)
        return queue

    yield make
    for queue in made:
        queue.close()
    with WorkQueue(shared, url=redis_server.url) as queue:
        if queue._link.command("TYPE", shared) in (b"list", b"none"):
            queue.clear()
        queue._link.command("DEL", shared)


@pytest.fixture
def queue(make_queue: MakeQueue) -> WorkQueue:
    """An empty queue."""
    return make_queue()
