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
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..apimachinery.jsontypes import Obj
from ..apimachinery.quantities import quantity
from .processes import Process

_ENFORCED = sys.platform == "linux"
_RELAXED_SECONDS, _WATCHFUL_SECONDS = 1.0, 0.1
# How far above the limit a process may get before its next request for memory fails.
_MARGIN_BYTES = 256 << 20
_PAGE = resource.getpagesize()


def limit_of(resources: Obj) -> int:
    """Return how many bytes a container may hold; 0 means as many as it likes."""
    return int(quantity((resources.get("limits") or {}).get("memory") or "0")) if _ENFORCED else 0


def not_enforced(resources: Obj) -> str:
    """Return the limits that are not kept here, as text."""
    limits = resources.get("limits") or {}
    ignored = sorted(name for name in limits if not (_ENFORCED and name == "memory"))
    return ", ".join(f"{name}={limits[name]}" for name in ignored)


async def exceeded(process: Process, limit: Callable[[], int]) -> bool:
    """Watch a process while it has a limit; return whether it holds more memory than it may.

    Args:
        limit: Returns how many bytes it may hold now, or 0; it may change at any time.
    """
    capped = 0
    while not process.done.done() and (most := limit()):
        if most != capped:
            _cap(process.pid, 2 * most + _MARGIN_BYTES)
            capped = most
        held = memory_usage(process.pid)
        if held > most:
            return True
        await asyncio.sleep(_RELAXED_SECONDS if held < most // 2 else _WATCHFUL_SECONDS)
    return False


def _cap(pid: int, most: int) -> None:
    """Let a process's next request for memory fail, once it has so much."""
    if sys.platform == "linux":
        for each in _family(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
                # The hard limit stays as it is, for nobody could raise it again.
                hard = resource.prlimit(each, resource.RLIMIT_DATA)[1]
                resource.prlimit(each, resource.RLIMIT_DATA, (most, hard))


def memory_usage(pid: int) -> int:
    """Return how many bytes a process and its children have for themselves."""
    total = 0
    for each in _family(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{each}/statm").read_bytes().split()
            total += (int(fields[1]) - int(fields[2])) * _PAGE
    return total


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    waiting = [pid]
    while waiting:
        at = waiting.pop()
        yield at
        with contextlib.suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{at}/task"):
                waiting += map(int, Path(f"/proc/{at}/task/{task}/children").read_bytes().split())
