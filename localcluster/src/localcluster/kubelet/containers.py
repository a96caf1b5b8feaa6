"""One container of a pod: its process, its log, and the status that the pod shows of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from ..apimachinery.jsontypes import Obj, now
from ..apimachinery.profile import profile
from ..images.imagestore import Mapping, Resolved
from .console import Console
from .podlogs import LogWriter, parse
from .processes import Process, Processes

# As the kubelet cuts what a container leaves behind.
_LAST_WORDS_BYTES = 4096
_LAST_LOG_BYTES, _LAST_LOG_LINES = 2048, 80


class StartError(Exception):
    """The program could not be started at all."""


@dataclass
class Container:
    """A container as the kubelet sees it.

    Attributes:
        state: one of `waiting`, `running`, `terminated`, as in the status.
        env, cwd, mapping: what the last start used; `exec` and probes use them too.
        exec_processes: processes that `exec`, probes and hooks started.
        init: whether it is an init container.
        ending: whether it is to start no more.
        up: set from the moment at which it counts as started.
    """

    spec: Obj
    folder: Path
    init: bool = False
    ending: bool = False
    out_of_memory: bool = False
    up: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: int = 0
    state: Obj = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Obj = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    image: Resolved | None = None
    identifier: str = ""
    process: Process | None = None
    log: LogWriter | None = None
    console: Console | None = None
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    mapping: Mapping = field(default_factory=lambda: Mapping([], {}))
    exec_processes: set[Process] = field(default_factory=set)

    @property
    def name(self) -> str:
        name: str = self.spec["name"]
        return name

    @property
    def sidecar(self) -> bool:
        """Whether it is an init container that goes on beside the others.

        https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
        """
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def last_words_path(self) -> Path:
        """The file that stands for `terminationMessagePath`."""
        return self.folder / f"{self.name}-last-words"

    def wait_for(self, reason: str, message: str = "") -> None:
        """Show that the container waits, and why."""
        waiting = {"reason": reason, **({"message": message} if message else {})}
        self.state = {"waiting": waiting}
        self._down()

    def start_counts(self) -> None:
        """Show that the container has started, as its startup probe sees it."""
        self.started = True
        self.ready = (self.sidecar or not self.init) and not self.spec.get("readinessProbe")
        self.up.set()

    def _down(self) -> None:
        self.ready = self.started = False
        self.up.clear()

    def status(self) -> Obj:
        """Return the container's part of the pod's status."""
        modern = profile().modern
        resources = self.spec.get("resources") or {}
        requests = resources.get("requests")
        return {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.image.name if self.image else self.spec["image"],
            "imageID": f"process://{self.image.digest}" if self.image and self.identifier else "",
            **({"containerID": self.identifier} if self.identifier else {}),
            **({"started": self.started} if modern or not self.init else {}),
            **({"allocatedResources": requests} if modern and requests else {}),
            **({"resources": resources} if modern and self.identifier else {}),
        }

    def log_path(self, run: int) -> Path:
        """Return where the log of the container's n-th run lies."""
        return self.folder / f"{self.name}-{run}.log"

    def launch(self, processes: Processes, argv: list[str]) -> Process:
        """Start the program; its state is `running` then.

        Raises:
            StartError: the program is not there.
        """
        self.identifier = f"process://{secrets.token_hex(32)}"
        self.log_path(self.restarts).touch()
        self.check(argv)
        self.out_of_memory = False
        if self.restarts:
            self.last_words_path.unlink(missing_ok=True)
        self.log = LogWriter(self.log_path(self.restarts))
        console = self.console = Console(self.spec, self.log)
        process = None
        try:
            process = processes.spawn(
                argv,
                {"TERM": "xterm", **self.env} if console.tty else self.env,
                self.cwd,
                stdin=bool(self.spec.get("stdin")),
                tty=console.tty,
                stdout=console.stdout,
                stderr=console.stderr,
            )
        except OSError as error:
            raise StartError(str(error)) from None
        finally:
            console.started(process.stdin if process else None)
        self.process = process
        self.state = {"running": {"startedAt": now()}}
        return process

    async def wait(self, process: Process) -> int:
        """Wait for the end of what `launch` started; the state is `terminated` then."""
        code = await asyncio.shield(process.done)
        for other in list(self.exec_processes):
            other.signal(signal.SIGKILL)
        if self.console:
            await self.console.drain()
        if self.log:
            self.log.close()
        self.process = self.console = None
        reason = "OOMKilled" if self.out_of_memory else "Completed" if code == 0 else "Error"
        self.ended(code, reason, self._last_words(code))
        return code

    def add_exec(self, process: Process) -> None:
        """Note that a process belongs to the container, and ends with it."""
        self.exec_processes.add(process)
        process.done.add_done_callback(lambda _: self.exec_processes.discard(process))

    async def run_command(
        self, processes: Processes, command: list[str], seconds: float
    ) -> tuple[int, str]:
        """Run a command beside the container's program; return its exit code and output.

        Raises:
            TimeoutError: It took longer than that, and was killed.
            StartError: There is no such program.
        """
        command = [self.mapping.text(word) for word in command]
        self.check(command)
        read, write = os.pipe()
        try:
            process = processes.spawn(
                command, self.env, self.cwd, stdout=write, stderr=subprocess.STDOUT
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        self.add_exec(process)
        os.set_blocking(read, False)
        try:
            code = await asyncio.wait_for(asyncio.shield(process.done), seconds)
            try:
                output = os.read(read, 10_240)
            except BlockingIOError:
                output = b""
            return code, output.decode(errors="replace")
        finally:
            process.signal(signal.SIGKILL)
            os.close(read)

    def _last_words(self, code: int) -> str:
        """Return what the program left as its termination message."""
        try:
            with self.last_words_path.open("rb") as file:
                words = file.read(_LAST_WORDS_BYTES)
        except OSError:
            words = b""
        fallback = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not words and code and fallback:
            words = self._end_of_log()
        return words.decode(errors="replace")

    def _end_of_log(self) -> bytes:
        try:
            raw = self.log_path(self.restarts).read_bytes()[-4 * _LAST_WORDS_BYTES :]
        except OSError:
            return b""
        records = [parse(line) for line in raw.split(b"\n")]
        lines = [r.text + (b"\n" if r.whole else b"") for r in records if r is not None]
        return b"".join(lines[-_LAST_LOG_LINES:])[-_LAST_LOG_BYTES:]

    def ended(self, code: int, reason: str, message: str = "") -> None:
        """Show that the container has ended."""
        running = self.state.get("running") or {}
        self.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                **({"message": message} if message else {}),
                "startedAt": running.get("startedAt") or now(),
                "finishedAt": now(),
                **({"containerID": self.identifier} if self.identifier else {}),
            }
        }
        self._down()
        self.ready = self.init and code == 0

    def lost(self) -> None:
        """Show that the container never started, or left no trace, when its pod was ended."""
        if self.last_state:
            self.state = self.last_state
        elif profile().modern:
            self.state = {
                "terminated": {
                    "exitCode": 137,
                    "reason": "ContainerStatusUnknown",
                    "message": "The container could not be located when the pod was terminated",
                    "startedAt": None,
                    "finishedAt": None,
                }
            }
        self._down()

    def forget_start(self) -> None:
        """Its pod is over and may be kept for long: nothing will start in it any more."""
        self.env, self.mapping = {}, Mapping([], {})

    def check(self, argv: list[str]) -> None:
        """Find out before the start whether there is such a program."""
        program = argv[0]
        if "/" in program:
            path = self.cwd / program
            if not path.exists():
                raise StartError(f'exec: "{program}": stat {program}: no such file or directory')
            if not path.is_file() or not os.access(path, os.X_OK):
                raise StartError(f'exec: "{program}": permission denied')
        elif shutil.which(program, path=self.env.get("PATH", "")) is None:
            raise StartError(f'exec: "{program}": executable file not found in $PATH')
        if not self.cwd.is_dir():
            raise StartError(f"the working directory {self.cwd} does not exist")
