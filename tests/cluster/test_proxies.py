"""Proxies on the way to an API server: never to this machine, and as kubectl has it elsewhere."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
import yaml
from kubernetes import client

from wqlib.cluster import Cluster, connect, local, proxies
from wqlib.cluster.kube import client_for, get, translate_errors
from wqlib.cluster.podstream import _websocket
from wqlib.errors import ClusterError, ClusterUnreachable

DEAD = "http://127.0.0.1:9"
SECRET = "mark/er?#@~"
UPPER = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
NAMES = (*UPPER, *(name.lower() for name in UPPER))
EVERYWHERE = {name: DEAD for name in NAMES if name.lower() != "no_proxy"}
MANIFESTS = Path(__file__).parents[2] / "notebooks" / "manifests"


class ConnectProxy:
    """An HTTP proxy that knows CONNECT, takes every name for 127.0.0.1, and notes who asked."""

    def __init__(self, login: str = "", answer: str = "200 OK") -> None:
        self._wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._answer = answer
        self.asked: list[str] = []
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> ConnectProxy:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                self._sockets.append(near)
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near:
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(4096) or b"\r\n\r\n"
            first, *headers = head.decode().split("\r\n")
            self.asked.append(first.split()[1])
            known = {k.lower(): v for k, _, v in (line.partition(": ") for line in headers)}
            if known.get("proxy-authorization", "") != self._wanted:
                near.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            near.sendall(f"HTTP/1.1 {self._answer}\r\n\r\n".encode())
            if not self._answer.startswith("200"):
                return
            port = int(self.asked[-1].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as far:
                self._sockets.append(far)
                threading.Thread(target=self._relay, args=(far, near), daemon=True).start()
                self._relay(near, far)

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a local cluster of our own, with a pod "redis" in wq-near."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WQLIB_HOME", str(tmp_path_factory.mktemp("home")))
        for name in NAMES:
            patch.delenv(name, raising=False)
        try:
            with connect(namespace="wq-near") as cluster:
                cluster.secret("redis")
                cluster.apply(MANIFESTS / "redis.yaml")
                cluster.wait("pod/redis", "ready")
                yield cluster.kubeconfig
        finally:
            local.stop()


@pytest.fixture
def far(kubeconfig: Path, tmp_path: Path) -> Path:
    """The same cluster under a name that only a proxy knows; its context is "far"."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster = content["clusters"][0]["cluster"]
    port = cluster["server"].rpartition(":")[2]
    cluster |= {"server": f"https://api.far.example:{port}", "tls-server-name": "127.0.0.1"}
    content["contexts"][0]["name"] = "far"
    path = tmp_path / "far"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def use(cluster: Cluster) -> None:
    """A request, an exec and a port-forward."""
    assert [pod.name for pod in cluster.pods()] == ["redis"]
    assert cluster.exec("redis", ["echo", "here"]).stdout == "here\n"
    with cluster.port_forward("pod/redis", 6379) as forward:
        assert redis.Redis(port=forward.port, password=cluster.secret("redis")).ping()


@pytest.mark.parametrize(
    "environment",
    [
        *({name: DEAD} for name in NAMES if name.lower() != "no_proxy"),
        *({**EVERYWHERE, "NO_PROXY": value} for value in ("", "localhost", "*")),
        *({**EVERYWHERE, "no_proxy": value} for value in ("", "localhost", "*")),
    ],
    ids=lambda environment: ",".join([*environment][-1:] + [*environment.values()][-1:]),
)
def test_no_proxy_comes_between_us_and_this_machine(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with connect(namespace="wq-near") as cluster:
        use(cluster)


def test_the_doctor_finds_nothing_wrong_beside_a_dead_proxy(kubeconfig: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "wqlib.commands.cli", "doctor", "port", "exec", "port-forward"],
        env={**os.environ, **EVERYWHERE},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("login", ["", f"somebody:{SECRET}"])
@pytest.mark.parametrize("named_by", ["HTTPS_PROXY", "https_proxy", "proxy-url"])
def test_what_passes_a_proxy_passes_it_whole(
    far: Path, monkeypatch: pytest.MonkeyPatch, named_by: str, login: str
) -> None:
    with ConnectProxy(login) as proxy:
        name_it(far, monkeypatch, named_by, proxy.address, login)
        with connect("far", kubeconfig=far, namespace="wq-near") as cluster:
            use(cluster)
        assert len(proxy.asked) >= 3  # the requests, the exec, the port-forward
        assert {asked.partition(":")[0] for asked in proxy.asked} == {"api.far.example"}


@pytest.mark.parametrize("named_by", ["HTTPS_PROXY", "proxy-url"])
@pytest.mark.parametrize("websocket", [False, True])
@pytest.mark.parametrize(
    ("answer", "login", "why"),
    [
        ("", "", "nothing listens at the proxy's address"),
        ("403 Forbidden", "", "the proxy answers 403"),
        ("407 Proxy Authentication Required", "", "the proxy wants a login"),
        ("407 Proxy Authentication Required", f"me:{SECRET}", "the proxy refuses its user name"),
    ],
)
def test_an_error_names_the_proxy_and_not_its_password(
    far: Path,
    monkeypatch: pytest.MonkeyPatch,
    named_by: str,
    websocket: bool,
    answer: str,
    login: str,
    why: str,
) -> None:
    with ConnectProxy(login, answer) as proxy:
        address = proxy.address if answer else "127.0.0.1:9"
        name_it(far, monkeypatch, named_by, address, login)
        api, name = client_for([far], "far"), "connect_get_namespaced_pod_portforward"
        call = partial(get, client.CoreV1Api(api).list_namespaced_pod, "wq-near")
        if websocket:
            call = partial(_websocket, api, name, "redis", "wq-near", ports="6379")
        with pytest.raises(ClusterUnreachable, match=why) as caught:
            translate_errors(call)()
    told = "".join(traceback.format_exception(caught.value))
    assert f"the proxy {address}, named by {named_by}" in told
    assert ("NO_PROXY" in told) == (named_by != "proxy-url")
    assert not any(part in told for part in (SECRET, quote(SECRET, safe=""), "me:"))


def name_it(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, named_by: str, address: str, login: str
) -> None:
    user, _, password = login.partition(":")
    url = f"http://{f'{user}:{quote(password, safe=str())}@' if login else ''}{address}"
    if named_by != "proxy-url":
        monkeypatch.setenv(named_by, url)
        return
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    monkeypatch.setenv("NO_PROXY", "*")
    content = yaml.safe_load(kubeconfig.read_text())
    content["clusters"][0]["cluster"]["proxy-url"] = url
    kubeconfig.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("server", "no_proxy", "is_direct"),
    [
        ("https://localhost:6443", "", True),
        ("https://127.9.9.9:6443", "", True),
        ("https://[::1]:6443", "", True),
        ("https://api.company.example", "", False),
        ("https://api.company.example", "*", True),
        ("https://api.company.example", "other.example, COMPANY.example", True),
        ("https://company.example", "company.example", True),
        ("https://mycompany.example", "company.example", False),
        ("https://api.company.example", ".company.example", True),
        ("https://company.example", ".company.example", False),
        ("https://api.company.example", "*.company.example", True),
        ("https://api.company.example:6443", "company.example:6443", True),
        ("https://api.company.example", "company.example:6443", False),
        ("https://api.company.example", "company.example:443", True),
        ("https://10.1.2.3:6443", "10.1.0.0/16", True),
        ("https://10.2.2.3:6443", "10.1.0.0/16", False),
        ("https://10.1.2.3:6443", "10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.3:443", False),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://[fd00::1]:6443", "fd00::2", False),
    ],
)
def test_no_proxy_is_read_as_kubectl_reads_it(server: str, no_proxy: str, is_direct: bool) -> None:
    found = proxies.from_environment(server, {"HTTPS_PROXY": "corp:3128", "NO_PROXY": no_proxy})
    assert (found is None) == is_direct
    if found:
        assert found.address == "corp:3128"


def test_a_variable_counts_for_its_own_scheme_only() -> None:
    environment = {"HTTP_PROXY": "http://corp:1", "https_proxy": "http://corp:2", "ALL_PROXY": DEAD}
    found = proxies.from_environment("https://api.example", environment)
    assert found == proxies.Proxy("corp", 2, "", "https_proxy")
    found = proxies.from_environment("http://api.example", environment)
    assert found == proxies.Proxy("corp", 1, "", "HTTP_PROXY")
    assert proxies.from_environment("https://api.example", {"ALL_PROXY": DEAD}) is None


@pytest.mark.parametrize(
    "url",
    ["socks5://u:MARK@corp:1080", "http://u:MARK@corp:x", "http://u:MARK#x@corp:1", "http://"],
)
@pytest.mark.parametrize("named_by", ["HTTPS_PROXY", "proxy-url"])
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(
    far: Path, monkeypatch: pytest.MonkeyPatch, named_by: str, url: str
) -> None:
    if named_by == "proxy-url":
        content = yaml.safe_load(far.read_text())
        content["clusters"][0]["cluster"]["proxy-url"] = url
        far.write_text(yaml.safe_dump(content))
    else:
        monkeypatch.setenv(named_by, url)
    with pytest.raises(ClusterError, match=f"named by {named_by}.*must be an HTTP proxy") as caught:
        connect("far", kubeconfig=far)
    assert "MARK" not in "".join(traceback.format_exception(caught.value))
