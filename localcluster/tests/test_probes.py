"""Probes and hooks: what the kubelet asks a container, and runs beside its program."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from localcluster.images.imagestore import PathMapping
from localcluster.kubelet.containerrun import ContainerRun, Start
from localcluster.kubelet.probes import Thresholds
from localcluster.kubelet.processes import Processes

from .conftest import ENDED_DEAF, Local, pod, wait_until
from .test_pods import _create, _gone, _log, _phase, _pid, _read, _restarts, _waiting, alive

SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path == '/well?x=1' and self.headers.get('X-Asked') == 'yes'
        self.send_response(204 if well else 404)
        self.end_headers()
    def log_message(self, *args):
        print(self.headers.get('User-Agent'), flush=True)
http.server.HTTPServer((os.environ['LOCALCLUSTER_POD_IP'], 8080), Handler).serve_forever()
"""


def _events(local: Local, ns: str, reason: str) -> list[str]:
    found = local.core.list_namespaced_event(ns, field_selector=f"reason={reason}").items
    return [event.message for event in found]


def _told(local: Local, ns: str, reason: str, message: str) -> None:
    """Wait for an event with a message that begins like this."""
    wait_until(
        lambda: [m for m in _events(local, ns, reason) if m.startswith(message)],
        what=f"{reason}: {message}",
    )


def _ready(local: Local, ns: str) -> bool:
    return any(status.ready for status in _read(local, ns).status.container_statuses or [])


def test_a_verdict_needs_as_many_equal_answers_as_the_threshold_says() -> None:
    count = Thresholds.of({"successThreshold": 2, "failureThreshold": 3})
    answers = [True, False, False, True, True, True, False, False, False, False, True]
    verdicts = [count.record(well) for well in answers]
    assert verdicts == [None] * 4 + [True, True] + [None, None, False, False, None]


def test_a_readiness_probe_decides_when_a_pod_is_ready(
    local: Local, ns: str, tmp_path: Path
) -> None:
    up = tmp_path / "up"
    probe = {"exec": {"command": ["cat", str(up)]}, "periodSeconds": 1, "failureThreshold": 1}
    _create(local, ns, pod("p", "sleep", "60", container={"readinessProbe": probe}))
    found = _phase(local, ns, "Running")
    conditions = {c.type: (c.status, c.reason, c.message) for c in found.status.conditions}
    why = ("False", "ContainersNotReady", "containers with unready status: [main]")
    assert conditions["Ready"] == conditions["ContainersReady"] == why
    _told(local, ns, "Unhealthy", f"Readiness probe failed: cat: {up}: No such file or directory")
    up.touch()
    wait_until(lambda: _ready(local, ns))
    conditions = {c.type: (c.status, c.reason) for c in _read(local, ns).status.conditions}
    assert conditions["Ready"] == ("True", None)
    up.unlink()
    wait_until(lambda: not _ready(local, ns))


def test_an_http_probe_asks_as_its_manifest_says(local: Local, ns: str) -> None:
    headers = [{"name": "X-Asked", "value": "yes"}]
    get = {"port": "web", "path": "/well?x=1", "httpHeaders": headers}
    container = {
        "ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": {"httpGet": get, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"port": 8080, "path": "/ill"}, "failureThreshold": 100},
    }
    _create(local, ns, pod("p", "python", "-c", SERVE, container=container))
    wait_until(lambda: _ready(local, ns))
    assert "kube-probe/1.36" in _log(local, ns)


@pytest.mark.parametrize(
    ("probe", "complaint"),
    [
        ({"httpGet": {"port": 8081}}, 'Get "http://{}:8081/": dial tcp {}:8081: connect: conn'),
        ({"tcpSocket": {"port": 8081}}, "dial tcp {}:8081: connect: connection refused"),
        ({"exec": {"command": ["sleep", "9"]}}, 'command "sleep 9" timed out'),
        ({"exec": {"command": ["sh", "-c", "echo no; exit 3"]}}, "no"),
    ],
)
def test_a_probe_that_fails_says_how(
    local: Local, ns: str, probe: dict[str, Any], complaint: str
) -> None:
    container = {"readinessProbe": {**probe, "periodSeconds": 1}}
    _create(local, ns, pod("p", "sleep", "60", container=container))
    address = _phase(local, ns, "Running").status.pod_ip
    _told(local, ns, "Unhealthy", "Readiness probe failed: " + complaint.replace("{}", address))


def test_a_probe_that_cannot_be_done_says_so(local: Local, ns: str) -> None:
    container = {"readinessProbe": {"exec": {"command": ["nosuchprogram"]}, "periodSeconds": 1}}
    _create(local, ns, pod("p", "sleep", "60", container=container))
    start = "Readiness probe errored and resulted in unknown state: failed to exec in container: "
    _told(local, ns, "Unhealthy", start + 'exec: "nosuchprogram": executable file not found')
    assert not _ready(local, ns)


def test_a_liveness_probe_restarts_what_is_not_well(local: Local, ns: str) -> None:
    command = ["sh", "-c", "echo not well; exit 1"]
    probe = {"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": 2}
    manifest = pod("p", "sleep", "60", restartPolicy="Always", container={"livenessProbe": probe})
    _create(local, ns, manifest)
    wait_until(lambda: _restarts(local, ns) >= 1)
    _told(local, ns, "Unhealthy", "Liveness probe failed: not well")
    _told(local, ns, "Killing", "Container main failed liveness probe, will be restarted")
    ended = _read(local, ns).status.container_statuses[0].last_state.terminated
    assert (ended.exit_code, ended.reason) == (ENDED_DEAF, "Error")


def test_a_liveness_probe_ends_a_pod_that_never_restarts(local: Local, ns: str) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    _create(local, ns, pod("p", "sleep", "60", container={"livenessProbe": probe}))
    _phase(local, ns, "Failed")
    _told(local, ns, "Killing", "Stopping container main")


def test_the_other_probes_wait_for_the_startup_probe(local: Local, ns: str, tmp_path: Path) -> None:
    up = tmp_path / "up"
    container = {
        "startupProbe": {"exec": {"command": ["test", "-e", str(up)]}, "periodSeconds": 1},
        "livenessProbe": {"exec": {"command": ["test", "-e", str(up)]}, "failureThreshold": 1},
    }
    _create(local, ns, pod("p", "sleep", "60", container=container))
    status = _phase(local, ns, "Running").status.container_statuses[0]
    assert (status.started, status.ready) == (False, False)
    up.touch()
    wait_until(lambda: _ready(local, ns))
    assert _read(local, ns).status.container_statuses[0].started
    assert not _events(local, ns, "Killing")


def test_a_startup_probe_gives_up_at_last(local: Local, ns: str) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    manifest = pod("p", "sleep", "60", restartPolicy="Always", container={"startupProbe": probe})
    _create(local, ns, manifest)
    _told(local, ns, "Killing", "Container main failed startup probe, will be restarted")
    wait_until(lambda: _restarts(local, ns) >= 1)


def test_post_start_comes_before_the_container_counts_as_running(
    local: Local, ns: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    script = f"while ! test -e {go}; do sleep 0.05; done"
    hook = {"postStart": {"exec": {"command": ["sh", "-c", script]}}}
    _create(local, ns, pod("p", "sleep", "60", container={"lifecycle": hook}))
    _told(local, ns, "Started", "Container started")
    time.sleep(0.2)
    assert _read(local, ns).status.phase == "Pending"
    go.touch()
    _phase(local, ns, "Running")


def test_a_post_start_that_fails_kills_the_container(local: Local, ns: str) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo bad; exit 7"]}}}
    manifest = pod("p", "sleep", "60", restartPolicy="OnFailure", container={"lifecycle": hook})
    _create(local, ns, manifest)
    _told(local, ns, "FailedPostStartHook", "PostStartHook failed")
    status = _waiting(local, ns, "CrashLoopBackOff")
    assert status.last_state.terminated.exit_code == 137
    assert _events(local, ns, "Killing") == ["FailedPostStartHook"]


def test_pre_stop_comes_before_the_program_is_asked_to_end(local: Local, ns: str) -> None:
    script = (
        "trap 'echo asked; exit 0' TERM; echo $$$$; while :; do test -e stop && echo hook; sleep"
        " 0.1; done"
    )
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "touch stop; sleep 0.5"]}}}
    manifest = pod("p", "sh", "-c", script, container={"lifecycle": hook})
    manifest["metadata"]["finalizers"] = ["test.example/kept"]
    _create(local, ns, manifest)
    _pid(local, ns)
    local.core.delete_namespaced_pod("p", ns)
    _phase(local, ns, "Succeeded")
    words = _log(local, ns).split()
    assert words.index("hook") < words.index("asked")
    local.core.patch_namespaced_pod("p", ns, {"metadata": {"finalizers": None}})


def test_a_pre_stop_that_fails_or_hangs_holds_nothing_up(local: Local, ns: str) -> None:
    for name, command in (("fails", "exit 7"), ("hangs", "sleep 60")):
        hook = {"preStop": {"exec": {"command": ["sh", "-c", command]}}}
        container = {"lifecycle": hook}
        grace = {"terminationGracePeriodSeconds": 1}
        _create(
            local,
            ns,
            pod(name, "sh", "-c", "echo $$$$; exec sleep 60", container=container, **grace),
        )
        pid = _pid(local, ns, name)
        local.core.delete_namespaced_pod(name, ns)
        wait_until(lambda name=name: _gone(local, ns, name))
        assert not alive(pid)
    _told(local, ns, "FailedPreStopHook", "PreStopHook failed")


def test_a_probe_may_print_more_than_a_pipe_holds(local: Local, ns: str) -> None:
    command = ["sh", "-c", "yes | head -c 200000"]
    probe = {"exec": {"command": command}, "periodSeconds": 1, "timeoutSeconds": 20}
    _create(local, ns, pod("p", "sleep", "60", container={"readinessProbe": probe}))
    wait_until(lambda: _ready(local, ns))


def test_a_probe_that_is_called_off_just_when_its_command_has_ended_is_over(tmp_path: Path) -> None:
    start = Start(["sleep", "60"], {"PATH": os.environ["PATH"]}, tmp_path, PathMapping([], {}))
    # There is nothing more to be read of it when it ends.
    command = ["sh", "-c", "exec >&- 2>&-; sleep 0.2"]

    async def probe() -> bool:
        processes = Processes()
        processes.start(tmp_path / "lock")
        processes.ready()
        try:
            run = ContainerRun(processes, {}, start, tmp_path / "log", tmp_path / "message")
            asked = asyncio.create_task(run.run_command(command, 30))
            while not run.exec_processes:
                await asyncio.sleep(0)
            (process,) = run.exec_processes
            process.done.add_done_callback(lambda _: asked.cancel())
            await asyncio.wait([asked])
            run.process.signal(9)
            await run.wait()
            return asked.cancelled()
        finally:
            processes.stop()

    assert asyncio.run(probe())
