"""The life of one pod on the node: from its binding to the end of its last process.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import pod_path
from ..apimachinery.conventions import PORTS_ANNOTATION
from ..apimachinery.jsontypes import Obj
from . import lifecyclehooks, restarts
from .containers import Container
from .host import Host
from .pod import Pod
from .podstatus import OWN_CONDITIONS, publish
from .volumes import Volumes

log = logging.getLogger(__name__)


class PodWorker:
    """Brings one pod to life, keeps its status true, and ends it.

    Args:
        written: Takes in the pod as an update of its status returned it.
        forget: Called when the pod is over and gone.

    Attributes:
        deleted: Set when somebody deleted the pod; `removed` when the API has it no more.
        silent: Whether the API is to be told nothing more.
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
        self.volumes = Volumes(self.pod)
        self.deleted, self.removed = asyncio.Event(), asyncio.Event()
        self.silent = False
        self._written, self._forget = written, forget
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._deadline_seconds: int | None = None
        self.task = loop.create_task(self._run())

    def update(self, manifest: Obj) -> None:
        """Take in a new version of the pod; it may ask to end."""
        before, self.pod.manifest = self.pod.manifest, manifest
        for condition in (manifest.get("status") or {}).get("conditions") or []:
            # Remembered, for an update of ours may just have overwritten it.
            if condition["type"] not in OWN_CONDITIONS:
                self.pod.foreign_conditions[condition["type"]] = condition
        self._set_deadline_timer()
        metadata = manifest["metadata"]
        for name in ("labels", "annotations"):
            if before["metadata"].get(name) != metadata.get(name):
                self.volumes.refresh()
                break
        if metadata.get("deletionTimestamp"):
            self.deleted.set()
            self._terminate(float(metadata.get("deletionGracePeriodSeconds") or 0))

    def remove(self) -> None:
        """End the pod's processes at once: the API has it no more."""
        self.silent = True
        self.deleted.set()
        self.removed.set()
        self._terminate(0.0)

    def shut_down(self) -> None:
        """Start nothing more, and tell the API nothing: the node goes down."""
        self.silent = True
        for event in (self.pod.stopping, self.deleted, self.removed):
            event.set()

    def _terminate(self, grace: float) -> None:
        pod = self.pod
        if pod.finished:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if pod.deadline is not None and deadline >= pod.deadline:
            return
        first, pod.deadline = pod.deadline is None, deadline
        if grace <= 0:
            pod.signal(signal.SIGKILL)
        elif first:
            for container in pod.containers:
                if not container.sidecar:
                    pod.background(lifecyclehooks.stop_container(pod, container, grace=grace))
        loop.call_later(grace + lifecyclehooks.MIN_GRACE_SECONDS, pod.signal, signal.SIGKILL)
        if not first:
            loop.call_later(max(grace, 0), pod.signal, signal.SIGKILL)
        pod.stopping.set()

    def _set_deadline_timer(self) -> None:
        """End the pod when its `activeDeadlineSeconds` are over; they may be changed."""
        seconds = self.pod.manifest["spec"].get("activeDeadlineSeconds")
        if seconds == self._deadline_seconds or self.pod.finished:
            return
        self._deadline_seconds = seconds
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._deadline_timer = loop.call_at(self._began + float(seconds), self._exceed_deadline)

    def _exceed_deadline(self) -> None:
        pod = self.pod
        if pod.finished or pod.deadline is not None:
            return
        text = "Pod was active on the node longer than the specified deadline"
        pod.failure = ("DeadlineExceeded", text)
        pod.event(*pod.failure)
        self._terminate(float(pod.manifest["spec"].get("terminationGracePeriodSeconds") or 0))

    async def _run(self) -> None:
        pod = self.pod
        sender = asyncio.get_running_loop().create_task(self._send())
        self._set_deadline_timer()
        try:
            await self._run_containers()
        except Exception:
            log.exception("pod %s", pod.metadata["name"])
            pod.failure = ("KubeletError", "the local cluster failed; see its daemon.log")
            pod.signal(signal.SIGKILL)
        finally:
            pod.finished = True
            self.volumes.close()
            pod.cancel_background()
            if self._deadline_timer is not None:
                self._deadline_timer.cancel()
        for container in pod.containers:
            container.drop_configuration()
        for container in pod.main:
            begun = pod.initialized or not pod.init
            if begun and pod.stopping.is_set() and "waiting" in container.state:
                container.set_lost()
        publish(pod)
        pod.statuses.put_nowait(None)
        await sender
        if not self.silent:
            await self._finish()
        if pod.metadata.get("deletionTimestamp") or self.silent:
            self._forget(self)

    async def _run_containers(self) -> None:
        pod = self.pod
        problem = self.volumes.unsupported()
        if problem:
            pod.rejected = True
            pod.failure = ("VolumeNotSupported", problem)
            pod.event("FailedMount", problem, kind="Warning")
            return
        pod.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._publish_ports()
        publish(pod)
        if not await self.volumes.mount():
            return
        pod.sandbox_ready = True
        sidecars: list[tuple[Container, asyncio.Task[bool]]] = []
        try:
            await self._run_in_order(sidecars)
        finally:
            await self._end_sidecars(sidecars)

    async def _run_in_order(self, sidecars: list[tuple[Container, asyncio.Task[bool]]]) -> None:
        """Run the init containers one after the other, then the others together."""
        pod = self.pod
        for container in pod.init:
            if container.sidecar:
                task = pod.background(restarts.run_container(pod, container))
                sidecars.append((container, task))
                if not await self._wait_started(container):
                    return
            elif not await restarts.run_container(pod, container):
                return
            publish(pod)
        pod.initialized = True
        await asyncio.gather(*[pod.background(restarts.run_container(pod, c)) for c in pod.main])

    async def _wait_started(self, container: Container) -> bool:
        started = asyncio.ensure_future(container.started_event.wait())
        ending = asyncio.ensure_future(self.pod.stopping.wait())
        await asyncio.wait({started, ending}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        ending.cancel()
        return not self.pod.stopping.is_set()

    async def _end_sidecars(self, sidecars: list[tuple[Container, asyncio.Task[bool]]]) -> None:
        """End what ran beside the main containers, the last one first."""
        loop = asyncio.get_running_loop()
        for container, task in reversed(sidecars):
            container.ending = True
            deadline = self.pod.deadline
            grace = -1.0 if deadline is None else max(deadline - loop.time(), 0.1)
            await lifecyclehooks.stop_container(self.pod, container, grace=grace)
            if container.process is None:
                task.cancel()
            await asyncio.wait({task})

    async def _finish(self) -> None:
        """Tell the API, once the pod is deleted, that its processes have ended."""
        await self.deleted.wait()
        metadata = self.pod.metadata
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        with contextlib.suppress(ApiError, OSError):
            if not self.silent:
                path = pod_path(metadata["namespace"], metadata["name"])
                await self.host.client.delete(path, **options)
                # Its log can be read as long as somebody's finalizer keeps the pod.
                await self.removed.wait()

    async def _send(self) -> None:
        metadata = self.pod.metadata
        path = pod_path(metadata["namespace"], metadata["name"], "status")
        while (status := await self._next_status()) is not None:
            if self.silent:
                continue
            body = {"metadata": {"uid": metadata["uid"]}, "status": status}
            try:
                self._written(await self.host.client.patch(path, body))
            except ApiError as error:
                if error.code not in (404, 409):
                    log.warning("status of %s: %s", metadata["name"], error)
            except OSError as error:
                log.warning("status of %s: %s", metadata["name"], error)

    async def _next_status(self) -> Obj | None:
        """Return the latest status: what was overtaken while the last was on its way is no news."""
        statuses = self.pod.statuses
        status = await statuses.get()
        while status is not None and not statuses.empty():
            newer = statuses.get_nowait()
            if newer is None:
                statuses.put_nowait(None)
                break
            status = newer
        return status

    async def _publish_ports(self) -> None:
        """Say which port stands for which, where pods share one address."""
        pod, addresses = self.pod, self.host.addresses
        if not addresses.single:
            return
        declared = [
            port["containerPort"]
            for container in pod.main
            for port in container.spec.get("ports") or []
        ]
        for container in pod.main:
            declared += self.host.images.ports(container.spec["image"])
        pod.ports = {str(port): addresses.port(port) for port in dict.fromkeys(declared)}
        if pod.ports:
            text = ",".join(f"{inside}={real}" for inside, real in pod.ports.items())
            change = {"metadata": {"annotations": {PORTS_ANNOTATION: text}}}
            with contextlib.suppress(ApiError, OSError):
                path = pod_path(pod.metadata["namespace"], pod.metadata["name"])
                await self.host.client.patch(path, change)
