"""Exec and port-forward: the requests that stream to and from a pod.

They speak the WebSocket protocols `v4.channel.k8s.io` and `v5.channel.k8s.io`:
the first byte of each message names a channel.
https://kubernetes.io/docs/reference/using-api/deprecation-guide/ and kubelet's remotecommand.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import Any

import tornado.iostream
import tornado.web
import tornado.websocket

from wqlib.localcluster.api.rest import dumps
from wqlib.localcluster.api.server import authorized
from wqlib.localcluster.apimachinery import apierrors
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.kubelet.containers import Container
from wqlib.localcluster.kubelet.kubelet import Kubelet
from wqlib.localcluster.kubelet.logs import LogHandler
from wqlib.localcluster.kubelet.podrequest import PodRequest
from wqlib.localcluster.kubelet.processes import Process
from wqlib.localcluster.store import Store

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255


class SocketHandler(tornado.websocket.WebSocketHandler, PodRequest):
    """The base of exec and port-forward."""

    def initialize(self, store: Store, kubelet: Kubelet, token: str) -> None:
        self.store, self.kubelet, self.token = store, kubelet, token
        self.gone = asyncio.Event()

    def check_origin(self, origin: str) -> bool:
        return True  # The token decides; a web page does not have it.

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return next((p for p in _PROTOCOLS if p in subprotocols), None)

    async def prepare(self) -> None:
        try:
            if not authorized(self, self.token):
                raise apierrors.unauthorized()
            namespace, name = self.path_args[:2]
            self.pod, self.worker = self.find(namespace, name)
            self.check()
            offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
            protocols = [p.strip() for p in offered.split(",")]
            if not any(p in _PROTOCOLS for p in protocols):
                raise apierrors.bad_request(
                    "the local cluster streams by WebSocket (v4 or v5.channel.k8s.io) only; use"
                    " kubectl 1.30 or later, or the Python client"
                )
        except apierrors.ApiError as error:
            self.set_status(error.code)
            self.set_header("Content-Type", "application/json")
            self.finish(dumps(error.body()))

    def check(self) -> None:
        """Raise an `ApiError` when the request cannot be served."""

    def open(self, *args: str) -> None:
        self.set_nodelay(True)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            try:
                await self.serve()
            finally:
                self.close(1000)

    async def serve(self) -> None:
        """Serve the stream until its end."""
        raise NotImplementedError

    def on_close(self) -> None:
        self.gone.set()

    async def send(self, channel: int, data: bytes) -> None:
        """Send data to a channel; nothing is sent to a client that left."""
        if not self.gone.is_set():
            with contextlib.suppress(
                tornado.websocket.WebSocketClosedError, tornado.iostream.StreamClosedError
            ):
                await self.write_message(bytes([channel]) + data, binary=True)


class ExecHandler(SocketHandler):
    """`.../pods/<name>/exec`: a command beside the container's program."""

    process: Process | None = None
    stdin: asyncio.WriteTransport | None = None
    terminal = -1

    def flag(self, name: str) -> bool:
        return self.get_query_argument(name, "").lower() in ("1", "true")

    def check(self) -> None:
        pod_status = self.pod["status"]
        self.target = self.container(
            self.pod, self.worker, self.get_query_argument("container", "")
        )
        self.command = self.get_query_arguments("command")
        if not self.command:
            raise apierrors.bad_request("you must specify at least 1 command for the container")
        if pod_status.get("phase") in ("Succeeded", "Failed"):
            raise apierrors.bad_request(
                "cannot exec into a container in a completed pod; current phase is"
                f" {pod_status['phase']}"
            )
        if self.target.process is None:
            text = f'unable to upgrade connection: container not found ("{self.target.name}")'
            raise apierrors.ApiError(500, "InternalError", text)
        self._early: list[tuple[int, bytes]] = []

    async def serve(self) -> None:
        container = self.target
        argv = [container.mapping.text(word) for word in self.command]
        program = argv[0]
        found = shutil.which(program, path=container.env.get("PATH", ""))
        if found is None and not (container.cwd / program).exists():
            text = f'exec failed: unable to start container process: exec: "{program}": executable'
            await self._finish(127, f"{text} file not found in $PATH: unknown")
            return
        tty, wants_input = self.flag("tty"), self.flag("stdin")
        readers = await self._start(container, argv, tty, wants_input)
        assert self.process is not None
        container.beside.add(self.process)
        for channel, data in self._early:
            self._take(channel, data)
        self._early.clear()
        gone = asyncio.ensure_future(self.gone.wait())
        either: set[asyncio.Future[Any]] = {self.process.done, gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not self.process.done.done():
            self.process.signal(signal.SIGHUP)
            self.process.signal(signal.SIGKILL)
        code = await self.process.done
        container.beside.discard(self.process)
        for reader in readers:
            await reader()
        if self.stdin:
            self.stdin.close()
        await self._finish(code)

    async def _start(
        self, container: Container, argv: list[str], tty: bool, wants_input: bool
    ) -> list[Callable[[], Awaitable[None]]]:
        spawn = self.kubelet.processes.spawn
        if tty:
            self.terminal, slave = os.openpty()
            name = os.ttyname(slave)
            env = {"TERM": "xterm", **container.env}
            self.process = spawn(argv, env, container.cwd, tty=name)
            drain = self._read(self.terminal, _STDOUT)

            async def end() -> None:
                os.close(slave)
                await drain()
                self.terminal = -1

            return [end]
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self.process = spawn(
            argv,
            container.env,
            container.cwd,
            stdin=wants_input,
            stdout=out_write,
            stderr=err_write,
        )
        os.close(out_write)
        os.close(err_write)
        if self.process.stdin is not None:
            loop = asyncio.get_running_loop()
            pipe = os.fdopen(self.process.stdin, "wb", buffering=0)
            self.stdin, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)
        return [self._read(out_read, _STDOUT), self._read(err_read, _STDERR)]

    def _read(self, fd: int, channel: int) -> Callable[[], Awaitable[None]]:
        """Send what can be read from `fd` to a channel; returns what waits for its end."""
        os.set_blocking(fd, False)
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        queue: asyncio.Queue[bytes] = asyncio.Queue()

        def readable() -> None:
            try:
                data = os.read(fd, 1 << 15)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data or queue.qsize() > 64:
                loop.remove_reader(fd)
            queue.put_nowait(data)

        async def carry() -> None:
            while data := await queue.get():
                await self.send(channel, data)
                if queue.qsize() == 0 and not ended.is_set():
                    loop.add_reader(fd, readable)
            ended.set()

        loop.add_reader(fd, readable)
        task = loop.create_task(carry())

        async def end() -> None:
            try:
                await asyncio.wait_for(asyncio.shield(task), 1.0)
            except TimeoutError:
                task.cancel()
            loop.remove_reader(fd)
            os.close(fd)

        return end

    def on_message(self, message: str | bytes) -> None:
        data = message.encode() if isinstance(message, str) else message
        if not data:
            return
        if self.process is None or (self.stdin is None and self.terminal < 0):
            self._early.append((data[0], data[1:]))
        else:
            self._take(data[0], data[1:])

    def _take(self, channel: int, data: bytes) -> None:
        if channel == _STDIN and self.terminal >= 0:
            with contextlib.suppress(OSError):
                os.write(self.terminal, data)
        elif channel == _STDIN and self.stdin is not None:
            self.stdin.write(data)
        elif channel == _RESIZE and self.terminal >= 0:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, struct.error):
                size = json.loads(data)
                packed = struct.pack("HHHH", size["Height"], size["Width"], 0, 0)
                fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, packed)
        elif channel == _CLOSE and data[:1] == bytes([_STDIN]) and self.stdin is not None:
            self.stdin.close()

    async def _finish(self, code: int, why: str = "") -> None:
        """Send the exit status."""
        result: Obj = {"metadata": {}, "status": "Success"}
        if why:
            result = {
                "metadata": {},
                "status": "Failure",
                "message": f"Internal error occurred: {why}",
                "reason": "InternalError",
                "details": {"causes": [{"message": why}]},
                "code": 500,
            }
        elif code:
            result = {
                "metadata": {},
                "status": "Failure",
                "message": f"command terminated with non-zero exit code: exit status {code}",
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
            }
        await self.send(_ERROR, json.dumps(result).encode())


class PortForwardHandler(SocketHandler):
    """`.../pods/<name>/portforward`: two channels for each port, one for data, one for errors."""

    def check(self) -> None:
        texts = ",".join(self.get_query_arguments("ports")).split(",")
        if not all(text.isdigit() and 0 < int(text) < 65536 for text in texts):
            raise apierrors.bad_request("query parameter `port` must be a port number")
        if self.pod["status"].get("phase") != "Running":
            raise apierrors.bad_request(
                "unable to forward port because pod is not running. Current status="
                f"{self.pod['status'].get('phase')}"
            )
        self.ports = [int(text) for text in texts]
        self.writers: dict[int, asyncio.StreamWriter] = {}
        self._early: dict[int, list[bytes]] = {}

    async def serve(self) -> None:
        for i, port in enumerate(self.ports):
            for channel in (2 * i, 2 * i + 1):
                await self.send(channel, struct.pack("<H", port))
        work = [self._forward(2 * i, port) for i, port in enumerate(self.ports)]
        done = asyncio.ensure_future(asyncio.gather(*work))
        gone = asyncio.ensure_future(self.gone.wait())
        either: set[asyncio.Future[Any]] = {done, gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for task in either:
            task.cancel()
        await asyncio.gather(*either, return_exceptions=True)
        for writer in self.writers.values():
            writer.close()

    async def _forward(self, channel: int, port: int) -> None:
        host, real = self.worker.address, self.worker.real_port(port)
        try:
            reader, writer = await asyncio.open_connection(host, real)
        except OSError as error:
            text = (
                f"error forwarding port {port} to pod {self.pod['metadata']['name']}: dial tcp4"
                f" {host}:{real}: {os.strerror(error.errno or 0).lower()}"
            )
            await self.send(channel + 1, text.encode())
            return
        for data in self._early.pop(channel, []):
            writer.write(data)
        self.writers[channel] = writer
        while data := await reader.read(1 << 15):
            await self.send(channel, data)

    async def on_message(self, message: str | bytes) -> None:
        data = message.encode() if isinstance(message, str) else message
        if not data or data[0] % 2:
            return
        writer = self.writers.get(data[0])
        if writer is None:
            self._early.setdefault(data[0], []).append(data[1:])
        else:
            writer.write(data[1:])
            with contextlib.suppress(OSError):
                await writer.drain()


def routes(store: Store, kubelet: Kubelet, token: str) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the routes of the streams."""
    pod = r"/api/v1/namespaces/([^/]+)/pods/([^/]+)"
    shared = {"store": store, "kubelet": kubelet, "token": token}
    return [
        (f"{pod}/log", LogHandler, shared),
        (f"{pod}/exec", ExecHandler, shared),
        (f"{pod}/portforward", PortForwardHandler, shared),
    ]
