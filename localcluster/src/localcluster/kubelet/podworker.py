"""The life of one pod on the node: from its binding to the end of its last process.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import pod_path
from ..apimachinery.conventions import PORTS_ANNOTATION
from ..apimachinery.jsontypes import Obj, now, whole_number
from . import hooks, podruns
from .containers import Container
from .podstatus import OWN_CONDITIONS, pod_status
from .volumes import Volumes

if TYPE_CHECKING:
    from .kubelet import Kubelet

log = logging.getLogger(__name__)


class PodWorker:
    """Brings one pod to life, keeps its status true, and ends it.

    Attributes:
        sandbox: whether its volumes are there and it has its address.
        initialized: whether its init containers have done their part.
        stopping: set when its processes are to end; `deadline` says when at the latest.
        deleted: set when somebody deleted it; `vanished` when the API has it no more.
        over: whether nothing of it runs any more.
        conditions: those that the kubelet set last; `others` are set by others.
        failure: the reason and the message of a pod that failed as a whole.
        refused: whether nothing of the pod was begun, since it asks for what there is not.
    """

    def __init__(self, kubelet: Kubelet, pod: Obj) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.folder: Path = kubelet.state.pods / str(pod["metadata"]["uid"])
        self.address = kubelet.addresses.pod()
        self.ports: dict[str, int] = {}
        spec = pod["spec"]
        self.init = [Container(c, self.folder, init=True) for c in spec.get("initContainers") or []]
        self.main = [Container(c, self.folder) for c in spec["containers"]]
        for container in self.containers if self.init else []:
            container.wait_for("PodInitializing")
        self.volumes = Volumes(self)
        self.stopping, self.deleted, self.vanished = (asyncio.Event() for _ in range(3))
        self.gone = self.over = self.sandbox = self.initialized = False
        self.failure: tuple[str, str] | None = None
        self.refused = False
        self.started_at = now()
        self.conditions: dict[str, Obj] = {}
        self.others: dict[str, Obj] = {}
        self.deadline: float | None = None
        self._began = asyncio.get_running_loop().time()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: int | None = None
        self._outbox: asyncio.Queue[Obj | None] = asyncio.Queue()
        self._last: Obj | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def containers(self) -> list[Container]:
        return [*self.init, *self.main]

    @property
    def full_name(self) -> str:
        """The pod's name in the messages of a kubelet."""
        metadata = self.pod["metadata"]
        return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"

    def mark(self, container: Container) -> str:
        """Return what tells the processes of one run of a container from all others."""
        uid = self.pod["metadata"]["uid"]
        return f"{self.kubelet.processes.mark}.{uid}.{container.name}.{container.restarts}"

    def find(self, name: str) -> Container | None:
        """Return the container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def update(self, pod: Obj) -> None:
        """Take in a new version of the pod; it may ask to end."""
        before, self.pod = self.pod, pod
        for condition in (pod.get("status") or {}).get("conditions") or []:
            # Remembered, for an update of ours may just have overwritten it.
            if condition["type"] not in OWN_CONDITIONS:
                self.others[condition["type"]] = condition
        self._set_alarm()
        for name in ("labels", "annotations"):
            if before["metadata"].get(name) != pod["metadata"].get(name):
                self.volumes.refresh()
                break
        if pod["metadata"].get("deletionTimestamp"):
            self.deleted.set()
            self._terminate(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))

    def vanish(self) -> None:
        """The pod is gone from the API: end its processes at once."""
        self.gone = True
        self.deleted.set()
        self.vanished.set()
        self._terminate(0.0)

    def publish(self) -> None:
        """Send the pod's status to the API, in its turn."""
        status = pod_status(self)
        if status != self._last:
            self._last = status
            self._outbox.put_nowait(status)

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the pod."""
        for container in self.containers:
            if container.process:
                container.process.signal(number)

    def event(
        self, reason: str, message: str, container: Container, *, kind: str = "Normal"
    ) -> None:
        """Record an event about a container."""
        listed = "initContainers" if container in self.init else "containers"
        part = f"spec.{listed}{{{container.name}}}"
        self.kubelet.recorder.event(self.pod, reason, message, kind=kind, part=part)

    def background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a task that ends with the pod at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def policy(self, container: Container) -> str:
        """Return the restart policy of a container."""
        policy = str(self.pod["spec"].get("restartPolicy", "Always"))
        if container.sidecar:
            return "Always"
        return "OnFailure" if container.init and policy == "Always" else policy

    def abandon(self) -> None:
        """The node goes down: start nothing more, and tell the API nothing."""
        self.gone = True
        for event in (self.stopping, self.deleted, self.vanished):
            event.set()

    def _terminate(self, grace: float) -> None:
        if self.over:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if self.deadline is not None and deadline >= self.deadline:
            return
        first, self.deadline = self.deadline is None, deadline
        if grace <= 0:
            self.signal(signal.SIGKILL)
        elif first:
            for container in self.containers:
                if not container.sidecar:
                    self.background(hooks.end(self, container, grace=grace))
        loop.call_later(grace + hooks.LEAST_GRACE, self.signal, signal.SIGKILL)
        if not first:
            loop.call_later(max(grace, 0), self.signal, signal.SIGKILL)
        self.stopping.set()

    def _set_alarm(self) -> None:
        """End the pod when its `activeDeadlineSeconds` are over; they may be changed."""
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds == self._alarm_at or self.over:
            return
        self._alarm_at = seconds
        if self._alarm is not None:
            self._alarm.cancel()
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_at(self._began + float(seconds), self._too_long)

    def _too_long(self) -> None:
        if self.over or self.deadline is not None:
            return
        text = "Pod was active on the node longer than the specified deadline"
        self.failure = ("DeadlineExceeded", text)
        self.kubelet.recorder.event(self.pod, *self.failure)
        self._terminate(float(self.pod["spec"].get("terminationGracePeriodSeconds") or 0))

    async def _run(self) -> None:
        sender = asyncio.get_running_loop().create_task(self._send())
        self._set_alarm()
        try:
            await self._live()
        except Exception:
            log.exception("pod %s", self.pod["metadata"]["name"])
            self.failure = ("KubeletError", "the local cluster failed; see its daemon.log")
            self.signal(signal.SIGKILL)
        finally:
            self.over = True
            self.volumes.close()
            for task in list(self._tasks):
                task.cancel()
            if self._alarm is not None:
                self._alarm.cancel()
        for container in self.containers:
            container.forget_start()
        for container in self.main:
            begun = self.initialized or not self.init
            if begun and self.stopping.is_set() and "waiting" in container.state:
                container.lost()
        self.publish()
        self._outbox.put_nowait(None)
        await sender
        if not self.gone:
            await self._finish()
        if self.pod["metadata"].get("deletionTimestamp") or self.gone:
            self.kubelet.forget(self)

    async def _live(self) -> None:
        problem = self.volumes.unsupported()
        if problem:
            self.refused = True
            self.failure = ("VolumeNotSupported", problem)
            self.kubelet.recorder.event(self.pod, "FailedMount", problem, kind="Warning")
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._publish_ports()
        self.publish()
        if not await self.volumes.mount():
            return
        self.sandbox = True
        sidecars: list[tuple[Container, asyncio.Task[bool]]] = []
        try:
            await self._run_all(sidecars)
        finally:
            await self._end_sidecars(sidecars)

    async def _run_all(self, sidecars: list[tuple[Container, asyncio.Task[bool]]]) -> None:
        """Run the init containers one after the other, then the others together."""
        for container in self.init:
            if container.sidecar:
                task = self.background(podruns.keep(self, container))
                sidecars.append((container, task))
                if not await self._is_up(container):
                    return
            elif not await podruns.keep(self, container):
                return
            self.publish()
        self.initialized = True
        await asyncio.gather(*[self.background(podruns.keep(self, c)) for c in self.main])

    async def _is_up(self, container: Container) -> bool:
        up = asyncio.ensure_future(container.up.wait())
        ending = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait({up, ending}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        ending.cancel()
        return not self.stopping.is_set()

    async def _end_sidecars(self, sidecars: list[tuple[Container, asyncio.Task[bool]]]) -> None:
        """End what ran beside the main containers, the last one first."""
        loop = asyncio.get_running_loop()
        for container, task in reversed(sidecars):
            container.ending = True
            grace = -1.0 if self.deadline is None else max(self.deadline - loop.time(), 0.1)
            await hooks.end(self, container, grace=grace)
            if container.process is None:
                task.cancel()
            await asyncio.wait({task})

    async def _finish(self) -> None:
        """When the pod was deleted, tell the API that its processes have ended."""
        await self.deleted.wait()
        metadata = self.pod["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        with contextlib.suppress(ApiError, OSError):
            if not self.gone:
                path = pod_path(metadata["namespace"], metadata["name"])
                await self.kubelet.client.delete(path, **options)
                # Its log can be read as long as somebody's finalizer keeps the pod.
                await self.vanished.wait()

    async def _send(self) -> None:
        metadata = self.pod["metadata"]
        path = pod_path(metadata["namespace"], metadata["name"], "status")
        while (status := await self._next_status()) is not None:
            if self.gone:
                continue
            body = {"metadata": {"uid": metadata["uid"]}, "status": status}
            try:
                self.kubelet.took(await self.kubelet.client.patch(path, body))
            except ApiError as error:
                if error.code not in (404, 409):
                    log.warning("status of %s: %s", metadata["name"], error)
            except OSError as error:
                log.warning("status of %s: %s", metadata["name"], error)

    async def _next_status(self) -> Obj | None:
        """Return the latest status: what was overtaken while the last was on its way is no news."""
        status = await self._outbox.get()
        while status is not None and not self._outbox.empty():
            newer = self._outbox.get_nowait()
            if newer is None:
                self._outbox.put_nowait(None)
                break
            status = newer
        return status

    async def _publish_ports(self) -> None:
        """Where pods share one address, say which port stands for which."""
        if not self.kubelet.addresses.single:
            return
        declared = [
            port["containerPort"]
            for container in self.main
            for port in container.spec.get("ports") or []
        ]
        for container in self.main:
            declared += self.kubelet.images.ports(container.spec["image"])
        self.ports = {
            str(port): self.kubelet.addresses.port(port) for port in dict.fromkeys(declared)
        }
        if self.ports:
            text = ",".join(f"{inside}={real}" for inside, real in self.ports.items())
            metadata = self.pod["metadata"]
            change = {"metadata": {"annotations": {PORTS_ANNOTATION: text}}}
            with contextlib.suppress(ApiError, OSError):
                path = pod_path(metadata["namespace"], metadata["name"])
                await self.kubelet.client.patch(path, change)

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

    async def pause(self, seconds: float) -> bool:
        """Wait; returns True when the pod is to end."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def run_command(
        self, container: Container, command: list[str], seconds: float
    ) -> tuple[int, str]:
        """Run a command beside the container's program; returns its exit code and output.

        Raises:
            TimeoutError: it took longer than that, and was killed.
            StartError: there is no such program.
        """
        command = [container.mapping.text(word) for word in command]
        container.check(command)
        read, write = os.pipe()
        try:
            process = self.kubelet.processes.spawn(
                command, container.env, container.cwd, stdout=write, stderr=subprocess.STDOUT
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        hooks.beside(container, process)
        os.set_blocking(read, False)
        try:
            code = await asyncio.wait_for(asyncio.shield(process.done), seconds)
            try:
                output = os.read(read, 10_240)
            except BlockingIOError:
                output = b""
            return code, output.decode(errors="replace")
        finally:
            process.signal(signal.SIGKILL)
            os.close(read)
