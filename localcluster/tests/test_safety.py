"""Who gets in, and which names may become paths."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import localcluster

from .conftest import Local, pod, wait_until

PODS = "/api/v1/namespaces/default/pods"
PATHS = (
    "/",
    "/api/v1/namespaces",
    f"{PODS}?watch=true",
    f"{PODS}/p/log?follow=true",
    f"{PODS}/p/exec?command=id",
    f"{PODS}/p/attach",
    f"{PODS}/p/portforward?ports=1",
    "/healthz",
    "/openapi/v2",
    "/no/such/path",
    "/%ff%00",
)
KUBELET_PATHS = (
    "/",
    "/healthz",
    "/pods",
    "/containerLogs/default/p/main",
    "/exec/default/p/main?command=id&output=1",
    "/run/default/p/main?cmd=id",
    "/attach/default/p/main",
    "/portForward/default/p?port=1",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "MKCOL")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
}
ODD_NAMES = (
    "..",
    ".",
    "../../escaped",
    "/escaped",
    "a/../../escaped",
    "a/b",
    "a\0b",
    "a\n",
    "\n",
    "%2e%2e",
    "é",
    "\ud800",
    "-",
    "a" * 10_000,
    "",
)


def talk(local: Local) -> http.client.HTTPSConnection:
    """Connect to the API; what it is told there is up to the test."""
    server = urlsplit(local.server)
    return http.client.HTTPSConnection(
        str(server.hostname), server.port, context=local.context, timeout=20
    )


def log_of(local: Local) -> str:
    return (local.home / "cluster" / "daemon.log").read_text(errors="replace")


@pytest.fixture(autouse=True)
def unharmed(local: Local) -> Iterator[None]:
    """After each test it is the same daemon, which works and has no fault of its own to tell."""
    before, told = localcluster.status(local.home), len(log_of(local))
    yield
    after = localcluster.status(local.home)
    assert before is not None
    assert after is not None
    assert (after.pid, after.started_at) == (before.pid, before.started_at)
    assert local.request("GET", "/readyz").body == b"ok"
    assert "Traceback" not in log_of(local)[told:]


# -- who gets in


def test_it_listens_on_loopback_only(local: Local) -> None:
    port = urlsplit(local.server).port
    found = localcluster.status(local.home)
    assert found is not None
    assert urlsplit(found.server).hostname == "127.0.0.1"
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port)}:
        if str(address).startswith("127.") or address == "::1":
            continue
        with socket.socket(socket.AF_INET6 if ":" in str(address) else socket.AF_INET) as probe:
            probe.settimeout(2)
            assert probe.connect_ex((address, port)) != 0, address


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_of_the_cluster_listens_elsewhere(local: Local) -> None:
    found = localcluster.status(local.home)
    assert found is not None
    folder = Path(f"/proc/{found.pid}/fd")
    mine = {os.readlink(one) for one in folder.iterdir() if one.exists() or one.is_symlink()}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{found.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                listening.append(fields[1].partition(":")[0])
    assert listening
    assert all(len(address) == 8 and address.endswith("7F") for address in listening)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "bearer {token}x", "{token}"],
)
def test_without_the_token_everything_is_401(local: Local, header: str | None) -> None:
    connection = talk(local)
    sent = {} if header is None else {"Authorization": header.format(token=local.token)}
    for path in PATHS if header is None else PATHS[:3]:
        for method in METHODS:
            for more in ({}, UPGRADE):
                connection.request(method, path, headers={**sent, **more})
                reply = connection.getresponse()
                body = reply.read()
                assert reply.status == 401, (method, path, more)
                assert method == "HEAD" or json.loads(body)["reason"] == "Unauthorized"
    connection.close()


def test_the_token_in_the_address_or_a_cookie_does_not_count(local: Local) -> None:
    connection = talk(local)
    for path in (f"/api?token={local.token}", f"/api?access_token={local.token}"):
        connection.request("GET", path, headers={"Cookie": f"token={local.token}"})
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 401
    connection.close()


def test_the_kubelets_own_port_wants_a_token_too(local: Local) -> None:
    status = local.request("GET", "/api/v1/nodes").json["items"][0]["status"]
    endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    for path in KUBELET_PATHS:
        for method in METHODS:
            for more in ({}, UPGRADE, {"Authorization": "Bearer wrong"}):
                connection = http.client.HTTPSConnection(
                    "127.0.0.1", endpoint["Port"], context=unverified, timeout=20
                )
                connection.request(method, path, headers=more)
                assert connection.getresponse().status == 401, (method, path, more)
                connection.close()


# -- what a pod sees


def test_a_pod_cannot_read_the_token_from_environments(local: Local, ns: str) -> None:
    script = (
        "env; up=$PPID; while [ $up -gt 1 ]; do tr '\\0' '\\n' </proc/$up/environ;"
        " tr '\\0' ' ' </proc/$up/cmdline; up=$(cut -d' ' -f4 /proc/$up/stat); done; echo end"
    )
    local.core.create_namespaced_pod(ns, pod("p", "sh", "-c", script))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Succeeded")
    text = local.core.read_namespaced_pod_log("p", ns)
    assert text.endswith("end\n")
    assert "localcluster" in text
    assert local.token not in text


def test_pods_do_not_inherit_the_environment_of_whoever_started_the_cluster(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path; import localcluster;"
        " localcluster.ensure(Path(sys.argv[1])); sys.stdin.read()"
    )
    leaked = {"API_KEY": "leaked", "AWS_SECRET_ACCESS_KEY": "leaked", "JPY_API_TOKEN": "leaked"}
    home = tmp_path / "home"
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(home)],
        stdin=subprocess.PIPE,
        env={**os.environ, **leaked, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        wait_until(lambda: localcluster.status(home))
        cluster = Local(home, home / "cluster" / "kubeconfig")
        cluster.core.create_namespaced_pod("default", pod("p", "env"))
        read = cluster.core.read_namespaced_pod
        wait_until(lambda: read("p", "default").status.phase == "Succeeded")
        shown = cluster.core.read_namespaced_pod_log("p", "default")
        assert "HOSTNAME=p" in shown
        assert "leaked" not in shown
    finally:
        owner.communicate(b"")
        localcluster.stop(home)


# -- names that would be paths


def _files_outside(local: Local) -> set[str]:
    """Return what lies around the places that pods and images have."""
    root = local.home / "cluster"
    around = {str(path) for path in [*local.home.iterdir(), *root.iterdir()]}
    around |= {str(path) for path in (root / "pods").iterdir()}
    around |= {str(path) for path in Path("/").iterdir()}
    return {path for path in around if not path.endswith(".new")}


def _put(manifest: dict[str, Any], where: str, name: str) -> dict[str, Any]:
    """Write the name to a place in a pod's manifest."""
    spec = manifest["spec"]
    container = spec["containers"][0]
    if where == "pod":
        manifest["metadata"]["name"] = name
    elif where == "volume":
        spec["volumes"] = [{"name": name, "emptyDir": {}}]
        container["volumeMounts"] = [{"name": name, "mountPath": "/v"}]
    elif where in ("mountPath", "subPath"):
        spec["volumes"] = [{"name": "v", "emptyDir": {}}]
        container["volumeMounts"] = [{"name": "v", "mountPath": "/v", where: name}]
    elif where == "hostname":
        spec["hostname"] = name
    elif where == "env":
        container["env"] = [{"name": name, "value": "1"}]
    elif where == "value":
        container["env"] = [{"name": "A", "value": name}]
    elif where == "configMap":
        spec["volumes"] = [{"name": "v", "configMap": {"name": name}}]
        container["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    elif where == "item":
        items = [{"key": "a", "path": name}]
        spec["volumes"] = [{"name": "v", "configMap": {"name": "cm", "items": items}}]
        container["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    else:
        container[where] = [name] if where in ("command", "args") else name
    return manifest


@pytest.mark.parametrize(
    "where",
    [
        "pod", "name", "volume", "mountPath", "subPath", "image", "workingDir", "command", "args",
        "env", "value", "hostname", "configMap", "item", "terminationMessagePath",
    ],
)  # fmt: skip
def test_names_lead_nowhere_but_to_places_of_the_pod(local: Local, ns: str, where: str) -> None:
    local.core.create_namespaced_config_map(ns, {"metadata": {"name": "cm"}, "data": {"a": "1"}})
    before, made = _files_outside(local), []
    for number, name in enumerate(ODD_NAMES):
        manifest = _put(pod(f"p{number}", "true"), where, name)
        reply = local.request("POST", f"/api/v1/namespaces/{ns}/pods", manifest)
        assert reply.code in (201, 400, 422), (name, reply.body)
        if reply.code == 201:
            made.append(reply.json["metadata"])

    def settled() -> bool:
        """No pod is on its way: each ended, or says why it cannot begin."""
        pods = local.request("GET", f"/api/v1/namespaces/{ns}/pods").json["items"]
        events = local.request("GET", f"/api/v1/namespaces/{ns}/events").json["items"]
        stuck = {e["involvedObject"]["uid"] for e in events if e["reason"] == "FailedMount"}
        return all(_is_settled(one) or one["metadata"]["uid"] in stuck for one in pods)

    wait_until(settled, what=f"{where}: each pod ends or says why not")
    uids = {metadata["uid"] for metadata in made}
    new = {path for path in _files_outside(local) - before if Path(path).name not in uids}
    assert not [path for path in new if "/cluster/pods/" not in path], new


def _is_settled(obj: dict[str, Any]) -> bool:
    if obj["status"].get("phase") in ("Succeeded", "Failed"):
        return True
    states = obj["status"].get("containerStatuses") or []
    reasons = {(one.get("state", {}).get("waiting") or {}).get("reason") for one in states}
    return bool(reasons) and not reasons & {None, "ContainerCreating", "PodInitializing"}


@pytest.mark.parametrize("key", [*ODD_NAMES, "..data", "..a"])
def test_keys_of_a_config_map_are_names_of_files(local: Local, ns: str, key: str) -> None:
    for kind, value in (("configmaps", "x"), ("secrets", "eA==")):
        body = {"metadata": {"name": "odd"}, "data": {key: value}}
        reply = local.request("POST", f"/api/v1/namespaces/{ns}/{kind}", body)
        assert reply.code == (201 if key == "-" else 422), key


@pytest.mark.parametrize("name", ODD_NAMES[:-1])
def test_names_in_the_address_find_no_file(local: Local, ns: str, name: str) -> None:
    quoted = quote(name, safe="", errors="surrogatepass")
    for path in (
        f"/api/v1/namespaces/{ns}/pods/{quoted}",
        f"/api/v1/namespaces/{ns}/pods/{quoted}/log",
        f"/api/v1/namespaces/{ns}/pods/p/log?container={quoted}",
        f"/api/v1/namespaces/{quoted}/pods/p/log",
        f"/apis/{quoted}/v1/jobs",
        f"/openapi/v3/{quoted}",
    ):
        assert local.request("GET", path).code in (400, 404), path


def test_a_container_without_log_has_no_other_log(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "true"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Succeeded")
    for name in ("../p", "main/../main", "main/0.log", "/etc/passwd"):
        reply = local.request("GET", f"/api/v1/namespaces/{ns}/pods/p/log", container=name)
        assert reply.code == 400


@pytest.mark.parametrize("text", ["x", "²", "1_0", "9" * 5000, "1e3", "0x1"])
def test_a_number_in_the_address_is_one(local: Local, ns: str, text: str) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "true"))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Succeeded")
    for name in ("tailLines", "sinceSeconds", "limitBytes"):
        reply = local.request("GET", f"/api/v1/namespaces/{ns}/pods/p/log", **{name: text})
        assert reply.code == 400, name
    for name in ("limit", "resourceVersion", "timeoutSeconds"):
        watch = {} if name == "limit" else {"watch": "true"}
        reply = local.request("GET", "/api/v1/pods", **{name: text}, **watch)
        # The real server says 500 to a version that is none; the log shows that it was meant.
        assert reply.code in (400, 500), name
