"""The controllers of the cluster, over one set of informers.

Each follows the API and writes to the API; none knows of the others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ..apimachinery import resources
from ..apimachinery.client import Client
from ..apimachinery.informer import OnChange
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
from .nodelifecycle import NodeLifecycleController, NodeWaits
from .ownerindex import OwnedInformer
from .podgc import PodGarbageCollector
from .replicasets import ReplicaSetController
from .scheduler import Scheduler
from .tainteviction import TaintEvictionController
from .ttlafterfinished import TTLAfterFinishedController

_UNWATCHED = ("events", "endpointslices")


@dataclass
class Controllers:
    """All controllers over one set of informers.

    Args:
        authority: The API's CA certificate as PEM, which every namespace gets.
        waits: How long a silent node is waited for.
    """

    client: Client
    first_backoff: float = 10.0
    authority: str = ""
    waits: NodeWaits = field(default_factory=NodeWaits)
    informers: dict[str, OwnedInformer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for resource in resources.ALL:
            watched = "watch" in resource.verbs and resource.plural not in _UNWATCHED
            if watched and not resource.idle:
                self.informers[resource.name] = OwnedInformer(self.client, path_of(resource))
        client, pods, nodes = self.client, self.informers["pods"], self.informers["nodes"]
        jobs, crons = self.informers["jobs.batch"], self.informers["cronjobs.batch"]
        sets, rollouts = self.informers["replicasets.apps"], self.informers["deployments.apps"]
        services, spaces = self.informers["services"], self.informers["namespaces"]
        budgets = self.informers["poddisruptionbudgets.policy"]
        job = JobController(client, jobs, pods, self.first_backoff)
        orphan = JobOrphanController(client, jobs, pods)
        lifetime = TTLAfterFinishedController(client, jobs)
        cron = CronJobController(client, crons, jobs)
        replica_set = ReplicaSetController(client, sets, pods)
        deployment = DeploymentController(client, rollouts, sets, pods)
        scheduler = Scheduler(client, pods, nodes, services, spaces)
        self.lifecycle = NodeLifecycleController(client, nodes, pods, self.waits)
        eviction = TaintEvictionController(client, pods, nodes, self.waits.eviction_share)
        endpoints = EndpointsController(client, services, pods)
        disruption = DisruptionController(client, budgets, pods)
        lost = PodGarbageCollector(client, pods, nodes, self.waits.quarantine_seconds)
        garbage = GarbageCollector(client, self.informers)
        namespace = NamespaceController(client, spaces, self.authority)
        self.parts: tuple[Controller, ...] = (
            *(job, orphan, lifetime, cron, replica_set, deployment),
            *(scheduler, self.lifecycle, eviction),
            *(endpoints, disruption, lost, garbage, namespace),
        )
        told: dict[str, list[OnChange]] = {
            "configmaps": [namespace.content_changed],
            "cronjobs.batch": [cron.cronjob_changed],
            "deployments.apps": [deployment.deployment_changed],
            "jobs.batch": [
                job.job_changed,
                orphan.job_changed,
                lifetime.job_changed,
                cron.job_changed,
            ],
            "namespaces": [namespace.changed],
            "leases.coordination.k8s.io": [self.lifecycle.lease_changed],
            "nodes": [
                scheduler.node_changed,
                self.lifecycle.node_changed,
                eviction.node_changed,
                lost.node_changed,
            ],
            "poddisruptionbudgets.policy": [disruption.budget_changed],
            "pods": [
                job.pod_changed,
                orphan.pod_changed,
                replica_set.pod_changed,
                deployment.pod_changed,
                scheduler.pod_changed,
                self.lifecycle.pod_changed,
                eviction.pod_changed,
                endpoints.pod_changed,
                disruption.pod_changed,
                lost.pod_changed,
            ],
            "replicasets.apps": [replica_set.set_changed, deployment.set_changed],
            "serviceaccounts": [namespace.content_changed],
            "services": [endpoints.service_changed],
        }
        for name, informer in self.informers.items():
            informer.on_change = _all(*told.get(name, []), garbage.changed)

    async def run(self) -> None:
        """Run all controllers until cancelled."""
        following = [informer.run() for informer in self.informers.values()]
        recording = [part.recorder.run() for part in self.parts]
        await asyncio.gather(*following, *recording, self.lifecycle.monitor())

    def close(self) -> None:
        for part in self.parts:
            part.queue.close()


def _all(*handlers: OnChange) -> OnChange:
    def tell(old: Obj | None, new: Obj | None) -> None:
        for handler in handlers:
            handler(old, new)

    return tell
