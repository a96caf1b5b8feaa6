"""Pods as processes: their phases, their ends, their environment, their logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from .conftest import ENDED_DEAF, Local, pod, wait_until

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
SHOW = "import os, sys, json; print(json.dumps(dict(os.environ, _cwd=os.getcwd(), _argv=sys.argv)))"


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        # The second comes when it ends between the opening of the file and the reading.
        if Path("/proc/self").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return state not in "ZX"


def _create(local: Local, ns: str, manifest: dict[str, Any]) -> str:
    local.core.create_namespaced_pod(ns, manifest)
    return str(manifest["metadata"]["name"])


def _read(local: Local, ns: str, name: str = "p") -> Any:
    return local.core.read_namespaced_pod(name, ns)


def _phase(local: Local, ns: str, phase: str, name: str = "p") -> Any:
    def reached() -> Any:
        found = _read(local, ns, name)
        return found if found.status.phase == phase else None

    return wait_until(reached, what=f"{name} is {phase}")


def _waiting(local: Local, ns: str, reason: str, name: str = "p") -> Any:
    def reached() -> Any:
        statuses = _read(local, ns, name).status.container_statuses or []
        return next(
            (s for s in statuses if s.state.waiting and s.state.waiting.reason == reason), None
        )

    return wait_until(reached, what=f"{name} waits: {reason}")


def _log(local: Local, ns: str, name: str = "p", **options: Any) -> str:
    # A pod that no node has yet answers 204, which the client returns as None.
    return local.core.read_namespaced_pod_log(name, ns, **options) or ""


def _words(local: Local, ns: str, count: int, name: str = "p") -> list[str]:
    """Return the words that the pod's program printed, once there are so many."""

    def printed() -> list[str]:
        try:
            words = _log(local, ns, name).split()
        except ApiException:  # It has not started yet.
            return []
        return words if len(words) >= count else []

    words: list[str] = wait_until(printed)
    return words


def _pid(local: Local, ns: str, name: str = "p") -> int:
    """Return the pid that the pod's program printed first."""
    return int(_words(local, ns, 1, name)[0])


def _restarts(local: Local, ns: str, name: str = "p") -> int:
    return sum(s.restart_count for s in _read(local, ns, name).status.container_statuses or [])


def _gone(local: Local, ns: str, name: str = "p") -> bool:
    try:
        _read(local, ns, name)
    except ApiException as error:
        return bool(error.status == 404)
    return False


def test_a_pod_that_ends_well_has_succeeded(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "python", "-c", "print('hello')"))
    found = _phase(local, ns, "Succeeded")
    (status,) = found.status.container_statuses
    ended = status.state.terminated
    assert (ended.exit_code, ended.reason, status.ready) == (0, "Completed", False)
    assert ended.started_at <= ended.finished_at
    assert found.status.pod_ip
    assert found.spec.node_name == "worker-1"
    assert _log(local, ns) == "hello\n"


def test_a_pod_that_ends_badly_has_failed_with_its_exit_code(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "sh", "-c", "exit 3"))
    found = _phase(local, ns, "Failed")
    ended = found.status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (3, "Error")


def test_a_pod_goes_through_its_phases_in_order(local: Local, ns: str) -> None:
    version = local.core.list_namespaced_pod(ns).metadata.resource_version
    _create(local, ns, pod("p", "true"))
    _phase(local, ns, "Succeeded")
    reply = local.request(
        "GET", f"/api/v1/namespaces/{ns}/pods", watch="true", resourceVersion=version,
        timeoutSeconds="1",
    )  # fmt: skip
    phases = []
    for line in reply.body.splitlines():
        event = json.loads(line)
        if event["type"] != "BOOKMARK":
            phases.append(event["object"]["status"]["phase"])
    assert sorted(set(phases), key=phases.index) == ["Pending", "Running", "Succeeded"]
    assert phases == sorted(phases, key=["Pending", "Running", "Succeeded"].index)


def test_a_running_pod_is_ready_and_has_its_conditions(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "sleep", "60"))
    found = _phase(local, ns, "Running")
    conditions = {c.type: c.status for c in found.status.conditions}
    assert conditions == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }


def test_a_program_that_is_not_there_is_a_start_error(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "nosuchprogram"))
    ended = _phase(local, ns, "Failed").status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (128, "StartError")
    assert 'exec: "nosuchprogram": executable file not found in $PATH' in ended.message


def test_deletion_asks_first_and_the_program_may_finish(local: Local, ns: str) -> None:
    script = (
        "import os, signal, sys, time\n"
        "def end(*_):\n    print('asked', flush=True); time.sleep(0.3); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)"
    )
    _create(local, ns, pod("p", "python", "-c", script))
    pid = _pid(local, ns)
    local.core.delete_namespaced_pod("p", ns)
    assert _read(local, ns).metadata.deletion_timestamp
    time.sleep(0.1)
    assert "asked" in _log(local, ns)
    wait_until(lambda: _gone(local, ns))
    assert not alive(pid)


def test_a_program_that_ignores_the_request_is_killed_after_its_grace(
    local: Local, ns: str
) -> None:
    script = "trap '' TERM; echo $$$$; while :; do sleep 0.1; done"
    _create(local, ns, pod("p", "sh", "-c", script, terminationGracePeriodSeconds=1))
    pid = _pid(local, ns)
    began = time.monotonic()
    local.core.delete_namespaced_pod("p", ns)
    wait_until(lambda: _gone(local, ns))
    assert time.monotonic() - began >= 0.9
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a program handles")
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("", 137),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))", 7),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, [15]); signal.sigwait([15]); sys.exit(8)", 8),
    ],
    ids=["no handler", "a handler", "waiting for it"],
)
def test_a_program_without_a_handler_is_deaf_as_process_1(
    local: Local, ns: str, tmp_path: Path, script: str, code: int
) -> None:
    ready = f"open('{tmp_path}/ready', 'w')"
    if "sigwait" in script:
        script = script.replace("signal.sigwait", f"{ready}; signal.sigwait")
    command = f"import signal, sys, time; {script or 'pass'}; {ready}; time.sleep(60)"
    grace = 1 if code == 137 else 30
    manifest = pod("p", "python", "-c", command, terminationGracePeriodSeconds=grace)
    manifest["metadata"]["finalizers"] = ["test.example/kept"]
    _create(local, ns, manifest)
    wait_until(lambda: (tmp_path / "ready").exists())
    local.core.delete_namespaced_pod("p", ns)
    ended = _phase(local, ns, "Failed").status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (code, "Error")
    local.core.patch_namespaced_pod("p", ns, {"metadata": {"finalizers": None}})


def test_a_forced_deletion_kills_at_once_with_all_children(local: Local, ns: str) -> None:
    script = "trap '' TERM; echo $$$$; (trap '' TERM; sleep 60) & echo $!; wait"
    _create(local, ns, pod("p", "sh", "-c", script))
    pids = [int(word) for word in _words(local, ns, 2)]
    local.core.delete_namespaced_pod("p", ns, grace_period_seconds=0)
    assert _gone(local, ns)
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_process_that_leaves_its_group_goes_with_the_pod(local: Local, ns: str) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        "def detach(env):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            print(os.getpid(), flush=True)\n"
        "            os.execvpe('sleep', ['sleep', '60'], env)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "detach(os.environ)\n"
        "time.sleep(0.5)\n"
        "os.execvp('sleep', ['sleep', '60'])"
    )
    _create(local, ns, pod("p", "python", "-c", script))
    _create(local, ns, pod("other", "sleep", "60"))
    stray = _pid(local, ns)
    _phase(local, ns, "Running", "other")
    local.core.delete_namespaced_pod("other", ns, grace_period_seconds=0)
    time.sleep(0.3)
    assert alive(stray)  # Its own container runs, whatever becomes of others.
    local.core.delete_namespaced_pod("p", ns, grace_period_seconds=0)
    wait_until(lambda: not alive(stray))


def test_a_process_that_hides_its_pod_is_ended(local: Local, ns: str) -> None:
    script = "setsid env -i PATH=$PATH sh -c 'echo $$$$; exec sleep 60' & sleep 0.5"
    _create(local, ns, pod("p", "sh", "-c", script))
    _phase(local, ns, "Succeeded")
    stray = _pid(local, ns)
    wait_until(lambda: not alive(stray))


def test_a_program_killed_from_outside_has_exit_code_137(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "sh", "-c", "echo $$$$; sleep 60"))
    os.kill(_pid(local, ns), 9)
    ended = _phase(local, ns, "Failed").status.container_statuses[0].state.terminated
    assert ended.exit_code == 137


def test_children_do_not_outlive_the_program(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "sh", "-c", "sleep 60 & echo $!"))
    _phase(local, ns, "Succeeded")
    child = int(_log(local, ns))
    wait_until(lambda: not alive(child))


def test_on_failure_restarts_in_the_same_pod_and_backs_off(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "sh", "-c", "echo once; exit 5", restartPolicy="OnFailure"))
    status = _waiting(local, ns, "CrashLoopBackOff")
    assert status.restart_count == 1
    assert status.last_state.terminated.exit_code == 5
    assert status.state.waiting.message.startswith("back-off 10s restarting failed container=main")
    assert _read(local, ns).status.phase == "Running"
    assert _log(local, ns, previous=True) == "once\n"


def test_always_restarts_even_what_ended_well(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "true", restartPolicy="Always"))
    wait_until(lambda: _restarts(local, ns) >= 1)
    assert _read(local, ns).status.phase == "Running"


def test_a_pod_has_only_so_much_time(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "sleep", "60", activeDeadlineSeconds=1))
    found = _phase(local, ns, "Failed")
    assert found.status.reason == "DeadlineExceeded"
    message = "Pod was active on the node longer than the specified deadline"
    assert found.status.message == message
    ended = found.status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (ENDED_DEAF, "Error")
    assert _read(local, ns).metadata.deletion_timestamp is None


def test_what_a_program_says_at_its_end_is_in_the_status(local: Local, ns: str) -> None:
    script = "echo bye > /dev/termination-log; exit 2"
    _create(local, ns, pod("file", "sh", "-c", script))
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    _create(local, ns, pod("log", "sh", "-c", "echo a; printf b; exit 2", container=policy))
    path = {"terminationMessagePath": "/tmp/last"}
    _create(local, ns, pod("path", "sh", "-c", "echo kept > /tmp/last", container=path))
    for name, phase, words in (
        ("file", "Failed", "bye\n"),
        ("log", "Failed", "a\nb"),
        ("path", "Succeeded", "kept\n"),
    ):
        (status,) = _phase(local, ns, phase, name).status.container_statuses
        assert status.state.terminated.message == words


def test_a_pod_that_is_evicted_keeps_the_condition_that_says_so(local: Local, ns: str) -> None:
    manifest = pod("p", "sleep", "60")
    manifest["metadata"]["finalizers"] = ["test.example/kept"]
    _create(local, ns, manifest)
    _phase(local, ns, "Running")
    why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    conditions = [c for c in _conditions(local, ns) if c["type"] != "DisruptionTarget"]
    path = f"/api/v1/namespaces/{ns}/pods/p/status"
    body = {"status": {"conditions": [*conditions, why]}}
    assert local.request("PATCH", path, body, "application/merge-patch+json").code == 200
    local.core.delete_namespaced_pod("p", ns)
    _phase(local, ns, "Failed")
    assert why.items() <= _conditions(local, ns)[0].items()
    local.core.patch_namespaced_pod("p", ns, {"metadata": {"finalizers": None}})


def _conditions(local: Local, ns: str) -> list[dict[str, Any]]:
    reply = local.request("GET", f"/api/v1/namespaces/{ns}/pods/p")
    found: list[dict[str, Any]] = reply.json["status"]["conditions"]
    return found


def test_a_pod_that_waits_for_its_image_leaves_a_trace_when_deleted(local: Local, ns: str) -> None:
    manifest = pod("p", "true", image="nosuch:1")
    manifest["metadata"]["finalizers"] = ["test.example/kept"]
    _create(local, ns, manifest)
    _waiting(local, ns, "ErrImagePull")
    local.core.delete_namespaced_pod("p", ns)
    (status,) = _phase(local, ns, "Failed").status.container_statuses
    ended = status.state.terminated
    assert (ended.exit_code, ended.reason) == (137, "ContainerStatusUnknown")
    local.core.patch_namespaced_pod("p", ns, {"metadata": {"finalizers": None}})


def test_memory_is_kept_within_its_limit(local: Local, ns: str) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells an ordinary user how much memory others hold")
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    script = "import time; x = bytearray({} << 20); time.sleep({})"
    _create(local, ns, pod("p", "python", "-c", script.format(200, 60), container=limits))
    _create(local, ns, pod("q", "python", "-c", script.format(20, 1), container=limits))
    (status,) = _phase(local, ns, "Failed").status.container_statuses
    ended = status.state.terminated
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")
    _phase(local, ns, "Succeeded", "q")


def test_memory_of_children_counts_and_threads_may_have_their_stacks(local: Local, ns: str) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells an ordinary user how much memory others hold")
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    child = "import time; x = bytearray(40 << 20); time.sleep(60)"
    script = f"python -c '{child}' & python -c '{child}' & wait"
    _create(local, ns, pod("p", "sh", "-c", script, container=limits))
    threads = (
        "import threading, time\n"
        "for _ in range(30): threading.Thread(target=time.sleep, args=(1,)).start()\n"
    )
    _create(local, ns, pod("q", "python", "-c", threads, container=limits))
    (status,) = _phase(local, ns, "Failed").status.container_statuses
    assert status.state.terminated.reason == "OOMKilled"
    _phase(local, ns, "Succeeded", "q")


@pytest.mark.usefixtures("redis_server")
def test_redis_lives_within_a_small_limit(local: Local, ns: str) -> None:
    probe = {"tcpSocket": {"port": 6379}, "periodSeconds": 1}
    limits = {"resources": {"limits": {"memory": "32Mi"}}, "readinessProbe": probe}
    _create(local, ns, pod("p", image="redis:7", container=limits))
    wait_until(lambda: [s for s in _read(local, ns).status.container_statuses or [] if s.ready])


def test_limits_that_are_not_enforced_are_said_to_be_so(local: Local, ns: str) -> None:
    limits = {"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}}
    _create(local, ns, pod("p", "true", container=limits))
    _phase(local, ns, "Succeeded")

    def told() -> list[str]:
        found = local.core.list_namespaced_event(ns, field_selector="reason=LimitsNotEnforced")
        return [event.message for event in found.items]

    (message,) = wait_until(told)
    assert message.startswith("limits of container main are stored, not enforced here: cpu=100m")


def test_init_containers_come_first_and_must_end_well(local: Local, ns: str) -> None:
    first = {"name": "first", "image": "python", "command": ["sh", "-c", "echo first"]}
    _create(local, ns, pod("good", "echo", "main", initContainers=[first]))
    _phase(local, ns, "Succeeded", "good")
    assert _log(local, ns, "good", container="first") == "first\n"
    _create(local, ns, pod("bad", "true", initContainers=[{**first, "command": ["false"]}]))
    found = _phase(local, ns, "Failed", "bad")
    assert found.status.container_statuses[0].state.waiting.reason == "PodInitializing"
    conditions = {c.type: (c.status, c.message) for c in found.status.conditions}
    assert conditions["Initialized"] == ("False", "containers with incomplete status: [first]")


def test_init_containers_show_how_far_they_are(
    local: Local, ns: str, kubectl: Kubectl, tmp_path: Path
) -> None:
    init = [
        {"name": "one", "image": "python", "command": ["true"]},
        {"name": "two", "image": "python", "command": ["sh", "-c"]},
    ]
    init[1]["args"] = [f"while ! test -e {tmp_path}/go; do sleep 0.05; done"]
    _create(local, ns, pod("p", "sleep", "60", initContainers=init))

    def shown(name: str, word: str) -> bool:
        return word in kubectl("get", "pod", name, "--no-headers").stdout.split()

    wait_until(lambda: shown("p", "Init:1/2"))
    statuses = _read(local, ns).status.init_container_statuses
    assert [s.ready for s in statuses] == [True, False]
    (tmp_path / "go").touch()
    wait_until(lambda: shown("p", "Running"))
    failing = [{**init[0], "command": ["false"]}]
    _create(local, ns, pod("bad", "true", initContainers=failing))
    wait_until(lambda: shown("bad", "Init:Error"))
    _create(local, ns, pod("again", "true", restartPolicy="OnFailure", initContainers=failing))
    wait_until(lambda: shown("again", "Init:CrashLoopBackOff"))
    assert _read(local, ns, "again").status.phase == "Pending"


def test_a_sidecar_runs_beside_the_others_and_ends_after_them(local: Local, ns: str) -> None:
    say = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    sidecar = {"name": "side", "image": "python", "command": ["sh", "-c", say]}
    sidecar |= {"restartPolicy": "Always", "startupProbe": probe}
    _create(local, ns, pod("p", "sh", "-c", "sleep 0.3; exit 0", initContainers=[sidecar]))
    found = _phase(local, ns, "Succeeded")
    assert _log(local, ns, container="side") == "up\nasked\n"
    (side,) = found.status.init_container_statuses
    assert side.state.terminated.finished_at >= (
        found.status.container_statuses[0].state.terminated.finished_at
    )


def test_the_environment_is_what_the_manifest_says_and_little_else(
    local: Local, ns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}]
    env.append({"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})  # type: ignore[dict-item]
    container = {"env": env, "args": ["-c", SHOW, "$(B)", "$(NONE)"], "workingDir": "/"}
    _create(local, ns, pod("p", "python", container=container))
    _phase(local, ns, "Succeeded")
    shown = json.loads(_log(local, ns))
    assert (shown["A"], shown["B"], shown["ME"], shown["HOSTNAME"]) == ("1", "12", "p", "p")
    assert shown["_argv"][1:] == ["12", "$(NONE)"]
    assert local.token not in str(shown)
    assert not {"KUBECONFIG", "USER", "SSH_AUTH_SOCK", "LOCALCLUSTER_HOME"} & set(shown)
    assert str(local.home) in shown["HOME"]


def test_values_come_from_secrets_and_configmaps(local: Local, ns: str) -> None:
    local.core.create_namespaced_secret(
        ns, {"metadata": {"name": "s"}, "stringData": {"password": "geheim"}}
    )
    local.core.create_namespaced_config_map(ns, {"metadata": {"name": "c"}, "data": {"K": "v"}})
    container = {
        "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
    }
    _create(local, ns, pod("p", "sh", "-c", "echo $P $K", container=container))
    _phase(local, ns, "Succeeded")
    assert _log(local, ns) == "geheim v\n"


def test_a_missing_secret_holds_the_pod_and_is_named(local: Local, ns: str) -> None:
    source = {"secretKeyRef": {"name": "late", "key": "x"}}
    container = {"env": [{"name": "P", "valueFrom": source}]}
    _create(local, ns, pod("p", "sh", "-c", "echo $P", container=container))
    status = _waiting(local, ns, "CreateContainerConfigError")
    assert status.state.waiting.message == 'secret "late" not found'
    local.core.create_namespaced_secret(
        ns, {"metadata": {"name": "late"}, "stringData": {"x": "y"}}
    )
    _phase(local, ns, "Succeeded")
    assert _log(local, ns) == "y\n"


def test_services_that_exist_are_in_the_environment(local: Local, ns: str) -> None:
    service = {"metadata": {"name": "redis"}, "spec": {"ports": [{"port": 6379}]}}
    made = local.core.create_namespaced_service(ns, service)
    wait_until(lambda: local.core.read_namespaced_service("redis", ns))
    time.sleep(0.1)
    script = "echo $REDIS_SERVICE_HOST $REDIS_SERVICE_PORT $REDIS_PORT_6379_TCP_ADDR"
    _create(local, ns, pod("p", "sh", "-c", script))
    _phase(local, ns, "Succeeded")
    address = made.spec.cluster_ip
    assert _log(local, ns) == f"{address} 6379 {address}\n"


def test_an_empty_dir_is_a_folder_of_the_pod(local: Local, ns: str) -> None:
    script = "echo hello > /scratch/file; cat /scratch/file; pwd"
    mounts = {"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}
    volumes = [{"name": "scratch", "emptyDir": {}}]
    _create(local, ns, pod("p", "sh", "-c", script, container=mounts, volumes=volumes))
    _phase(local, ns, "Succeeded")
    assert _log(local, ns).startswith("hello\n")
    assert not Path("/scratch").exists()


def test_a_pod_that_fits_no_node_stays_pending_and_says_why(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "true", nodeSelector={"disk": "ssd"}))

    def refused() -> Any:
        conditions = _read(local, ns).status.conditions or []
        return next((c for c in conditions if c.reason == "Unschedulable"), None)

    assert "didn't match Pod's node affinity/selector" in wait_until(refused).message
    assert _read(local, ns).status.phase == "Pending"


def test_logs_have_tails_times_limits_and_can_be_followed(local: Local, ns: str) -> None:
    script = "for i in 1 2 3; do echo line $i; done; sleep 0.5; echo last; printf partial"
    _create(local, ns, pod("p", "sh", "-c", script))
    _words(local, ns, 6)
    followed = local.core.read_namespaced_pod_log(
        "p", ns, follow=True, tail_lines=1, _preload_content=False
    )
    assert followed.read().decode() == "line 3\nlast\npartial"
    assert _log(local, ns, tail_lines=2) == "last\npartial"
    assert _log(local, ns, limit_bytes=6) == "line 1"
    stamp = _log(local, ns, timestamps=True).splitlines()[0]
    assert stamp.endswith("Z line 1")
    assert _log(local, ns, since_seconds=3600).startswith("line 1\n")


def test_logs_that_are_not_there_say_why(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "true"))
    _phase(local, ns, "Succeeded")
    with pytest.raises(ApiException) as raised:
        _log(local, ns, previous=True)
    assert raised.value.status == 400
    assert "previous terminated container" in str(raised.value.body)
    with pytest.raises(ApiException) as raised:
        _log(local, ns, container="other")
    assert "container other is not valid for pod p" in str(raised.value.body)
    with pytest.raises(ApiException) as raised:
        _log(local, ns, "nosuch")
    assert raised.value.status == 404


def test_output_that_is_large_or_not_utf8_comes_through(local: Local, ns: str) -> None:
    script = "import sys; sys.stdout.buffer.write(b'\\xff\\n' + b'x' * 300000 + b'\\n')"
    _create(local, ns, pod("p", "python", "-c", script))
    _phase(local, ns, "Succeeded")
    reply = local.request("GET", f"/api/v1/namespaces/{ns}/pods/p/log")
    assert reply.body == b"\xff\n" + b"x" * 300000 + b"\n"


def test_the_files_of_a_pod_go_with_it(local: Local, ns: str) -> None:
    _create(local, ns, pod("p", "true"))
    uid = _phase(local, ns, "Succeeded").metadata.uid
    folder = local.home / "cluster" / "pods" / uid
    assert folder.exists()
    local.core.delete_namespaced_pod("p", ns)
    wait_until(lambda: not folder.exists())
