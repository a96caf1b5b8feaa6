"""The runs of one container: as many as its restart policy asks for, each after its back-off.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
"""

from __future__ import annotations

import asyncio
import signal

from ..apimachinery.profile import profile
from . import imagepull, lifecyclehooks, memory, podstatus, prober
from .containers import Container
from .pod import Pod
from .processes import Process, StartError

FIRST_BACKOFF = 10.0
LONGEST_BACKOFF = 300.0
# Twice the longest back-off: after so long a run, the next failure counts as the first.
_RESET_AFTER = 600.0


async def run_container(pod: Pod, container: Container) -> bool:
    """Run a container as often as its restart policy says; return whether it ended well."""
    policy = pod.restart_policy(container)
    loop, delay = asyncio.get_running_loop(), 0.0
    while not _must_stop(pod, container):
        argv = await imagepull.prepare(pod, container)
        if argv is None:
            break
        began = loop.time()
        code = await _run_once(pod, container, argv)
        podstatus.publish(pod)
        if _must_stop(pod, container) or policy == "Never" or (policy == "OnFailure" and code == 0):
            return code == 0
        if loop.time() - began > _RESET_AFTER:
            delay = 0.0
        if delay and await _back_off(pod, container, delay):
            break
        delay = min(max(delay * 2, FIRST_BACKOFF), LONGEST_BACKOFF)
        if "terminated" in container.state:
            container.last_state = container.state
        container.restarts += 1
    return False


def _must_stop(pod: Pod, container: Container) -> bool:
    return pod.stopping.is_set() or container.ending


async def _back_off(pod: Pod, container: Container, delay: float) -> bool:
    which = pod.full_name
    text = f"restarting failed container={container.name} pod={which}"
    if "terminated" in container.state:
        container.last_state = container.state
    container.set_waiting("CrashLoopBackOff", f"back-off {go_duration(delay)} {text}")
    text = "Back-off restarting failed container"
    if profile().modern:
        text += f" {container.name} in pod {which}"
    pod.event("BackOff", text, container, kind="Warning")
    podstatus.publish(pod)
    return await pod.pause(delay)


async def _run_once(pod: Pod, container: Container, argv: list[str]) -> int:
    colon = ":" if profile().modern else ""
    pod.event("Created", f"Created container{colon} {container.name}", container)
    try:
        process = container.launch(pod.host.processes, argv)
    except StartError as error:
        text = f"failed to start container {container.name!r}: {error}"
        container.set_terminated(128, "StartError", text)
        pod.event("Failed", f"Error: {text}", container, kind="Warning")
        return 128
    if pod.deadline is not None:
        process.signal(signal.SIGKILL)
    pod.event("Started", f"Started container {container.name}", container)
    asking = memory.enforce_limits(pod, container, process)
    problem = await lifecyclehooks.run_post_start(pod, container)
    if problem is not None:
        return await _not_started(container, process, problem)
    asking += prober.start(pod, container)
    podstatus.publish(pod)
    try:
        return await container.wait(process)
    finally:
        for task in asking:
            task.cancel()


async def _not_started(container: Container, process: Process, problem: tuple[str, str]) -> int:
    """End a container whose `postStart` failed, and show why it waits for its next start."""
    process.signal(signal.SIGKILL)
    code = await container.wait(process)
    container.last_state = container.state
    container.set_waiting(*problem)
    return code


def go_duration(seconds: float) -> str:
    """Return a span of time as Go prints it: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
