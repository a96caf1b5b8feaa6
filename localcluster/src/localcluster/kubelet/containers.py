"""One container of a pod: its process, its log, and the status that the pod shows of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from ..apimachinery.jsontypes import Obj, now
from ..apimachinery.profile import profile
from ..images.imagestore import PathMapping, ResolvedImage
from .console import Console
from .crilog import LogWriter, parse
from .processes import Process, Processes, StartError, find_program

# As the kubelet cuts what a container leaves behind.
_TERMINATION_MESSAGE_BYTES = 4096
_LAST_LOG_BYTES, _LAST_LOG_LINES = 2048, 80


@dataclass
class Container:
    """A container as the kubelet sees it.

    Attributes:
        state: One of `waiting`, `running`, `terminated`, as in the status.
        env, cwd, mapping: What the last start used; `exec` and probes use them too.
        exec_processes: Processes that `exec`, probes and hooks started.
        init: Whether it is an init container.
        ending: Whether it is to start no more.
        started_event: Set from the moment at which it counts as started.
    """

    spec: Obj
    folder: Path
    init: bool = False
    ending: bool = False
    out_of_memory: bool = False
    started_event: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: int = 0
    state: Obj = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Obj = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    image: ResolvedImage | None = None
    container_id: str = ""
    process: Process | None = None
    log: LogWriter | None = None
    console: Console | None = None
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    mapping: PathMapping = field(default_factory=lambda: PathMapping([], {}))
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
    def termination_log(self) -> Path:
        """The file that stands for `terminationMessagePath`."""
        return self.folder / f"{self.name}-termination-log"

    def set_waiting(self, reason: str, message: str = "") -> None:
        """Show that the container waits, and why."""
        waiting = {"reason": reason, **({"message": message} if message else {})}
        self.state = {"waiting": waiting}
        self._set_unready()

    def set_started(self) -> None:
        """Show that the container has started, as its startup probe sees it."""
        self.started = True
        self.ready = (self.sidecar or not self.init) and not self.spec.get("readinessProbe")
        self.started_event.set()

    def _set_unready(self) -> None:
        self.ready = self.started = False
        self.started_event.clear()

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
            "imageID": f"process://{self.image.digest}" if self.image and self.container_id else "",
            **({"containerID": self.container_id} if self.container_id else {}),
            **({"started": self.started} if modern or not self.init else {}),
            **({"allocatedResources": requests} if modern and requests else {}),
            **({"resources": resources} if modern and self.container_id else {}),
        }

    def log_path(self, run: int) -> Path:
        """Return where the log of the container's n-th run lies."""
        return self.folder / f"{self.name}-{run}.log"

    def launch(self, processes: Processes, argv: list[str]) -> Process:
        """Start the program; its state is `running` then.

        Raises:
            StartError: The program is not there.
        """
        self.container_id = f"process://{secrets.token_hex(32)}"
        self.log_path(self.restarts).touch()
        self.check_program(argv)
        self.out_of_memory = False
        if self.restarts:
            self.termination_log.unlink(missing_ok=True)
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
        self.set_terminated(code, reason, self._termination_message(code))
        return code

    def add_exec(self, process: Process) -> None:
        """Note that a process belongs to the container, and ends with it."""
        self.exec_processes.add(process)
        process.done.add_done_callback(lambda _: self.exec_processes.discard(process))

    async def run_command(
        self, processes: Processes, command: list[str], seconds: float
    ) -> tuple[int, str]:
        """Run a command in the container, as `exec` does; return its exit code and output.

        Raises:
            TimeoutError: It took longer than that, and was killed.
            StartError: There is no such program.
        """
        command = [self.mapping.text(word) for word in command]
        self.check_program(command)
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

    def _termination_message(self, code: int) -> str:
        """Return what the program left as its termination message."""
        try:
            with self.termination_log.open("rb") as file:
                message = file.read(_TERMINATION_MESSAGE_BYTES)
        except OSError:
            message = b""
        fallback = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and code and fallback:
            message = self._end_of_log()
        return message.decode(errors="replace")

    def _end_of_log(self) -> bytes:
        try:
            raw = self.log_path(self.restarts).read_bytes()[-4 * _TERMINATION_MESSAGE_BYTES :]
        except OSError:
            return b""
        records = [parse(line) for line in raw.split(b"\n")]
        lines = [r.text + (b"\n" if r.whole else b"") for r in records if r is not None]
        return b"".join(lines[-_LAST_LOG_LINES:])[-_LAST_LOG_BYTES:]

    def set_terminated(self, code: int, reason: str, message: str = "") -> None:
        """Show that the container has ended."""
        running = self.state.get("running") or {}
        self.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                **({"message": message} if message else {}),
                "startedAt": running.get("startedAt") or now(),
                "finishedAt": now(),
                **({"containerID": self.container_id} if self.container_id else {}),
            }
        }
        self._set_unready()
        self.ready = self.init and code == 0

    def set_lost(self) -> None:
        """Show that the container never started, or left no trace, when its pod ended."""
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
        self._set_unready()

    def drop_configuration(self) -> None:
        """Drop what only a start needs: the pod is over, and may be kept for long."""
        self.env, self.mapping = {}, PathMapping([], {})

    def check_program(self, argv: list[str]) -> None:
        """Find out before the start whether there is such a program."""
        if not self.cwd.is_dir():
            raise StartError(f"the working directory {self.cwd} does not exist")
        find_program(argv[0], self.env, self.cwd)
