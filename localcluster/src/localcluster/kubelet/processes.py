"""Processes in groups of their own, which never outlive the daemon.

A new process waits, before it becomes the program, until the reaper knows its group. So there
is no moment at which the daemon's death could leave it behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .orphans import MARK, Orphans, become_subreaper

_HANDLED = re.compile(r"^Sig(?:Blk|Cgt):\s*([0-9a-f]+)$", re.MULTILINE)
_GATE = "read -r go || exit 125; "
_SCRIPTS = {
    "null": _GATE + 'exec "$@" </dev/null',
    "pipe": _GATE + 'exec "$@"',
    "tty": _GATE + 'tty=$1; shift; exec "$@" <"$tty" >"$tty" 2>&1',
}


@dataclass(eq=False)
class Process:
    """One running program, the leader of its process group.

    Attributes:
        done: Resolved with the exit code; a signal counts as 128 and its number.
        stdin: The write end of the program's input, if it has one.
        mark: Tells the processes of one run of a container from all others.
    """

    popen: subprocess.Popen[bytes]
    done: asyncio.Future[int]
    mark: str = ""
    stdin: int | None = None

    @property
    def pid(self) -> int:
        return self.popen.pid

    def terminate(self) -> None:
        """Send SIGTERM to the program itself, if it would get it as process 1 of a container.

        From a process 1 the kernel keeps away every signal that it has no handler for; see
        pid_namespaces(7). What has no /proc (macOS) sends it always.
        """
        if self.done.done() or not _handles(self.pid, signal.SIGTERM):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, unless it is over."""
        if not self.done.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


@dataclass
class Processes:
    """All processes of the daemon, and their reaper.

    Attributes:
        mark: Begins the mark of each process that is started here, see `orphans`.
    """

    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    _alive: dict[int, Process] = field(default_factory=dict)
    _reaper: subprocess.Popen[bytes] | None = None
    _orphans: Orphans | None = None

    def start(self, lock: Path, link: Path | None = None) -> None:
        """Start the reaper, which is there when `ready` returns.

        Args:
            link: What it removes at the end, with the folder in which it is.
        """
        script = Path(__file__).with_name("reaper.py")
        arguments = [str(script), str(lock), f"{MARK}={self.mark}.", *([str(link)] if link else [])]
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={},
            cwd="/",
        )

    def ready(self) -> None:
        """Wait for the reaper, and hear from now on when a child ends."""
        assert self._reaper is not None
        assert self._reaper.stdout is not None
        if self._reaper.stdout.read(1) != b"r":
            raise RuntimeError("the reaper did not start")
        self._reaper.stdout.close()
        loop = asyncio.get_running_loop()
        if become_subreaper():
            self._orphans = Orphans(self._own_pids, self._is_alive, loop.call_later)
        loop.add_signal_handler(signal.SIGCHLD, self._child_ended)

    def stop(self) -> None:
        """Kill whatever is left, and end the reaper."""
        for process in list(self._alive.values()):
            process.signal(signal.SIGKILL)
        if self._reaper is not None:
            assert self._reaper.stdin is not None
            self._reaper.stdin.close()
            self._reaper.wait()

    def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        *,
        stdin: bool = False,
        tty: str = "",
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.STDOUT,
    ) -> Process:
        """Start a program in a process group of its own.

        Args:
            stdin: Whether the caller will write to the program's input.
            tty: The path of the terminal that becomes its input and output.
            stdout: A file descriptor, or one of subprocess' constants.
        """
        kind = "tty" if tty else "pipe" if stdin else "null"
        arguments = ["/bin/sh", "-c", _SCRIPTS[kind], "sh", *([tty] if tty else []), *argv]
        gate_read, gate_write = os.pipe()
        try:
            popen = subprocess.Popen(
                arguments,
                stdin=gate_read,
                stdout=subprocess.DEVNULL if tty else stdout,
                stderr=subprocess.DEVNULL if tty else stderr,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        except BaseException:
            os.close(gate_write)
            raise
        finally:
            os.close(gate_read)
        future = asyncio.get_running_loop().create_future()
        process = Process(popen, future, mark=env.get(MARK, ""))
        self._alive[popen.pid] = process
        self._tell_reaper(b"+%d\n" % popen.pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(gate_write, b"\n")
        if stdin and not tty:
            process.stdin = gate_write
        else:
            os.close(gate_write)
        return process

    def running_pods(self) -> int:
        """Return how many pods have a running process."""
        # A mark is the daemon's, the pod's uid, and what tells its containers apart.
        return len({p.mark.split(".")[1] for p in self._alive.values() if p.mark})

    def _tell_reaper(self, line: bytes) -> None:
        assert self._reaper is not None
        assert self._reaper.stdin is not None
        os.write(self._reaper.stdin.fileno(), line)

    def _child_ended(self) -> None:
        for pid, process in list(self._alive.items()):
            if not self._ended(process):
                continue
            # The zombie still keeps the number of its group from being used again.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            code = process.popen.wait()
            del self._alive[pid]
            self._tell_reaper(b"-%d\n" % pid)
            if not process.done.done():
                process.done.set_result(code if code >= 0 else 128 - code)
        if self._orphans is not None:
            self._orphans.collect()

    def _own_pids(self) -> set[int]:
        assert self._reaper is not None
        return {self._reaper.pid, *self._alive}

    def _is_alive(self, mark: str) -> bool:
        return any(process.mark == mark for process in self._alive.values())

    @staticmethod
    def _ended(process: Process) -> bool:
        if hasattr(os, "waitid"):
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, process.pid, options) is not None
        return process.popen.poll() is not None


def _handles(pid: int, number: int) -> bool:
    """Tell whether a process handles a signal, or holds it back to wait for it.

    While it waits (`sigwait`), the kernel does not show the signal as held back.
    """
    if not sys.platform.startswith("linux"):
        return True
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        waits_in = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False
    masks = [int(mask, 16) for mask in _HANDLED.findall(status)]
    return "sigtimedwait" in waits_in or any(mask >> (number - 1) & 1 for mask in masks)
