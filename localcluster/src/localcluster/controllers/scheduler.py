"""The scheduler: assigns each pod to the one node there is, if it may run there.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import MERGE, Client, pod_path
from ..apimachinery.conventions import NODE
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, key_of, now
from ..apimachinery.keyqueue import KeyQueue
from ..apimachinery.profile import profile
from . import predicates
from .podstate import condition_of

_UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


@dataclass
class Scheduler:
    """Assigns each pod to the one node there is, if it may run there.

    It also does what the node lifecycle controller does: a node that is cordoned gets a taint.
    """

    client: Client
    pods: Informer
    nodes: Informer
    _unschedulable: set[Key] = field(default_factory=set)
    _assigned: dict[str, Obj] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "default-scheduler")
        self.queue = KeyQueue(self._sync)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        had = old is not None and predicates.is_assigned(old)
        if had and not (new is not None and predicates.is_assigned(new)):
            # There are resources now for those that had to wait.
            for key in self._unschedulable:
                self.queue.add(key)
        self._track_assigned(old, new)
        if new is None:
            assert old is not None
            self._unschedulable.discard(key_of(old))
        elif not new["spec"].get("nodeName"):
            self.queue.add(key_of(new))

    def node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and new["metadata"]["name"] == NODE:
            self.queue.add(("", NODE))
        for pod in self.pods.objects.values():
            self.pod_changed(None, pod)

    async def _sync(self, key: Key) -> None:
        if key == ("", NODE):
            await self._taint()
        else:
            await self._schedule(key)

    async def _taint(self) -> None:
        """Taint a cordoned node, and remove the taint from one that is not."""
        node = self.nodes.get("", NODE)
        if node is None:
            return
        taints = node["spec"].get("taints") or []
        others = [t for t in taints if t.get("key") != _UNSCHEDULABLE_TAINT["key"]]
        cordoned = bool(node["spec"].get("unschedulable"))
        if cordoned != (len(others) < len(taints)):
            wanted = [*others, {**_UNSCHEDULABLE_TAINT, "timeAdded": now()}] if cordoned else others
            change = {"spec": {"taints": wanted or None}}
            await self.client.patch(f"/api/v1/nodes/{NODE}", change, MERGE)

    async def _schedule(self, key: Key) -> None:
        pod, node = self.pods.get(*key), self.nodes.get("", NODE)
        if pod is None or node is None or pod["spec"].get("nodeName"):
            return
        if pod["metadata"].get("deletionTimestamp"):
            return
        if pod["spec"].get("schedulerName", "default-scheduler") != "default-scheduler":
            return
        if pod["spec"].get("schedulingGates"):
            why = "Scheduling is blocked due to non-empty scheduling gates"
            await self._set_condition(pod, "SchedulingGated", why)
            return
        result = predicates.filter_node(pod, node, self._others(pod))
        if result is not None:
            self._unschedulable.add(key)
            await self._report_unschedulable(pod, result)
        elif await self._bind(pod):
            self._unschedulable.discard(key)

    def _track_assigned(self, old: Obj | None, new: Obj | None) -> None:
        """Keep track of the pods that the node has, or is getting."""
        if new is not None and predicates.is_assigned(new):
            self._assigned[new["metadata"]["uid"]] = new
        elif old is not None and (new is None or new["spec"].get("nodeName")):
            self._assigned.pop(old["metadata"]["uid"], None)

    def _others(self, pod: Obj) -> list[Obj]:
        uid = pod["metadata"]["uid"]
        return [other for known, other in self._assigned.items() if known != uid]

    async def _bind(self, pod: Obj) -> bool:
        metadata = pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        self._assigned[metadata["uid"]] = pod
        try:
            await self.client.create(pod_path(namespace, name, "binding"), binding)
        except ApiError as error:
            self._assigned.pop(metadata["uid"], None)
            if error.code not in (404, 409):
                raise
            return False
        text = f"Successfully assigned {namespace}/{name} to {NODE}"
        self.recorder.event(pod, "Scheduled", text, action="Binding")
        return True

    async def _report_unschedulable(self, pod: Obj, result: predicates.Unschedulable) -> None:
        why = f"0/1 nodes are available: {', '.join(f'1 {one}' for one in result.reasons)}."
        if profile().modern:
            helps = "Preemption is not helpful for scheduling"
            if result.resolvable:
                helps = "No preemption victims found for incoming pod"
            why += f" preemption: 0/1 nodes are available: 1 {helps}."
        if await self._set_condition(pod, "Unschedulable", why):
            self.recorder.event(pod, "FailedScheduling", why, kind="Warning", action="Scheduling")

    async def _set_condition(self, pod: Obj, reason: str, why: str) -> bool:
        """Write why the pod waits into its conditions; return whether that is new."""
        conditions = (pod.get("status") or {}).get("conditions") or []
        known = condition_of(pod, "PodScheduled")
        if known and known.get("message") == why:
            return False
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": why,
            "lastProbeTime": None,
            "lastTransitionTime": known["lastTransitionTime"] if known else now(),
        }
        others = [c for c in conditions if c["type"] != "PodScheduled"]
        path = pod_path(pod["metadata"]["namespace"], pod["metadata"]["name"], "status")
        await self.client.patch(path, {"status": {"conditions": [*others, condition]}}, MERGE)
        return True
