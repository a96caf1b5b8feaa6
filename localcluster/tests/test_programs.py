"""What a program is started with: exactly what its manifest says, as a container runtime does."""

from __future__ import annotations

import ast
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from kubernetes.stream import stream

import localcluster

from .conftest import Local, pod, wait_until
from .test_pods import alive

SHOW = "import os, sys, signal; print({what})"
STATE = SHOW.format(
    what="""dict(
    argv=open('/proc/self/cmdline').read().split(chr(0))[:-1], umask=os.umask(0),
    fds=sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:-1],
    signals=[int(n) for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN],
    blocked=list(signal.pthread_sigmask(0, [])), session=os.getsid(0) == os.getpid(),
    added=sorted({'PWD', 'OLDPWD', '_', 'SHLVL'} & set(os.environ)))"""
)
ARGUMENTS = ["", " ", "a b", "$HOME", "`id`", "'", '"', "\\", "a\nb", "*", "&&", "ü", "-c", "#"]
NAMES = ["log.level", "my-key", "with_underscore", "UPPER", "x.y-z.1"]
KEYS = ["1st", ".dot", "-dash"]


def _end(local: Local, ns: str, manifest: dict[str, Any]) -> tuple[str, Any]:
    """Run a pod to its end; return its log and how its container ended."""
    name = manifest["metadata"]["name"]
    local.core.create_namespaced_pod(ns, manifest)

    def ended() -> Any:
        status = local.core.read_namespaced_pod(name, ns).status
        return status.phase in ("Succeeded", "Failed") and status

    state = wait_until(ended).container_statuses[0].state.terminated
    return str(local.core.read_namespaced_pod_log(name, ns)), state


def _exec(local: Local, ns: str, *command: str) -> str:
    connect = local.core.connect_get_namespaced_pod_exec
    return str(stream(connect, "p", ns, command=list(command), stdout=True, stderr=True))


def test_arguments_and_environment_arrive_as_they_are(local: Local, ns: str) -> None:
    local.core.create_namespaced_config_map(
        ns, {"metadata": {"name": "keys"}, "data": {key: f"<{key}>" for key in KEYS}}
    )
    container = {
        "env": [{"name": name, "value": f"<{name}>"} for name in NAMES],
        "envFrom": [{"configMapRef": {"name": "keys"}}],
    }
    names = [*NAMES, *KEYS]
    show = SHOW.format(what=f"(sys.argv[1:], [os.environ[n] for n in {names!r}])")
    log, _ = _end(local, ns, pod("p", "python", "-c", show, *ARGUMENTS, container=container))
    assert ast.literal_eval(log) == (ARGUMENTS, [f"<{name}>" for name in names])


def test_a_program_gets_nothing_of_who_started_it(local: Local, ns: str) -> None:
    expected = {
        "argv": ["python", "-c", STATE],
        "umask": 0o022,
        "fds": [0, 1, 2],
        # Python itself ignores these.
        "signals": [signal.SIGPIPE, signal.SIGXFSZ],
        "blocked": [],
        "session": True,
        "added": [],
    }
    log, _ = _end(local, ns, pod("q", "python", "-c", STATE))
    assert ast.literal_eval(log) == expected
    probe = {"exec": {"command": ["python", "-c", f"import sys; sys.stdout = sys.stderr; {STATE}"]}}
    local.core.create_namespaced_pod(
        ns, pod("p", "sleep", "60", container={"lifecycle": {"postStart": probe}})
    )
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    assert ast.literal_eval(_exec(local, ns, "python", "-c", STATE)) == expected


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
        ([""], 'exec: "": executable file not found in $PATH'),
        (["./nosuch"], 'exec: "./nosuch": stat ./nosuch: no such file or directory'),
        (["/nosuch"], 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
        (["/etc"], 'exec: "/etc": is a directory'),
        (["echo a"], 'exec: "echo a": executable file not found in $PATH'),
        (["cd"], 'exec: "cd": executable file not found in $PATH'),
    ],
)
def test_what_is_no_program_does_not_start(
    local: Local, ns: str, command: list[str], why: str
) -> None:
    _, ended = _end(local, ns, pod("p", *command))
    assert (ended.reason, ended.exit_code) == ("StartError", 128)
    assert why in ended.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo a shell would run this\n", "exec format error"),
        ("", "exec format error"),
        ("#!/nosuch/interpreter\n", "no such file or directory"),
    ],
)
def test_what_the_kernel_refuses_is_told_in_the_log(
    local: Local, ns: str, tmp_path: Path, text: str, why: str
) -> None:
    program = tmp_path / "program"
    program.write_text(text)
    program.chmod(0o755)
    log, ended = _end(local, ns, pod("q", str(program)))
    assert (log, ended.reason, ended.exit_code) == (f"exec {program}: {why}\n", "Error", 255)
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "60"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    assert _exec(local, ns, str(program)) == log


def test_programs_are_found_in_the_path_of_the_container(
    local: Local, ns: str, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("bin/tool", "here"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$0"\n')
        (tmp_path / name).chmod(0o755)
    path = {"name": "PATH", "value": f"{tmp_path}/bin:/bin"}
    log, _ = _end(local, ns, pod("a", "tool", container={"env": [path]}))
    assert log == f"{tmp_path}/bin/tool\n"
    inside = {"workingDir": "/w", "volumeMounts": [{"name": "w", "mountPath": "/w"}]}
    volumes = [{"name": "w", "configMap": {"name": "files", "defaultMode": 0o755}}]
    files = {"metadata": {"name": "files"}, "data": {"here": "#!/bin/sh\necho $0 $PWD\n"}}
    local.core.create_namespaced_config_map(ns, files)
    log, _ = _end(local, ns, pod("b", "./here", container=inside, volumes=volumes))
    assert log.startswith("./here /")
    inside["env"] = [{"name": "PATH", "value": "."}]
    _, ended = _end(local, ns, pod("c", "here", container=inside, volumes=volumes))
    assert "cannot run executable found relative to current directory" in ended.message


def test_the_daemon_ends_with_the_process_that_starts_programs(
    tmp_path: Path,
) -> None:
    cluster = Local(tmp_path, localcluster.ensure(tmp_path))
    try:
        found = localcluster.status(tmp_path)
        assert found is not None
        left = "subprocess.Popen(['sleep', '60'], start_new_session=True).pid"
        show = f"print(os.getpid(), {left}, flush=True); time.sleep(60)"
        show = f"import os, subprocess, time; {show}"
        cluster.core.create_namespaced_pod("default", pod("p", "python", "-c", show))
        log = wait_until(lambda: _log(cluster))
        children = Path(f"/proc/{found.pid}/task/{found.pid}/children").read_text().split()
        [reaper] = [pid for pid in children if "reaper.py" in _command_line(pid)]
        os.kill(int(reaper), signal.SIGKILL)
        wait_until(lambda: not alive(found.pid) and not any(map(alive, map(int, log.split()))))
    finally:
        localcluster.stop(tmp_path)


def _log(cluster: Local) -> str:
    if cluster.core.read_namespaced_pod("p", "default").status.phase != "Running":
        return ""
    return str(cluster.core.read_namespaced_pod_log("p", "default"))


def _command_line(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
