"""Probes: how the kubelet asks a container whether it is well.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from wqlib.localcluster.apimachinery.jsontypes import Obj

# A container that is not ready yet is asked more often than the manifest says: life is faster
# here than on a real node, where images are pulled first.
_EAGER_SECONDS = 0.1

RunCommand = Callable[[list[str], float], Awaitable[tuple[int, str]]]
FindPort = Callable[[int | str], int]


async def ask(probe: Obj, address: str, port_of: FindPort, run: RunCommand) -> str:
    """Ask once; returns an empty string when all is well, otherwise what is wrong."""
    seconds = float(probe.get("timeoutSeconds", 1))
    try:
        if "exec" in probe:
            code, output = await run(list(probe["exec"].get("command") or []), seconds)
            return "" if code == 0 else output or f"exit code {code}"
        if "tcpSocket" in probe:
            port = port_of(probe["tcpSocket"]["port"])
            await asyncio.wait_for(_connect(address, port), seconds)
            return ""
        if "httpGet" in probe:
            wanted = probe["httpGet"]
            port = port_of(wanted["port"])
            path = wanted.get("path") or "/"
            code = await asyncio.wait_for(_http(address, port, path), seconds)
            return "" if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"
    except TimeoutError:
        return f"probe timed out after {seconds:g}s"
    except (OSError, ValueError) as error:
        return str(error)
    return "this kind of probe is not supported by the local cluster"


async def _connect(address: str, port: int) -> None:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()


async def _http(address: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        request = f"GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: kube-probe/1.33\r\n\r\n"
        writer.write(request.encode())
        line = await reader.readline()
        return int(line.split(b" ")[1])
    except IndexError:
        raise ValueError("no HTTP answer") from None
    finally:
        with contextlib.suppress(OSError):
            writer.close()


async def watch(
    probe: Obj,
    once: Callable[[], Awaitable[str]],
    change: Callable[[bool, str], None],
    *,
    eager: bool,
) -> None:
    """Ask for ever, and report each change: well after successes, unwell after failures.

    Args:
        eager: ask more often until the first success.
        change: called with (well, why) at each change, and once for each failure in a row that
            reaches the threshold.
    """
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    period = float(probe.get("periodSeconds", 10))
    well: bool | None = None
    successes = failures = 0
    while True:
        why = await once()
        successes, failures = (successes + 1, 0) if not why else (0, failures + 1)
        if not why and successes >= probe.get("successThreshold", 1) and well is not True:
            well = True
            change(True, "")
        elif (
            why
            and failures >= probe.get("failureThreshold", 3)
            and (well is True or (well is None and not eager))
        ):
            well = False
            change(False, why)
        waiting = eager and well is None
        await asyncio.sleep(min(period, _EAGER_SECONDS) if waiting else period)
