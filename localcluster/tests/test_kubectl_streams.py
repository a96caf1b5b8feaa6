"""Exec, copies and port-forward by kubectl."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcluster.addresses import free_port

from .conftest import Local, pod, wait_until

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def environment(local: Local) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(local.home)}


@pytest.fixture
def command(local: Local, ns: str) -> list[str]:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")
    return [program, "--kubeconfig", str(local.kubeconfig), "-n", ns]


@pytest.fixture
def kubectl(command: list[str], environment: dict[str, str]) -> Run:
    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*command, *arguments], input=stdin, capture_output=True, env=environment, timeout=60
        )

    return run


@pytest.fixture
def running(local: Local, ns: str) -> str:
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "60"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    return ns


def test_the_streams_apart_and_the_exit_code(kubectl: Run, running: str) -> None:
    done = kubectl("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.returncode) == (b"out\n", 3)
    assert done.stderr == b"err\ncommand terminated with exit code 3\n"


def test_much_input_comes_back_and_ends(kubectl: Run, running: str) -> None:
    data = os.urandom(3_000_000)
    done = kubectl("exec", "-i", "p", "--", "cat", stdin=data)
    assert done.stdout == data
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_command_that_is_not_there(kubectl: Run, running: str) -> None:
    done = kubectl("exec", "p", "--", "no-such-command")
    assert b'exec: "no-such-command": executable file not found in $PATH: unknown' in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", ["exec p -- true", "attach p", "port-forward p :7000"])
def test_a_client_that_speaks_only_spdy_is_told_what_to_use(
    kubectl: Run, environment: dict[str, str], running: str, arguments: str
) -> None:
    for variable in ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS"):
        environment[variable] = "false"
    done = kubectl(*arguments.split())
    assert b"does not speak SPDY; use a client that speaks WebSocket" in done.stderr
    assert b"kubectl 1.31 or later" in done.stderr
    assert done.returncode == 1


def test_commands_that_end_at_once_are_told_in_full(kubectl: Run, running: str) -> None:
    ends = {"true": 0, "false": 1, "no-such-command": 1, "pwd": 0}
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda name: (name, kubectl("exec", "p", "--", name)), [*ends] * 6))
    for name, answer in done:
        assert answer.returncode == ends[name], answer.stderr
        assert bool(answer.stdout) == (name == "pwd")
        assert bool(answer.stderr) == (ends[name] != 0)


def test_copies_go_both_ways(kubectl: Run, running: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one").write_bytes(os.urandom(1_000_000))
    (folder / "two").write_text("two")
    assert kubectl("cp", str(folder), "p:folder").returncode == 0
    assert kubectl("exec", "p", "--", "cat", "folder/two").stdout == b"two"
    assert kubectl("cp", "p:folder/one", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == (folder / "one").read_bytes()


def test_copies_from_a_mount_keep_their_names(
    kubectl: Run, local: Local, ns: str, tmp_path: Path
) -> None:
    script = "mkdir -p /data/deep; echo one > /data/deep/one; echo two > /data/two; sleep 60"
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    volume = {"name": "v", "emptyDir": {}}
    manifest = pod("p", "sh", "-c", script, container=mount, volumes=[volume])
    local.core.create_namespaced_pod(ns, manifest)
    wait_until(lambda: kubectl("exec", "p", "--", "cat", "/data/two").stdout == b"two\n")
    done = kubectl("cp", "p:/data/two", str(tmp_path / "two"))
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    assert (tmp_path / "two").read_text() == "two\n"
    assert kubectl("cp", "p:/data", str(tmp_path / "all")).returncode == 0
    assert (tmp_path / "all/deep/one").read_text() == "one\n"


@pytest.fixture
def forward(
    command: list[str], environment: dict[str, str], local: Local, ns: str
) -> Iterator[Callable[[int], tuple[int, subprocess.Popen[str]]]]:
    started = []

    def start(remote: int) -> tuple[int, subprocess.Popen[str]]:
        port = free_port()
        arguments = ["port-forward", "p", f"{port}:{remote}", "--address=127.0.0.1"]
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == f"Forwarding from 127.0.0.1:{port} -> {remote}\n"
        return port, process

    yield start
    for process in started:
        process.kill()
        process.communicate()


SERVER = """
import os, socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        while data := self.rfile.read1(65536):
            self.wfile.write(data)
        self.wfile.write(b"over")
socketserver.ThreadingTCPServer.request_queue_size = 50
address = os.environ["LOCALCLUSTER_POD_IP"], int(os.environ.get("LOCALCLUSTER_PORT_7000", "7000"))
socketserver.ThreadingTCPServer(address, Echo).serve_forever()
"""


def _echo(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with ThreadPoolExecutor(1) as other:
            sending = other.submit(connection.sendall, data)
            received = b""
            while len(received) < len(data):
                received += connection.recv(65536)
            sending.result()
        connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65536):
            received += more
    return received


def test_port_forward_carries_many_connections(
    local: Local, ns: str, forward: Callable[[int], tuple[int, subprocess.Popen[str]]]
) -> None:
    probe = {"readinessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1}}
    body = pod("p", "python", "-c", SERVER, container={**probe, "ports": [{"containerPort": 7000}]})
    local.core.create_namespaced_pod(ns, body)

    def ready() -> bool:
        statuses = local.core.read_namespaced_pod("p", ns).status.container_statuses
        return bool(statuses and statuses[0].ready)

    wait_until(ready)
    port, _ = forward(7000)
    blocks = [os.urandom(200_000) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        received = list(threads.map(lambda data: _echo(port, data), blocks))
    # The end of what the client sends gets through too, and what comes after it.
    assert received == [data + b"over" for data in blocks]


def test_port_forward_to_a_port_where_nobody_listens(
    running: str, forward: Callable[[int], tuple[int, subprocess.Popen[str]]]
) -> None:
    port, process = forward(4321)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        assert connection.recv(10) == b""
    output, _ = process.communicate(timeout=30)
    assert "error forwarding port 4321 to pod p: dial tcp4" in output
    assert "connect: connection refused" in output
    assert "lost connection to pod" in output
