"""The programs of pods, each in a process group of its own, which never outlive the daemon.

The `reaper`, a small process, is the parent of them all; here is the daemon's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import marshal
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .reaper import mark_of

log = logging.getLogger(__name__)

MARK = "LOCALCLUSTER_MARK"
_HANDLED = re.compile(r"^Sig(?:Blk|Cgt):\s*([0-9a-f]+)$", re.MULTILINE)


class StartError(Exception):
    """The program could not be started at all."""


def find_program(name: str, env: Mapping[str, str], cwd: Path) -> str:
    """Return the file of a program as runc finds it: in the container's own PATH.

    Raises:
        StartError: There is none that can be run; in the words of a real node.
    """
    if not cwd.is_dir():
        raise StartError(f"the working directory {cwd} does not exist")
    if "/" in name:
        place = cwd / name
        if not place.exists():
            raise StartError(f'exec: "{name}": stat {name}: no such file or directory')
        if place.is_dir():
            raise StartError(f'exec: "{name}": is a directory')
        if not os.access(place, os.X_OK):
            raise StartError(f'exec: "{name}": permission denied')
        return name
    for folder in env.get("PATH", "").split(":"):
        path = os.path.join(folder, name)
        if os.path.isfile(cwd / path) and os.access(cwd / path, os.X_OK):
            if not os.path.isabs(path):
                why = "cannot run executable found relative to current directory"
                raise StartError(f'exec: "{name}": {why}')
            return path
    raise StartError(f'exec: "{name}": executable file not found in $PATH')


@dataclass(eq=False)
class Process:
    """One running program, the leader of its process group.

    Attributes:
        done: Resolved with the exit code; a signal counts as 128 and its number.
        stdin: The write end of the program's input, if it has one.
        mark: Tells the processes of one run of a container from all others.
    """

    done: asyncio.Future[int]
    send: Callable[[int, int, bool], None]
    mark: str = ""
    stdin: int | None = None
    pid: int = 0

    def terminate(self) -> None:
        """Send SIGTERM to the program itself, if it would get it as process 1 of a container.

        From a process 1 the kernel keeps away every signal that it has no handler for; see
        pid_namespaces(7). What has no /proc (macOS) sends it always.
        """
        if not self.done.done() and _handles(self.pid, signal.SIGTERM):
            self.send(self.pid, signal.SIGTERM, False)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, unless it is over."""
        if not self.done.done():
            self.send(self.pid, number, True)


@dataclass
class Processes:
    """All programs of the daemon's pods, and their reaper.

    Attributes:
        mark: Begins the mark of each process that is started here, see `reaper`.
    """

    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    _alive: dict[int, Process] = field(default_factory=dict)
    _reaper: subprocess.Popen[bytes] | None = None
    _socket: socket.socket = field(init=False)
    _starting: Process | None = None
    _unread: bytes = b""

    def start(self, lock: Path, link: Path | None = None) -> None:
        """Start the reaper, which is there when `ready` returns.

        Args:
            link: What it removes at the end, with the folder in which it is.
        """
        script = Path(__file__).with_name("reaper.py")
        arguments = [str(script), str(lock), MARK, *([str(link)] if link else [])]
        self._socket, other = socket.socketpair()
        with other:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", *arguments],
                stdin=other.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={},
                cwd="/",
            )

    def ready(self) -> None:
        """Wait for the reaper, and hear from now on when a program ends."""
        if self._socket.recv(1) != b"r":
            raise RuntimeError("the reaper did not start")
        asyncio.get_running_loop().add_reader(self._socket, self._listen)

    def stop(self) -> None:
        """Let the reaper kill whatever is left, and end."""
        if self._reaper is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
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

        Raises:
            StartError: There is no such program.
            OSError: The system has no room for another process.
        """
        if tty:
            env = {"TERM": "xterm", **env}
        request = (
            os.fsencode(find_program(argv[0], env, cwd)),
            [os.fsencode(word) for word in argv],
            {os.fsencode(name): os.fsencode(value) for name, value in env.items()},
            os.fsencode(cwd),
            os.fsencode(tty),
        )
        done = asyncio.get_running_loop().create_future()
        process = Process(done, self._send_signal, env.get(MARK, ""))
        null = os.open(tty or os.devnull, os.O_RDWR | os.O_NOCTTY)
        read, process.stdin = os.pipe() if stdin and not tty else (null, None)
        output = null if tty or stdout < 0 else stdout
        try:
            self._request(request, [read, output, output if tty or stderr < 0 else stderr], process)
        except BaseException:
            if process.stdin is not None:
                os.close(process.stdin)
            raise
        finally:
            for fd in {null, read}:
                os.close(fd)
        return process

    def running_pods(self) -> int:
        """Return how many pods have a running process."""
        # A mark is the daemon's, the pod's uid, and what tells its containers apart.
        return len({p.mark.split(".")[1] for p in self._alive.values() if p.mark})

    def _request(self, request: Any, fds: Sequence[int], process: Process) -> None:
        """Let the reaper start a program, and wait until it has."""
        body = marshal.dumps(request)
        socket.send_fds(self._socket, [len(body).to_bytes(4, "little")], fds)
        self._socket.sendall(body)
        self._starting = process
        while self._starting is process:
            self._hear()
        if not process.pid:
            process.done.result()

    def _send_signal(self, pid: int, number: int, group: bool) -> None:
        body = marshal.dumps((pid, int(number), group))
        with contextlib.suppress(OSError):
            self._socket.sendall(len(body).to_bytes(4, "little") + body)

    def _listen(self) -> None:
        # What woke us may have been read meanwhile, by one who waited for a start.
        self._hear(socket.MSG_DONTWAIT)

    def _hear(self, flags: int = 0) -> None:
        """Take in what the reaper says: what it started, and what has ended."""
        try:
            data = self._socket.recv(65536, flags)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._end_without_reaper()
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            kind, *words = line.split()
            number = int(words[0])
            if kind == b"-":
                process = self._alive.pop(number)
                if not process.done.done():
                    process.done.set_result(int(words[1]))
                continue
            assert self._starting is not None
            if kind == b"+":
                self._starting.pid = number
                self._alive[number] = self._starting
            else:
                self._starting.done.set_exception(OSError(number, os.strerror(number)))
            self._starting = None

    def _end_without_reaper(self) -> None:
        """End at once: whatever was started from now on could be left behind."""
        log.critical("the process that starts programs is gone: everything ends")
        for pid in self._alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        # Nobody is the parent of what left its group; on Linux its mark still shows.
        while left := list(self._marked()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        os._exit(1)

    def _marked(self) -> Iterator[int]:
        """Yield all processes that have this daemon's mark, where the system shows it."""
        with contextlib.suppress(FileNotFoundError):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                if (mark_of(int(pid), MARK.encode()) or b"").startswith(self.mark.encode()):
                    yield int(pid)


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
