"""Exec and port-forward by the Python client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import websocket
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream

from .conftest import Local, pod, wait_until


@pytest.fixture
def running(local: Local, ns: str) -> str:
    container = {"env": [{"name": "A", "value": "1"}]}
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "60", container=container))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    return ns


def _exec(local: Local, ns: str, *command: str, **options: Any) -> Any:
    return stream(
        local.core.connect_get_namespaced_pod_exec,
        "p",
        ns,
        command=list(command),
        **{"stderr": True, "stdin": False, "stdout": True, "tty": False, **options},
    )


def test_exec_returns_what_the_command_prints(local: Local, running: str) -> None:
    assert _exec(local, running, "sh", "-c", "echo $A $HOSTNAME") == "1 p\n"


def test_exec_keeps_the_streams_apart_and_tells_the_exit_code(local: Local, running: str) -> None:
    command = ("sh", "-c", "echo out; echo err >&2; exit 3")
    connection = _exec(local, running, *command, _preload_content=False)
    connection.run_forever(timeout=10)
    assert connection.read_stdout() == "out\n"
    assert connection.read_stderr() == "err\n"
    assert connection.returncode == 3


def test_exec_takes_input(local: Local, running: str) -> None:
    connection = _exec(local, running, "head", "-2", stdin=True, _preload_content=False)
    connection.write_stdin("one\n")
    connection.write_stdin("two\n")
    connection.run_forever(timeout=10)
    assert connection.read_stdout() == "one\ntwo\n"
    assert connection.returncode == 0


def test_exec_with_a_terminal(local: Local, running: str) -> None:
    connection = _exec(local, running, "tty", tty=True, stdin=True, _preload_content=False)
    connection.run_forever(timeout=10)
    assert connection.read_stdout().startswith("/dev/")


def test_exec_of_much_output(local: Local, running: str) -> None:
    text = _exec(local, running, "python", "-c", "print('x' * 2_000_000)")
    assert len(text) == 2_000_001


def test_exec_ends_with_its_container(local: Local, running: str) -> None:
    connection = _exec(local, running, "sleep", "60", _preload_content=False)
    local.core.delete_namespaced_pod("p", running, grace_period_seconds=0)
    connection.run_forever(timeout=10)
    assert connection.returncode == 137


@pytest.mark.parametrize(("version", "times"), [("v4", 1), ("v5", 2)])
def test_exec_of_a_program_that_is_not_there(
    local: Local, running: str, version: str, times: int
) -> None:
    """A real API server translates version 5 for the kubelet, and wraps the error once more."""
    connection = websocket.create_connection(
        f"{local.server.replace('https', 'wss')}/api/v1/namespaces/{running}/pods/p/exec"
        "?command=nosuch&stdout=true&stderr=true",
        header={"Authorization": f"Bearer {local.token}"},
        subprotocols=[f"{version}.channel.k8s.io"],
        sslopt={"context": local.context},
        timeout=10,
    )
    while not (data := connection.recv()) or data[0] != 3:
        pass
    message = json.loads(data[1:])["message"]
    assert "executable file not found in $PATH" in message
    assert message.count("Internal error occurred: ") == times
    connection.close()


def test_exec_sends_nothing_before_the_client_has_answered(local: Local, running: str) -> None:
    slow = _exec(local, running, "nosuch", _preload_content=False).sock
    # Takes as long as the first one would have taken to answer.
    _exec(local, running, "nosuch", _preload_content=False).run_forever(timeout=10)
    seen = []
    while not seen or seen[-1] != websocket.ABNF.OPCODE_CLOSE:
        frame = slow.recv_frame()
        seen.append(frame.opcode)
        if frame.opcode == websocket.ABNF.OPCODE_PING:
            slow.pong(frame.data)
    ping, binary, close = (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_BINARY, seen[-1])
    assert seen == [ping, ping, ping, binary, close]


def test_exec_needs_a_running_pod(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "true"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Succeeded")
    with pytest.raises(ApiException) as raised:
        _exec(local, ns, "true")
    assert 'container not found ("main")' in str(raised.value)
    with pytest.raises(ApiException) as raised:
        stream(local.core.connect_get_namespaced_pod_exec, "nosuch", ns, command=["true"])
    assert "404" in str(raised.value)


def test_port_forward_reaches_redis(local: Local, ns: str, redis_server: Path) -> None:
    ports = {"ports": [{"containerPort": 6379}], "readinessProbe": {"tcpSocket": {"port": 6379}}}
    local.core.create_namespaced_pod(ns, pod("redis", image="redis", container=ports))

    def ready() -> bool:
        statuses = local.core.read_namespaced_pod("redis", ns).status.container_statuses
        return bool(statuses and statuses[0].ready)

    wait_until(ready)
    forward = portforward(
        local.core.connect_get_namespaced_pod_portforward, "redis", ns, ports="6379"
    )
    connection = forward.socket(6379)
    connection.settimeout(10)
    for _ in range(3):
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
    connection.close()


def test_port_forward_to_a_port_where_nobody_listens(local: Local, running: str) -> None:
    forward = portforward(
        local.core.connect_get_namespaced_pod_portforward, "p", running, ports="4321"
    )
    wait_until(lambda: "connection refused" in (forward.error(4321) or "").lower(), seconds=5)
