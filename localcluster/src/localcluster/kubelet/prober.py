"""The probes of a container, and what follows from their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..apimachinery.jsontypes import Obj
from . import lifecyclehooks, podstatus, probes
from .containers import Container
from .pod import Pod

# A container that is not ready yet is asked more often than its manifest says, for life is faster
# here. What such a question finds wrong is not yet worth an event.
_EAGER_SECONDS = 0.1
_QUIET_SECONDS = 1.0


def start(pod: Pod, container: Container) -> list[asyncio.Task[Any]]:
    """Start the probes of a container that runs; return their tasks."""
    if container.spec.get("startupProbe"):
        return [pod.background(_startup(pod, container))]
    container.set_started()
    return _start_others(pod, container)


def _start_others(pod: Pod, container: Container) -> list[asyncio.Task[Any]]:
    found = []
    if container.spec.get("readinessProbe"):
        found.append(pod.background(_readiness(pod, container)))
    if container.spec.get("livenessProbe"):
        found.append(pod.background(_liveness(pod, container)))
    return found


async def _startup(pod: Pod, container: Container) -> None:
    others: list[asyncio.Task[Any]] = []

    def verdict(success: bool) -> bool:
        if not success:
            _kill(pod, container, "startup")
            return True
        container.set_started()
        others.extend(_start_others(pod, container))
        podstatus.publish(pod)
        return True

    try:
        await _run_probe(pod, container, "startup", verdict, eager=True)
        await asyncio.gather(*others)
    finally:
        for task in others:
            task.cancel()


async def _readiness(pod: Pod, container: Container) -> None:
    def verdict(success: bool) -> bool:
        if container.ready != success:
            container.ready = success
            podstatus.publish(pod)
        return False

    await _run_probe(pod, container, "readiness", verdict, eager=True)


async def _liveness(pod: Pod, container: Container) -> None:
    def verdict(success: bool) -> bool:
        if not success:
            _kill(pod, container, "liveness")
        return not success

    await _run_probe(pod, container, "liveness", verdict, eager=False)


def _kill(pod: Pod, container: Container, kind: str) -> None:
    """End a container that is not well; its restart policy says what comes next."""
    why = f"Container {container.name} failed {kind} probe"
    if pod.restart_policy(container) != "Never":
        why += ", will be restarted"
    elif len(pod.main) == 1:
        why = ""
    grace = (container.spec.get(f"{kind}Probe") or {}).get("terminationGracePeriodSeconds", -1)
    pod.background(lifecyclehooks.stop_container(pod, container, why, float(grace)))


async def _run_probe(
    pod: Pod,
    container: Container,
    kind: str,
    verdict: Callable[[bool], bool],
    *,
    eager: bool,
) -> None:
    """Probe until `verdict` returns True; it gets what the thresholds make of the results.

    Args:
        eager: Probe more often until the first success.
    """
    probe: Obj = container.spec[f"{kind}Probe"]
    loop = asyncio.get_running_loop()
    period = float(probe.get("periodSeconds", 10))
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    thresholds = probes.Thresholds.of(probe)
    recorded = loop.time() + min(_QUIET_SECONDS, period) - period

    async def run(command: list[str], seconds: float) -> tuple[int, str]:
        return await container.run_command(pod.host.processes, command, seconds)

    while True:
        result = await probes.run_probe(probe, pod.address, pod.real_port, run)
        eager = eager and not result.success
        # Between two questions of its own period an eager one counts only when it succeeds.
        due = not eager or loop.time() - recorded >= period
        if due and not result.success:
            recorded = loop.time()
            _record_failure(pod, container, kind, result)
        if result.known and (due or result.success):
            found = thresholds.record(result.success)
            if found is not None and verdict(found):
                return
        await asyncio.sleep(min(period, _EAGER_SECONDS) if eager else period)


def _record_failure(pod: Pod, container: Container, kind: str, result: probes.Result) -> None:
    failed = "failed" if result.known else "errored and resulted in unknown state"
    text = f"{kind.capitalize()} probe {failed}: {result.why}"
    pod.event("Unhealthy", text, container, kind="Warning")
