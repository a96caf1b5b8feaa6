"""`WorkQueue.export`: all of it, from one moment, and little of it in memory at a time."""

from __future__ import annotations

import io
import os
import re
import tracemalloc
from pathlib import Path

import pytest
import redis
from conftest import MakeQueue

from wqlib.errors import QueueError
from wqlib.queue import WorkQueue
from wqlib.queue.export import BadQueueFile, Entry, read
from wqlib.queue.store import TYPES
from wqlib.redisserver import RedisServer

pytestmark = pytest.mark.every_server

ROOT = Path(__file__).parents[2]


def exported(queue: WorkQueue) -> tuple[dict[str, int], list[Entry]]:
    file = io.StringIO()
    numbers = queue.export(file)
    return numbers, list(read(file.getvalue().encode().splitlines()))


def test_leased_items_come_by_deadline_then_the_list_then_dead_items_by_number(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue(max_attempts=1)
    queue.put([f"dead {number}" for number in range(1, 13)])
    for lease in reversed(queue.exchange((), 12)):
        queue.fail(lease, "no luck")
    queue.put(["later", "sooner", "next", b"\xff\r\n$3\r\n", ""])
    later, _ = queue.exchange((), 2)
    queue.renew(later, 60)
    assert exported(queue) == (
        {"leased": 2, "pending": 3, "dead": 12},
        [
            Entry("leased", b"sooner"),
            Entry("leased", b"later"),
            Entry("pending", b"next"),
            Entry("pending", b"\xff\r\n$3\r\n"),
            Entry("pending", b""),
            *(Entry("dead", b"dead %d" % number) for number in range(1, 13)),
        ],
    )


def test_an_empty_queue_is_a_file_too(queue: WorkQueue) -> None:
    assert exported(queue) == ({"leased": 0, "pending": 0, "dead": 0}, [])


def test_the_memory_that_it_takes_does_not_grow_with_the_queue(make_queue: MakeQueue) -> None:
    queue = make_queue(max_attempts=1)
    queue.put(b"x" * 4000 for _ in range(8000))
    for _ in range(4):
        for lease in queue.exchange((), 500):
            queue.fail(lease)
        queue.exchange((), 500)
    with Path(os.devnull).open("w") as file:
        queue.export(file)  # what is loaded only once is loaded now
        tracemalloc.start()
        try:
            assert queue.export(file) == {"leased": 2000, "pending": 4000, "dead": 2000}
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 2**20  # of 32 MB


def test_a_connection_that_breaks_is_an_error_and_the_file_is_not_whole(
    queue: WorkQueue, redis_server: RedisServer
) -> None:
    queue.put(bytes(2**20) for _ in range(40))
    numbers = queue.stats()
    link = queue._store.link

    class Victim(io.StringIO):
        def writelines(self, lines: object) -> None:
            for line in lines:  # type: ignore[attr-defined]
                self.write(line)
                if len(self.getvalue()) < 1000:
                    host, port = link.node
                    with redis.Redis(
                        host=host, port=port, password=link.address.password
                    ) as client:
                        client.execute_command("CLIENT", "KILL", "TYPE", "normal")

    file = Victim()
    with pytest.raises(QueueError, match="Redis did not return the whole queue: the connection"):
        queue.export(file)
    assert numbers.pending == queue.stats().pending == 40
    with pytest.raises(BadQueueFile, match="The file is incomplete"):
        list(read(file.getvalue().encode().splitlines()))


def test_only_the_queue_spells_its_keys() -> None:
    key = re.compile(rf"\}}:({'|'.join(TYPES)}|call)\b")
    files = [path for path in (ROOT / "wqlib").rglob("*.py") if path.parent.name != "queue"]
    assert len(files) > 50
    spelt = [
        f"{path.name}: {line.strip()}"
        for path in files
        for line in path.read_text().splitlines()
        if key.search(line) and "Redis stream `{name}:events`" not in line  # a docstring
    ]
    assert spelt == []
    assert key.search('f"{{{name}}}:leases"')
