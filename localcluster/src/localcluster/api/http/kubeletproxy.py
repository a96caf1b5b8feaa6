"""Proxy to the kubelets, which the API server asks for logs and streams of pods.

What the real API server answers itself is answered here; all else is the kubelet's word. It is
found by the addresses and the port that its Node object announces.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import tornado.httputil
from tornado.httputil import HTTPHeaders
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj, whole_number
from ...store import Store
from ..endpoints.parameters import flag, pod_log_options
from .server import ApiHandler

_CHUNK_BYTES = 64 * 1024
_BUFFER_BYTES = 1024 * 1024
_MAX_ERROR_BYTES = 50_000
_CONNECT_SECONDS = 10.0
_PREFERRED = ("InternalIP", "Hostname")
_FORWARDED_HEADERS = (
    "Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol", "X-Stream-Protocol-Version", "User-Agent",
)  # fmt: skip


class KubeletCredentials(NamedTuple):
    """How the API server and the kubelets know each other.

    Args:
        token: What only the API server and its kubelets know.
        context: Trusts the cluster's CA.
    """

    token: str
    context: ssl.SSLContext


class _KubeletRequest(ApiHandler):
    """A request about one pod, for its kubelet."""

    def initialize(self, store: Store, credentials: KubeletCredentials) -> None:
        self.store, self.credentials = store, credentials
        self.upstream: IOStream | None = None
        self.gone = False

    def on_connection_close(self) -> None:
        self.gone = True
        if self.upstream:
            self.upstream.close()

    async def handle(self, *parts: str) -> None:
        try:
            self.asked = self.read_request()
            await self.serve(*parts)
        except apierrors.ApiError as error:
            self.refuse(error)
        except StreamClosedError:
            pass
        finally:
            if self.upstream:
                self.upstream.close()

    get = post = put = patch = delete = head = options = handle

    async def serve(self, namespace: str, name: str) -> None:
        """Answer the request."""
        raise NotImplementedError

    def pod(self, namespace: str, name: str) -> Obj:
        """Return the pod, or raise a 404."""
        entry = self.store.get("pods", (namespace, name))
        if entry is None:
            raise apierrors.not_found("pods", "", name)
        return entry.obj

    def container(self, pod: Obj) -> str:
        """Return the name of the container that the request means."""
        spec, pod_name = pod["spec"], pod["metadata"]["name"]
        main = [c["name"] for c in spec["containers"]]
        init = [c["name"] for c in spec.get("initContainers") or []]
        name = self.asked.param("container")
        if name:
            added = [c["name"] for c in spec.get("ephemeralContainers") or []]
            if name not in main + init + added:
                raise apierrors.bad_request(f"container {name} is not valid for pod {pod_name}")
            return name
        if len(main) == 1:
            return str(main[0])
        text = f"a container name must be specified for pod {pod_name}, choose one of:"
        text += f" [{' '.join(main)}]"
        if init:
            text += f" or one of the init containers: [{' '.join(init)}]"
        raise apierrors.bad_request(text)

    async def ask(self, pod: Obj, path: str, params: list[tuple[str, str]]) -> IOStream:
        """Send a request to the pod's kubelet; return the connection, before any answer."""
        host, port = self._kubelet(pod["spec"]["nodeName"])
        target = f"{path}?{urlencode(params)}" if params else path
        lines = [
            f"{self.request.method} {target} HTTP/1.1",
            f"Host: {host}:{port}",
            f"Authorization: Bearer {self.credentials.token}",
            "Content-Length: 0",
        ]
        for name in _FORWARDED_HEADERS:
            lines += [f"{name}: {v}" for v in self.request.headers.get_list(name)]
        connecting = TCPClient().connect(
            host, port, ssl_options=self.credentials.context, max_buffer_size=_BUFFER_BYTES
        )
        try:
            stream = self.upstream = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
        except (OSError, TimeoutError, StreamClosedError) as error:
            code = getattr(getattr(error, "real_error", None) or error, "errno", None)
            how = f"connect: {os.strerror(code).lower()}" if code else "i/o timeout"
            why = f'Get "https://{host}:{port}{target}": dial tcp {host}:{port}: {how}'
            raise apierrors.internal(why) from None
        if self.gone:
            raise StreamClosedError
        await stream.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        return stream

    def _kubelet(self, node_name: str) -> tuple[str, int]:
        entry = self.store.get("nodes", ("", node_name))
        if entry is None:
            raise apierrors.not_found("nodes", "", node_name)
        status = entry.obj.get("status") or {}
        addresses = {a["type"]: a["address"] for a in status.get("addresses") or []}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        host = next((addresses[kind] for kind in _PREFERRED if kind in addresses), "")
        if not host or not port:
            text = f"no preferred addresses found; known addresses: {list(addresses.values())}"
            raise apierrors.internal(text)
        return host, int(port)


async def _read_head(stream: IOStream) -> tuple[bytes, int, HTTPHeaders]:
    try:
        raw = await stream.read_until(b"\r\n\r\n", max_bytes=_CHUNK_BYTES)
    except StreamClosedError:
        text = "the kubelet closed the connection without an answer"
        raise apierrors.internal(text) from None
    first, _, rest = raw.decode("latin-1").partition("\r\n")
    return raw, tornado.httputil.parse_response_start_line(first).code, HTTPHeaders.parse(rest)


class LogHandler(_KubeletRequest):
    """`GET .../pods/<name>/log`."""

    async def serve(self, namespace: str, name: str) -> None:
        if self.request.method != "GET":
            raise apierrors.method_not_allowed()
        params = pod_log_options(self.asked, name)
        pod = self.pod(namespace, name)
        container = self.container(pod)
        if not pod["spec"].get("nodeName"):
            self.set_status(204)
            self.finish()
            return
        path = "/containerLogs/" + "/".join(map(quote, (namespace, name, container)))
        stream = await self.ask(pod, path, params)
        _, code, headers = await _read_head(stream)
        if code != 200:
            raise _kubelet_error(code, await _read_text(stream, headers))
        self.set_header("Content-Type", "text/plain")
        await self.flush()
        while data := await _read_chunk(stream):
            self.write(data)
            await self.flush()
        self.finish()


async def _read_chunk(stream: IOStream) -> bytes:
    """Return the next chunk of a chunked body; empty at its end."""
    size = int(await stream.read_until(b"\r\n", max_bytes=64), 16)
    data = await stream.read_bytes(size + 2)
    return data[:-2]


async def _read_text(stream: IOStream, headers: HTTPHeaders) -> str:
    size = min(int(headers.get("Content-Length", "0")), _MAX_ERROR_BYTES)
    return (await stream.read_bytes(size)).decode(errors="replace")


def _kubelet_error(code: int, text: str) -> apierrors.ApiError:
    """Return the error that the real server makes of a kubelet's refusal."""
    if code == 400:
        return apierrors.bad_request(text)
    if code == 500:
        return apierrors.internal(text)
    if code == 404:
        message = f"the server could not find the requested resource ({text})"
        return apierrors.ApiError(404, "NotFound", message)
    return apierrors.ApiError(code, "", f"the server responded with the status code {code}: {text}")


class StreamHandler(_KubeletRequest):
    """`.../pods/<name>/exec`, `attach` and `portforward`: the connection leads to the kubelet."""

    async def serve(self, namespace: str, name: str) -> None:
        if self.request.method not in ("GET", "POST"):
            raise apierrors.method_not_allowed()
        verb = self.request.path.rpartition("/")[2]
        ports = self._ports()
        pod = self.pod(namespace, name)
        place = [namespace, name]
        params = [("port", ",".join(ports))] if ports else []
        if verb != "portforward":
            place.append(self.container(pod))
            params = self._channels()
        if not pod["spec"].get("nodeName"):
            raise apierrors.bad_request(f"pod {name} does not have a host assigned")
        if "upgrade" not in self.request.headers.get("Connection", "").lower():
            raise apierrors.bad_request("Upgrade request required")
        kind = "portForward" if verb == "portforward" else verb
        upstream = await self.ask(pod, f"/{kind}/" + "/".join(map(quote, place)), params)
        raw, code, headers = await _read_head(upstream)
        if code != 101:
            self.set_status(code)
            self.set_header("Content-Type", headers.get("Content-Type", "text/plain"))
            self.finish(await _read_text(upstream, headers))
            return
        client = self.detach()
        try:
            await client.write(raw)
            await _relay(client, upstream)
        finally:
            client.close()

    def _ports(self) -> list[str]:
        texts = [t for value in self.asked.query.get("ports", ()) for t in value.split(",")]
        for text in texts:
            if whole_number(text) is None:
                raise apierrors.bad_request(
                    f'cannot convert to []int32: strconv.ParseUint: parsing "{text}":'
                    " invalid syntax"
                )
        return texts

    def _channels(self) -> list[tuple[str, str]]:
        names = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
        params = [(theirs, "1") for ours, theirs in names.items() if flag(self.asked, ours)]
        return params + [("command", word) for word in self.asked.query.get("command", ())]


async def _relay(one: IOStream, other: IOStream) -> None:
    """Carry bytes both ways, as fast as the slower side takes them, until one side is gone."""

    async def carry(source: IOStream, target: IOStream) -> None:
        with contextlib.suppress(StreamClosedError):
            while True:
                data = await source.read_bytes(_CHUNK_BYTES, partial=True)
                # Tornado does not expect that the waiting for a write is cancelled.
                await asyncio.shield(target.write(data))

    for stream in (one, other):
        stream.set_close_callback(lambda: None)
    tasks: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(work) for work in (carry(one, other), carry(other, one))
    ]
    await _wait_for_first(tasks)


async def _wait_for_first(tasks: list[asyncio.Future[Any]]) -> None:
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


Handlers = list[tuple[str, Any, dict[str, Any]]]


def routes(store: Store, credentials: KubeletCredentials) -> Handlers:
    """Return the routes of logs and streams."""
    pod = "/api/v1/namespaces/([^/]+)/pods/([^/]+)"
    shared = {"store": store, "credentials": credentials}
    return [
        (f"{pod}/log", LogHandler, shared),
        (f"{pod}/(?:exec|attach|portforward)", StreamHandler, shared),
    ]
