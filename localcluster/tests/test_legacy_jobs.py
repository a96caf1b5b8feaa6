"""Jobs by the rules of Kubernetes 1.20, which the profile of that name follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import localcluster

from .conftest import Local, job, wait_until


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    home = tmp_path_factory.mktemp("old")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALCLUSTER_PROFILE", "1.20")
        patch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
        patch.setenv("LOCALCLUSTER_JOB_BACKOFF_SECONDS", "1")
        patch.delenv("LOCALCLUSTER_LOOPBACK", raising=False)
        yield Local(home, localcluster.ensure(home))
        assert localcluster.stop(home)


def _get(old: Local, name: str) -> dict[str, Any]:
    found: dict[str, Any] = old.request(
        "GET", f"/apis/batch/v1/namespaces/default/jobs/{name}"
    ).json
    return found


def _create(old: Local, body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = old.request("POST", "/apis/batch/v1/namespaces/default/jobs", body).json
    return made


def _pods(old: Local, name: str) -> list[Any]:
    listed: list[Any] = old.core.list_namespaced_pod(
        "default", label_selector=f"job-name={name}"
    ).items
    return sorted(listed, key=lambda pod: pod.metadata.creation_timestamp)


def _running(old: Local, name: str) -> list[str]:
    return [p.metadata.name for p in _pods(old, name) if p.status.phase == "Running"]


def _end(old: Local, name: str) -> dict[str, Any]:
    def ended() -> Any:
        status = _get(old, name)["status"]
        return status if status.get("conditions") else None

    status: dict[str, Any] = wait_until(ended, what="the Job ends")
    return status


def test_a_job_is_stored_as_in_those_days(old: Local) -> None:
    body = job("plain", "true", parallelism=2, suspend=True, completionMode="Indexed")
    made = _create(old, body)
    uid = made["metadata"]["uid"]
    labels = {"controller-uid": uid, "job-name": "plain"}
    assert made["metadata"]["labels"] == labels
    assert "generation" not in made["metadata"]
    assert set(made["spec"]) == {"parallelism", "backoffLimit", "selector", "template"}
    assert made["spec"]["selector"] == {"matchLabels": {"controller-uid": uid}}
    assert made["spec"]["template"]["metadata"]["labels"] == labels
    status = _end(old, "plain")
    (condition,) = status.pop("conditions")
    assert set(condition) == {"type", "status", "lastProbeTime", "lastTransitionTime"}
    assert condition["type"] == "Complete"
    assert set(status) == {"startTime", "completionTime", "succeeded"}
    assert status["succeeded"] == 2
    for pod in _pods(old, "plain"):
        assert pod.metadata.labels == labels
        assert not pod.metadata.finalizers


def test_the_first_failed_pod_is_replaced_at_once_the_next_a_while_later(old: Local) -> None:
    _create(old, job("fails", "false", backoffLimit=2))
    status = _end(old, "fails")
    assert status["conditions"][0]["reason"] == "BackoffLimitExceeded"
    assert [c["type"] for c in status["conditions"]] == ["Failed"]
    assert status["failed"] == 3
    ends = [
        pod.status.container_statuses[0].state.terminated.finished_at for pod in _pods(old, "fails")
    ]
    assert len(ends) == 3
    # The wait counts from when the failure before was noticed.
    assert (ends[2] - ends[0]).total_seconds() >= 1


def test_a_deleted_pod_is_replaced_at_once_and_forgotten(old: Local) -> None:
    _create(old, job("gone", "sleep", "60", parallelism=2))
    wait_until(lambda: len(_running(old, "gone")) == 2)
    victim = _running(old, "gone")[0]
    old.core.delete_namespaced_pod(victim, "default", grace_period_seconds=0)
    wait_until(lambda: len(_running(old, "gone")) == 2 and victim not in _running(old, "gone"))
    wait_until(lambda: set(_get(old, "gone")["status"]) == {"startTime", "active"})
    assert _get(old, "gone")["status"]["active"] == 2


def test_a_lower_parallelism_counts_after_a_success_too(old: Local, tmp_path: Any) -> None:
    script = f"if mkdir '{tmp_path}/first'; then exit 0; fi; sleep 60"
    _create(old, job("fewer", "sh", "-c", script, parallelism=3))
    wait_until(lambda: _get(old, "fewer")["status"].get("succeeded") == 1)
    wait_until(lambda: len(_running(old, "fewer")) == 2)
    old.batch.patch_namespaced_job("fewer", "default", {"spec": {"parallelism": 1}})
    wait_until(lambda: _get(old, "fewer")["status"].get("active") == 1)


def test_the_columns_of_those_days(old: Local) -> None:
    _create(old, job("table", "true", parallelism=0))
    wanted = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    path = "/apis/batch/v1/namespaces/default/jobs/table"
    table = old.request("GET", path, headers=wanted).json
    shown = [c["name"] for c in table["columnDefinitions"] if not c["priority"]]
    assert shown == ["Name", "Completions", "Duration", "Age"]
    assert table["rows"][0]["cells"][:3] == ["table", "0/1", ""]
    # Nothing was started, so nothing is said about a start.
    assert _get(old, "table")["status"] == {}
