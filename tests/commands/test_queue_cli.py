"""`wqlib queue`: each command on a real Redis, its files, its words and its exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from conftest import MakeQueue, run_out, soon
from hypothesis import given
from hypothesis import strategies as st
from servers import RedisCluster

from wqlib.commands import cli, queuewords
from wqlib.history import History
from wqlib.queue import WorkQueue, export
from wqlib.queue.export import BadQueueFile, Entry
from wqlib.queue.items import MAX_ITEM_BYTES, Stats
from wqlib.redisserver import RedisServer
from wqlib.shown import shown, table

NASTY = b"\x1b[2J\x1b]0;owned\x07\r\n\x00\xe2\x80\xae\xff" + b"A" * 2**20
STATS = Stats(
    pending=12_345, leased=2, done=5, dead=1, put=20, leases=9, expired=1, released=1, failed=1,
    dropped=0,    at=1_764_000_000.5,
)  # fmt: skip
Run = Callable[..., "Outcome"]


class Outcome:
    """What a command answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.lines = out.splitlines()


@pytest.fixture
def run(redis_server: RedisServer, capsys) -> Run:
    """Runs `wqlib queue COMMAND ...` in this process."""

    def command(*arguments: str) -> Outcome:
        try:
            code = cli.main(["queue", *arguments, "--redis", redis_server.url])
        except SystemExit as end:
            code = int(str(end.code))
        return Outcome(code, *capsys.readouterr())

    return command


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "wqlib.commands.cli", "queue", *arguments],
        capture_output=True,
        timeout=100,
        **options,  # type: ignore[call-overload]
    )


@pytest.fixture
def story(make_queue: MakeQueue) -> WorkQueue:
    """A queue with items that wait, are leased, are dead; one is not UTF-8."""
    queue = make_queue(max_attempts=1)
    queue.put(["bad", "worse", "held", "done", "next", b"\xff\x00", "", "last"])
    queue.fail(queue.lease(), "no luck\n\x1b[31m")
    queue.fail(queue.lease())
    queue.lease()
    queue.complete(queue.lease())
    return queue


# -- shown


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (b"apple", "apple"),
        ("pêche 🍑", "pêche 🍑"),
        ("pêche".encode(), "pêche"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"a\tb\nc\r", "a\\tb\\nc\\r"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028\x85\x9b", "\\u2028\\x85\\x9b"),
        ("\ud800", "\\ud800"),
        (b"", ""),
        (b"x" * 200, "x" * 200),
        (b"x" * 201, "x" * 200 + " ..."),
    ],
)
def test_an_item_is_shown_as_one_harmless_line(item: bytes | str, line: str) -> None:
    assert shown(item) == line


@given(st.binary() | st.text())
def test_nothing_that_is_shown_can_harm(item: bytes | str) -> None:
    assert shown(item).isprintable()
    assert len(shown(item, 10)) <= 10 * len("\\U0010ffff") + 4


def test_a_table_is_aligned() -> None:
    rows = [("ID", "ERROR", "ITEM"), ("1", "no luck", "a"), ("100", "", "longest of all")]
    assert table(rows) == [
        "ID   ERROR    ITEM",
        "1    no luck  a",
        "100           longest of all",
    ]


# -- the file (pure)


def file_of(*parts: list[bytes]) -> list[bytes]:
    pending, leased, dead = parts
    lease = {"lease": "1-1@pod-a", "deadline": 1_764_000_030.0}
    why = {"item_id": 100, "error": "no luck", "history": [{"attempt": 1}]}
    lines = export.write(
        "job2",
        1_764_000_000.5,
        {"leased": len(leased), "pending": len(pending), "dead": len(dead)},
        [
            *(Entry("leased", item, lease) for item in leased),
            *(Entry("pending", item) for item in pending),
            *(Entry("dead", item, why) for item in dead),
        ],
    )
    return [line.encode() for line in lines]


items = st.lists(st.binary(max_size=20) | st.text(max_size=20).map(str.encode), max_size=5)


@given(items, items, items)
def test_what_is_written_is_read_again(
    pending: list[bytes], leased: list[bytes], dead: list[bytes]
) -> None:
    lines = file_of(pending, leased, dead)
    assert all(line.isascii() and line.endswith(b"\n") for line in lines)
    assert list(export.read(lines)) == [
        *(Entry("leased", item) for item in leased),
        *(Entry("pending", item) for item in pending),
        *(Entry("dead", item) for item in dead),
    ]


def test_the_file_is_what_its_description_says() -> None:
    lines = [json.loads(line) for line in file_of([b"banana", b"\xff\xff"], [b"apple"], [b"c"])]
    assert lines == [
        {"format": "wqlib queue", "version": 1, "queue": "job2", "at": 1_764_000_000.5,
         "leased": 1, "pending": 2, "dead": 1},
        {"state": "leased", "item": "apple", "lease": "1-1@pod-a", "deadline": 1_764_000_030.0},
        {"state": "pending", "item": "banana"},
        {"state": "pending", "item_base64": "//8="},
        {"state": "dead", "item": "c", "item_id": 100, "error": "no luck",
         "history": [{"attempt": 1}]},
    ]  # fmt: skip


HEAD = b'{"format":"wqlib queue","version":1,"leased":0,"pending":1,"dead":0}'
GOOD = b'{"state":"pending","item":"a"}'


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "The file is empty"),
        ([b"apple"], "Line 1 is not that of an exported queue: it is not JSON"),
        ([b"[]"], "Line 1 .* it is not a JSON object"),
        ([b"{}"], 'Line 1 .* does not say "format": "wqlib queue"'),
        ([HEAD.replace(b"1,", b"2,", 1)], "version 2 of the format, and .* knows version 1"),
        ([HEAD], "line 1 announces 1 pending items, but up to line 1 there are 0"),
        ([HEAD, GOOD, GOOD], "announces 1 pending items, but up to line 3 there are 2"),
        ([HEAD.replace(b'"dead":0', b'"dead":1'), GOOD], "announces 1 dead items"),
        ([HEAD, b"\xff"], "Line 2 .* it is not JSON"),
        ([HEAD, GOOD[:-3]], "Line 2 .* it is not JSON"),
        ([HEAD, b'{"state":"lost","item":"a"}'], "Line 2 .* its state is none of leased"),
        ([HEAD, b'{"state":["x"],"item":"a"}'], "Line 2 .* its state is none of leased"),
        ([HEAD, b'{"state":"pending"}'], "Line 2 .* one text, item or item_base64"),
        ([HEAD, b'{"state":"pending","item":7}'], "Line 2 .* one text, item or item_base64"),
        ([HEAD, b'{"state":"pending","item":"a","item_base64":"YQ=="}'], "one text"),
        ([HEAD, b'{"state":"pending","item_base64":"%%"}'], "Line 2 .* its item is damaged"),
        ([HEAD, '{"state":"pending","item_base64":"é"}'.encode()], "its item is damaged"),
        ([HEAD, rb'{"state":"pending","item":"\ud800"}'], "Line 2 .* its item is damaged"),
        ([HEAD, b"[" * 100_000], "Line 2 .* it is not JSON"),
        (
            [HEAD, b'{"state":"pending","item":"' + b"a" * (MAX_ITEM_BYTES + 1) + b'"}'],
            "The item in line 2 is too large",
        ),
        ([b" " * (export.MAX_LINE_BYTES + 1)], "Line 1 is longer than any item can be"),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_a_bad_file_is_refused_with_the_line(lines: list[bytes], complaint: str) -> None:
    with pytest.raises(BadQueueFile, match=complaint):
        list(export.read(lines))


def test_fields_that_a_reader_does_not_know_are_skipped() -> None:
    lines = [HEAD[:-1] + b',"new":1}', GOOD[:-1] + b',"new":{}}']
    assert list(export.read(lines)) == [Entry("pending", b"a")]


def test_plain_lines_are_items() -> None:
    lines = [b"apple\n", b"\n", b"banana\r\n", b" \xff", b"\r\n"]
    assert [entry.item for entry in export.read_plain(lines)] == [b"apple", b"banana", b" \xff"]
    with pytest.raises(BadQueueFile, match="The item in line 2 is too large"):
        list(export.read_plain([b"a", b"b" * (MAX_ITEM_BYTES + 1)]))


# -- stats


def test_stats_is_an_aligned_table(story: WorkQueue, run: Run) -> None:
    answer = run("stats", story.name)
    assert (answer.code, answer.err) == (0, "")
    assert answer.lines[0].startswith(f"Queue {story.name} at 20")
    assert answer.lines[0].endswith(" UTC. It has not drained.")
    rows = {line.split()[0]: int(line.split()[1]) for line in answer.lines[1:]}
    assert rows == {
        "pending": 4, "leased": 1, "dead": 2, "done": 1,
        "put": 8, "leases": 4, "expired": 0, "released": 0, "failed": 2, "dropped": 0,
    }  # fmt: skip


def test_stats_lines_fit_large_numbers() -> None:
    lines = queuewords.stats_lines("a\nb", STATS)
    assert lines[0] == "Queue a\\nb at 2025-11-24 16:00:00 UTC. It has not drained."
    assert lines[1:3] == [
        "pending   12,345  items are waiting",
        "leased         2  items are leased to workers",
    ]


def test_stats_as_json(story: WorkQueue, run: Run) -> None:
    answer = run("stats", story.name, "--json")
    numbers = json.loads(answer.out)
    assert numbers.pop("at") > 1.7e9
    assert numbers == {
        "queue": story.name, "drained": False, "pending": 4, "leased": 1, "dead": 2, "done": 1,
        "put": 8, "leases": 4, "expired": 0, "released": 0, "failed": 2, "dropped": 0,
        "foreign": 0,
    }  # fmt: skip


def test_stats_of_a_queue_that_drained(queue: WorkQueue, run: Run) -> None:
    queue.put("a")
    queue.complete(queue.lease())
    assert run("stats", queue.name).lines[0].endswith("It has drained.")


# -- peek and dead


def test_peek_shows_the_next_in_line_and_leaves_them(story: WorkQueue, run: Run) -> None:
    before = story.stats().pending
    assert run("peek", story.name).lines == ["next", "\\xff\\x00", "", "last"]
    assert run("peek", story.name, "-n", "1").lines == ["next"]
    assert story.stats().pending == before


def test_a_megabyte_of_control_characters_is_one_harmless_line(
    make_queue: MakeQueue, run: Run
) -> None:
    queue = make_queue(max_attempts=1)
    queue.put([NASTY, NASTY])
    queue.fail(queue.lease(), NASTY.decode("utf-8", "replace"))
    for command in (["peek"], ["dead"], ["dead", "--history"]):
        answer = run(*command, queue.name)
        assert answer.code == 0
        assert "\\x1b[2J" in answer.out
        assert all(line.isprintable() and len(line) < 400 for line in answer.out.split("\n"))


def test_an_empty_queue_is_told_apart_from_an_empty_item(queue: WorkQueue, run: Run) -> None:
    for command, remark in (("peek", "Nothing waits"), ("dead", "is dead.")):
        answer = run(command, queue.name)
        assert (answer.code, answer.out) == (0, "")
        assert remark in answer.err


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_peek_needs_a_number(number: str, run: Run) -> None:
    answer = run("peek", "job2", "-n", number)
    assert answer.code == 2
    assert "is not a whole number of at least 1" in answer.err


def test_dead_tells_why(story: WorkQueue, run: Run) -> None:
    ids = [one.item_id for one in story.dead_items()]
    assert [line.split() for line in run("dead", story.name).lines] == [
        ["ID", "ATTEMPTS", "ERROR", "ITEM"],
        [str(ids[0]), "1", "no", "luck\\n\\x1b[31m", "bad"],
        [str(ids[1]), "1", "fail", "worse"],
    ]


def test_dead_with_its_history(make_queue: MakeQueue, run: Run) -> None:
    queue = make_queue("pod-a", max_attempts=2)
    queue.put("bad")
    queue.fail(queue.lease(), "no luck")
    run_out(queue, queue.lease())
    assert queue.lease() is None
    assert queue.stats().dead == 1
    lines = run("dead", queue.name, "--history").lines
    assert len(lines) == 4
    assert lines[1].split()[1] == "2"
    assert lines[2].endswith("UTC  attempt 1 on pod-a ended as fail: no luck")
    assert "attempt 2 on pod-a ended as expire" in lines[3]


# -- retry, drop and show


def test_retry_puts_all_dead_items_back(story: WorkQueue, run: Run) -> None:
    answer = run("retry", story.name)
    assert (answer.code, answer.out) == (0, "2 dead items put back at the end of the line.\n")
    assert story.peek(10)[-2:] == [b"bad", b"worse"]
    assert run("retry", story.name).out == "0 dead items put back at the end of the line.\n"


# What drop and retry say of an item that is not dead; `story` has such an item.
NOT_DEAD = {
    "3": "Item 3 is not dead but leased, as 3-1@worker-a until .* stop its worker",
    "4": "Item 4 is not dead: it is done, or was dropped before",
    "4711": "No item of .* has the number 4711. An item gets its number when it is first leased",
}


@pytest.mark.parametrize(
    ("command", "told", "stays"),
    [
        ("retry", "1 dead item put back at the end of the line.\n", [b"bad", b"worse"]),
        ("drop", "1 dead item dropped for good.\n", [b"worse"]),
    ],
)
def test_only_dead_items_are_put_back_or_dropped_and_why_others_are_not_is_told(
    story: WorkQueue, run: Run, command: str, told: str, stays: list[bytes]
) -> None:
    before = story.stats()
    answer = run(command, story.name, "1", *NOT_DEAD)
    assert (answer.code, answer.out) == (1, told)
    for line, words in zip(answer.err.splitlines(), NOT_DEAD.values(), strict=True):
        assert re.match(words, line)
    after = story.stats()
    assert (after.dead, after.leased, after.done) == (1, before.leased, before.done)
    assert after.pending + after.dropped == before.pending + 1
    story.requeue_dead()
    assert [x for x in story.peek(10) if x in (b"bad", b"worse")] in (stays, stays[::-1])


def test_an_item_that_waits_for_another_attempt_is_not_dropped(queue: WorkQueue, run: Run) -> None:
    queue.put("apple")
    queue.fail(queue.lease(), "no luck")
    answer = run("drop", queue.name, "1")
    assert (answer.code, answer.out) == (1, "0 dead items dropped for good.\n")
    assert answer.err == "Item 1 is not dead: it waits in line for another attempt.\n"
    assert run("show", queue.name, "1").lines[0].endswith("waits in line for another attempt.")


def test_a_history_and_the_numbers_know_of_the_drop(story: WorkQueue) -> None:
    assert story.drop_dead([1, 1, 99]) == 1
    history = History()
    history.add(story.events())
    stats = story.stats()
    assert (history.counts.dead, stats.dead, stats.dropped) == (1, 1, 1)
    assert stats.pending + stats.leased + stats.done + stats.dead + stats.dropped == stats.put


def test_show_tells_where_an_item_is_and_what_came_of_it(story: WorkQueue, run: Run) -> None:
    story.drop_dead([2])
    shown_as = {item_id: run("show", story.name, str(item_id)).lines for item_id in range(1, 5)}
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    expected = {
        1: [
            "Item 1 of .* is dead: it was set aside.", "item      bad", "attempts  1",
            f"{stamp}  attempt 1 on worker-a began",
            f"{stamp}  attempt 1 on worker-a ended as fail: no luck\\\\n\\\\x1b\\[31m",
            f"{stamp}  attempt 1 on worker-a was the last one: fail: no luck.*",
        ],
        2: [
            "Item 2 of .* was dead, and then dropped.", "item      worse", "attempts  1",
            ".* began", ".* ended as fail", ".* was the last one: fail", f"{stamp}  dropped",
        ],
        3: [
            f"Item 3 of .* is leased to worker-a until {stamp}.", "item      held", "attempts  1",
            ".* attempt 1 on worker-a began",
        ],
        4: [
            "Item 4 of .* is done.", "item      done", "attempts  1", ".* began", ".* completed it",
        ],
    }  # fmt: skip
    for item_id, patterns in expected.items():
        for pattern, line in zip(patterns, shown_as[item_id], strict=True):
            assert re.fullmatch(pattern, line), item_id


def test_show_without_events_tells_what_the_keys_know(
    make_queue: MakeQueue, run: Run, redis_server: RedisServer
) -> None:
    queue = make_queue(max_attempts=2)
    queue.put([b"\xff", "done"])
    for why in ("once", "twice"):
        queue.fail(queue.lease(), why)
    queue.complete(queue.lease(), b"\x00\xfe")
    with redis.Redis.from_url(redis_server.url) as client:
        client.xtrim(f"{{{queue.name}}}:events", maxlen=0)
    dead = json.loads(run("show", queue.name, "1", "--json").out)
    ends = [(row["attempt"], row["what"], row["reason"]) for row in dead.pop("history")]
    assert ends == [(1, "fail", "once"), (2, "fail", "twice")]
    assert dead == {
        "queue": queue.name, "item_id": 1, "state": "dead", "item_base64": "/w==", "attempts": 2,
    }  # fmt: skip
    assert json.loads(run("show", queue.name, "2", "--json").out) == {
        "queue": queue.name, "item_id": 2, "state": "done", "attempts": 0, "result_base64": "AP4=",
        "history": [],
    }  # fmt: skip
    unknown = run("show", queue.name, "3")
    assert (unknown.code, unknown.out) == (1, "")
    assert "has the number 3" in unknown.err


def test_show_of_an_item_with_a_long_text_and_a_progress(queue: WorkQueue, run: Run) -> None:
    queue.put(["x" * 500, "y" * 500])
    queue.complete(queue.lease())
    lease = queue.lease()
    queue.renew_all([lease], None, {lease.id: "page 3 of 9"})
    done, leased = (json.loads(run("show", queue.name, n, "--json").out) for n in "12")
    assert (done["item"], done["is_cut"]) == ("x" * 64, True)
    assert (leased["item"], leased["progress"]) == ("y" * 500, "page 3 of 9")
    assert run("show", queue.name, "1").lines[1] == f"item      {'x' * 64} ..."


# -- acl


@pytest.mark.parametrize("role", ["worker", "filler", "watcher", "owner"])
def test_acl_prints_rules_that_a_user_of_redis_can_live_by(
    make_queue: MakeQueue, redis_server: RedisServer, run: Run, role: str
) -> None:
    queue = make_queue()
    answer = run("acl", queue.name, "--role", role)
    assert (answer.code, answer.err, len(answer.lines)) == (0, "", 1)
    with redis.Redis.from_url(redis_server.url) as client:
        login = ["ACL", "SETUSER", role, "on", ">secret"]
        client.execute_command(*login, *shlex.split(answer.out))
        queue.put("apple")
        doings: dict[str, list[str]] = {
            "watcher": ["stats", "peek", "dead", "show", "export"],
            "owner": ["stats", "peek", "dead", "show", "retry", "drop", "adopt", "export"],
        }
        url = f"redis://{role}:secret@127.0.0.1:{redis_server.port}"
        with WorkQueue(queue.name, url=url) as user:
            if role in ("worker", "owner"):
                user.complete(user.lease())
            if role in ("filler", "owner"):
                user.put("banana")
        for command in doings.get(role, []):
            ids = ["1"] * (command in ("show", "drop"))
            told = process(command, queue.name, *ids, "--redis", url)
            assert b"lacks a permission" not in told.stderr, command
        client.execute_command("ACL", "DELUSER", role)


def test_acl_asks_no_redis_and_knows_its_roles_and_modes(run: Run) -> None:
    alone = process("acl", "job2", "--redis", "redis://127.0.0.1:1")
    assert alone.returncode == 0
    more = run("acl", "job2", "--mode", "sentinel", "--mode", "replicas").out
    assert set(more.split()) - set(alone.stdout.decode().split()) == {"+role", "+wait", "+expire"}
    assert run("acl", "job2", "--role", "king").code == 2


# -- list


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def test_list_shows_the_queues_and_tells_of_plain_lists(
    own_redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(*arguments: str) -> Outcome:
        code = cli.main(["queue", "list", *arguments, "--redis", own_redis.url])
        return Outcome(code, *capsys.readouterr())

    nothing = listed()
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == "There is no queue here that wqlib has used.\n"
    with redis.Redis.from_url(own_redis.url) as client:
        client.rpush("job2", "apple", "banana")  # as on the Kubernetes page
        told = listed()
        assert (told.code, told.out) == (0, "")
        assert "Not shown: 1 plain list that no worker of wqlib has used yet (job2). " in told.err
        assert listed("--all").lines == [
            "PENDING  LEASED  DONE  DEAD  QUEUE",
            "      2       0     0     0  job2",
        ]
        client.set("{text}:counts", "text")
        client.hset("{old}:counts", "version", "0")
        client.rpush("{job2}:not ours", "x")
        client.rpush(b"\xff", "no name for a queue")
    with WorkQueue("job2", url=own_redis.url) as queue, WorkQueue("a\nb", url=own_redis.url) as odd:
        queue.complete(queue.lease())
        odd.put(range(1234))
    told = listed()
    assert told.code == 1  # for the one of another version
    assert told.lines == [
        "PENDING  LEASED  DONE  DEAD  QUEUE",
        "  1,234       0     0     0  a\\nb",
        "      1       0     1     0  job2",
    ]
    assert told.err.startswith("old: The queue old was made by another version of wqlib")
    rows = json.loads(listed("--json").out)
    assert [(row["queue"], row["pending"], row["done"]) for row in rows] == [
        ("a\nb", 1234, 0), ("job2", 1, 1),
    ]  # fmt: skip


def test_list_finds_all_queues_of_a_redis_cluster(
    redis_cluster: RedisCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"listed {number}" for number in range(12)]
    assert {redis_cluster.owner(name) for name in names} == {0, 1, 2}
    queues = [WorkQueue(name, url=redis_cluster.url) for name in names]
    for queue in queues:
        queue.put("apple")
    for url in (redis_cluster.url, redis_cluster.other_url):
        assert cli.main(["queue", "list", "--json", "--redis", url]) == 0
        found = [row["queue"] for row in json.loads(capsys.readouterr().out)]
        assert sorted(names) == [name for name in found if name in names]
    for queue in queues:
        queue.clear()
        queue.close()


# -- export and import


def test_what_was_exported_is_imported_into_another_queue(
    story: WorkQueue, make_queue: MakeQueue, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "out.jsonl"
    before = story.stats()
    told = run("export", story.name, "-o", str(file))
    assert (told.code, told.out) == (0, "")
    assert told.err == f"Exported 7 items of {story.name}: 1 leased, 4 pending, 2 dead.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    after = story.stats()
    assert (after.pending, after.leased, after.dead) == (before.pending, 1, 2)

    other = make_queue(name=f"{story.name} again")
    told = run("import", other.name, str(file))
    assert (told.code, told.out) == (0, f"5 items put into {other.name}.\n")
    assert told.err == "2 dead items skipped. With --dead they go in too.\n"
    assert other.peek(10) == [b"held", b"next", b"\xff\x00", b"", b"last"]
    other.clear()

    told = run("import", other.name, str(file), "--dead")
    assert (told.code, told.out, told.err) == (0, f"7 items put into {other.name}.\n", "")
    assert other.peek(10)[-2:] == [b"bad", b"worse"]
    other.clear()


def test_export_to_standard_output_and_import_from_standard_input(
    story: WorkQueue, make_queue: MakeQueue, redis_server: RedisServer
) -> None:
    environment = {**os.environ, "WQLIB_REDIS_URL": redis_server.url}
    out = process("export", story.name, env=environment)
    assert out.returncode == 0
    other = make_queue(name=f"{story.name} again")
    into = process("import", other.name, "-", input=out.stdout, env=environment)
    assert (into.returncode, into.stdout.decode()) == (0, f"5 items put into {other.name}.\n")
    assert other.stats().pending == 5
    other.clear()


def test_an_export_has_every_item_once_while_workers_move_them(
    make_queue: MakeQueue, run: Run, tmp_path: Path
) -> None:
    queue, total = make_queue(), 5_000
    queue.put(range(total))
    ended = threading.Event()

    def move() -> None:
        with make_queue("mover").copy() as mover:
            while not ended.is_set():
                mover.release_all(mover.exchange((), 500))

    moving = threading.Thread(target=move)
    moving.start()
    try:
        for _ in range(6):
            assert run("export", queue.name, "-o", str(tmp_path / "out")).code == 0
            with (tmp_path / "out").open("rb") as file:
                assert sorted(int(entry.item) for entry in export.read(file)) == list(range(total))
    finally:
        ended.set()
        moving.join()
    assert queue.stats().released > 1000  # they did move


def test_a_bad_file_is_refused_before_anything_is_put(
    queue: WorkQueue, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "bad.jsonl"
    lines = file_of([b"apple"] * 5000, [], [])
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:10])
    told = run("import", queue.name, str(file))
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("wqlib: Nothing was put. Line 5001 is not that of an exported")
    assert queue.stats().pending == 0


def test_a_file_that_is_cut_short_is_refused(queue: WorkQueue, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "short.jsonl"
    file.write_bytes(b"".join(file_of([b"apple"] * 3, [], [])[:-1]))
    told = run("import", queue.name, str(file))
    assert told.code == 1
    assert "announces 3 pending items, but up to line 3 there are 2" in told.err
    assert queue.stats().pending == 0


def test_import_of_plain_lines(queue: WorkQueue, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fruit.txt"
    file.write_bytes(b"apple\nbanana\n\ncherry")
    told = run("import", queue.name, str(file))
    assert told.code == 1
    assert "needs --lines" in told.err
    told = run("import", queue.name, str(file), "--lines")
    assert (told.code, told.out) == (0, f"3 items put into {queue.name}.\n")
    assert queue.peek(10) == [b"apple", b"banana", b"cherry"]


def test_an_import_that_broke_off_goes_on(
    queue: WorkQueue, redis_server: RedisServer, run: Run, tmp_path: Path
) -> None:
    total = 300_000
    file = tmp_path / "many.txt"
    file.write_text("".join(f"item {number}\n" for number in range(total)))
    command = ["import", queue.name, str(file), "--lines", "--once"]
    victim = subprocess.Popen(
        [sys.executable, "-m", "wqlib.commands.cli", "queue", *command, "--redis", redis_server.url]
    )
    soon(lambda: queue.stats().pending > 0, 30)
    victim.kill()
    victim.wait()
    before = queue.stats().pending
    assert before < total, "it was killed too late"
    told = run(*command)
    assert told.out == f"{total - before:,} items put into {queue.name}.\n"
    assert told.err == f"{before:,} items already imported.\n"
    assert queue.peek(total + 1) == [f"item {number}".encode() for number in range(total)]
    again = run(*command)
    assert again.out == f"0 items put into {queue.name}.\n"
    assert run(*command[:-1]).out == f"{total:,} items put into {queue.name}.\n"


def test_many_leases_and_many_dead_items_are_exported(
    make_queue: MakeQueue, run: Run, tmp_path: Path
) -> None:
    queue = make_queue(max_attempts=1)
    queue.put(range(30_000))
    for _ in range(20):
        for lease in queue.exchange((), 500):
            queue.fail(lease)
    for _ in range(20):
        queue.exchange((), 500)
    told = run("export", queue.name, "-o", str(tmp_path / "out"))
    assert told.err == (
        f"Exported 30,000 items of {queue.name}: 10,000 leased, 10,000 pending, 10,000 dead.\n"
    )
    with (tmp_path / "out").open("rb") as file:
        items = [int(entry.item) for entry in export.read(file)]
    assert sorted(items) == list(range(30_000))


def test_a_file_that_is_not_there_or_a_folder_is_told(run: Run, tmp_path: Path) -> None:
    told = run("import", "job2", str(tmp_path / "none"))
    assert told.code == 1
    assert told.err.endswith("none cannot be read or written: No such file or directory.\n")
    assert run("import", "job2", str(tmp_path)).code == 1
    assert run("export", "job2", "-o", str(tmp_path / "no" / "file")).code == 1


def test_an_export_that_fails_leaves_the_old_file(
    story: WorkQueue, run: Run, tmp_path: Path, monkeypatch
) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("old")

    def full(*_: object) -> object:
        yield "new"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write", full)
    told = run("export", story.name, "-o", str(file))
    assert (told.code, told.out) == (1, "")
    assert told.err == "wqlib: the file cannot be read or written: No space left on device.\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_million_items_go_out_and_in(
    make_queue: MakeQueue, redis_server: RedisServer, tmp_path: Path
) -> None:
    queue = make_queue()
    queue.put(f"item {number}" for number in range(1_000_000))
    queue.lease()
    file = tmp_path / "out.jsonl"
    out = process("export", queue.name, "-o", str(file), "--redis", redis_server.url)
    assert out.returncode == 0, out.stderr
    assert b"1,000,000 items" in out.stderr
    assert b"1 leased, 999,999 pending" in out.stderr
    queue.clear()
    into = process("import", queue.name, str(file), "--redis", redis_server.url)
    assert into.returncode == 0, into.stderr
    assert queue.stats().pending == 1_000_000
    with redis.Redis.from_url(redis_server.url) as client:
        for number in (0, 1, 999, 1000, 65_535, 999_999):
            assert client.lindex(queue.name, number) == f"item {number}".encode()


# -- the command line


COMMANDS = (
    "list", "stats", "top", "peek", "dead", "show", "retry", "drop", "adopt", "acl", "export",
    "import",
)  # fmt: skip


def test_help_names_every_command_and_redis(run: Run) -> None:
    answer = run("--help")
    assert answer.code == 0
    for command in COMMANDS:
        assert f"\n    {command} " in answer.out
        assert "--redis" in run(command, "--help").out
    assert "WQLIB_REDIS_URL" in answer.out


@pytest.mark.parametrize(
    "arguments", [[], ["stats"], ["burn", "job2"], ["retry", "job2", "x"], ["drop", "job2"],
                  ["show", "job2", "0"], ["show", "job2"],
                  ["import", "job2", "f", "--lines", "--dead"]],
)  # fmt: skip
def test_a_wrong_command_line_ends_with_2_and_the_usage(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["queue", *arguments])
    assert end.value.code == 2
    assert "usage: wqlib queue" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a{b}", "", "x" * 600])
def test_a_name_that_no_queue_can_have_is_refused(name: str, run: Run) -> None:
    answer = run("stats", name)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("wqlib queue: ")


def test_what_goes_wrong_with_redis_is_told_in_plain_words(
    redis_server: RedisServer, run: Run
) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("no queue", "text")
        for command in (["stats"], ["export"], ["peek"], ["dead"], ["retry"], ["adopt"], ["top"]):
            answer = run(*command, "no queue")
            assert (answer.code, answer.out) == (1, "")
            assert "and not a list" in answer.err
        client.delete("no queue")
    away = process("stats", "job2", "--redis", "redis://127.0.0.1:1")
    assert (away.returncode, away.stdout) == (1, b"")
    assert b"did not answer" in away.stderr
    assert b"Traceback" not in away.stderr


@pytest.mark.parametrize("command", [["stats"], ["peek", "-n", "3000"], ["export"]])
@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_goes_away_is_no_error(
    queue: WorkQueue, redis_server: RedisServer, command: list[str], buffered: bool
) -> None:
    queue.put(["x" * 100] * 3000)
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", "wqlib.commands.cli", "queue", *command, queue.name],
        env={**os.environ, "WQLIB_REDIS_URL": redis_server.url}
        | {"PYTHONUNBUFFERED": "" if buffered else "1"},
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(writer)
    assert (run.returncode, run.stderr) == (0, b"")


def test_a_terminal_that_knows_few_characters_is_no_error(
    queue: WorkQueue, redis_server: RedisServer
) -> None:
    queue.put("pêche")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = process("peek", queue.name, "--redis", redis_server.url, env=environment)
    assert (run.returncode, run.stdout) == (0, b"p\\xeache\n")


def test_it_needs_neither_kubernetes_nor_jupyter() -> None:
    program = (
        "import sys, wqlib.commands.cli, wqlib.commands.queue;"
        " print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "'redis'" in run.stdout
    for absent in ("kubernetes", "IPython", "matplotlib", "tornado", "prometheus_client"):
        assert f"'{absent}'" not in run.stdout
