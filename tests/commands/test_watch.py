"""The live view in a terminal: text lanes, and `wqlib watch` on a real queue and a real pty."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import MakeQueue
from stories import T0, Story, lost_and_found, three_ends

from wqlib.commands import textlanes
from wqlib.history import History
from wqlib.redisserver import RedisServer

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def lanes(lines: list[str]) -> dict[str, str]:
    """The letters of each lane, by the pod's short name."""
    width = len(next(line for line in lines if line.endswith("done  left"))) - 12
    start = textlanes.NAME_COLUMNS
    return {line[:start].strip(): line[start:width] for line in lines if line[:1].isalnum()}


# The lanes


def test_each_pod_has_a_lane_and_the_letters_tell_how_each_lease_ended() -> None:
    lines = textlanes.draw(lost_and_found().history(), T0 + 9, columns=120)
    drawn = lanes(lines)
    lost, found = drawn["aaaaa"], drawn["bbbbb"]
    assert re.match(r">_+\[apple/+X/+\|/+ *$", lost)  # the bar goes on until somebody noticed
    assert lost.count("/") > 30
    assert lost.rstrip().endswith("/")
    assert "X" in lost  # killed
    assert "[banana=" in found
    assert "*apple=" in found  # it was leased again
    assert found.rstrip().endswith("+")  # finished


def test_a_bar_is_as_long_as_its_lease() -> None:
    story = Story(2).lease(0, "1-1@a", "").complete(5, "1-1@a").lease(5, "2-1@a", "")
    story.fail(10, "2-1@a")
    lane = lanes(textlanes.draw(story.history(), T0 + 10, columns=130))["a"]
    done, failed = lane.count("=") + lane.count("["), lane.count("x")
    assert abs(done - 1 - failed) <= 2


def test_a_running_lease_has_a_fuse_and_says_its_time_left() -> None:
    story = Story(3).pod(0, "running", "j-a", "j").lease(1, "1-1@j-a", "apple", 10)
    lines = textlanes.draw(story.history(), T0 + 8, columns=100)
    assert re.search(r"\[apple-+\.+\| *$", lanes(lines)["a"])  # up to its deadline
    assert next(line for line in lines if line.startswith("a ")).endswith("3 s")
    late = textlanes.draw(story.history(), T0 + 20, columns=100)
    assert re.search(r"-\|/+", lanes(late)["a"])
    assert next(line for line in late if line.startswith("a ")).endswith("over")


def test_a_crash_a_deletion_and_an_eviction_look_different() -> None:
    drawn = lanes(textlanes.draw(three_ends().history(), T0 + 6, columns=120))
    assert re.search(r"-X>-", drawn["crash"])
    assert re.search(r"v=+_!", drawn["ended"])
    assert re.search(r"\^=+_!", drawn["moved"])
    assert re.search(r"vX", drawn["force"])  # at one moment, and two letters all the same


def test_it_says_in_words_where_the_run_stands_and_what_the_letters_mean() -> None:
    lines = textlanes.draw(lost_and_found().history(), T0 + 9, columns=100)
    assert lines[0].startswith("Job job-wq-2: 0 pods running; so far 1 killed. 3 of 3 items")
    letters = (
        "[=== completed  | deadline  /// expired  > started  + finished  X killed  * leased again"
    )
    assert lines[-1] == letters  # and nothing that is not in the picture
    assert any(line.startswith("items") and line.endswith("3 of 3") for line in lines)


@pytest.mark.parametrize("columns", [10, 60, 79, 132, 400])
@pytest.mark.parametrize("height", [5, 12, 30])
def test_it_fits_into_the_terminal(columns: int, height: int) -> None:
    story = Story(300)
    for i in range(40):
        story.pod(i, "running", f"a-long-name-of-a-job-{i}", "a-long-name-of-a-job")
        story.lease(i + 0.5, f"{i + 1}-1@a-long-name-of-a-job-{i}", f"fruit {i}" * 9)
    lines = textlanes.draw(story.history(), T0 + 41, columns=columns, lines=height)
    assert all(len(line) <= max(columns, 60) for line in lines)
    assert len(lines) <= max(height, 8)


def test_nothing_can_be_drawn_too() -> None:
    assert textlanes.draw(History(), T0)[0] == "No worker yet. No items yet."


def test_colours_change_no_letter_and_items_cannot_send_escapes() -> None:
    story = lost_and_found().lease(9, "4-1@job-wq-2-bbbbb", "\x1b[31mred\x07")
    plain = textlanes.draw(story.history(), T0 + 12)
    coloured = textlanes.draw(story.history(), T0 + 12, colours=True)
    assert [ESCAPES.sub("", line) for line in coloured] == plain
    assert not any("\x1b" in line or "\x07" in line for line in plain)


def test_it_needs_neither_matplotlib_nor_jupyter() -> None:
    code = (
        "import sys, wqlib.commands.watch; "
        "bad = {'matplotlib', 'numpy', 'IPython', 'ipywidgets', 'kubernetes'}; "
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The command


def wqlib(*arguments: str, **options: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen([sys.executable, "-m", "wqlib.commands.cli", *arguments], **options)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "COLUMNS": "100", "LINES": "30", "TERM": "xterm"}
        self.process = wqlib(*arguments, stdin=theirs, stdout=theirs, stderr=theirs,
                             env=environment, start_new_session=True)  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def until(self, true: Callable[[str], Any], seconds: float = 30.0) -> None:
        give_up_at = time.monotonic() + seconds
        while not true(self.seen):
            assert time.monotonic() < give_up_at, self.seen[-3000:]
            if select.select([self._ours], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._ours, 65536).decode()
                except OSError:  # it has ended
                    assert true(self.seen), self.seen[-3000:]

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


def test_watch_draws_in_place_on_a_terminal_until_ctrl_c(
    make_queue: MakeQueue, redis_server: RedisServer
) -> None:
    queue = make_queue("pod-a")
    queue.put(["apple", "banana"])
    lease = queue.lease()
    assert lease
    terminal = Terminal("watch", queue.name, "--redis", redis_server.url)
    try:
        terminal.until(lambda seen: "0 of 2 items done" in seen)
        queue.complete(lease)
        terminal.until(lambda seen: "1 of 2 items done" in seen)
        assert "\x1b[" in terminal.seen
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(20) == 0
    finally:
        terminal.close()
    assert "Traceback" not in terminal.seen


def test_watch_writes_words_and_the_last_picture_into_a_pipe(
    make_queue: MakeQueue, redis_server: RedisServer
) -> None:
    queue = make_queue("pod-a")
    queue.put(["apple", "banana"])
    while lease := queue.lease():
        queue.complete(lease)
    process = wqlib(
        "watch", queue.name, "--redis", redis_server.url, "--until-drained",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "2 of 2 items done" in output
    assert output.endswith("\n[=== completed\n")
    assert "\x1b" not in output


def test_watch_says_that_redis_is_lost_and_goes_on() -> None:
    with RedisServer(appendonly=True) as server:
        terminal = Terminal("watch", "job2", "--redis", server.url)
        try:
            terminal.until(lambda seen: "No items yet." in seen)
            server.stop()
            terminal.until(lambda seen: "Connection to Redis lost" in seen)
            server.start()
            there = len(terminal.seen)
            terminal.until(lambda seen: "No items yet." in seen[there:].rpartition("lost")[2])
        finally:
            terminal.close()


def test_watch_of_a_job_without_a_cluster_is_refused_in_words(redis_server: RedisServer) -> None:
    process = wqlib(
        "watch", "job2", "--redis", redis_server.url, "--job", "job-wq-2",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "needs a cluster" in errors


def test_a_recorded_run_is_drawn_in_the_terminal() -> None:
    done = wqlib("replay", "killed", "--lanes", stdout=subprocess.PIPE, text=True)
    output, _ = done.communicate(timeout=60)
    assert done.returncode == 0
    assert output.count("X") >= 2
    assert "2 leases expired" in output
