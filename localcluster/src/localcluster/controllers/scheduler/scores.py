"""Scores: which of the nodes that can take a pod is the best. Pure.

Scores and weights are the real scheduler's defaults. Among equal nodes it picks one at random;
here the one with the fewest pods wins, so that equal pods are spread evenly.
https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
"""

from __future__ import annotations

from collections.abc import Sequence

from ...apimachinery.jsontypes import Obj, controller_of
from ..taints import taints_of, untolerated
from . import podaffinity, topologyspread
from .nodeaffinity import PREFERRED, affinity, matches_term
from .nodeinfo import NodeInfo, Snapshot, estimate, requests

Scores = list[float] | None


def best(pod: Obj, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> NodeInfo:
    """Return the best of some nodes for a pod."""
    if len(nodes) == 1:
        return nodes[0]
    weighted = (
        (3, _tolerations(pod, nodes)),
        (2, _node_affinity(pod, nodes)),
        (1, _least_allocated(pod, nodes)),
        (1, _balanced(pod, nodes)),
        (2, topologyspread.scores(pod, snapshot, nodes)),
        (2, podaffinity.scores(pod, snapshot, nodes)),
    )
    totals = [0.0] * len(nodes)
    for weight, scores in weighted:
        for at, score in enumerate(scores or ()):
            totals[at] += weight * int(score)
    owner = (controller_of(pod) or {}).get("uid", "")

    def rank(at: int) -> tuple[float, int, int, int, str]:
        info = nodes[at]
        return -totals[at], info.owned[owner], len(info.pods), len(info.name), info.name

    return nodes[min(range(len(nodes)), key=rank)]


def _tolerations(pod: Obj, nodes: Sequence[NodeInfo]) -> Scores:
    counts = [len(untolerated(pod, taints_of(n.node, "PreferNoSchedule"))) for n in nodes]
    most = max(counts)
    return [100 - 100 * count // most for count in counts] if most else None


def _node_affinity(pod: Obj, nodes: Sequence[NodeInfo]) -> Scores:
    wishes = affinity(pod, "nodeAffinity").get(PREFERRED) or []
    sums = [
        sum(wish["weight"] for wish in wishes if matches_term(wish["preference"], info.node))
        for info in nodes
    ]
    most = max(sums)
    return [100 * one // most for one in sums] if most else None


def _least_allocated(pod: Obj, nodes: Sequence[NodeInfo]) -> Scores:
    wanted = estimate(pod)
    found: list[float] = []
    for info in nodes:
        free = [
            max(0, 100 * (has - info.estimated[name] - wanted[name]) // has)
            for name in ("cpu", "memory")
            if (has := info.allocatable.get(name, 0.0))
        ]
        found.append(sum(free) // len(free) if free else 0)
    return found


def _balanced(pod: Obj, nodes: Sequence[NodeInfo]) -> Scores:
    wanted = requests(pod)
    if not (wanted.get("cpu") or wanted.get("memory")):
        return None
    found: list[float] = []
    for info in nodes:
        shares = [
            min(1.0, (info.requested[name] + wanted.get(name, 0.0)) / has)
            for name in ("cpu", "memory")
            if (has := info.allocatable.get(name, 0.0))
        ]
        found.append(100 * (1 - (max(shares) - min(shares)) / 2) if shares else 0)
    return found
