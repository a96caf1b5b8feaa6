"""The kubelet's own server: whom it answers, and that nobody reaches around it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import localcluster
from localcluster.addresses import Addresses
from localcluster.apimachinery.client import Client
from localcluster.apimachinery.httptransport import HttpTransport
from localcluster.images.imagestore import Images
from localcluster.kubelet import standalone
from localcluster.kubelet.kubelet import Kubelet
from localcluster.kubelet.processes import Processes
from localcluster.paths import State

from .conftest import Local, pod, wait_until

PARTS = Path(localcluster.__file__).parent


def _kubelet(local: Local) -> tuple[str, int]:
    node = local.core.read_node("worker-1")
    address = next(a.address for a in node.status.addresses if a.type == "InternalIP")
    return address, node.status.daemon_endpoints.kubelet_endpoint.port


def _ask(local: Local, path: str, **headers: str) -> tuple[int, str]:
    host, port = _kubelet(local)
    connection = http.client.HTTPSConnection(host, port, context=local.context, timeout=10)
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    found = reply.status, reply.read().decode()
    connection.close()
    return found


@pytest.mark.parametrize(
    "path", ["/healthz", "/containerLogs/x/p/main", "/exec/x/p/main", "/portForward/x/p", "/x"]
)
def test_it_refuses_whoever_is_not_the_api_server(local: Local, path: str) -> None:
    assert _ask(local, path) == (401, "Unauthorized")
    # Not even with the token that opens the API.
    assert _ask(local, path, Authorization=f"Bearer {local.token}") == (401, "Unauthorized")


def test_it_listens_on_this_machine_only_and_shows_the_clusters_certificate(local: Local) -> None:
    host, port = _kubelet(local)
    assert host == "127.0.0.1"
    connection = http.client.HTTPSConnection(
        host, port, context=ssl.create_default_context(), timeout=10
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/healthz")


def test_the_node_has_a_lease_that_is_renewed(local: Local) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-1"
    lease = wait_until(lambda: (r := local.request("GET", path)).code == 200 and r.json)
    assert lease["spec"]["holderIdentity"] == "worker-1"
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert lease["metadata"]["ownerReferences"][0]["kind"] == "Node"


def test_a_kubelet_that_does_not_answer(local: Local, ns: str) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"gone-{ns}"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
        },
    }
    local.core.create_node(node)
    local.core.patch_node_status(f"gone-{ns}", {"status": node["status"]})
    local.core.create_namespaced_pod(ns, pod("p", nodeName=f"gone-{ns}"))
    path = f"/api/v1/namespaces/{ns}/pods/p"
    for sub in ("log", "exec?command=ls&stdout=true"):
        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
        reply = local.request("GET", f"{path}/{sub}", headers=headers)
        assert reply.code == 500
        assert "https://127.0.0.1:1/" in json.loads(reply.body)["message"]
    local.core.delete_namespaced_pod("p", ns, grace_period_seconds=0)
    local.core.delete_node(f"gone-{ns}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kubeconfig", "no-such-file"], "The kubeconfig no-such-file cannot be used"),
        (["--kubeconfig", "x", "--node-name", "No Name"], "is no name for a node"),
        # The local cluster signs no certificates, so a second kubelet cannot join it.
        (["--kubeconfig", "{local}"], "The cluster gives this node no certificate"),
    ],
)
def test_a_kubelet_that_cannot_join_says_why(
    local: Local, tmp_path: Path, arguments: list[str], says: str
) -> None:
    words = [word.format(local=local.kubeconfig) for word in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "localcluster", "kubelet", "--home", str(tmp_path), *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def _imports(folder: Path) -> set[str]:
    found = set()
    for file in folder.glob("*.py"):
        for part in ast.walk(ast.parse(file.read_text())):
            if isinstance(part, ast.ImportFrom) and part.module:
                found |= {f"{part.module}.{alias.name}" for alias in part.names}
            elif isinstance(part, ast.Import):
                found |= {alias.name for alias in part.names}
    return {name.removeprefix("localcluster.") for name in found}


def _run_elsewhere(home: Path, server: str, token: str, authority: str) -> None:
    """Run a kubelet in this process, which knows of the cluster what an address and a token say."""

    async def work() -> None:
        state = State.of(home).create()
        images, processes = Images(state), Processes()
        images.prepare()
        processes.start(state.reaper_lock, None)
        processes.ready()
        client = Client(HttpTransport(server, token, ssl.create_default_context(cadata=authority)))
        addresses = Addresses(str(state.root), images.ports())
        kubelet = Kubelet(client, state, addresses, images, processes, "elsewhere")
        kubelet.node.renew_seconds = 1.0
        await kubelet.run()

    asyncio.run(work())


class _Line:
    """A line to the API, which can be cut for a while."""

    def __init__(self, server: str) -> None:
        self.port = int(server.rpartition(":")[2])
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.cut = False
        self.ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self.listening.accept()[0]
                if self.cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.port))
                self.ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def interrupt(self, *, cut: bool) -> None:
        self.cut = cut
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def elsewhere(local: Local, tmp_path: Path) -> Iterator[_Line]:
    """A node whose kubelet knows of the cluster what an address and a token say."""
    line = _Line(local.server)
    authority = ssl.DER_cert_to_PEM_cert(local.context.get_ca_certs(binary_form=True)[0])
    server = f"https://127.0.0.1:{line.listening.getsockname()[1]}"
    place = (tmp_path, server, local.token, authority)
    node = multiprocessing.get_context("spawn").Process(target=_run_elsewhere, args=place)
    node.start()
    try:
        wait_until(lambda: "elsewhere" in {n.metadata.name for n in local.core.list_node().items})
        yield line
    finally:
        node.terminate()
        node.join()
        line.listening.close()
        line.interrupt(cut=True)
        local.core.delete_node("elsewhere")


def _phase(local: Local, ns: str) -> str:
    return str(local.core.read_namespaced_pod("p", ns).status.phase)


def test_a_kubelet_that_reaches_the_api_over_http_runs_the_pods_of_its_node(
    local: Local, ns: str, elsewhere: _Line
) -> None:
    local.core.create_namespaced_config_map(
        ns, {"metadata": {"name": "words"}, "data": {"WORD": "far"}}
    )
    spec = {"envFrom": [{"configMapRef": {"name": "words"}}]}
    body = pod("p", "sh", "-c", 'test "$WORD" = far', container=spec, nodeName="elsewhere")
    local.core.create_namespaced_pod(ns, body)
    ended = ("Succeeded", "Failed")
    assert wait_until(lambda: (phase := _phase(local, ns)) in ended and phase) == "Succeeded"
    local.core.delete_namespaced_pod("p", ns)
    wait_until(lambda: not local.core.list_namespaced_pod(ns).items)


def test_what_happened_while_the_api_was_out_of_reach_is_told_afterwards(
    local: Local, ns: str, elsewhere: _Line, tmp_path: Path
) -> None:
    go, gone = tmp_path / "go", tmp_path / "gone"
    script = f"while [ ! -e {go} ]; do sleep 0.1; done; touch {gone}"
    local.core.create_namespaced_pod(ns, pod("p", "sh", "-c", script, nodeName="elsewhere"))
    wait_until(lambda: _phase(local, ns) == "Running")
    elsewhere.interrupt(cut=True)
    go.touch()
    wait_until(gone.exists)
    time.sleep(1)
    assert _phase(local, ns) == "Running"
    elsewhere.interrupt(cut=False)
    wait_until(lambda: _phase(local, ns) == "Succeeded")


def test_kubelet_and_controllers_know_the_api_only_from_outside() -> None:
    for folder, other in (("kubelet", "controllers"), ("controllers", "kubelet")):
        inside = {name.split(".")[0] for name in _imports(PARTS / folder)}
        assert not inside & {"api", "store", "daemon", other}
    assert "kubelet" not in {name.split(".")[0] for name in _imports(PARTS / "api")}


def test_a_kubelet_elsewhere_shows_the_token_of_its_kubeconfig(local: Local) -> None:
    control_plane = standalone.load_kubeconfig(local.kubeconfig)
    namespace = asyncio.run(control_plane.client.get("/api/v1/namespaces/default"))
    assert namespace["metadata"]["name"] == "default"
