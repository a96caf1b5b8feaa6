"""The local cluster's kubelet on a real control plane runs the course's Job.

Needs `WQLIB_CONTEXT`, the context of an administrator, of a control plane on this machine. While
it runs, the cluster's other nodes are cordoned, so that its scheduler has only this one. Pods of
this node have loopback addresses, to which no other node and no kube-proxy leads: Redis runs on
the same node, and the Job is told its pod's address instead of the Service's.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

import localcluster
from localcluster.kubelet import standalone
from wqlib.course.bundle import bundle
from wqlib.queue import WorkQueue
from wqlib.redisserver import find, find_cli, image

CONTEXT = os.environ.get("WQLIB_CONTEXT")
KUBECONFIG = Path(os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NODE = f"wq-test-{secrets.token_hex(3)}"
ITEMS = ["apple", "banana", "cherry", "date", "fig", "grape"]

pytestmark = [
    pytest.mark.skipif(not CONTEXT, reason="names no real cluster: set WQLIB_CONTEXT"),
    pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on PATH"),
]


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)
    return value


@dataclass
class Real:
    """The real cluster, and a namespace of our own in it."""

    core: client.CoreV1Api
    batch: client.BatchV1Api
    namespace: str

    def kubectl(self, *arguments: str) -> str:
        command = ["kubectl", "--context", str(CONTEXT), "-n", self.namespace, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _may(api: client.ApiClient, verb: str, group: str, resource: str) -> bool:
    attributes = {"verb": verb, "group": group, "resource": resource}
    review = {"spec": {"resourceAttributes": attributes}}
    answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
    return bool(answer.status.allowed)


def _runs_here(core: client.CoreV1Api) -> bool:
    """Tell whether the API server runs on this machine: only then does it reach our node."""
    endpoints = core.read_namespaced_endpoints("kubernetes", "default")
    with socket.socket() as probe:
        try:
            probe.bind((endpoints.subsets[0].addresses[0].ip, 0))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def real() -> Iterator[Real]:
    api = config.new_client_from_config(str(KUBECONFIG), CONTEXT)
    core = client.CoreV1Api(api)
    if not _may(api, "create", "", "nodes"):
        pytest.skip(f"the user of the context {CONTEXT} may not create nodes")
    if not _runs_here(core):
        pytest.skip(f"the control plane of {CONTEXT} does not run on this machine")
    name = f"wq-test-{secrets.token_hex(3)}"
    core.create_namespace({"metadata": {"name": name}})
    yield Real(core, client.BatchV1Api(api), name)
    core.delete_namespace(name)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that holds what our kubelet says."""
    return tmp_path_factory.mktemp("said") / "stderr"


@pytest.fixture(scope="module")
def node(real: Real, said: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our kubelet has joined; it is the only node that takes new pods."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("image") / "worker"
    shutil.copytree(NOTEBOOKS / "worker", folder)
    bundle(folder)
    localcluster.build_image("job-wq-2:1", folder, home=home)
    server = find()
    redis = folder.parent / image.COMMAND
    redis.write_text(f"#!/bin/sh\n{image.scripts(server, find_cli(server))[image.COMMAND]}")
    redis.chmod(0o700)
    command = [sys.executable, "-m", "localcluster", "kubelet", "--schedulable"]
    command += ["--kubeconfig", str(KUBECONFIG), "--context", str(CONTEXT), "--node-name", NODE]
    command += ["--home", str(home), "--image", f"redis={redis}"]
    others = [n.metadata.name for n in real.core.list_node().items if not n.spec.unschedulable]
    with said.open("w") as stderr:
        kubelet = subprocess.Popen(command, stderr=stderr)
    try:
        for name in others:
            real.core.patch_node(name, {"spec": {"unschedulable": True}})
        wait_until(lambda: kubelet.poll() is not None or _ready(real))
        assert kubelet.poll() is None, said.read_text()
        yield NODE
    finally:
        for name in others:
            real.core.patch_node(name, {"spec": {"unschedulable": None}})
        kubelet.send_signal(signal.SIGTERM)
        kubelet.wait(30)


def _ready(real: Real) -> bool:
    try:
        conditions = real.core.read_node(NODE).status.conditions or []
    except ApiException:
        return False
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


@pytest.fixture(scope="module")
def redis_url(real: Real, node: str) -> str:
    """The course's Redis runs on our node."""
    password = secrets.token_urlsafe(12)
    secret = {"metadata": {"name": "redis"}, "stringData": {"password": password}}
    real.core.create_namespaced_secret(real.namespace, secret)
    real.kubectl("apply", "-f", str(NOTEBOOKS / "manifests" / "redis.yaml"))
    real.kubectl("wait", "--for=condition=ready", "pod/redis", "--timeout=60s")
    address = real.core.read_namespaced_pod("redis", real.namespace).status.pod_ip
    return f"redis://:{password}@{address}:6379"


def test_the_courses_job_runs_on_our_node(real: Real, node: str, redis_url: str) -> None:
    job = yaml.safe_load((NOTEBOOKS / "manifests" / "job.yaml").read_text())
    container = job["spec"]["template"]["spec"]["containers"][0]
    host = redis_url.rpartition("@")[2].rpartition(":")[0]
    container["env"].append({"name": "REDIS_SERVICE_HOST", "value": host})
    with WorkQueue("job2", url=redis_url, worker="test") as queue:
        queue.put(ITEMS)
        real.batch.create_namespaced_job(real.namespace, job)

        def running() -> list[Any]:
            listed = real.core.list_namespaced_pod(real.namespace, label_selector="app=job-wq-2")
            pods = listed.items
            return pods if len(pods) == 2 and all(p.status.phase == "Running" for p in pods) else []

        pods = wait_until(running)
        assert {p.spec.node_name for p in pods} == {node}
        name = pods[0].metadata.name
        command = ("sh", "-c", 'echo "$HOSTNAME on $(uname)"')
        assert real.kubectl("exec", name, "--", *command).startswith(f"{name} on ")
        real.kubectl("wait", "--for=condition=complete", "job/job-wq-2", "--timeout=60s")
        assert queue.stats().done == len(ITEMS)
    logs = "".join(real.kubectl("logs", "-f", pod.metadata.name, "--timestamps") for pod in pods)
    assert all(item in logs for item in ITEMS)
    job_status = real.batch.read_namespaced_job("job-wq-2", real.namespace).status
    assert (job_status.succeeded, job_status.failed or 0) == (2, 0)


def test_at_its_start_it_says_that_services_do_not_lead_to_its_pods(
    real: Real, redis_url: str, said: Path
) -> None:
    def refused() -> list[str]:  # an Endpoints or an EndpointSlice, as the version has it
        events = real.core.list_namespaced_event(real.namespace).items
        said = [event.message or "" for event in events if "Endpoint" in (event.reason or "")]
        return [message for message in said if "loopback" in message]

    wait_until(refused)
    assert standalone.NO_SERVICES in said.read_text()


def test_the_node_says_what_it_is_and_its_lease_is_renewed(real: Real, node: str) -> None:
    shown = real.kubectl("get", "node", node, "-o", "wide")
    assert "process://" in shown
    leases = client.CoordinationV1Api(real.core.api_client)
    renewed = leases.read_namespaced_lease(node, "kube-node-lease").spec.renew_time
    wait_until(
        lambda: leases.read_namespaced_lease(node, "kube-node-lease").spec.renew_time > renewed
    )
