"""waiting, diagnosis, statusline: a wait that is in vain ends with the cause; a long one speaks."""

from __future__ import annotations

import copy
import os
import pty
import re
import secrets
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clusters import REAL, SLEEP, eventually, job, local_only, pod

from wqlib.cluster import diagnosis
from wqlib.errors import ClusterError, WaitTimeout

ALWAYS = {"restartPolicy": "Always"}
NOT_READY = {"readinessProbe": {"exec": {"command": ["false"]}}}
MISSING_KEY = {"secretKeyRef": {"name": "nobody-made-it", "key": "password"}}
BAD_IMAGE = {"image": "no-such-image:1"}
BAD_SECRET = {"env": [{"name": "PASSWORD", "valueFrom": MISSING_KEY}]}
BAD_PROGRAM = {"command": ["no-such-program"]}
CRASH = "import sys; sys.exit('the data is not there')"
VOLUME = {"name": "v", "configMap": {"name": "nobody-made-it"}}
MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}


def changed(manifest: dict, container: dict, **spec: object) -> dict:
    """A pod or a Job whose container and pod spec say something else too."""
    found = copy.deepcopy(manifest)
    inner = found["spec"].get("template", found)["spec"]
    inner |= spec
    inner["containers"][0] |= container
    return found


CANNOT_START = {
    "image": (BAD_IMAGE, {}, r"(ErrImagePull|ImagePullBackOff) .*no-such-image", "build it first"),
    "secret": (BAD_SECRET, {}, r"CreateContainerConfigError .*nobody-made-it", "Create the Secret"),
    "volume": (MOUNT, {"volumes": [VOLUME]}, r"FailedMount .*nobody-made-it", "Create the Secret"),
    "program": (BAD_PROGRAM, ALWAYS, "no-such-program", "Correct the command"),
    "crash": (NOT_READY, ALWAYS, "(?s)CrashLoop.*the data is not there", "Correct the command"),
    "node": ({}, {"nodeSelector": {"no": "such"}}, "Unschedulable", "Ask for less"),
}


@pytest.mark.parametrize("which", CANNOT_START)
def test_a_wait_for_a_pod_that_cannot_start_ends_with_the_cause(fresh, which):
    container, spec, cause, advice = CANNOT_START[which]
    fresh.apply(changed(pod("stuck", CRASH if which == "crash" else SLEEP), container, **spec))
    with pytest.raises(ClusterError, match=cause) as error:
        fresh.wait("pod/stuck", "ready")
    assert not isinstance(error.value, WaitTimeout)
    assert re.match("pod/stuck will not be ready: [A-Z]", str(error.value))
    assert advice in str(error.value)


@pytest.mark.parametrize("condition", ["complete", "running"])
@pytest.mark.parametrize("which", ["image", "secret", "crash"])
def test_so_does_a_wait_for_a_job_none_of_whose_pods_can_start(fresh, which, condition):
    if (which, condition) == ("crash", "running"):
        pytest.skip("they did run")
    container, _, cause, advice = CANNOT_START[which]
    template = job("stuck", CRASH if which == "crash" else SLEEP, parallelism=2)
    fresh.apply(changed(template, container, restartPolicy="OnFailure"))
    with pytest.raises(ClusterError, match=cause) as error:
        fresh.wait("job/stuck", condition)
    assert not isinstance(error.value, WaitTimeout)
    assert re.match(rf"job/stuck will not be {condition}: pod/stuck-\w+ ", str(error.value))
    assert advice in str(error.value)


@pytest.mark.parametrize("condition", ["complete", "running"])
@pytest.mark.parametrize("by", ["admission", "quota"])
def test_a_wait_for_a_job_whose_pods_are_refused_says_by_whom(fresh, by, condition):
    manifest, core = job("refused", SLEEP), fresh.core
    if by == "admission":
        manifest["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    else:
        quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}}
        core.create_namespaced_resource_quota(fresh.namespace, quota)
        read = partial(core.read_namespaced_resource_quota, "few", fresh.namespace)
        eventually(lambda: not REAL or read().status.hard)  # it does not count before
    try:
        fresh.apply(manifest)
        said = r"FailedCreate .*(service account .*nobody|exceeded quota: few)"
        with pytest.raises(ClusterError, match=said) as error:
            fresh.wait("job/refused", condition)
        assert not isinstance(error.value, WaitTimeout)
    finally:
        if by == "quota":
            core.delete_namespaced_resource_quota("few", fresh.namespace)


def test_a_pod_that_crashes_once_and_then_runs_is_waited_for(fresh):
    code = "import os, sys, time\nif not os.path.exists('/data/again'):\n"
    code += " open('/data/again', 'w').close()\n sys.exit('not yet')\ntime.sleep(600)"
    volumes = [{"name": "v", "emptyDir": {}}]
    probe = {"exec": {"command": ["sleep", "4"]}, "timeoutSeconds": 10, "periodSeconds": 1}
    manifest = pod("second", code)
    fresh.apply(changed(manifest, {**MOUNT, "readinessProbe": probe}, volumes=volumes, **ALWAYS))
    fresh.wait("pod/second", "ready")
    assert [found.restarts for found in fresh.pods() if found.name == "second"] == [1]


@pytest.mark.parametrize("there", ["nothing", "the Secret without the key"])
def test_a_secret_that_is_made_a_moment_later_is_waited_for(fresh, there):
    name = f"late-{secrets.token_hex(2)}"
    if there != "nothing":
        fresh.secret(name, "other")
    later = {"secretKeyRef": {"name": name, "key": "password"}}
    fresh.apply(changed(pod("late", SLEEP), {"env": [{"name": "PASSWORD", "valueFrom": later}]}))
    timer = threading.Timer(1.5, fresh.secret, [name])
    timer.start()
    fresh.wait("pod/late", "ready")
    timer.join()


def test_the_log_of_a_pod_that_failed_is_in_the_error(fresh):
    fresh.apply([pod("talked", CRASH), job("talked", CRASH, backoffLimit=0)])
    for target, condition in (("pod/talked", "succeeded"), ("job/talked", "complete")):
        with pytest.raises(ClusterError, match="its log ends:\n  the data is not there"):
            fresh.wait(target, condition)


BROKEN = """#!/bin/sh
if [ "$1" = --version ]; then echo "Redis server v=7.0.15 sha=0"; exit; fi
echo "no such library"; exit 127
"""
WAITERS = {
    "demo": "from wqlib.commands import demo; demo.main(['--json'])",
    "doctor": "from wqlib.course import doctor; print(doctor.run(['exec'])[-1])",
    "start_redis": (
        "import wqlib\nfrom wqlib.course import start_redis\nwith wqlib.connect() as cluster:\n"
        " try: start_redis(cluster)\n except wqlib.errors.WqlibError as error: print(error)\n"
        " cluster.clean_up()"
    ),
}


@local_only
@pytest.mark.parametrize("who", WAITERS)
def test_whoever_waits_for_a_redis_that_cannot_start_shows_its_log(tmp_path, who):
    server = tmp_path / "redis-server"
    server.write_text(BROKEN)
    server.chmod(0o755)
    ours = {"WQLIB_REDIS_SERVER": str(server), "WQLIB_HOME": str(tmp_path / "home")}
    run = subprocess.run(
        [sys.executable, "-c", WAITERS[who]],
        env={**os.environ, **ours, "LOCALCLUSTER_LINGER_SECONDS": "0"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    said = run.stdout + run.stderr
    assert re.search(r"pod/(doctor-)?redis will not be ready: .*CrashLoopBackOff", said), said
    assert "its log ends:\n  no such library" in said
    assert "Correct the command" in said


# -- which pods are stuck, and when a Job is: as data


def raw(state: dict, *, of_a_job: bool = True, phase: str = "Running", **more: object) -> dict:
    owner = [{"kind": "Job", "name": "j"}] if of_a_job else []
    status = {"name": "c", "state": state, **more}
    return {
        "metadata": {"name": "p", "ownerReferences": owner},
        "status": {"phase": phase, "containerStatuses": [status]},
    }


def crashed(seconds: int, code: int, *, of_a_job: bool = True) -> dict:
    began, ended = "2026-01-01T00:00:00Z", f"2026-01-01T00:00:{seconds:02}Z"
    last = {"terminated": {"exitCode": code, "startedAt": began, "finishedAt": ended}}
    loop = {"waiting": {"reason": "CrashLoopBackOff"}}
    return raw(loop, of_a_job=of_a_job, restartCount=1, lastState=last)


def failed(seconds: int, code: int) -> dict:
    state = crashed(seconds, code)["status"]["containerStatuses"][0]["lastState"]
    return raw(state, phase="Failed")


RUNS = raw({"running": {}})
PULLS = raw({"waiting": {"reason": "ErrImagePull"}}, phase="Pending")


def nothing(kind: str, name: str) -> list[Any]:
    return []


@pytest.mark.parametrize(
    ("pods", "condition", "expected"),
    [
        ([crashed(1, 1)], "complete", "CrashLoopBackOff"),
        ([crashed(1, 1)], "failed", None),  # it will be, after enough crashes
        ([crashed(1, 1), RUNS], "complete", None),  # one that runs may do the work of all
        ([PULLS, RUNS], "complete", None),
        ([PULLS, RUNS], "running", "ErrImagePull"),
        ([PULLS, crashed(1, 1)], "complete", "ErrImagePull"),
        ([crashed(30, 1)], "complete", None),  # it worked before it ended
        ([crashed(1, 137)], "complete", None),  # an item that kills its worker is dead in the end
        ([failed(1, 1), failed(1, 1)], "complete", None),  # both may run yet
        ([failed(1, 1), failed(1, 1), failed(1, 1)], "complete", "Failed"),
        ([failed(1, 1), failed(1, 1), failed(1, 137)], "complete", None),
        ([], "complete", None),
    ],
)
def test_a_job_is_stuck_only_if_nothing_can_get_on(pods, condition, expected):
    found = diagnosis.diagnose_job(
        {"metadata": {"name": "j"}, "spec": {"parallelism": 2}}, pods, condition, nothing
    )
    assert (found and found.reason) == expected


def test_a_pod_of_its_own_is_stuck_also_when_a_signal_ends_it():
    assert (
        diagnosis.diagnose_pod(crashed(1, 137, of_a_job=False), nothing).reason
        == "CrashLoopBackOff"
    )


def test_a_node_that_is_on_its_way_is_waited_for():
    no_room = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    found = {"metadata": {"name": "p"}, "status": {"phase": "Pending", "conditions": [no_room]}}
    assert diagnosis.diagnose_pod(found, nothing).reason == "Unschedulable"
    assert (
        diagnosis.diagnose_pod(found, lambda kind, name: [{"reason": "TriggeredScaleUp"}]) is None
    )


# -- long waits speak


WAITS = r"Waiting for pod/redis to be ready \(\d+ s\)"
SLOW = """
import time
from wqlib.cluster import statusline
statusline.QUIET_SECONDS, statusline.PAUSE_SECONDS = 0.1, 0.01
with statusline.StatusLine() as told:
    for _ in range(4):
        time.sleep(0.06)
        told.update("pod/redis to be ready")
print("ready")
"""


def test_in_a_terminal_a_line_is_written_over_and_gone_at_the_end():
    ours, theirs = pty.openpty()
    run = subprocess.run([sys.executable, "-c", SLOW], stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    said = os.read(ours, 10000).decode()
    os.close(ours)
    assert len(re.findall(rf"\r\x1b\[K{WAITS}", said)) > 1
    assert "\n" not in said
    assert said.endswith("\r\033[K")
    assert run.stdout == b"ready\n"


def test_in_a_log_it_is_one_line_now_and_then():
    run = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True)
    assert run.stdout == "ready\n"
    assert re.fullmatch(rf"{WAITS}\n", run.stderr)


def test_a_thread_says_nothing():
    threaded = f"import threading\nthreading.Thread(target=exec, args=({SLOW!r},)).start()"
    run = subprocess.run([sys.executable, "-c", threaded], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("ready\n", "")


@pytest.mark.parametrize("somebody_reads", [True, False])
def test_in_a_notebook_it_is_one_output_that_changes_if_somebody_reads_it(
    tmp_path: Path, somebody_reads
):
    from jupyter_client.manager import start_new_kernel

    manager, kernel = start_new_kernel()
    outputs: list[tuple[str, str]] = []

    def keep(message: dict) -> None:
        text = message["content"].get("data", {}).get("text/plain")
        text = message["content"].get("text", text)
        if message["msg_type"] in ("display_data", "update_display_data", "stream"):
            outputs.append((message["msg_type"], text))

    try:
        kernel.execute_interactive(SLOW, allow_stdin=somebody_reads, output_hook=keep, timeout=60)
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
    assert outputs.pop() == ("stream", "ready\n")
    if not somebody_reads:
        assert outputs == []
        return
    assert outputs[0][0] == "display_data"
    assert re.fullmatch(WAITS, outputs[0][1])
    assert {kind for kind, _ in outputs[1:]} == {"update_display_data"}
    assert outputs[-1][1] == ""
