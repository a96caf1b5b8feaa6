"""The rules by which a pod's status follows from its containers, without any process."""

from __future__ import annotations

from typing import Any

import pytest

from localcluster.kubelet.containerstate import (
    EPHEMERAL,
    INIT,
    MAIN,
    SIDECAR,
    ContainerState,
    restarts_after,
)
from localcluster.kubelet.podstatus import PodState, phase, pod_status

EARLIER, NOW = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
NEVER, ON_FAILURE, ALWAYS = "Never", "OnFailure", "Always"


def _waits(name: str, kind: str = MAIN) -> ContainerState:
    return ContainerState({"name": name, "image": "i"}, kind)


def _runs(name: str, kind: str = MAIN) -> ContainerState:
    return _waits(name, kind).created("process://1").runs().has_started()


def _ended(name: str, code: int = 0, kind: str = MAIN) -> ContainerState:
    return _runs(name, kind).ended(code, "Error" if code else "Completed")


def _backs_off(name: str, kind: str = MAIN) -> ContainerState:
    return _ended(name, 1, kind).waits("CrashLoopBackOff", "back-off 10s")


def _starts(name: str, kind: str = MAIN) -> ContainerState:
    return _waits(name, kind).created("process://1").runs()


def _pod(*containers: ContainerState, policy: str = NEVER, **changes: Any) -> PodState:
    spec = {"restartPolicy": policy, **changes.pop("spec", {})}
    manifest = {"metadata": {"generation": 3}, "spec": spec, "status": {"qosClass": "Burstable"}}
    known: dict[str, Any] = {
        "started_at": EARLIER, "moment": NOW, "conditions": {}, "host_address": "127.0.0.1",
        "address": "127.9.0.1", **changes,
    }  # fmt: skip
    return PodState(manifest, containers, **known)


@pytest.mark.parametrize(
    ("expected", "policy", "containers"),
    [
        ("Pending", NEVER, [_waits("a")]),
        ("Running", NEVER, [_runs("a")]),
        ("Pending", NEVER, [_runs("a"), _waits("b")]),
        ("Running", NEVER, [_runs("a"), _ended("b", 1)]),
        ("Succeeded", NEVER, [_ended("a"), _ended("b")]),
        ("Failed", NEVER, [_ended("a"), _ended("b", 1)]),
        ("Succeeded", ON_FAILURE, [_ended("a")]),
        ("Running", ON_FAILURE, [_ended("a", 1)]),
        ("Running", ON_FAILURE, [_backs_off("a")]),
        ("Running", ALWAYS, [_ended("a")]),
        ("Running", ALWAYS, [_backs_off("a")]),
    ],
)
def test_the_phase_follows_from_the_containers(
    expected: str, policy: str, containers: list[ContainerState]
) -> None:
    assert phase(_pod(*containers, policy=policy)) == expected


@pytest.mark.parametrize(
    ("expected", "policy", "containers"),
    [
        ("Pending", NEVER, [_runs("i", INIT), _waits("a")]),
        ("Pending", NEVER, [_ended("i", 0, INIT), _waits("a")]),
        ("Failed", NEVER, [_ended("i", 1, INIT), _waits("a")]),
        ("Pending", ON_FAILURE, [_ended("i", 1, INIT), _waits("a")]),
        ("Pending", ALWAYS, [_backs_off("i", INIT), _waits("a")]),
        ("Running", ALWAYS, [_ended("i", 0, INIT), _runs("a")]),
    ],
)
def test_init_containers_hold_a_pod_back(
    expected: str, policy: str, containers: list[ContainerState]
) -> None:
    assert phase(_pod(*containers, policy=policy)) == expected


@pytest.mark.parametrize(
    ("expected", "policy", "containers"),
    [
        ("Pending", NEVER, [_starts("s", SIDECAR), _waits("a")]),
        ("Pending", NEVER, [_runs("s", SIDECAR), _waits("a")]),
        ("Running", NEVER, [_runs("s", SIDECAR), _runs("a")]),
        # Its restart does not put a pod back that has begun.
        ("Running", NEVER, [_starts("s", SIDECAR), _runs("a")]),
        ("Running", NEVER, [_backs_off("s", SIDECAR), _runs("a")]),
        # Nothing is over while one runs.
        ("Running", NEVER, [_runs("s", SIDECAR), _ended("a")]),
        ("Pending", NEVER, [_runs("s", SIDECAR), _ended("i", 1, INIT), _waits("a")]),
        # How it ends does not count.
        ("Succeeded", ON_FAILURE, [_ended("s", 137, SIDECAR), _ended("a")]),
        ("Failed", NEVER, [_ended("s", 0, SIDECAR), _ended("a", 1)]),
        ("Running", NEVER, [_ended("a"), _runs("d", EPHEMERAL)]),
        ("Succeeded", NEVER, [_ended("a"), _ended("d", 1, EPHEMERAL)]),
    ],
)
def test_what_runs_beside_the_others_only_holds_the_last_word_back(
    expected: str, policy: str, containers: list[ContainerState]
) -> None:
    assert phase(_pod(*containers, policy=policy)) == expected


@pytest.mark.parametrize(
    ("expected", "container"),
    [
        ("Failed", _waits("a")),
        ("Running", _runs("a")),
        ("Succeeded", _ended("a")),
        ("Failed", _ended("a", 143)),
    ],
)
def test_a_pod_that_is_to_end_has_an_end_of_its_own(
    expected: str, container: ContainerState
) -> None:
    assert phase(_pod(container, policy=ALWAYS, stopping=True)) == expected


def _conditions(pod: PodState) -> dict[str, tuple[str, str, str]]:
    return {
        c["type"]: (c["status"], c.get("reason", ""), c.get("message", ""))
        for c in pod_status(pod)["conditions"]
    }


UNREADY = "ContainersNotReady"
SLOW = ContainerState({"name": "a", "image": "i", "readinessProbe": {"exec": {}}})


@pytest.mark.parametrize(
    ("initialized", "ready", "containers"),
    [
        (("True", "", ""), ("True", "", ""), [_runs("a")]),
        (
            ("True", "", ""),
            ("False", UNREADY, "containers with unready status: [b a]"),
            [_waits("b"), SLOW.created("process://1").runs().has_started()],
        ),
        (
            ("False", "ContainersNotInitialized", "containers with incomplete status: [i s]"),
            ("False", UNREADY, "containers with unready status: [s a]"),
            [_runs("i", INIT), _starts("s", SIDECAR), _waits("a")],
        ),
        (
            ("True", "", ""),
            ("False", UNREADY, "containers with unready status: [s]"),
            [_ended("i", 0, INIT), _starts("s", SIDECAR), _runs("a")],
        ),
        (("True", "PodCompleted", ""), ("False", "PodCompleted", ""), [_ended("a")]),
        (("True", "", ""), ("False", "PodFailed", ""), [_ended("a", 1)]),
    ],
)
def test_the_conditions_say_what_is_waited_for(
    initialized: tuple[str, str, str],
    ready: tuple[str, str, str],
    containers: list[ContainerState],
) -> None:
    found = _conditions(_pod(*containers))
    assert found["Initialized"] == initialized
    assert found["Ready"] == found["ContainersReady"] == ready
    over = ready[1] in ("PodCompleted", "PodFailed")
    assert found["PodReadyToStartContainers"] == ("False" if over else "True", "", "")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (None, 'corresponding condition of pod readiness gate "g" does not exist.'),
        ("False", 'the status of pod readiness gate "g" is not "True", but False'),
        ("True", ""),
    ],
)
def test_a_readiness_gate_is_another_ones_condition(status: str | None, message: str) -> None:
    known = {} if status is None else {"g": {"type": "g", "status": status}}
    gates = {"readinessGates": [{"conditionType": "g"}]}
    found = _conditions(_pod(_runs("a"), spec=gates, conditions=known))
    assert found["ContainersReady"] == ("True", "", "")
    reason = "ReadinessGatesNotReady" if message else ""
    assert found["Ready"] == ("False" if message else "True", reason, message)


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    before = [
        {"type": "other", "status": "True"},
        {"type": "Ready", "status": "False", "lastTransitionTime": EARLIER},
        {"type": "Initialized", "status": "True", "lastTransitionTime": EARLIER},
    ]
    status = pod_status(_pod(_runs("a"), conditions={c["type"]: c for c in before}))
    assert status["conditions"][0] == before[0]
    moments = {c["type"]: c["lastTransitionTime"] for c in status["conditions"][1:]}
    assert moments["Initialized"] == EARLIER
    assert moments["Ready"] == NOW
    observed = {c["observedGeneration"] for c in status["conditions"][1:]}
    assert observed == {status["observedGeneration"]} == {3}


def test_a_pod_that_failed_as_a_whole_says_why_once_nothing_of_it_runs() -> None:
    failure = ("DeadlineExceeded", "too long")
    running = pod_status(_pod(_runs("a"), failure=failure, stopping=True))
    assert (running["phase"], "reason" in running) == ("Running", False)
    ended = pod_status(_pod(_ended("a"), failure=failure, stopping=True))
    assert (ended["phase"], ended["reason"], ended["message"]) == ("Failed", *failure)
    rejected = pod_status(_pod(_waits("a"), failure=failure, rejected=True, address=""))
    assert rejected["phase"] == "Failed"
    assert not {"containerStatuses", "podIP", "resources"} & set(rejected)


def test_each_kind_of_container_has_its_list_and_the_main_ones_are_sorted() -> None:
    containers = [
        _ended("z", 0, INIT), _runs("s", SIDECAR), _runs("b"), _runs("a"), _runs("d", EPHEMERAL)
    ]  # fmt: skip
    status = pod_status(_pod(*containers))
    lists = {k: [c["name"] for c in v] for k, v in status.items() if k.endswith("Statuses")}
    assert lists == {
        "initContainerStatuses": ["z", "s"],
        "containerStatuses": ["a", "b"],
        "ephemeralContainerStatuses": ["d"],
    }
    (debugger,) = status["ephemeralContainerStatuses"]
    assert (debugger["ready"], "started" in debugger) == (False, False)


@pytest.mark.parametrize(
    ("kind", "policy", "again"),
    [
        (MAIN, ALWAYS, (True, True)),
        (MAIN, ON_FAILURE, (False, True)),
        (MAIN, NEVER, (False, False)),
        (INIT, ALWAYS, (False, True)),
        (INIT, ON_FAILURE, (False, True)),
        (INIT, NEVER, (False, False)),
        (SIDECAR, NEVER, (True, True)),
        (EPHEMERAL, ALWAYS, (False, False)),
    ],
)
def test_who_is_started_again_after_success_and_after_failure(
    kind: str, policy: str, again: tuple[bool, bool]
) -> None:
    assert (restarts_after(kind, policy, 0), restarts_after(kind, policy, 1)) == again


def test_the_end_before_is_remembered_until_the_next() -> None:
    first = _ended("a", 1)
    backing_off = first.waits("CrashLoopBackOff")
    assert (backing_off.last_state, backing_off.restarts) == (first.state, 0)
    second = backing_off.starts_again().created("process://2").runs()
    assert (second.last_state, second.restarts) == (first.state, 1)
    assert backing_off.at_the_end(expected=True).state == first.state


@pytest.mark.parametrize("expected", [True, False])
def test_who_never_started_is_lost_only_if_it_would_have(expected: bool) -> None:
    ended = _waits("a").at_the_end(expected=expected)
    reason = next(iter(ended.state.values()))["reason"]
    assert reason == ("ContainerStatusUnknown" if expected else "ContainerCreating")
