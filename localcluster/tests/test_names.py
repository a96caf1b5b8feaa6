"""Names of Services inside pods of Python images, without DNS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import localcluster

from .conftest import IMAGES, Local, pod, wait_until

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

ASK = """
import asyncio, socket, sys
name = sys.argv[1]
address = socket.getaddrinfo(name, 6379, type=socket.SOCK_STREAM)[0][4]
assert socket.gethostbyname(name) == address[0]
for way in (socket.create_connection, lambda a: socket.socket().connect(a)):
    way((name, 6379))
async def main():
    reader, writer = await asyncio.open_connection(name, 6379)
    writer.write(b"PING\\r\\n")
    print(address[0], (await reader.readline()).decode().strip())
    writer.close()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server(local: Local, redis_server: Path) -> Iterator[str]:
    """Run redis behind a Service in a namespace of its own, and return its address."""
    yield from _serve(local, "names")


def _serve(local: Local, namespace: str) -> Iterator[str]:
    local.core.create_namespace({"metadata": {"name": namespace}})
    container = {"readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1}}
    manifest = pod("redis", image="redis:7", labels={"app": "redis"}, container=container)
    local.core.create_namespaced_pod(namespace, manifest)
    service = {
        "metadata": {"name": "redis"},
        "spec": {"ports": [{"port": 6379}], "selector": {"app": "redis"}},
    }
    made = local.core.create_namespaced_service(namespace, service)

    def served() -> Any:
        return local.core.read_namespaced_endpoints("redis", namespace).subsets

    wait_until(lambda: local.core.list_namespaced_endpoints(namespace).items and served())
    time.sleep(0.1)  # Until the Service's own address answers, too.
    yield made.spec.cluster_ip
    local.core.delete_namespace(namespace, grace_period_seconds=0)


def _run(local: Local, namespace: str, manifest: dict[str, Any]) -> str:
    """Run a pod to its end, and return what it printed."""
    name = manifest["metadata"]["name"]
    local.core.create_namespaced_pod(namespace, manifest)

    def ended() -> Any:
        found = local.core.read_namespaced_pod(name, namespace).status.phase
        return found if found in ("Succeeded", "Failed") else None

    phase = wait_until(ended)
    log = str(local.core.read_namespaced_pod_log(name, namespace))
    assert phase == "Succeeded", log
    return log


@pytest.mark.parametrize(
    "name", ["redis.names", "redis.names.svc", "redis.names.svc.cluster.local.", "REDIS.names"]
)
def test_the_full_names_resolve_from_every_namespace(
    local: Local, ns: str, server: str, name: str
) -> None:
    assert _run(local, ns, pod("p", "python", "-c", ASK, name)) == f"{server} +PONG\n"


def test_the_short_name_is_the_service_of_the_own_namespace(local: Local, server: str) -> None:
    assert _run(local, "names", pod("p", "python", "-c", ASK, "redis")) == f"{server} +PONG\n"


def test_redis_py_needs_no_address(local: Local, server: str) -> None:
    script = "import redis; print(redis.Redis(host='redis').ping())"
    assert _run(local, "names", pod("q", "python", "-c", script)) == "True\n"


def test_names_that_are_no_services_are_left_to_the_system(local: Local, ns: str) -> None:
    script = (
        "import socket\n"
        "print(socket.gethostbyname('localhost'), socket.getaddrinfo('127.0.0.1', 80)[0][4])\n"
        "try:\n    socket.getaddrinfo('redis', 6379)\n"
        "except socket.gaierror:\n    print('unknown')"
    )
    assert _run(local, ns, pod("p", "python", "-c", script)) == (
        "127.0.0.1 ('127.0.0.1', 80)\nunknown\n"
    )


def test_an_annotation_leaves_all_names_to_the_system(local: Local, server: str) -> None:
    script = "import socket\ntry: socket.getaddrinfo('redis', 1)\nexcept OSError: print('unknown')"
    manifest = pod("r", "python", "-c", script)
    manifest["metadata"]["annotations"] = {"localcluster/service-names": "false"}
    assert _run(local, "names", manifest) == "unknown\n"


def test_a_pod_knows_its_own_name(local: Local, ns: str) -> None:
    script = (
        "import os, socket; me = socket.gethostname()\n"
        "print(me, socket.gethostbyname(me) == os.environ['LOCALCLUSTER_POD_IP'])"
    )
    assert _run(local, ns, pod("p", "python", "-c", script, hostname="worker-0")) == (
        "worker-0 True\n"
    )


def test_a_python_path_and_a_sitecustomize_of_the_pod_still_count(local: Local, ns: str) -> None:
    env = [{"name": "PYTHONPATH", "value": "/lib"}]
    mounts = [{"name": "lib", "mountPath": "/lib"}]
    files = {"sitecustomize.py": "print('theirs')", "mine.py": "print('mine')"}
    local.core.create_namespaced_config_map(ns, {"metadata": {"name": "lib"}, "data": files})
    volumes = [{"name": "lib", "configMap": {"name": "lib"}}]
    container = {"env": env, "volumeMounts": mounts}
    script = "import mine, socket; print(socket.getaddrinfo.__name__)"
    manifest = pod("p", "python", "-c", script, container=container, volumes=volumes)
    assert _run(local, ns, manifest) == "theirs\nmine\ngetaddrinfo_of_pod\n"


def test_a_program_that_needs_no_socket_does_not_import_it(local: Local, ns: str) -> None:
    script = "import sys; print('socket' in sys.modules)"
    assert _run(local, ns, pod("p", "python", "-c", script)) == "False\n"


def test_where_all_share_one_address_the_port_is_the_true_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_LOOPBACK", "single")
    home = tmp_path / "home"
    kubeconfig = localcluster.ensure(home, images=IMAGES)
    try:
        single = Local(home, kubeconfig)
        serving = _serve(single, "names")
        next(serving)
        script = "import redis; print(redis.Redis(host='redis', port=6379).ping())"
        assert _run(single, "names", pod("p", "python", "-c", script)) == "True\n"
        next(serving, None)
    finally:
        localcluster.stop(home)
