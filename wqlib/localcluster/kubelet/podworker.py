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

from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.client import pod_path
from wqlib.localcluster.apimachinery.jsontypes import Obj, now
from wqlib.localcluster.images import imagestore
from wqlib.localcluster.kubelet import podenv, podprobes, podsetup
from wqlib.localcluster.kubelet.containers import Container, StartError
from wqlib.localcluster.kubelet.podenv import ConfigError
from wqlib.localcluster.kubelet.podstatus import pod_status

if TYPE_CHECKING:
    from wqlib.localcluster.kubelet.kubelet import Kubelet

log = logging.getLogger(__name__)

_FIRST_BACKOFF = 10.0
_LONGEST_BACKOFF = 300.0
_RESET_AFTER = 600.0
_IGNORED_VOLUMES = ("kube-api-access-", "default-token-")


class PodWorker:
    """Brings one pod to life, keeps its status true, and ends it."""

    def __init__(self, kubelet: Kubelet, pod: Obj) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.folder: Path = kubelet.state.pods / str(pod["metadata"]["uid"])
        self.address = kubelet.addresses.pod()
        self.ports: dict[str, int] = {}
        spec = pod["spec"]
        self.init = [Container(c, self.folder) for c in spec.get("initContainers") or []]
        self.main = [Container(c, self.folder) for c in spec["containers"]]
        self.stopping = asyncio.Event()
        self.gone = False
        self.failure: tuple[str, str] | None = None
        self.started_at = now()
        self.conditions: dict[str, Obj] = {}
        self._deadline: float | None = None
        self._outbox: asyncio.Queue[Obj | None] = asyncio.Queue()
        self._last: Obj | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def containers(self) -> list[Container]:
        return [*self.init, *self.main]

    def find(self, name: str) -> Container | None:
        """Return the container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def update(self, pod: Obj) -> None:
        """Take in a new version of the pod; it may ask to end."""
        self.pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self._terminate(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))

    def vanish(self) -> None:
        """The pod is gone from the API: end its processes at once."""
        self.gone = True
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

    def _terminate(self, grace: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if self._deadline is not None and deadline >= self._deadline:
            return
        first, self._deadline = self._deadline is None, deadline
        if grace <= 0:
            self.signal(signal.SIGKILL)
        elif first:
            for container in self.main:
                if container.process:
                    self.event("Killing", f"Stopping container {container.name}", container)
            self.signal(signal.SIGTERM)
        loop.call_later(max(grace, 0), self.signal, signal.SIGKILL)
        self.stopping.set()

    async def _run(self) -> None:
        sender = asyncio.get_running_loop().create_task(self._send())
        try:
            await self._live()
        except Exception:
            log.exception("pod %s", self.pod["metadata"]["name"])
            self.failure = ("KubeletError", "the local cluster failed; see its daemon.log")
        finally:
            for task in list(self._tasks):
                task.cancel()
        self.publish()
        self._outbox.put_nowait(None)
        await sender
        if not self.gone:
            await self._finish()
        if self.pod["metadata"].get("deletionTimestamp") or self.gone:
            self.kubelet.forget(self)

    async def _live(self) -> None:
        problem = self._unsupported()
        if problem:
            self.failure = ("VolumeNotSupported", problem)
            self.kubelet.recorder.event(self.pod, "FailedMount", problem, kind="Warning")
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._publish_ports()
        self.publish()
        for container in self.init:
            if not await self._container(container, once=True):
                return
        runs = [self.background(self._container(container)) for container in self.main]
        await asyncio.gather(*runs)

    async def _finish(self) -> None:
        """When the pod was deleted, tell the API that its processes have ended."""
        await self._deleted()
        metadata = self.pod["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        with contextlib.suppress(ApiError, OSError):
            path = pod_path(metadata["namespace"], metadata["name"])
            await self.kubelet.client.delete(path, **options)

    async def _deleted(self) -> None:
        """Wait until somebody deletes the pod, which has nothing to run any more."""
        await self.stopping.wait()

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

    def _unsupported(self) -> str:
        for volume in self.pod["spec"].get("volumes") or []:
            kinds = sorted(set(volume) - {"name"})
            if kinds == ["emptyDir"] or volume["name"].startswith(_IGNORED_VOLUMES):
                continue
            return (
                f'volume "{volume["name"]}" of kind {", ".join(kinds)} is not supported by the'
                " local cluster yet, which runs pods as plain processes; use environment"
                " variables instead"
            )
        return ""

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
            image = imagestore.normal_name(container.spec["image"]).rpartition(":")[0]
            if image in ("redis", "valkey/valkey") and 6379 not in declared:
                declared.append(6379)
        self.ports = {str(port): self.kubelet.addresses.port(port) for port in declared}
        if self.ports:
            text = ",".join(f"{inside}={real}" for inside, real in self.ports.items())
            metadata = self.pod["metadata"]
            change = {"metadata": {"annotations": {podenv.PORTS_ANNOTATION: text}}}
            with contextlib.suppress(ApiError, OSError):
                path = pod_path(metadata["namespace"], metadata["name"])
                await self.kubelet.client.patch(path, change)

    def real_port(self, port: int | str) -> int:
        """Return the port of the machine on which the pod's port is found."""
        if isinstance(port, str) and not port.isdigit():
            for container in self.main:
                for declared in container.spec.get("ports") or []:
                    if declared.get("name") == port:
                        port = int(declared["containerPort"])
        if isinstance(port, str) and not port.isdigit():
            raise ValueError(f"the pod has no port named {port}")
        return self.ports.get(str(port), int(port))

    async def _pause(self, seconds: float) -> bool:
        """Wait; returns True when the pod is to end."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _container(self, container: Container, *, once: bool = False) -> bool:
        """Run a container as often as its restart policy says; returns whether it ended well."""
        policy = self.pod["spec"].get("restartPolicy", "Always")
        if once and policy == "Always":
            policy = "OnFailure"
        loop, delay = asyncio.get_running_loop(), 0.0
        while not self.stopping.is_set():
            argv = await self._prepare(container)
            if argv is None:
                break
            began = loop.time()
            code = await self._one_run(container, argv)
            self.publish()
            if self.stopping.is_set() or policy == "Never" or (policy == "OnFailure" and code == 0):
                return code == 0
            if loop.time() - began > _RESET_AFTER:
                delay = 0.0
            if delay and await self._back_off(container, delay):
                break
            delay = min(max(delay * 2, _FIRST_BACKOFF), _LONGEST_BACKOFF)
            if "terminated" in container.state:
                container.last_state = container.state
            container.restarts += 1
        self._give_up(container)
        return False

    def _give_up(self, container: Container) -> None:
        """Show the end of a container that was waiting when the pod was stopped."""
        if "waiting" in container.state and self.stopping.is_set() and container.last_state:
            container.state = container.last_state

    async def _back_off(self, container: Container, delay: float) -> bool:
        metadata = self.pod["metadata"]
        which = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        text = f"restarting failed container={container.name} pod={which}"
        container.last_state = container.state
        container.wait_for("CrashLoopBackOff", f"back-off {_span(delay)} {text}")
        self.event(
            "BackOff",
            f"Back-off restarting failed container {container.name} in pod {which}",
            container,
            kind="Warning",
        )
        self.publish()
        return await self._pause(delay)

    async def _prepare(self, container: Container) -> list[str] | None:
        """Find the image and the environment; returns the command, or None when to end."""
        delay = _FIRST_BACKOFF
        while not self.stopping.is_set():
            try:
                container.image = self.kubelet.images.resolve(container.spec["image"])
                name = container.spec["image"]
                text = f'Container image "{name}" already present on machine'
                self.event("Pulled", text, container)
                return await podsetup.configure(self, container)
            except imagestore.ImageMissing as error:
                delay, ended = await self._without_image(container, str(error), delay)
                if ended:
                    return None
            except ConfigError as error:
                container.wait_for("CreateContainerConfigError", str(error))
                self.event("Failed", f"Error: {error}", container, kind="Warning")
                self.publish()
                if await self._pause(1.0):
                    return None
        return None

    async def _without_image(
        self, container: Container, why: str, delay: float
    ) -> tuple[float, bool]:
        name = container.spec["image"]
        invalid = "invalid reference format" in why
        if invalid:
            why = f'Failed to apply default image tag "{name}": {why}'
            container.wait_for("InvalidImageName", why)
        elif container.spec.get("imagePullPolicy") == "Never":
            why = f'Container image "{name}" is not present with pull policy of Never: {why}'
            container.wait_for("ErrImageNeverPull", why)
        else:
            self.event("Pulling", f'Pulling image "{name}"', container)
            why = f'Failed to pull image "{name}": {why}'
            container.wait_for("ErrImagePull", why)
        self.event("Failed", why, container, kind="Warning")
        if container.state["waiting"]["reason"] == "ErrImagePull":
            self.event("Failed", "Error: ErrImagePull", container, kind="Warning")
        self.publish()
        if await self._pause(2.0):
            return delay, True
        if not invalid and container.spec.get("imagePullPolicy") != "Never":
            container.wait_for("ImagePullBackOff", f'Back-off pulling image "{name}": {why}')
            self.event("BackOff", f'Back-off pulling image "{name}"', container)
            self.event("Failed", "Error: ImagePullBackOff", container, kind="Warning")
            self.publish()
        # An image that was built meanwhile is seen soon, not only after the whole back-off.
        for _ in range(int(delay)):
            if await self._pause(1.0):
                return delay, True
            if self._has_image(name):
                break
        return min(delay * 2, _LONGEST_BACKOFF), False

    def _has_image(self, name: str) -> bool:
        try:
            self.kubelet.images.resolve(name)
        except imagestore.ImageMissing:
            return False
        return True

    async def _one_run(self, container: Container, argv: list[str]) -> int:
        self.event("Created", f"Created container: {container.name}", container)
        try:
            process = container.launch(self.kubelet.processes, argv)
        except StartError as error:
            text = f"failed to start container {container.name!r}: {error}"
            container.ended(128, "StartError", text)
            self.event("Failed", f"Error: {text}", container, kind="Warning")
            return 128
        if self._deadline is not None:
            process.signal(signal.SIGKILL)
        self.event("Started", f"Started container {container.name}", container)
        asking = podprobes.start(self, container)
        container.ready = not container.spec.get("readinessProbe")
        self.publish()
        try:
            return await container.wait(process)
        finally:
            for task in asking:
                task.cancel()

    async def run_command(
        self, container: Container, command: list[str], seconds: float
    ) -> tuple[int, str]:
        """Run a command beside the container's program; returns its exit code and output."""
        read, write = os.pipe()
        command = [container.mapping.text(word) for word in command]
        process = self.kubelet.processes.spawn(
            command, container.env, container.cwd, stdout=write, stderr=subprocess.STDOUT
        )
        os.close(write)
        os.set_blocking(read, False)
        try:
            code = await asyncio.wait_for(asyncio.shield(process.done), seconds)
            try:
                output = os.read(read, 10_240)
            except BlockingIOError:
                output = b""
            return code, output.decode(errors="replace").strip()
        except TimeoutError:
            process.signal(signal.SIGKILL)
            raise
        finally:
            os.close(read)


def _span(seconds: float) -> str:
    """Return a span of time as Go prints it: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
