"""The limits of a container: memory is kept within them on Linux, all others are said not to be.

A container's processes may together hold as much memory as its limit says; it is measured often,
and a container that holds more is killed, as the kernel of a real node does (`OOMKilled`). Only
memory that belongs to the processes alone counts, not the files and libraries that all share.

Between two measurements a process cannot run away: RLIMIT_DATA stops it at some way above the
limit. RLIMIT_AS would be wrong for that: it counts address space that nobody uses, of which
Python's threads and many an allocator reserve much.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from ..apimachinery.quantities import quantity
from .containers import Container
from .pod import Pod
from .processes import Process

_ENFORCED = sys.platform == "linux"
_RELAXED_SECONDS, _WATCHFUL_SECONDS = 1.0, 0.1
# How far above the limit a process may get before its next request for memory fails.
_MARGIN_BYTES = 256 << 20
_PAGE = resource.getpagesize()


def enforce_limits(pod: Pod, container: Container, process: Process) -> list[asyncio.Task[Any]]:
    """Keep a container that was just started within its limits, as far as that can be."""
    limits = (container.spec.get("resources") or {}).get("limits") or {}
    ignored = sorted(name for name in limits if not (_ENFORCED and name == "memory"))
    if ignored and not container.restarts:
        shown = ", ".join(f"{name}={limits[name]}" for name in ignored)
        text = f"limits of container {container.name} are stored, not enforced here: {shown}"
        pod.event("LimitsNotEnforced", text, container, kind="Warning")
    limit = int(quantity(limits.get("memory") or "0"))
    if sys.platform != "linux" or not limit:
        return []
    most = 2 * limit + _MARGIN_BYTES
    with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (most, most))
    return [pod.background(_watch(container, process, limit))]


async def _watch(container: Container, process: Process, limit: int) -> None:
    while not process.done.done():
        held = memory_usage(process.pid)
        if held > limit:
            container.out_of_memory = True
            process.signal(signal.SIGKILL)
            return
        await asyncio.sleep(_RELAXED_SECONDS if held < limit // 2 else _WATCHFUL_SECONDS)


def memory_usage(pid: int) -> int:
    """Return how many bytes a process and its children have for themselves."""
    total = 0
    waiting = [pid]
    while waiting:
        at = Path(f"/proc/{waiting.pop()}")
        try:
            fields = (at / "statm").read_bytes().split()
            total += (int(fields[1]) - int(fields[2])) * _PAGE
            for task in os.listdir(at / "task"):
                waiting += map(int, (at / "task" / task / "children").read_bytes().split())
        except (OSError, ValueError, IndexError):
            continue
    return total
