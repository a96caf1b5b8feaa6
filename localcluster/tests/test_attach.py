"""Attach: at the input and output of the container's own program, by kubectl as it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes.stream import stream

from .conftest import Local, pod, wait_until
from .terminal import Terminal

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
Open = Callable[..., Terminal]


@pytest.fixture
def terminal(local: Local, ns: str) -> Iterator[Open]:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")
    opened: list[Terminal] = []

    def run(*arguments: str, **options: Any) -> Terminal:
        env = {"PATH": os.environ["PATH"], "HOME": str(local.home)}
        command = [program, "--kubeconfig", str(local.kubeconfig), "-n", ns, *arguments]
        opened.append(Terminal(command, env, **options))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def _start(local: Local, ns: str, *command: str, **container: Any) -> None:
    local.core.create_namespaced_pod(ns, pod("p", *command, container=container))
    wait_until(lambda: _phase(local, ns) == "Running")


def _phase(local: Local, ns: str, name: str = "p") -> str:
    return str(local.core.read_namespaced_pod(name, ns).status.phase)


def _log(local: Local, ns: str) -> str:
    return local.core.read_namespaced_pod_log("p", ns) or ""


def test_the_temporary_shell_of_the_kubernetes_page(local: Local, ns: str, terminal: Open) -> None:
    shell = terminal(
        *("run", "-i", "--tty", "temp", "--image", "python", "--command", "/bin/sh"),
        size=(31, 97),
    )
    shell.expect("try pressing enter")
    shell.type("\n")
    shell.type('tty; while [ "$(stty size)" != "31 97" ]; do sleep 0.1; done; echo $((40+2))\n')
    shell.expect("/dev/")
    shell.expect("42")
    shell.resize(20, 50)
    shell.process.send_signal(signal.SIGWINCH)
    shell.type('while [ "$(stty size)" != "20 50" ]; do sleep 0.1; done; echo $((20+50))\n')
    shell.expect("70")
    shell.type("exit\n")
    shell.expect("Session ended, resume using 'kubectl attach temp -c temp -i -t' command")
    assert shell.end() == 0
    wait_until(
        lambda: (
            local.core.read_namespaced_pod("temp", ns).status.container_statuses[0].restart_count
        )
    )


def test_run_and_remove_tells_the_exit_code(local: Local, ns: str, terminal: Open) -> None:
    shell = terminal(
        *("run", "-it", "--rm", "temp", "--restart=Never", "--image", "python", "--command"),
        *("--", "sh", "-c", "read x; echo got $x; exit 5"),
    )
    shell.expect("try pressing enter")
    shell.type("line\n")
    shell.expect("got line")
    shell.expect('pod "temp" deleted')
    assert shell.end() == 5


def test_the_end_of_the_input_of_one_client_is_the_programs_when_it_is_to_be(
    local: Local, ns: str, kubectl: Kubectl
) -> None:
    _start(local, ns, "sh", "-c", "cat; echo over", stdin=True, stdinOnce=True)
    done = kubectl("attach", "-i", "p", stdin="one\ntwo\n")
    assert done.stdout.endswith("one\ntwo\nover\n")
    wait_until(lambda: _phase(local, ns) == "Succeeded")
    assert _log(local, ns) == "one\ntwo\nover\n"


def test_who_leaves_stops_nothing(local: Local, ns: str, kubectl: Kubectl) -> None:
    _start(local, ns, "cat", stdin=True)
    kubectl("attach", "-i", "p", stdin="one\n")
    wait_until(lambda: _log(local, ns) == "one\n")
    kubectl("attach", "-i", "p", stdin="two\n")
    wait_until(lambda: _log(local, ns) == "one\ntwo\n")
    assert _phase(local, ns) == "Running"


def test_two_who_are_attached_see_the_same_and_each_channel_apart(local: Local, ns: str) -> None:
    script = "read x; echo out $x; echo err $x >&2; read y"
    _start(local, ns, "sh", "-c", script, stdin=True)
    both = [
        stream(
            local.core.connect_get_namespaced_pod_attach,
            "p",
            ns,
            stdin=True,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        for _ in range(2)
    ]
    wait_until(lambda: _phase(local, ns) == "Running")
    both[0].write_stdin("go\n")
    for each in both:
        wait_until(lambda each=each: (each.update(timeout=0.1), each.peek_stderr())[1])
        wait_until(lambda each=each: (each.update(timeout=0.1), each.peek_stdout())[1])
        assert each.read_stdout() == "out go\n"
        assert each.read_stderr() == "err go\n"
    both[1].write_stdin("end\n")
    for each in both:
        each.run_forever(timeout=10)
        assert each.returncode == 0


def test_attach_without_input_shows_the_output(local: Local, ns: str, kubectl: Kubectl) -> None:
    _start(local, ns, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.3; done")
    assert kubectl("attach", "p").stdout.endswith("7\n8\n")


def test_attach_after_the_end(local: Local, ns: str, kubectl: Kubectl) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "true"))
    wait_until(lambda: _phase(local, ns) == "Succeeded")
    refused = kubectl("attach", "p", check=False)
    assert "cannot attach a container in a completed pod" in refused.stderr
    reply = local.request(
        "GET",
        f"/api/v1/namespaces/{ns}/pods/p/attach",
        headers={"Connection": "Upgrade", "Upgrade": "websocket"},
        stdout="true",
    )
    assert (reply.code, reply.body.decode()) == (500, f"container main not found in pod p_{ns}")


def test_a_terminal_shows_in_the_log_as_it_is(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(
        ns, pod("p", "sh", "-c", "echo $TERM; tty", container={"tty": True})
    )
    wait_until(lambda: _phase(local, ns) == "Succeeded")
    assert _log(local, ns).startswith("xterm\r\n/dev/")
