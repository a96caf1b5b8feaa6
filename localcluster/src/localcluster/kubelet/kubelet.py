"""The kubelet: makes the pods that are bound to this node run, as processes.

It follows the API like a real kubelet does, and knows nothing of the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..addresses import Addresses
from ..apimachinery.client import Client
from ..apimachinery.conventions import NODE, real_ports
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Obj
from ..images.imagestore import Images, remove_tree
from ..paths import State
from . import podenv
from .following import Follower
from .node import Node, room
from .podworker import PodWorker
from .processes import Processes
from .servicenames import ServiceNames

log = logging.getLogger(__name__)


@dataclass
class Kubelet:
    """Runs the pods of one node."""

    client: Client
    state: State
    addresses: Addresses
    images: Images
    processes: Processes
    name: str = NODE
    workers: dict[str, PodWorker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.node = Node(self.client, self.name, self.addresses.node, self.state.root)
        self.recorder = Recorder(self.client, "kubelet", self.name)
        self.pods = Informer(
            self.client,
            "/api/v1/pods",
            self._pod_changed,
            {"fieldSelector": f"spec.nodeName={self.name}"},
        )
        self.services = Informer(self.client, "/api/v1/services", self._service_changed)
        self.follower = Follower(self.client)
        self.names = ServiceNames(self.state.root / "service-names")

    async def run(self) -> None:
        """Register the node, then follow its pods for ever."""
        await self.node.register()
        others = [
            asyncio.create_task(work)
            for work in (self.services.run(), self.recorder.run(), self.node.renew())
        ]
        try:
            await self.services.synced.wait()
            await self.pods.run()
        finally:
            for task in others:
                task.cancel()

    async def stop(self, seconds: float) -> None:
        """End all pods: ask them, wait a little, kill them."""
        workers = list(self.workers.values())
        for worker in workers:
            worker.abandon()
            worker.signal(signal.SIGTERM)
        tasks = [worker.task for worker in workers if not worker.task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for worker in workers:
            worker.signal(signal.SIGKILL)
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """Return what runs the pod of that name."""
        pod = self.pods.get(namespace, name)
        return self.workers.get(pod["metadata"]["uid"]) if pod else None

    def forget(self, worker: PodWorker) -> None:
        """The pod is over and gone: remove its files, while the others go on."""
        worker.volumes.close()
        self.workers.pop(worker.pod["metadata"]["uid"], None)
        asyncio.get_running_loop().run_in_executor(None, _remove, worker.folder)

    def took(self, pod: Obj) -> None:
        """Take in what an update of a pod returned."""
        self.pods.put(pod)

    async def fetch(self, plural: str, namespace: str, name: str) -> Obj:
        """Return a Secret or a ConfigMap."""
        return await self.client.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")

    def service_environment(self, pod: Obj) -> dict[str, str]:
        """Return the variables of the Services that are there now."""
        url = urlsplit(self.client.server)
        port = {"name": "https", "port": 443}
        kubernetes = {
            "metadata": {"name": "kubernetes"},
            "spec": {"clusterIP": str(url.hostname), "ports": [port]},
        }
        api = podenv.service_environment([kubernetes], lambda _: {"443": url.port})
        if pod["spec"].get("enableServiceLinks") is False:
            return api
        namespace = pod["metadata"]["namespace"]
        services = [
            service
            for key, service in sorted(self.services.objects.items())
            if key[0] == namespace and key != ("default", "kubernetes")
        ]
        return api | podenv.service_environment(services, real_ports)

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        self.names.changed(self.services.objects, real_ports)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            worker = self.workers.get(old["metadata"]["uid"])
            if worker:
                worker.vanish()
            return
        uid = new["metadata"]["uid"]
        worker = self.workers.get(uid)
        if worker is not None:
            worker.update(new)
        elif new["status"].get("phase") not in ("Succeeded", "Failed"):
            self.workers[uid] = worker = PodWorker(self, new)
            worker.update(new)

    def room(self) -> Obj:
        """Return how much the node has for pods."""
        return room(self.state.root)


def _remove(folder: Path) -> None:
    # The daemon may be removing it too, because the cluster ends.
    with contextlib.suppress(OSError):
        remove_tree(folder)
