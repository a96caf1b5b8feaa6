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
from ..apimachinery.resources import path_of
from .controller import Controller
from .cronjobs import CronJobController
from .deployments import DeploymentController
from .disruption import DisruptionController
from .endpoints import EndpointsController
from .garbagecollector import GarbageCollector
from .joborphans import JobOrphanController
from .jobs import JobController
from .namespaces import NamespaceController
from .ownerindex import OwnerIndex
from .podgc import PodGarbageCollector
from .replicasets import ReplicaSetController
from .scheduler import Scheduler
from .ttlafterfinished import TTLAfterFinishedController

_UNWATCHED = ("bindings", "events", "leases", "endpointslices")


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
        for resource in resources.ALL:
            if not resource.idle and resource.plural not in _UNWATCHED:
                informer = Informer(self.client, path_of(resource), objects=OwnerIndex())
                self.informers[resource.name] = informer
        self.parts = self._make()
        garbage = GarbageCollector(self.client, self.informers)
        for name, informer in self.informers.items():
            handlers = [told[name] for _, told in self.parts if name in told]
            informer.on_change = _all(*handlers, garbage.changed)
        self.parts.append((garbage, {}))

    def _make(self) -> list[tuple[Controller | Scheduler, dict[str, OnChange]]]:
        """Return the controllers, each with the resources that it is told of."""
        client, pods, nodes = self.client, self.informers["pods"], self.informers["nodes"]
        services, spaces = self.informers["services"], self.informers["namespaces"]
        budgets = self.informers["poddisruptionbudgets.policy"]
        jobs, crons = self.informers["jobs.batch"], self.informers["cronjobs.batch"]
        sets, rollouts = self.informers["replicasets.apps"], self.informers["deployments.apps"]
        job = JobController(client, jobs, pods, self.first_backoff)
        orphan = JobOrphanController(client, jobs, pods)
        cron = CronJobController(client, crons, jobs)
        lifetime = TTLAfterFinishedController(client, jobs)
        replica_set = ReplicaSetController(client, sets, pods)
        deployment = DeploymentController(client, rollouts, sets, pods)
        scheduler = Scheduler(client, pods, nodes)
        endpoints = EndpointsController(client, services, pods)
        disruption = DisruptionController(client, budgets, pods)
        pod_garbage = PodGarbageCollector(client, pods, nodes)
        namespace = NamespaceController(client, spaces, self.authority)
        return [
            (job, {"jobs.batch": job.job_changed, "pods": job.pod_changed}),
            (orphan, {"jobs.batch": orphan.job_changed, "pods": orphan.pod_changed}),
            (cron, {"cronjobs.batch": cron.cronjob_changed, "jobs.batch": cron.job_changed}),
            (lifetime, {"jobs.batch": lifetime.job_changed}),
            (
                replica_set,
                {"replicasets.apps": replica_set.set_changed, "pods": replica_set.pod_changed},
            ),
            (
                deployment,
                {
                    "deployments.apps": deployment.deployment_changed,
                    "replicasets.apps": deployment.set_changed,
                    "pods": deployment.pod_changed,
                },
            ),
            (scheduler, {"pods": scheduler.pod_changed, "nodes": scheduler.node_changed}),
            (endpoints, {"services": endpoints.service_changed, "pods": endpoints.pod_changed}),
            (
                disruption,
                {
                    "poddisruptionbudgets.policy": disruption.budget_changed,
                    "pods": disruption.pod_changed,
                },
            ),
            (pod_garbage, {"pods": pod_garbage.pod_changed, "nodes": pod_garbage.node_changed}),
            (
                namespace,
                {
                    "namespaces": namespace.changed,
                    "configmaps": namespace.content_changed,
                    "serviceaccounts": namespace.content_changed,
                },
            ),
        ]

    async def run(self) -> None:
        """Run all controllers until cancelled."""
        following = [informer.run() for informer in self.informers.values()]
        await asyncio.gather(*following, *(part.recorder.run() for part, _ in self.parts))

    def close(self) -> None:
        for part, _ in self.parts:
            part.queue.close()


def _all(*handlers: OnChange) -> OnChange:
    def tell(old: Obj | None, new: Obj | None) -> None:
        for handler in handlers:
            handler(old, new)

    return tell
