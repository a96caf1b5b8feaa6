"""The controllers of the cluster, over one set of informers.

Each follows the API and writes to the API; none knows of the others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ..apimachinery import resources
from ..apimachinery.client import Client
from ..apimachinery.informer import Informer, OnChange
from ..apimachinery.jsontypes import Obj
from ..apimachinery.keyqueue import KeyQueue
from ..apimachinery.profile import profile
from ..apimachinery.resources import path_of
from .deployments import DeploymentController
from .endpoints import EndpointsController
from .garbagecollector import GarbageCollector
from .jobs import JobController
from .legacyjobs import LegacyJobController
from .namespaces import NamespaceController
from .ownerindex import OwnerIndex
from .replicasets import ReplicaSetController
from .scheduler import Scheduler
from .ttlafterfinished import TTLAfterFinishedController


@dataclass
class Controllers:
    """All controllers over one set of informers.

    Args:
        authority: The API's CA certificate as PEM, which every namespace gets.
    """

    client: Client
    first_backoff: float = 10.0
    authority: str = ""
    informers: dict[str, Informer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unwatched = ("bindings", "events", "leases", "endpointslices")
        watched = [r for r in resources.ALL if not r.idle and r.plural not in unwatched]
        for resource in watched:
            informer = Informer(self.client, path_of(resource), objects=OwnerIndex())
            self.informers[resource.name] = informer
        pods, jobs = self.informers["pods"], self.informers["jobs.batch"]
        sets, rollouts = self.informers["replicasets.apps"], self.informers["deployments.apps"]
        services, namespaces = self.informers["services"], self.informers["namespaces"]
        kind = JobController if profile().modern else LegacyJobController
        self.jobs = kind(self.client, jobs, pods, self.first_backoff)
        self.lifetimes = TTLAfterFinishedController(self.client, jobs)
        self.sets = ReplicaSetController(self.client, sets, pods)
        self.deployments = DeploymentController(self.client, rollouts, sets, pods)
        self.scheduler = Scheduler(self.client, pods, self.informers["nodes"])
        self.endpoints = EndpointsController(self.client, services, pods)
        self.garbage = GarbageCollector(self.client, self.informers)
        self.namespaces = NamespaceController(self.client, namespaces, self.authority)
        handlers: dict[str, list[OnChange]] = {
            "configmaps": [self.namespaces.content_changed],
            "serviceaccounts": [self.namespaces.content_changed],
            "jobs.batch": [self.jobs.job_changed, self.lifetimes.job_changed],
            "pods": [
                self.jobs.pod_changed,
                self.sets.pod_changed,
                self.deployments.pod_changed,
                self.scheduler.pod_changed,
                self.endpoints.pod_changed,
            ],
            "replicasets.apps": [self.sets.set_changed, self.deployments.set_changed],
            "deployments.apps": [self.deployments.deployment_changed],
            "services": [self.endpoints.service_changed],
            "namespaces": [self.namespaces.changed],
            "nodes": [self.scheduler.node_changed],
        }
        for name, informer in self.informers.items():
            informer.on_change = self._all(*handlers.get(name, []), self.garbage.changed)

    @staticmethod
    def _all(*handlers: OnChange) -> OnChange:
        def tell(old: Obj | None, new: Obj | None) -> None:
            for handler in handlers:
                handler(old, new)

        return tell

    @property
    def _queues(self) -> list[KeyQueue]:
        return [
            self.jobs.queue,
            self.jobs.orphans,
            self.lifetimes.queue,
            self.sets.queue,
            self.deployments.queue,
            self.scheduler.queue,
            self.endpoints.queue,
            self.garbage.queue,
            self.namespaces.queue,
        ]

    async def run(self) -> None:
        """Run all controllers until cancelled."""
        speakers = (self.jobs, self.sets, self.deployments, self.scheduler)
        work = [*(i.run() for i in self.informers.values()), *(s.recorder.run() for s in speakers)]
        await asyncio.gather(*work)

    def close(self) -> None:
        for queue in self._queues:
            queue.close()
