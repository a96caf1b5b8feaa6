"""Sidecars: init containers that go on beside the others, and end after them.

https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import Local, job, pod, wait_until

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
FOR_EVER = "while :; do sleep 0.1; done"


def _sidecar(name: str, script: str, **fields: Any) -> dict[str, Any]:
    command = {"name": name, "image": "python", "command": ["sh", "-c", script]}
    return {**command, "restartPolicy": "Always", **fields}


def _create(local: Local, ns: str, manifest: dict[str, Any]) -> None:
    local.core.create_namespaced_pod(ns, manifest)


def _status(local: Local, ns: str, name: str = "p") -> Any:
    return local.core.read_namespaced_pod(name, ns).status


def _side(local: Local, ns: str) -> Any:
    """Return the status of the first sidecar, once there is one."""
    return (_status(local, ns).init_container_statuses or [None])[0]


def _ready(local: Local, ns: str) -> str:
    conditions = _status(local, ns).conditions or []
    return next((c.status for c in conditions if c.type == "Ready"), "")


def test_a_job_is_complete_whatever_becomes_of_its_sidecar(
    local: Local, ns: str, kubectl: Kubectl
) -> None:
    manifest = job("j", "sh", "-c", "sleep 0.5", policy="OnFailure")
    sidecar = _sidecar("s", f"trap '' TERM; {FOR_EVER}")
    manifest["spec"]["template"]["spec"]["initContainers"] = [sidecar]
    local.batch.create_namespaced_job(ns, manifest)
    wait_until(lambda: local.batch.read_namespaced_job("j", ns).status.succeeded == 1)
    (found,) = local.core.list_namespaced_pod(ns).items
    assert found.status.phase == "Succeeded"
    (side,) = found.status.init_container_statuses
    assert (side.ready, side.started, side.restart_count) == (False, False, 0)
    assert side.state.terminated.exit_code == 137
    shown = kubectl("-n", ns, "get", "pods", "--no-headers").stdout.split()
    assert shown[1:3] == ["0/2", "Completed"]


def test_a_sidecar_is_started_again_whatever_the_policy_of_its_pod(local: Local, ns: str) -> None:
    sidecar = _sidecar("s", f"[ -e once ] || {{ touch once; exit 0; }}; {FOR_EVER}")
    _create(local, ns, pod("p", "sleep", "60", initContainers=[sidecar]))
    side = wait_until(lambda: (s := _side(local, ns)) and s.restart_count == 1 and s.started and s)
    assert side.last_state.terminated.exit_code == 0
    wait_until(lambda: _status(local, ns).phase == "Running")


def test_a_pod_is_as_ready_as_its_sidecars(local: Local, ns: str, tmp_path: Path) -> None:
    probe = {"exec": {"command": ["cat", f"{tmp_path}/well"]}, "periodSeconds": 1}
    sidecar = _sidecar("s", FOR_EVER, readinessProbe=probe)
    _create(local, ns, pod("p", "sleep", "60", initContainers=[sidecar]))
    wait_until(lambda: _status(local, ns).phase == "Running")
    conditions = {c.type: c for c in _status(local, ns).conditions}
    assert conditions["Initialized"].status == "True"
    assert conditions["Ready"].message == "containers with unready status: [s]"
    (tmp_path / "well").touch()
    wait_until(lambda: _ready(local, ns) == "True")


def test_a_sidecar_that_is_ill_is_started_again(local: Local, ns: str, tmp_path: Path) -> None:
    (tmp_path / "well").touch()
    command = ["cat", f"{tmp_path}/well"]
    probe = {"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": 1}
    sidecar = _sidecar("s", f"trap 'exit 0' TERM; {FOR_EVER}", livenessProbe=probe)
    _create(local, ns, pod("p", "sleep", "60", initContainers=[sidecar]))
    wait_until(lambda: _status(local, ns).phase == "Running")
    (tmp_path / "well").unlink()
    wait_until(lambda: _side(local, ns).restart_count >= 1)
    found = local.core.list_namespaced_event(ns, field_selector="reason=Killing").items
    assert [(e.involved_object.field_path, e.message) for e in found] == [
        ("spec.initContainers{s}", "Container s failed liveness probe, will be restarted")
    ]
    assert _status(local, ns).phase == "Running"


def test_sidecars_are_asked_to_end_in_turn_after_the_others(
    local: Local, ns: str, tmp_path: Path
) -> None:
    def writes(name: str) -> str:
        ends = f"trap 'sleep 0.2; echo {name} >>{tmp_path}/ends; exit 0' TERM"
        return f"{ends}; touch {tmp_path}/{name}; {FOR_EVER}"

    hook = {"preStop": {"exec": {"command": ["sh", "-c", f"echo pre >>{tmp_path}/ends"]}}}
    sidecars = [_sidecar("s1", writes("s1"), lifecycle=hook), _sidecar("s2", writes("s2"))]
    manifest = pod("p", "sh", "-c", writes("main"), initContainers=sidecars)
    manifest["spec"]["terminationGracePeriodSeconds"] = 20
    _create(local, ns, manifest)
    wait_until(lambda: all((tmp_path / name).exists() for name in ("s1", "s2", "main")))
    local.core.delete_namespaced_pod("p", ns)
    wait_until(lambda: not local.core.list_namespaced_pod(ns).items)
    assert (tmp_path / "ends").read_text().split() == ["pre", "main", "s2", "s1"]


def test_a_sidecar_that_waits_for_its_next_start_is_over_with_its_pod(
    local: Local, ns: str
) -> None:
    sidecar = _sidecar("s", "exit 3")
    _create(local, ns, pod("p", "sh", "-c", "sleep 2", initContainers=[sidecar]))
    wait_until(lambda: _status(local, ns).phase in ("Succeeded", "Failed"))
    assert _status(local, ns).phase == "Succeeded"
    side = _side(local, ns)
    assert (side.state.terminated.exit_code, side.restart_count) == (3, 1)
