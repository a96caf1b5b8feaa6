"""Jobs with indexes, with rules on failure and success, and what a Job's manifest may not say.

The cluster of these tests waits 1 s instead of 10 s before it replaces a failed pod.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from localcluster.controllers import jobindexes, jobpolicy

from .conftest import Local, job, wait_until

INDEX = "batch.kubernetes.io/job-completion-index"


def _indexed(name: str, script: str, completions: int, **spec: Any) -> dict[str, Any]:
    modes = {"completionMode": "Indexed", "completions": completions, "parallelism": completions}
    return job(name, "sh", "-c", script, **{**modes, **spec})


def _pods(local: Local, ns: str, name: str = "j") -> list[Any]:
    selector = f"batch.kubernetes.io/job-name={name}"
    listed: list[Any] = local.core.list_namespaced_pod(ns, label_selector=selector).items
    return listed


def _status(local: Local, ns: str, name: str = "j") -> Any:
    return local.batch.read_namespaced_job(name, ns).status


def _end(local: Local, ns: str, name: str = "j") -> Any:
    """Wait for the Job's last condition and return it."""

    def ended() -> Any:
        conditions = _status(local, ns, name).conditions or []
        return next((c for c in conditions if c.type in ("Complete", "Failed")), None)

    return wait_until(ended, what="the Job ends")


@pytest.mark.parametrize(
    ("indexes", "text"),
    [([], ""), ([0], "0"), ([0, 1], "0,1"), ([0, 1, 2, 5], "0-2,5"), ([3, 7, 8, 9], "3,7-9")],
)
def test_indexes_are_written_in_short(indexes: list[int], text: str) -> None:
    assert jobindexes.compact(indexes) == text
    assert {i for span in jobindexes.parse(text) for i in span} == set(indexes)


def test_each_pod_of_an_indexed_job_knows_its_index(local: Local, ns: str) -> None:
    body = _indexed("j", "echo $JOB_COMPLETION_INDEX $HOSTNAME", 3)
    containers = body["spec"]["template"]["spec"]["containers"]
    command = ["sh", "-c", "echo first $JOB_COMPLETION_INDEX"]
    body["spec"]["template"]["spec"]["initContainers"] = [
        {"name": "first", "image": containers[0]["image"], "command": command}
    ]
    local.batch.create_namespaced_job(ns, body)
    assert _end(local, ns).type == "Complete"
    status = _status(local, ns)
    assert (status.succeeded, status.completed_indexes) == (3, "0-2")
    pods = sorted(_pods(local, ns), key=lambda pod: str(pod.metadata.name))
    for i, pod in enumerate(pods):
        name = pod.metadata.name
        assert name.startswith(f"j-{i}-")
        assert len(name) == len(f"j-{i}-xxxxx")
        assert pod.metadata.annotations[INDEX] == pod.metadata.labels[INDEX] == str(i)
        assert pod.spec.hostname == f"j-{i}"
        assert local.core.read_namespaced_pod_log(name, ns) == f"{i} j-{i}\n"
        first = local.core.read_namespaced_pod_log(name, ns, container="first")
        assert first == f"first {i}\n"


def test_only_the_index_that_failed_is_tried_again(local: Local, ns: str, tmp_path: Path) -> None:
    script = f"test $JOB_COMPLETION_INDEX -ne 1 || ! mkdir '{tmp_path}/once'"
    local.batch.create_namespaced_job(ns, _indexed("j", script, 3))
    assert _end(local, ns).type == "Complete"
    status = _status(local, ns)
    assert (status.succeeded, status.failed, status.completed_indexes) == (3, 1, "0-2")
    assert sorted(pod.metadata.labels[INDEX] for pod in _pods(local, ns)) == ["0", "1", "1", "2"]


def test_each_index_can_have_its_own_limit(local: Local, ns: str) -> None:
    script = "test $JOB_COMPLETION_INDEX -ne 1"
    local.batch.create_namespaced_job(ns, _indexed("j", script, 3, backoffLimitPerIndex=1))
    end = _end(local, ns)
    assert (end.type, end.reason, end.message) == (
        "Failed",
        "FailedIndexes",
        "Job has failed indexes",
    )
    status = _status(local, ns)
    assert (status.completed_indexes, status.failed_indexes, status.failed) == ("0,2", "1", 2)
    counts = [
        pod.metadata.annotations["batch.kubernetes.io/job-index-failure-count"]
        for pod in _pods(local, ns)
        if pod.metadata.labels[INDEX] == "1"
    ]
    assert sorted(counts) == ["0", "1"]


def test_a_success_policy_ends_the_job_early(local: Local, ns: str) -> None:
    rules = {"rules": [{"succeededIndexes": "0"}]}
    script = "test $JOB_COMPLETION_INDEX -eq 0 || sleep 60"
    local.batch.create_namespaced_job(ns, _indexed("j", script, 3, successPolicy=rules))
    end = _end(local, ns)
    assert (end.type, end.reason) == ("Complete", "SuccessPolicy")
    assert end.message == "Matched rules at index 0"
    assert _status(local, ns).completed_indexes == "0"


@pytest.mark.parametrize(
    ("rule", "interim", "end"),
    [
        ({"successPolicy": {"rules": [{"succeededCount": 1}]}}, "SuccessCriteriaMet", "Complete"),
        ({"activeDeadlineSeconds": 2}, "FailureTarget", "Failed"),
    ],
)
def test_a_job_ends_only_once_its_pods_have_ended(
    local: Local, ns: str, rule: dict[str, Any], interim: str, end: str
) -> None:
    script = """test $JOB_COMPLETION_INDEX -eq 0 && sleep 0.5 && exit
    trap 'sleep 1; exit 1' TERM; while :; do sleep 0.05; done"""
    body = _indexed("j", script, 2, **rule)
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    local.batch.create_namespaced_job(ns, body)
    status = wait_until(lambda: (s := _status(local, ns)).conditions and s)
    assert [c.type for c in status.conditions] == [interim]
    assert (status.active, status.terminating, status.completion_time) == (None, 1, None)
    last = _end(local, ns)
    status = _status(local, ns)
    assert [c.type for c in status.conditions] == [interim, end]
    assert (last.reason, last.message) == (
        status.conditions[0].reason,
        status.conditions[0].message,
    )
    assert (status.completion_time is not None) == (end == "Complete")
    assert (status.succeeded, status.terminating) == (1, 0)
    assert status.failed == (1 if end == "Failed" else None)


@pytest.mark.parametrize("name", ["example.com/queue", "kubernetes.io/job-controller"])
def test_a_job_of_another_manager_is_left_alone(local: Local, ns: str, name: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", managedBy=name))
    local.batch.create_namespaced_job(ns, job("other", "true"))
    _end(local, ns, "other")
    if name == "kubernetes.io/job-controller":
        assert _end(local, ns).type == "Complete"
        return
    assert not _pods(local, ns)
    status = _status(local, ns)
    assert status.start_time is status.conditions is None
    # The other manager writes its status.
    change = {"status": {"active": 7, "startTime": "2024-01-01T00:00:00Z"}}
    assert local.batch.patch_namespaced_job_status("j", ns, change).status.active == 7


def test_an_indexed_job_grows_with_its_parallelism(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, _indexed("j", "sleep 60", 1))
    change = {"spec": {"completions": 3, "parallelism": 3}}
    local.batch.patch_namespaced_job("j", ns, change)
    wait_until(lambda: {p.metadata.labels[INDEX] for p in _pods(local, ns)} == {"0", "1", "2"})


def _policy(action: str, **rule: Any) -> dict[str, Any]:
    return {"rules": [{"action": action, **rule}]}


def test_an_exit_code_can_fail_the_job_at_once(local: Local, ns: str) -> None:
    rule = {"operator": "In", "values": [42], "containerName": "main"}
    policy = _policy("FailJob", onExitCodes=rule)
    body = job("j", "sh", "-c", "exit 42", podFailurePolicy=policy)
    local.batch.create_namespaced_job(ns, body)
    end = _end(local, ns)
    (pod,) = _pods(local, ns)
    assert (end.type, end.reason) == ("Failed", "PodFailurePolicy")
    assert end.message == (
        f"Container main for pod {ns}/{pod.metadata.name} failed with exit code 42 matching"
        " FailJob rule at index 0"
    )
    assert local.batch.read_namespaced_job("j", ns).spec.pod_replacement_policy == "Failed"


def test_an_exit_code_can_fail_its_index_at_once(local: Local, ns: str) -> None:
    policy = _policy("FailIndex", onExitCodes={"operator": "In", "values": [42]})
    script = "test $JOB_COMPLETION_INDEX -ne 1 || exit 42"
    modes = {"backoffLimitPerIndex": 3, "podFailurePolicy": policy}
    local.batch.create_namespaced_job(ns, _indexed("j", script, 3, **modes))
    assert _end(local, ns).reason == "FailedIndexes"
    status = _status(local, ns)
    assert (status.completed_indexes, status.failed_indexes, status.failed) == ("0,2", "1", 1)


def test_too_many_failed_indexes_fail_the_job(local: Local, ns: str) -> None:
    script = "test $JOB_COMPLETION_INDEX -lt 2 && exit 1; sleep 60"
    limits = {"backoffLimitPerIndex": 0, "maxFailedIndexes": 1}
    local.batch.create_namespaced_job(ns, _indexed("j", script, 3, **limits))
    end = _end(local, ns)
    assert (end.type, end.reason) == ("Failed", "MaxFailedIndexesExceeded")
    assert end.message == "Job has exceeded the specified maximal number of failed indexes"
    assert (_status(local, ns).failed_indexes, _status(local, ns).failed) == ("0,1", 3)


@pytest.mark.parametrize(("action", "failed"), [("Ignore", None), ("Count", 1)])
def test_an_evicted_pod_can_be_ignored(
    local: Local, ns: str, action: str, failed: int | None
) -> None:
    policy = _policy(action, onPodConditions=[{"type": "DisruptionTarget", "status": "True"}])
    script = "trap 'exit 1' TERM; while :; do sleep 0.05; done"
    body = job("j", "sh", "-c", script, podFailurePolicy=policy)
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    local.batch.create_namespaced_job(ns, body)
    wait_until(lambda: _status(local, ns).ready == 1)
    name = _pods(local, ns)[0].metadata.name
    path = f"/api/v1/namespaces/{ns}/pods/{name}/eviction"
    assert local.request("POST", path, {"metadata": {"name": name}}).code == 201
    wait_until(lambda: {p.metadata.name for p in _pods(local, ns)} not in (set(), {name}))
    wait_until(lambda: _status(local, ns).ready == 1)
    assert _status(local, ns).failed == failed


@pytest.mark.parametrize(
    ("action", "ends", "failed"), [("Ignore", "Complete", None), ("Count", "Failed", 1)]
)
def test_failures_can_be_ignored(
    local: Local, ns: str, tmp_path: Path, action: str, ends: str, failed: int | None
) -> None:
    policy = _policy(action, onExitCodes={"operator": "NotIn", "values": [0, 1]})
    script = f"if mkdir '{tmp_path}/once'; then exit 3; fi"
    body = job("j", "sh", "-c", script, backoffLimit=0, podFailurePolicy=policy)
    local.batch.create_namespaced_job(ns, body)
    assert _end(local, ns).type == ends
    assert _status(local, ns).failed == failed


@pytest.mark.parametrize(
    ("status", "action"), [("True", "Ignore"), ("False", "Count"), (None, "Count")]
)
def test_a_rule_can_look_at_the_conditions_of_a_pod(status: str | None, action: str) -> None:
    rule = _policy("Ignore", onPodConditions=[{"type": "DisruptionTarget", "status": "True"}])
    conditions = [{"type": "DisruptionTarget", "status": status}] if status else []
    pod = {
        "metadata": {"namespace": "default", "name": "p"},
        "status": {"phase": "Failed", "conditions": conditions},
    }
    spec = {"podFailurePolicy": rule, "completionMode": "NonIndexed"}
    assert jobpolicy.verdict({"spec": spec}, pod).action == action


def test_suspending_sends_the_pods_away_and_resuming_starts_the_clock_anew(
    local: Local, ns: str
) -> None:
    local.batch.create_namespaced_job(ns, job("j", "sleep", "60", parallelism=2))
    wait_until(lambda: _status(local, ns).ready == 2)
    local.batch.patch_namespaced_job("j", ns, {"spec": {"suspend": True}})
    wait_until(lambda: not _pods(local, ns))
    status = wait_until(lambda: (s := _status(local, ns)).active is None and s)
    assert [(c.type, c.status, c.reason) for c in status.conditions] == [
        ("Suspended", "True", "JobSuspended")
    ]
    assert status.failed is None
    local.batch.patch_namespaced_job("j", ns, {"spec": {"suspend": False}})
    status = wait_until(lambda: (s := _status(local, ns)).ready == 2 and s)
    assert [(c.type, c.status, c.reason) for c in status.conditions] == [
        ("Suspended", "False", "JobResumed")
    ]


def test_a_pod_can_be_replaced_only_once_it_has_ended(local: Local, ns: str) -> None:
    script = "trap 'sleep 1; exit 1' TERM; while :; do sleep 0.05; done"
    body = job("j", "sh", "-c", script, podReplacementPolicy="Failed")
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    local.batch.create_namespaced_job(ns, body)
    wait_until(lambda: _status(local, ns).ready == 1)
    (first,) = _pods(local, ns)
    local.core.delete_namespaced_pod(first.metadata.name, ns)
    wait_until(lambda: _status(local, ns).terminating == 1)
    assert [pod.metadata.name for pod in _pods(local, ns)] == [first.metadata.name]
    wait_until(lambda: _status(local, ns).ready == 1)
    assert _status(local, ns).failed == 1
    (second,) = _pods(local, ns)
    assert second.metadata.name != first.metadata.name


def test_a_job_with_a_selector_of_its_own_takes_over_orphaned_pods(local: Local, ns: str) -> None:
    created = local.batch.create_namespaced_job(ns, job("old", "sleep", "60", parallelism=2))
    wait_until(lambda: _status(local, ns, "old").ready == 2)
    local.batch.delete_namespaced_job("old", ns, propagation_policy="Orphan")
    wait_until(lambda: not local.batch.list_namespaced_job(ns).items)
    labels = {"batch.kubernetes.io/controller-uid": created.metadata.uid}
    body = job("new", "sleep", "60", parallelism=2, manualSelector=True)
    body["spec"]["selector"] = {"matchLabels": labels}
    body["spec"]["template"]["metadata"] = {"labels": labels}
    uid = local.batch.create_namespaced_job(ns, body).metadata.uid
    wait_until(lambda: _status(local, ns, "new").ready == 2)
    pods = _pods(local, ns, "old")
    assert [pod.metadata.owner_references[0].uid for pod in pods] == [uid, uid]
    # A pod that changes its labels is a pod of the Job no more, and is replaced.
    path = {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "free"}}}
    local.core.patch_namespaced_pod(pods[0].metadata.name, ns, path)

    def is_free() -> bool:
        found = local.core.read_namespaced_pod(pods[0].metadata.name, ns).metadata
        return not found.owner_references and not found.finalizers

    wait_until(is_free)
    wait_until(lambda: len(local.core.list_namespaced_pod(ns).items) == 3)


def test_parallelism_zero_is_a_pause(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", parallelism=0))
    wait_until(lambda: _status(local, ns).start_time)
    assert not _pods(local, ns)
    local.batch.patch_namespaced_job("j", ns, {"spec": {"parallelism": 1}})
    assert _end(local, ns).type == "Complete"


def _manifest(**change: Any) -> dict[str, Any]:
    policy = change.pop("policy", "Never")
    return job("j", "true", policy=policy, **change)


def _codes(action: str, *values: int) -> dict[str, Any]:
    return _policy(action, onExitCodes={"operator": "In", "values": list(values)})


_IGNORING = _policy("Ignore", onPodConditions=[{"type": "DisruptionTarget"}])
_INDEXED = {"completionMode": "Indexed", "completions": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parallelism": -1}, "spec.parallelism: Invalid value: -1: must be greater than"),
        ({"activeDeadlineSeconds": -1}, "spec.activeDeadlineSeconds: Invalid value: -1"),
        ({"policy": "Always"}, 'Required value: valid values: "OnFailure", "Never"'),
        (
            {"completionMode": "Indexed", "parallelism": 1},
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            {"backoffLimitPerIndex": 1},
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            {**_INDEXED, "maxFailedIndexes": 1},
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        ),
        (
            {"policy": "OnFailure", "podFailurePolicy": _IGNORING},
            'only "Never" is supported when podFailurePolicy is specified',
        ),
        (
            {"podFailurePolicy": _codes("FailIndex", 1)},
            "requires the backoffLimitPerIndex to be set",
        ),
        (
            {"podFailurePolicy": _codes("Count", 0, 1)},
            "must not be 0 for the In operator",
        ),
        (
            {"podFailurePolicy": _policy("Count")},
            "specifying one of OnExitCodes and OnPodConditions is required",
        ),
        ({"successPolicy": {"rules": [{"succeededCount": 1}]}}, "requires indexed completion mode"),
        (
            {**_INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "1-2"}]}},
            "spec.successPolicy.rules[0].succeededIndexes: Invalid value",
        ),
        ({"podReplacementPolicy": "Never"}, "spec.podReplacementPolicy: Unsupported value"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "`selector` not auto-generated"),
    ],
)
def test_what_a_job_may_not_say(
    local: Local, ns: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiException) as refused:
        local.batch.create_namespaced_job(ns, _manifest(**change))
    assert refused.value.status == 422
    assert message in str(refused.value.body).replace('\\"', '"')


@pytest.mark.parametrize(
    "change",
    [
        {"completions": 2},
        {"completionMode": "Indexed"},
        {"template": {"spec": {"restartPolicy": "OnFailure"}}},
        {"podFailurePolicy": _IGNORING},
    ],
)
def test_what_a_job_may_not_change(local: Local, ns: str, change: dict[str, Any]) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", parallelism=0))
    with pytest.raises(ApiException) as refused:
        local.batch.patch_namespaced_job("j", ns, {"spec": change})
    assert refused.value.status == 422
    assert f"spec.{next(iter(change))}: Invalid value" in str(refused.value.body)
    assert "field is immutable" in str(refused.value.body)


def test_only_changes_of_the_spec_raise_the_generation(local: Local, ns: str) -> None:
    created = local.batch.create_namespaced_job(ns, job("j", "true", parallelism=0))
    assert created.metadata.generation == 1
    change = {"metadata": {"labels": {"a": "b"}}}
    assert local.batch.patch_namespaced_job("j", ns, change).metadata.generation == 1
    wait_until(lambda: _status(local, ns).start_time)
    changed = local.batch.patch_namespaced_job("j", ns, {"spec": {"backoffLimit": 3}})
    assert changed.metadata.generation == 2


def test_the_columns_of_jobs(local: Local, ns: str, kubectl: Any) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", parallelism=2))
    _end(local, ns)
    head, row = kubectl("get", "jobs", "-o", "wide").stdout.splitlines()
    assert head.split() == [
        *("NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE", "CONTAINERS", "IMAGES", "SELECTOR")
    ]
    uid = local.batch.read_namespaced_job("j", ns).metadata.uid
    assert row.split()[:5] == ["j", "Complete", "2/1", "of", "2"]
    assert row.split()[-3:] == [
        *("main", "python:3.11", f"batch.kubernetes.io/controller-uid={uid}")
    ]
