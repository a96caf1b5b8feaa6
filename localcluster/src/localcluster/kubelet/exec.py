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
from .processes import Processes, StartError
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
    program = _Program(session, processes, start, argv, options)
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
    if asked[:-1] != ["tar", "cf", "-"] or not asked[-1].startswith("/"):
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

    def __init__(
        self,
        session: Session,
        processes: Processes,
        start: Start,
        argv: list[str],
        options: StreamOptions,
    ) -> None:
        self._session = session
        self._fds: list[int] = []
        self._outputs: list[asyncio.Task[None]] = []
        self._input: asyncio.Task[None] | None = None
        if options.tty:
            master, slave = os.openpty()
            self._fds.append(slave)
            session.watch_size(functools.partial(nonblocking.resize, master))
            terminal, env = os.ttyname(slave), {"TERM": "xterm", **start.env}
            self.process = processes.spawn(argv, env, start.cwd, tty=terminal)
            self._carry_out(master, STDOUT)
            if options.stdin:
                self._carry_in(master, close=False)
            return
        (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe()
        env, cwd, stdin = start.env, start.cwd, options.stdin
        try:
            self.process = processes.spawn(
                argv, env, cwd, stdin=stdin, stdout=out_write, stderr=err_write
            )
        finally:
            os.close(out_write)
            os.close(err_write)
        self._carry_out(out_read, STDOUT)
        self._carry_out(err_read, STDERR)
        if self.process.stdin is not None:
            self._fds.append(self.process.stdin)
            self._carry_in(self.process.stdin, close=True)

    def _carry_out(self, fd: int, channel: int) -> None:
        """Send what the command writes, as fast as the client takes it."""

        async def carry() -> None:
            while data := await nonblocking.read(fd, self.process.done):
                await self._session.send(channel, data)

        os.set_blocking(fd, False)
        self._fds.append(fd)
        self._outputs.append(asyncio.get_running_loop().create_task(carry()))

    def _carry_in(self, fd: int, *, close: bool) -> None:
        """Give the command what the client sends."""

        async def carry() -> None:
            with contextlib.suppress(OSError):
                while data := await self._session.stdin.get():
                    await nonblocking.write(fd, data)
            self._session.stdin.abandon()
            if close:
                self._fds.remove(fd)
                os.close(fd)

        os.set_blocking(fd, False)
        self._input = asyncio.get_running_loop().create_task(carry())

    async def drain(self) -> None:
        """Wait until the client has all output, or has left."""
        await either(asyncio.gather(*self._outputs), self._session.gone.wait())

    async def close(self) -> None:
        """Let go of everything."""
        self._session.on_resize = None
        await cancel(*self._outputs, *([self._input] if self._input else []))
        for fd in self._fds:
            os.close(fd)
