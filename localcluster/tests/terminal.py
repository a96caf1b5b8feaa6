"""A command at a terminal of its own, and somebody who types at it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """Runs a command whose input and output are a terminal.

    Args:
        size: Rows and columns.
    """

    def __init__(
        self, command: list[str], env: dict[str, str], size: tuple[int, int] = (24, 80)
    ) -> None:
        self.master, slave = os.openpty()
        self.resize(*size)
        self.seen = ""
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        packed = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, packed)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, text: str, seconds: float = 30.0) -> None:
        """Wait until this appears; what came before it is forgotten."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if not self._read(0.1) and self.process.poll() is not None:
                assert self._read(0.5) or text in self.seen, f"no {text!r} in {self.seen!r}"
        self.seen = self.seen.partition(text)[2]

    def end(self, seconds: float = 30.0) -> int:
        """Wait for the command's end; returns its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end; it printed {self.seen!r}"
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        with contextlib.suppress(OSError):
            data = os.read(self.master, 65536)
            self.seen += data.decode(errors="replace")
            return bool(data)
        return False
