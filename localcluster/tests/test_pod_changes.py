"""What becomes of changes to a running pod: containers that are added to it, new resources."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.stream import stream

from .conftest import Local, pod, wait_until

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}
STRATEGIC = "application/strategic-merge-patch+json"


def _start(local: Local, ns: str, *command: str, **spec: Any) -> None:
    local.core.create_namespaced_pod(ns, pod("p", *command, **spec))
    wait_until(lambda: _read(local, ns).status.phase == "Running")


def _read(local: Local, ns: str) -> Any:
    return local.core.read_namespaced_pod("p", ns)


def _patch(local: Local, ns: str, subresource: str, spec: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{ns}/pods/p{subresource}"
    reply = local.request("PATCH", path, {"spec": spec}, STRATEGIC)
    assert reply.code == 200, reply.json["message"]


def _debug(local: Local, ns: str, name: str, *command: str, **fields: Any) -> None:
    container = {"name": name, "image": "python", "command": list(command), **fields}
    _patch(local, ns, "/ephemeralcontainers", {"ephemeralContainers": [container]})


def _debugger(local: Local, ns: str, state: str, name: str = "d") -> Any:
    def reached() -> Any:
        found = _read(local, ns).status.ephemeral_container_statuses or []
        return next((s for s in found if s.name == name and getattr(s.state, state)), None)

    return wait_until(reached, what=f"{name} is {state}")


def _status(local: Local, ns: str) -> Any:
    (status,) = _read(local, ns).status.container_statuses
    return status


def _events(local: Local, ns: str, reason: str) -> list[tuple[str, str]]:
    found = local.core.list_namespaced_event(ns, field_selector=f"reason={reason}").items
    return [(e.involved_object.field_path, e.message) for e in found]


def test_a_container_that_is_added_runs_beside_the_others(local: Local, ns: str) -> None:
    _start(local, ns, "sleep", "60")
    script = "print('here', flush=True); import sys; print('got', sys.stdin.readline())"
    _debug(local, ns, "d", "python", "-c", script, targetContainerName="main", stdin=True)
    status = _debugger(local, ns, "running")
    assert (status.ready, status.started, status.restart_count) == (False, None, 0)

    def log() -> str:
        return local.core.read_namespaced_pod_log("p", ns, container="d") or ""

    wait_until(lambda: log() == "here\n")
    assert ("spec.ephemeralContainers{d}", "Container started") in _events(local, ns, "Started")
    options = {"container": "d", "stderr": True, "stdout": True}
    ran = stream(
        local.core.connect_get_namespaced_pod_exec, "p", ns, command=["echo", "hi"], **options
    )
    assert ran == "hi\n"
    attached = stream(
        local.core.connect_get_namespaced_pod_attach, "p", ns, stdin=True, _preload_content=False,
        **options,
    )  # fmt: skip
    attached.write_stdin("typed\n")
    wait_until(lambda: "got typed" in log())
    attached.close()
    ended = _debugger(local, ns, "terminated")
    assert (ended.state.terminated.exit_code, ended.restart_count) == (0, 0)
    assert _read(local, ns).status.phase == "Running"


def test_kubectl_debug(local: Local, ns: str, kubectl: Kubectl) -> None:
    _start(local, ns, "sleep", "60")
    debug = ["debug", "p", "--image=python", "-c", "d", "--target=main", "--profile=general"]
    found = kubectl("-n", ns, *debug, "--", "sh", "-c", "echo looked; exit 3")
    assert found.returncode == 0, found.stderr
    assert _debugger(local, ns, "terminated").state.terminated.exit_code == 3
    assert kubectl("-n", ns, "logs", "p", "-c", "d").stdout == "looked\n"


def test_a_container_that_was_added_ends_with_its_pod(local: Local, ns: str) -> None:
    _start(local, ns, "sleep", "2")
    _debug(local, ns, "d", "sleep", "60")
    _debugger(local, ns, "running")
    ended = _debugger(local, ns, "terminated")
    assert ended.state.terminated.exit_code == 137  # deaf to SIGTERM, as process 1 is
    wait_until(lambda: _read(local, ns).status.phase == "Succeeded")


def test_a_container_can_be_added_to_a_pod_that_cannot_begin(local: Local, ns: str) -> None:
    init = {"name": "i", "image": "python", "command": ["sleep", "60"]}
    local.core.create_namespaced_pod(ns, pod("p", "true", initContainers=[init]))
    wait_until(lambda: _read(local, ns).status.pod_ip)
    _debug(local, ns, "d", "sleep", "60")
    _debugger(local, ns, "running")
    assert _read(local, ns).status.phase == "Pending"


def _resize(local: Local, ns: str, resources: dict[str, Any]) -> None:
    _patch(local, ns, "/resize", {"containers": [{"name": "main", "resources": resources}]})


def test_new_resources_are_there_without_a_restart(local: Local, ns: str) -> None:
    _start(local, ns, "sleep", "60", container={"resources": SMALL})
    before = _status(local, ns)
    assert before.allocated_resources == SMALL["requests"]
    new = {"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "96Mi"}}
    _resize(local, ns, new)
    wait_until(lambda: _status(local, ns).allocated_resources == new["requests"])
    after = _status(local, ns)
    assert (after.resources.requests, after.resources.limits) == (new["requests"], new["limits"])
    assert (after.container_id, after.restart_count) == (before.container_id, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps memory within limits")
@pytest.mark.parametrize("more", [True, False], ids=["more", "none"])
def test_memory_is_kept_within_the_limit_of_now(local: Local, ns: str, more: bool) -> None:
    script = (
        "import sys, time\n"
        "while not open('go').read(): time.sleep(0.05)\n"
        "held = bytearray(80 << 20); time.sleep(2)"
    )
    command = ["sh", "-c", f'touch go; exec python -c "{script}"']
    _start(local, ns, *command, container={"resources": SMALL})
    if more:
        _resize(local, ns, {**SMALL, "limits": {"cpu": "1", "memory": "256Mi"}})
        wait_until(lambda: _status(local, ns).resources.limits["memory"] == "256Mi")
    wait_until(
        lambda: stream(
            local.core.connect_get_namespaced_pod_exec, "p", ns, stdout=True, stderr=True,
            command=["sh", "-c", "echo yes >go; cat go"],
        ) == "yes\n"
    )  # fmt: skip
    ended = wait_until(lambda: _status(local, ns).state.terminated)
    expected = (0, "Completed") if more else (137, "OOMKilled")
    assert (ended.exit_code, ended.reason) == expected


def test_a_resize_starts_the_container_again_where_its_policy_says_so(
    local: Local, ns: str
) -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    container = {"resources": SMALL, "resizePolicy": policy}
    _start(local, ns, "sleep", "60", container=container, restartPolicy="Always")
    _resize(local, ns, {**SMALL, "requests": {"cpu": "150m", "memory": "64Mi"}})
    wait_until(lambda: _status(local, ns).allocated_resources["cpu"] == "150m")
    assert _status(local, ns).restart_count == 0
    _resize(local, ns, {**SMALL, "limits": {"cpu": "1", "memory": "96Mi"}})
    wait_until(lambda: _status(local, ns).restart_count == 1)
    wait_until(lambda: _status(local, ns).state.running)
    assert _status(local, ns).resources.limits["memory"] == "96Mi"
    told = ("spec.containers{main}", "Container main resize requires restart")
    assert told in _events(local, ns, "Killing")


def test_resources_that_the_node_does_not_have_are_refused(local: Local, ns: str) -> None:
    _start(local, ns, "sleep", "60", container={"resources": SMALL})
    running_with = _status(local, ns).resources
    _resize(local, ns, {"requests": {"cpu": "1k"}, "limits": {"cpu": "2k"}})
    pending = wait_until(lambda: _pending(local, ns))
    assert (pending.status, pending.reason) == ("True", "Infeasible")
    assert "enough capacity: cpu, requested: 1000000, capacity: " in pending.message
    _debug(local, ns, "d", "sleep", "60")
    _debugger(local, ns, "running")
    assert _status(local, ns).resources == running_with
    assert _pending(local, ns)
    _resize(local, ns, {"requests": {"cpu": "150m"}, "limits": {"cpu": "1"}})
    wait_until(lambda: _status(local, ns).allocated_resources["cpu"] == "150m")
    assert not _pending(local, ns)


def _pending(local: Local, ns: str) -> Any:
    conditions = _read(local, ns).status.conditions
    return next((c for c in conditions if c.type == "PodResizePending"), None)


def test_a_new_image_starts_the_container_again(local: Local, ns: str) -> None:
    _start(local, ns, "sleep", "60")
    containers = [{"name": "main", "image": "python:3.12"}]
    _patch(local, ns, "", {"containers": containers})
    status = wait_until(lambda: (s := _status(local, ns)).restart_count == 1 and s)
    assert status.image.endswith("python:3.12")
    told = ("spec.containers{main}", "Container main definition changed, will be restarted")
    assert told in _events(local, ns, "Killing")


def test_the_status_says_which_generation_of_the_pod_it_is_about(local: Local, ns: str) -> None:
    _start(local, ns, "sleep", "60")
    assert _read(local, ns).status.observed_generation == 1
    _patch(local, ns, "", {"activeDeadlineSeconds": 300})
    wait_until(lambda: _read(local, ns).status.observed_generation == 2)
    conditions = _read(local, ns).status.conditions
    assert {c.observed_generation for c in conditions} == {_read(local, ns).metadata.generation}
