"""Releases the pods of Jobs that are gone: the finalizer by which a Job counts them goes, too."""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.jsontypes import Key, Obj, controller_of, key_of
from .controller import Controller
from .jobpods import JobPods
from .jobrules import is_tracked
from .ownerindex import OwnedInformer


@dataclass
class JobOrphanController(Controller):
    """Follows the pods that carry a Job's finalizer, and releases those that nobody counts."""

    jobs: OwnedInformer
    pod_informer: OwnedInformer

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pods = JobPods(self.client, self.pod_informer, self.recorder)

    def job_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the pods of a Job that is gone."""
        if new is None and old is not None:
            for pod in self.pods.of(old):
                self.pod_changed(None, pod)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue a pod whose Job is not there."""
        if new is not None and is_tracked(new) and self._job_of(new) is None:
            self.queue.add(key_of(new))

    def _job_of(self, pod: Obj) -> Obj | None:
        reference = controller_of(pod)
        if reference is None:
            return None
        job = self.jobs.get(pod["metadata"]["namespace"], reference["name"])
        return job if job and job["metadata"]["uid"] == reference["uid"] else None

    async def _sync(self, key: Key) -> None:
        await self.jobs.synced.wait()
        pod = self.pod_informer.get(*key)
        if pod is not None and is_tracked(pod) and self._job_of(pod) is None:
            await self.pods.release([pod])
