"""The image `redis` on the local cluster: its server and its client know where their pod lives."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from clusters import MANIFESTS, local_only

from wqlib import connect
from wqlib.cluster import Cluster, local
from wqlib.redisserver import image

pytestmark = local_only


def start_redis(cluster: Cluster) -> None:
    cluster.secret("redis")
    cluster.apply(MANIFESTS / "redis.yaml")
    cluster.wait("pod/redis", "ready")


def ask(cluster: Cluster, script: str) -> str:
    return cluster.exec(
        "redis", ["sh", "-c", f"export REDISCLI_AUTH=$REDIS_PASSWORD; {script}"]
    ).stdout


def test_the_client_knows_the_names_of_services(cluster: Cluster) -> None:
    start_redis(cluster)
    full = f"redis.{cluster.namespace}.svc.cluster.local"
    address = cluster.core.read_namespaced_service("redis", cluster.namespace).spec.cluster_ip
    script = (
        f"redis-cli -h redis ping; redis-cli -h {full} -p 6379 ping; redis-cli -h {address} ping;"
        " redis-cli -r 2 --raw -h redis echo 'a  -h b';"
        " redis-cli -h redis rpush fruit -h localhost; redis-cli -h redis lrange fruit 0 -1;"
        " echo 'llen fruit' | redis-cli -h redis"
    )
    assert ask(cluster, script) == "PONG\n" * 3 + "a  -h b\n" * 2 + "2\n-h\nlocalhost\n2\n"


@pytest.mark.parametrize("arguments", ["", "-h localhost", "-p 6379"])
def test_without_a_host_the_client_means_the_pod_itself(cluster: Cluster, arguments: str) -> None:
    start_redis(cluster)
    assert ask(cluster, f"redis-cli {arguments} ping") == "PONG\n"


FILES = {
    "redis.conf": "# settings\nport 7001\nappendonly yes\ndir /data\nbind 0.0.0.0\n",
    "password.conf": 'requirepass "two words"\nmaxmemory 64mb\n',
    "sentinel.conf": "sentinel monitor main 127.0.0.1 6379 1\n",
}
MOUNTS = [
    {"name": "files", "mountPath": "/etc/redis"},
    {"name": "files", "mountPath": "/usr/local/etc/one.conf", "subPath": "redis.conf"},
    {"name": "data", "mountPath": "/data"},
]


@pytest.mark.parametrize(
    ("args", "ask", "answer"),
    [
        (None, "redis-cli ping; pwd | grep -c data", "PONG\n1\n"),
        (["--appendonly", "yes"], "redis-cli config get appendonly; ls", "appendonly\nyes\nappen"),
        (["--port", "7000"], "redis-cli -p 7000 ping", "PONG\n"),
        (["--requirepass", "$(PASSWORD)"], "redis-cli -a secret --no-auth-warning ping", "PONG\n"),
        (
            ["redis-server", "--maxmemory", "1mb"],
            "redis-cli config get maxmemory",
            "maxmemory\n104",
        ),
        (["/etc/redis/redis.conf"], "redis-cli -p 7001 ping; ls", "PONG\nappendonlydir\n"),
        (["/usr/local/etc/one.conf"], "redis-cli -p 7001 ping; ls", "PONG\nappendonlydir\n"),
        (["redis-server", "/etc/redis/redis.conf"], "redis-cli -p 7001 ping", "PONG\n"),
        (
            ["/etc/redis/password.conf", "--port", "7002"],
            "redis-cli -p 7002 -a 'two words' --no-auth-warning ping",
            "PONG\n",
        ),
        (["sh", "-c", "umask; exec redis-server"], "redis-cli ping", "PONG\n"),
    ],
)
def test_the_server_starts_as_in_the_official_image(
    cluster: Cluster, args: list[str] | None, ask: str, answer: str
) -> None:
    files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": FILES}
    container = {"name": "redis", "image": "redis:8", "args": args, "volumeMounts": MOUNTS}
    container["env"] = [{"name": "PASSWORD", "value": "secret"}]
    volumes = [{"name": "files", "configMap": {"name": "files"}}, {"name": "data", "emptyDir": {}}]
    spec = {"containers": [container], "volumes": volumes}
    server = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "r"}, "spec": spec}
    for manifest in (files, server):
        cluster.apply(manifest)
    try:
        cluster.wait("pod/r", "ready")
        first = f"{ask.split(';')[0]} >/dev/null 2>&1"
        script = f"for i in $(seq 50); do {first} && break; sleep 0.1; done; {ask}"
        assert cluster.exec("r", ["sh", "-c", script]).stdout.startswith(answer)
    finally:
        cluster.core.delete_namespaced_pod("r", cluster.namespace, grace_period_seconds=0)


@pytest.mark.parametrize("name", ["redis-sentinel", "redis-benchmark", "redis-check-aof"])
def test_the_other_programs_of_the_image(cluster: Cluster, name: str) -> None:
    start_redis(cluster)
    if not cluster.exec("redis", ["sh", "-c", f"command -v {name} || true"]).stdout:
        pytest.skip(f"this machine has no {name}")
    scripts = {
        "redis-sentinel": "echo sentinel monitor main $LOCALCLUSTER_POD_IP 6379 1 >s.conf;"
        " redis-sentinel s.conf >/dev/null & sleep 1; redis-cli -p 26379 ping; kill $!",
        "redis-benchmark": "redis-benchmark -a $REDIS_PASSWORD -q -n 100 -c 2 ping 2>&1 |"
        " grep -c 'requests per second'",
        "redis-check-aof": "redis-check-aof nosuch || echo no",
    }
    expected = {"redis-sentinel": "PONG\n", "redis-benchmark": "1\n"}
    found = cluster.exec("redis", ["sh", "-c", f"unset REDISCLI_AUTH; {scripts[name]}"]).stdout
    assert expected.get(name, "no\n") in found


def test_a_connection_that_leaves_all_as_found_stops_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    with connect(leave_as_found=True):
        with connect(leave_as_found=True):
            assert local.status() is not None
        assert local.status() is not None  # it ran before that one
    assert local.status() is None
    monkeypatch.setattr("wqlib.cluster.local.client_for", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        connect(leave_as_found=True)
    assert local.status() is None


def test_where_all_share_one_address_the_port_is_the_true_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_LOOPBACK", "single")
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    try:
        with connect() as cluster:
            start_redis(cluster)
            assert ask(cluster, "redis-cli ping; redis-cli -h redis ping") == "PONG\nPONG\n"
    finally:
        local.stop()


@pytest.mark.parametrize(
    ("arguments", "added", "command"),
    [
        ("-h redis", "-h 127.9.128.1 -p 7001", "ping"),
        ("-h redis.here.svc -p 80", "-h 127.9.128.1 -p 7002", "x"),
        ("-h x.y -p 1", "-h 127.9.128.9 -p 1", "x -p 2"),
        ("-h other", "", "get a"),
        ("-h 10.0.0.1 -p 7", "", "set -h redis"),
        ("-u redis://redis:6379", "", "ping"),
        ("-s /tmp/socket", "", "ping"),
        ("-a -h --raw", "-h 127.9.0.1 -p 6379", "ping"),
        ("", "-h 127.9.0.1 -p 6379", "keys *"),
    ],
)
def test_the_client_gets_all_arguments_as_they_were(
    tmp_path: Path, arguments: str, added: str, command: str
) -> None:
    show = tmp_path / "redis-cli-itself"
    show.write_text("#!/bin/sh\nfor word do printf '%s\\n' \"$word\"; done\n")
    show.chmod(0o700)
    script = image.scripts(tmp_path / "redis-server", show)["redis-cli"]
    names = tmp_path / "names"
    names.write_text("x.y 127.9.128.9\nredis.here 127.9.128.1 6379=7001 80=7002\n")
    env = {
        "PATH": os.defpath,
        "LOCALCLUSTER_NAMES": str(names),
        "LOCALCLUSTER_NAMESPACE": "here",
        "LOCALCLUSTER_POD_IP": "127.9.0.1",
    }
    words = [*arguments.split(), *command.split(), "a  b"]
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines() == [
        *arguments.split(),
        *added.split(),
        *command.split(),
        "a  b",
    ]
