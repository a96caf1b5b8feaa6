"""The probes of a container, and what follows from their answers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.kubelet import probes
from wqlib.localcluster.kubelet.containers import Container

if TYPE_CHECKING:
    from wqlib.localcluster.kubelet.podworker import PodWorker


def start(worker: PodWorker, container: Container) -> list[asyncio.Task[Any]]:
    """Start asking; returns the tasks that ask."""
    tasks = []
    readiness, liveness = (
        container.spec.get("readinessProbe"),
        container.spec.get("livenessProbe"),
    )

    def once(probe: Obj) -> Coroutine[Any, Any, str]:
        async def run(command: list[str], seconds: float) -> tuple[int, str]:
            return await worker.run_command(container, command, seconds)

        return probes.ask(probe, worker.address, worker.real_port, run)

    def readiness_changed(well: bool, why: str) -> None:
        container.ready = well
        if not well:
            text = f"Readiness probe failed: {why}"
            worker.event("Unhealthy", text, container, kind="Warning")
        worker.publish()

    def liveness_changed(well: bool, why: str) -> None:
        if not well and container.process:
            text = f"Liveness probe failed: {why}"
            worker.event("Unhealthy", text, container, kind="Warning")
            text = f"Container {container.name} failed liveness probe, will be restarted"
            worker.event("Killing", text, container)
            container.process.signal(signal.SIGTERM)
            grace = worker.pod["spec"].get("terminationGracePeriodSeconds", 30)
            loop = asyncio.get_running_loop()
            loop.call_later(grace, container.process.signal, signal.SIGKILL)

    if readiness:
        work = probes.watch(readiness, lambda: once(readiness), readiness_changed, eager=True)
        tasks.append(worker.background(work))
    if liveness:
        work = probes.watch(liveness, lambda: once(liveness), liveness_changed, eager=False)
        tasks.append(worker.background(work))
    return tasks
