"""Attach: a client at the input and output of the container's own program."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable
from typing import Any

from . import nonblocking
from .buffer import BoundedBuffer
from .console import Console
from .remotecommand import STDERR, STDOUT, Session, StreamOptions, either, exit_status


async def run(session: Session, console: Console, options: StreamOptions) -> None:
    """Let one client see and type until the program ends or the client leaves."""
    viewer = console.attach()
    if console.terminal >= 0:
        session.watch_size(functools.partial(_resize, console))
    output = asyncio.ensure_future(_carry_out(session, viewer, options))
    waits: list[Awaitable[Any]] = [output, session.gone.wait()]
    if options.stdin and console.stdin >= 0:
        waits.append(_carry_in(session, console))
    try:
        await either(*waits)
    finally:
        session.on_resize = None
        console.detach(viewer)
        if options.stdin and session.gone.is_set():
            _input_ended(console)
    await session.finish(exit_status(0))


def _resize(console: Console, columns: int, rows: int) -> None:
    if console.terminal >= 0:
        nonblocking.resize(console.terminal, columns, rows)


async def _carry_out(session: Session, viewer: BoundedBuffer, options: StreamOptions) -> None:
    channels = {STDOUT: options.stdout, STDERR: options.stderr}
    while data := await viewer.get():
        if channels[data[0]]:
            await session.send(data[0], data[1:])


async def _carry_in(session: Session, console: Console) -> None:
    """Carry the client's input in, until it has ended and the client is to be let go."""
    # A descriptor of our own: the container may end and close its own at any moment.
    fd = os.dup(console.stdin)
    try:
        while data := await session.stdin.get():
            await nonblocking.write(fd, data)
    except OSError:
        session.stdin.abandon()
    finally:
        os.close(fd)
    if _input_ended(console):
        # The program works on what it was given; the client sees its output to the end.
        await asyncio.Event().wait()


def _input_ended(console: Console) -> bool:
    """Close the program's input, if it is to be there for one client only."""
    if console.stdin_once and console.terminal < 0:
        console.close_input()
        return True
    return False
