"""Exec: a command beside the container's program."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import secrets
import signal
import sys

from . import nonblocking
from .containerrun import ContainerRun, Start
from .processes import Process, Processes, StartError
from .remotecommand import (
    STDERR,
    STDOUT,
    Session,
    StreamOptions,
    cancel,
    either,
    exit_status,
    internal_error,
)


async def run(
    session: Session,
    processes: Processes,
    container: ContainerRun,
    command: list[str],
    options: StreamOptions,
) -> None:
    """Run the command in the container for one client, who gets its output and exit code."""
    start = container.start
    argv = _named_as_asked(command, start.command(command))
    try:
        start.check_program(argv)
    except StartError as error:
        await session.finish(internal_error(_cannot_start(str(error))))
        return
    running = _Terminal if options.tty else _Pipes
    program = running(session, processes, start, argv, options)
    process = program.process
    container.add_exec(process)
    try:
        await either(asyncio.shield(process.done), session.gone.wait())
        if not process.done.done():
            process.signal(signal.SIGHUP)
            process.signal(signal.SIGKILL)
        code = await process.done
        await program.drain()
        await session.finish(exit_status(code))
    finally:
        process.signal(signal.SIGKILL)
        await program.close()


def _named_as_asked(asked: list[str], argv: list[str]) -> list[str]:
    """Let `tar` name what it packs as it was asked for: `kubectl cp` takes no other names."""
    if asked[:-1] != ["tar", "cf", "-"] or asked == argv:
        return argv
    place, name = argv[-1].lstrip("/"), asked[-1].lstrip("/")
    pattern = re.sub(r"([]\\[.*^$,])", r"\\\1", place)
    rename = f",^{pattern},{name},"
    option = ["-s", rename] if sys.platform == "darwin" else [f"--transform=s{rename}S"]
    return ["tar", "cf", "-", *option, "-C", "/", place]


def _cannot_start(why: str) -> str:
    return (
        "error executing command in container: failed to exec in container: failed to start exec"
        f' "{secrets.token_hex(32)}": OCI runtime exec failed: exec failed: unable to start'
        f" container process: {why}: unknown"
    )


class _Program:
    """A command, its output on its way to the client, and the client's input to it."""

    process: Process

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fds: list[int] = []
        self.outputs: list[asyncio.Task[None]] = []
        self.input: asyncio.Task[None] | None = None

    def carry_out(self, fd: int, channel: int) -> None:
        """Send what the command writes, as fast as the client takes it."""

        async def carry() -> None:
            while data := await nonblocking.read(fd, self.process.done):
                await self.session.send(channel, data)

        os.set_blocking(fd, False)
        self.fds.append(fd)
        self.outputs.append(asyncio.get_running_loop().create_task(carry()))

    def carry_in(self, fd: int, *, close: bool) -> None:
        """Give the command what the client sends."""

        async def carry() -> None:
            with contextlib.suppress(OSError):
                while data := await self.session.stdin.get():
                    await nonblocking.write(fd, data)
            self.session.stdin.abandon()
            if close:
                self.fds.remove(fd)
                os.close(fd)

        os.set_blocking(fd, False)
        self.input = asyncio.get_running_loop().create_task(carry())

    async def drain(self) -> None:
        """Wait until the client has all output, or has left."""
        await either(asyncio.gather(*self.outputs), self.session.gone.wait())

    async def close(self) -> None:
        """Let go of everything."""
        await cancel(*self.outputs, *([self.input] if self.input else []))
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


class _Pipes(_Program):
    def __init__(
        self,
        session: Session,
        processes: Processes,
        start: Start,
        argv: list[str],
        options: StreamOptions,
    ) -> None:
        super().__init__(session)
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        try:
            self.process = processes.spawn(
                argv,
                start.env,
                start.cwd,
                stdin=options.stdin,
                stdout=out_write,
                stderr=err_write,
            )
        finally:
            os.close(out_write)
            os.close(err_write)
        self.carry_out(out_read, STDOUT)
        self.carry_out(err_read, STDERR)
        if self.process.stdin is not None:
            self.fds.append(self.process.stdin)
            self.carry_in(self.process.stdin, close=True)


class _Terminal(_Program):
    def __init__(
        self,
        session: Session,
        processes: Processes,
        start: Start,
        argv: list[str],
        options: StreamOptions,
    ) -> None:
        super().__init__(session)
        master, slave = os.openpty()
        self.fds.append(slave)
        session.watch_size(functools.partial(nonblocking.resize, master))
        env = {"TERM": "xterm", **start.env}
        self.process = processes.spawn(argv, env, start.cwd, tty=os.ttyname(slave))
        self.carry_out(master, STDOUT)
        if options.stdin:
            self.carry_in(master, close=False)

    async def close(self) -> None:
        self.session.on_resize = None
        await super().close()
