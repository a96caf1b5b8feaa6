"""The pod garbage collector: removes pods that no kubelet will remove.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.apierrors import ignored
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, key_of, now
from .controller import Controller
from .podstate import has_ended, is_ready, pods_on
from .taints import taints_of

_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_LOST = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByPodGC",
    "message": "PodGC: node no longer exists",
}


@dataclass
class PodGarbageCollector(Controller):
    """Removes pods whose node is gone or out of service, and deleted ones that never had a node.

    Its keys are those of pods, and of nodes as ("", name).

    Args:
        quarantine: Seconds for which a node has to be missing.
    """

    pods: Informer
    nodes: Informer
    quarantine: float = 40.0

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue a pod that is deleted, and the node of one whose node is not there."""
        if new is None:
            return
        if new["metadata"].get("deletionTimestamp"):
            self.queue.add(key_of(new))
        node = new["spec"].get("nodeName")
        if node and self.nodes.get("", node) is None:
            self.queue.add_after(("", node), self.quarantine)

    def node_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Look again at the pods of a node that is gone or out of service."""
        node = new or old
        if node is not None and (new is None or _is_out_of_service(new)):
            for pod in pods_on(self.pods.objects, node["metadata"]["name"]):
                self.pod_changed(None, pod)

    async def _sync(self, key: Key) -> None:
        await self.nodes.synced.wait()
        if not key[0]:
            if not await self._exists(key[1]):
                for lost in pods_on(self.pods.objects, key[1]):
                    await self._remove(lost, _LOST)
            return
        pod = self.pods.get(*key)
        if pod is None or not pod["metadata"].get("deletionTimestamp"):
            return
        name = pod["spec"].get("nodeName")
        if not name or _is_out_of_service(self.nodes.get("", name)):
            await self._remove(pod)

    async def _exists(self, node: str) -> bool:
        """Ask the API itself: the cache may not have seen a new node yet."""
        with ignored(404):
            return bool(await self.client.get(f"/api/v1/nodes/{node}"))
        return False

    async def _remove(self, pod: Obj, condition: Obj | None = None) -> None:
        """Mark a pod as failed, so that its Job counts it, and delete it at once."""
        with ignored(404, 409):
            if not has_ended(pod):
                status: Obj = {"phase": "Failed"}
                if condition:
                    status["conditions"] = [{**condition, "lastTransitionTime": now()}]
                await self.client.patch_same(pod, {"status": status}, "status")
            await self.client.delete_same(pod, gracePeriodSeconds=0)


def _is_out_of_service(node: Obj | None) -> bool:
    taints = taints_of(node or {})
    return not is_ready(node or {}) and any(taint["key"] == _OUT_OF_SERVICE for taint in taints)
