"""The node lifecycle controller: notices nodes that stop renewing their Leases, and taints nodes.

https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..apimachinery.apierrors import ApiError, ignored
from ..apimachinery.client import MERGE
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, key_of, now
from ..settings import seconds
from .controller import Controller
from .podstate import condition_of, is_ready, pods_on
from .taints import NOT_READY, UNREACHABLE, UNSCHEDULABLE, is_cordoned, taints_of

log = logging.getLogger(__name__)

_STATUSES = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_TAINTED = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_LOST = (NOT_READY, UNREACHABLE)
_STOPPED = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
_NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
_LEAST_GRACE = 0.5  # with 0, a kubelet would renew its Lease without a pause
_ANNOTATION = "localcluster/node-waits"


class NodeWaits(NamedTuple):
    """How long the cluster waits for a node that is silent; much shorter than real ones do.

    Attributes:
        grace_seconds: After so long without a sign of life it is not ready (50 s elsewhere).
        eviction_seconds: After so much longer its pods are given up, if they tolerate its loss for
            300 s, as they do by default. What they tolerate explicitly is shortened alike.
    """

    grace_seconds: float = 4.0
    eviction_seconds: float = 5.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> NodeWaits:
        """Return the waits that `LOCALCLUSTER_NODE_…_SECONDS` set.

        Raises:
            ClusterError: One of them is no number of seconds.
        """
        name, usual = "LOCALCLUSTER_NODE_{}_SECONDS", cls()
        return cls(
            seconds(environment, name.format("GRACE"), usual.grace_seconds, _LEAST_GRACE),
            seconds(environment, name.format("EVICTION"), usual.eviction_seconds),
        )

    @property
    def renew_seconds(self) -> float:
        """Return how often a kubelet shows that it lives: idle clusters should cost little."""
        return self.grace_seconds * 0.4

    @property
    def quarantine_seconds(self) -> float:
        """Return how long after its Node is deleted a pod is removed (40 s elsewhere)."""
        return self.grace_seconds * 0.8

    @property
    def eviction_share(self) -> float:
        """Return which part of the seconds that a pod tolerates a lost node is waited."""
        return self.eviction_seconds / 300

    def __str__(self) -> str:
        return (
            f"a silent node is NotReady after {self.grace_seconds:g} s (50 s on a real cluster);"
            f" tolerationSeconds: 300 for it lasts {self.eviction_seconds:g} s"
        )


@dataclass
class NodeLifecycleController(Controller):
    """Follows nodes and their Leases."""

    component = "node-controller"

    nodes: Informer
    pods: Informer
    waits: NodeWaits
    _alive_at: dict[str, float] = field(default_factory=dict)

    def node_changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        name = obj["metadata"]["name"]
        if new is None:
            self._alive_at.pop(name, None)
            self._record(obj, "RemovingNode", f"Removing Node {name} from Controller")
            return
        if old is None or _heartbeat(old) != _heartbeat(new):
            self._alive_at[name] = asyncio.get_running_loop().time()
        if old is None:
            self._record(obj, "RegisteredNode", f"Registered Node {name} in Controller")
        elif _ready(old) == "True" and _is_lost(new):
            text = f"Node {name} status is now: NodeNotReady"
            self.recorder.event(new, "NodeNotReady", text)
        # Whether any node is ready decides about the taints of all.
        if old is None or _ready(old) != _ready(new):
            for known in self.nodes.objects:
                self.queue.add(known)
        self.queue.add(("", name))

    def lease_changed(self, old: Obj | None, new: Obj | None) -> None:
        namespace, name = key_of(new) if new else ("", "")
        if namespace != "kube-node-lease" or self.nodes.get("", name) is None:
            return
        if new and (old is None or old.get("spec") != new.get("spec")):
            self._alive_at[name] = asyncio.get_running_loop().time()

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Mark a pod that came to a node which was lost meanwhile."""
        name = new["spec"].get("nodeName") if new else None
        if name and not (old and old["spec"].get("nodeName")):
            node = self.nodes.get("", name)
            if node and _is_lost(node):
                self.queue.add(("", name))

    async def run(self) -> None:
        await asyncio.gather(super().run(), self._monitor())

    async def _monitor(self) -> None:
        """Look after silent nodes until cancelled."""
        loop, period = asyncio.get_running_loop(), self.waits.grace_seconds / 4
        due = loop.time() + period
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            late = loop.time() - due
            due = loop.time() + period
            if late > period:
                # This process stood still: the signs of life may still wait to be read.
                self._alive_at = {name: at + late for name, at in self._alive_at.items()}
            for (_, name), node in list(self.nodes.objects.items()):
                silent = loop.time() - self._alive_at.setdefault(name, loop.time())
                if silent > self.waits.grace_seconds and _ready(node) != "Unknown":
                    try:
                        await self._mark_unknown(node)
                    except (ApiError, OSError) as error:
                        log.warning("node %s: %s", name, error)

    async def _mark_unknown(self, node: Obj) -> None:
        moment, conditions = now(), []
        shown = [c["type"] for c in (node.get("status") or {}).get("conditions") or []]
        for kind in dict.fromkeys([*(kind for kind in shown if kind in _STATUSES), *_STATUSES]):
            known = condition_of(node, kind)
            reason, message = _STOPPED if known else _NEVER
            condition = {"type": kind, "status": "Unknown", "reason": reason, "message": message}
            if known is None:
                condition["lastHeartbeatTime"] = node["metadata"]["creationTimestamp"]
            conditions.append({**condition, "lastTransitionTime": moment})
        await self.client.patch_same(node, {"status": {"conditions": conditions}}, "status")

    async def _sync(self, key: Key) -> None:
        node = self.nodes.get(*key)
        if node is None:
            return
        await self._taint(node)
        if _is_lost(node):
            await self._mark_pods(node)

    async def _taint(self, node: Obj) -> None:
        """Give a node the taints that its conditions and its being cordoned ask for."""
        conditions = (node.get("status") or {}).get("conditions") or []
        keys = [k for c in conditions if (k := _TAINTED.get((c["type"], c["status"])))]
        keys += [UNSCHEDULABLE] if is_cordoned(node) else []
        wanted = [(key, "NoSchedule") for key in keys]
        # When all nodes are lost, it is rather the control plane: no pod is given up.
        if any(_ready(one) == "True" for one in self.nodes.objects.values()):
            wanted += [(key, "NoExecute") for key in keys if key in _LOST]
        taints = taints_of(node)
        present = [(taint["key"], taint["effect"]) for taint in taints if _is_own(taint)]
        annotations = node["metadata"].get("annotations") or {}
        change: Obj = {}
        if set(wanted) != set(present):
            kept = [t for t in taints if not _is_own(t) or (t["key"], t["effect"]) in wanted]
            new = [
                {"key": key, "effect": effect, "timeAdded": now()}
                for key, effect in wanted
                if (key, effect) not in present
            ]
            change = {"spec": {"taints": [*kept, *new] or None}}
        if annotations.get(_ANNOTATION) != str(self.waits):
            change["metadata"] = {"annotations": {_ANNOTATION: str(self.waits)}}
        if change:
            with ignored(404):
                await self.client.patch_same(node, change, how=MERGE, unchanged=True)

    async def _mark_pods(self, node: Obj) -> None:
        """Say of the pods of a node that is lost that they are not ready."""
        for pod in pods_on(self.pods.objects, node["metadata"]["name"]):
            if is_ready(pod):
                change = {"type": "Ready", "status": "False", "lastTransitionTime": now()}
                with ignored(404, 409):
                    await self.client.patch_same(
                        pod, {"status": {"conditions": [change]}}, "status"
                    )
                    text = "Node is not ready"
                    self.recorder.event(pod, "NodeNotReady", text, kind="Warning")

    def _record(self, node: Obj, reason: str, what: str) -> None:
        text = f"Node {node['metadata']['name']} event: {what}"
        self.recorder.event(node, reason, text)


def _ready(node: Obj) -> str:
    return str((condition_of(node, "Ready") or {}).get("status", ""))


def _is_lost(node: Obj) -> bool:
    return _ready(node) in ("False", "Unknown")


def _heartbeat(node: Obj) -> object:
    return (condition_of(node, "Ready") or {}).get("lastHeartbeatTime")


def _is_own(taint: Obj) -> bool:
    """Tell whether this controller, not a user, gives and takes the taint."""
    if taint.get("effect") == "NoExecute":
        return taint["key"] in _LOST
    known = {*_TAINTED.values(), UNSCHEDULABLE}
    return taint.get("effect") == "NoSchedule" and taint["key"] in known
