"""A small Kubernetes client for the cluster's own parts: the controllers and the kubelet.

They speak HTTP to the API like anybody else, with a token: over TLS, with a base URL and a CA, or
over a pipe when the API is in the same process. Connections are kept and used again, because a
TLS handshake costs more than a request.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from .apierrors import ApiError
from .jsontypes import Obj
from .transport import Connection, Reply

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

# What a part of the cluster sends has no cycles, and is written faster without a look for them.
_encoded = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

Dial = Callable[[Connection], None]


@dataclass
class Client:
    """A client of one API server.

    Args:
        server: The base URL, `https://host:port`.
        token: The bearer token; empty where `context` shows a certificate instead.
        context: Trusts the server's CA.
        dial: Connects to an API server in this process instead; `server` only names it then.
        parallel: How many requests may be under way at once, watches not counted.
    """

    server: str
    token: str
    context: ssl.SSLContext | None = None
    dial: Dial | None = None
    parallel: int = 8
    _idle: list[Connection] = field(default_factory=list)
    _slots: asyncio.Semaphore | None = None
    _heads: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **params: str) -> Obj:
        return await self.request("GET", _with_query(path, params))

    async def create(self, path: str, body: Obj) -> Obj:
        return await self.request("POST", path, body)

    async def replace(self, path: str, body: Obj) -> Obj:
        return await self.request("PUT", path, body)

    async def patch(self, path: str, body: Obj, how: str = MERGE) -> Obj:
        return await self.request("PATCH", path, body, how)

    async def delete(self, path: str, **options: Any) -> Obj:
        return await self.request("DELETE", path, options)

    async def request(
        self, method: str, path: str, body: Obj | None = None, kind: str = "application/json"
    ) -> Obj:
        """Send one request and return the reply's object.

        Raises:
            ApiError: The server refused.
            OSError: The server does not answer.
        """
        data = b"" if body is None else _encoded(body).encode()
        message = self._request_head(method, path, kind, len(data)) + data
        if self.dial is not None:
            reply, text = await self._ask_in_process(message)
        else:
            if self._slots is None:
                self._slots = asyncio.Semaphore(self.parallel)
            async with self._slots:
                reply, text = await self._ask(message)
        obj: Obj = json.loads(text) if text else {}
        if reply.code >= 400:
            raise ApiError(
                reply.code, obj.get("reason", ""), obj.get("message", ""), obj.get("details")
            )
        return obj

    async def _ask_in_process(self, message: bytes) -> tuple[Reply, bytes]:
        """Ask over the pipe: one is enough, as requests need not wait for each other's replies."""
        if not self._idle or self._idle[0].closed:
            self._idle[:] = [await self._connect()]
        reply = self._idle[0].send(message)
        return reply, await reply.body()

    async def _ask(self, message: bytes) -> tuple[Reply, bytes]:
        """Ask over a connection of our own, which nobody else uses meanwhile."""
        for fresh in (False, True):
            connection = await self._connection(fresh)
            try:
                reply = connection.send(message)
                await reply.began
            except ConnectionError:
                if fresh:
                    raise
                continue
            except BaseException:
                connection.close()
                raise
            break
        try:
            text = await reply.body()
        except BaseException:
            connection.close()
            raise
        if reply.headers.get("connection") == "close":
            connection.close()
        else:
            self._idle.append(connection)
        return reply, text

    async def watch(self, path: str, **params: str) -> AsyncIterator[tuple[str, Obj]]:
        """Yield (type, object) of each change until the server ends the watch."""
        connection = await self._connect()
        try:
            target = _with_query(path, {**params, "watch": "true", "allowWatchBookmarks": "true"})
            reply = connection.send(self._request_head("GET", target, "application/json", 0))
            await reply.began
            if reply.code >= 400:
                obj = json.loads(await reply.body())
                raise ApiError(reply.code, obj.get("reason", ""), obj.get("message", ""))
            rest = b""
            while part := await reply.more():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield _watch_event(line)
        except ConnectionResetError:
            return
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self, fresh: bool) -> Connection:
        while self._idle and not fresh:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        if self.dial is not None:
            connection = Connection()
            self.dial(connection)
            return connection
        url = urlsplit(self.server)
        _, made = await asyncio.get_running_loop().create_connection(
            Connection, str(url.hostname), url.port or 443, ssl=self.context
        )
        return made

    def _request_head(self, method: str, path: str, kind: str, length: int) -> bytes:
        fixed = self._heads.get(kind)
        if fixed is None:
            token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
            fixed = self._heads[kind] = (
                f" HTTP/1.1\r\nHost: {urlsplit(self.server).netloc}\r\n{token}"
                f"Accept: application/json\r\nContent-Type: {kind}\r\nContent-Length: "
            )
        return f"{method} {path}{fixed}{length}\r\n\r\n".encode()


def _with_query(path: str, params: dict[str, str]) -> str:
    return f"{path}?{urlencode(params)}" if params else path


def _watch_event(line: bytes) -> tuple[str, Obj]:
    """Return the type and the object of a line of a watch."""
    kind, found, rest = line.partition(b'","object":')
    if found and kind.startswith(b'{"type":"') and rest.endswith(b"}"):
        return kind[9:].decode(), _shared(rest[:-1])
    event = json.loads(line)
    return event["type"], event["object"]


@functools.lru_cache(maxsize=64)
def _shared(text: bytes) -> Obj:
    """Read an object that all who watch it at this moment have in common; nobody changes it."""
    obj: Obj = json.loads(text)
    return obj


def pod_path(namespace: str, name: str, sub: str = "") -> str:
    """Return the path of a pod, or of something under it."""
    return f"/api/v1/namespaces/{namespace}/pods/{name}" + (f"/{sub}" if sub else "")
