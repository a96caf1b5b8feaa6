"""`wqlib metrics`, scraped over HTTP as Prometheus does it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from conftest import MakeQueue, run_out, soon
from prometheus_client.parser import text_string_to_metric_families

from wqlib.commands import cli
from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer

Samples = dict[tuple[str, ...], float]
Start = Callable[..., "Exporter"]


class Exporter:
    """A running `wqlib metrics`."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wqlib.commands.cli", "metrics", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip().removeprefix("Serving ")

    def text(self) -> str:
        # No proxy: the environment may name one.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url, timeout=30) as answer:
            return answer.read().decode()

    def scrape(self) -> Samples:
        """Each sample's value by its name and the values of its labels."""
        return {
            (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code, and what it said on standard error."""
        self.process.send_signal(number)
        return self.process.wait(20), self.process.communicate()[1]


@pytest.fixture
def start() -> Iterator[Start]:
    exporters: list[Exporter] = []

    def begin(*arguments: str) -> Exporter:
        exporters.append(Exporter(*arguments))
        return exporters[-1]

    yield begin
    for exporter in exporters:
        exporter.process.kill()
        exporter.process.communicate()


@pytest.fixture
def story(make_queue: MakeQueue) -> WorkQueue:
    """A queue in which everything happened: the numbers of its stats all differ."""
    queue = make_queue(max_attempts=1)
    queue.put(range(20))
    for _ in range(5):
        queue.complete(queue.lease())
    for _ in range(3):
        queue.fail(queue.lease(), "no luck")
    for _ in range(2):
        queue.lease(wait_seconds=0)
    queue.release(queue.lease(), "later")
    short = make_queue("worker-b", lease_seconds=0.01, max_attempts=None)
    short.lease()
    soon(lambda: short.exchange((), 0) == [] and queue.stats().expired == 1)
    return queue


def test_a_scrape_gives_the_numbers_of_the_queue(
    story: WorkQueue, redis_server: RedisServer, start: Start
) -> None:
    exporter = start(story.name, "--redis", redis_server.url, "--port", "0")
    name, stats = story.name, story.stats()
    expected = {
        ("wqlib_up", name): 1,
        ("wqlib_queue_items", name, "pending"): stats.pending,
        ("wqlib_queue_items", name, "leased"): 2,
        ("wqlib_queue_items", name, "dead"): 3,
        ("wqlib_leases_overdue", name): 0,
        ("wqlib_items_put_total", name): 20,
        ("wqlib_items_completed_total", name): 5,
        ("wqlib_leases_total", name): stats.leases,
        ("wqlib_leases_expired_total", name): 1,
        ("wqlib_leases_released_total", name): 1,
        ("wqlib_leases_failed_total", name): 3,
        ("wqlib_items_dropped_total", name): 0,
    }
    assert exporter.scrape() == expected
    assert stats.pending == 10
    assert stats.leases == 12
    story.put(["more"])  # each scrape reads anew
    assert exporter.scrape()["wqlib_items_put_total", name] == 21
    assert exporter.end() == (0, "")


def test_each_metric_says_its_type_and_meaning(
    story: WorkQueue, redis_server: RedisServer, start: Start
) -> None:
    exporter = start(story.name, "--redis", redis_server.url, "--port", "0")
    families = list(text_string_to_metric_families(exporter.text()))
    assert len(families) == 10
    for family in families:
        assert family.documentation.endswith(".")
        counts = all(sample.name.endswith("_total") for sample in family.samples)
        assert family.type == ("counter" if counts else "gauge")


def test_leases_that_nobody_takes_back_are_overdue_until_a_worker_asks(
    queue: WorkQueue, redis_server: RedisServer, start: Start
) -> None:
    queue.put(["a", "b", "c"])
    lost = [queue.lease(), queue.lease()]
    queue.lease()
    exporter = start(queue.name, "--redis", redis_server.url, "--port", "0")
    run_out(queue, *lost)
    assert exporter.scrape()["wqlib_leases_overdue", queue.name] == 2
    queue.lease()
    assert exporter.scrape()["wqlib_leases_overdue", queue.name] == 0


def test_several_queues_with_odd_names(
    redis_server: RedisServer, make_queue: MakeQueue, start: Start
) -> None:
    odd = 'a "b"\\ \n c'
    with make_queue(name=odd) as queue, make_queue(name="other") as other:
        queue.put(["x", "y"])
        exporter = start(odd, "other", odd, "--redis", redis_server.url, "--port", "0")
        samples = exporter.scrape()
        assert samples["wqlib_queue_items", odd, "pending"] == 2
        assert samples["wqlib_queue_items", "other", "pending"] == 0
        queue.clear()
        other.clear()


def test_many_scrapes_at_once(story: WorkQueue, redis_server: RedisServer, start: Start) -> None:
    exporter = start(story.name, "--redis", redis_server.url, "--port", "0")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: exporter.scrape(), range(40)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["wqlib_up", story.name] == 1


def test_one_bad_queue_does_not_hide_the_others(
    queue: WorkQueue, redis_server: RedisServer, start: Start
) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.set("no queue", "text")
    exporter = start("no queue", queue.name, "--redis", redis_server.url, "--port", "0")
    samples = exporter.scrape()
    assert samples["wqlib_up", "no queue"] == 0
    assert samples["wqlib_up", queue.name] == 1
    assert ("wqlib_queue_items", "no queue", "pending") not in samples
    client.delete("no queue")
    client.close()
    exporter.scrape()
    code, said = exporter.end()
    assert code == 0
    assert "needs the key no queue, but that is a string" in said
    assert "no queue: is back" in said


def test_it_stays_up_while_redis_is_away(start: Start) -> None:
    with RedisServer(appendonly=True) as server:
        exporter = start("job2", "other", "--redis", server.url, "--port", "0")
        assert exporter.scrape()["wqlib_up", "job2"] == 1
        server.stop()
        for _ in range(2):
            assert exporter.scrape() == {("wqlib_up", "job2"): 0, ("wqlib_up", "other"): 0}
        server.start()
        assert exporter.scrape()["wqlib_up", "other"] == 1
    code, said = exporter.end()
    assert code == 0
    assert said.count("did not answer") == 1  # told once, not at each scrape
    assert "Traceback" not in said


def test_a_redis_that_hangs_is_told_before_prometheus_gives_up(start: Start) -> None:
    with RedisServer() as server:
        exporter = start("job2", "other", "--redis", server.url, "--port", "0")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(exporter.url, timeout=10) as answer:  # as long as Prometheus waits
                text = answer.read().decode()
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert 'wqlib_up{queue="job2"} 0.0' in text


def test_ctrl_c_ends_it(redis_server: RedisServer, start: Start) -> None:
    exporter = start("job2", "--redis", redis_server.url, "--port", "0")
    assert exporter.end(signal.SIGINT) == (130, "wqlib: interrupted\n")


def test_a_port_that_is_taken_is_named(redis_server: RedisServer, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        exporter = start("job2", "--redis", redis_server.url, "--port", port)
        said = exporter.process.communicate()[1]
    assert exporter.process.returncode == 1
    assert said.startswith(f"wqlib: Cannot listen on 127.0.0.1:{port} (")
    assert "Choose another port" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["job2", "--port", "70000"], "Cannot listen on 127.0.0.1:70000"),
        (["job2", "--address", "256.1.1.1"], "Cannot listen on 256.1.1.1"),
    ],
)
def test_where_it_cannot_listen(arguments: list[str], complaint: str, capsys) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["metrics", *arguments]) == 1
    signal.signal(signal.SIGTERM, before)
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["a{b}"], "must not contain"),
        (["job2", "--redis", "http://x"], "not the URL of a Redis server"),
    ],
)
def test_a_bad_command_line_is_refused(arguments: list[str], complaint: str, capsys) -> None:
    assert cli.main(["metrics", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from wqlib.commands import cli; sys.exit(cli.main(['metrics', 'job2']))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 1
    assert "needs the package prometheus_client" in run.stderr
    assert "'wqlib[metrics]'" in run.stderr
