"""One container of a pod: its process, its log, and the status that the pod shows of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

from wqlib.localcluster.apimachinery.jsontypes import Obj, now
from wqlib.localcluster.images.imagestore import Mapping, Resolved
from wqlib.localcluster.kubelet.console import Console
from wqlib.localcluster.kubelet.podlogs import LogWriter
from wqlib.localcluster.kubelet.processes import Process, Processes


class StartError(Exception):
    """The program could not be started at all."""


@dataclass
class Container:
    """A container as the kubelet sees it.

    Attributes:
        state: one of `waiting`, `running`, `terminated`, as in the status.
        env, cwd, mapping: what the last start used; `exec` and probes use them too.
        beside: processes that `exec` started.
    """

    spec: Obj
    folder: Path
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
    beside: set[Process] = field(default_factory=set)

    @property
    def name(self) -> str:
        name: str = self.spec["name"]
        return name

    def wait_for(self, reason: str, message: str = "") -> None:
        """Show that the container waits, and why."""
        waiting = {"reason": reason, **({"message": message} if message else {})}
        self.state = {"waiting": waiting}
        self.ready = self.started = False

    def status(self) -> Obj:
        """Return the container's part of the pod's status."""
        return {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.image.name if self.image else self.spec["image"],
            "imageID": f"process://{self.image.digest}" if self.image else "",
            **({"containerID": self.identifier} if self.identifier else {}),
            "started": self.started,
        }

    def log_path(self, run: int) -> Path:
        """Return where the log of the container's n-th run lies."""
        return self.folder / f"{self.name}-{run}.log"

    def launch(self, processes: Processes, argv: list[str]) -> Process:
        """Start the program; its state is `running` then.

        Raises:
            StartError: the program is not there.
        """
        self.check(argv)
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
        self.identifier = f"process://{secrets.token_hex(32)}"
        self.state = {"running": {"startedAt": now()}}
        self.started = True
        return process

    async def wait(self, process: Process) -> int:
        """Wait for the end of what `launch` started; the state is `terminated` then."""
        code = await asyncio.shield(process.done)
        for other in self.beside:
            other.signal(signal.SIGKILL)
        if self.console:
            await self.console.drain()
        if self.log:
            self.log.close()
        self.process = self.console = None
        self.ended(code, "Completed" if code == 0 else "Error")
        return code

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
        self.ready = self.started = False

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
