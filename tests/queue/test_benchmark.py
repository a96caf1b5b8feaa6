"""The benchmark measures what it says, and finds out who does not do its work."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import chart, costs, install, report, roster, waits  # noqa: E402
from benchmarks.lab import (  # noqa: E402
    ContenderFailed,
    Counter,
    Placement,
    Process,
    on_core,
    placements,
    server_on,
)
from benchmarks.roster import Contender  # noqa: E402
from benchmarks.rounds import Record, check, duel, measure  # noqa: E402
from wqlib.redisserver import RedisServer  # noqa: E402

COMMAND = [sys.executable, str(ROOT / "benchmarks" / "queue.py")]
ANYWHERE = Placement("two_cores", None, None)
OWN = {contender.name: contender for contender in roster.gather((), "6.2.0", lambda line: None)}
ONCE = (
    "fill_1e6_seconds",
    "drain_1e6_two_workers_seconds",
    "rate_1e6_pending_over_1e3",
    "rate_1e5_leases_over_10",
    "expiry_stall_ratio",
    "pickup_ms_p50",
    "pickup_ms_p99",
    "recovery_after_kill_seconds",
    "lease_seconds",
)
AT_EACH_PLACEMENT = (
    "ratio_to_fastest_python_peer",
    "ratio_worker",
    "ratio_worker_to_bullmq_c50",
    "ratio_batch16",
    "ratio_batch16_to_bullmq_c50",
    "ratio_to_floor",
    "round_trips_per_item",
)

# Contenders that cheat, each in its way: what they say at the end of five items.
CHEAT = """
import sys
sys.path.insert(0, {folder!r})
from protocol import serve

class Cheat:
    def __init__(self, url, setting):
        self.seen, self.setting = [], setting
    def fill(self, items):
        self.items = items
    def drain(self, items):
        first = len(self.seen)
        self.seen += range(first, first + items)
        if self.setting == "skips one" and first:
            self.seen.pop()
        if self.setting == "repeats one" and first:
            self.seen[-1] = 0
        if self.setting == "breaks down":
            raise RuntimeError("no more")
    def left(self):
        return 1 if self.setting == "leaves one" else 0

serve(Cheat)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server of the benchmark's own: it wipes it after each contender."""
    with RedisServer() as one:
        yield one


# -- the counter and the cores


def test_the_counter_counts_requests_and_not_what_scripts_do(server: RedisServer) -> None:
    counter = Counter(server)
    with redis.Redis.from_url(server.url, single_connection_client=True) as client:
        digest = client.script_load("for i = 1, 5 do redis.call('INCR', 'x') end")
        counter.since()
        for _ in range(50):
            client.evalsha(digest, 0)
        assert counter.since().reads == 50
        with client.pipeline() as pipeline:
            pipeline.incr("x").execute()  # a pipeline has a connection of its own: open it
            counter.since()
            for _ in range(20):
                pipeline.incr("x")
            pipeline.execute()
        assert counter.since().reads == 1
    counter.close()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin")
def test_worker_and_server_are_kept_on_their_core() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with server_on(core) as one, Process(OWN["wqlib"].command_line(one.url, 1), core) as process:
        process.listen()
        for pid in (one.pid, process.pid):
            for task in Path(f"/proc/{pid}/task").iterdir():
                assert os.sched_getaffinity(int(task.name)) == {core}
    assert os.sched_getaffinity(0) == before
    with on_core(core):
        assert os.sched_getaffinity(0) == {core}


def test_a_placement_that_cannot_be_had_is_named() -> None:
    found, missing = placements("both")
    assert {place.name for place in found} | set(missing) == set(report.PLACEMENTS)
    assert all(missing.values())


# -- contenders


@pytest.mark.parametrize("name", [name for name, c in OWN.items() if not c.skipped])
def test_a_contender_does_its_work(server: RedisServer, name: str) -> None:
    rate, trips, cpu_us = measure(OWN[name], server, ANYWHERE, 640)
    if name.startswith("wqlib_") and name != "wqlib_batch16":
        assert 0 < trips < 1.35  # a Worker takes as many at a time as it sees fit
    else:
        expected = {"page": 5, "wqlib_batch16": 1 / 16}
        assert trips == pytest.approx(expected.get(name, 1), rel=0.35)
    assert rate > 0
    assert cpu_us > 0
    with redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("cheat", "why"),
    [
        ("skips one", "processed 10 "),
        ("repeats one", "10 different"),
        ("leaves one", "1 are left"),
        ("breaks down", "no more"),
        ("honest", ""),
    ],
)
def test_a_contender_that_does_not_do_its_work_is_found_out(
    server: RedisServer, tmp_path: Path, cheat: str, why: str
) -> None:
    program = tmp_path / "cheat.py"
    program.write_text(CHEAT.format(folder=str(roster.PROGRAMS)))
    contender = Contender("cheat", "a cheat", "", str(program), cheat, 10, "python", piecewise=True)
    if cheat == "honest":
        assert measure(contender, server, ANYWHERE, 10)[0] > 0
        return
    with pytest.raises(ContenderFailed, match=why):
        measure(contender, server, ANYWHERE, 10)


def test_the_last_word_of_a_contender_is_checked_in_full() -> None:
    check({"done": 5, "distinct": 5, "left": 0}, 5)
    for end in ({"done": 5, "distinct": 5}, {"done": 6, "distinct": 5, "left": 0}, {}):
        with pytest.raises(ContenderFailed):
            check(end, 5)


def test_two_that_take_turns_are_compared_by_pairs(server: RedisServer) -> None:
    floor = OWN["floor_redis_py"]
    ratios = duel(OWN["floor_socket"], floor, server, ANYWHERE, 200)
    assert len(ratios) >= 10
    assert statistics.median(ratios) > 1  # nothing is slower for having less in between


def test_a_peer_that_is_not_there_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise install.NotInstalled("no network")

    monkeypatch.setattr(install, "python_peers", refuse)
    monkeypatch.setattr(install, "node_peers", refuse)
    peers = [c for c in roster.gather(roster.PEERS, "6.2.14", lambda line: None) if c.skipped]
    assert {peer.skipped for peer in peers if peer.family != "chasquimq"} == {"no network"}
    (chasquimq,) = {peer.skipped for peer in peers if peer.family == "chasquimq"}
    assert "8.6" in chasquimq
    assert "6.2.14" in chasquimq


def test_every_package_of_the_peers_is_pinned_and_the_client_is_that_of_the_course() -> None:
    folder = ROOT / "benchmarks"
    pinned = {}
    for name in ("chasquimq.txt", "peers.txt"):
        lines = (folder / name).read_text().splitlines()
        lines = [line for line in lines if line and not line.startswith("#")]
        pinned = dict(line.split("==") for line in lines)
        assert len(pinned) == len(lines)
    versions = json.loads((folder / "bullmq.json").read_text())["dependencies"].values()
    assert all(version[0].isdigit() for version in versions)
    locked = (ROOT / "requirements.lock").read_text()
    for client in ("redis", "hiredis"):
        assert f"\n{client}=={pinned[client]} " in f"\n{locked}"


# -- the other figures


def test_filling_and_draining_check_the_count(server: RedisServer) -> None:
    assert costs.fill(server, 3_000) > 0
    assert costs.drain_by_two(server, 3_000) > 0


def test_the_cost_of_many_items_and_leases_is_a_ratio(server: RedisServer) -> None:
    assert 0.1 < costs.rate_by_pending(server, 3_000, 1_000, slices=4) < 10
    assert 0.1 < costs.rate_by_leases(server, 1_500, 10, slices=4) < 10


def test_waits_are_measured_from_the_push_and_from_the_kill(server: RedisServer) -> None:
    picked = waits.pick_up(server, 20)
    assert len(picked) == 20
    assert min(picked) > 0
    recovery = waits.recover(server, 0.4)
    assert recovery.seconds > 0
    assert recovery.exit_seconds > 0


def test_leases_that_expire_at_once_are_all_taken_back(server: RedisServer) -> None:
    stall = waits.expire_at_once(server, 2_000)
    assert stall.before_ms
    assert stall.ratio >= 1
    assert stall.figures()["during_largest_ms"] == round(max(stall.during_ms), 3)


# -- the report


def made_up() -> dict[str, Record]:
    """Two rounds, of which the second was twice as fast for everybody."""
    rates = {
        "floor_redis_py": 30_000,
        "wqlib": 27_000,
        "wqlib_batch16": 200_000,
        "wqlib_worker": 100_000,
        "page": 9_000,  # faster than the peers, but it loses items
        "redis_work_queue": 5_000,
        "taskiq": 4_000,
        "bullmq_c50": 10_000,
    }
    return {
        name: Record({0: rate, 1: 2 * rate}, [1.0, 1.0], [30.0, 31.0])
        for name, rate in rates.items()
    }


def with_peers(*, waiting: bool = False) -> list[Contender]:
    everybody = roster.gather((), "6.2.0", lambda line: None)
    return [
        replace(contender, skipped="") for contender in everybody if contender.waiting == waiting
    ]


def made_up_waiting() -> dict[str, Any]:
    rates = {"wqlib_threads": 2_375.0, "wqlib_async": 2_400.0, "taskiq": 1_900.0, "bullmq": 2_250.0}
    records = {name: Record({0: rate}, [1.0], [30.0]) for name, rate in rates.items()}
    records["saq"] = Record(failed="it left three items")
    return report.waiting_figures(with_peers(waiting=True), records)


def test_ratios_agree_with_the_rates() -> None:
    records = made_up()
    figures = report.placement_figures(with_peers(), records, [0.9, 0.8, 0.7])
    assert figures["fastest_python_peer"] == "redis_work_queue"
    assert figures["ratio_to_fastest_python_peer"] == pytest.approx(5.4)
    assert figures["ratio_worker"] == pytest.approx(20)
    assert figures["ratio_worker_to_bullmq_c50"] == pytest.approx(10)
    assert figures["ratio_batch16"] == pytest.approx(40)
    assert figures["ratio_batch16_to_bullmq_c50"] == pytest.approx(20)
    assert figures["ratio_to_floor"] == pytest.approx(0.8)
    for name, record in records.items():
        line = figures["contenders"][name]
        assert line["items_per_second"] == statistics.median(line["rates"])
        assert line["ratio_to_floor"] == pytest.approx(record.rates[0] / 30_000, abs=0.001)


def test_items_that_wait_are_compared_with_the_ideal() -> None:
    figures = made_up_waiting()
    assert figures["share_of_ideal_threads"] == pytest.approx(0.95)
    assert figures["share_of_ideal_async"] == pytest.approx(0.96)
    assert figures["contenders"]["taskiq"]["share_of_ideal"] == pytest.approx(0.76)
    assert "share_of_ideal" not in figures["contenders"]["saq"]
    assert any("it left three items" in line for line in report.failures({"waiting": figures}))


def test_who_failed_is_named_and_never_compared_with() -> None:
    records = made_up()
    records["redis_work_queue"].failed = "it left three items"
    figures = report.placement_figures(with_peers(), records, [])
    assert figures["fastest_python_peer"] == "taskiq"
    assert figures["contenders"]["redis_work_queue"]["failed"] == "it left three items"
    result = {"one_core": figures}
    assert any("it left three items" in line for line in report.failures(result))


def test_a_bar_is_met_short_or_not_measured() -> None:
    result = {
        "one_core": {"ratio_to_floor": 0.8, "round_trips_per_item": 1.02},
        "waiting": {"share_of_ideal_threads": 0.9, "share_of_ideal_async": 0.89},
        "fill_1e6_seconds": 1.5,
        "pickup_ms_p50": 0.99,
        "lease_seconds": 2.0,
        "recovery_after_kill_seconds": 2.9,
    }
    verdicts = {(x["figure"], x["placement"]): x["verdict"] for x in report.bars(result)}
    assert verdicts["ratio_to_floor", "one_core"] == "met"
    assert verdicts["ratio_to_floor", "two_cores"] == "not measured"
    assert verdicts["round_trips_per_item", "one_core"] == "short"
    assert verdicts["share_of_ideal_threads", "waiting"] == "met"
    assert verdicts["share_of_ideal_async", "waiting"] == "short"
    assert verdicts["fill_1e6_seconds", "once"] == "short"
    assert verdicts["pickup_ms_p50", "once"] == "met"
    assert verdicts["recovery_after_kill_seconds", "once"] == "met"


def test_the_chart_is_drawn_from_the_result(tmp_path: Path) -> None:
    figures = report.placement_figures(with_peers(), made_up(), [0.9])
    result = {
        "repeats": 2,
        "server": "Redis 6.2.0",
        "python": "3.11.2",
        "machine": "some machine",
        "load_before": 0.1,
        "load_after": 1.5,
        "one_core": figures,
    }
    every = result | {"two_cores": figures, "waiting": made_up_waiting()}
    chart.draw(every, tmp_path / "chart.svg")
    drawn = (tmp_path / "chart.svg").read_text()
    for words in ("redis-work-queue", "async def 96%", "load 0.10 before"):
        assert words in drawn
    chart.draw(result, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


# -- the command


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a temporary folder of its own, to see what is left in it."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")}


@pytest.mark.timeout(240)
def test_the_command_prints_one_json_object_with_every_figure(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = subprocess.run(
        [*COMMAND, "--json", "--quick", "--peers", "none", "--repeats", "1"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=200,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    result = json.loads(run.stdout)
    assert set(ONCE) <= set(result)
    assert result["repeats"] == 1
    for place in report.PLACEMENTS:
        if "skipped" in result[place]:
            continue
        assert set(AT_EACH_PLACEMENT) <= set(result[place])
        lines = result[place]["contenders"]
        assert lines["saq"]["skipped"] == "not asked for"
        assert result[place]["ratio_to_fastest_python_peer"] is None
        assert result[place]["round_trips_per_item"] <= 1.01
        rate, floor = (lines[x]["items_per_second"] for x in ("wqlib", "floor_redis_py"))
        assert lines["wqlib"]["ratio_to_floor"] == pytest.approx(rate / floor, rel=0.01)
    assert result["waiting"]["contenders"]["wqlib_async"]["share_of_ideal"] > 0
    assert list((tmp_path / "tmp").iterdir()) == []
    saved = tmp_path / "result.json"
    saved.write_text(run.stdout)
    again = subprocess.run(
        [*COMMAND, "--from", str(saved), "--chart", str(tmp_path / "chart.png")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert again.returncode == 0
    assert "ratio_to_floor" in again.stdout
    assert (tmp_path / "chart.png").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_an_interruption(
    environment: dict[str, str], tmp_path: Path, number: int
) -> None:
    command = [*COMMAND, "--peers", "none", "--cores", "two"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr
        for line in process.stderr:
            if "round 1" in line:
                break
        started = psutil.Process(process.pid).children(recursive=True)
        assert any("redis" in child.name() or "valkey" in child.name() for child in started)
        process.send_signal(number)
        assert process.wait(30) == 130
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_nothing_is_left_after_the_benchmark_was_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [*COMMAND, "--peers", "none", "--cores", "two"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr
        for line in process.stderr:
            if "round 1" in line:
                break
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    assert list((tmp_path / "tmp").iterdir()) == []
