"""The taint eviction controller: deletes pods that do not tolerate a `NoExecute` taint.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from ..apimachinery.apierrors import ignored
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, key_of
from .controller import Controller
from .podstate import new_condition, pods_on
from .taints import NOT_READY, UNREACHABLE, taints_of, toleration_of

_REASON = "DeletionByTaintManager"
_MESSAGE = "Taint manager: deleting due to NoExecute taint"


@dataclass
class TaintEvictionController(Controller):
    """Deletes pods from tainted nodes, at once or after the seconds that they tolerate.

    Args:
        lost_node_share: How much of `tolerationSeconds` is waited on a node that is lost; on one
            that has a taint of the user's, all of it is.
    """

    component = "taint-eviction-controller"

    pods: Informer
    nodes: Informer
    lost_node_share: float = 1.0
    _since: dict[Key, float] = field(default_factory=dict)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            # Another pod of its name has its own time.
            assert old is not None
            self._since.pop(key_of(old), None)
            return
        node = self.nodes.get("", new["spec"].get("nodeName") or "")
        if key_of(new) in self._since or (node and taints_of(node, "NoExecute")):
            self.queue.add(key_of(new))

    def node_changed(self, old: Obj | None, new: Obj | None) -> None:
        before, after = (taints_of(node, "NoExecute") if node else [] for node in (old, new))
        if new is None or before == after:
            return
        for pod in pods_on(self.pods.objects, new["metadata"]["name"]):
            self.queue.add(key_of(pod))

    async def _sync(self, key: Key) -> None:
        pod = self.pods.get(*key)
        if pod is None:
            return
        node = self.nodes.get("", pod["spec"].get("nodeName") or "")
        seconds = self._tolerated_seconds(pod, node) if node else math.inf
        if pod["metadata"].get("deletionTimestamp") or seconds == math.inf:
            if self._since.pop(key, None) is not None:
                self._record(pod, "Cancelling deletion of")
            return
        moment = asyncio.get_running_loop().time()
        left = self._since.setdefault(key, moment) + seconds - moment
        if left > 0:
            self.queue.add_after(key, left)
            return
        self._record(pod, "Marking for deletion")
        await self._delete(pod)
        self._since.pop(key, None)

    def _tolerated_seconds(self, pod: Obj, node: Obj) -> float:
        """Return how long the pod may stay."""
        least = math.inf
        for taint in taints_of(node, "NoExecute"):
            toleration = toleration_of(pod, taint)
            seconds = 0 if toleration is None else toleration.get("tolerationSeconds", math.inf)
            if taint["key"] in (NOT_READY, UNREACHABLE):
                seconds *= self.lost_node_share
            least = min(least, max(0, seconds))
        return least

    def _record(self, pod: Obj, what: str) -> None:
        namespace, name = key_of(pod)
        self.recorder.event(pod, "TaintManagerEviction", f"{what} Pod {namespace}/{name}")

    async def _delete(self, pod: Obj) -> None:
        why = new_condition(pod, "DisruptionTarget", "True", _REASON, _MESSAGE)
        with ignored(404, 409):
            await self.client.patch_same(pod, {"status": {"conditions": [why]}}, "status")
            # The cache knows of it at once, so that no pod is evicted twice.
            self.pods.put(await self.client.delete_same(pod))
