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
from .scheduler.scheduler import Scheduler
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
        waits = self.waits
        self.parts: tuple[Controller, ...] = (
            JobController(client, jobs, pods, self.first_backoff),
            JobOrphanController(client, jobs, pods),
            TTLAfterFinishedController(client, jobs),
            CronJobController(client, crons, jobs),
            ReplicaSetController(client, sets, pods),
            DeploymentController(client, rollouts, sets, pods),
            Scheduler(client, pods, nodes, services, spaces),
            NodeLifecycleController(client, nodes, pods, waits),
            TaintEvictionController(client, pods, nodes, waits.eviction_share),
            EndpointsController(client, services, pods),
            DisruptionController(client, budgets, pods),
            PodGarbageCollector(client, pods, nodes, waits.quarantine_seconds),
            NamespaceController(client, spaces, self.authority),
            garbage := GarbageCollector(client, self.informers),
        )
        for name, informer in self.informers.items():
            method = f"{resources.named(name).kind.lower()}_changed"
            told = (getattr(part, method, None) for part in self.parts)
            informer.on_change = _all(*filter(None, told), garbage.changed)

    async def run(self) -> None:
        """Run all controllers until cancelled."""
        following = [informer.run() for informer in self.informers.values()]
        await asyncio.gather(*following, *(part.run() for part in self.parts))

    def close(self) -> None:
        for part in self.parts:
            part.queue.close()


def _all(*handlers: OnChange) -> OnChange:
    def tell(old: Obj | None, new: Obj | None) -> None:
        for handler in handlers:
            handler(old, new)

    return tell
