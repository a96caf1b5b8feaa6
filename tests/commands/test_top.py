"""`wqlib queue top`: who works on what now; its table, and the command on a real queue and pty."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest
from conftest import MakeQueue
from stories import T0, Story
from test_watch import Terminal, wqlib

from wqlib.commands import top
from wqlib.history import History
from wqlib.redisserver import RedisServer


def test_the_item_that_is_worked_on_longest_stands_first() -> None:
    story = Story(9).lease(0, "1-1@pod-a", "quick").complete(2, "1-1@pod-a")
    story.lease(3, "2-3@pod-b", "hangs", 20).lease(5, "3-1@pod-a", "next")
    found = top.works(story.history(), T0 + 8)
    assert [(work.worker, work.item, work.attempt) for work in found] == [
        ("pod-b", "hangs", 3),
        ("pod-a", "next", 1),
    ]
    assert [(work.seconds, work.left_seconds) for work in found] == [(5, 15), (3, 7)]


def test_a_rate_is_that_of_each_worker_in_the_last_ten_seconds() -> None:
    story = Story(99)
    for second in range(30):
        story.lease(second, f"{second + 1}-1@pod-a").complete(second + 0.5, f"{second + 1}-1@pod-a")
    story.lease(30, "50-1@pod-a").lease(30, "51-1@pod-b")
    rates = {work.worker: work.rate for work in top.works(story.history(), T0 + 30)}
    assert rates == {"pod-a": pytest.approx(1.0, rel=0.11), "pod-b": 0}


def test_the_lines_say_all_of_it_and_fit() -> None:
    story = Story(40).lease(0, "1-1@pod-b", "done").complete(1, "1-1@pod-b")
    story.lease(1, "2-2@pod-a", "apple\x1b[31m" + "x" * 300, 5)
    lines = top.frame("job2", story.history(), T0 + 4, columns=100)
    assert re.fullmatch(r"Queue job2 at .* UTC: 38 pending, 1 leased, 1 done, 0 dead\.", lines[0])
    assert lines[1].startswith("0.5 items a second.")
    assert lines[2].split() == ["WORKER", "FOR", "LEASE", "LEFT", "ATTEMPT", "A", "SECOND",
                                "PROGRESS", "ITEM"]  # fmt: skip
    assert re.match(r"pod-a +3 s +2 s +2 +0\.0 +apple\\x1b\[31mxxx", lines[3])
    assert lines[4:] == ["1 more, seen within a minute, hold nothing now."]
    assert all(len(line) <= 100 and line.isprintable() for line in lines)
    late = top.frame("job2", story.history(), T0 + 7, columns=100)
    assert re.match(r"pod-a +6 s +over ", late[3])


def test_a_queue_without_workers_has_a_head_alone() -> None:
    lines = top.frame("job2", History(), T0)
    assert len(lines) == 2
    assert lines[0].endswith("0 pending, 0 leased, 0 done, 0 dead.")


@pytest.mark.parametrize("end", ["q", "Ctrl-C"])
def test_top_changes_in_place_on_a_terminal_until_q_or_ctrl_c(
    make_queue: MakeQueue, redis_server: RedisServer, end: str
) -> None:
    queue = make_queue("pod-a")
    queue.put(["apple", "banana"])
    lease = queue.lease()
    terminal = Terminal("queue", "top", queue.name, "--redis", redis_server.url)
    try:
        terminal.until(lambda seen: re.search(r"pod-a .* apple", seen))
        queue.complete_and_lease(lease)
        terminal.until(lambda seen: re.search(r"pod-a .* banana", seen))
        assert "0 pending, 1 leased, 1 done" in terminal.seen
        if end == "q":
            terminal.type("q")
        else:
            terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(20) == 0
    finally:
        terminal.close()
    assert "Traceback" not in terminal.seen


def test_top_prints_once_where_there_is_no_terminal(
    make_queue: MakeQueue, redis_server: RedisServer
) -> None:
    queue = make_queue("pod-a")
    queue.put(["apple", "banana"])
    lease = queue.lease()
    queue.renew_all([lease], None, {lease.id: "page 3 of 9"})
    facts = {}
    for more in ((), ("--once",), ("--json",)):
        done = wqlib(
            "queue", "top", queue.name, *more, "--redis", redis_server.url,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        output, errors = done.communicate(timeout=60)
        assert (done.returncode, errors) == (0, "")
        if more == ("--json",):
            facts = json.loads(output)
        else:
            assert re.search(r"^pod-a .* page 3 of 9 +apple$", output, re.MULTILINE)
    assert (facts["pending"], facts["leased"], facts["done"]) == (1, 1, 0)
    [item] = facts["items"]
    assert (item["item"], item["progress"], item["attempt"]) == ("apple", "page 3 of 9", 1)
    assert 0 < item["left_seconds"] <= 30


def test_an_item_that_waits_in_its_worker_has_not_begun(
    make_queue: MakeQueue, redis_server: RedisServer
) -> None:
    queue = make_queue("pod-a")
    queue.put(["apple", "banana", "cherry"])
    queue.exchange((), 3, begins=1)
    done = wqlib(
        "queue", "top", queue.name, "--json", "--redis", redis_server.url, stdout=subprocess.PIPE
    )
    output, _ = done.communicate(timeout=60)
    began = {item["item"]: item["seconds"] is not None for item in json.loads(output)["items"]}
    assert began == {"apple": True, "banana": False, "cherry": False}
