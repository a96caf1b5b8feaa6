"""Each scenario on a local cluster, against its recording from a real one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

from . import declared
from .cluster import Cluster, kubectl_version
from .local import local_cluster
from .run import Recording, Score, all_scenarios, judge, playing, recorded_scenarios
from .script import Scenario

RECORDED = recorded_scenarios()
UNRECORDED = {name: one for name, one in all_scenarios().items() if name not in RECORDED}
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
    asked = [item.callspec.params["name"] for item in _of_scenarios(request.session.items)]
    chosen = [one for name, one in all_scenarios().items() if name in asked and _can_play(name)]
    with local_cluster() as cluster, playing(chosen, cluster) as futures:
        yield Replay(cluster, futures)


def _of_scenarios(items: list[pytest.Item]) -> list[Any]:
    tests = (test_it_is_as_recorded.__name__, test_it_plays_to_its_end.__name__)
    return [item for item in items if item.name.startswith(tests)]


def _can_play(name: str) -> bool:
    # What nobody has recorded may need kubectl in any step.
    return bool(kubectl_version()) or (name in RECORDED and not Recording.load(name).needs_kubectl)


@pytest.mark.parametrize("name", RECORDED)
def test_it_is_as_recorded(name: str, replay: Replay) -> None:
    if name not in replay.futures:
        pytest.skip("kubectl is not on PATH")
    score = replay.score(RECORDED[name])
    assert not score.failures, "\n" + "\n".join(map(str, score.failures))


@pytest.mark.parametrize("name", UNRECORDED)
def test_it_plays_to_its_end(name: str, replay: Replay) -> None:
    """What it asserts itself is what upstream documents, until a recording says more."""
    if name not in replay.futures:
        pytest.skip("kubectl is not on PATH")
    assert replay.futures[name].result()


def test_the_score(replay: Replay, capsys: pytest.CaptureFixture[str]) -> None:
    if not set(RECORDED) <= set(replay.futures):
        pytest.skip("only some scenarios were asked for, or kubectl is not on PATH")
    total = Score()
    for name in RECORDED:
        total.add(replay.score(RECORDED[name]))
    with capsys.disabled():
        print(f"\n{total}")
    assert total.scenarios >= 90
    assert total.count("conflict", known=False) == 0
    assert total.share >= 0.995
    unused = [one.where for one in DECLARATIONS if one not in total.known]
    assert not unused, f"declared in {declared.FILE.name}, but nothing differs so"


def test_every_scenario_is_recorded_or_listed_as_not_yet_recorded() -> None:
    recorded = {file.stem for file in Recording.file("any").parent.glob("*.yaml")}
    assert recorded == set(RECORDED)
    assert declared.not_yet_recorded() == set(UNRECORDED)


def test_every_recording_says_where_it_comes_from() -> None:
    for name in RECORDED:
        recording = Recording.load(name)
        assert recording.source.startswith(f"Kubernetes {recording.kubernetes}, ")
        assert recording.kubernetes == "v1.36.2"
