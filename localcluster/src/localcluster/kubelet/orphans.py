"""Processes that left their process group: found by what they are descended from, and ended.

On Linux the daemon is the `subreaper` of all that its pods start: a process whose parent ended
becomes a child of the daemon, even one that called `setsid` or forked twice. Which container it
belongs to is told by a mark in its environment. Elsewhere there is no such thing, and a process
that leaves its group can outlive its pod; docs/pods.md says so.
https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

MARK = "LOCALCLUSTER_MARK"
_PR_SET_CHILD_SUBREAPER = 36
_RECHECK_SECONDS = 1.0


def become_subreaper() -> bool:
    """Become the parent of orphans; return whether the system can do that."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def mark_of(pid: int) -> str | None:
    """Return the mark of a process; empty when it has none, None when it is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return None
    for variable in environment.split(b"\0"):
        if variable.startswith(MARK.encode() + b"="):
            return variable.partition(b"=")[2].decode(errors="replace")
    return ""


def _children() -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


@dataclass
class Orphans:
    """The orphans that the daemon has adopted.

    Args:
        own: Returns the pids that the daemon started itself.
        alive: Tells whether the container with a mark still runs.
        later: Calls a function after some seconds.
    """

    own: Callable[[], Collection[int]]
    alive: Callable[[str], bool]
    later: Callable[[float, Callable[[], None]], object]
    _suspects: set[int] = field(default_factory=set)

    def collect(self) -> None:
        """End each adopted process whose container is over."""
        suspects, own = set(), self.own()
        for pid in _children():
            if pid in own:
                continue
            mark = mark_of(pid)
            if mark and self.alive(mark):
                self._reap(pid)
            elif mark or pid in self._suspects:
                self._kill(pid)
            elif not self._reap(pid):
                # It hides its mark, or is about to become a program that was just started.
                suspects.add(pid)
        if suspects - self._suspects:
            self.later(_RECHECK_SECONDS, self.collect)
        self._suspects = suspects

    def _kill(self, pid: int) -> None:
        """Kill an orphan; its own children become ours, and come next."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        # It dies soon, and the signal that says so brings us here again.
        self._reap(pid)

    @staticmethod
    def _reap(pid: int) -> bool:
        """Remove a zombie from the list of processes; return whether it was one."""
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return True
