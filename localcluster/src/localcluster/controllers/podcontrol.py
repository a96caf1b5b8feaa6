"""Pod control: how controllers create and delete pods, with events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..apimachinery.apierrors import ignored
from ..apimachinery.client import STRATEGIC, Client, pod_path
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Obj, owner_reference, random_suffix
from .ownerindex import OwnerIndex, selects

# The longest start of a generated name: with its five characters it is a label's 63.
_LONGEST_PREFIX = 58


@dataclass
class PodControl:
    """Claims, creates, patches and deletes the pods of one kind of controller."""

    client: Client
    informer: Informer
    recorder: Recorder

    @property
    def owned(self) -> OwnerIndex:
        """Return the cache of all pods, by their owners."""
        objects = self.informer.objects
        assert isinstance(objects, OwnerIndex)
        return objects

    async def claim(
        self, owner: Obj, adoptable: Callable[[Obj], bool], finalizer: str = ""
    ) -> list[Obj]:
        """Return the pods of `owner`; adopt those that match, and release those that do not.

        Args:
            adoptable: Tells whether a pod without a controller may be adopted.
            finalizer: What adopted pods get and released ones lose, if anything.
        """
        lost = {"ownerReferences": [{"$patch": "delete", "uid": owner["metadata"]["uid"]}]}
        gained: Obj = {"ownerReferences": [owner_reference(owner)]}
        if finalizer:
            gained["finalizers"] = [finalizer]

        def released(pod: Obj) -> Obj:
            known = finalizer in (pod["metadata"].get("finalizers") or [])
            return {**lost, "$deleteFromPrimitiveList/finalizers": [finalizer]} if known else lost

        mine = self.owned.controlled_by(owner)
        await self.patch([pod for pod in mine if not selects(owner, pod)], released)
        if not owner["metadata"].get("deletionTimestamp"):
            free = self.owned.uncontrolled(owner["metadata"]["namespace"])
            orphans = [pod for pod in free if adoptable(pod) and selects(owner, pod)]
            await self.patch(orphans, lambda _pod: gained)
        return [pod for pod in self.owned.controlled_by(owner) if selects(owner, pod)]

    async def create(self, owner: Obj, templates: list[Obj]) -> list[Obj]:
        """Create a pod of each template, in growing batches, so that a hopeless one fails once."""
        created: list[Obj] = []
        batch = 1
        while len(created) < len(templates):
            now = templates[len(created) : len(created) + batch]
            made = await asyncio.gather(
                *(self._create(owner, template) for template in now), return_exceptions=True
            )
            created += [pod for pod in made if isinstance(pod, dict)]
            for error in made:
                if isinstance(error, BaseException):
                    text = f"Error creating: {error}"
                    self.recorder.event(owner, "FailedCreate", text, kind="Warning")
                    raise error
            batch *= 2
        return created

    async def _create(self, owner: Obj, template: Obj) -> Obj:
        metadata = owner["metadata"]
        given = template.get("metadata") or {}
        prefix = str(given.get("generateName") or f"{metadata['name']}-")
        kept = ("labels", "annotations", "finalizers")
        pod: Obj = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": prefix,
                # Named here: if the reply is lost, the same pod is not made twice.
                "name": prefix[:_LONGEST_PREFIX] + random_suffix(),
                **{name: given[name] for name in kept if given.get(name)},
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": template["spec"],
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods"
        created = await self.client.create(path, pod)
        self.informer.put(created)
        text = f"Created pod: {created['metadata']['name']}"
        self.recorder.event(owner, "SuccessfulCreate", text)
        return created

    async def delete(self, owner: Obj, pods: list[Obj]) -> None:
        """Delete pods of `owner`; those that are gone already do not matter."""

        async def delete(pod: Obj) -> None:
            metadata = pod["metadata"]
            text = f"Deleted pod: {metadata['name']}"
            path = pod_path(metadata["namespace"], metadata["name"])
            with ignored(404, 409):
                last = await self.client.delete(path, preconditions={"uid": metadata["uid"]})
                self.informer.put(last)
                self.recorder.event(owner, "SuccessfulDelete", text)

        await asyncio.gather(*(delete(pod) for pod in pods))

    async def patch(self, pods: list[Obj], change: Callable[[Obj], Obj]) -> None:
        """Change the metadata of pods; those that are gone already do not matter."""

        async def patch(pod: Obj) -> None:
            metadata = pod["metadata"]
            body = {"metadata": {"uid": metadata["uid"], **change(pod)}}
            path = pod_path(metadata["namespace"], metadata["name"])
            with ignored(404, 409):
                self.informer.put(await self.client.patch(path, body, STRATEGIC))

        await asyncio.gather(*(patch(pod) for pod in pods))
