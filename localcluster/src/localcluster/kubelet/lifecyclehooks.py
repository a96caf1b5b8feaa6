"""What a container runs after its start and before its end.

https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""

from __future__ import annotations

import asyncio
import dataclasses

from ..apimachinery.jsontypes import Obj
from . import probes
from .probes import Target
from .processes import StartError


@dataclasses.dataclass(frozen=True)
class Failed:
    """A hook that failed.

    Attributes:
        what: The hook, as a kubelet names it.
        output: What it printed, when it is a command.
    """

    what: str
    error: str
    output: str = ""

    def sentence(self, container: str, pod: str) -> str:
        """Return the whole message about a container of a pod."""
        shown = self.output.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        where = f'for Container "{container}" in Pod "{pod}"'
        return f'{self.what} {where} failed - error: {self.error}, message: "{shown}"'


async def run_hook(
    hook: Obj, seconds: float, target: Target, done: asyncio.Future[int]
) -> Failed | None:
    """Run one hook, at most until its container is done; return what failed."""
    work = asyncio.ensure_future(_call(hook, seconds, target))
    waits: set[asyncio.Future[object]] = {work, done}  # type: ignore[arg-type]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()


async def _call(hook: Obj, seconds: float, target: Target) -> Failed | None:
    if "sleep" in hook:
        await asyncio.sleep(min(float(hook["sleep"].get("seconds") or 0), seconds))
        return None
    if "exec" in hook:
        command = list(hook["exec"].get("command") or [])
        what = f"Exec lifecycle hook ([{' '.join(command)}])"
        try:
            code, output = await target.run(command, seconds)
        except TimeoutError:
            return Failed(what, f"command '{' '.join(command)}' timed out")
        except (OSError, StartError) as error:
            return Failed(what, f"failed to exec in container: {error}")
        why = f"command '{' '.join(command)}' exited with {code}: "
        return Failed(what, why, output) if code else None
    answer = await probes.run_probe({**hook, "timeoutSeconds": seconds}, target)
    path = (hook.get("httpGet") or {}).get("path") or "/"
    return None if answer.success else Failed(f"HTTP lifecycle hook ({path})", answer.why)
