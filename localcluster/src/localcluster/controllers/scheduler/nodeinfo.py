"""What the scheduler knows of the nodes and the pods on them, kept up to date change by change.

The sums over the pods of a node are kept, so that a pod's scheduling does not look at each of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ...apimachinery.jsontypes import Obj, controller_of
from ...apimachinery.quantities import quantity
from ...apimachinery.selectors import labels

_NOTHING: Mapping[str, float] = {}
# What a container that requests nothing is taken to need, when nodes are compared.
_ESTIMATES = {"cpu": 0.1, "memory": 200.0 * 1024 * 1024}

Port = tuple[str, str, int]


class Unschedulable(NamedTuple):
    """Why a node does not take a pod.

    Attributes:
        resolvable: Whether it could if other pods were not there.
    """

    reasons: list[str]
    resolvable: bool = False


@dataclass
class NodeInfo:
    """One node with its pods.

    Attributes:
        node: The Node; empty while pods are bound to a name that no Node has.
        pods: By uid; those that ended are not among them.
        requested: What they request in all, as numbers of whole units.
        estimated: The same, with an estimate for containers that request no CPU or memory.
        ports: The host ports that they hold.
        owned: How many pods of each controller's uid are here, not counting those that end.
    """

    name: str
    node: Obj = field(default_factory=dict)
    allocatable: dict[str, float] = field(default_factory=dict)
    pods: dict[str, Obj] = field(default_factory=dict)
    requested: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    estimated: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    ports: Counter[Port] = field(default_factory=Counter)
    owned: Counter[str] = field(default_factory=Counter)

    @property
    def labels(self) -> dict[str, str]:
        return labels(self.node)

    def set_node(self, node: Obj) -> None:
        found = (node.get("status") or {}).get("allocatable") or {}
        self.node, self.allocatable = node, {n: quantity(v) for n, v in found.items()}

    def count(self, pod: Obj, sign: int) -> None:
        """Add a pod to the sums, or take it away with the sign -1."""
        for total, amounts in ((self.requested, requests(pod)), (self.estimated, estimate(pod))):
            for name, amount in amounts.items():
                total[name] += sign * amount
        for port in host_ports(pod):
            self.ports[port] += sign
        owner = controller_of(pod)
        if owner and not pod["metadata"].get("deletionTimestamp"):
            self.owned[owner["uid"]] += sign


Check = Callable[[NodeInfo], Unschedulable | None]


@dataclass
class Snapshot:
    """All nodes with their pods.

    Args:
        namespace_labels: Returns the labels of a namespace.
        service_selectors: Returns the selectors of the Services that select a pod.
    """

    namespace_labels: Callable[[str], dict[str, str]] = lambda name: {}
    service_selectors: Callable[[Obj], list[dict[str, str]]] = lambda pod: []
    nodes: dict[str, NodeInfo] = field(default_factory=dict)
    # The pods that have affinity to other pods, with their nodes.
    with_affinity: dict[str, tuple[Obj, NodeInfo]] = field(default_factory=dict)
    _places: dict[str, NodeInfo] = field(default_factory=dict)

    def present(self) -> list[NodeInfo]:
        """Return the nodes that there are."""
        return [info for info in self.nodes.values() if info.node]

    def pods(self) -> Iterator[tuple[Obj, NodeInfo]]:
        """Yield each pod with the node on which it is."""
        for info in self.present():
            for pod in info.pods.values():
                yield pod, info

    def put_node(self, node: Obj) -> None:
        name = node["metadata"]["name"]
        self.nodes.setdefault(name, NodeInfo(name)).set_node(node)

    def drop_node(self, name: str) -> None:
        if name in self.nodes:
            self.nodes[name].node = {}

    def put(self, pod: Obj, node: str) -> None:
        """Take note of a pod on a node, or of its newer version."""
        uid = pod["metadata"]["uid"]
        info = self._places.get(uid)
        if info is None or info.name != node or _facts(info.pods[uid]) != _facts(pod):
            self.drop(uid)
            info = self._places[uid] = self.nodes.setdefault(node, NodeInfo(node))
            info.count(pod, 1)
        info.pods[uid] = pod
        affinity = pod["spec"].get("affinity") or {}
        if affinity.get("podAffinity") or affinity.get("podAntiAffinity"):
            self.with_affinity[uid] = (pod, info)

    def drop(self, uid: str) -> bool:
        """Forget a pod; return whether it was on a node."""
        info = self._places.pop(uid, None)
        if info is None:
            return False
        info.count(info.pods.pop(uid), -1)
        self.with_affinity.pop(uid, None)
        return True


def _facts(pod: Obj) -> tuple[object, ...]:
    """Return what the sums are made of."""
    metadata = pod["metadata"]
    return pod["spec"], bool(metadata.get("deletionTimestamp")), metadata.get("ownerReferences")


def estimate(pod: Obj) -> dict[str, float]:
    """Return what a pod is taken to need, when nodes are compared."""
    return requests(pod, _ESTIMATES)


def requests(pod: Obj, least: Mapping[str, float] = _NOTHING) -> dict[str, float]:
    """Return what a pod asks for in all: its containers together, or its largest init container.

    Args:
        least: What counts for a container that requests none of a resource.
    """
    spec = pod["spec"]
    total: dict[str, float] = {}
    for container in spec.get("containers") or []:
        _add(total, container, least)
    sidecars: dict[str, float] = {}
    largest: dict[str, float] = {}
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            _add(sidecars, container, least)
            continue
        at_once = dict(sidecars)
        _add(at_once, container, least)
        for name, amount in at_once.items():
            largest[name] = max(largest.get(name, 0.0), amount)
    for name, amount in sidecars.items():
        total[name] = total.get(name, 0.0) + amount
    found = {n: max(total.get(n, 0.0), largest.get(n, 0.0)) for n in {*total, *largest}}
    whole = (spec.get("resources") or {}).get("requests") or {}
    return found | {name: quantity(amount) for name, amount in whole.items()}


def _add(total: dict[str, float], container: Obj, least: Mapping[str, float]) -> None:
    wanted = (container.get("resources") or {}).get("requests") or {}
    amounts = {**least, **{name: quantity(amount) for name, amount in wanted.items()}}
    for name, amount in amounts.items():
        total[name] = total.get(name, 0.0) + amount


def host_ports(pod: Obj) -> list[Port]:
    """Return the (address, protocol, port) triples that a pod needs on its node."""
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    return [
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
        for container in [*(spec.get("containers") or []), *sidecars]
        for port in container.get("ports") or []
        if port.get("hostPort")
    ]
