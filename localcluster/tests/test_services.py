"""Services that answer, Redis in a pod, and the addresses of both."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import localcluster
from localcluster.addresses import Addresses

from .conftest import Local, pod, wait_until

SERVE = (
    "import os, socket\n"
    "s = socket.create_server((os.environ['LOCALCLUSTER_POD_IP'], 8080))\n"
    "while True:\n    c, _ = s.accept(); c.sendall(os.environ['HOSTNAME'].encode()); c.close()"
)


def _service(name: str, port: int, target: int, app: str) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": target}]
    return {"metadata": {"name": name}, "spec": {"selector": {"app": app}, "ports": ports}}


def _ask(address: str, port: int) -> str:
    with socket.create_connection((address, port), timeout=5) as connection:
        return connection.recv(100).decode()


def _redis_pod(*command: str, **container: Any) -> dict[str, Any]:
    probe = {"tcpSocket": {"port": 6379}, "periodSeconds": 1}
    ports = [{"containerPort": 6379}]
    settings = {"readinessProbe": probe, "ports": ports, **container}
    return pod("redis", *command, image="redis:7", container=settings)


def _ready(core: Any, ns: str, name: str) -> Any:
    def ready() -> bool:
        conditions = core.read_namespaced_pod(name, ns).status.conditions or []
        return any(c.type == "Ready" and c.status == "True" for c in conditions)

    wait_until(ready)
    return core.read_namespaced_pod(name, ns)


def test_each_pod_and_service_has_an_address_of_its_own() -> None:
    addresses = Addresses("seed", single=False)
    if addresses.single:
        pytest.skip("only 127.0.0.1 exists here")
    try:
        pods = [addresses.pod() for _ in range(600)]
        services = [addresses.service(set()) for _ in range(300)]
        assert len({*pods, *services}) == 900
        assert all(address.startswith(addresses.prefix + ".") for address in [*pods, *services])
        assert addresses.service({services[0]}) != services[0]
    finally:
        addresses.close()


def test_two_clusters_never_share_a_range() -> None:
    first, second = Addresses("seed", single=False), Addresses("seed", single=False)
    try:
        if not first.single:
            assert first.prefix != second.prefix
    finally:
        first.close()
        second.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
def test_a_service_leads_to_its_ready_pods_in_turn(local: Local, ns: str) -> None:
    made = local.core.create_namespaced_service(ns, _service("web", 8000, 8080, "web"))
    address = made.spec.cluster_ip
    with pytest.raises(ConnectionRefusedError):
        _ask(address, 8000)
    probe = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    for name in ("a", "b"):
        manifest = pod(name, "python", "-c", SERVE, labels={"app": "web"}, container=probe)
        local.core.create_namespaced_pod(ns, manifest)
    for name in ("a", "b"):
        _ready(local.core, ns, name)

    def both() -> bool:
        try:
            return {_ask(address, 8000) for _ in range(4)} == {"a", "b"}
        except OSError:
            return False

    wait_until(both)
    local.core.delete_namespaced_pod("a", ns, grace_period_seconds=0)
    wait_until(lambda: {_ask(address, 8000) for _ in range(4)} == {"b"})
    local.core.delete_namespaced_service("web", ns)

    def refused() -> bool:
        try:
            _ask(address, 8000)
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it came in while the Service went
            return False
        return False

    wait_until(refused)


def _node_port(local: Local, ns: str, name: str, **port: int) -> Any:
    spec = {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, **port}]}
    body = {"metadata": {"name": name}, "spec": spec}
    return local.request("POST", f"/api/v1/namespaces/{ns}/services", body)


def test_a_node_port_is_answered_on_this_machine(local: Local, ns: str) -> None:
    made = _node_port(local, ns, "web", targetPort=8080).json["spec"]
    number = made["ports"][0]["nodePort"]
    assert number in range(30000, 32768)
    assert made["externalTrafficPolicy"] == "Cluster"
    manifest = pod("a", "python", "-c", SERVE, labels={"app": "web"})
    local.core.create_namespaced_pod(ns, manifest)

    def answered() -> bool:
        try:
            return _ask("127.0.0.1", number) == "a"
        except OSError:
            return False

    wait_until(answered)
    change = {"spec": {"type": "ClusterIP"}}
    back = local.core.patch_namespaced_service("web", ns, change)
    assert back.spec.ports[0].node_port is None
    wait_until(lambda: not answered())


def test_a_node_port_is_kept_and_belongs_to_one_service(local: Local, ns: str) -> None:
    number = _node_port(local, ns, "a").json["spec"]["ports"][0]["nodePort"]
    ports = [{"port": 80, "name": "x"}, {"port": 81, "name": "y"}]
    kept = local.core.patch_namespaced_service("a", ns, {"spec": {"ports": ports}}).spec.ports
    assert kept[0].node_port == number
    assert kept[1].node_port not in (None, number)
    twice = _node_port(local, ns, "b", nodePort=number)
    assert "provided port is already allocated" in twice.json["message"]
    outside = _node_port(local, ns, "b", nodePort=80)
    assert "The range of valid ports is 30000-32767" in outside.json["message"]


def test_endpoints_list_ready_pods_apart_from_others(local: Local, ns: str) -> None:
    local.core.create_namespaced_service(ns, _service("web", 80, 8080, "web"))
    never = {"readinessProbe": {"exec": {"command": ["false"]}}}
    ready = pod("ready", "sleep", "60", labels={"app": "web"})
    unready = pod("unready", "sleep", "60", labels={"app": "web"}, container=never)
    for manifest in (ready, unready, pod("other", "sleep", "60")):
        local.core.create_namespaced_pod(ns, manifest)

    def listed() -> Any:
        found = local.core.list_namespaced_endpoints(ns).items
        subsets = (found[0].subsets if found else None) or []
        return [
            (
                [a.target_ref.name for a in s.addresses or []],
                [a.target_ref.name for a in s.not_ready_addresses or []],
            )
            for s in subsets
        ]

    wait_until(lambda: listed() == [(["ready"], ["unready"])])
    [found] = local.core.list_namespaced_endpoints(ns).items
    assert found.metadata.labels == {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def test_endpoints_say_what_time_the_change_is_from_that_they_tell(local: Local, ns: str) -> None:
    made = local.core.create_namespaced_service(ns, _service("web", 80, 8080, "web"))
    wait_until(lambda: local.core.list_namespaced_endpoints(ns).items)
    found = local.core.read_namespaced_endpoints("web", ns).metadata.annotations
    since = made.metadata.creation_timestamp.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found == {"endpoints.kubernetes.io/last-change-trigger-time": since}


def test_redis_runs_with_its_configuration_from_standard_input(
    local: Local, ns: str, redis_server: Path
) -> None:
    secret = {"metadata": {"name": "redis"}, "stringData": {"password": "geheim"}}
    local.core.create_namespaced_secret(ns, secret)
    script = 'echo "requirepass $REDIS_PASSWORD" | exec redis-server -'
    source = {"secretKeyRef": {"name": "redis", "key": "password"}}
    env = [{"name": "REDIS_PASSWORD", "valueFrom": source}]
    local.core.create_namespaced_pod(ns, _redis_pod("sh", "-c", script, env=env))
    made = local.core.create_namespaced_service(ns, _service("redis", 6379, 6379, "redis"))
    found = _ready(local.core, ns, "redis")
    client = redis.Redis(found.status.pod_ip, 6379, password="geheim")
    assert client.ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(found.status.pod_ip, 6379, retry=Retry(NoBackoff(), 0)).ping()
    if sys.platform == "linux":
        wait_until(lambda: _pings(made.spec.cluster_ip, "geheim"))
        # It listens on its own address only.
        assert client.config_get("bind")["bind"] == found.status.pod_ip


def _pings(address: str, password: str) -> bool:
    try:
        once = Retry(NoBackoff(), 0)
        return bool(redis.Redis(address, 6379, password=password, retry=once).ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("args", [None, ["--requirepass", "$(PW)"]])
def test_redis_runs_without_a_command_or_with_arguments(
    local: Local, ns: str, redis_server: Path, args: list[str] | None
) -> None:
    settings: dict[str, Any] = {"env": [{"name": "PW", "value": "x"}]}
    if args:
        settings |= {"command": ["redis-server"], "args": args}
    local.core.create_namespaced_pod(ns, _redis_pod(**settings))
    found = _ready(local.core, ns, "redis")
    client = redis.Redis(found.status.pod_ip, 6379, password="x" if args else None)
    assert client.ping()


def test_a_program_on_all_addresses_leaves_pods_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCALCLUSTER_LOOPBACK", raising=False)
    with closing(socket.create_server(("0.0.0.0", 0))) as other:
        port = other.getsockname()[1]
        with closing(Addresses("one", [port])) as found:
            assert found.port(port) != port


SINGLE = """
import json, os, sys, time
from pathlib import Path
from kubernetes import client, config
import localcluster
from tests.redisimage import redis_image
home = Path(sys.argv[1])
path = localcluster.ensure(home, images={"redis": redis_image(Path(sys.argv[2]))})
core = client.CoreV1Api(config.new_client_from_config(str(path)))
ns = "default"
service = {"metadata": {"name": "redis"}, "spec": {"selector": {"app": "redis"},
           "ports": [{"port": 6379}]}}
core.create_namespaced_service(ns, service)
container = {"name": "c", "image": "redis", "readinessProbe": {"tcpSocket": {"port": 6379}},
             "ports": [{"containerPort": 6379}]}
core.create_namespaced_pod(ns, {"metadata": {"name": "redis", "labels": {"app": "redis"}},
                                "spec": {"containers": [container]}})
deadline = time.time() + 20
while time.time() < deadline:
    pod = core.read_namespaced_pod("redis", ns)
    if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or []):
        break
    time.sleep(0.05)
time.sleep(0.3)
code = ("import os, redis; e = os.environ; "
        "r = redis.Redis(e['REDIS_SERVICE_HOST'], int(e['REDIS_SERVICE_PORT'])); "
        "print(r.ping(), e['REDIS_SERVICE_HOST'], e['REDIS_SERVICE_PORT'])")
core.create_namespaced_pod(ns, {"metadata": {"name": "ask"}, "spec": {"restartPolicy": "Never",
    "containers": [{"name": "c", "image": "python", "command": ["python", "-c", code]}]}})
while core.read_namespaced_pod("ask", ns).status.phase not in ("Succeeded", "Failed"):
    time.sleep(0.05)
print(core.read_namespaced_pod_log("ask", ns), end="")
print(core.read_namespaced_service("redis", ns).spec.ports[0].port)
localcluster.stop(home)
"""


def test_where_all_share_one_address_the_variables_tell_the_true_port(
    tmp_path: Path, redis_server: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SINGLE, str(tmp_path / "home"), str(redis_server)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LOCALCLUSTER_LOOPBACK": "single"},
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[:2] == ["True", "127.0.0.1"]
    assert words[2] != "6379"
    assert words[3] == "6379"


def test_an_image_stands_for_a_program_of_the_machine_as_the_caller_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, program = tmp_path / "home", tmp_path / "it's mine" / "greet"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$0 says $*"')
    program.chmod(0o700)
    cluster = Local(home, localcluster.ensure(home))
    try:
        assert localcluster.list_images(home) == ["python"]
        cluster.core.create_namespaced_pod("default", pod("p", image="shop/greet:1.2"))

        def status(name: str) -> Any:
            return cluster.core.read_namespaced_pod(name, "default").status

        def is_missing() -> bool:
            waiting = [one.state.waiting for one in status("p").container_statuses or []]
            return bool(waiting and waiting[0] and "has no image" in (waiting[0].message or ""))

        wait_until(is_missing)
        for name in ("python", "web:1", "Web", "a" * 81, "../web"):
            with pytest.raises(localcluster.ClusterError, match="cannot stand for programs"):
                localcluster.ensure(home, images={name: localcluster.ProgramImage.of(program)})
        cluster.core.create_namespaced_pod("default", pod("long", image="a" * 250))
        wait_until(lambda: "has no image" in str(status("long").container_statuses))
        # For a running cluster, too.
        images = {"shop/greet": localcluster.ProgramImage.of(program)}
        assert localcluster.ensure(home, images=images) == cluster.kubeconfig
        assert localcluster.list_images(home) == ["python", "shop/greet"]
        again = pod(
            "q", image="shop/greet:latest", container={"command": ["greet", "a  b"], "args": ["c"]}
        )
        cluster.core.create_namespaced_pod("default", again)
        wait_until(lambda: status("p").phase == status("q").phase == "Succeeded")
        for name, words in (("p", ""), ("q", "a  b c")):
            log = cluster.core.read_namespaced_pod_log(name, "default")
            assert log == f"{program} says {words}\n"
    finally:
        localcluster.stop(home)
