"""Pod control: how controllers create and delete pods, with events."""

from __future__ import annotations

import asyncio

from ..apimachinery.apierrors import ignored
from ..apimachinery.jsontypes import Obj, owner_reference, random_suffix
from .claims import Claims

# The longest start of a generated name: with its five characters it is a label's 63.
_LONGEST_PREFIX = 58
# How many pods one sync creates at most; when they are there, it is the turn of the next.
BURST = 500


class PodControl(Claims):
    """Claims, creates, patches and deletes the pods of one kind of controller."""

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
            with ignored(404, 409):
                self.informer.put(await self.client.delete_same(pod))
                text = f"Deleted pod: {pod['metadata']['name']}"
                self.recorder.event(owner, "SuccessfulDelete", text)

        await asyncio.gather(*(delete(pod) for pod in pods))
