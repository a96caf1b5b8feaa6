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

from ..addresses import Addresses
from ..apimachinery.client import Client
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Obj
from ..images.imagestore import Images, remove_tree
from ..paths import State
from .host import Host
from .node import Node
from .podworker import PodWorker
from .processes import Processes

log = logging.getLogger(__name__)


@dataclass
class Kubelet:
    """Runs the pods of one node."""

    client: Client
    state: State
    addresses: Addresses
    images: Images
    processes: Processes
    name: str
    workers: dict[str, PodWorker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.node = Node(self.client, self.name, self.addresses.node, self.state.root)
        self.host = Host(
            self.client,
            self.state,
            self.addresses,
            self.images,
            self.processes,
            Recorder(self.client, "kubelet", self.name),
        )
        self.pods = Informer(
            self.client,
            "/api/v1/pods",
            self._pod_changed,
            {"fieldSelector": f"spec.nodeName={self.name}"},
        )

    async def run(self) -> None:
        """Register the node, then follow its pods for ever."""
        host = self.host
        await self.node.register()
        others = [
            asyncio.create_task(work)
            for work in (host.services.run(), host.recorder.run(), self.node.renew_lease())
        ]
        try:
            await host.services.synced.wait()
            await self.pods.run()
        finally:
            for task in others:
                task.cancel()

    async def stop(self, seconds: float = 0.0) -> None:
        """End all pods, and tell the API nothing: ask them, wait a little, kill them.

        Args:
            seconds: How long to wait; 0 asks nobody, as when a machine loses its power.
        """
        workers = list(self.workers.values())
        for worker in workers:
            worker.shut_down()
            worker.signal(signal.SIGTERM if seconds else signal.SIGKILL)
        tasks = [worker.task for worker in workers if not worker.task.done()]
        if tasks and seconds:
            await asyncio.wait(tasks, timeout=seconds)
        for worker in workers:
            worker.signal(signal.SIGKILL)
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """Return the worker of the pod of that name, if it runs here."""
        known = self.pods.get(namespace, name)
        return self.workers.get(known["metadata"]["uid"]) if known else None

    def _forget(self, worker: PodWorker) -> None:
        """Remove the files of a pod that is over and gone, while the others go on."""
        self.workers.pop(worker.pod.metadata["uid"], None)
        asyncio.get_running_loop().run_in_executor(None, _remove, worker.pod.folder)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            worker = self.workers.get(old["metadata"]["uid"])
            if worker:
                worker.remove()
            return
        uid = new["metadata"]["uid"]
        worker = self.workers.get(uid)
        if worker is not None:
            worker.update(new)
        elif new["status"].get("phase") not in ("Succeeded", "Failed"):
            worker = PodWorker(self.host, new, self.pods.put, self._forget)
            self.workers[uid] = worker
            worker.update(new)


def _remove(folder: Path) -> None:
    # The daemon may be removing it too, because the cluster ends.
    with contextlib.suppress(OSError):
        remove_tree(folder)
