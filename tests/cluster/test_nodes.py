"""A Job over three nodes, of which one dies and another is drained: no item is lost."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest
from clusters import eventually, local_only

from wqlib.cluster import Cluster, connect
from wqlib.commands.demo import judge
from wqlib.course import build_worker, job_manifest, start_redis
from wqlib.errors import ClusterError
from wqlib.history import History
from wqlib.queue import WorkQueue

pytestmark = [pytest.mark.usefixtures("home"), local_only]
ITEMS = [f"item {number}" for number in range(60)]
JOB = "job-wq-2"


class Run:
    """The course's Job of 6 pods, at work on 60 items."""

    def __init__(self, cluster: Cluster, queue: WorkQueue) -> None:
        self.cluster, self.queue = cluster, queue
        [redis] = [pod for pod in cluster.pods() if pod.name == "redis"]
        self.nodes = Counter(pod.node for pod in cluster.pods(JOB))
        self.others = sorted(self.nodes.keys() - {redis.node})

    def pods_on(self, node: str) -> set[str]:
        return {pod.name for pod in self.cluster.pods(JOB) if pod.node == node}

    def judge(self) -> tuple[int, int, int]:
        """Return how many items are done, lost, and recorded twice."""
        eventually(lambda: self.queue.stats().drained)
        found = judge(ITEMS, self.queue.events("0"), 0, 0)
        return found.done, found.lost, found.recorded_twice


@pytest.fixture
def run(cluster: Cluster) -> Iterator[Run]:
    build_worker(cluster)
    with WorkQueue("nodes", **start_redis(cluster)) as queue:
        queue.clear()
        queue.put(ITEMS)
        job = job_manifest(
            parallelism=6, WQLIB_QUEUE="nodes", WQLIB_LEASE_SECONDS="3", ITEM_SECONDS="0.4"
        )
        cluster.apply(job)
        cluster.wait(f"job/{JOB}", "running")
        yield Run(cluster, queue)
        cluster.delete(f"job/{JOB}", grace_seconds=0)


def kubectl(cluster: Cluster, *words: str) -> str:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")
    command = [program, "--kubeconfig", str(cluster.kubeconfig), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_the_pods_are_spread_over_the_nodes_and_say_where_they_are(run: Run) -> None:
    assert sorted(run.nodes.values()) in ([2, 2, 2], [1, 2, 3])  # one has Redis too
    [pod, *_] = run.cluster.pods(JOB)
    assert f"Node         {pod.node}\n" in run.cluster.describe(f"pod/{pod.name}")


def test_a_drained_node_loses_nothing_and_no_lease_runs_out(run: Run) -> None:
    node = run.others[0]
    victims = run.pods_on(node)
    eventually(lambda: run.queue.stats().done >= 6)
    told = kubectl(run.cluster, "drain", node, "--ignore-daemonsets")
    try:
        assert victims
        assert all(f"pod/{name} evicted" in told for name in victims)
        assert not run.pods_on(node)
        assert run.judge() == (60, 0, 0)
        events = run.queue.events("0")
        assert not [event for event in events if event.kind == "expire"]
        run.cluster.wait(f"job/{JOB}", "complete")
    finally:
        kubectl(run.cluster, "uncordon", node)


def test_a_node_dies_and_nothing_is_lost(run: Run) -> None:
    node = run.others[-1]
    victims = run.pods_on(node)
    eventually(lambda: run.queue.stats().done >= 6)
    run.cluster.kill_node(node)
    eventually(lambda: "NotReady" in kubectl(run.cluster, "get", "node", node))
    assert run.judge() == (60, 0, 0)
    events = run.queue.events("0")
    expired = [event for event in events if event.kind == "expire"]
    assert expired
    assert {event.worker for event in expired} <= victims
    history = History()
    history.add(events)
    assert history.waiting_after_expiry == 0
    # As on a real one, nobody can say that its pods have ended: they stay until the node goes.
    eventually(
        lambda: all(p.reason == "Terminating" for p in run.cluster.pods(JOB) if p.node == node)
    )
    kubectl(run.cluster, "delete", "node", node)
    eventually(lambda: not run.pods_on(node))
    run.cluster.wait(f"job/{JOB}", "complete")
    with pytest.raises(ClusterError, match=f"no node {node} that is alive"):
        run.cluster.kill_node(node)


def test_a_real_cluster_is_not_harmed(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="kubectl drain worker-2 --ignore-daemonsets"):
        Cluster.kill_node(cluster, "worker-2")


def test_how_many_nodes_there_are_is_said_when_it_starts(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path_factory.mktemp("one")))
    with connect(nodes=1, namespace="wq-test-one", leave_as_found=True) as cluster:
        assert [node.metadata.name for node in cluster.core.list_node().items] == ["worker-1"]
        cluster.clean_up()
