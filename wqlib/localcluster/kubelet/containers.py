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
from wqlib.localcluster.kubelet.podlogs import LogWriter, Pump
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
        self._pump = Pump(self.log)
        try:
            process = processes.spawn(argv, self.env, self.cwd, stdout=self._pump.write_end)
        except OSError as error:
            raise StartError(str(error)) from None
        finally:
            self._pump.started()
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
        await self._pump.drain()
        if self.log:
            self.log.close()
        self.process = None
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
