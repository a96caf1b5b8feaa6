"""The scheduler: assigns each pod to a node that can take it.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from ...apimachinery.apierrors import ApiError, ignored
from ...apimachinery.client import pod_path
from ...apimachinery.informer import Informer
from ...apimachinery.jsontypes import Key, Obj, key_of
from ...apimachinery.selectors import labels
from ..controller import Controller
from ..podstate import condition_of, has_ended, new_condition
from . import filters, scores
from .nodeinfo import Snapshot

# The key under which the pods that wait are decided on; others are those of pods.
_CYCLE = ("", "")
_SLICE_SECONDS = 0.05
_GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Decision(NamedTuple):
    """What becomes of a pod: its node, or why it has none."""

    node: str = ""
    reason: str = "Unschedulable"
    message: str = ""


@dataclass
class Scheduler(Controller):
    """Assigns each pod to the best of the nodes that can take it.

    Pods that wait at the same time are decided on one after the other, by their priority and age;
    what was decided is then written for many of them at once. There is no preemption.
    """

    component = "default-scheduler"

    pods: Informer
    nodes: Informer
    services: Informer
    namespaces: Informer
    _pending: set[Key] = field(default_factory=set)
    _unschedulable: set[Key] = field(default_factory=set)
    # With the uids of their pods, since others of the same names may come meanwhile.
    _decisions: dict[Key, tuple[str, Decision]] = field(default_factory=dict)
    _assumed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.snapshot = Snapshot(self._namespace_labels, self._service_selectors)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        uid, node = obj["metadata"]["uid"], obj["spec"].get("nodeName")
        if new is None or has_ended(new):
            self._assumed.discard(uid)
            self._unschedulable.discard(key_of(obj))
            if self.snapshot.drop(uid):
                self._retry()
        elif node:
            self._assumed.discard(uid)
            self.snapshot.put(new, node)
            if old is None or not old["spec"].get("nodeName") or labels(old) != labels(new):
                self._retry(("affinity", "topologySpreadConstraints"))
        elif uid not in self._assumed:
            self._enqueue(key_of(new))

    def node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            self.snapshot.drop_node(old["metadata"]["name"])
        else:
            self.snapshot.put_node(new)
        if old is None or new is None or _node_facts(old) != _node_facts(new):
            self._retry()

    def _retry(self, fields: tuple[str, ...] = ()) -> None:
        """Try the pods that wait again; only those whose specs have one of the fields, if any."""
        for key in self._unschedulable:
            pod = self.pods.get(*key)
            if pod is not None and (not fields or any(pod["spec"].get(name) for name in fields)):
                self._enqueue(key)

    def _enqueue(self, key: Key) -> None:
        self._pending.add(key)
        self.queue.add(_CYCLE)

    async def _sync(self, key: Key) -> None:
        if key == _CYCLE:
            await asyncio.sleep(0)
            self._decide()
            return
        (uid, decision), pod = self._decisions.pop(key, ("", Decision())), self.pods.get(*key)
        if pod is None or pod["metadata"]["uid"] != uid:
            return
        try:
            await (self._bind if decision.node else self._report)(pod, decision)
        except BaseException:
            self._decisions.setdefault(key, (uid, decision))
            raise

    def _decide(self) -> None:
        """Decide on the pods that wait; the most important and the oldest choose first.

        After a moment those that are left are put off, so that others get their turn.
        """
        until = time.monotonic() + _SLICE_SECONDS
        waiting = [pod for key in self._pending if (pod := self.pods.get(*key))]
        self._pending.clear()
        refused: tuple[Obj, Decision] | None = None
        for pod in sorted(waiting, key=_importance):
            if time.monotonic() > until:
                self._enqueue(key_of(pod))
                continue
            spec, metadata = pod["spec"], pod["metadata"]
            if spec.get("nodeName") or metadata.get("deletionTimestamp"):
                continue
            if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
                continue
            key = key_of(pod)
            self._unschedulable.discard(key)
            if spec.get("schedulingGates"):
                decision = Decision(reason="SchedulingGated", message=_GATED)
            elif refused and _alike(refused[0], pod):
                decision = refused[1]
            else:
                decision = place(pod, self.snapshot)
            if decision.node:
                self._assumed.add(metadata["uid"])
                self.snapshot.put(pod, decision.node)
                refused = None
            elif decision.reason == "Unschedulable":
                self._unschedulable.add(key)
                refused = pod, decision
            told = (condition_of(pod, "PodScheduled") or {}).get("message")
            if decision.node or told != decision.message:
                self._decisions[key] = metadata["uid"], decision
                self.queue.add(key)

    async def _bind(self, pod: Obj, decision: Decision) -> None:
        node, uid, (namespace, name) = decision.node, pod["metadata"]["uid"], key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self.client.create(pod_path(namespace, name, "binding"), binding)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            # It is gone, or somebody else has bound it, which the informer will tell.
            if uid in self._assumed:
                self._assumed.discard(uid)
                self.snapshot.drop(uid)
            return
        text = f"Successfully assigned {namespace}/{name} to {node}"
        self.recorder.event(pod, "Scheduled", text, action="Binding")

    async def _report(self, pod: Obj, decision: Decision) -> None:
        """Write why the pod waits into its conditions."""
        known = condition_of(pod, "PodScheduled")
        why = new_condition(pod, "PodScheduled", "False", decision.reason, decision.message)
        if known:
            why["lastTransitionTime"] = known["lastTransitionTime"]
        with ignored(404, 409):
            await self.client.patch_same(pod, {"status": {"conditions": [why]}}, "status")
            if decision.reason == "Unschedulable":
                named = {"kind": "Warning", "action": "Scheduling"}
                self.recorder.event(pod, "FailedScheduling", decision.message, **named)

    def _namespace_labels(self, name: str) -> dict[str, str]:
        namespace = self.namespaces.get("", name)
        return labels(namespace) if namespace else {}

    def _service_selectors(self, pod: Obj) -> list[dict[str, str]]:
        namespace, found = pod["metadata"]["namespace"], labels(pod).items()
        selectors = (
            service["spec"].get("selector") or {}
            for key, service in self.services.objects.items()
            if key[0] == namespace
        )
        return [chosen for chosen in selectors if chosen and chosen.items() <= found]


def place(pod: Obj, snapshot: Snapshot) -> Decision:
    """Find the best node for a pod. Pure."""
    check = filters.check_for(pod, snapshot)
    results = [(info, check(info)) for info in snapshot.present()]
    feasible = [info for info, refused in results if refused is None]
    if feasible:
        return Decision(scores.best(pod, snapshot, feasible).name)
    return Decision(message=filters.fit_error(pod, [one for _, one in results if one]))


def _importance(pod: Obj) -> tuple[int, str, str]:
    metadata = pod["metadata"]
    return -(pod["spec"].get("priority") or 0), metadata["creationTimestamp"], metadata["name"]


def _alike(one: Obj, other: Obj) -> bool:
    """Tell whether two pods that wait are refused for the same reasons."""
    a, b = one["metadata"], other["metadata"]
    same = all(a.get(name) == b.get(name) for name in ("namespace", "labels"))
    return same and bool(one["spec"] == other["spec"])


def _node_facts(node: Obj) -> tuple[object, ...]:
    """Return what pods that wait may wait for."""
    return node.get("spec"), labels(node), (node.get("status") or {}).get("allocatable")
