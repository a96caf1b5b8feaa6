"""A worker with several items at a time, with limits, and with ended items that must not wait."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Spawn, soon

from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer
from wqlib.worker import Worker, progress

Start = Callable[..., "subprocess.Popen[str]"]

TASKS = """
import asyncio, os, pathlib, signal, subprocess, time
from wqlib.worker import progress

def work(item):
    what, _, number = item.decode().partition(" ")
    if what == "nap": time.sleep(float(number))
    if what == "told":
        progress("page 3"); time.sleep(float(number))
    if what == "raise": raise ValueError("no luck")
    if what == "exit": os._exit(7)
    if what == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if what == "int": return 7
    if what == "close": os.closerange(3, 100); time.sleep(60)
    if what == "fork" and not os.fork(): time.sleep(60)
    if what == "fork": os._exit(3)
    if what == "starts": subprocess.run(["sleep", "60"], check=False)
    if what == "ends":
        other = subprocess.Popen(["sleep", "60"])
        other.terminate()
        return str(other.wait())
    return f"done {number}"

async def awork(item):
    what, _, number = item.decode().partition(" ")
    if what == "block": time.sleep(float(number))
    if what == "thread": await asyncio.to_thread(time.sleep, float(number))
    try:
        if what == "nap": await asyncio.sleep(float(number))
        if what == "told":
            progress("page 3"); await asyncio.sleep(float(number))
    except asyncio.CancelledError:
        pathlib.Path(os.environ["CANCELLED"]).touch()
        raise
    if what == "raise": raise ValueError("no luck")
    if what == "int": return 7
    return f"done {number}"
"""


@pytest.fixture
def start(spawn: Spawn, queue: WorkQueue, redis_server: RedisServer, tmp_path: Path) -> Start:
    """Starts workers with settings such as `concurrency=4`."""
    (tmp_path / "many.py").write_text(TASKS)

    def begin(
        task: str = "work", encoding: str = "utf-8", **settings: object
    ) -> subprocess.Popen[str]:
        return spawn(
            [sys.executable, "-m", "wqlib.worker"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(tmp_path),
                "HOSTNAME": "pod-a",
                "WQLIB_REDIS_URL": redis_server.url,
                "WQLIB_QUEUE": queue.name,
                "WQLIB_TASK": f"many:{task}",
                "CANCELLED": str(tmp_path / "cancelled"),
                "PYTHONIOENCODING": encoding,
                **{f"WQLIB_{name.upper()}": str(value) for name, value in settings.items()},
            },
        )

    return begin


def output(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0]


MANNERS = [
    pytest.param({"task": "work", "concurrency": 4}, id="threads"),
    pytest.param({"task": "awork", "concurrency": 4}, id="async"),
    pytest.param({"task": "work", "concurrency": 4, "isolation": "process"}, id="processes"),
]


@pytest.mark.parametrize("manner", MANNERS)
def test_several_at_a_time_each_with_its_own_end(
    queue: WorkQueue, start: Start, manner: dict[str, Any]
) -> None:
    queue.put(["nap 0.3"] * 8 + ["raise 1", "int 2"] + [f"quick {i}" for i in range(30)])
    process = start(**manner, max_attempts=2)
    text = output(process)
    stats = queue.stats()
    assert (process.returncode, stats.done, stats.dead, stats.leased) == (0, 38, 2, 0), text
    assert stats.failed == 4
    assert Counter(queue.results().values())[b"done 0.3"] == 8
    assert text.count("Working on nap 0.3\n") == 8
    assert "Failed on raise 1: ValueError: no luck; it is dead now" in text
    spans = [(e.began, e.ended) for e in queue.events() if e.kind == "complete"]
    assert max(sum(a <= began < b for a, b in spans) for began, _ in spans) > 1


@pytest.mark.parametrize("manner", MANNERS)
def test_no_more_are_worked_on_at_a_time_than_asked_for(
    queue: WorkQueue, start: Start, manner: dict[str, Any]
) -> None:
    queue.put(["nap 0.1"] * 12)
    output(start(**manner))
    spans = [(e.began, e.ended) for e in queue.events() if e.kind == "complete"]
    # Ends and beginnings are told to a millisecond.
    most = max(sum(a <= began + 0.002 < b - 0.002 for a, b in spans) for began, _ in spans)
    assert 2 <= most <= 4


@pytest.mark.parametrize("manner", MANNERS)
def test_sigterm_lets_what_runs_finish_and_gives_the_rest_back(
    queue: WorkQueue, start: Start, manner: dict[str, Any]
) -> None:
    queue.put(["nap 1"] * 10)
    process = start(**manner, batch=8)
    soon(lambda: queue.stats().leased == 8)
    assert process.stdout
    assert [line for line in (process.stdout.readline() for _ in range(5)) if "Working" in line]
    process.terminate()
    text = output(process)
    stats = queue.stats()
    assert process.returncode == 143, text
    assert (stats.leased, stats.failed, stats.expired) == (0, 0, 0)
    assert 1 <= stats.done <= 4
    assert stats.done + stats.pending == 10


@pytest.mark.parametrize("manner", MANNERS)
def test_after_the_grace_what_still_runs_is_released(
    queue: WorkQueue, start: Start, manner: dict[str, Any]
) -> None:
    queue.put(["nap 60"] * 4)
    process = start(**manner, grace_seconds=0.3)
    soon(lambda: queue.stats().leased == 4)
    process.terminate()
    assert "Released nap 60, nap 60" in output(process)
    assert process.returncode == 143
    stats = queue.stats()
    assert (stats.pending, stats.leased, stats.released, stats.failed) == (4, 0, 4, 0)


@pytest.mark.parametrize("manner", MANNERS)
def test_an_attempt_that_takes_too_long_has_failed_and_the_others_go_on(
    queue: WorkQueue, start: Start, manner: dict[str, Any], tmp_path: Path
) -> None:
    queue.put(["nap 3600", *[f"quick {i}" for i in range(20)], "nap 0.1"])
    process = start(**{**manner, "concurrency": 2}, item_seconds=2, max_attempts=1)
    text = output(process)
    (dead,) = queue.dead_items()
    assert process.returncode == 0, text
    assert (dead.item, queue.stats().done) == (b"nap 3600", 21)
    assert dead.error.startswith("TimeoutError: it took longer than 2 s")
    assert ("is abandoned" in dead.error) == (manner == {"task": "work", "concurrency": 4})
    if manner["task"] == "awork":
        assert (tmp_path / "cancelled").exists()


def test_a_task_that_kills_its_process_loses_its_item_and_not_its_worker(
    queue: WorkQueue, start: Start
) -> None:
    queue.put(["kill 1", "exit 2", *[f"quick {i}" for i in range(5)]])
    process = start(isolation="process", max_attempts=2)
    text = output(process)
    assert process.returncode == 0, text
    errors = {dead.item: dead.error for dead in queue.dead_items()}
    assert "was ended by SIGKILL: was it out of memory?" in errors[b"kill 1"]
    assert "ended with exit code 7" in errors[b"exit 2"]
    assert queue.stats().done == 5


def test_whatever_a_task_does_to_its_process_the_next_item_gets_a_sound_one(
    queue: WorkQueue, start: Start
) -> None:
    """Also when its own children hold the pipe open, or when it no longer does."""
    queue.put(["fork 1", "quick 1", "close 2", "quick 2", "ends 3", "starts 4", "quick 4"])
    process = start(isolation="process", max_attempts=1, item_seconds=5)
    soon(lambda: descendants(process.pid, "sleep 60"), 60)
    left = descendants(process.pid, "")
    text = output(process)
    assert process.returncode == 0, text
    errors = {dead.item: dead.error for dead in queue.dead_items()}
    assert errors.pop(b"fork 1") == "The process of the task ended with exit code 3"
    assert errors.pop(b"close 2") == "The process of the task closed its pipe, and was killed"
    assert errors.pop(b"starts 4") == "TimeoutError: it took longer than 5 s"
    assert errors == {}
    assert Counter(queue.results().values()) == Counter(
        [b"done 1", b"done 2", b"%d" % -signal.SIGTERM, b"done 4"]
    )
    soon(lambda: not any(is_alive(one) for one in left))


def descendants(pid: int, name: str) -> list[int]:
    """The processes below this one whose command line has this text."""
    found = list[int]()
    for child in children_of(pid):
        command = subprocess.run(
            ["ps", "-o", "args=", "-p", str(child)], capture_output=True, text=True, check=False
        ).stdout
        found += [*([child] if name in command else []), *descendants(child, name)]
    return found


def test_a_program_that_its_processes_cannot_import_ends_before_it_costs_an_item(
    queue: WorkQueue, redis_server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(
        "import sys\nfrom wqlib.worker import run\ndef work(item): pass\nsys.exit(run(work))\n"
    )
    queue.put(["a", "b"])
    arguments = ["--queue", queue.name, "--redis", redis_server.url, "--isolation", "process"]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert 'start the worker under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    stats = queue.stats()
    assert (stats.pending, stats.leases) == (2, 0)


def test_the_processes_of_a_worker_end_with_it_however_it_ends(
    queue: WorkQueue, start: Start
) -> None:
    queue.put(["nap 60", "starts 1"])
    process = start(isolation="process", concurrency=2)
    soon(lambda: queue.stats().leased == 2)
    soon(lambda: descendants(process.pid, "sleep 60"))
    children = descendants(process.pid, "")
    process.kill()
    process.wait()
    soon(lambda: not any(is_alive(child) for child in children))


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def is_alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_a_blocked_event_loop_does_not_stop_the_renewal(queue: WorkQueue, start: Start) -> None:
    queue.put(["nap 0.1", "block 3", "nap 0.2"])
    process = start("awork", concurrency=3, lease_seconds=1.2)
    output(process)
    stats = queue.stats()
    assert (process.returncode, stats.done, stats.expired) == (0, 3, 0)


@pytest.mark.parametrize("manner", [*MANNERS, pytest.param({"task": "work"}, id="one")])
def test_progress_is_told_with_a_renewal(
    queue: WorkQueue, start: Start, manner: dict[str, Any]
) -> None:
    queue.put(["told 2"])
    output(start(**manner))
    told = [event.progress for event in queue.events() if event.kind == "renew"]
    assert told == ["page 3"]


def test_progress_is_told_at_most_once_a_second(queue: WorkQueue) -> None:
    def chatter(item: bytes) -> None:
        for number in range(130):
            progress(f"step {number}")
            time.sleep(0.02)

    queue.put(["one"])
    began = time.monotonic()
    assert Worker(queue, chatter).run() == 0
    seconds = time.monotonic() - began
    told = [event.progress for event in queue.events() if event.kind == "renew"]
    assert 2 <= len(told) <= seconds + 1
    assert told[0] != told[-1]
    progress("outside a task it does nothing")


def test_an_item_that_is_done_does_not_wait_for_a_long_one(queue: WorkQueue) -> None:
    """Short items make batches; one of them takes long: what is done is recorded, the rest goes
    back."""
    is_long, may_end = threading.Event(), threading.Event()

    def process(item: bytes) -> None:
        if item == b"long":
            is_long.set()
            assert may_end.wait(60)

    queue.put(["short"] * 2000 + ["long"] + ["short"] * 2000)
    queue.max_attempts = 1
    worker = threading.Thread(target=Worker(queue.copy("w"), process).run)
    worker.start()
    try:
        assert is_long.wait(60)
        soon(lambda: queue.stats().leased == 1)
        stats = queue.stats()
        assert (stats.done, stats.pending) == (2000, 2000)
    finally:
        may_end.set()
        worker.join(60)
    assert (queue.stats().done, queue.stats().dead) == (4001, 0)


def test_in_a_batch_of_a_given_size_what_is_done_does_not_wait_either(queue: WorkQueue) -> None:
    is_long, may_end = threading.Event(), threading.Event()

    def process(item: bytes) -> None:
        if item == b"long":
            is_long.set()
            assert may_end.wait(60)

    queue.put(["a", "b", "long", "c"])
    worker = threading.Thread(target=Worker(queue.copy("w"), process, batch=4).run)
    worker.start()
    try:
        assert is_long.wait(60)
        soon(lambda: queue.stats().done == 2)
        assert queue.stats().leased == 2
    finally:
        may_end.set()
        worker.join(60)
    assert queue.stats().done == 4


@pytest.mark.parametrize("manner", ["threads", "async"])
def test_nothing_waits_in_a_worker_whose_places_are_all_taken_by_long_items(
    queue: WorkQueue, manner: str
) -> None:
    longs, may_end = list[bytes](), threading.Event()

    def process(item: bytes) -> None:
        if item == b"long":
            longs.append(item)
            assert may_end.wait(60)

    async def aprocess(item: bytes) -> None:
        await asyncio.to_thread(process, item) if item == b"long" else await asyncio.sleep(0)

    queue.put(["short"] * 2000 + ["long"] * 4 + ["short"] * 2000)
    task = process if manner == "threads" else aprocess
    loop = Worker(queue.copy("w"), task, concurrency=4)
    worker = threading.Thread(target=loop.run)
    worker.start()
    try:
        soon(lambda: len(longs) == 4)
        soon(lambda: queue.stats().leased == 4)
        time.sleep(0.3)
        assert queue.stats().leased == 4  # and it does not take them again
    finally:
        may_end.set()
        worker.join(60)
    assert queue.stats().done == 4004


@pytest.mark.parametrize(("seconds", "items", "most_calls"), [(0, 5000, 500), (0.1, 5, 5)])
def test_tiny_items_are_leased_many_at_a_time_and_long_ones_singly(
    queue: WorkQueue, seconds: float, items: int, most_calls: int
) -> None:
    queue.put(["x"] * items)
    assert Worker(queue, lambda item: time.sleep(seconds) if seconds else None).run() == 0
    lent = Counter(event.stream_id for event in queue.events() if event.kind == "lease")
    assert len(lent) <= most_calls
    assert seconds == 0 or set(lent.values()) == {1}


def test_the_log_as_json_has_a_line_for_each_item(queue: WorkQueue, start: Start) -> None:
    queue.put(["quick 1", "raise 2"])
    text = output(start(log="json", max_attempts=1))
    lines = [json.loads(line) for line in text.splitlines()]
    began = [line for line in lines if line["message"].startswith("Working on")]
    assert sorted((line["item"], line["item_id"], line["attempt"]) for line in began) == [
        ("quick 1", 1, 1),
        ("raise 2", 2, 1),
    ]
    (failed,) = [line for line in lines if line["level"] == "error"]
    assert (failed["error"], failed["item"]) == ("ValueError: no luck", "raise 2")
    assert all(line["time"].endswith("Z") for line in lines)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"concurrency": 501}, "concurrency is 501"),
        ({"item_seconds": -1}, "item_seconds is -1"),
        ({"isolation": "container"}, "must be thread or process"),
        ({"batch": "many"}, "neither auto nor a number"),
        ({"log": "xml"}, "neither text nor json"),
        ({"isolation": "process", "task": "awork"}, "not async"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    start: Start, settings: dict[str, Any], complaint: str
) -> None:
    process = start(**settings)
    assert complaint in output(process)
    assert process.returncode == 2


def test_a_task_that_no_process_can_import_is_refused(queue: WorkQueue) -> None:
    with pytest.raises(ValueError, match="Define it at the top of a module"):
        Worker(queue, lambda item: None, isolation="process")


def test_an_object_with_an_async_call_runs_on_the_event_loop(queue: WorkQueue) -> None:
    class Fetch:
        async def __call__(self, item: bytes) -> bytes:
            await asyncio.sleep(0.01)
            return item.upper()

    queue.put(["a", "b"])
    assert Worker(queue, Fetch()).run() == 0
    assert sorted(queue.results().values()) == [b"A", b"B"]
    assert not [t for t in threading.enumerate() if t.name == "wqlib-loop"]


def test_a_context_variable_is_set_for_one_item_only(queue: WorkQueue) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def process(item: bytes) -> str:
        found = variable.get()
        variable.set("set")
        await asyncio.sleep(0)
        return found

    queue.put(["x"] * 20)
    assert Worker(queue, process, concurrency=2).run() == 0
    assert set(queue.results().values()) == {b"unset"}


def test_a_call_in_a_thread_keeps_no_worker_from_ending(queue: WorkQueue, start: Start) -> None:
    queue.put(["thread 3600", "quick 1"])
    process = start("awork", concurrency=2, item_seconds=1, max_attempts=1)
    text = output(process)
    assert process.returncode == 0, text
    assert (queue.stats().done, queue.stats().dead) == (1, 1)


def test_a_blocked_event_loop_leases_nothing_more(queue: WorkQueue, start: Start) -> None:
    """Not even when its items have been given up, as it cannot begin others."""
    queue.put(["block 4", *["quick 1"] * 40])
    process = start("awork", concurrency=2, item_seconds=0.5, max_attempts=1)
    soon(lambda: queue.stats().dead)
    time.sleep(1.5)
    released = queue.stats().released
    text = output(process)
    assert process.returncode == 0, text
    assert released <= 40
    stats = queue.stats()
    assert stats.dead <= 2
    assert stats.done + stats.dead == 41


def test_an_item_that_standard_output_has_no_letters_for_is_worked_on(
    queue: WorkQueue, start: Start
) -> None:
    queue.put("quick é")
    text = output(start(encoding="ascii"))
    assert "Working on quick \\xe9\n" in text
    assert queue.stats().done == 1


def test_lines_of_threads_are_whole(queue: WorkQueue, start: Start) -> None:
    queue.put(["quick 1"] * 3000)
    lines = output(start(concurrency=8)).splitlines()[1:-1]
    assert set(lines) == {"Working on quick 1"}


@pytest.mark.parametrize("settings", [{}, {"concurrency": 2}])
def test_sigterm_while_redis_hangs_in_a_call_does_not_wait_for_the_answer(
    start: Start, settings: dict[str, Any]
) -> None:
    with RedisServer() as server, WorkQueue("job2", url=server.url) as queue:
        queue.put(["nap 0.01"] * 2000)
        process = start(redis_url=server.url, queue="job2", grace_seconds=0.2, **settings)
        soon(lambda: queue.stats().done > 5)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            time.sleep(0.3)
            process.terminate()
            process.wait(18)  # two calls that wait 10 s each for their answers would be longer
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert process.returncode == 143


def test_sigterm_while_redis_is_away_exits_143(start: Start) -> None:
    """Also when what it could not tell is a failure."""
    with RedisServer() as server, WorkQueue("job2", url=server.url) as queue:
        queue.put(["raise 1"] * 2000)
        process = start(redis_url=server.url, queue="job2", max_attempts=1, grace_seconds=0.2)
        soon(lambda: queue.stats().dead > 5)
    assert process.stdout
    assert any("Waiting for Redis" in line for line in process.stdout)
    process.terminate()
    text = output(process)
    assert process.returncode == 143, text
    assert "Stopped by SIGTERM" in text


@pytest.mark.parametrize(
    ("number", "manner"),
    [
        (number, settings)
        for number in (signal.SIGTERM, signal.SIGINT)
        for settings in (
            {},
            {"batch": 16},
            {"concurrency": 4},
            {"concurrency": 4, "task": "awork"},
            {"concurrency": 2, "isolation": "process"},
        )
    ],
)
def test_a_signal_at_any_moment_strands_nothing(
    queue: WorkQueue, start: Start, number: signal.Signals, manner: dict[str, Any]
) -> None:
    for lines in (1, 40):  # once as it begins, once at full speed
        queue.put(["quick 1", "nap 0.002"] * 2500)  # more lines than a pipe takes
        process = start(**manner, grace_seconds=5)
        assert process.stdout
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(number)
        text = output(process)
        stats = queue.stats()
        assert process.returncode == (143 if number == signal.SIGTERM else -number), text
        assert (stats.leased, stats.expired, stats.failed) == (0, 0, 0), text
        assert stats.done + stats.pending == stats.put, text


def test_ctrl_c_gives_back_what_runs_in_threads(queue: WorkQueue, start: Start) -> None:
    queue.put(["nap 60"] * 3)
    process = start(concurrency=2)
    soon(lambda: queue.stats().leased == 2)
    process.send_signal(signal.SIGINT)
    output(process)
    assert process.returncode != 0
    assert (queue.stats().pending, queue.stats().leased) == (3, 0)


def test_an_id_that_a_failover_gives_again_completes_only_the_new_item(queue: WorkQueue) -> None:
    """A replica takes over that has not got the lease, and lends another item under its id."""
    begun, may_end = threading.Event(), [threading.Event(), threading.Event()]
    items = [b"old", b"new"]

    def work(item: bytes) -> bytes:
        if item == b"new":
            begun.set()
        assert may_end[items.index(item)].wait(60)
        return item

    queue.put(items[:1])
    worker = Worker(queue, work, batch=1, concurrency=2)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    other = queue.copy()
    soon(lambda: other.stats().leased == 1)
    key = f"{{{queue.name}}}"
    other._store.link.commands(
        ("DEL", f"{key}:leases", f"{key}:leased"),
        ("HSET", f"{key}:counts", "items", 0),
        ("RPUSH", queue.name, b"new"),
    )
    assert begun.wait(60)
    may_end[0].set()
    time.sleep(0.2)  # in which the result of the old one would be recorded
    may_end[1].set()
    thread.join(60)
    assert other.results() == {1: b"new"}
