"""Probes: how the kubelet asks a container whether it is well.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..apimachinery.jsontypes import Obj
from ..apimachinery.version import MAJOR, MINOR
from .processes import StartError

RunCommand = Callable[[list[str], float], Awaitable[tuple[int, str]]]
FindPort = Callable[[int | str], int]


class Target(NamedTuple):
    """How a container is reached.

    Attributes:
        address: Its pod's.
        port_of: Finds the port of the machine that stands for one of the pod's, or raises
            ValueError.
        run: Runs a command in it, for so many seconds at most; returns its code and output.
    """

    address: str
    port_of: FindPort
    run: RunCommand


class Result(NamedTuple):
    """The result of one probe.

    Attributes:
        why: What is wrong, in the words of a real kubelet; means nothing after a success.
        known: False when the probe itself could not be done.
    """

    success: bool
    why: str = ""
    known: bool = True


async def run_probe(probe: Obj, target: Target) -> Result:
    """Run a probe once."""
    seconds = float(probe.get("timeoutSeconds", 1))
    try:
        if "exec" in probe:
            return await _exec(list(probe["exec"].get("command") or []), target.run, seconds)
        if "tcpSocket" in probe:
            wanted = probe["tcpSocket"]
            host, port = wanted.get("host") or target.address, target.port_of(wanted["port"])
            return await _tcp(host, port, seconds)
        if "httpGet" in probe:
            return await _http(probe["httpGet"], target, seconds)
    except ValueError as error:
        return Result(False, str(error), known=False)
    kind = ", ".join(sorted(set(probe) & {"grpc"})) or "this kind"
    return Result(False, f"the local cluster does not know probes of {kind}", known=False)


async def _exec(command: list[str], run: RunCommand, seconds: float) -> Result:
    try:
        code, output = await run(command, seconds)
    except TimeoutError:
        return Result(False, f'command "{" ".join(command)}" timed out')
    except (OSError, StartError) as error:
        return Result(False, f"failed to exec in container: {error}", known=False)
    return Result(code == 0, output)


async def _tcp(host: str, port: int, seconds: float) -> Result:
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except TimeoutError:
        return Result(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Result(False, _dial(host, port, error))
    return Result(True)


def _dial(host: str, port: int, error: OSError) -> str:
    words = os.strerror(error.errno).lower() if error.errno else str(error)
    return f"dial tcp {host}:{port}: connect: {words}"


async def _http(wanted: Obj, target: Target, seconds: float) -> Result:
    host, port = wanted.get("host") or target.address, target.port_of(wanted["port"])
    path = "/" + (wanted.get("path") or "/").lstrip("/")
    scheme = (wanted.get("scheme") or "HTTP").lower()
    url = f"{scheme}://{host}:{port}{path}"
    try:
        async with asyncio.timeout(seconds):
            code = await _status(scheme, host, port, path, wanted)
    except TimeoutError:
        awaiting = "(Client.Timeout exceeded while awaiting headers)"
        return Result(False, f'Get "{url}": context deadline exceeded {awaiting}')
    except OSError as error:
        return Result(False, f'Get "{url}": {_dial(host, port, error)}')
    except ValueError:
        return Result(False, f'Get "{url}": the answer is not HTTP')
    if 200 <= code < 400:
        return Result(True)
    return Result(False, f"HTTP probe failed with statuscode: {code}")


async def _status(scheme: str, host: str, port: int, path: str, wanted: Obj) -> int:
    """Send one request, and return the status code of its answer."""
    context = None
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {
        "Host": f"{host}:{port}",
        "User-Agent": f"kube-probe/{MAJOR}.{MINOR}",
        "Accept": "*/*",
        "Connection": "close",
        **{h["name"]: h.get("value", "") for h in wanted.get("httpHeaders") or []},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        line = await reader.readline()
        if not line.startswith(b"HTTP/"):
            raise ValueError("no HTTP")
        return int(line.split(b" ")[1])
    except IndexError:
        raise ValueError("no HTTP") from None
    finally:
        with contextlib.suppress(OSError):
            writer.close()


@dataclass
class Thresholds:
    """Turns results into verdicts, by the probe's thresholds. Pure."""

    successes_needed: int
    failures_needed: int
    _last: bool | None = None
    _in_a_row: int = 0

    @classmethod
    def of(cls, probe: Obj) -> Thresholds:
        return cls(probe.get("successThreshold", 1), probe.get("failureThreshold", 3))

    def record(self, well: bool) -> bool | None:
        """Take in a result; return the verdict once enough were the same, else None."""
        self._in_a_row = self._in_a_row + 1 if well == self._last else 1
        self._last = well
        needed = self.successes_needed if well else self.failures_needed
        return well if self._in_a_row >= needed else None
