"""The controllers of the cluster, over one set of informers.

Each follows the API and writes to the API; none knows of the others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from wqlib.localcluster.apimachinery import resources
from wqlib.localcluster.apimachinery.client import Client
from wqlib.localcluster.apimachinery.informer import Informer, OnChange
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.resources import path_of
from wqlib.localcluster.controllers.endpoints import Endpoints
from wqlib.localcluster.controllers.garbage import Garbage, Namespaces
from wqlib.localcluster.controllers.jobs import JobController
from wqlib.localcluster.controllers.scheduler import Scheduler


@dataclass
class Controllers:
    """All controllers over one set of informers.

    Args:
        authority: the API's CA certificate as PEM, which every namespace gets.
    """

    client: Client
    first_backoff: float = 10.0
    authority: str = ""
    informers: dict[str, Informer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        alone = ("bindings", "events", "leases", "endpointslices")
        followed = [r for r in resources.ALL if not r.idle and r.plural not in alone]
        for resource in followed:
            self.informers[resource.name] = Informer(self.client, path_of(resource))
        pods, jobs = self.informers["pods"], self.informers["jobs.batch"]
        services, namespaces = self.informers["services"], self.informers["namespaces"]
        self.jobs = JobController(self.client, jobs, pods, self.first_backoff)
        self.scheduler = Scheduler(self.client, pods, self.informers["nodes"])
        self.endpoints = Endpoints(self.client, services, pods)
        self.garbage = Garbage(self.client, self.informers)
        self.namespaces = Namespaces(self.client, namespaces, self.authority)
        jobs.on_change = self._both(self.jobs.job_changed, self.garbage.changed)
        pods.on_change = self._both(
            self.jobs.pod_changed,
            self.scheduler.pod_changed,
            self.endpoints.pod_changed,
            self.garbage.changed,
        )
        services.on_change = self._both(self.endpoints.service_changed, self.garbage.changed)
        namespaces.on_change = self._both(self.namespaces.changed)
        self.informers["nodes"].on_change = self.scheduler.node_changed
        for name, informer in self.informers.items():
            if name not in ("jobs.batch", "pods", "services", "namespaces", "nodes"):
                informer.on_change = self.garbage.changed
        for name in ("configmaps", "serviceaccounts"):
            self.informers[name].on_change = self._both(
                self.garbage.changed, self.namespaces.content_changed
            )

    @staticmethod
    def _both(*followers: OnChange) -> OnChange:
        def tell(old: Obj | None, new: Obj | None) -> None:
            for follower in followers:
                follower(old, new)

        return tell

    async def run(self) -> None:
        """Run all controllers for ever."""
        recorders = [self.jobs.recorder, self.scheduler.recorder]
        work = [*(i.run() for i in self.informers.values()), *(r.run() for r in recorders)]
        await asyncio.gather(*work)

    def close(self) -> None:
        for queue in (
            self.jobs.queue,
            self.scheduler.queue,
            self.endpoints.queue,
            self.garbage.queue,
            self.namespaces.queue,
        ):
            queue.close()
