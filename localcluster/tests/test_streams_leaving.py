"""Streams whose client is slow, or leaves without a word: nothing hangs, nothing grows."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest

from .conftest import Local, pod, wait_until

# A number of seconds that only this run's commands sleep, so that they can be found.
_NAP = str(100_000 + os.getpid())


@pytest.fixture
def running(local: Local, ns: str) -> str:
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "600"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    return ns


class Raw:
    """A connection to the API by hand."""

    def __init__(self, local: Local) -> None:
        url = urlsplit(local.server)
        plain = socket.create_connection((str(url.hostname), url.port or 0), timeout=20)
        # A small buffer, so that the other side notices soon that nobody reads.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        self.socket = local.context.wrap_socket(plain, server_hostname="127.0.0.1")
        self.token = local.token

    def ask(self, path: str, *, upgrade: str = "", **params: str) -> None:
        lines = [
            f"GET {path}{'&' if '?' in path else '?'}{urlencode(params)} HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {self.token}",
        ]
        if upgrade == "websocket":
            lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
            lines += ["Sec-WebSocket-Protocol: v4.channel.k8s.io"]
        if upgrade:
            lines += ["Connection: Upgrade", f"Upgrade: {upgrade}"]
            protocols = "v4.channel.k8s.io, portforward.k8s.io"
            lines += [f"X-Stream-Protocol-Version: {protocols}"]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def answer(self) -> int:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        return int(head.split(b" ")[1])

    def message(self, data: bytes) -> None:
        head = struct.pack(">BBQ", 0x82, 0x80 | 127, len(data)) + bytes(4)
        self.socket.sendall(head + data)

    def close(self) -> None:
        self.socket.close()


def _commands() -> list[str]:
    """Return the commands on this machine that sleep for our own number of seconds."""
    shown = subprocess.run(["ps", "-A", "-o", "args"], capture_output=True, text=True, check=True)
    return [line for line in shown.stdout.splitlines() if line == f"sleep {_NAP}"]


def _memory_mib(local: Local) -> float:
    pid = json.loads((local.home / "cluster" / "daemon.json").read_text())["pid"]
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True)
    return int(shown.stdout) / 1024


@pytest.fixture
def raw(local: Local) -> Iterator[list[Raw]]:
    opened = [Raw(local) for _ in range(50)]
    yield opened
    for each in opened:
        each.close()


def test_fifty_clients_that_connect_half_and_leave(
    local: Local, running: str, raw: list[Raw]
) -> None:
    path = f"/api/v1/namespaces/{running}/pods/p"
    for i, each in enumerate(raw):
        if i % 5 == 0:
            each.socket.sendall(b"GET /api/v1 HTTP/1.1\r\nHost:")
        elif i % 5 == 1:
            each.ask(f"{path}/log", follow="true")
        elif i % 5 == 2:
            each.ask(f"{path}/attach", upgrade="websocket", stdout="true", stdin="true")
        else:
            target = f"{path}/{'exec' if i % 5 == 3 else 'portforward'}?ports=9&stdout=true"
            each.ask(f"{target}&command=sleep&command={_NAP}", upgrade="websocket")
    for i, each in enumerate(raw):
        if i % 5:
            assert each.answer() == (200 if i % 5 == 1 else 101)
    wait_until(lambda: len(_commands()) == 10)
    assert local.request("GET", path).code == 200
    for each in raw:
        each.close()
    wait_until(lambda: not _commands())
    assert local.request("GET", f"{path}/log").code == 200


@pytest.mark.parametrize("what", ["exec", "attach", "log"])
def test_who_does_not_read_costs_no_memory(
    local: Local, ns: str, raw: list[Raw], what: str
) -> None:
    script = f"yes {'x' * 200} | head -c 60000000; exec sleep {_NAP}"
    command = ["sh", "-c", script if what != "exec" else f"sleep {_NAP}"]
    if what == "attach":
        # It is asked to begin only when somebody is there who does not read.
        command[2] = f"while [ ! -e go ]; do sleep 0.05; done; {script}"
    local.core.create_namespaced_pod(ns, pod("p", *command))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    path = f"/api/v1/namespaces/{ns}/pods/p"
    before = _memory_mib(local)
    words = "".join(f"command={word}&" for word in ("yes", "x" * 200))
    for each in raw[:5]:
        if what == "log":
            each.ask(f"{path}/log", follow="true")
        else:
            each.ask(f"{path}/{what}?{words}stdout=true", upgrade="websocket")
        assert each.answer() in (200, 101)
    if what == "attach":
        raw[5].ask(f"{path}/exec?command=touch&command=go&stdout=true", upgrade="websocket")
        assert raw[5].answer() == 101
    time.sleep(1.5)
    assert _memory_mib(local) - before < 30
    for each in raw:
        each.close()
    if what == "attach":
        # The program goes on as soon as nobody stands in its way.
        wait_until(lambda: _commands(), seconds=40)


def test_a_client_that_leaves_while_its_input_is_stuck(local: Local, running: str) -> None:
    each = Raw(local)
    path = f"/api/v1/namespaces/{running}/pods/p/exec?command=sleep&command={_NAP}"
    each.ask(f"{path}&stdin=true&stdout=true", upgrade="websocket")
    assert each.answer() == 101
    wait_until(_commands)
    each.socket.settimeout(1)
    with pytest.raises((TimeoutError, ssl.SSLError)):
        each.message(b"\0" + bytes(100_000_000))
    each.close()
    wait_until(lambda: not _commands(), seconds=40)


@pytest.mark.parametrize("what", ["exec", "attach", "portforward"])
def test_random_bytes_after_the_upgrade_end_the_stream(
    local: Local, running: str, what: str
) -> None:
    path = f"/api/v1/namespaces/{running}/pods/p/{what}?ports=9&stdin=true&stdout=true"
    for seed in range(5):
        each = Raw(local)
        each.ask(f"{path}&command=cat", upgrade="websocket")
        each.answer()
        each.socket.settimeout(20)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            # A frame of unknown kind, then anything.
            each.socket.sendall(b"\xff\x7f" + random.Random(seed).randbytes(200_000))
            while each.socket.recv(65536):
                pass
        each.close()
    assert local.request("GET", f"/api/v1/namespaces/{running}/pods/p").code == 200
