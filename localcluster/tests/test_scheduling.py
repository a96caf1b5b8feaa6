"""Which node a pod gets, by tables: nodes and pods in, a node or a message out."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from localcluster.controllers.scheduler.nodeinfo import Snapshot
from localcluster.controllers.scheduler.scheduler import place

from .conftest import pod

Manifest = dict[str, Any]
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
HELPLESS = "Preemption is not helpful for scheduling"
VICTIMLESS = "No preemption victims found for incoming pod"
TAINTED = "node(s) had untolerated taint(s)"
UNSELECTED = "node(s) didn't match Pod's node affinity/selector"
SKEWED = "node(s) didn't match pod topology spread constraints"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _node(
    name: str,
    labels: dict[str, str] | None = None,
    *,
    cpu: str = "2",
    memory: str = "4Gi",
    pods: str = "10",
    **spec: Any,
) -> Manifest:
    return {
        "metadata": {"name": name, "labels": {HOST: name, **(labels or {})}},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}},
    }


def _pod(name: str = "p", labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
    made = pod(name, labels={"app": "x"} if labels is None else labels, **spec)
    made["metadata"] |= {"uid": f"uid-of-{name}", "namespace": spec.get("namespace", "default")}
    return made


def _asking(name: str = "p", **requests: str) -> Manifest:
    return _pod(name, container={"resources": {"requests": requests}})


def _on(node: str, *pods: Manifest) -> list[tuple[Manifest, str]]:
    return [(one, node) for one in pods]


def _where(
    manifest: Manifest, nodes: list[Manifest], pods: list[tuple[Manifest, str]] | None = None
) -> str:
    """Return the node that the pod gets, or the message that it gets instead."""
    snapshot = Snapshot(lambda name: {"team": name}, lambda _pod: [])
    for node in nodes:
        snapshot.put_node(node)
    for other, name in pods or []:
        snapshot.put(other, name)
    decision = place(manifest, snapshot)
    return decision.node or decision.message


def _refusal(nodes: int, reasons: str, helps: str = HELPLESS) -> str:
    """Return a message of the real scheduler, with what it says of preemption."""
    helps = helps if helps[0].isdigit() else f"{nodes} {helps}"
    start = f"0/{nodes} nodes are available:"
    return f"{start} {reasons}. no new claims to deallocate, preemption: {start} {helps}."


def _node_affinity(*requirements: Manifest, field: str = "matchExpressions") -> Manifest:
    required = {"nodeSelectorTerms": [{field: list(requirements)}]}
    return {"nodeAffinity": {REQUIRED: required}}


def _term(key: str = HOST, app: str = "x", **more: Any) -> Manifest:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def _spread(key: str = HOST, when: str = "DoNotSchedule", **more: Any) -> Manifest:
    labels = {"matchLabels": {"app": "x"}}
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": when,
        "labelSelector": labels,
    } | more


A, B = _node("a"), _node("b")


@pytest.mark.parametrize(
    ("manifest", "nodes", "told"),
    [
        (_pod(), [], "no nodes available to schedule pods"),
        (_asking(cpu="2", memory="4Gi"), [A], "a"),
        (_asking(cpu="2001m"), [A], _refusal(1, "1 Insufficient cpu")),
        (
            _asking(cpu="3", memory="5Gi"),
            [A, B],
            _refusal(2, "2 Insufficient cpu, 2 Insufficient memory"),
        ),
        (_asking(**{"example.com/gpu": "1"}), [A], _refusal(1, "1 Insufficient example.com/gpu")),
        (_asking(cpu="3"), [A, _node("big", cpu="4")], "big"),
        (_pod(), [_node("full", pods="0")], _refusal(1, "1 Too many pods", VICTIMLESS)),
        (_pod(), [_node("a", unschedulable=True)], _refusal(1, "1 node(s) were unschedulable")),
        (
            _pod(nodeName="b"),
            [A],
            _refusal(1, "1 node(s) didn't match the requested node name"),
        ),
        (_pod(nodeSelector={HOST: "b"}), [A, B], "b"),
        (
            _pod(nodeSelector={"disk": "ssd"}),
            [A, _node("t", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])],
            _refusal(2, f"1 {UNSELECTED}, 1 {TAINTED}"),
        ),
        (
            _pod(resources={"requests": {"cpu": "3"}}),
            [A],
            _refusal(1, "1 Insufficient cpu"),
        ),
        (
            _pod(preemptionPolicy="Never", nodeSelector={"no": "such"}),
            [A],
            f"0/1 nodes are available: 1 {UNSELECTED}. no new claims to deallocate, preemption:"
            " not eligible due to preemptionPolicy=Never.",
        ),
    ],
)
def test_each_node_is_asked_in_the_order_of_the_real_scheduler(
    manifest: Manifest, nodes: list[Manifest], told: str
) -> None:
    assert _where(manifest, nodes) == told


def test_the_reasons_are_counted_and_sorted_as_texts() -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    nodes = [A, B, _node("t", taints=[taint])]
    busy = _on("a", _asking("one", cpu="2")) + _on("b", _asking("two", cpu="2"))
    helps = f"1 {HELPLESS}, 2 {VICTIMLESS}"
    told = _refusal(3, f"1 {TAINTED}, 2 Insufficient cpu", helps)
    assert _where(_asking(cpu="1"), nodes, busy) == told


def test_the_requests_of_all_pods_count_together() -> None:
    others = _on("a", _asking("one", cpu="1500m", memory="3Gi"), _asking("two", cpu="200m"))
    assert _where(_asking(cpu="300m"), [A], others) == "a"
    assert _where(_asking(cpu="301m"), [A], others) == _refusal(1, "1 Insufficient cpu", VICTIMLESS)
    assert "Insufficient memory" in _where(_asking(memory="1025Mi"), [A], others)


@pytest.mark.parametrize(
    ("init", "fits"),
    [
        ([{"cpu": "3"}], False),
        ([{"cpu": "2"}], True),
        ([{"cpu": "1", "restart": "Always"}], True),
        ([{"cpu": "1001m", "restart": "Always"}], False),
        ([{"cpu": "1", "restart": "Always"}, {"cpu": "1001m"}], False),
    ],
)
def test_init_containers_count_one_at_a_time_and_sidecars_always(
    init: list[dict[str, str]], fits: bool
) -> None:
    manifest = _asking(cpu="1")
    manifest["spec"]["initContainers"] = [
        {"resources": {"requests": {"cpu": one["cpu"]}}, "restartPolicy": one.get("restart")}
        for one in init
    ]
    assert _where(manifest, [A]) == ("a" if fits else _refusal(1, "1 Insufficient cpu"))


@pytest.mark.parametrize(
    ("toleration", "admitted"),
    [
        (None, False),
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
        ({"key": "k", "value": "other"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_needs_a_toleration(toleration: dict[str, str] | None, admitted: bool) -> None:
    node = _node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    told = _where(_pod(tolerations=[toleration] if toleration else []), [node])
    assert told == ("a" if admitted else _refusal(1, f"1 {TAINTED}"))


@pytest.mark.parametrize(
    ("requirement", "admitted"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd", "hdd"]}, True),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, False),
        ({"key": "gpu", "operator": "NotIn", "values": ["yes"]}, True),
        ({"key": "gpu", "operator": "DoesNotExist"}, True),
        ({"key": "gpu", "operator": "Exists"}, False),
        ({"key": "cores", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "cores", "operator": "Lt", "values": ["4"]}, False),
        ({"key": "disk", "operator": "Gt", "values": ["4"]}, False),
        ({"key": "gpu", "operator": "Gt", "values": ["4"]}, False),
    ],
)
def test_node_affinity_is_asked_for(requirement: Manifest, admitted: bool) -> None:
    node = _node("a", {"disk": "ssd", "cores": "8"})
    told = _where(_pod(affinity=_node_affinity(requirement)), [node])
    assert told == ("a" if admitted else _refusal(1, f"1 {UNSELECTED}"))


def test_a_node_that_is_named_is_the_only_one_that_is_asked() -> None:
    named = {"key": "metadata.name", "operator": "In", "values": ["b"]}
    manifest = _pod(affinity=_node_affinity(named, field="matchFields"))
    assert _where(manifest, [A, B]) == "b"
    told = _where(manifest, [A, _node("b", unschedulable=True)])
    plugin = "1 node(s) didn't satisfy plugin(s) [NodeAffinity], 1 node(s) were unschedulable"
    assert told == _refusal(2, plugin)


@pytest.mark.parametrize(
    ("held", "wanted", "clash"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, True),
        ({"hostPort": 80}, {"hostPort": 81}, False),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, False),
        ({"hostPort": 80, "hostIP": "127.0.0.1"}, {"hostPort": 80}, True),
        ({"hostPort": 80, "hostIP": "127.0.0.1"}, {"hostPort": 80, "hostIP": "127.0.0.2"}, False),
        ({"containerPort": 80}, {"containerPort": 80}, False),
    ],
)
def test_a_host_port_is_there_once(held: Manifest, wanted: Manifest, clash: bool) -> None:
    other, manifest = (
        _pod(name, container={"ports": [port]}) for name, port in (("o", held), ("p", wanted))
    )
    told = _where(manifest, [A], _on("a", other))
    ports = "1 node(s) didn't have free ports for the requested pod ports"
    assert told == (_refusal(1, ports, VICTIMLESS) if clash else "a")


Z1, Z1B, Z2 = (_node(n, {ZONE: z}) for n, z in (("a", "z1"), ("b", "z1"), ("c", "z2")))


@pytest.mark.parametrize(
    ("affinity", "labels", "others", "told"),
    [
        ({"podAffinity": {REQUIRED: [_term()]}}, {}, _on("b", _pod("o")), "b"),
        # The first of those that want to be together may go anywhere that has the key.
        ({"podAffinity": {REQUIRED: [_term()]}}, {"app": "x"}, [], "a"),
        (
            {"podAffinity": {REQUIRED: [_term()]}},
            {},
            [],
            _refusal(3, "3 node(s) didn't match pod affinity rules"),
        ),
        (
            {"podAffinity": {REQUIRED: [_term("no-such")]}},
            {"app": "x"},
            [],
            _refusal(3, "3 node(s) didn't match pod affinity rules"),
        ),
        ({"podAntiAffinity": {REQUIRED: [_term(ZONE)]}}, {}, _on("a", _pod("o")), "c"),
        (
            {"podAntiAffinity": {REQUIRED: [_term(ZONE)]}},
            {},
            _on("a", _pod("o")) + _on("c", _pod("q")),
            _refusal(3, "3 node(s) didn't match pod anti-affinity rules", VICTIMLESS),
        ),
        # What lies in another namespace counts where the term says so.
        (
            {"podAntiAffinity": {REQUIRED: [_term(ZONE)]}},
            {},
            _on("a", _pod("o", namespace="other")) + _on("c", _pod("q")),
            "b",
        ),
        (
            {"podAffinity": {REQUIRED: [_term(namespaces=["other"])]}},
            {},
            _on("c", _pod("o", namespace="other")),
            "c",
        ),
        (
            {
                "podAffinity": {
                    REQUIRED: [_term(namespaceSelector={"matchLabels": {"team": "other"}})]
                }
            },
            {},
            _on("c", _pod("o", namespace="other")),
            "c",
        ),
        (
            {"podAntiAffinity": {REQUIRED: [_term(ZONE, matchLabelKeys=["rev"])]}},
            {"app": "x", "rev": "2"},
            _on("a", _pod("o", {"app": "x", "rev": "2"})) + _on("c", _pod("q", {"app": "x"})),
            "c",
        ),
        (
            {"podAntiAffinity": {PREFERRED: [{"weight": 5, "podAffinityTerm": _term(ZONE)}]}},
            {},
            _on("a", _pod("o")),
            "c",
        ),
        (
            {"podAffinity": {PREFERRED: [{"weight": 5, "podAffinityTerm": _term(ZONE)}]}},
            {},
            _on("c", _pod("o")),
            "c",
        ),
    ],
)
def test_pods_are_near_to_some_and_away_from_others(
    affinity: Manifest, labels: dict[str, str], others: list[tuple[Manifest, str]], told: str
) -> None:
    manifest = _pod("p", labels, affinity=affinity)
    assert _where(manifest, [Z1, Z1B, Z2], others) == told


def test_a_pod_that_wants_to_be_alone_keeps_others_away() -> None:
    shy = _pod("shy", {}, affinity={"podAntiAffinity": {REQUIRED: [_term(ZONE)]}})
    assert _where(_pod(), [Z1, Z1B, Z2], _on("a", shy)) == "c"
    told = _where(_pod(), [Z1, Z1B], _on("a", shy))
    why = "2 node(s) didn't satisfy existing pods anti-affinity rules"
    assert told == _refusal(2, why, VICTIMLESS)
    assert _where(_pod(labels={"app": "y"}), [Z1], _on("a", shy)) == "a"


@pytest.mark.parametrize(
    ("constraint", "others", "told"),
    [
        (_spread(), _on("a", _pod("o")) + _on("b", _pod("q")), "c"),
        (_spread(ZONE), _on("a", _pod("o")), "c"),
        (_spread(ZONE), _on("c", _pod("o")), "a"),
        (_spread(ZONE, maxSkew=2), _on("c", _pod("o"), _pod("q")), "a"),
        (
            _spread("no-such"),
            [],
            _refusal(3, f"3 {SKEWED} (missing required label)"),
        ),
        # With fewer domains than wanted, the least counts as 0.
        (
            _spread(ZONE, minDomains=3),
            _on("a", _pod("o")) + _on("c", _pod("q")),
            _refusal(3, f"3 {SKEWED}", VICTIMLESS),
        ),
        (
            _spread(matchLabelKeys=["rev"]),
            _on("a", _pod("o", {"app": "x", "rev": "1"})) + _on("c", _pod("q"), _pod("r")),
            "b",
        ),
        (_spread(when="ScheduleAnyway"), _on("a", _pod("o")) + _on("b", _pod("q")), "c"),
        (_spread(labelSelector=None), _on("c", _pod("o")), "a"),
    ],
)
def test_pods_are_spread_by_their_constraints(
    constraint: Manifest, others: list[tuple[Manifest, str]], told: str
) -> None:
    manifest = _pod("p", {"app": "x", "rev": "1"}, topologySpreadConstraints=[constraint])
    assert _where(manifest, [Z1, Z1B, Z2], others) == told


def test_pods_that_end_do_not_count_for_the_spread() -> None:
    ending = _pod("o")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spread = _pod(topologySpreadConstraints=[_spread()], nodeSelector={HOST: "a"})
    assert _where(spread, [A], _on("a", ending)) == "a"


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({"nodeAffinityPolicy": "Honor"}, True),
        ({"nodeAffinityPolicy": "Ignore"}, False),
    ],
)
def test_nodes_that_the_pod_cannot_use_count_only_if_wanted(more: Manifest, fits: bool) -> None:
    constraint = _spread(**more)
    manifest = _pod(topologySpreadConstraints=[constraint], nodeSelector={HOST: "a"})
    told = _where(manifest, [A, B], _on("a", _pod("o")))
    assert (told == "a") == fits


@pytest.mark.parametrize(("policy", "fits"), [("Honor", True), ("Ignore", False)])
def test_tainted_nodes_count_only_if_wanted(policy: str, fits: bool) -> None:
    tainted = _node("t", taints=[{"key": "k", "effect": "NoSchedule"}])
    manifest = _pod(topologySpreadConstraints=[_spread(nodeTaintsPolicy=policy)])
    told = _where(manifest, [A, tainted], _on("a", _pod("o")))
    assert (told == "a") == fits


@pytest.mark.parametrize(
    ("manifest", "nodes", "best"),
    [
        (_asking(cpu="1"), [_node("small"), _node("large", cpu="8", memory="16Gi")], "large"),
        (
            _pod(),
            [_node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}]), B],
            "b",
        ),
        (
            _pod(
                affinity={
                    "nodeAffinity": {
                        PREFERRED: [
                            {
                                "weight": 1,
                                "preference": {
                                    "matchExpressions": [
                                        {"key": HOST, "operator": "In", "values": ["b"]}
                                    ]
                                },
                            }
                        ]
                    }
                }
            ),
            [A, B],
            "b",
        ),
        (_pod(), [_node("worker-10"), _node("worker-9")], "worker-9"),
    ],
)
def test_the_best_of_the_nodes_is_taken(
    manifest: Manifest, nodes: list[Manifest], best: str
) -> None:
    assert _where(manifest, nodes) == best


@pytest.mark.parametrize("owner", [None, "Job", "ReplicaSet"])
@pytest.mark.parametrize("busy", [False, True])
def test_equal_pods_are_spread_evenly(owner: str | None, busy: bool) -> None:
    snapshot = Snapshot()
    for name in ("a", "b", "c"):
        snapshot.put_node(_node(name, cpu="64", memory="256Gi"))
    if busy and owner:
        snapshot.put(_asking("redis", cpu="250m", memory="1Gi"), "a")
    found: Counter[str] = Counter()
    for number in range(6):
        one = _pod(f"p{number}")
        if owner:
            reference = {"kind": owner, "uid": "o", "controller": True}
            one["metadata"]["ownerReferences"] = [reference]
        node = place(one, snapshot).node
        snapshot.put(one, node)
        found[node] += 1
    assert found == {"a": 2, "b": 2, "c": 2}


def test_the_sums_stay_right_however_pods_come_and_go() -> None:
    chance, snapshot = random.Random(1), Snapshot()
    for name in ("a", "b"):
        snapshot.put_node(_node(name))
    for _ in range(500):
        name = f"p{chance.randrange(20)}"
        one = _asking(name, cpu=f"{chance.randrange(100)}m")
        if chance.random() < 0.4:
            snapshot.drop(one["metadata"]["uid"])
        else:
            snapshot.put(one, chance.choice("ab"))
    for info in snapshot.nodes.values():
        fresh = Snapshot()
        for one in info.pods.values():
            fresh.put(one, info.name)
        expected = fresh.nodes[info.name].requested["cpu"] if fresh.nodes else 0.0
        assert info.requested["cpu"] == pytest.approx(expected, abs=1e-9)
