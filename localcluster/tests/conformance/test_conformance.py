"""Each scenario on a local cluster that behaves as 1.20, against its recording from a real 1.20."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

from . import declared
from .cluster import Cluster, kubectl_version
from .local import local_cluster
from .run import Recording, Score, all_scenarios, judge, playing
from .script import Scenario

SCENARIOS = all_scenarios()
DECLARATIONS = declared.load()
pytestmark = pytest.mark.timeout(300)


@dataclass
class Replay:
    """The scenarios that play in the background, and what has been judged."""

    cluster: Cluster
    futures: dict[str, Future[list[dict[str, Any]]]]

    def score(self, scenario: Scenario) -> Score:
        """Wait for a scenario, and compare it with its recording."""
        steps = self.futures[scenario.name].result()
        return judge(scenario, Recording.load(scenario.name), steps, DECLARATIONS)


@pytest.fixture(scope="module")
def replay(request: pytest.FixtureRequest) -> Iterator[Replay]:
    """All scenarios that were asked for, at once, on one cluster."""
    asked = {item.callspec.params["name"] for item in _of_scenarios(request.session.items)}
    chosen = [SCENARIOS[name] for name in SCENARIOS if name in asked and _can_play(name)]
    with local_cluster() as cluster, playing(chosen, cluster) as futures:
        yield Replay(cluster, futures)


def _of_scenarios(items: list[pytest.Item]) -> list[Any]:
    return [item for item in items if item.name.startswith("test_it_is_as_recorded[")]


def _can_play(name: str) -> bool:
    return bool(kubectl_version()) or not Recording.load(name).needs_kubectl


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_is_as_recorded(name: str, replay: Replay) -> None:
    if name not in replay.futures:
        pytest.skip("kubectl is not on PATH")
    score = replay.score(SCENARIOS[name])
    assert not score.failures, "\n" + "\n".join(map(str, score.failures))


def test_the_score(
    replay: Replay, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if len(_of_scenarios(request.session.items)) < len(SCENARIOS):
        pytest.skip("only some scenarios were asked for")
    if len(replay.futures) < len(SCENARIOS):
        pytest.skip("kubectl is not on PATH")
    total = Score()
    for name in replay.futures:
        total.add(replay.score(SCENARIOS[name]))
    with capsys.disabled():
        print(f"\n{total}")
    assert total.scenarios >= 40
    assert total.share >= 0.99
    unused = [one.where for one in DECLARATIONS if one not in total.known]
    assert not unused, f"declared in {declared.FILE.name}, but nothing differs so"


def test_every_scenario_is_recorded_and_every_recording_is_of_one() -> None:
    recorded = {file.stem for file in Recording.file("any").parent.glob("*.yaml")}
    assert recorded == set(SCENARIOS)
    assert {Recording.load(name).kubernetes for name in recorded} == {"v1.20.2"}
