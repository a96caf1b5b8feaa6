"""The scheduler: gives each pod to the one node there is, if it may run there."""

from __future__ import annotations

from dataclasses import dataclass

from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.client import MERGE, Client, pod_path
from wqlib.localcluster.apimachinery.informer import Informer, Key, Recorder, WorkQueue
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.selectors import labels
from wqlib.localcluster.kubelet.kubelet import NODE


@dataclass
class Scheduler:
    """Gives each pod to the one node there is, if it may run there."""

    client: Client
    pods: Informer
    nodes: Informer

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "default-scheduler")
        self.queue = WorkQueue(self._bind)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and not new["spec"].get("nodeName"):
            self.queue.add((new["metadata"]["namespace"], new["metadata"]["name"]))

    def node_changed(self, old: Obj | None, new: Obj | None) -> None:
        for pod in self.pods.objects.values():
            self.pod_changed(None, pod)

    async def _bind(self, key: Key) -> None:
        pod, node = self.pods.get(*key), self.nodes.get("", NODE)
        if pod is None or node is None or pod["spec"].get("nodeName"):
            return
        if pod["metadata"].get("deletionTimestamp"):
            return
        why = self._unfit(pod, node)
        if why:
            await self._refuse(pod, why)
            return
        namespace, name = key
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        try:
            await self.client.create(pod_path(namespace, name, "binding"), binding)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return
        text = f"Successfully assigned {namespace}/{name} to {NODE}"
        self.recorder.event(pod, "Scheduled", text)

    def _unfit(self, pod: Obj, node: Obj) -> str:
        wanted, found = pod["spec"].get("nodeSelector") or {}, labels(node)
        if any(found.get(key) != value for key, value in wanted.items()):
            return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        if node["spec"].get("unschedulable"):
            return "0/1 nodes are available: 1 node(s) were unschedulable."
        return ""

    async def _refuse(self, pod: Obj, why: str) -> None:
        conditions = (pod["status"].get("conditions")) or []
        if any(c["type"] == "PodScheduled" and c.get("message") == why for c in conditions):
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": why,
            "lastProbeTime": None,
            "lastTransitionTime": pod["metadata"]["creationTimestamp"],
        }
        path = pod_path(pod["metadata"]["namespace"], pod["metadata"]["name"], "status")
        await self.client.patch(path, {"status": {"conditions": [condition]}}, MERGE)
        self.recorder.event(pod, "FailedScheduling", why, kind="Warning")
