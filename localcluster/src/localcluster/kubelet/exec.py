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
from .containerrun import ContainerRun
from .processes import Process, StartError
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
    session: Session, container: ContainerRun, command: list[str], options: StreamOptions
) -> None:
    """Run the command in the container for one client, who gets its output and exit code."""
    program = _Program(session)
    try:
        argv = _named_as_asked(command, container.start.command(command))
        process = program.start(container, argv, options)
        await either(asyncio.shield(process.done), session.gone.wait())
        if not process.done.done():
            process.signal(signal.SIGHUP)
            process.signal(signal.SIGKILL)
        code = await process.done
        await program.drain()
        await session.finish(exit_status(code))
    except StartError as error:
        await session.finish(internal_error(_cannot_start(str(error))))
    finally:
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

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process: Process | None = None
        self._fds: list[int] = []
        self._outputs: list[asyncio.Task[None]] = []
        self._input: asyncio.Task[None] | None = None

    def start(self, container: ContainerRun, argv: list[str], options: StreamOptions) -> Process:
        """Start the command in a container.

        Raises:
            StartError: There is no such program.
            OSError: The system has no room for another process.
        """
        if options.tty:
            master, slave = os.openpty()
            self._fds += [master, slave]
            self._session.watch_size(functools.partial(nonblocking.resize, master))
            process = self._process = container.exec(argv, tty=os.ttyname(slave))
            self._carry_out(process, master, STDOUT)
            if options.stdin:
                self._carry_in(master, close=False)
            return process
        (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe()
        self._fds += [out_read, err_read]
        try:
            process = self._process = container.exec(
                argv, stdin=options.stdin, stdout=out_write, stderr=err_write
            )
        finally:
            os.close(out_write)
            os.close(err_write)
        self._carry_out(process, out_read, STDOUT)
        self._carry_out(process, err_read, STDERR)
        if process.stdin is not None:
            self._fds.append(process.stdin)
            self._carry_in(process.stdin, close=True)
        return process

    def _carry_out(self, process: Process, fd: int, channel: int) -> None:
        """Send what the command writes, as fast as the client takes it."""

        async def carry() -> None:
            while data := await nonblocking.read(fd, process.done):
                await self._session.send(channel, data)

        os.set_blocking(fd, False)
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
        """Kill the command, and let go of everything."""
        if self._process:
            self._process.signal(signal.SIGKILL)
        self._session.on_resize = None
        await cancel(*self._outputs, *([self._input] if self._input else []))
        for fd in self._fds:
            os.close(fd)
