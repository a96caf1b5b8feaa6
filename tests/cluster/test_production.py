"""`notebooks/manifests/production/`: the scripts and the manifests, as they are."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis
import yaml
from clusters import MANIFESTS, eventually, local_only

import wqlib
from wqlib import WorkQueue, redisserver
from wqlib.cluster import Cluster
from wqlib.commands.demo import judge
from wqlib.course import build_worker

PRODUCTION = MANIFESTS / "production"
DATA = Path(__file__).parent / "production"
PASSWORD = r'odd " \ # password'
PORTS = {"redis": 6379, "sentinel": 26379}

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on PATH")


# The scripts


class Pod:
    """A pod of the StatefulSet: its two containers are processes, its volume is a folder."""

    def __init__(self, host: str, folder: Path, env: dict[str, str]) -> None:
        self.host = host
        self.folder = folder
        self.volume = folder / host
        self.env = env | {"SELF": host}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        self.volume.mkdir(exist_ok=True)
        for name in names or PORTS:
            with (self.folder / f"{self.host}-{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    ["sh", self.folder / "start.sh", name],
                    cwd=self.volume,
                    env=self.env,
                    stdout=log,
                    stderr=log,
                )

    def kill(self, *names: str) -> None:
        for name in names or list(self.processes):
            self.processes[name].kill()
            self.processes.pop(name).wait()

    def said(self) -> list[str]:
        """What the script said before Redis began to, without repeats of an earlier start."""
        lines = (self.folder / f"{self.host}-redis.log").read_text("utf-8", "replace").splitlines()
        return [line for line in lines if line.startswith(("waiting", "starting"))]

    def client(self, name: str = "redis") -> redis.Redis:
        return redis.Redis(
            self.host, PORTS[name], password=PASSWORD, decode_responses=True, socket_timeout=5
        )

    def role(self) -> str:
        """`master`; `slave`, once it has caught up; or what is in the way."""
        try:
            with self.client() as client:
                info = client.info("replication")
        except redis.RedisError as error:
            return type(error).__name__
        return info["role"] if info.get("master_link_status", "up") == "up" else "behind"


class Trio:
    """The three pods, on loopback addresses of their own."""

    def __init__(self, folder: Path) -> None:
        server = redisserver.find()
        cli = redisserver.find_cli(server)
        if cli.suffix == ".py":
            pytest.skip("there is no redis-cli")
        programs = {
            "redis-server": f'exec {server} "$@" --bind "$SELF"',
            "redis-cli": f'case $* in *"-h "*) exec {cli} "$@";; esac; exec {cli} -h "$SELF" "$@"',
        }
        (folder / "bin").mkdir()
        for name, line in programs.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
            (folder / "bin" / name).chmod(0o755)
        # The script as it is, but for its waits.
        script = (PRODUCTION / "start.sh").read_text()
        for long, short in (
            # Not 1000: a sentinel first pings a new primary after 1 s, and would call it down then.
            ("down-after-milliseconds mymaster 5000", "down-after-milliseconds mymaster 2500"),
            ("failover-timeout mymaster 10000", "failover-timeout mymaster 2000"),
            ('"$waited" -lt 60', '"$waited" -lt 10'),
        ):
            assert long in script
            script = script.replace(long, short)
        (folder / "start.sh").write_text(script)
        net = f"127.{random.randrange(64, 127)}.{random.randrange(256)}"
        hosts = [f"{net}.{number}" for number in (10, 11, 12)]
        for port in PORTS.values():
            try:
                socket.create_server((hosts[0], port)).close()
            except OSError as error:
                pytest.skip(f"no port {port} on loopback addresses of our own: {error}")
        env = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PEERS": " ".join(hosts),
            "REDISCLI_AUTH": PASSWORD,
        }
        self.pods = [Pod(host, folder, env) for host in hosts]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(pod.host for pod in self.pods)}/mymaster"

    def primary(self) -> Pod:
        [found] = [pod for pod in self.pods if pod.role() == "master"]
        return found

    def priorities(self) -> set[int]:
        """The replicas' priorities, as the sentinels know them."""
        found = set()
        for pod in self.pods:
            with pod.client("sentinel") as client:
                found |= {int(r["slave-priority"]) for r in client.sentinel_slaves("mymaster")}
        return found

    def sentinels_said(self, event: str) -> int:
        """How often, in all."""
        logs = self.pods[0].folder.glob("*-sentinel.log")
        return sum(log.read_text("utf-8", "replace").count(event) for log in logs)

    def is_whole(self) -> bool:
        """One primary, two replicas that have caught up; and each sentinel knows that."""
        if sorted(pod.role() for pod in self.pods) != ["master", "slave", "slave"]:
            return False
        for pod in self.pods:
            try:
                with pod.client("sentinel") as client:
                    with contextlib.suppress(redis.ResponseError):  # before 7.0: it takes 10 s
                        client.execute_command("SENTINEL DEBUG INFO-PERIOD 200")
                    others = client.sentinel_sentinels("mymaster")
                    replicas = client.sentinel_slaves("mymaster")
            except redis.RedisError:
                return False
            able = [some for some in replicas if int(some["slave-repl-offset"]) > 1]
            if (len(others), len(able)) != (2, 2):
                return False
        return True


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    if sys.platform != "linux":
        pytest.skip("needs the loopback addresses that Linux has")
    found = Trio(tmp_path_factory.mktemp("trio"))
    try:
        for pod in found.pods:
            pod.start()
        eventually(lambda: found.is_whole() and found.priorities() == {100})
        yield found
    finally:
        for pod in found.pods:
            pod.kill()


def test_at_first_the_first_pod_is_the_primary(trio: Trio) -> None:
    assert trio.primary() is trio.pods[0]


def test_a_primary_that_returns_waits_until_a_replica_has_taken_over(trio: Trio) -> None:
    primary = trio.primary()
    with primary.client() as client:
        client.set("kept", "yes")
        assert client.wait(1, 5000) >= 1
    primary.kill("redis")
    primary.start("redis")
    eventually(lambda: trio.is_whole() and trio.primary() is not primary)
    waited, started = primary.said()[-2:]
    assert waited == "waiting: a replica can take over, which lost nothing; this pod may have"
    assert started == f"starting as replicaof {trio.primary().host} 6379"
    with trio.primary().client() as client:
        assert client.get("kept") == "yes"


def test_a_primary_that_no_replica_may_replace_is_the_primary_again(trio: Trio) -> None:
    primary = trio.primary()
    replicas = [pod for pod in trio.pods if pod is not primary]
    for pod in replicas:
        with pod.client() as client:
            client.config_set("replica-priority", 0)
    eventually(lambda: trio.priorities() == {0})
    primary.kill("redis")
    primary.start("redis")
    eventually(trio.is_whole)
    assert trio.primary() is primary
    assert primary.said()[-2].startswith("waiting: a replica can take over")
    for pod in replicas:
        with pod.client() as client:
            client.config_set("replica-priority", 100)
    eventually(lambda: trio.priorities() == {100})


def test_after_a_power_cut_one_pod_waits_for_a_second_and_an_empty_one_is_no_primary(
    trio: Trio,
) -> None:
    primary = trio.primary()
    for pod in trio.pods:
        pod.kill()
    shutil.rmtree(primary.volume)
    primary.start()
    eventually(lambda: primary.said()[-1] == "waiting: fewer than two sentinels answer")
    assert primary.role() == "ConnectionError"
    for pod in trio.pods:
        if pod is not primary:
            pod.start()
    eventually(lambda: trio.is_whole() and trio.primary() is not primary)
    others = [pod.host for pod in trio.pods if pod is not primary]  # they may have changed places
    assert primary.said()[-1] in [f"starting as replicaof {host} 6379" for host in others]
    for pod in trio.pods:
        with pod.client() as client:
            assert client.get("kept") == "yes"
        with pod.client("sentinel") as client:
            assert len(client.sentinel_sentinels("mymaster")) == 2  # it is the same one as before


def test_an_empty_replica_is_no_primary_though_no_other_is_up(trio: Trio) -> None:
    empty, *full = sorted(trio.pods, key=lambda pod: pod is trio.primary())
    for pod in trio.pods:
        pod.kill("redis")
    for file in empty.volume.iterdir():
        if file.name != "sentinel.conf":
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    empty.start("redis")
    eventually(lambda: empty.role() == "behind")
    refused = trio.sentinels_said("-failover-abort-no-good-slave")
    eventually(lambda: trio.sentinels_said("-failover-abort-no-good-slave") >= refused + 2)
    assert empty.role() == "behind"
    for pod in full:
        pod.start("redis")
    eventually(trio.is_whole)
    for pod in trio.pods:
        with pod.client() as client:
            assert client.get("kept") == "yes"
    eventually(lambda: trio.priorities() == {100})


def test_a_primary_without_replicas_takes_nothing_in(trio: Trio) -> None:
    primary = trio.primary()
    replicas = [pod for pod in trio.pods if pod is not primary]
    for pod in replicas:
        pod.kill("redis")
    with primary.client() as client:

        def is_refused() -> bool:
            try:
                client.set("kept", "no")
            except redis.ResponseError as error:
                return "NOREPLICAS" in str(error)
            return False

        eventually(is_refused)
    for pod in replicas:
        pod.start("redis")
    eventually(trio.is_whole)


# The manifests


def build(folder: Path, namespace: str, *components: str, **more: object) -> list[dict[str, Any]]:
    """What kustomize makes of the folder, with changes as a user would make them."""
    overlay = folder / "overlay"
    shutil.rmtree(overlay, ignore_errors=True)
    shutil.copytree(PRODUCTION, overlay)
    settings = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    settings |= {"namespace": namespace, "components": list(components)} | more
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(settings))
    done = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def named(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    [found] = [some for some in objects if some["kind"] == kind]
    return found


def closed(schema: Any) -> Any:
    """The schema, in which objects take no other fields than those named."""
    if isinstance(schema, list):
        return [closed(some) for some in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(some) for name, some in schema.items()}
    return {"additionalProperties": False, **found} if "properties" in found else found


@needs_kubectl
@pytest.mark.parametrize(
    ("components", "kinds"),
    [
        (["keda"], {"ScaledJob", "TriggerAuthentication"}),
        (["kueue"], {"LocalQueue"}),
        (["monitoring"], {"PrometheusRule", "ServiceMonitor"}),
    ],
)
def test_custom_resources_are_what_their_definitions_say(
    tmp_path: Path, components: list[str], kinds: set[str]
) -> None:
    objects = build(tmp_path, "there", *components)
    objects += yaml.safe_load_all((PRODUCTION / "kueue" / "cluster.yaml").read_text())
    definitions = yaml.safe_load((DATA / "crds.yaml").read_text())
    found = set()
    for custom in objects:
        name = f"{custom['apiVersion']} {custom['kind']}"
        if name in definitions:
            found.add(custom["kind"])
            schema = closed({"$defs": definitions["$defs"], **definitions[name]})
            jsonschema.validate(custom.get("spec", {}), schema)
    assert found == kinds | {"ResourceFlavor", "ClusterQueue"}


@needs_kubectl
def test_keda_starts_the_workers_of_the_job_and_asks_the_same_redis(tmp_path: Path) -> None:
    objects = build(tmp_path, "wq")
    job, settings = (
        named(objects, "Job")["spec"],
        next(some["data"] for some in objects if some["metadata"]["name"] == "queue"),
    )
    scaled = named(build(tmp_path, "wq", "keda"), "ScaledJob")["spec"]
    assert scaled["jobTargetRef"] == job | {"parallelism": 1}
    [trigger] = scaled["triggers"]
    asked = trigger["metadata"]
    hosts = [f"redis-{number}.redis" for number in range(3)]
    assert asked["addresses"] == ",".join(f"{host}.wq.svc:26379" for host in hosts)
    assert asked["listName"] == settings["WQLIB_QUEUE"]
    url = f"redis+sentinel://{','.join(hosts)}/{asked['sentinelMaster']}"
    assert settings["WQLIB_REDIS_URL"] == url


@needs_kubectl
def test_kueue_holds_the_job_back_and_may_start_it_with_fewer_pods(tmp_path: Path) -> None:
    objects = build(tmp_path, "wq", "kueue")
    job = named(objects, "Job")["metadata"]
    queue = named(objects, "LocalQueue")["metadata"]["name"]
    assert job["labels"]["kueue.x-k8s.io/queue-name"] == queue
    assert job["annotations"] == {"kueue.x-k8s.io/job-min-parallelism": "1"}


def test_the_exporter_installs_what_pyproject_says() -> None:
    run = re.search("^RUN .*$", (PRODUCTION / "exporter.Dockerfile").read_text(), re.M)
    project = tomllib.loads((MANIFESTS.parents[1] / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["metrics"]
    assert run
    assert re.findall(r'"([^"]+)"', run[0]) == wanted


# On a cluster


@pytest.fixture
def kubectl(cluster: Cluster) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", *shlex.split(cluster.kubectl_options), *map(str, words)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done

    return run


Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@needs_kubectl
def test_an_api_server_takes_everything_and_pod_security_allows_it(
    cluster: Cluster, kubectl: Kubectl, tmp_path: Path
) -> None:
    level = "pod-security.kubernetes.io/warn=restricted"
    kubectl("label", "namespace", cluster.namespace, level)
    try:
        build(tmp_path, cluster.namespace)
        done = kubectl("apply", "-k", tmp_path / "overlay", "--dry-run=server")
    finally:
        kubectl("label", "namespace", cluster.namespace, "pod-security.kubernetes.io/warn-")
    taken = [line.split()[0].partition("-")[0] for line in done.stdout.splitlines()]
    assert sorted(taken) == [
        "configmap/queue",
        "configmap/redis",
        "deployment.apps/exporter",
        "job.batch/worker",
        "networkpolicy.networking.k8s.io/redis",
        "poddisruptionbudget.policy/redis",
        "service/exporter",
        "service/redis",
        "statefulset.apps/redis",
    ]
    assert not [line for line in done.stderr.splitlines() if "the local cluster" not in line]


SCRAPE = """
from urllib.request import ProxyHandler, build_opener
print(build_opener(ProxyHandler({})).open("http://127.0.0.1:9121/metrics").read().decode())
"""
ITEMS = [f"item {number}" for number in range(60)]


@pytest.fixture
def production(
    trio: Trio, cluster: Cluster, kubectl: Kubectl, tmp_path: Path
) -> Iterator[WorkQueue]:
    """A full queue in the three Redis, and all that the folder says on the local cluster."""
    build_worker(cluster)
    shutil.copytree(Path(wqlib.__file__).parent, tmp_path / "image" / "wqlib")
    shutil.copy(PRODUCTION / "exporter.Dockerfile", tmp_path / "image" / "Dockerfile")
    cluster.build_image("wq-exporter:1", tmp_path / "image")
    settings = yaml.safe_load((PRODUCTION / "kustomization.yaml").read_text())
    settings["images"][1]["newName"] = "job-wq-2"
    settings["configMapGenerator"][1]["literals"] = [
        "WQLIB_QUEUE=production",
        f"WQLIB_REDIS_URL={trio.url}",
        "ITEM_SECONDS=0.3",
    ]
    changed = {name: settings[name] for name in ("images", "configMapGenerator")}
    build(tmp_path, cluster.namespace, **changed)
    with WorkQueue("production", url=trio.url, password=PASSWORD) as queue:
        queue.put(ITEMS)
        kubectl("create", "secret", "generic", "redis", f"--from-literal=password={PASSWORD}")
        try:
            kubectl("apply", "-k", tmp_path / "overlay")
            yield queue
        finally:
            kubectl("delete", "-k", tmp_path / "overlay", "--wait=false")
            kubectl("delete", "secret", "redis")


@needs_kubectl
@local_only
def test_a_drain_a_deleted_pod_and_a_failover_are_no_failures_of_the_job(
    trio: Trio, cluster: Cluster, kubectl: Kubectl, production: WorkQueue
) -> None:
    eventually(lambda: production.stats().done >= 8)
    primary = trio.primary()
    primary.kill("redis")
    primary.start("redis")
    eventually(lambda: production.stats().done >= 20)
    assert trio.primary() is not primary
    drained, deleted = cluster.pods("worker")[:2]
    kubectl("delete", "pod", deleted.name, "--wait=false")
    kubectl("drain", drained.node, "--ignore-daemonsets")
    kubectl("uncordon", drained.node)
    exporter = next(pod for pod in cluster.pods() if pod.name.startswith("exporter"))
    cluster.wait(f"pod/{exporter.name}", "ready")
    cluster.wait("job/worker", "complete")
    status = json.loads(kubectl("get", "job", "worker", "-o", "json").stdout)["status"]
    assert status.get("failed", 0) == 0
    found = judge(ITEMS, production.events("0"), 0, 0)
    assert (found.done, found.lost, found.recorded_twice) == (len(ITEMS), 0, 0)
    metrics = cluster.exec(exporter.name, ["python", "-c", SCRAPE]).stdout
    assert 'wqlib_items_completed_total{queue="production"} 60.0' in metrics


@needs_kubectl
@local_only
def test_a_wrong_option_ends_the_job_at_once(
    cluster: Cluster, kubectl: Kubectl, tmp_path: Path
) -> None:
    build_worker(cluster)
    images = [{"name": "wq-worker", "newName": "job-wq-2"}]
    job = named(build(tmp_path, cluster.namespace, images=images), "Job")
    job["metadata"]["name"] = "wrong"
    [container] = job["spec"]["template"]["spec"]["containers"]
    del container["envFrom"]
    container["env"] = [{"name": "WQLIB_LEASE_SECONDS", "value": "0"}]
    kubectl("apply", "-f", "-", stdin=json.dumps(job))
    kubectl("wait", "--for=condition=failed", "job/wrong", "--timeout=100s")
    status = json.loads(kubectl("get", "job", "wrong", "-o", "json").stdout)["status"]
    [failed] = [some for some in status["conditions"] if some["type"] == "Failed"]
    assert failed["reason"] == "PodFailurePolicy"
    kubectl("delete", "job", "wrong")
