"""The client of the cluster's own parts over HTTP, also with servers that are none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
import tornado.web

from localcluster.apimachinery.apierrors import ApiError
from localcluster.apimachinery.client import Client
from localcluster.apimachinery.httptransport import HttpTransport
from localcluster.apimachinery.informer import Informer

from .conftest import Local

_CONTAINER = {"name": "c", "image": "localcluster/python"}


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine, but not for ever."""
    asyncio.run(asyncio.wait_for(work, 30))


class _Echo(tornado.web.RequestHandler):
    """Answers in one piece, or in three that come one by one."""

    async def post(self, how: str) -> None:
        if how == "whole":
            self.finish({"body": self.request.body.decode(), "kind": how})
            return
        for part in (b'{"body":', b'"x"', b"}"):
            self.write(part)
            await self.flush()
            await asyncio.sleep(0.01)

    async def get(self, how: str) -> None:
        if how == "missing":
            self.set_status(404)
            self.finish({"message": "not here", "reason": "NotFound"})
            return
        for number in range(3):
            self.write(b'{"type":"ADDED","object":{"n":%d}}\n{"type"' % number)
            await self.flush()
            self.write(b':"MODIFIED","object":{"n":%d}}\n' % number)
            await self.flush()


@contextlib.contextmanager
def _echo() -> Iterator[Client]:
    server = tornado.web.Application([(r"/(\w+)", _Echo)]).listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    transport = HttpTransport(f"http://127.0.0.1:{port}", "token")
    yield Client(transport)
    transport.close()
    server.stop()


def test_over_tls_the_client_does_what_the_controllers_need(local: Local, ns: str) -> None:
    async def work() -> None:
        transport = HttpTransport(local.server, local.token, local.context)
        client = Client(transport)
        path = f"/api/v1/namespaces/{ns}/configmaps"

        async def one(number: int) -> None:
            await client.create(path, {"metadata": {"name": f"c{number}"}})
            await client.patch(f"{path}/c{number}", {"data": {"n": str(number)}})

        await asyncio.gather(*(one(number) for number in range(30)))
        informer = Informer(client, path)
        following = asyncio.create_task(informer.run())
        await informer.synced.wait()
        mine = {name for _, name in informer.objects if name.startswith("c")}
        assert len(mine) == 30
        await client.delete(f"{path}/c7")
        while informer.get(ns, "c7"):
            await asyncio.sleep(0.01)
        following.cancel()
        with pytest.raises(ApiError) as caught:
            await client.get(f"{path}/c7")
        assert (caught.value.code, caught.value.reason) == (404, "NotFound")
        transport.close()

    run(work())


def test_requests_side_by_side_get_each_its_own_answer() -> None:
    async def work() -> None:
        kinds = ["whole", "pieces"] * 10
        with _echo() as client:
            answers = await asyncio.gather(
                *(client.create(f"/{kind}", {"n": n}) for n, kind in enumerate(kinds))
            )
            for number, (kind, answer) in enumerate(zip(kinds, answers, strict=True)):
                assert answer["body"] == (f'{{"n":{number}}}' if kind == "whole" else "x")
            with pytest.raises(ApiError, match="not here"):
                await client.get("/missing")

    run(work())


def test_a_request_that_nobody_waits_for_any_more_harms_no_other() -> None:
    async def work() -> None:
        with _echo() as client:
            await client.create("/whole", {})
            given_up = asyncio.create_task(client.create("/pieces", {}))
            await asyncio.sleep(0.005)
            others = [asyncio.create_task(client.create("/whole", {"n": n})) for n in range(3)]
            await asyncio.sleep(0)
            given_up.cancel()
            bodies = [(await other)["body"] for other in others]
            assert bodies == ['{"n":0}', '{"n":1}', '{"n":2}']

    run(work())


def test_the_lines_of_a_watch_may_come_in_any_pieces() -> None:
    async def work() -> None:
        with _echo() as client:
            seen = [(kind, obj["n"]) async for kind, obj in client.watch("/stream")]
        assert seen == [(kind, n) for n in range(3) for kind in ("ADDED", "MODIFIED")]

    run(work())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b"\0" * 99,
    ],
)
def test_a_server_that_is_none_is_an_oserror(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match="API server"):
            await Client(HttpTransport(f"http://127.0.0.1:{port}")).get("/api")
        server.close()

    run(work())


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again() -> None:
    counts = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts.append(1)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        # The next request comes on this connection, and is not answered.
        await reader.read(1)
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        transport = HttpTransport(f"http://127.0.0.1:{port}")
        client = Client(transport)
        assert await client.get("/a") == {}
        assert await client.get("/b") == {}
        assert len(counts) == 2
        transport.close()
        server.close()

    run(work())


@pytest.mark.parametrize("sub", ["", "status"])
def test_a_later_object_of_the_same_name_is_left_alone(local: Local, ns: str, sub: str) -> None:
    async def work() -> None:
        transport = HttpTransport(local.server, local.token, local.context)
        client = Client(transport)
        path = f"/apis/apps/v1/namespaces/{ns}/deployments"
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [_CONTAINER]}}
        spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        first = await client.create(path, {"metadata": {"name": "d"}, "spec": spec})
        await client.patch_same(first, {"metadata": {"labels": {"seen": "yes"}}}, sub)
        await client.delete_same(first)
        later = await client.create(path, {"metadata": {"name": "d"}, "spec": spec})
        await client.patch(f"{path}/d", {"metadata": {"annotations": {"changed": "yes"}}})
        for refused in (
            client.patch_same(first, {"metadata": {"labels": {"seen": "yes"}}}, sub),
            client.delete_same(first),
            client.delete_same(later, unchanged=True),
        ):
            with pytest.raises(ApiError) as error:
                await refused
            assert error.value.code == 409
        stored = await client.get(f"{path}/d")
        assert stored["metadata"]["uid"] == later["metadata"]["uid"]
        assert "labels" not in stored["metadata"]
        transport.close()

    run(work())
