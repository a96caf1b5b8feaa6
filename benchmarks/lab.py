"""The bench itself: cores, servers, contenders as processes, and the server's own counters."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import redis

from wqlib.redisserver import RedisServer

ROOT = Path(__file__).resolve().parent.parent
CAN_PIN = hasattr(os, "sched_setaffinity")
_PATIENCE_SECONDS = 120.0


class ContenderFailed(Exception):
    """A contender broke down, or did not do its work."""


@dataclass(frozen=True)
class Placement:
    """Which core the server has, and which the worker.

    Attributes:
        name: `one_core` or `two_cores`.
        server_core, worker_core: Numbers of cores; None: wherever the system puts it.
    """

    name: str
    server_core: int | None
    worker_core: int | None


def placements(wanted: str) -> tuple[list[Placement], dict[str, str]]:
    """The placements that this machine can do, and why it cannot do the others.

    Args:
        wanted: "one", "two" or "both".
    """
    if not CAN_PIN:
        why = "this system cannot pin a process to a core"
        two = [Placement("two_cores", None, None)] if wanted != "one" else []
        return two, {"one_core": why}
    cores = sorted(os.sched_getaffinity(0))
    first, last = cores[0], cores[-1]
    found, missing = [], {}
    if wanted in ("one", "both"):
        found.append(Placement("one_core", last, last))
    if wanted in ("two", "both"):
        if first == last:
            missing["two_cores"] = "there is only one core"
        else:
            found.append(Placement("two_cores", last, first))
    return found, missing


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Keep this thread, and the processes that it starts, on one core for a while."""
    if core is None or not CAN_PIN:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def server_on(core: int | None) -> RedisServer:
    """A private server on one core."""
    with on_core(core):
        return RedisServer()


class Process:
    """A program that speaks the language of contenders/protocol.py.

    It gets a session of its own, so that Ctrl-C goes to the benchmark alone, which then ends it.

    Args:
        command: The command line.
        core: The core that it is kept on, or None.
        patience_seconds: How long to wait for an answer.
    """

    def __init__(
        self,
        command: Sequence[str],
        core: int | None = None,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed in close()
        self._pending = b""
        with on_core(core):
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, line: object) -> None:
        """Send one line."""
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ContenderFailed(f"it ended early: {self._last_words()}") from None

    def listen(self) -> dict[str, Any]:
        """Wait for one JSON object.

        Raises:
            ContenderFailed: It ended, or said nothing for too long.
        """
        assert self._process.stdout
        give_up_at = time.monotonic() + self._patience_seconds
        while b"\n" not in self._pending:
            left = give_up_at - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise ContenderFailed(f"it said nothing for {self._patience_seconds:g} s")
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                raise ContenderFailed(f"it ended early: {self._last_words()}")
            self._pending += part
        line, self._pending = self._pending.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, line: object) -> dict[str, Any]:
        """Send a line and wait for the answer."""
        self.tell(line)
        return self.listen()

    def kill(self) -> None:
        """End it at once, by SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, seconds: float) -> int | None:
        """Wait for its end; the exit code, or None if it goes on."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """End it if it still runs, and whatever it started."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _last_words(self) -> str:
        self._process.wait(5)
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        said = " / ".join(line.strip() for line in lines[-8:] if line.strip())
        return said[-600:] or f"exit code {self._process.returncode}"


@dataclass(frozen=True)
class Load:
    """What a server had to do.

    Attributes:
        reads: Requests that reached it.
        cpu_seconds: Processor time that it took.
    """

    reads: int
    cpu_seconds: float


class Counter:
    """Counts the requests that reach a server, by the server's own counter.

    `total_reads_processed` grows by one each time the server reads from a client: one for a
    command, one for a whole pipeline that comes at once, none for what a script calls, and this
    on Redis 6.2 to 8 and on Valkey alike. (The calls in `commandstats` also count what scripts
    do, and each command of a pipeline.) So it is the number of round trips.
    """

    def __init__(self, server: RedisServer) -> None:
        self._client = redis.Redis.from_url(server.url, single_connection_client=True)
        self._client.ping()
        self._last = Load(0, 0.0)
        self.since()

    def since(self) -> Load:
        """What others asked for since the last call."""
        before, info = self._last, self._client.info("all")
        cpu = float(info["used_cpu_sys"]) + float(info["used_cpu_user"])
        self._last = Load(int(info["total_reads_processed"]), cpu)
        return Load(self._last.reads - before.reads - 1, cpu - before.cpu_seconds)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def wipe(server: RedisServer) -> None:
    """Empty the server, its scripts excepted."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
