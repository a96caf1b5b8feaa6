"""The probes of a container, and what follows from their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..apimachinery.jsontypes import Obj
from ..apimachinery.profile import profile
from . import hooks, podstatus, probes
from .containers import Container
from .pod import Pod

# A container that is not ready yet is asked more often than its manifest says, for life is faster
# here. What such a question finds wrong is not yet worth an event.
_EAGER_SECONDS = 0.1
_QUIET_SECONDS = 1.0


def start(pod: Pod, container: Container) -> list[asyncio.Task[Any]]:
    """Start asking a container that runs; returns the tasks that ask."""
    if container.spec.get("startupProbe"):
        return [pod.background(_startup(pod, container))]
    container.start_counts()
    return _others(pod, container)


def _others(pod: Pod, container: Container) -> list[asyncio.Task[Any]]:
    found = []
    if container.spec.get("readinessProbe"):
        found.append(pod.background(_readiness(pod, container)))
    if container.spec.get("livenessProbe"):
        found.append(pod.background(_liveness(pod, container)))
    return found


async def _startup(pod: Pod, container: Container) -> None:
    others: list[asyncio.Task[Any]] = []

    def verdict(well: bool) -> bool:
        if not well:
            _kill(pod, container, "startup")
            return True
        container.start_counts()
        others.extend(_others(pod, container))
        podstatus.publish(pod)
        return True

    try:
        await _watch(pod, container, "startup", verdict, eager=True)
        await asyncio.gather(*others)
    finally:
        for task in others:
            task.cancel()


async def _readiness(pod: Pod, container: Container) -> None:
    def verdict(well: bool) -> bool:
        if container.ready != well:
            container.ready = well
            podstatus.publish(pod)
        return False

    await _watch(pod, container, "readiness", verdict, eager=True)


async def _liveness(pod: Pod, container: Container) -> None:
    def verdict(well: bool) -> bool:
        if not well:
            _kill(pod, container, "liveness")
        return not well

    await _watch(pod, container, "liveness", verdict, eager=False)


def _kill(pod: Pod, container: Container, kind: str) -> None:
    """End a container that is not well; its restart policy says what comes next."""
    why = f"Container {container.name} failed {kind} probe"
    if pod.restart_policy(container) != "Never":
        why += ", will be restarted"
    elif len(pod.main) == 1:
        why = ""
    grace = (container.spec.get(f"{kind}Probe") or {}).get("terminationGracePeriodSeconds", -1)
    pod.background(hooks.end(pod, container, why, float(grace)))


async def _watch(
    pod: Pod,
    container: Container,
    kind: str,
    verdict: Callable[[bool], bool],
    *,
    eager: bool,
) -> None:
    """Ask until `verdict` returns True; it gets what the thresholds make of the answers.

    Args:
        eager: ask more often until the first success.
    """
    probe: Obj = container.spec[f"{kind}Probe"]
    loop = asyncio.get_running_loop()
    period = float(probe.get("periodSeconds", 10))
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    count = probes.Count.of(probe)
    told = loop.time() + min(_QUIET_SECONDS, period) - period

    async def run(command: list[str], seconds: float) -> tuple[int, str]:
        return await container.run_command(pod.host.processes, command, seconds)

    while True:
        answer = await probes.ask(probe, pod.address, pod.real_port, run)
        eager = eager and not answer.well
        # Between two questions of its own period an eager one counts only when it is answered well.
        due = not eager or loop.time() - told >= period
        if due and not answer.well:
            told = loop.time()
            _complain(pod, container, kind, answer)
        if answer.known and (due or answer.well):
            found = count.take(answer.well)
            if found is not None and verdict(found):
                return
        await asyncio.sleep(min(period, _EAGER_SECONDS) if eager else period)


def _complain(pod: Pod, container: Container, kind: str, answer: probes.Answer) -> None:
    failed = "failed"
    if not answer.known:
        failed = "errored and resulted in unknown state" if profile().modern else "errored"
    text = f"{kind.capitalize()} probe {failed}: {answer.why}"
    pod.event("Unhealthy", text, container, kind="Warning")
