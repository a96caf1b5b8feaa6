"""The controller that deletes finished Jobs when their time to live is over.

https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.apierrors import ignored
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, key_of, seconds_since
from .controller import Controller
from .podstate import has_condition


@dataclass
class TTLAfterFinishedController(Controller):
    """Deletes finished Jobs, and their pods with them, after `ttlSecondsAfterFinished`."""

    jobs: Informer

    def job_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue a Job that changed."""
        if new is not None and new["spec"].get("ttlSecondsAfterFinished") is not None:
            self.queue.add(key_of(new))

    async def _sync(self, key: Key) -> None:
        job = self.jobs.get(*key)
        if job is None or job["metadata"].get("deletionTimestamp"):
            return
        lifetime = job["spec"].get("ttlSecondsAfterFinished")
        ended = has_condition(job, "Complete") or has_condition(job, "Failed")
        if lifetime is None or ended is None:
            return
        left = lifetime - seconds_since(ended["lastTransitionTime"])
        if left > 0:
            self.queue.add_after(key, left + 0.01)
            return
        # If it is the version that was read: whoever gave it a longer life is heard.
        with ignored(404, 409):
            await self.client.delete_same(job, propagationPolicy="Foreground", unchanged=True)
