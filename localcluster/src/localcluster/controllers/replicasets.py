"""The ReplicaSet controller: keeps a number of equal pods running.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.apierrors import ApiError
from ..apimachinery.jsontypes import Key, Obj, condition_in, deep_copy, now, whole_number
from ..apimachinery.selectors import labels
from .controller import Controller
from .ownerindex import OwnedInformer, adopter_keys, controller_keys
from .podcontrol import BURST, PodControl
from .podstate import deletion_rank, is_active, is_available, is_ready, is_terminating

_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass
class ReplicaSetController(Controller):
    """Follows ReplicaSets and their pods."""

    sets: OwnedInformer
    pod_informer: OwnedInformer
    component = "replicaset-controller"

    replicaset_changed = Controller.enqueue

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pods = PodControl(self.client, self.pod_informer, self.recorder)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the ReplicaSets that own a changed pod, or could adopt it."""
        owners = controller_keys("ReplicaSet", old, new)
        for key in (*owners, *adopter_keys(self.sets.objects, new)):
            self.queue.add(key)

    async def _sync(self, key: Key) -> None:
        replica_set = self.sets.get(*key)
        if replica_set is None:
            return
        await self.pod_informer.synced.wait()
        pods = [p for p in await self.pods.claim(replica_set, is_active) if is_active(p)]
        failure: ApiError | None = None
        if not replica_set["metadata"].get("deletionTimestamp"):
            try:
                pods = await self._scale(replica_set, pods)
            except ApiError as error:
                failure = error
                pods = [pod for pod in self.pods.of(replica_set) if is_active(pod)]
        ending = [p for p in self.pods.of(replica_set) if is_terminating(p)]
        status = _status(replica_set, pods, len(ending), failure)
        if (replica_set.get("status") or {}) != status:
            await self.write_status(self.sets, replica_set, status)
        if failure:
            raise failure
        self._requeue_until_available(key, replica_set, pods)

    async def _scale(self, replica_set: Obj, pods: list[Obj]) -> list[Obj]:
        wanted: int = replica_set["spec"].get("replicas", 1)
        if len(pods) > wanted:
            surplus = sorted(pods, key=_deletion_rank)[: len(pods) - wanted]
            await self.pods.delete(replica_set, surplus)
            return [pod for pod in pods if pod not in surplus]
        missing = min(wanted - len(pods), BURST)
        templates = [_without_name(replica_set["spec"]["template"])] * missing
        return pods + await self.pods.create(replica_set, templates)

    def _requeue_until_available(self, key: Key, replica_set: Obj, pods: list[Obj]) -> None:
        """Sync again when ready pods will have become available."""
        least = replica_set["spec"].get("minReadySeconds", 0)
        ready = sum(1 for pod in pods if is_ready(pod))
        if least and ready > sum(1 for pod in pods if is_available(pod, least)):
            self.queue.add_after(key, min(least, 1.0))


def _without_name(template: Obj) -> Obj:
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if k != "generateName"}
    return {**template, "metadata": metadata}


def _deletion_rank(pod: Obj) -> tuple[object, ...]:
    """Rank pods for deletion, with the pod deletion cost that the user set."""
    text = (pod["metadata"].get("annotations") or {}).get(_DELETION_COST, "0")
    cost = whole_number(text) or 0
    rank = deletion_rank(pod)
    return (*rank[:3], cost, *rank[3:])


def _status(replica_set: Obj, pods: list[Obj], terminating: int, failure: ApiError | None) -> Obj:
    """Return the status that results from these active pods, and a number of terminating ones."""
    wanted = ((replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}).items()
    least = replica_set["spec"].get("minReadySeconds", 0)
    counts = {
        "fullyLabeledReplicas": sum(1 for pod in pods if wanted <= labels(pod).items()),
        "readyReplicas": sum(1 for pod in pods if is_ready(pod)),
        "availableReplicas": sum(1 for pod in pods if is_available(pod, least)),
    }
    status: Obj = {"replicas": len(pods), **{name: n for name, n in counts.items() if n}}
    status["terminatingReplicas"] = terminating
    status["observedGeneration"] = replica_set["metadata"]["generation"]
    conditions = deep_copy((replica_set.get("status") or {}).get("conditions") or [])
    known = condition_in({"conditions": conditions}, "ReplicaFailure")
    if failure and known is None:
        problem = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": now()}
        conditions.append({**problem, "reason": "FailedCreate", "message": str(failure)})
    elif known and not failure:
        conditions.remove(known)
    return {**status, "conditions": conditions} if conditions else status
