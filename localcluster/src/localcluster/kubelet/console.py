"""The input and output of a container's own program: its log, and who is attached to it."""

from __future__ import annotations

import asyncio
import contextlib
import os

from ..apimachinery.jsontypes import Obj
from .buffer import BoundedBuffer
from .crilog import LogWriter

_READ_BYTES = 64 * 1024
_DRAIN_SECONDS = 0.5
_STREAMS = {1: "stdout", 2: "stderr"}


class Console:
    """What the program writes goes into the log and to all who are attached.

    One who is attached and does not read stops the program once it has written much, as on a
    real node; who leaves stops nothing.

    Attributes:
        tty: The path of the program's terminal, or empty.
        terminal: Our side of that terminal, or -1.
        stdin: Where the program's input can be written, or -1.
        stdout, stderr: What the program is to be started with; -1 with a terminal.
    """

    def __init__(self, spec: Obj, log: LogWriter) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._viewers: set[BoundedBuffer] = set()
        self._open: dict[int, int] = {}
        self._paused = False
        self._draining = False
        self._ended = asyncio.Event()
        self.stdin_once = bool(spec.get("stdinOnce"))
        self.terminal = self.stdin = self.stdout = self.stderr = -1
        self.tty = ""
        if spec.get("tty"):
            self.terminal, self._slave = os.openpty()
            self.tty = os.ttyname(self._slave)
            self._follow(self.terminal, 1)
            if spec.get("stdin"):
                self.stdin = self.terminal
        else:
            read, self.stdout = os.pipe()
            self._follow(read, 1)
            read, self.stderr = os.pipe()
            self._follow(read, 2)

    def started(self, stdin: int | None) -> None:
        """Let go of the program's ends once it has them, and take the end of its input."""
        for fd in (self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)
        if stdin is not None:
            os.set_blocking(stdin, False)
            self.stdin = stdin

    def attach(self) -> BoundedBuffer:
        """Return where all that is written from now on arrives: a channel's byte, then data."""
        viewer = BoundedBuffer(on_drained=self._resume)
        if self._ended.is_set():
            viewer.end()
        else:
            self._viewers.add(viewer)
        return viewer

    def detach(self, viewer: BoundedBuffer) -> None:
        """Send nothing more there."""
        self._viewers.discard(viewer)
        viewer.abandon()
        self._resume()

    def close_input(self) -> None:
        """Let the program see the end of its input; a terminal has none."""
        if self.stdin >= 0 and self.stdin != self.terminal:
            os.close(self.stdin)
            self.stdin = -1

    async def drain(self) -> None:
        """Read the rest after the program has ended, and let go of everything.

        A process that escaped its group cannot hold this up.
        """
        self._draining = True
        self._resume()
        self.close_input()
        if self.terminal >= 0:
            self.stdin = -1
            os.close(self._slave)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._ended.wait()
        for fd in list(self._open):
            self._close(fd)
        self.terminal = -1
        for viewer in self._viewers:
            viewer.end()
        self._viewers.clear()

    def _follow(self, fd: int, channel: int) -> None:
        os.set_blocking(fd, False)
        self._open[fd] = channel
        self._loop.add_reader(fd, self._readable, fd)

    def _readable(self, fd: int) -> None:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # So says a terminal that nobody has open any more.
            data = b""
        if not data:
            self._close(fd)
            return
        channel = self._open[fd]
        self._log.feed(data, _STREAMS[channel])
        for viewer in self._viewers:
            viewer.add(bytes([channel]) + data)
        if not self._draining and any(viewer.full for viewer in self._viewers):
            self._paused = True
            for each in self._open:
                self._loop.remove_reader(each)

    def _resume(self) -> None:
        if self._paused and (self._draining or not any(v.full for v in self._viewers)):
            self._paused = False
            for fd in self._open:
                self._loop.add_reader(fd, self._readable, fd)

    def _close(self, fd: int) -> None:
        self._loop.remove_reader(fd)
        del self._open[fd]
        os.close(fd)
        if not self._open:
            self._ended.set()
