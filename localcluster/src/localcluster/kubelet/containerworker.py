"""The life of one container: it is started, probed, started again, and ended.

Its worker alone changes the container's state; what is done for it only returns what was found.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from typing import Any

from ..apimachinery.apierrors import ApiError
from ..apimachinery.jsontypes import Obj
from ..images import registries
from ..images.imagestore import ImageNotFound, ResolvedImage
from . import containerconfig, imagepull, lifecyclehooks, logs, memory, prober
from .backoff import Backoff, go_duration
from .containerrun import ContainerRun, Start
from .containerstate import INIT, LISTED_IN, MAIN, SIDECAR, ContainerState, restarts_after
from .crilog import LogWriter
from .pod import Pod, PodEvents
from .podenv import ConfigError
from .probes import Target
from .processes import MARK, StartError

Lives = Collection[asyncio.Task[bool]]

FIRST_BACKOFF, LONGEST_BACKOFF = 10.0, 300.0
# Twice the longest back-off: after so long a run, the next failure counts as the first.
_RESET_AFTER = 600.0
# The shortest time that a program gets after a hook that used up the whole grace period.
MIN_GRACE_SECONDS = 2.0
_POST_START_SECONDS = 24 * 3600.0


class ContainerWorker:
    """Runs one container of a pod.

    Args:
        changed: Called when there is a new state to be shown.

    Attributes:
        state: What its pod's status shows of it.
        run: Its process, while it has one.
        log: The log of its latest run.
        started: Set from the moment at which it counts as started.
    """

    def __init__(self, pod: Pod, state: ContainerState, changed: Callable[[], None]) -> None:
        self.state = state
        self.run: ContainerRun | None = None
        self.log: LogWriter | None = None
        self.started = asyncio.Event()
        self._pod, self._changed = pod, changed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._guard: asyncio.Task[None] | None = None
        self._restart_asked = False

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def _events(self) -> PodEvents:
        return self._pod.events(f"spec.{LISTED_IN[self.state.kind]}{{{self.name}}}")

    def signal(self, number: int) -> None:
        """Send a signal to all processes of its program."""
        if self.run:
            self.run.process.signal(number)

    async def live(self) -> bool:
        """Run as often as the restart policy says; return whether it ended well."""
        pod, loop = self._pod, asyncio.get_running_loop()
        backoff = Backoff(FIRST_BACKOFF, LONGEST_BACKOFF)
        try:
            while True:
                start = await self._prepare()
                if start is None or pod.stopping.is_set():
                    return False
                began = loop.time()
                code = await self._run_once(start)
                self._changed()
                asked, self._restart_asked = self._restart_asked, False
                again = asked or restarts_after(self.state.kind, pod.restart_policy, code)
                if pod.stopping.is_set() or not again:
                    return code == 0
                if asked or loop.time() - began > _RESET_AFTER:
                    backoff.delay = 0.0
                if backoff.delay and await self._back_off(backoff.delay):
                    return False
                if not asked:
                    backoff.next()
                self.state = self.state.starts_again()
        finally:
            self._end_tasks()

    def conclude(self, *, expected: bool) -> None:
        """Show how the container is left when its pod is over.

        Args:
            expected: Whether the pod's main containers would have been started.
        """
        self.state = self.state.at_the_end(expected=expected and self.state.kind == MAIN)

    async def _back_off(self, delay: float) -> bool:
        name, which = self.name, self._pod.full_name
        text = f"back-off {go_duration(delay)} restarting failed container={name} pod={which}"
        self._wait("CrashLoopBackOff", text)
        text = f"Back-off restarting failed container {name} in pod {which}"
        self._events.warning("BackOff", text)
        return await self._pod.pause(delay)

    async def _prepare(self) -> Start | None:
        """Find the image and the environment; return None when the pod is to end."""
        pod, name = self._pod, self.state.spec["image"]
        backoff = Backoff(FIRST_BACKOFF, LONGEST_BACKOFF)
        while not pod.stopping.is_set():
            try:
                image = await self._pull(name)
                image_id = f"process://{image.digest}"
                self.state = replace(self.state, image=image.name, image_id=image_id)
                self._events.normal("Pulled", imagepull.PRESENT.format(name))
                return await self._plan(image)
            except ImageNotFound as error:
                if await self._image_missing(name, str(error), backoff):
                    return None
            except ConfigError as error:
                self._wait("CreateContainerConfigError", str(error))
                self._events.warning("Failed", f"Error: {error}")
                if await pod.pause(1.0):
                    return None
        return None

    async def _image_missing(self, name: str, why: str, backoff: Backoff) -> bool:
        """Wait for an image; return True when the pod is to end."""
        pod, policy = self._pod, self.state.spec.get("imagePullPolicy", "")
        missing = imagepull.missing(name, policy, why)
        if missing.backing_off:
            self._events.normal("Pulling", f'Pulling image "{name}"')
        for reason, message in missing.warnings:
            self._events.warning(reason, message)
        self._wait(*missing.waiting)
        if await pod.pause(2.0):
            return True
        if missing.backing_off:
            self._events.normal("BackOff", f'Back-off pulling image "{name}"')
            self._events.warning("Failed", "Error: ImagePullBackOff")
            self._wait(*missing.backing_off)
        # An image that was built meanwhile is seen soon, not only after the whole back-off.
        for _ in range(int(backoff.next())):
            if await pod.pause(1.0):
                return True
            with contextlib.suppress(ImageNotFound):
                await self._pull(name)
                break
        return False

    async def _pull(self, name: str) -> ResolvedImage:
        """Find an image; ImageNotFound also if its registry wants a login that the pod lacks."""
        pod, secrets, missing = self._pod, list[Obj](), list[str]()
        for reference in pod.manifest["spec"].get("imagePullSecrets") or []:
            secret = str(reference.get("name", ""))
            try:
                secrets.append(await pod.host.fetch("secrets", pod.metadata["namespace"], secret))
            except ApiError:
                missing.append(secret)
        if why := registries.refusal(pod.host.state, name, secrets):
            if missing:
                text = imagepull.MISSING_SECRETS.format(", ".join(missing))
                self._events.warning("FailedToRetrieveImagePullSecret", text)
            raise ImageNotFound(why)
        return pod.host.images.resolve(name)

    async def _plan(self, image: ResolvedImage) -> Start:
        pod, spec, site = self._pod, self.state.spec, self._pod.host.images.site
        try:
            # References such as $(NAME) see Services and what the manifest declares, only these.
            services = pod.host.service_environment(pod.manifest)
            env = await pod.resolver().resolve(spec, services)
            mounts = pod.volumes.mounts(spec, env)
            places = containerconfig.lay_out(pod.folder, spec, image, mounts, site)
            run = f"{pod.metadata['uid']}.{self.name}.{self.state.restarts}"
            own = pod.environment() | {MARK: f"{pod.host.processes.mark}.{run}"}
            return containerconfig.plan_start(spec, image, places, own, env)
        except (OSError, ValueError) as error:
            raise ConfigError(f"the container cannot be set up: {error}") from None

    async def _run_once(self, start: Start) -> int:
        """Run the program once; return its exit code."""
        pod, spec = self._pod, self.state.spec
        self._events.normal("Created", "Container created")
        self.state = self.state.created(f"process://{secrets.token_hex(32)}")
        log = logs.path_of(pod.folder, self.name, self.state.restarts)
        message = containerconfig.termination_log(pod.folder, self.name)
        try:
            run = self.run = ContainerRun(pod.host.processes, spec, start, log, message)
        except StartError as error:
            text = f"failed to start container {self.name!r}: {error}"
            self.state = self.state.ended(128, "StartError", text)
            self._events.warning("Failed", f"Error: {text}")
            return 128
        self.log = run.log
        self.state = self.state.runs()
        self._events.normal("Started", "Container started")
        ignored = memory.not_enforced(self.state.resources)
        if ignored and not self.state.restarts:
            text = f"limits of container {self.name} are stored, not enforced here: {ignored}"
            self._events.warning("LimitsNotEnforced", text)
        self._guard_memory(run)
        problem = await self._post_start(run)
        if problem is None:
            if spec.get("startupProbe"):
                self._background(self._probe(run, "startup"))
            else:
                self._start_counts(run)
            self._changed()
        code = await run.wait()
        self._end_tasks()
        self.run = None
        reason = "OOMKilled" if run.out_of_memory else "Error" if code else "Completed"
        self.state = self.state.ended(code, reason, run.termination_message(code))
        self.started.clear()
        if problem is not None:
            self.state = self.state.waits("PostStartHookError", problem)
        return code

    def _wait(self, reason: str, message: str) -> None:
        self.state = self.state.waits(reason, message)
        self._changed()

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task that ends with the program."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    def _guard_memory(self, run: ContainerRun) -> None:
        if memory.limit_of(self.state.resources) and (not self._guard or self._guard.done()):
            self._guard = self._background(self._kill_when_exceeded(run))

    async def _kill_when_exceeded(self, run: ContainerRun) -> None:
        if await memory.exceeded(run.process, lambda: memory.limit_of(self.state.resources)):
            run.out_of_memory = True
            run.process.signal(signal.SIGKILL)

    def _target(self, run: ContainerRun) -> Target:
        return Target(self._pod.address, self._pod.real_port, run.run_command)

    async def _post_start(self, run: ContainerRun) -> str | None:
        """Run `postStart`; kill the program and return why when that fails."""
        hook = (self.state.spec.get("lifecycle") or {}).get("postStart")
        if not hook:
            return None
        target, done = self._target(run), run.process.done
        failed = await lifecyclehooks.run_hook(hook, _POST_START_SECONDS, target, done)
        if failed is None:
            return None
        self._events.warning("FailedPostStartHook", "PostStartHook failed")
        self._events.normal("Killing", "FailedPostStartHook")
        run.process.signal(signal.SIGKILL)
        return failed.sentence(self.name, self._pod.full_name)

    def _start_counts(self, run: ContainerRun) -> None:
        """Show that the container has started; it is asked from now on how it is."""
        self.state = self.state.has_started()
        self.started.set()
        for kind in ("readiness", "liveness"):
            if self.state.spec.get(f"{kind}Probe"):
                self._background(self._probe(run, kind))

    async def _probe(self, run: ContainerRun, kind: str) -> None:
        """Apply the verdicts of a probe until the last one."""
        probe, target = self.state.spec[f"{kind}Probe"], self._target(run)
        verdicts = prober.verdicts(kind, probe, target, eager=kind != "liveness")
        async with contextlib.aclosing(verdicts):
            async for verdict in verdicts:
                if verdict.complaint:
                    self._events.warning("Unhealthy", verdict.complaint)
                if kind == "readiness" and verdict.well not in (None, self.state.ready):
                    self.state = replace(self.state, ready=bool(verdict.well))
                    self._changed()
                elif kind == "startup" and verdict.well:
                    self._start_counts(run)
                    self._changed()
                    return
                elif kind != "readiness" and verdict.well is False:
                    self._stop_ill(kind)
                    return

    def _stop_ill(self, kind: str) -> None:
        """End a container that is not well; its restart policy says what comes next."""
        pod = self._pod
        why = f"Container {self.name} failed {kind} probe"
        if self.state.kind == SIDECAR or pod.restart_policy != "Never":
            why += ", will be restarted"
        elif len(pod.manifest["spec"]["containers"]) == 1:
            why = ""
        grace = self.state.spec[f"{kind}Probe"].get("terminationGracePeriodSeconds")
        self.stop(why, grace=None if grace is None else float(grace))

    def update(self, spec: Obj) -> None:
        """Take in a new version of its part of the manifest.

        A new image starts the container again; new resources do so only when its `resizePolicy`
        says so: https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
        """
        before, run = self.state.spec, self.run
        if spec == before:
            return
        self.state = replace(self.state, spec=spec)
        why = ""
        if spec["image"] != before["image"] and self.state.kind != INIT:
            why = "definition changed, will be restarted"
        elif _resize_restarts(spec, self.state.resources):
            why = "resize requires restart"
        if run is not None and why:
            self._restart_asked = True
            self.stop(f"Container {self.name} {why}")
        elif run is not None:
            self.state = replace(self.state, resources=spec.get("resources") or {})
            self._guard_memory(run)
        self._changed()

    def stop(self, why: str = "", *, grace: float | None = None, after: Lives = ()) -> None:
        """End the program as a real kubelet does: `preStop`, SIGTERM, SIGKILL after the grace.

        Args:
            grace: Seconds; when the pod itself ends, its own deadline may come earlier.
            after: Who is to end before it, if the grace lasts that long.
        """
        run = self.run
        if run is None:
            return
        seconds = self._pod.grace_seconds if grace is None else grace
        deadline = asyncio.get_running_loop().time() + seconds
        if run.asked_to_end:
            _kill_at(deadline, run)
        else:
            run.asked_to_end = True
            self._events.normal("Killing", why or f"Stopping container {self.name}")
            self._background(self._stop(run, deadline, seconds, after))

    async def _stop(self, run: ContainerRun, deadline: float, grace: float, after: Lives) -> None:
        loop = asyncio.get_running_loop()
        hook = (self.state.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            target, done = self._target(run), run.process.done
            if await lifecyclehooks.run_hook(hook, grace, target, done) is not None:
                self._events.warning("FailedPreStopHook", "PreStopHook failed")
        if after:
            await asyncio.wait(after, timeout=max(deadline - loop.time(), 0))
        if hook or after:
            deadline = max(deadline, loop.time() + MIN_GRACE_SECONDS)
        # Only the program itself is asked, as in a container; what it leaves is killed.
        run.process.terminate()
        _kill_at(deadline, run)


def _kill_at(deadline: float, run: ContainerRun) -> None:
    # A timer and not a task, which may be cancelled with the pod.
    asyncio.get_running_loop().call_at(deadline, run.process.signal, signal.SIGKILL)


def _resize_restarts(spec: Obj, running_with: Obj) -> bool:
    """Tell whether a container has to start again to get its new resources."""
    wanted = spec.get("resources") or {}
    return any(
        (running_with.get(part) or {}).get(name) != (wanted.get(part) or {}).get(name)
        for rule in spec.get("resizePolicy") or []
        if rule["restartPolicy"] == "RestartContainer"
        for name in [rule["resourceName"]]
        # A program that runs knows nothing of how much memory was requested for it.
        for part in (("limits",) if name == "memory" else ("limits", "requests"))
    )
