"""A small Kubernetes client for the cluster's own parts: the controllers and the kubelet.

They speak HTTPS to the API like anybody else, with a base URL, a token and a CA. Connections
are kept and used again, because a TLS handshake costs more than a request.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.jsontypes import Obj

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.split("\r\n")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        return int(first.split(" ", 2)[1]), headers

    async def chunk(self) -> bytes:
        """Return the next chunk of a chunked body; empty at its end."""
        size = int((await self.reader.readuntil(b"\r\n")).strip() or b"0", 16)
        data = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return data

    async def body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while part := await self.chunk():
                parts.append(part)
            return b"".join(parts)
        return await self.reader.readexactly(int(headers.get("content-length", "0")))

    def close(self) -> None:
        self.writer.close()


@dataclass
class Client:
    """A client of one API server.

    Args:
        server: the base URL, `https://host:port`.
        token: the bearer token; empty where `context` shows a certificate instead.
        context: trusts the server's CA.
        parallel: how many requests may be under way at once, watches not counted.
    """

    server: str
    token: str
    context: ssl.SSLContext
    parallel: int = 8
    _idle: list[_Connection] = field(default_factory=list)
    _slots: asyncio.Semaphore | None = None

    async def get(self, path: str, **params: str) -> Obj:
        return await self.request("GET", _with(path, params))

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
            ApiError: the server refused.
            OSError: the server does not answer.
        """
        if self._slots is None:
            self._slots = asyncio.Semaphore(self.parallel)
        async with self._slots:
            data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
            for fresh in (False, True):
                connection = await self._connection(fresh)
                try:
                    connection.writer.write(
                        self._request_head(method, path, kind, len(data)) + data
                    )
                    code, headers = await connection.head()
                except (asyncio.IncompleteReadError, ConnectionError):
                    connection.close()
                    if fresh:
                        raise ConnectionResetError("the API server closed the connection") from None
                    continue
                except BaseException:
                    connection.close()
                    raise
                break
            try:
                reply = await connection.body(headers)
            except asyncio.IncompleteReadError:
                connection.close()
                raise ConnectionResetError("the API server closed the connection") from None
            except BaseException:
                connection.close()
                raise
            if headers.get("connection") == "close":
                connection.close()
            else:
                self._idle.append(connection)
        obj: Obj = json.loads(reply) if reply else {}
        if code >= 400:
            raise ApiError(code, obj.get("reason", ""), obj.get("message", ""), obj.get("details"))
        return obj

    async def watch(self, path: str, **params: str) -> AsyncIterator[tuple[str, Obj]]:
        """Yield (type, object) of each change until the server ends the watch."""
        connection = await self._connect()
        try:
            target = _with(path, {**params, "watch": "true", "allowWatchBookmarks": "true"})
            connection.writer.write(self._request_head("GET", target, "application/json", 0))
            code, headers = await connection.head()
            if code >= 400:
                obj = json.loads(await connection.body(headers))
                raise ApiError(code, obj.get("reason", ""), obj.get("message", ""))
            rest = b""
            while part := await connection.chunk():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]
        except asyncio.IncompleteReadError:
            return
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self, fresh: bool) -> _Connection:
        while self._idle and not fresh:
            connection = self._idle.pop()
            if not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.close()
        return await self._connect()

    async def _connect(self) -> _Connection:
        url = urlsplit(self.server)
        reader, writer = await asyncio.open_connection(
            url.hostname, url.port, ssl=self.context, limit=1 << 20
        )
        return _Connection(reader, writer)

    def _request_head(self, method: str, path: str, kind: str, length: int) -> bytes:
        host = urlsplit(self.server).netloc
        token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{token}"
            f"Accept: application/json\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        ).encode()


def _with(path: str, params: dict[str, str]) -> str:
    return f"{path}?{urlencode(params)}" if params else path


def pod_path(namespace: str, name: str, sub: str = "") -> str:
    """Return the path of a pod, or of something under it."""
    return f"/api/v1/namespaces/{namespace}/pods/{name}" + (f"/{sub}" if sub else "")
