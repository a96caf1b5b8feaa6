"""Several nodes in one cluster, each with a kubelet, and one that loses its power."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import localcluster
from localcluster import ClusterError

from .conftest import IMAGES, Local, pod, wait_until
from .test_pods import alive

NODES = ["worker-1", "worker-2", "worker-3"]
# It leaves a process in a session of its own, and one of its group; and says which.
STUBBORN = """\
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
away = subprocess.Popen(["sleep", "600"], start_new_session=True)
near = subprocess.Popen(["sleep", "600"])
print(os.getpid(), away.pid, near.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Local]:
    """A cluster of three nodes, in which nodes may die."""
    home = tmp_path / "home"
    yield Local(home, localcluster.ensure(home, nodes=3, images=IMAGES))
    localcluster.stop(home)


def _run(cluster: Local, name: str, node: str, *command: str) -> list[int]:
    """Run a pod on a node; return the pids that it prints."""
    words = command or (sys.executable, "-c", STUBBORN)
    cluster.core.create_namespaced_pod("default", pod(name, *words, nodeName=node))

    def printed() -> list[int]:
        if cluster.core.read_namespaced_pod(name, "default").status.phase != "Running":
            return []
        return [int(word) for word in cluster.core.read_namespaced_pod_log(name, "default").split()]

    return wait_until(printed, what=f"{name} has started")  # type: ignore[no-any-return]


def test_each_node_registers_runs_its_own_pods_and_serves_their_logs(cluster: Local) -> None:
    nodes = {node.metadata.name: node for node in cluster.core.list_node().items}
    assert sorted(nodes) == NODES
    ports = {n.status.daemon_endpoints.kubelet_endpoint.port for n in nodes.values()}
    assert len(ports) == len(NODES)
    for node in NODES:
        _run(cluster, f"on-{node}", node)
    found = cluster.core.list_namespaced_pod("default").items
    assert {p.metadata.name: p.spec.node_name for p in found} == {f"on-{n}": n for n in NODES}
    for node in NODES:
        events = cluster.core.list_namespaced_event(
            "default", field_selector=f"involvedObject.name=on-{node},reason=Started"
        )
        assert [event.source.host for event in events.items] == [node]


def test_a_node_that_loses_its_power_takes_its_processes_along_and_no_others(
    cluster: Local,
) -> None:
    dying = _run(cluster, "dying", "worker-2")
    living = _run(cluster, "living", "worker-3")
    assert all(map(alive, dying + living))
    localcluster.kill_node("worker-2", cluster.home)
    assert not any(map(alive, (dying[0], dying[2])))
    wait_until(lambda: not alive(dying[1]), what="the process in its own session is gone")
    assert all(map(alive, living))
    # Nobody told the API: the pod is as the dead node left it, and nobody answers for it.
    assert cluster.core.read_namespaced_pod("dying", "default").status.phase == "Running"
    reply = cluster.request("GET", "/api/v1/namespaces/default/pods/dying/log")
    assert reply.code == http.client.INTERNAL_SERVER_ERROR
    assert "refused" in reply.json["message"]
    assert cluster.core.read_namespaced_pod_log("living", "default").split()
    status = wait_until(lambda: (s := localcluster.status(cluster.home)) and s.nodes == 2 and s)
    assert status.pods == 1
    assert not (cluster.home / "cluster" / "pods" / _uid(cluster, "dying")).exists()


def _uid(cluster: Local, name: str) -> str:
    return str(cluster.core.read_namespaced_pod(name, "default").metadata.uid)


def test_what_streams_from_a_node_breaks_when_it_dies(cluster: Local) -> None:
    _run(cluster, "p", "worker-1")
    kubectl = ["kubectl", "--kubeconfig", str(cluster.kubeconfig)]
    env = {"PATH": os.environ["PATH"], "HOME": str(cluster.home)}
    followers = [
        subprocess.Popen(
            [*kubectl, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for words in (("logs", "-f", "p"), ("exec", "p", "--", "sh", "-c", "echo begun; sleep 600"))
    ]
    for follower in followers:
        assert follower.stdout is not None
        assert follower.stdout.readline()
    localcluster.kill_node("worker-1", cluster.home)
    for follower in followers:
        follower.communicate(timeout=20)
    assert followers[1].returncode != 0


@pytest.mark.parametrize("name", ["worker-9", "", "worker-1/..", "wörker", "a b\r\nX: y"])
def test_there_is_no_such_node(cluster: Local, name: str) -> None:
    with pytest.raises(ClusterError, match=r"(?s)no node .* that is alive"):
        localcluster.kill_node(name, cluster.home)


def test_a_node_dies_once_and_all_may_die(cluster: Local) -> None:
    for node in NODES:
        localcluster.kill_node(node, cluster.home)
    with pytest.raises(ClusterError, match="kubectl get nodes"):
        localcluster.kill_node("worker-1", cluster.home)
    assert len(cluster.core.list_node().items) == 3
    assert localcluster.stop(cluster.home)
    with pytest.raises(ClusterError, match="No local cluster runs"):
        localcluster.kill_node("worker-1", cluster.home)


def test_only_who_has_the_token_kills_a_node(cluster: Local) -> None:
    path = "/localcluster/nodes/worker-1/kill"
    reply = cluster.request("POST", path, headers={"Authorization": "Bearer x"})
    assert reply.code == http.client.UNAUTHORIZED
    assert cluster.request("GET", path).code == http.client.METHOD_NOT_ALLOWED
    assert cluster.request("POST", path).code == http.client.OK


@pytest.mark.parametrize("nodes", [0, -1, 21])
def test_a_number_of_nodes_that_makes_no_sense(tmp_path: Path, nodes: int) -> None:
    with pytest.raises(ClusterError, match="1 to 20 nodes"):
        localcluster.ensure(tmp_path, nodes=nodes)
    assert localcluster.status(tmp_path) is None
