"""One pod on its node: what all that is done for it needs to know of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from ..apimachinery.jsontypes import Obj, now, whole_number
from .containers import Container
from .host import Host
from .podenv import Resolver


class Pod:
    """A pod's manifest, its containers, and how far it has come.

    Attributes:
        manifest: The pod as the API has it now.
        ports: Which ports of the machine stand for its own, where pods share an address.
        sandbox_ready: Whether its volumes are there and it has its address.
        initialized: Whether its init containers have done their part.
        stopping: Set when its processes are to end; `deadline` says when at the latest.
        finished: Whether nothing of it runs any more.
        conditions: Those that the kubelet set last; `foreign_conditions` are set by others.
        failure: The reason and the message of a pod that failed as a whole.
        rejected: Whether nothing of the pod was begun, since it asks for what there is not.
        statuses: What the API is to be told, the latest last; None at the end.
    """

    def __init__(self, host: Host, manifest: Obj) -> None:
        self.host = host
        self.manifest = manifest
        self.folder: Path = host.state.pods / str(manifest["metadata"]["uid"])
        self.address = host.addresses.pod()
        self.ports: dict[str, int] = {}
        spec = manifest["spec"]
        self.init = [Container(c, self.folder, init=True) for c in spec.get("initContainers") or []]
        self.main = [Container(c, self.folder) for c in spec["containers"]]
        for container in self.containers if self.init else []:
            container.set_waiting("PodInitializing")
        self.stopping = asyncio.Event()
        self.deadline: float | None = None
        self.finished = self.sandbox_ready = self.initialized = self.rejected = False
        self.failure: tuple[str, str] | None = None
        self.started_at = now()
        self.conditions: dict[str, Obj] = {}
        self.foreign_conditions: dict[str, Obj] = {}
        self.statuses: asyncio.Queue[Obj | None] = asyncio.Queue()
        self.last_status: Obj | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def containers(self) -> list[Container]:
        return [*self.init, *self.main]

    @property
    def metadata(self) -> Obj:
        metadata: Obj = self.manifest["metadata"]
        return metadata

    @property
    def full_name(self) -> str:
        """The pod's name in the messages of a kubelet."""
        return f"{self.metadata['name']}_{self.metadata['namespace']}({self.metadata['uid']})"

    def mark(self, container: Container) -> str:
        """Return what tells the processes of one run of a container from all others."""
        uid = self.metadata["uid"]
        return f"{self.host.processes.mark}.{uid}.{container.name}.{container.restarts}"

    def find(self, name: str) -> Container | None:
        """Return the container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def restart_policy(self, container: Container) -> str:
        """Return the restart policy of a container."""
        policy = str(self.manifest["spec"].get("restartPolicy", "Always"))
        if container.sidecar:
            return "Always"
        return "OnFailure" if container.init and policy == "Always" else policy

    def resolver(self) -> Resolver:
        """Return what finds the values that its manifest refers to."""
        host = self.host
        node_ip, capacity = host.addresses.node, host.capacity()
        return Resolver(self.manifest, self.address, node_ip, host.fetch, capacity)

    def real_port(self, port: int | str) -> int:
        """Return the port of the machine on which the pod's port is found."""
        if isinstance(port, str) and whole_number(port) is None:
            for container in self.main:
                for declared in container.spec.get("ports") or []:
                    if declared.get("name") == port:
                        port = int(declared["containerPort"])
        if isinstance(port, str) and whole_number(port) is None:
            raise ValueError(f"the pod has no port named {port}")
        return self.ports.get(str(port), int(port))

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the pod."""
        for container in self.containers:
            if container.process:
                container.process.signal(number)

    def event(
        self, reason: str, message: str, container: Container | None = None, kind: str = "Normal"
    ) -> None:
        """Record an event about the pod, or about one of its containers."""
        part = ""
        if container is not None:
            listed = "initContainers" if container in self.init else "containers"
            part = f"spec.{listed}{{{container.name}}}"
        self.host.recorder.event(self.manifest, reason, message, kind=kind, part=part)

    def background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a task that ends with the pod at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel_background(self) -> None:
        """End the tasks that run in the background."""
        for task in list(self._tasks):
            task.cancel()

    async def pause(self, seconds: float) -> bool:
        """Wait; return True, before the time is over, when the pod is to end."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True
