"""What a container runs after its start and before its end.

https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""

from __future__ import annotations

import asyncio
import signal

from ..apimachinery.jsontypes import Obj
from ..apimachinery.profile import profile
from . import probes
from .containers import Container
from .pod import Pod
from .processes import StartError

# The shortest time that a program gets after a hook that used up the whole grace period.
MIN_GRACE_SECONDS = 2.0


async def run_post_start(pod: Pod, container: Container) -> tuple[str, str] | None:
    """Run `postStart`; return the reason and the message of what went wrong, or None."""
    hook = (container.spec.get("lifecycle") or {}).get("postStart")
    if not hook:
        return None
    problem = await _run_hook(pod, container, hook, 24 * 3600.0)
    if problem is None:
        return None
    error, message = problem
    modern = profile().modern
    text = "PostStartHook failed" if modern else message
    pod.event("FailedPostStartHook", text, container, kind="Warning")
    pod.event("Killing", "FailedPostStartHook", container)
    return "PostStartHookError" if modern else f"PostStartHookError: {error}", message


async def stop_container(
    pod: Pod, container: Container, why: str = "", grace: float = -1.0
) -> None:
    """End a container as a real kubelet does: `preStop`, SIGTERM, SIGKILL after the grace.

    Args:
        grace: Seconds; when the pod itself ends, its own deadline may come earlier.
    """
    process = container.process
    if process is None:
        return
    if grace < 0:
        grace = float(pod.manifest["spec"].get("terminationGracePeriodSeconds") or 0)
    pod.event("Killing", why or f"Stopping container {container.name}", container)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace
    hook = (container.spec.get("lifecycle") or {}).get("preStop")
    if hook and grace > 0:
        problem = await _run_hook(pod, container, hook, grace)
        if problem is not None:
            text = "PreStopHook failed" if profile().modern else problem[1]
            pod.event("FailedPreStopHook", text, container, kind="Warning")
        deadline = max(deadline, loop.time() + MIN_GRACE_SECONDS)
    # Only the program itself is asked, as in a container; what it leaves is killed.
    process.terminate()
    # A timer and not this task, which may be cancelled with the pod.
    loop.call_at(deadline, process.signal, signal.SIGKILL)


async def _run_hook(
    pod: Pod, container: Container, hook: Obj, seconds: float
) -> tuple[str, str] | None:
    """Run one hook; return the error and a whole sentence about it, or None."""
    process = container.process
    assert process is not None
    work = asyncio.ensure_future(_call(pod, container, hook, seconds))
    done: set[asyncio.Future[object]] = {work, process.done}  # type: ignore[arg-type]
    await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
        return None
    error, output = work.result()
    if not error:
        return None
    where = f'for Container "{container.name}" in Pod "{pod.full_name}" failed - error: {error}'
    if "exec" in hook:
        command = " ".join(hook["exec"].get("command") or [])
        shown = output.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return error, f'Exec lifecycle hook ([{command}]) {where}, message: "{shown}"'
    path = (hook.get("httpGet") or {}).get("path") or "/"
    return error, f'HTTP lifecycle hook ({path}) {where}, message: ""'


async def _call(pod: Pod, container: Container, hook: Obj, seconds: float) -> tuple[str, str]:
    """Call the hook; return the error, if any, and what it printed."""
    if "sleep" in hook:
        await asyncio.sleep(min(float(hook["sleep"].get("seconds") or 0), seconds))
        return "", ""
    if "exec" in hook:
        command = list(hook["exec"].get("command") or [])
        try:
            code, output = await container.run_command(pod.host.processes, command, seconds)
        except TimeoutError:
            return f"command '{' '.join(command)}' timed out", ""
        except (OSError, StartError) as error:
            return f"failed to exec in container: {error}", ""
        if code == 0:
            return "", ""
        return f"command '{' '.join(command)}' exited with {code}: ", output
    probe = {**hook, "timeoutSeconds": seconds}
    answer = await probes.run_probe(probe, pod.address, pod.real_port, _no_command)
    return answer.why, ""


async def _no_command(command: list[str], seconds: float) -> tuple[int, str]:
    return 0, ""
