"""A node that may be lost, so that a learner sees what becomes of its pods."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..cluster import Cluster

LOCAL = "local"  # the name of the local cluster


def spare_node(cluster: Cluster, job: str) -> str | None:
    """Choose a node that can go: it runs pods of a Job, and Redis is elsewhere.

    Args:
        cluster: Where.
        job: Name of the Job.

    Returns:
        Its name; or None, after printing why there is none: it is a real cluster, whose nodes
        others need too, or it has no such node.
    """
    if cluster.name != LOCAL:
        print("This is a real cluster, and others may need its nodes. Read on: none is lost here.")
        return None
    pods = cluster.pods()
    kept = {pod.node for pod in pods if pod.name == "redis"}
    there = {pod.node for pod in pods if pod.job == job and pod.phase == "Running"} - kept
    if not there:
        print(
            "No node can go: Redis is on the only one that runs pods of the Job. To get three new "
            "nodes, run `wqlib cluster stop` in a terminal, then restart this notebook's kernel."
        )
    return min(there, default=None)


def drain(cluster: Cluster, node: str, *, timeout_seconds: float = 60) -> None:
    """Take a node out of use, as `kubectl drain` does: no new pods, and those there are evicted.

    Args:
        cluster: Where. Only pods in its namespace are evicted.
        node: Name of the node.
        timeout_seconds: How long to wait until the pods have gone.
    """
    cluster.core.patch_node(node, {"spec": {"unschedulable": True}})  # kubectl cordon
    for pod in cluster.pods():
        if pod.node == node and pod.phase == "Running":
            cluster.evict_pod(pod.name)
    give_up = time.monotonic() + timeout_seconds
    while time.monotonic() < give_up:
        if not any(pod.node == node and pod.phase == "Running" for pod in cluster.pods()):
            break
        time.sleep(0.1)
