"""A local cluster to measure, and a client that costs the machine as little as it can."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

import localcluster

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "default"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)

# Said by a process of its own, whose clock starts before it imports anything of ours.
_BOOT = """
import sys, time
began = time.perf_counter()
import base64, http.client, json, ssl
from urllib.parse import urlsplit
from localcluster import ensure
loaded = json.loads(ensure(nodes=int(sys.argv[1])).read_text())
cluster = loaded["clusters"][0]["cluster"]
usable = time.perf_counter()
ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
server = urlsplit(cluster["server"])
api = http.client.HTTPSConnection(
    server.hostname, server.port, context=ssl.create_default_context(cadata=ca)
)
api.request("GET", "/api/v1/nodes", headers={
    "Authorization": "Bearer " + loaded["users"][0]["user"]["token"]})
reply = api.getresponse()
assert reply.status == 200 and json.loads(reply.read())["items"]
print(json.dumps({"usable": usable - began, "answered": time.perf_counter() - began}))
"""


class Failed(Exception):
    """The cluster did not do what was asked."""


class Connection:
    """One connection to the API, kept open."""

    def __init__(self, kubeconfig: Path) -> None:
        loaded = json.loads(kubeconfig.read_text())
        cluster = loaded["clusters"][0]["cluster"]
        url = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        plain = socket.create_connection((str(url.hostname), int(url.port or 443)), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname=url.hostname)
        self._head = (
            f" HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {loaded['users'][0]['user']['token']}\r\n"
        )

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _send(self, method: str, path: str, body: Any, kind: str) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{self._head}Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        self._socket.sendall(f"{method} {path}".encode() + head.encode() + data)

    def raw(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        """Send a request; returns the code and the body of the reply."""
        self._send(method, path, body, kind)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, data = data.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        parts, size = [data], len(data)
        while size < length:
            parts.append(self._receive())
            size += len(parts[-1])
        return int(head[9:12]), b"".join(parts)

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> dict[str, Any]:
        """Send a request that has to succeed; returns the object of the reply."""
        code, data = self.raw(method, path, body, kind)
        if code >= 400:
            raise Failed(f"{method} {path}: {code} {data[:300].decode()}")
        loaded: dict[str, Any] = json.loads(data)
        return loaded

    def watch(self, path: str) -> Iterator[bytes]:
        """Yield the lines of a watch as they come; the connection is used up by it."""
        self._send("GET", path + ("&" if "?" in path else "?") + "watch=true", None, "*/*")
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        data = data.partition(b"\r\n\r\n")[2]
        rest = b""
        while True:
            while b"\r\n" not in data:
                data += self._receive()
            size, _, data = data.partition(b"\r\n")
            count = int(size, 16)
            while len(data) < count + 2:
                data += self._receive()
            *lines, rest = (rest + data[:count]).split(b"\n")
            data = data[count + 2 :]
            yield from lines

    def _receive(self) -> bytes:
        received = self._socket.recv(1 << 17)
        if not received:
            raise Failed("the API closed the connection")
        return received


def _cpu_seconds(process: psutil.Process) -> float:
    """Return what a process has used: by the nanosecond on Linux, where psutil counts by 10 ms."""
    threads = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    used = [int(thread.read_text().split()[0]) for thread in threads]
    if used:
        return sum(used) / 1e9
    times = process.cpu_times()
    return times.user + times.system


class Cluster:
    """A local cluster in a folder of its own, as a `with` block."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self._folder = tempfile.TemporaryDirectory(prefix="localcluster-")
        self.home = Path(self._folder.name)
        self.kubeconfig = self.home / "cluster" / "kubeconfig"

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {
            **os.environ,
            "PYTHONPATH": path,
            "LOCALCLUSTER_HOME": str(self.home),
            "LOCALCLUSTER_LINGER_SECONDS": "5",
        }

    def boot(self) -> dict[str, float]:
        """Start it from a fresh process; returns what took how long, in ms.

        `process` counts the start of the interpreter too, `answered` the first request.
        """
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _BOOT, str(self.nodes)],
            capture_output=True,
            text=True,
            env=self._environment(),
            # Python would look for modules in the folder that it is started in.
            cwd=self.home,
            timeout=60,
        )
        if done.returncode:
            raise Failed(f"the cluster did not start: {done.stderr.strip()[-500:]}")
        times = {"process": time.perf_counter() - began, **json.loads(done.stdout)}
        # Now it lives as long as this process, and ends by itself when this one is killed.
        localcluster.ensure(self.home)
        return {name: seconds * 1000 for name, seconds in times.items()}

    def stop(self) -> None:
        localcluster.stop(self.home)

    def connect(self) -> Connection:
        return Connection(self.kubeconfig)

    @property
    def daemon(self) -> psutil.Process:
        info = json.loads((self.home / "cluster" / "daemon.json").read_text())
        return psutil.Process(info["pid"])

    def cpu_seconds(self) -> float:
        """Return what the daemon has used itself, and its reaper, without the pods."""
        return sum(_cpu_seconds(process) for process in self._own())

    def memory_mb(self) -> float:
        """Return the resident memory of the daemon and its reaper, in MB of 2**20 bytes."""
        return sum(process.memory_info().rss for process in self._own()) / (1 << 20)

    def _own(self) -> list[psutil.Process]:
        daemon = self.daemon
        own = [daemon]
        for child in daemon.children():
            # A pod may end just now.
            try:
                if any(word.endswith("reaper.py") for word in child.cmdline()):
                    own.append(child)
            except psutil.Error:
                continue
        return own
