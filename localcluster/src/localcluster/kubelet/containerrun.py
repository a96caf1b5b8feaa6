"""One run of a container: its process, its log, and what is executed beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from ..apimachinery.jsontypes import Obj
from ..images.imagestore import PathMapping
from . import nonblocking
from .console import Console
from .crilog import LogWriter, parse
from .processes import Process, Processes, StartError, find_program

# As the kubelet cuts what a container leaves behind.
_TERMINATION_MESSAGE_BYTES = 4096
_LAST_LOG_BYTES, _LAST_LOG_LINES = 2048, 80
# As much as a kubelet shows of what a probe printed.
_MOST_OUTPUT_BYTES = 10 * 1024


class Start(NamedTuple):
    """What a container's programs start with: its own one, and those beside it."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    mapping: PathMapping

    def command(self, words: list[str]) -> list[str]:
        """Return a command with its paths as they are on this machine."""
        return [self.mapping.text(word) for word in words]


class ContainerRun:
    """A container's program, from its start to its end.

    Args:
        log: Where its log is written.
        message: The file that stands for `terminationMessagePath`.

    Attributes:
        exec_processes: Processes that `exec`, probes and hooks started.
        out_of_memory: Whether it was killed for the memory that it held.
        asked_to_end: Whether its end has begun.

    Raises:
        StartError: The program is not there.
    """

    def __init__(
        self, processes: Processes, spec: Obj, start: Start, log: Path, message: Path
    ) -> None:
        self.start = start
        self.exec_processes: set[Process] = set()
        self.out_of_memory = self.asked_to_end = False
        self._processes, self._spec, self._message = processes, spec, message
        log.touch()
        find_program(start.argv[0], start.env, start.cwd)
        message.unlink(missing_ok=True)
        self.log = LogWriter(log)
        console = self.console = Console(spec, self.log)
        process = None
        try:
            process = processes.spawn(
                start.argv,
                start.env,
                start.cwd,
                stdin=bool(spec.get("stdin")),
                tty=console.tty,
                stdout=console.stdout,
                stderr=console.stderr,
            )
        except OSError as error:
            self.log.close()
            raise StartError(str(error)) from None
        finally:
            console.started(process.stdin if process else None)
        self.process = process

    async def wait(self) -> int:
        """Wait for the end of the program and of all that runs beside it; return its code."""
        code = await asyncio.shield(self.process.done)
        for other in list(self.exec_processes):
            other.signal(signal.SIGKILL)
        await self.console.drain()
        self.log.close()
        return code

    def exec(
        self,
        argv: list[str],
        *,
        stdin: bool = False,
        tty: str = "",
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.STDOUT,
    ) -> Process:
        """Start a program that belongs to the container, and ends with it; see `Processes.spawn`.

        Raises:
            StartError: There is no such program.
            OSError: The system has no room for another process.
        """
        process = self._processes.spawn(
            argv,
            self.start.env,
            self.start.cwd,
            stdin=stdin,
            tty=tty,
            stdout=stdout,
            stderr=stderr,
        )
        self.exec_processes.add(process)
        process.done.add_done_callback(lambda _: self.exec_processes.discard(process))
        return process

    async def run_command(self, command: list[str], seconds: float) -> tuple[int, str]:
        """Run a command in the container, as `exec` does; return its exit code and output.

        Raises:
            TimeoutError: It took longer than that, and was killed.
            StartError: There is no such program.
        """
        read, write = os.pipe()
        try:
            process = self.exec(self.start.command(command), stdout=write)
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        os.set_blocking(read, False)
        try:
            # Not wait_for: before Python 3.12 it forgets that it was cancelled when this is done.
            async with asyncio.timeout(seconds):
                output = b""
                while data := await nonblocking.read(read, process.done):
                    output = (output + data)[:_MOST_OUTPUT_BYTES]
                return await asyncio.shield(process.done), output.decode(errors="replace")
        finally:
            process.signal(signal.SIGKILL)
            os.close(read)

    def termination_message(self, code: int) -> str:
        """Return what the program left as its termination message."""
        try:
            with self._message.open("rb") as file:
                message = file.read(_TERMINATION_MESSAGE_BYTES)
        except OSError:
            message = b""
        fallback = self._spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and code and fallback:
            message = _end_of_log(self.log.path)
        return message.decode(errors="replace")


def _end_of_log(path: Path) -> bytes:
    try:
        raw = path.read_bytes()[-4 * _TERMINATION_MESSAGE_BYTES :]
    except OSError:
        return b""
    records = [parse(line) for line in raw.split(b"\n")]
    lines = [r.text + (b"\n" if r.whole else b"") for r in records if r is not None]
    return b"".join(lines[-_LAST_LOG_LINES:])[-_LAST_LOG_BYTES:]
