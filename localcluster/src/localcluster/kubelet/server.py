"""The kubelet's own server: what the API server asks the node for, and nobody else may.

As on a real node it serves the logs and streams of the node's pods, over TLS. What it answers
goes through the API server to the user, so it is worded as the real one's.
https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError

from ..apimachinery.jsontypes import parse_time, whole_number
from . import attach, logs, portforward, websocket
from . import exec as execution
from .kubelet import Kubelet
from .podworker import PodWorker
from .remotecommand import StreamOptions, either, session

# Tells whether a request may be served: 200, 401 or 403.
Authorize = Callable[[HTTPServerRequest], Awaitable[int]]

_CHANNELS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_REMOTE_COMMAND = ("v4.channel.k8s.io",)
_FORWARD = ("portforward.k8s.io",)
_REFUSALS = {401: "Unauthorized", 403: "Forbidden"}


class Refused(Exception):
    """A request that is answered with a code and a line of text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Handler(tornado.web.RequestHandler):
    """The base of all requests."""

    kubelet: Kubelet

    def initialize(self, kubelet: Kubelet, authorize: Authorize) -> None:
        self.kubelet = kubelet
        self._authorize = authorize
        self.gone = asyncio.Event()

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def compute_etag(self) -> str | None:
        return None

    def on_connection_close(self) -> None:
        self.gone.set()

    async def prepare(self) -> None:
        code = await self._authorize(self.request)
        if code != 200:
            self._refuse(code, _REFUSALS[code])

    async def get(self, *parts: str) -> None:
        try:
            await self.serve(*parts)
        except Refused as error:
            self._refuse(error.code, str(error))
        except StreamClosedError:
            pass

    def _refuse(self, code: int, text: str) -> None:
        self.set_status(code)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)

    async def serve(self, *parts: str) -> None:
        """Answer the request."""
        raise Refused(404, "404 page not found")

    def flag(self, name: str) -> bool:
        return self.get_query_argument(name, "") in ("1", "true")

    def number(self, name: str) -> int | None:
        text = self.get_query_argument(name, "")
        if not text:
            return None
        found = whole_number(text)
        if found is None:
            raise Refused(400, f"invalid {name} {text!r}: it is no number")
        return found


class _Health(_Handler):
    async def serve(self, *parts: str) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("ok")


class _Logs(_Handler):
    """`/containerLogs/<namespace>/<pod>/<container>`."""

    async def serve(self, *parts: str) -> None:
        namespace, name, container_name = parts
        worker = self.kubelet.worker(namespace, name)
        if worker is None:
            raise Refused(404, f'pod "{name}" does not exist\n')
        container = worker.find(container_name)
        if container is None:
            raise Refused(404, f'container "{container_name}" not found in pod "{name}"\n')
        reading = logs.read(
            worker.pod.folder, container.state, container.log, name, self._options()
        )
        async with contextlib.aclosing(reading) as pieces:
            try:
                await anext(pieces)
            except logs.LogMissing as error:
                raise Refused(400, str(error)) from None
            self.set_header("Content-Type", "text/plain")
            await self.flush()

            async def send() -> None:
                async for piece in pieces:
                    if piece:
                        self.write(piece)
                        await self.flush()

            await either(send(), self.gone.wait())
        if not self.gone.is_set():
            self.finish()

    def _options(self) -> logs.Options:
        since = None
        seconds, moment = self.number("sinceSeconds"), self.get_query_argument("sinceTime", "")
        if seconds is not None:
            since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
        elif moment:
            try:
                since = parse_time(moment)
            except ValueError:
                raise Refused(400, f"invalid sinceTime {moment!r}") from None
        return logs.Options(
            follow=self.flag("follow"),
            previous=self.flag("previous"),
            timestamps=self.flag("timestamps"),
            tail=self.number("tailLines"),
            since=since,
            limit=self.number("limitBytes"),
        )


class _Upgraded(_Handler):
    """A request whose connection becomes something else."""

    async def post(self, *parts: str) -> None:
        await self.get(*parts)

    def worker(self, namespace: str, name: str) -> PodWorker:
        worker = self.kubelet.worker(namespace, name)
        if worker is None:
            raise Refused(404, "pod does not exist")
        return worker

    def stream_options(self) -> StreamOptions:
        """Read which channels the client asks for."""
        found = StreamOptions(
            self.flag("input"), self.flag("output"), self.flag("error"), self.flag("tty")
        )
        if not (found.stdin or found.stdout or found.stderr):
            raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
        return found

    async def upgrade(
        self, by_websocket: tuple[str, ...], by_spdy: tuple[str, ...]
    ) -> tuple[IOStream, str]:
        """Agree on a protocol; return the raw connection, and `websocket:` or `spdy:` with it.

        Raises:
            Refused: The client speaks none that we do.
        """
        headers = self.request.headers
        kind = headers.get("Upgrade", "").lower()
        if kind == "websocket" and "Sec-WebSocket-Key" in headers:
            protocol = self._choose("Sec-WebSocket-Protocol", by_websocket)
            answer = {
                "Upgrade": "websocket",
                "Sec-WebSocket-Accept": websocket.accept(headers["Sec-WebSocket-Key"]),
                "Sec-WebSocket-Protocol": protocol,
            }
        elif kind == "spdy/3.1":
            protocol = self._choose("X-Stream-Protocol-Version", by_spdy)
            answer = {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": protocol}
        else:
            raise Refused(400, "unable to upgrade: missing upgrade headers in request")
        stream = self.detach()
        lines = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
        head = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{lines}\r\n"
        await stream.write(head.encode())
        return stream, f"{kind.partition('/')[0]}:{protocol}"

    def _choose(self, header: str, ours: tuple[str, ...]) -> str:
        offered = [p.strip() for p in self.request.headers.get(header, "").split(",")]
        for protocol in ours:
            if protocol in offered:
                return protocol
        raise Refused(
            403,
            "unable to upgrade: unable to negotiate protocol: client supports"
            f" [{' '.join(offered)}], server accepts [{' '.join(ours)}]",
        )


class _Exec(_Upgraded):
    """`/exec/<namespace>/<pod>/<container>`."""

    async def serve(self, *parts: str) -> None:
        namespace, name, container_name = parts
        options = self.stream_options()
        container = self.worker(namespace, name).find(container_name)
        if container is None or container.run is None:
            raise Refused(500, f'container not found ("{container_name}")')
        run, command = container.run, self.get_query_arguments("command")
        stream, kind = await self.upgrade(_CHANNELS, _REMOTE_COMMAND)
        with contextlib.suppress(TimeoutError):
            async with session(stream, kind, options) as client:
                await execution.run(client, run, command, options)


class _Attach(_Upgraded):
    """`/attach/<namespace>/<pod>/<container>`."""

    async def serve(self, *parts: str) -> None:
        namespace, name, container_name = parts
        options = self.stream_options()
        container = self.worker(namespace, name).find(container_name)
        if container is None or container.run is None:
            text = f"container {container_name} not found in pod {name}_{namespace}"
            raise Refused(500, text)
        console = container.run.console
        stream, kind = await self.upgrade(_CHANNELS, _REMOTE_COMMAND)
        with contextlib.suppress(TimeoutError):
            async with session(stream, kind, options) as client:
                await attach.run(client, console, options)


class _PortForward(_Upgraded):
    """`/portForward/<namespace>/<pod>`."""

    async def serve(self, *parts: str) -> None:
        namespace, name = parts
        worker = self.worker(namespace, name)
        if not any(container.run for container in worker.containers):
            raise Refused(500, f'pod not found ("{name}_{namespace}")')
        ports = self._ports()
        stream, kind = await self.upgrade((portforward.TUNNEL, *_CHANNELS), _FORWARD)
        target = portforward.Target(name, worker.pod.address, worker.pod.real_port)
        try:
            if kind.startswith("spdy:"):
                await portforward.by_spdy(stream, target, tunnel=False)
            elif kind.endswith(portforward.TUNNEL):
                await portforward.by_spdy(stream, target, tunnel=True)
            else:
                await portforward.by_websocket(stream, target, ports)
        finally:
            stream.close()

    def _ports(self) -> list[int]:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        text = ",".join(self.get_query_arguments("port"))
        if not offered or portforward.TUNNEL in offered:
            return []
        if not text:
            raise Refused(400, 'query parameter "port" is required')
        found = []
        for part in text.split(","):
            port = whole_number(part) or 0
            if not 0 < port < 65536:
                raise Refused(400, f'unable to parse "{part}" as a port')
            found.append(port)
        return found


class _Application(tornado.web.Application):
    """Gives methods that Tornado does not know to a handler too: it asks who is there first."""

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        if request.method not in _Handler.SUPPORTED_METHODS:
            request.method = "OPTIONS"
        return super().find_handler(request, **kwargs)


def listen(
    kubelet: Kubelet, context: ssl.SSLContext, authorize: Authorize, port: int = 0
) -> tuple[tornado.httpserver.HTTPServer, int]:
    """Serve on 127.0.0.1; return the server and its port."""
    shared: dict[str, Any] = {"kubelet": kubelet, "authorize": authorize}
    name = "([^/]+)"
    application = _Application(
        [
            (f"/containerLogs/{name}/{name}/{name}", _Logs, shared),
            (f"/exec/{name}/{name}/{name}", _Exec, shared),
            (f"/attach/{name}/{name}/{name}", _Attach, shared),
            (f"/portForward/{name}/{name}", _PortForward, shared),
            ("/healthz", _Health, shared),
            (".*", _Handler, shared),
        ],
        log_function=lambda handler: None,
    )
    server = tornado.httpserver.HTTPServer(
        application,
        ssl_options=context,
        max_body_size=64 * 1024,
        max_buffer_size=256 * 1024,
        idle_connection_timeout=600,
        body_timeout=30,
    )
    sockets = tornado.netutil.bind_sockets(port, "127.0.0.1", backlog=512)
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]
