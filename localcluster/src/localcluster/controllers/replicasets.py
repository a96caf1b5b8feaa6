"""The ReplicaSet controller: keeps a number of equal pods running.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, controller_of, now, owner_reference, whole_number
from ..apimachinery.keyqueue import KeyQueue
from ..apimachinery.selectors import labels, match_labels
from .podcontrol import PodControl
from .podstate import is_active, is_available, is_ready, worth

_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass
class ReplicaSetController:
    """Follows ReplicaSets and their pods."""

    client: Client
    sets: Informer
    pod_informer: Informer

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "replicaset-controller")
        self.pods = PodControl(self.client, self.pod_informer, self.recorder)
        self.queue = KeyQueue(self._sync)

    def set_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Take notice of a change of a ReplicaSet."""
        if new is not None:
            self.queue.add((new["metadata"]["namespace"], new["metadata"]["name"]))

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Take notice of a change of a pod: one that is owned, or one that could be adopted."""
        for pod in (old, new):
            if pod is None:
                continue
            reference, namespace = controller_of(pod), pod["metadata"]["namespace"]
            if reference and reference["kind"] == "ReplicaSet":
                self.queue.add((namespace, reference["name"]))
            elif reference is None and pod is new:
                for key, found in self.sets.objects.items():
                    if key[0] == namespace and selects(found, pod):
                        self.queue.add(key)

    async def _sync(self, key: Key) -> None:
        found = self.sets.get(*key)
        if found is None:
            return
        await self.pod_informer.synced.wait()
        pods = await self._claim(found)
        failure: ApiError | None = None
        if not found["metadata"].get("deletionTimestamp"):
            try:
                pods = await self._scale(found, pods)
            except ApiError as error:
                failure = error
                pods = [pod for pod in self.pods.owned.controlled_by(found) if is_active(pod)]
        await self._store(found, _status(found, pods, failure))
        if failure:
            raise failure
        self._come_back(key, found, pods)

    async def _claim(self, found: Obj) -> list[Obj]:
        """Adopt pods that match and belong to nobody, let go of those that match no more."""
        mine = self.pods.owned.controlled_by(found)
        strangers = [pod for pod in mine if not selects(found, pod)]
        lost = {"ownerReferences": [{"$patch": "delete", "uid": found["metadata"]["uid"]}]}
        await self.pods.patch(strangers, lambda _pod: lost)
        kept = [pod for pod in mine if pod not in strangers and is_active(pod)]
        if found["metadata"].get("deletionTimestamp"):
            return kept
        free = self.pods.owned.uncontrolled(found["metadata"]["namespace"])
        orphans = [pod for pod in free if is_active(pod) and selects(found, pod)]
        await self.pods.patch(orphans, lambda _pod: {"ownerReferences": [owner_reference(found)]})
        return kept + orphans

    async def _scale(self, found: Obj, pods: list[Obj]) -> list[Obj]:
        wanted: int = found["spec"].get("replicas", 1)
        if len(pods) > wanted:
            surplus = sorted(pods, key=_worth)[: len(pods) - wanted]
            await self.pods.delete(found, surplus)
            return [pod for pod in pods if pod not in surplus]
        templates = [found["spec"]["template"]] * (wanted - len(pods))
        return pods + await self.pods.create(found, [_nameless(one) for one in templates])

    async def _store(self, found: Obj, status: Obj) -> None:
        if (found.get("status") or {}) == status:
            return
        metadata = found["metadata"]
        base = f"/apis/apps/v1/namespaces/{metadata['namespace']}/replicasets"
        body = {**found, "status": status}
        self.sets.put(await self.client.replace(f"{base}/{metadata['name']}/status", body))

    def _come_back(self, key: Key, found: Obj, pods: list[Obj]) -> None:
        """Look again when pods that are ready will have been so long enough."""
        least = found["spec"].get("minReadySeconds", 0)
        ready = sum(1 for pod in pods if is_ready(pod))
        if least and ready > sum(1 for pod in pods if is_available(pod, least)):
            self.queue.add_after(key, min(least, 1.0))


def selects(found: Obj, pod: Obj) -> bool:
    """Tell whether the ReplicaSet's selector matches the pod."""
    return match_labels(found["spec"]["selector"], labels(pod))


def _nameless(template: Obj) -> Obj:
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if k != "generateName"}
    return {**template, "metadata": metadata}


def _worth(pod: Obj) -> tuple[object, ...]:
    """Rank pods for deletion, by what the user says that it costs too."""
    text = (pod["metadata"].get("annotations") or {}).get(_COST, "0")
    cost = whole_number(text) or 0
    rank = worth(pod)
    return (*rank[:3], cost, *rank[3:])


def _status(found: Obj, pods: list[Obj], failure: ApiError | None) -> Obj:
    """Return the status that these active pods make up."""
    wanted = ((found["spec"]["template"].get("metadata") or {}).get("labels") or {}).items()
    least = found["spec"].get("minReadySeconds", 0)
    counts = {
        "fullyLabeledReplicas": sum(1 for pod in pods if wanted <= labels(pod).items()),
        "readyReplicas": sum(1 for pod in pods if is_ready(pod)),
        "availableReplicas": sum(1 for pod in pods if is_available(pod, least)),
    }
    status: Obj = {"replicas": len(pods), **{name: n for name, n in counts.items() if n}}
    status["observedGeneration"] = found["metadata"]["generation"]
    conditions = copy.deepcopy((found.get("status") or {}).get("conditions") or [])
    known = next((c for c in conditions if c["type"] == "ReplicaFailure"), None)
    if failure and known is None:
        problem = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": now()}
        conditions.append({**problem, "reason": "FailedCreate", "message": str(failure)})
    elif known and not failure:
        conditions.remove(known)
    return {**status, "conditions": conditions} if conditions else status
