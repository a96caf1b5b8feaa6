"""The disruption controller: counts how many pods of a PodDisruptionBudget may be evicted.

https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery import resources
from ..apimachinery.apierrors import ignored
from ..apimachinery.disruption import covers, with_condition
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, controller_of, deep_copy, seconds_since
from .controller import Controller
from .deploymentrules import resolve
from .podstate import is_ready

# An evicted pod that is still there after so long was not deleted at all.
_DELETION_SECONDS = 120.0
_SCALED_OTHERWISE = ("StatefulSet", "ReplicationController")


@dataclass
class DisruptionController(Controller):
    """Follows PodDisruptionBudgets and pods, and keeps the status of the budgets."""

    budgets: Informer
    pods: Informer
    component = "controllermanager"

    poddisruptionbudget_changed = Controller.enqueue

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the budgets of a pod that changed."""
        for pod in filter(None, (old, new)):
            for key, budget in self.budgets.objects.items():
                if key[0] == pod["metadata"]["namespace"] and covers(budget, pod):
                    self.queue.add(key)

    async def _sync(self, key: Key) -> None:
        budget = self.budgets.get(*key)
        if budget is None:
            return
        await self.pods.synced.wait()
        known = budget.get("status") or {}
        try:
            status = await self._status(key, budget)
        except ValueError as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.event(budget, "CalculateExpectedPodCountFailed", text, kind="Warning")
            status = with_condition({**known, "disruptionsAllowed": 0}, "SyncFailed", str(error))
        if status != known:
            await self.write_status(self.budgets, budget, deep_copy(status))

    async def _status(self, key: Key, budget: Obj) -> Obj:
        found = self.pods.objects.items()
        pods = [pod for (space, _), pod in found if space == key[0] and covers(budget, pod)]
        if not pods:
            self.recorder.event(budget, "NoPods", "No matching pods found")
        expected, desired = await self._expected(budget, pods)
        known = budget.get("status") or {}
        disrupted = self._disrupted(key, pods, known.get("disruptedPods") or {})
        healthy = sum(1 for pod in pods if _is_healthy(pod, disrupted))
        status = {
            "disruptionsAllowed": max(0, healthy - desired) if expected > 0 else 0,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "observedGeneration": budget["metadata"]["generation"],
            **({"disruptedPods": disrupted} if disrupted else {}),
            "conditions": known.get("conditions") or [],
        }
        return with_condition(status)

    def _disrupted(self, key: Key, pods: list[Obj], known: dict[str, str]) -> dict[str, str]:
        """Return the evicted pods whose deletion is not yet seen, and check again later."""
        alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        left: dict[str, str] = {}
        for pod in alive:
            name = pod["metadata"]["name"]
            if name not in known:
                continue
            wait = _DELETION_SECONDS - seconds_since(known[name])
            if wait < 0:
                text = f"Pod was expected by PDB {key[0]}/{key[1]} to be deleted but it wasn't"
                self.recorder.event(pod, "NotDeleted", text, kind="Warning")
            else:
                left[name] = known[name]
                self.queue.add_after(key, wait + 0.01)
        return left

    async def _expected(self, budget: Obj, pods: list[Obj]) -> tuple[int, int]:
        """Return how many pods there should be, and how many of them healthy.

        Raises:
            ValueError: Nobody knows how many pods there should be.
        """
        least, most = (budget["spec"].get(name) for name in ("minAvailable", "maxUnavailable"))
        if most is None and isinstance(least, int):
            return len(pods), least
        if most is None and least is None:
            return 0, 0
        expected = await self._expected_scale(budget, pods)
        if most is not None:
            return expected, max(0, expected - resolve(most, expected, up=True))
        return expected, resolve(str(least), expected, up=True)

    async def _expected_scale(self, budget: Obj, pods: list[Obj]) -> int:
        """Return how many pods the controllers of these pods want in all."""
        scales: dict[str, int] = {}
        owners: dict[str, str] = {}
        unmanaged = False
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                unmanaged = True
            elif reference["uid"] not in owners:
                uid, scale = await self._scale(pod, reference)
                owners[reference["uid"]] = uid
                scales[uid] = scale
        if unmanaged:
            text = (
                "Pods selected by this PodDisruptionBudget (selector:"
                f" {_go_text(budget['spec']['selector'])}) were found to be unmanaged. As a result,"
                " the status of the PDB cannot be calculated correctly, which may result in"
                " undefined behavior. To account for these pods please set"
                ' ".spec.minAvailable" field of the PDB to an integer value.'
            )
            self.recorder.event(budget, "UnmanagedPods", text, kind="Warning")
        return sum(scales.values())

    async def _scale(self, pod: Obj, reference: Obj) -> tuple[str, int]:
        """Return the uid of the controller that sets the number of a pod's kind, and its number."""
        resource = resources.find_kind(reference["apiVersion"], reference["kind"])
        lost = ValueError(f'found no controllers for pod "{pod["metadata"]["name"]}"')
        if resource is None:
            raise lost
        if "scale" not in resource.subresources and resource.kind not in _SCALED_OTHERWISE:
            raise ValueError(f"{resource.name} does not implement the scale subresource")
        owner: Obj | None = None
        with ignored(404):
            path = resources.path_of(resource, pod["metadata"]["namespace"], reference["name"])
            owner = await self.client.get(path)
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            raise lost
        above = controller_of(owner)
        if resource.kind == "ReplicaSet" and above and above["kind"] == "Deployment":
            return await self._scale(pod, above)
        return owner["metadata"]["uid"], owner["spec"].get("replicas", 1)


def _is_healthy(pod: Obj, disrupted: dict[str, str]) -> bool:
    metadata = pod["metadata"]
    leaving = metadata.get("deletionTimestamp") or metadata["name"] in disrupted
    return is_ready(pod) and not leaving


def _go_text(selector: Obj) -> str:
    """Return a selector as the real server prints it into this Event."""
    wanted = sorted((selector.get("matchLabels") or {}).items())
    pairs = "".join(f"{key}: {value}," for key, value in wanted)
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or [])}],}},"
        for one in selector.get("matchExpressions") or []
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
