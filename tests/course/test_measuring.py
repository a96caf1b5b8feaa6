"""What is said of measured runs, and a plan that is rehearsed on a real queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from wqlib.course import Plan, RedisServer, cores, durations, findings, rehearse, spare_node
from wqlib.events import Event
from wqlib.history import History


def runs(**seconds: list[float]) -> dict[int, list[History]]:
    """Runs of one item each, by the number of pods: `p2=[0.5, 0.6]`."""
    return {int(pods[1:]): [history(took) for took in some] for pods, some in seconds.items()}


def history(took: float) -> History:
    lease = Event("lease", 100.0, "1-0", lease_id="1-1@pod", item_id=1, attempt=1, worker="pod")
    done = replace(lease, kind="complete", at=100.0 + took, stream_id="2-0", began=100.0)
    made = History()
    made.add([replace(lease, item="apple", deadline=130.0), replace(done, ended=100.0 + took)])
    return made


class TestFindings:
    def test_ranges_that_overlap_show_no_difference(self) -> None:
        said = findings(runs(p1=[2.0, 2.1], p2=[1.0, 1.1], p4=[0.9, 1.2]), cores=2)
        assert "   2   2.0 (1.9 to 2.0)\n" in said + "\n"
        assert "no difference from 2 seen" in said.splitlines()[3]
        assert "no difference from 1" not in said

    def test_cores_that_others_use_are_told(self) -> None:
        said = findings(runs(p1=[2.0], p2=[1.4], p4=[1.4]), cores=2)
        assert "2 on 2 cores 1.4 times: something else uses these cores" in said
        assert "something else" in findings(runs(p1=[2.0, 4.0], p2=[1.0], p4=[1.0]), cores=2)
        assert "something else" not in findings(runs(p1=[2.0], p2=[1.0], p4=[1.0]), cores=2)

    def test_as_many_cores_as_pods_show_no_bend(self) -> None:
        assert "no bend can show up to 2 pods" in findings(runs(p1=[2.0], p2=[1.0]), cores=8)
        assert "no bend" not in findings(runs(p1=[2.0], p2=[1.0]), cores=1)

    def test_durations_have_a_median_and_a_range(self) -> None:
        assert durations(runs(p1=[2.0, 1.0, 4.0])[1]) == "2.00 s (1.00 to 4.00)"


def test_the_cores_of_a_real_cluster_are_those_of_its_nodes() -> None:
    def node(cpu: str) -> Any:
        return SimpleNamespace(status=SimpleNamespace(allocatable={"cpu": cpu}))

    listed = SimpleNamespace(items=[node("2"), node("3920m")])
    real: Any = SimpleNamespace(name="kind", core=SimpleNamespace(list_node=lambda: listed))
    assert cores(real) == 5
    local: Any = SimpleNamespace(name="local")
    assert cores(local) >= 1


def test_no_node_of_a_real_cluster_may_go(capsys: pytest.CaptureFixture[str]) -> None:
    real: Any = SimpleNamespace(name="kind")
    assert spare_node(real, "job-wq-2") is None
    assert "real cluster" in capsys.readouterr().out


@pytest.fixture(scope="module")
def login() -> Iterator[dict[str, Any]]:
    with RedisServer() as server:
        yield {"url": server.url}


class TestRehearsal:
    plan = Plan(items=12, item_seconds=0.05, pods=4, start_seconds=0, lease_seconds=0.3)

    def test_it_lasts_as_long_as_the_work(self, login: dict[str, Any]) -> None:
        assert rehearse(self.plan, login) >= 3 * 0.05

    def test_nothing_is_lost_when_pods_die_and_pause(self, login: dict[str, Any]) -> None:
        hard = replace(
            self.plan, deaths_per_pod_hour=20_000, pauses_per_pod_hour=20_000, pause_seconds=0.4
        )
        assert rehearse(hard, login) > rehearse(self.plan, login)
