"""The life of one pod on the node: from its binding to the end of its last process.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import pod_path
from ..apimachinery.conventions import ports_change
from ..apimachinery.jsontypes import Obj, now
from .backoff import Backoff
from .containerstate import EPHEMERAL, INIT, LISTED_IN, MAIN, SIDECAR, ContainerState
from .containerworker import MIN_GRACE_SECONDS, ContainerWorker
from .host import Host
from .node import lacking
from .pod import Pod
from .podstatus import OWN_CONDITIONS, PodState, pod_status
from .statuswriter import RETRY_SECONDS, StatusWriter, temporary

log = logging.getLogger(__name__)

_FIRST_MOUNT_DELAY, _LONGEST_MOUNT_DELAY = 0.5, 8.0


class PodWorker:
    """Brings one pod to life, keeps its status true, and ends it.

    Args:
        written: Takes in the pod as an update of its status returned it.
        forget: Called when the pod is over and gone.

    Attributes:
        pod: What its containers share.
        containers: Those of its containers, of all kinds.
        deleted: Set when somebody deleted the pod; `removed` when the API has it no more.
    """

    def __init__(
        self,
        host: Host,
        manifest: Obj,
        written: Callable[[Obj], None],
        forget: Callable[[PodWorker], None],
    ) -> None:
        self.host = host
        self.pod = Pod(host, manifest)
        self.containers = [self._container(*found) for found in _declared(manifest["spec"])]
        self.deleted, self.removed = asyncio.Event(), asyncio.Event()
        self._forget = forget
        self._writer = StatusWriter(host.client, self.pod.metadata, written)
        self._started_at = now()
        self._conditions: dict[str, Obj] = {}
        self._failure: tuple[str, str] | None = None
        self._lacking = ""
        self._finished = self._sandbox_ready = self._rejected = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lives: dict[str, asyncio.Task[bool]] = {}
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._deadline_timer: asyncio.TimerHandle | None = None
        self.task = loop.create_task(self._run())

    def find(self, name: str) -> ContainerWorker | None:
        """Return the container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the pod."""
        for container in self.containers:
            container.signal(number)

    def update(self, manifest: Obj) -> None:
        """Take in a new version of the pod; it may ask to end."""
        before, self.pod.manifest = self.pod.manifest, manifest
        for condition in (manifest.get("status") or {}).get("conditions") or []:
            # Remembered, for an update of ours may just have overwritten it.
            if condition["type"] not in OWN_CONDITIONS:
                self._conditions[condition["type"]] = condition
            else:
                self._conditions.setdefault(condition["type"], condition)
        metadata, earlier = manifest["metadata"], before["metadata"]
        if any(earlier.get(name) != metadata.get(name) for name in ("labels", "annotations")):
            self._refresh_volumes()
        if manifest["spec"] != before["spec"] and not self._finished:
            self._set_deadline_timer()
            self._update_containers(manifest["spec"])
            self._publish()
        if metadata.get("deletionTimestamp"):
            self.deleted.set()
            self._terminate(float(metadata.get("deletionGracePeriodSeconds") or 0))

    def remove(self) -> None:
        """End the pod's processes at once: the API has it no more."""
        self._writer.silent = True
        self.deleted.set()
        self.removed.set()
        self._terminate(0.0)

    def shut_down(self) -> None:
        """Start nothing more, and tell the API nothing: the node goes down."""
        self._writer.silent = True
        for event in (self.pod.stopping, self.deleted, self.removed):
            event.set()

    def _container(self, kind: str, spec: Obj) -> ContainerWorker:
        state = ContainerState(spec, kind)
        if kind != EPHEMERAL and self.pod.manifest["spec"].get("initContainers"):
            state = state.waits("PodInitializing")
        return ContainerWorker(self.pod, state, self._publish)

    def _of(self, *kinds: str) -> list[ContainerWorker]:
        return [c for c in self.containers if c.state.kind in kinds]

    def _update_containers(self, spec: Obj) -> None:
        known = [(c, part) for _, part in _declared(spec) if (c := self.find(part["name"]))]
        resized = any(_resources(c.state.spec) != _resources(part) for c, part in known)
        self._lacking = lacking(spec, self.host.capacity()) if resized else ""
        for kind, part in _declared(spec):
            container = self.find(part["name"])
            if container is not None:
                resources = _resources(container.state.spec if self._lacking else part)
                container.update({**part, "resources": resources})
            elif kind == EPHEMERAL:
                self.containers.append(self._container(kind, part))
        self._start_ephemeral()

    def _start_ephemeral(self) -> None:
        """Start the containers that somebody added to look into the pod."""
        if self._sandbox_ready and not self.pod.stopping.is_set():
            for container in self._of(EPHEMERAL):
                if container.name not in self._lives:
                    self._start(container)

    def _start(self, container: ContainerWorker) -> asyncio.Task[bool]:
        task = self._lives[container.name] = self._background(container.live())
        return task

    def _refresh_volumes(self) -> None:
        if not self._finished:
            self._background(self.pod.volumes.refresh(self.pod.resolver()))

    def _terminate(self, grace: float) -> None:
        pod = self.pod
        if self._finished:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if pod.deadline is not None and deadline >= pod.deadline:
            return
        first, pod.deadline = pod.deadline is None, deadline
        if grace <= 0:
            self.signal(signal.SIGKILL)
        elif first:
            self._stop_containers(grace)
        # Each sidecar gets a moment of its own, after those that it serves.
        turns = 1 + len(self._of(SIDECAR))
        loop.call_later(grace + turns * MIN_GRACE_SECONDS, self.signal, signal.SIGKILL)
        if not first:
            loop.call_later(max(grace, 0), self.signal, signal.SIGKILL)
        pod.stopping.set()

    def _stop_containers(self, grace: float) -> None:
        """End all containers together, but the sidecars in turn, the last one first."""
        for container in self._of(INIT, MAIN, EPHEMERAL):
            container.stop(grace=grace)
        later = {self._lives[c.name] for c in self._of(INIT, MAIN) if c.name in self._lives}
        for container in reversed(self._of(SIDECAR)):
            container.stop(grace=grace, after=set(later))
            later |= {life for name, life in self._lives.items() if name == container.name}

    def _set_deadline_timer(self) -> None:
        """End the pod when its `activeDeadlineSeconds` are over; they may be changed."""
        seconds = self.pod.manifest["spec"].get("activeDeadlineSeconds")
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._deadline_timer = loop.call_at(self._began + float(seconds), self._exceed_deadline)

    def _exceed_deadline(self) -> None:
        if self._finished or self.pod.deadline is not None:
            return
        text = "Pod was active on the node longer than the specified deadline"
        self._failure = ("DeadlineExceeded", text)
        self.pod.events().normal(*self._failure)
        self._terminate(self.pod.grace_seconds)

    async def _run(self) -> None:
        pod = self.pod
        sender = asyncio.get_running_loop().create_task(self._writer.run())
        self._set_deadline_timer()
        try:
            await self._run_containers()
        except Exception:
            log.exception("pod %s", pod.metadata["name"])
            self._failure = ("KubeletError", "the local cluster failed; see its daemon.log")
            self.signal(signal.SIGKILL)
        finally:
            self._finished = True
            pod.volumes.close()
            for task in list(self._tasks):
                task.cancel()
            if self._deadline_timer is not None:
                self._deadline_timer.cancel()
        begun = all(c.state.ready for c in self._of(INIT))
        begun = begun and all(c.state.container_id for c in self._of(SIDECAR))
        for container in self.containers:
            container.conclude(expected=begun and pod.deadline is not None)
        self._publish()
        self._writer.close()
        await sender
        await self._finish()
        if pod.metadata.get("deletionTimestamp") or self._writer.silent:
            self._forget(self)
            # They know how to call their pod's worker: such a ring would stay for long.
            self.containers.clear()

    async def _run_containers(self) -> None:
        pod = self.pod
        problem = pod.volumes.unsupported()
        if problem:
            self._rejected = True
            self._failure = ("VolumeNotSupported", problem)
            pod.events().warning("FailedMount", problem)
            return
        pod.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._publish_ports()
        self._publish()
        backoff = Backoff(_FIRST_MOUNT_DELAY, _LONGEST_MOUNT_DELAY)
        while problem := await pod.volumes.mount(pod.resolver()):
            pod.events().warning("FailedMount", problem)
            if await pod.pause(backoff.next()):
                return
        pod.volumes.watch(pod.metadata["namespace"], self._refresh_volumes)
        self._sandbox_ready = True
        self._start_ephemeral()
        try:
            await self._run_in_order()
        finally:
            await self._end_others()

    async def _run_in_order(self) -> None:
        """Run the init containers one after the other, then the others together."""
        for container in self._of(INIT, SIDECAR):
            life = self._start(container)
            if container.state.kind == SIDECAR:
                started = self._background(container.started.wait())
                await asyncio.wait({life, started}, return_when=asyncio.FIRST_COMPLETED)
                started.cancel()
                if life.done():  # the pod is to end, or something of ours failed
                    await life
                    return
            elif not await life:
                return
            self._publish()
        await asyncio.gather(*[self._start(container) for container in self._of(MAIN)])

    async def _end_others(self) -> None:
        """End what runs beside the main containers once these are over."""
        self.pod.stopping.set()
        if self.pod.deadline is None:
            self._stop_containers(self.pod.grace_seconds)
        if self._lives:
            await asyncio.wait(self._lives.values())

    def _background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a task that ends with the pod at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _publish(self) -> None:
        """Have the pod's status sent to the API, in its turn, if it has changed."""
        status = pod_status(
            PodState(
                self.pod.manifest,
                [c.state for c in self.containers],
                started_at=self._started_at,
                moment=now(),
                conditions=self._conditions,
                host_address=self.host.addresses.node,
                address=self.pod.address if self._sandbox_ready else "",
                stopping=self.pod.stopping.is_set(),
                failure=self._failure,
                rejected=self._rejected,
                lacking=self._lacking,
            )
        )
        self._conditions |= {c["type"]: c for c in status["conditions"]}
        self._writer.put(status)

    async def _finish(self) -> None:
        """Tell the API, once the pod is deleted, that its processes have ended."""
        if not self._writer.silent:
            await self.deleted.wait()
        metadata = self.pod.metadata
        path = pod_path(metadata["namespace"], metadata["name"])
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        while not self._writer.silent:
            try:
                await self.host.client.delete(path, **options)
            except (ApiError, OSError) as error:
                if temporary(error):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
            # Its log can be read as long as somebody's finalizer keeps the pod. Also when somebody
            # else was faster: until the watch has told of it, older news could start it again.
            await self.removed.wait()

    async def _publish_ports(self) -> None:
        """Say which port stands for which, where pods share one address."""
        pod, addresses = self.pod, self.host.addresses
        if not addresses.single:
            return
        main = pod.manifest["spec"]["containers"]
        declared = [p["containerPort"] for spec in main for p in spec.get("ports") or []]
        for spec in main:
            declared += self.host.images.ports(spec["image"])
        pod.ports = {str(port): addresses.port(port) for port in dict.fromkeys(declared)}
        if pod.ports:
            with contextlib.suppress(ApiError, OSError):
                path = pod_path(pod.metadata["namespace"], pod.metadata["name"])
                await self.host.client.patch(path, ports_change(pod.ports))


def _resources(part: Obj) -> Obj:
    return part.get("resources") or {}


def _declared(spec: Obj) -> Iterator[tuple[str, Obj]]:
    """Yield the containers of a pod with their kinds, in the order in which they start."""
    for kind in (INIT, MAIN, EPHEMERAL):
        for part in spec.get(LISTED_IN[kind]) or []:
            sidecar = kind == INIT and part.get("restartPolicy") == "Always"
            yield (SIDECAR if sidecar else kind), part
