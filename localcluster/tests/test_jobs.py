"""The Job controller, as the course tells about it.

The cluster of these tests waits 1 s instead of 10 s before it replaces a failed pod.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from localcluster.controllers.jobrules import wanted_pods

from .conftest import Local, job, wait_until

# Ends well once a file is there, and waits for it until then.
UNTIL_FILE = "while ! [ -e '{}' ]; do sleep 0.02; done"


def _pods(local: Local, ns: str) -> list[Any]:
    listed: list[Any] = local.core.list_namespaced_pod(ns).items
    return listed


def _names(local: Local, ns: str) -> set[str]:
    return {pod.metadata.name for pod in _pods(local, ns)}


def _running(local: Local, ns: str) -> list[Any]:
    return [
        p
        for p in _pods(local, ns)
        if p.status.phase == "Running" and not p.metadata.deletion_timestamp
    ]


def _job(local: Local, ns: str, name: str = "j") -> Any:
    return local.batch.read_namespaced_job(name, ns)


def _condition(local: Local, ns: str, kind: str, name: str = "j") -> Any:
    found = _job(local, ns, name).status.conditions or []
    return next((c for c in found if c.type == kind and c.status == "True"), None)


def _done(local: Local, ns: str, kind: str = "Complete") -> Any:
    return wait_until(lambda: _condition(local, ns, kind), what=f"the Job is {kind}")


def _events(local: Local, ns: str, name: str = "j") -> list[str]:
    listed = local.core.list_namespaced_event(ns, field_selector=f"involvedObject.name={name}")
    return [event.reason for event in listed.items]


@pytest.mark.parametrize(
    ("spec", "active", "succeeded", "wanted"),
    [
        ({"parallelism": 3}, 0, 0, 3),
        ({"parallelism": 3}, 2, 0, 3),
        ({"parallelism": 3}, 2, 1, 2),
        ({"parallelism": 1}, 2, 1, 2),
        ({"parallelism": 3}, 0, 1, 0),
        ({"parallelism": 3, "completions": 5}, 0, 0, 3),
        ({"parallelism": 3, "completions": 5}, 1, 4, 1),
        ({"parallelism": 3, "completions": 5, "suspend": True}, 3, 1, 0),
        ({"parallelism": 0}, 2, 0, 0),
    ],
)
def test_how_many_pods_a_job_wants(
    spec: dict[str, Any], active: int, succeeded: int, wanted: int
) -> None:
    assert wanted_pods({"spec": spec}, active, succeeded) == wanted


def test_a_work_queue_job_runs_parallelism_pods_and_completes_when_all_ended(
    local: Local, ns: str
) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", parallelism=3))
    condition = _done(local, ns)
    assert condition.reason == "CompletionsReached"
    found = _job(local, ns)
    assert found.spec.completions is None
    assert (found.status.succeeded, found.status.active, found.status.failed) == (3, None, None)
    assert found.status.start_time <= found.status.completion_time
    assert [c.type for c in found.status.conditions] == ["SuccessCriteriaMet", "Complete"]
    assert len(_pods(local, ns)) == 3


def test_pods_carry_the_names_labels_and_owner_of_their_job(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true"))
    _done(local, ns)
    (pod,) = _pods(local, ns)
    uid = _job(local, ns).metadata.uid
    assert pod.metadata.name.startswith("j-")
    assert len(pod.metadata.name) == len("j-xxxxx")
    assert pod.metadata.labels == {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": uid,
        "job-name": "j",
    }
    (owner,) = pod.metadata.owner_references
    assert (owner.kind, owner.name, owner.uid, owner.controller) == ("Job", "j", uid, True)
    assert not pod.metadata.finalizers


def test_a_job_tells_its_story_in_events(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", parallelism=2))
    _done(local, ns)
    wait_until(lambda: "Completed" in _events(local, ns))
    assert sorted(_events(local, ns)) == ["Completed", "SuccessfulCreate", "SuccessfulCreate"]


def test_after_the_first_success_no_pod_is_replaced(local: Local, ns: str, tmp_path: Any) -> None:
    first, last = tmp_path / "first", tmp_path / "last"
    # One pod ends well; the other then fails, and nobody takes its place.
    script = f"if mkdir '{first}'; then exit 0; fi; {UNTIL_FILE.format(last)}; exit 1"
    local.batch.create_namespaced_job(ns, job("j", "sh", "-c", script, parallelism=2))
    wait_until(lambda: _job(local, ns).status.succeeded == 1)
    assert _condition(local, ns, "Complete") is None
    last.touch()
    _done(local, ns)
    status = _job(local, ns).status
    assert (status.succeeded, status.failed) == (1, 1)
    assert len(_pods(local, ns)) == 2


def test_a_deleted_pod_is_replaced_and_counts_as_failed(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sleep", "60", parallelism=2))
    wait_until(lambda: len(_running(local, ns)) == 2)
    before = _names(local, ns)
    victim = sorted(before)[0]
    local.core.delete_namespaced_pod(victim, ns, grace_period_seconds=0)
    wait_until(lambda: len(_running(local, ns)) == 2 and victim not in _names(local, ns))
    assert len(_names(local, ns) - before) == 1
    status = _job(local, ns).status
    assert (status.active, status.failed, status.succeeded) == (2, 1, None)


def test_a_failed_pod_is_replaced_only_after_the_back_off(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "false", backoffLimit=1))
    _done(local, ns, "Failed")
    pods = sorted(_pods(local, ns), key=lambda p: p.metadata.creation_timestamp)
    assert len(pods) == 2
    ended = pods[0].status.container_statuses[0].state.terminated.finished_at
    assert (pods[1].metadata.creation_timestamp - ended).total_seconds() >= 1


def test_too_many_failures_fail_the_job(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sh", "-c", "exit 7", backoffLimit=0))
    condition = _done(local, ns, "Failed")
    assert condition.reason == "BackoffLimitExceeded"
    assert condition.message == "Job has reached the specified backoff limit"
    status = _job(local, ns).status
    assert (status.failed, status.active) == (1, None)
    assert [c.type for c in status.conditions] == ["FailureTarget", "Failed"]
    wait_until(lambda: "BackoffLimitExceeded" in _events(local, ns))


def test_with_on_failure_restarts_count_towards_the_limit(local: Local, ns: str) -> None:
    body = job("j", "sh", "-c", "exit 7", policy="OnFailure", backoffLimit=1)
    local.batch.create_namespaced_job(ns, body)
    condition = _done(local, ns, "Failed")
    assert condition.reason == "BackoffLimitExceeded"
    assert len(_pods(local, ns)) <= 1


def test_plain_completions(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", completions=4, parallelism=2))
    _done(local, ns)
    assert _job(local, ns).status.succeeded == 4
    assert len(_pods(local, ns)) == 4


def test_parallelism_can_be_changed_while_the_job_runs(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sleep", "60", parallelism=1))
    wait_until(lambda: len(_running(local, ns)) == 1)
    for wanted in (4, 2):
        local.batch.patch_namespaced_job("j", ns, {"spec": {"parallelism": wanted}})
        wait_until(lambda wanted=wanted: len(_running(local, ns)) == wanted)
    wait_until(lambda: _job(local, ns).status.active == 2)
    assert _job(local, ns).status.failed is None
    wait_until(lambda: _events(local, ns).count("SuccessfulDelete") == 2)


def test_a_suspended_job_has_no_pods_until_it_is_resumed(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", suspend=True))
    condition = _done(local, ns, "Suspended")
    assert condition.reason == "JobSuspended"
    assert _pods(local, ns) == []
    assert _job(local, ns).status.start_time is None
    local.batch.patch_namespaced_job("j", ns, {"spec": {"suspend": False}})
    _done(local, ns)
    assert {"Suspended", "Resumed"} <= set(wait_until(lambda: _events(local, ns)))


def test_a_deadline_ends_the_job(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sleep", "60", activeDeadlineSeconds=1))
    assert _done(local, ns, "Failed").reason == "DeadlineExceeded"
    wait_until(lambda: not _running(local, ns))


def test_a_finished_job_goes_when_its_time_to_live_is_over(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", ttlSecondsAfterFinished=1))
    wait_until(lambda: not local.batch.list_namespaced_job(ns).items)
    wait_until(lambda: not _pods(local, ns))


def test_deleting_in_the_background_takes_the_pods_along(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sleep", "60"))
    wait_until(lambda: len(_running(local, ns)) == 1)
    local.batch.delete_namespaced_job("j", ns, propagation_policy="Background")
    assert not local.batch.list_namespaced_job(ns).items
    wait_until(lambda: not _pods(local, ns))


def test_deleting_in_the_foreground_waits_for_the_pods(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sleep", "60"))
    wait_until(lambda: len(_running(local, ns)) == 1)
    local.batch.delete_namespaced_job("j", ns, propagation_policy="Foreground")
    wait_until(lambda: not local.batch.list_namespaced_job(ns).items)
    assert not _pods(local, ns)


@pytest.mark.parametrize("policy", [None, "Orphan"])
def test_deleting_without_a_policy_leaves_the_pods_alone(
    local: Local, ns: str, policy: str | None
) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sleep", "60"))
    wait_until(lambda: len(_running(local, ns)) == 1)
    options = {"propagation_policy": policy} if policy else {}
    local.batch.delete_namespaced_job("j", ns, **options)
    wait_until(lambda: not local.batch.list_namespaced_job(ns).items)
    time.sleep(0.3)
    (pod,) = _running(local, ns)
    assert not pod.metadata.owner_references
    assert not pod.metadata.finalizers


def test_a_job_of_many_pods_counts_each_of_them_once(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", completions=40, parallelism=10))
    _done(local, ns)
    assert _job(local, ns).status.succeeded == 40
    assert len(_pods(local, ns)) == 40


def test_many_equal_events_of_a_job_are_combined_as_the_real_recorder_does(
    local: Local, ns: str
) -> None:
    nowhere = job("many", "true", parallelism=40, completions=40)
    nowhere["spec"]["template"]["spec"]["nodeSelector"] = {"no": "where"}
    local.batch.create_namespaced_job(ns, nowhere)

    def events() -> list[tuple[str, int]]:
        chosen = "involvedObject.kind=Job,involvedObject.name=many"
        listed = local.core.list_namespaced_event(ns, field_selector=chosen).items
        return [(event.message, event.count) for event in listed]

    # Nine of their own, and of those that follow as many as the limit of 25 lets through.
    wait_until(lambda: 16 in [count for _, count in events()])
    found = events()
    combined = [count for text, count in found if text.startswith("(combined from similar")]
    assert combined == [16]
    assert sorted(count for _, count in found) == [1] * 9 + [16]
