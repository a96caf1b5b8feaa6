"""ReplicaSet control: how the Deployment controller creates, scales and deletes them."""

from __future__ import annotations

from typing import Any

from ..apimachinery.apierrors import ignored
from ..apimachinery.jsontypes import Obj, owner_reference
from . import deploymentrules as rules
from .claims import Claims


class ReplicaSetControl(Claims):
    """Makes, changes and removes ReplicaSets."""

    async def create(self, deployment: Obj, old: list[Obj], number: int) -> Obj:
        """Create the ReplicaSet of the Deployment's present template."""
        spec, template = deployment["spec"], deployment["spec"]["template"]
        mark = {rules.HASH: rules.template_hash(template)}
        given = template.get("metadata") or {}
        marked = {**(given.get("labels") or {}), **mark}
        made: Obj = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{deployment['metadata']['name']}-{mark[rules.HASH]}",
                "namespace": deployment["metadata"]["namespace"],
                "labels": marked,
                "annotations": {**inherited_annotations(deployment), rules.REVISION: str(number)},
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": 0,
                "selector": {
                    **spec["selector"],
                    "matchLabels": {**(spec["selector"].get("matchLabels") or {}), **mark},
                },
                "template": {**template, "metadata": {**given, "labels": marked}},
            },
        }
        if spec.get("minReadySeconds"):
            made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        size = rules.new_size(deployment, [*old, made], made)
        made["spec"]["replicas"] = size
        path = f"/apis/apps/v1/namespaces/{deployment['metadata']['namespace']}/replicasets"
        created = await self.client.create(path, made)
        self.informer.put(created)
        if size:
            self._record_scaling(deployment, created, 0)
        return created

    async def scale(self, deployment: Obj, one: Obj, size: int) -> bool:
        """Scale a ReplicaSet; return whether that was a change."""
        before, sizes = rules.replicas(one), size_annotations(deployment)
        noted = rules.annotations_of(one)
        change: Obj = {}
        if before != size:
            change["spec"] = {"replicas": size}
        if any(noted.get(name) != value for name, value in sizes.items()):
            change["metadata"] = {"annotations": sizes}
        if not change:
            return False
        changed = await self.patch(one, change)
        # Whoever scaled goes on with what it holds in its hands.
        one.clear()
        one.update(changed)
        if before != size:
            self._record_scaling(deployment, changed, before)
        return before != size

    def _record_scaling(self, deployment: Obj, one: Obj, before: int) -> None:
        size, name = rules.replicas(one), one["metadata"]["name"]
        verb = "up" if size > before else "down"
        text = f"Scaled {verb} replica set {name} from {before} to {size}"
        self.recorder.event(deployment, "ScalingReplicaSet", text)

    async def patch(self, one: Obj, change: dict[str, Any]) -> Obj:
        """Change a ReplicaSet, if it still is the one that was read."""
        changed = await self.client.patch_same(one, change, unchanged=True)
        self.informer.put(changed)
        return changed

    async def delete(self, one: Obj) -> None:
        """Delete a ReplicaSet that nobody needs any more."""
        with ignored(404, 409):
            await self.client.delete_same(one, propagationPolicy="Background")


def inherited_annotations(deployment: Obj) -> dict[str, str]:
    """Return the annotations that a Deployment's newest ReplicaSet takes over."""
    copied = {
        k: v for k, v in rules.annotations_of(deployment).items() if k not in rules.NOT_INHERITED
    }
    return {**copied, **size_annotations(deployment)}


def size_annotations(deployment: Obj) -> dict[str, str]:
    """Return how large the Deployment is, and may be during an update, as annotations."""
    wanted = rules.replicas(deployment)
    most = wanted + rules.fence_posts(deployment)[0]
    return {rules.DESIRED: str(wanted), rules.MAX_REPLICAS: str(most)}
