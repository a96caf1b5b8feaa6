"""The kubelet's own port under slow, senseless and lying connections: logs come all the same."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Callable

import pytest

from .conftest import Local, pod, wait_until
from .test_kubelet_server import _kubelet
from .test_safety import unharmed
from .test_safety_network import (
    SMUGGLED,
    _garbage,
    _half_handshake,
    _half_head,
    _no_handshake,
    _no_request,
    answer,
    head,
    plain,
    secure,
)

__all__ = ["unharmed"]


@pytest.fixture
def door(local: Local) -> Local:
    """The same cluster, seen from the kubelet's port."""
    host, port = _kubelet(local)
    return dataclasses.replace(local, server=f"https://{host}:{port}")


def _half_body(door: Local) -> socket.socket:
    connection = secure(door)
    path = "/exec/x/p/main?command=id"
    connection.sendall(head(door, "POST", path, Content_Length="60000") + b"x")
    return connection


@pytest.mark.parametrize(
    "hang", [_no_handshake, _half_handshake, _no_request, _half_head, _half_body]
)
def test_a_hundred_that_hang_do_not_keep_a_log_back(
    local: Local, door: Local, ns: str, hang: Callable[[Local], socket.socket]
) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "echo", "here"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Succeeded")
    held = [hang(door) for _ in range(100)]
    try:
        reply = local.request("GET", f"/api/v1/namespaces/{ns}/pods/p/log")
        assert reply.body == b"here\n"
    finally:
        for connection in held:
            connection.close()


@pytest.mark.parametrize("number", range(len(SMUGGLED)))
def test_nonsense_is_refused(door: Local, number: int) -> None:
    connection = secure(door)
    with contextlib.suppress(OSError):
        connection.sendall(SMUGGLED[number])
    received = answer(connection)
    assert received == b"" or received.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))
    connection.close()


@pytest.mark.parametrize("speak", [plain, secure])
def test_random_bytes_harm_nothing(door: Local, speak: Callable[[Local], socket.socket]) -> None:
    for data in _garbage(3):
        connection = speak(door)
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.settimeout(0.05)
            connection.recv(100)
        connection.close()
