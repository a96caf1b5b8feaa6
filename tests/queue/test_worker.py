"""The worker's loop: real processes on a real redis-server."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import MakeQueue, Spawn, soon

from wqlib import tasks
from wqlib.errors import EXIT_OK, RedisUnreachable
from wqlib.queue import WorkQueue, link
from wqlib.queue.items import Lease
from wqlib.queue.renewer import Renewer
from wqlib.redisserver import RedisServer
from wqlib.worker import Worker
from wqlib.worker.shutdown import OutOfTime, Shutdown

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(spawn: Spawn, queue: WorkQueue, redis_server: RedisServer, tmp_path: Path) -> Start:
    """Starts workers as a Job does, with all options in the environment."""
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "def nap(item):\n"
        "    time.sleep(float(item))\n"
        "    return 'rested'\n"
        "def ends(item):\n"
        "    import asyncio, signal, sys\n"
        "    class Odd(Exception):\n"
        "        def __str__(self): raise ValueError\n"
        "    if item == b'exit': sys.exit(0)\n"
        "    if item == b'int': return 7\n"
        "    if item == b'large': return bytes(2**20 + 1)\n"
        "    if item == b'surrogate': return chr(0xd800)\n"
        "    if item == b'odd': raise Odd\n"
        "    if item == b'cancelled': raise asyncio.CancelledError\n"
        "    if item == b'alarm':\n"
        "        signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "        time.sleep(0.2)\n"
        "    return 'fine'\n"
        "def boom(item):\n"
        "    raise ValueError('no \\x1b[31m\\n luck')\n"
    )

    def begin(name: str = "pod-a", **environment: str) -> subprocess.Popen[str]:
        return spawn(
            [sys.executable, "-m", "wqlib.worker"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(tmp_path),
                "HOSTNAME": name,
                "REDIS_SERVICE_HOST": "127.0.0.1",
                "REDIS_SERVICE_PORT": str(redis_server.port),
                "REDIS_PORT": "tcp://10.0.0.1:6379",  # the trap that Kubernetes sets
                "REDIS_PASSWORD": redis_server.password,
                "WQLIB_QUEUE": queue.name,
                "WQLIB_TASK": "slow:nap",
                **environment,
            },
        )

    return begin


def kinds(queue: WorkQueue) -> list[str]:
    return [event.kind for event in queue.events()]


def until_it_works(process: subprocess.Popen[str]) -> None:
    """Return when the worker is in a task: before, a signal would let it give the item back."""
    assert process.stdout
    assert any(line.startswith("Working on") for line in process.stdout)


def output(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=30)[0]


def test_two_workers_share_the_items_and_exit_0_when_drained(
    queue: WorkQueue, start: Start
) -> None:
    queue.put(["0.02"] * 20)
    first, second = start("pod-a"), start("pod-b")
    texts = [output(first), output(second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert sum(text.count("Working on 0.02\n") for text in texts) == 20
    assert all("has drained" in text for text in texts)
    assert queue.stats().done == 20
    assert set(queue.results().values()) == {b"rested"}


def test_an_empty_queue_is_a_drained_one(start: Start) -> None:
    process = start()
    assert "done here: 0" in output(process)
    assert process.returncode == 0


def test_a_worker_whose_redis_is_not_there_says_where_it_looks_and_why_it_waits(
    start: Start,
) -> None:
    process = start(WQLIB_REDIS_URL="redis://:hunter2@127.0.0.1:1", WQLIB_PATIENCE_SECONDS="5")
    first, second, *_, last = output(process).splitlines()
    assert first.startswith("Worker pod-a on queue test")
    assert first.endswith(" is looking for Redis at 127.0.0.1:1")
    assert second == "Waiting for Redis at 127.0.0.1:1: nothing listens there"
    assert "did not answer for 5 s" in last
    assert process.returncode == 1


@pytest.mark.parametrize("endless", ["", "1"])
def test_a_worker_whose_redis_goes_away_says_so_and_when_it_is_back(
    start: Start, endless: str
) -> None:
    with RedisServer(appendonly=True) as server, WorkQueue("q", url=server.url) as queue:
        if not endless:
            queue.put(["0.2"])
        process = start(WQLIB_REDIS_URL=server.url, WQLIB_QUEUE="q", WQLIB_ENDLESS=endless)
        assert process.stdout
        assert "pending:" in process.stdout.readline()
        if not endless:
            assert "Working" in process.stdout.readline()
        server.stop()
        away = process.stdout.readline()
        server.start()
        back = process.stdout.readline()
        process.terminate()
        rest = output(process)
    assert away.startswith(f"Waiting for Redis at 127.0.0.1:{server.port}: ")
    assert back.startswith(f"Redis at 127.0.0.1:{server.port} answers, after ")
    assert "Waiting" not in rest


def test_a_long_wait_is_spoken_of_again_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(link, "_QUIET_SECONDS", 0.01)
    monkeypatch.setattr(link, "_EACH_SECONDS", 0.5)
    queue = WorkQueue("q", host="127.0.0.1", port=1, patience_seconds=3)
    with queue, pytest.raises(RedisUnreachable):
        queue.lease()
    lines = [record.message for record in caplog.records if record.name == "wqlib.queue"]
    assert lines[0] == "Waiting for Redis at 127.0.0.1:1: nothing listens there"
    first, last = caplog.records[0], caplog.records[-1]
    assert (vars(first)["queue"], vars(first)["redis"]) == ("q", "127.0.0.1:1")
    assert 0 < vars(first)["waited_seconds"] < vars(last)["waited_seconds"]
    assert 1 < len(lines) <= 7
    assert "s now: nothing listens there" in lines[-1]


def test_a_worker_that_waits_picks_up_what_a_killed_one_held(
    queue: WorkQueue, start: Start
) -> None:
    queue.put("2")
    first = start("pod-a", WQLIB_LEASE_SECONDS="1")
    until_it_works(first)
    first.kill()
    second = start("pod-b", WQLIB_LEASE_SECONDS="1")
    assert "(attempt 2)" in output(second)
    assert second.returncode == 0
    assert queue.stats().done == 1


def test_a_task_that_outlasts_its_lease_is_renewed(queue: WorkQueue, start: Start) -> None:
    queue.put("3")
    process = start(WQLIB_LEASE_SECONDS="1.5")
    output(process)
    stats = queue.stats()
    assert (process.returncode, stats.done, stats.expired) == (0, 1, 0)
    assert kinds(queue).count("renew") >= 3


def test_a_frozen_worker_drops_its_result(queue: WorkQueue, start: Start) -> None:
    queue.put("2")
    zombie = start("zombie", WQLIB_LEASE_SECONDS="0.6")
    until_it_works(zombie)
    zombie.send_signal(signal.SIGSTOP)
    time.sleep(0.8)
    other = start("other", WQLIB_LEASE_SECONDS="30")
    output(other)
    zombie.send_signal(signal.SIGCONT)
    assert "the result is dropped" in output(zombie)
    assert zombie.returncode == 0
    stats = queue.stats()
    assert (stats.done, stats.expired) == (1, 1)


def test_sigterm_lets_the_item_finish_and_exits_143_while_work_is_left(
    queue: WorkQueue, start: Start
) -> None:
    queue.put(["2", "0.1"])
    process = start()
    until_it_works(process)
    process.terminate()
    assert "Stopped by SIGTERM, done here: 1" in output(process)
    assert process.returncode == 143
    stats = queue.stats()
    assert (stats.done, stats.pending, stats.leased) == (1, 1, 0)


def test_sigterm_after_the_last_item_exits_0(queue: WorkQueue, start: Start) -> None:
    queue.put("2")
    process = start()
    until_it_works(process)
    process.terminate()
    output(process)
    assert (process.returncode, queue.stats().done) == (0, 1)


def test_sigterm_releases_an_item_that_takes_longer_than_the_grace(
    queue: WorkQueue, start: Start
) -> None:
    queue.put("60")
    process = start(WQLIB_GRACE_SECONDS="0.3")
    until_it_works(process)
    process.terminate()
    assert "Released 60" in output(process)
    assert process.returncode == 143
    stats = queue.stats()
    assert (stats.pending, stats.leased, stats.released, stats.failed) == (1, 0, 1, 0)


def test_sigterm_ends_a_worker_that_waits(queue: WorkQueue, start: Start) -> None:
    process = start(WQLIB_ENDLESS="1")
    assert process.stdout
    assert "pending: 0" in process.stdout.readline()
    time.sleep(0.3)
    process.terminate()
    output(process)
    assert process.returncode == 0  # drained


def test_an_endless_worker_goes_on_when_new_items_come(queue: WorkQueue, start: Start) -> None:
    process = start(WQLIB_ENDLESS="1")
    for done in (1, 2):
        queue.put("0.01")
        soon(lambda: queue.stats().done == done)  # noqa: B023
        time.sleep(0.2)
    assert process.poll() is None


def test_a_batch_is_one_exchange(queue: WorkQueue, start: Start) -> None:
    queue.put(["0.001"] * 64)
    output(start(WQLIB_BATCH="16"))
    # There may be more with completions: what is done does not wait for long.
    assert len({e.stream_id for e in queue.events() if e.kind == "lease"}) == 4
    assert queue.stats().done == 64


def test_sigterm_in_a_batch_releases_what_was_not_begun(queue: WorkQueue, start: Start) -> None:
    queue.put(["0.5"] * 4)
    process = start(WQLIB_BATCH="4")
    soon(lambda: queue.stats().leased == 4)
    process.terminate()
    output(process)
    stats = queue.stats()
    assert (process.returncode, stats.leased, stats.failed) == (143, 0, 0)
    assert stats.done + stats.pending == 4


def test_a_task_that_raises_fails_its_item_and_the_worker_goes_on(
    queue: WorkQueue, start: Start
) -> None:
    queue.put(["a", "b"])
    process = start(WQLIB_TASK="slow:boom", WQLIB_MAX_ATTEMPTS="2")
    text = output(process)
    assert process.returncode == 0
    assert text.count("it is dead now") == 2
    assert "\x1b" not in text
    assert [dead.item for dead in queue.dead_items()] == [b"a", b"b"]


def test_no_item_ends_the_worker(queue: WorkQueue, start: Start) -> None:
    bad = ["exit", "int", "large", "surrogate", "odd", "cancelled"]
    queue.put([*bad, "alarm", "good"])
    process = start(WQLIB_TASK="slow:ends", WQLIB_MAX_ATTEMPTS="2", WQLIB_BATCH="4")
    text = output(process)
    assert process.returncode == 0, text
    assert sorted(dead.item.decode() for dead in queue.dead_items()) == sorted(bad)
    assert sorted(queue.results().values()) == [b"fine", b"fine"]


def test_sigterm_while_redis_hangs_ends_within_the_grace(start: Start) -> None:
    with RedisServer() as server, WorkQueue("job2", url=server.url) as queue:
        queue.put(["30"] * 4)
        process = start(WQLIB_REDIS=server.url, WQLIB_QUEUE="job2", WQLIB_BATCH="4",
                        WQLIB_GRACE_SECONDS="0.2")  # fmt: skip
        soon(lambda: queue.stats().leased == 4)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            process.terminate()
            process.wait(12)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert process.returncode == 143


def test_an_item_is_logged_harmlessly_on_one_line(queue: WorkQueue, start: Start) -> None:
    queue.put([b"\x1b[2J\n" + b"\xff" * 3 + b"y" * 1000])
    text = output(start(WQLIB_TASK="slow:boom", WQLIB_MAX_ATTEMPTS="1"))
    line = next(line for line in text.splitlines() if line.startswith("Working on"))
    assert line.startswith("Working on \\x1b[2J\\n\\xff\\xff\\xffyyy")
    assert line.endswith("...")
    assert len(line) < 300


def test_redis_away_for_a_while_is_survived(tmp_path: Path) -> None:
    with RedisServer(appendonly=True) as server, WorkQueue("job2", url=server.url) as queue:
        queue.put(["prime"] + ["1-2000"] * 30)
        queue.lease()  # somebody else's, which keeps the queue from draining
        process = subprocess.Popen(
            [sys.executable, "-m", "wqlib.worker", "--task", "primes", "--redis", server.url],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            soon(lambda: queue.stats().done == 30)
            time.sleep(1.5)  # the append-only file is synced every second
            server.stop()
            time.sleep(1.0)
            assert process.poll() is None
            server.start()
            queue.patience_seconds = 30
            queue.put("1-10")
            soon(lambda: queue.stats().done == 31, 40)
        finally:
            process.kill()
            process.communicate()


def test_redis_away_for_good_ends_it_with_plain_words() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wqlib.worker", "--redis", "redis://127.0.0.1:1"],
        env={**os.environ, "WQLIB_PATIENCE_SECONDS": "0.3"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "did not answer" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--task", "nonsense"], "Known are fruit, primes, wait"),
        (["--task", "no_such_module:f"], "cannot be loaded"),
        (["--batch", "0"], "batch is 0"),
        (["--queue", "a{b}"], "must not contain"),
        (["--lease-seconds", "x"], "invalid float value"),
    ],
)
def test_a_bad_option_is_refused(arguments: list[str], complaint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wqlib.worker", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_the_worker_needs_neither_kubernetes_nor_jupyter() -> None:
    code = "import sys, wqlib.worker; print(sorted({m.split('.')[0] for m in sys.modules}))"
    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "redis" in names
    for absent in ("kubernetes", "IPython", "ipywidgets", "matplotlib", "tornado", "yaml"):
        assert f"'{absent}'" not in names


def test_it_can_run_inside_a_program(make_queue: MakeQueue) -> None:
    queue = make_queue("notebook")
    queue.put(["apple", "fig"])
    loop = Worker(queue, lambda item: item.upper())
    assert loop.run() == EXIT_OK
    assert loop.items_done == 2
    assert sorted(queue.results().values()) == [b"APPLE", b"FIG"]


class TestTasks:
    def test_primes_are_counted(self) -> None:
        assert tasks.primes(b"1-100") == "25"
        assert tasks.primes(b"7-7") == "1"

    def test_a_mandelbrot_tile_has_a_byte_a_pixel(self) -> None:
        tile = b'{"left":-2,"top":1,"step":0.5,"width":6,"height":5,"limit":50}'
        pixels = tasks.mandelbrot(tile)
        assert len(pixels) == 30
        assert pixels[2 * 6 + 4] == 50  # 0+0i is inside
        assert pixels[0] < 3  # -2+1i is far outside

    def test_a_tile_takes_as_long_as_one_wants_to_watch(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ITEM_SECONDS", "0.2")
        before = time.monotonic()
        tasks.mandelbrot(b'{"left":-2,"top":1,"step":1,"width":1,"height":1,"limit":1}')
        assert time.monotonic() - before >= 0.2

    def test_waiting_takes_as_long_as_the_item_says(self) -> None:
        before = time.monotonic()
        assert tasks.wait(b"0.2") == "waited 0.2 s"
        assert time.monotonic() - before >= 0.2

    @pytest.mark.parametrize("number", [1, 2, 12, 49, 97, 360, 600851475143, 99991 * 99989, 2**40])
    def test_the_factors_of_a_number_are_primes_whose_product_it_is(self, number: int) -> None:
        found = [int(factor) for factor in tasks.factors(b"%d" % number).split()]
        assert math.prod(found) == number
        assert all(tasks.primes(b"%d-%d" % (one, one)) == "1" for one in found)
        assert found == sorted(found)

    @pytest.mark.parametrize("item", [b"0", b"-6", b"apple", b"1.5"])
    def test_what_is_no_number_has_no_factors(self, item: bytes) -> None:
        with pytest.raises(ValueError, match=r"no prime factors|invalid literal"):
            tasks.factors(item)

    def test_a_fruit_has_letters_unless_it_is_poison(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ITEM_SECONDS", "0")
        assert tasks.fruit(b"fig") == "3 letters"
        with pytest.raises(ValueError, match="rotten"):
            tasks.fruit(b"poison")


class Renewals:
    """Stands for a queue: notes what is renewed, and loses what it is told to lose."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[int], float]] = []
        self.lost: set[int] = set()
        self.away = False

    def renew_all(self, leases: list[Lease], seconds: float, notes: dict[str, str]) -> list[Lease]:
        self.calls.append(([lease.item_id for lease in leases], seconds))
        if self.away:
            raise RedisUnreachable("away")
        return [lease for lease in leases if lease.item_id not in self.lost]


class TestRenewer:
    ONE, TWO = (Lease(f"{number}-1@a", b"", 0.0) for number in (1, 2))

    @pytest.fixture
    def renewals(self) -> Renewals:
        return Renewals()

    @pytest.fixture
    def renewer(self, renewals: Renewals) -> Iterator[Renewer]:
        self.troubles: list[Exception] = []
        renewer = Renewer(renewals, self.troubles.append)  # type: ignore[arg-type]
        yield renewer
        renewer.stop(5.0)
        assert not [t for t in threading.enumerate() if t.name == "wqlib-renew"]

    def test_what_is_held_is_renewed_together_again_and_again_until_it_is_dropped(
        self, renewer: Renewer, renewals: Renewals
    ) -> None:
        renewer.hold([self.ONE, self.TWO], 0.2)
        soon(lambda: len(renewals.calls) >= 2)
        assert renewals.calls[:2] == [([1, 2], 0.2)] * 2
        renewer.drop(self.ONE)
        time.sleep(0.1)  # one may be on its way
        renewals.calls.clear()
        soon(lambda: renewals.calls)
        assert renewals.calls[0] == ([2], 0.2)
        assert renewer.drop_all() == [self.TWO]

    def test_a_short_lease_is_renewed_in_time_while_a_long_one_waits(
        self, renewer: Renewer, renewals: Renewals
    ) -> None:
        renewer.hold([self.ONE], 3600.0)
        renewer.hold([self.TWO], 0.1)
        soon(lambda: len(renewals.calls) >= 3)
        assert {(tuple(ids), seconds) for ids, seconds in renewals.calls} == {((2,), 0.1)}

    def test_a_failure_is_tried_again_four_times_as_often(
        self, renewer: Renewer, renewals: Renewals
    ) -> None:
        renewals.away = True
        began = time.monotonic()
        renewer.hold([self.ONE], 1.6)
        soon(lambda: len(self.troubles) >= 9)
        # At a quarter of the lease and then every sixteenth; every quarter would take 3.6 s.
        assert 0.4 + 8 * 0.1 <= time.monotonic() - began < 9 * 0.4

    def test_what_is_lost_is_renewed_no_longer(self, renewer: Renewer, renewals: Renewals) -> None:
        renewals.lost = {1}
        renewer.hold([self.ONE, self.TWO], 0.1)
        soon(lambda: ([2], 0.1) in renewals.calls)
        assert renewer.drop_all() == [self.TWO]

    def test_trouble_is_told_and_it_is_tried_again(
        self, renewer: Renewer, renewals: Renewals
    ) -> None:
        renewals.away = True
        renewer.hold([self.ONE], 0.1)
        soon(lambda: len(self.troubles) >= 2)
        assert str(self.troubles[0]) == "away"
        assert renewer.drop_all() == [self.ONE]


class TestShutdown:
    def test_a_task_may_finish_within_the_grace(self) -> None:
        told: list[str] = []
        with Shutdown(30.0, lambda: told.append("begin"), lambda: told.append("hurry")) as shutdown:
            assert not shutdown.is_requested
            assert shutdown.call(self.terminated, b"apple") == b"apple"
            assert shutdown.is_requested
            shutdown.stop_clock()
        assert told == ["begin"]

    def test_a_task_is_ended_after_the_grace_and_told_so_again_until_the_clock_stops(self) -> None:
        told: list[str] = []
        with Shutdown(0.05, lambda: told.append("begin"), lambda: told.append("hurry")) as shutdown:
            with pytest.raises(OutOfTime):
                shutdown.call(lambda item: self.terminated(item) and time.sleep(30), b"apple")
            soon(lambda: told.count("hurry") >= 2)
            shutdown.stop_clock()
        assert told[:2] == ["begin", "hurry"]

    def test_the_signals_do_afterwards_what_they_did_before(self) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)]
        with Shutdown(1.0, lambda: None, lambda: None):
            assert signal.getsignal(signal.SIGTERM) not in before
        assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)]

    def test_a_child_that_a_task_forked_dies_of_sigterm(self) -> None:
        with Shutdown(30.0, lambda: None, lambda: None) as shutdown:
            child = os.fork()
            if not child:
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(1)
            assert os.waitpid(child, 0)[1] == signal.SIGTERM
            assert not shutdown.is_requested

    @staticmethod
    def terminated(item: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGTERM)
        return item
