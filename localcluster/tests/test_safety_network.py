"""Connections that hang, lie or talk nonsense do the others no harm."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from .conftest import Local, pod, wait_until
from .test_safety import UPGRADE, unharmed

__all__ = ["unharmed"]

PODS = "/api/v1/namespaces/default/pods"


def plain(local: Local) -> socket.socket:
    """Connect to the API's port, and say nothing yet."""
    connection = socket.create_connection(("127.0.0.1", urlsplit(local.server).port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def secure(local: Local) -> ssl.SSLSocket:
    """Connect to the API, and say nothing yet."""
    return local.context.wrap_socket(plain(local), server_hostname="127.0.0.1")


def head(local: Local, method: str, path: str, **more: str) -> bytes:
    """Return the head of a request with the token."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {local.token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(connection: socket.socket) -> bytes:
    """Return what comes until the other side hangs up or nothing comes any more."""
    connection.settimeout(0.3)
    received = b""
    with contextlib.suppress(OSError):
        while data := connection.recv(65536):
            received += data
    return received


# -- slow and half-open


def _half_handshake(local: Local) -> socket.socket:
    connection = plain(local)
    connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 20)
    return connection


def _no_handshake(local: Local) -> socket.socket:
    return plain(local)


def _no_request(local: Local) -> socket.socket:
    return secure(local)


def _half_head(local: Local) -> socket.socket:
    connection = secure(local)
    connection.sendall(head(local, "GET", PODS)[:-3])
    return connection


def _half_body(local: Local) -> socket.socket:
    connection = secure(local)
    connection.sendall(head(local, "POST", PODS, Content_Length="1000000") + b'{"metadata":')
    return connection


def _refused_half_body(local: Local) -> socket.socket:
    connection = secure(local)
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\nx")
    return connection


def _idle_watch(local: Local) -> socket.socket:
    connection = secure(local)
    connection.sendall(head(local, "GET", f"{PODS}?watch=true"))
    return connection


def _never_reads(local: Local) -> socket.socket:
    connection = secure(local)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.sendall(head(local, "GET", "/openapi/v2") * 3)
    return connection


@pytest.mark.parametrize(
    "hang",
    [
        _no_handshake,
        _half_handshake,
        _no_request,
        _half_head,
        _half_body,
        _refused_half_body,
        _idle_watch,
        _never_reads,
    ],
)
def test_a_hundred_that_hang_do_not_stop_the_others(
    local: Local, hang: Callable[[Local], socket.socket]
) -> None:
    def span() -> float:
        began = time.monotonic()
        assert local.request("GET", "/api/v1/namespaces").code == 200
        return time.monotonic() - began

    before = statistics.median(span() for _ in range(10))
    held = [hang(local) for _ in range(100)]
    try:
        meanwhile = statistics.median(span() for _ in range(10))
        assert meanwhile < 10 * before + 1
    finally:
        for connection in held:
            connection.close()


def test_watchers_that_never_read_do_not_stop_what_they_watch(local: Local, ns: str) -> None:
    held = []
    for _ in range(20):
        connection = secure(local)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.sendall(head(local, "GET", f"/api/v1/namespaces/{ns}/configmaps?watch=true"))
        held.append(connection)
    path = f"/api/v1/namespaces/{ns}/configmaps"
    body = {"metadata": {"name": "big"}, "data": {"a": "x" * 200_000}}
    assert local.request("POST", path, body).code == 201
    for number in range(30):
        body["data"] = {"a": str(number) * 100_000}
        assert local.request("PUT", f"{path}/big", body).code == 200
    for connection in held:
        connection.close()


# -- nonsense


SMUGGLED = (
    b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nxxxxx",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nxxxxx",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA\0B: y\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET  / HTTP/1.1\r\n\r\n",
    b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\nContent-Encoding: gzip\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"\r\n" * 5000,
    b"\0" * 70_000,
    b"A" * 200_000,
)


@pytest.mark.parametrize("number", range(len(SMUGGLED)))
def test_no_request_hides_in_another(local: Local, number: int) -> None:
    """What follows a malformed request is not served as if it were one of its own."""
    hidden = head(local, "DELETE", f"{PODS}?labelSelector=hidden")
    connection = secure(local)
    with contextlib.suppress(OSError):
        connection.sendall(SMUGGLED[number])
    received = answer(connection)
    assert received == b"" or received.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))
    connection.close()
    # With the token in front, neither: the body of the first request is never the second.
    connection = secure(local)
    body = hidden + b"x" * 10
    first = head(local, "POST", "/no/such", Content_Length=str(len(body)))
    connection.sendall(first + body)
    assert answer(connection).count(b"HTTP/1.1 ") == 1
    connection.close()


def _garbage(seed: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    for _ in range(60):
        yield dice.randbytes(dice.choice((1, 5, 30, 300, 3000, 70_000)))


@pytest.mark.parametrize("speak", [plain, secure])
def test_random_bytes_harm_nothing(local: Local, speak: Callable[[Local], socket.socket]) -> None:
    for data in _garbage(1):
        connection = speak(local)
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.settimeout(0.05)
            connection.recv(100)
        connection.close()


def test_valid_requests_with_random_bytes_in_them_harm_nothing(local: Local) -> None:
    dice = random.Random(2)
    good = head(local, "POST", f"{PODS}?dryRun=All", Content_Length="2", Accept="*/*") + b"{}"
    for _ in range(150):
        data = bytearray(good)
        for _ in range(dice.randint(1, 5)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        connection = secure(local)
        connection.sendall(bytes(data))
        connection.settimeout(0.05)
        with contextlib.suppress(OSError):
            assert not connection.recv(1000).startswith(b"HTTP/1.1 5"), bytes(data)
        connection.close()


# -- streams


def _frame(data: bytes, kind: int = 2, *, fin: bool = True, size: int | None = None) -> bytes:
    """Return a WebSocket frame; `size` is what it says of itself."""
    length = len(data) if size is None else size
    first = bytes([(0x80 if fin else 0) | kind])
    if length < 126:
        head = first + bytes([0x80 | length])
    elif length < 65536:
        head = first + bytes([0x80 | 126]) + struct.pack("!H", length)
    else:
        head = first + bytes([0x80 | 127]) + struct.pack("!Q", length)
    return head + b"\0\0\0\0" + data


NONSENSE = (
    b"\xff" * 1000,
    _frame(b"", kind=3),
    _frame(b"x", kind=8),
    _frame(b"\x00\xff", kind=1),
    _frame(b"", 2) * 1000,
    _frame(b"\x04" + b"{" * 10_000),
    _frame(b'\x04{"Width":-1,"Height":1e9}'),
    _frame(b'\x04{"Width":"a"}') + _frame(b"\x04[]") + _frame(b"\x04null"),
    _frame(b"\xff\x00") + _frame(b"\x00after") + _frame(b"\xff\x00"),
    _frame(b"\xff\x07") + _frame(b"\xff"),
    _frame(b"\x63unknown"),
    _frame(b"\x00", size=2**40),
    _frame(b"\x00", size=2**63),
    _frame(b"\x00" + b"x" * 200_000) * 10,
    _frame(b"\x00x", fin=False) * 100,
    _frame(b"ping" * 100, kind=9),
)


@pytest.mark.parametrize(
    "query",
    ["exec?command=cat&stdin=1&stdout=1", "exec?command=cat&stdin=1&stdout=1&tty=1",
     "exec?command=nosuch", "exec?command=true", "portforward?ports=80", "attach?stdin=1"],
)  # fmt: skip
def test_nonsense_in_a_stream_harms_nothing(local: Local, ns: str, query: str) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "60"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    path = f"/api/v1/namespaces/{ns}/pods/p/{query}"
    for data in NONSENSE:
        connection = secure(local)
        connection.sendall(head(local, "GET", path, **UPGRADE))
        connection.settimeout(5)
        assert connection.recv(1000).startswith(b"HTTP/1.1 ")
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.settimeout(0.05)
            connection.recv(1000)
        connection.close()
    assert local.request("GET", f"/api/v1/namespaces/{ns}/pods/p").json["status"]["phase"] == (
        "Running"
    )


def test_upgrades_that_are_none_are_refused(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "60"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    path = f"/api/v1/namespaces/{ns}/pods/p/exec"
    for command in ("", "?command=", "?command=%00", "?command=" + "a" * 10_000, "?command=%ff"):
        for missing in (*UPGRADE, ""):
            headers = {name: value for name, value in UPGRADE.items() if name != missing}
            connection = secure(local)
            connection.sendall(head(local, "GET", path + command, **headers))
            connection.settimeout(5)
            code = int(connection.recv(1000).split()[1])
            assert code < 500, (command, missing, code)
            connection.close()
