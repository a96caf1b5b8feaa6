"""The normaliser and the comparer: what they let pass, and what they must not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from . import declared
from .compare import Comparison, Difference, leaves
from .normalise import Normaliser
from .run import Recording, all_scenarios, judge, recorded_scenarios

UID, OTHER = "0c5a9f2e-1111-4000-8000-000000000001", "0c5a9f2e-2222-4000-8000-000000000002"


def _differences(old: Any, new: Any) -> list[tuple[str, str]]:
    comparison = Comparison("s")
    comparison.steps([{"step": "GET a", "body": old}], [{"step": "GET a", "body": new}])
    return [(one.kind, one.where.partition(" | ")[2]) for one in comparison.differences]


def test_a_recording_is_like_itself() -> None:
    for name, scenario in recorded_scenarios().items():
        recording = Recording.load(name)
        score = judge(scenario, recording, copy.deepcopy(recording.steps), [])
        assert not score.failures
        assert score.identical >= len(recording.steps)


def test_one_other_leaf_in_a_recording_is_seen() -> None:
    scenario, recording = all_scenarios()["a-job-of-one"], Recording.load("a-job-of-one")
    steps = copy.deepcopy(recording.steps)
    steps[1]["body"]["status"]["succeeded"] = 2
    steps[1]["body"]["spec"]["invented"] = False
    del steps[1]["body"]["spec"]["backoffLimit"]
    steps[4]["stdout"] = steps[4]["stdout"].replace("1/1", "0/1")
    failures = judge(scenario, recording, steps, []).failures
    found = {(one.kind, one.where.rpartition(" | ")[2]) for one in failures}
    assert ("conflict", "body.status.succeeded") in found
    assert ("extra", "body.spec.invented") in found
    assert ("gap", "body.spec.backoffLimit") in found
    assert any(kind == "conflict" and where.startswith("stdout: one") for kind, where in found)
    assert len(found) == 4


def test_every_leaf_counts() -> None:
    recording = Recording.load("a-pod-that-succeeds")
    scenario = all_scenarios()["a-pod-that-succeeds"]
    whole = judge(scenario, recording, recording.steps, []).identical
    lost = judge(scenario, recording, recording.steps[:1], [])
    rest = [leaf for step in recording.steps[1:] for leaf in leaves("", step)]
    assert lost.count("gap", known=False) == len(rest) == whole - lost.identical


def test_types_and_emptiness_are_values() -> None:
    assert _differences({"a": 1}, {"a": "1"}) == [("conflict", "1 GET a | body.a")]
    assert _differences({"a": 0}, {"a": False}) == [("conflict", "1 GET a | body.a")]
    assert _differences({"a": {}}, {"a": []}) == [("conflict", "1 GET a | body.a")]
    assert _differences({"a": {}}, {}) == [("gap", "1 GET a | body.a")]
    assert _differences({}, {"a": None}) == [("extra", "1 GET a | body.a")]


def test_named_items_are_compared_by_name_and_by_order() -> None:
    one, two = {"type": "Complete", "status": "True"}, {"type": "Failed", "status": "False"}
    assert _differences([one, two], [one]) == [
        ("gap", "1 GET a | body[Failed].type"),
        ("gap", "1 GET a | body[Failed].status"),
    ]
    assert _differences([one, two], [two, one]) == [("conflict", "1 GET a | body[order]")]


def test_a_missing_line_moves_no_other() -> None:
    comparison = Comparison("s")
    comparison.steps([{"step": "k", "stdout": "a\nb: 1\nc"}], [{"step": "k", "stdout": "a\nb: 2"}])
    assert [(d.kind, d.where) for d in comparison.differences] == [
        ("conflict", "s | 1 k | stdout: b: 1"),
        ("gap", "s | 1 k | stdout: c"),
    ]


def test_equal_things_must_stay_equal() -> None:
    def normal(*uids: str) -> Any:
        return Normaliser({}).value(list(uids))

    assert normal(UID, UID, OTHER) == ["<uid-1>", "<uid-1>", "<uid-2>"]
    assert _differences(normal(UID, UID), normal(OTHER, OTHER)) == []
    assert _differences(normal(UID, OTHER), normal(UID, UID)) == [("conflict", "1 GET a | body[1]")]
    assert _differences(normal(UID, UID), normal(UID, OTHER)) == [("conflict", "1 GET a | body[1]")]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("wq-x7k2q", "wq-<x-1>"),
        ("web-6d8f9c7b5d-x7k2q", "web-<hash-1>-<x-1>"),
        ("wq-queue redis-master job2-apple", "wq-queue redis-master job2-apple"),
        ("2024-01-01T00:00:00Z", "<time>"),
        ("2024-01-01T00:00:00.000000Z", "<micro time>"),
        ("on 10.1.2.3 and 10.1.2.3, by 127.0.0.1", "on <ip-1> and <ip-1>, by 127.0.0.1"),
        ("3.11.2", "3.11.2"),
        ("/tmp/LIVE-2456789245/v1.Pod", "<folder>LIVE-<number>/v1.Pod"),
        ("containerd://0123456789abcdef", "<container-1>"),
    ],
)
def test_only_what_no_two_runs_share_is_taken_out(text: str, normal: str) -> None:
    assert Normaliser({}).string(text) == normal


def test_ages_are_taken_out_and_settings_are_not() -> None:
    normaliser = Normaliser({})
    assert (
        normaliser.text("NAME   READY   AGE\na      1/1     2m3s")
        == "NAME  READY  AGE\na  1/1  <age>"
    )
    assert normaliser.text("a   1   1 (3s ago)   9s") == "a  1  1 (<age> ago)  <age>"
    for line in ("Liveness:  exec [false] delay=0s timeout=1s", "Active Deadline Seconds:  5s"):
        assert normaliser.text(line) == line
    assert normaliser.text("      cpu:     10m") == "      cpu:  10m"
    assert normaliser.text("op=Exists for 300s") == "op=Exists for 300s"


def test_a_declaration_covers_its_kind_and_its_path_alone() -> None:
    known = declared.Declaration("gap", "* | *GET /apis* | *.storageVersionHash", "why")
    at = "discovery | 4 GET /apis/batch/v1 | body.resources[jobs].storageVersionHash"
    assert known.covers(Difference("gap", at))
    assert not known.covers(Difference("extra", at))
    assert not known.covers(Difference("conflict", at))
    assert not known.covers(Difference("gap", at.replace("Hash", "Hashes")))


def test_a_moment_may_have_the_declared_values_and_no_other() -> None:
    known = declared.Declaration("either", "* | * | *.phase", "why", ("Pending", "Running"))
    at = "s | 1 GET pods/a | body.status.phase"
    assert known.covers(Difference("conflict", at, "Pending", "Running"))
    assert not known.covers(Difference("conflict", at, "Pending", "Failed"))
    assert not known.covers(Difference("conflict", at, "Failed", "Running"))
    assert not known.covers(Difference("conflict", at.replace("phase", "reason"), "Pending", "x"))
    assert not known.covers(Difference("gap", at, "Pending"))


def test_a_moment_outside_its_values_is_a_conflict_and_one_inside_is_not_unused() -> None:
    scenario, recording = all_scenarios()["a-work-queue"], Recording.load("a-work-queue")
    where = "a-work-queue | * GET jobs/wq | body.status.ready"
    known = [declared.Declaration("either", where, "why", (0, 1, 2))]
    at = next(n for n, s in enumerate(recording.steps) if s["step"] == "GET jobs/wq")

    def judged(ready: int) -> tuple[int, list[declared.Declaration]]:
        steps = copy.deepcopy(recording.steps)
        steps[at]["body"]["status"]["ready"] = ready
        score = judge(scenario, recording, steps, known)
        return score.count("conflict", known=False), list(score.known)

    recorded = recording.steps[at]["body"]["status"]["ready"]
    assert judged(recorded) == (0, known)
    assert judged(recorded + 1) == (0, known)
    assert judged(recorded + 7)[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        '[[gap]]\nwhere = ["* | * | *"]\nreason = "all"',
        '[[gap]]\nwhere = ["* | * | *.a"]\nreason = " "',
        '[[gap]]\nwhere = ["* | * | *.a"]\nreason = "no value"\nvalues = [1, 2]',
        '[[conflict]]\nwhere = ["* | * | *.a"]\nreason = "a value may never differ"',
        '[[either]]\nwhere = ["* | * | *.a"]\nreason = "no other"\nvalues = [1]',
    ],
)
def test_a_declaration_without_a_reason_or_a_limit_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "gaps.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match="narrow"):
        declared.load(file)
