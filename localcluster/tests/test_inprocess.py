"""The API within one process: the same answers as over HTTP, and no object that two may change."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from localcluster import certs, daemon
from localcluster.addresses import Addresses
from localcluster.api.endpoints.api import Api
from localcluster.api.http import guard
from localcluster.api.http.server import Door
from localcluster.api.inprocess import InProcess
from localcluster.api.objects import bootstrap
from localcluster.api.objects.rest import Rest
from localcluster.api.schema.documents import OpenApi
from localcluster.apimachinery.apierrors import ApiError
from localcluster.apimachinery.client import MERGE, STRATEGIC, Client
from localcluster.apimachinery.httptransport import HttpTransport
from localcluster.apimachinery.jsontypes import Obj, dumps
from localcluster.apimachinery.transport import Request
from localcluster.paths import State
from localcluster.store import Entry, Store

MAPS = "/api/v1/namespaces/default/configmaps"


class _Sealed(Store):
    """A store that remembers each object as it was when it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[Obj, bytes]] = []

    def put(self, resource: str, key: tuple[str, str], obj: Obj) -> Entry:
        entry = super().put(resource, key, obj)
        self.written.append((obj, dumps(obj)))
        return entry

    def changed(self) -> list[str]:
        """Return what was changed after it had been written."""
        return [text.decode() for obj, text in self.written if dumps(obj) != text]


def _api(store: Store, tmp_path: Path) -> Api:
    rest = Rest(store, Addresses(str(tmp_path), {}))
    bootstrap.create_system_objects(rest, 1)
    return Api(rest, OpenApi())


def _inside(store: Store, tmp_path: Path) -> Client:
    return Client(InProcess(_api(store, tmp_path), "https://127.0.0.1:1"))


@contextlib.asynccontextmanager
async def _both(tmp_path: Path) -> AsyncIterator[tuple[InProcess, HttpTransport]]:
    """Two ways to one API."""
    api = _api(Store(), tmp_path)
    application = guard.Guarded("token")
    server, port = guard.listen(application, None)
    application.add_handlers(".*", [(".*", Door, {"api": api})])
    over_http = HttpTransport(f"http://127.0.0.1:{port}", "token")
    try:
        yield InProcess(api, over_http.server), over_http
    finally:
        over_http.close()
        server.stop()


def test_both_ways_to_the_api_give_the_same_answers(tmp_path: Path) -> None:
    requests = [
        Request("POST", MAPS, body={"metadata": {"name": "{}"}, "data": {"a": "1"}}),
        Request("POST", MAPS, body={"metadata": {"name": "kept"}, "data": {"a": "1"}}),
        Request("POST", MAPS, body={"metadata": {"name": "kept"}}),
        Request("GET", f"{MAPS}/kept"),
        Request("PATCH", f"{MAPS}/kept", body={"data": {"b": "2"}}, content_type=MERGE),
        Request("PATCH", f"{MAPS}/kept", body={"data": {"b": None}}, content_type=STRATEGIC),
        Request("PATCH", f"{MAPS}/kept", body={}, content_type="application/json"),
        Request("PUT", f"{MAPS}/kept", body={"metadata": {"name": "other"}}),
        Request("GET", MAPS, {"fieldSelector": ["metadata.name=kept"], "limit": ["1"]}),
        Request("GET", MAPS, {"limit": ["x"]}),
        Request("GET", f"{MAPS}/none"),
        Request("GET", "/apis/apps/v1"),
        Request("GET", "/api/v1/nowhere"),
        Request("OPTIONS", MAPS),
        Request("DELETE", MAPS, body={}),
    ]

    def plain(value: Any) -> Any:
        """Leave out what each write makes anew."""
        if isinstance(value, dict):
            new = ("uid", "resourceVersion", "creationTimestamp", "time")
            return {name: plain(one) for name, one in value.items() if name not in new}
        return [plain(one) for one in value] if isinstance(value, list) else value

    async def ask(which: int) -> list[tuple[int, Any]]:
        async with _both(tmp_path) as ways:
            answers = []
            for request in requests:
                response = await ways[which].answer(request)
                answers.append((response.status, plain(response.content.obj)))
            return answers

    async def work() -> None:
        inside, outside = await ask(0), await ask(1)
        for request, one, other in zip(requests, inside, outside, strict=True):
            assert one == other, request
        codes = [status for status, _ in inside]
        assert codes[:8] == [422, 201, 409, 200, 200, 200, 415, 400]
        assert codes[8:] == [200, 400, 404, 200, 404, 405, 200]

    asyncio.run(work())


def test_a_write_is_answered_before_a_watch_tells_of_it(tmp_path: Path) -> None:
    async def work() -> None:
        client, heard = _inside(Store(), tmp_path), list[str]()

        async def follow(name: str) -> None:
            version = (await client.get(MAPS))["metadata"]["resourceVersion"]
            async for kind, obj in client.watch(MAPS, resourceVersion=version):
                heard.append(f"{name} {kind} {obj['metadata']['name']}")

        following = [asyncio.create_task(follow(name)) for name in "ab"]
        await asyncio.sleep(0.01)
        await client.create(MAPS, {"metadata": {"name": "x"}})
        heard.append("answered")
        await asyncio.sleep(0.01)
        assert heard == ["answered", "a ADDED x", "b ADDED x"]
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    asyncio.run(work())


@pytest.mark.parametrize("way", [0, 1])
def test_a_watch_that_nobody_reads_any_more_leaves_nothing_behind(tmp_path: Path, way: int) -> None:
    async def work() -> None:
        async with _both(tmp_path) as ways:
            client, store = Client(ways[way]), ways[0].api.rest.store
            reading = asyncio.create_task(anext(client.watch(MAPS, resourceVersion="1000")))
            while not store._watchers:
                await asyncio.sleep(0.001)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            while store._watchers:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(work(), 30))


def test_while_one_client_asks_much_the_others_get_their_turns(tmp_path: Path) -> None:
    async def work() -> None:
        client, turns = _inside(Store(), tmp_path), 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        for _ in range(100):
            await client.get(MAPS)
        counting.cancel()
        assert turns >= 100

    asyncio.run(work())


@pytest.mark.parametrize("verb", ["create", "merge", "strategic", "replace", "status"])
def test_what_a_client_sent_stays_its_own(tmp_path: Path, verb: str) -> None:
    async def work() -> None:
        store = _Sealed()
        client, path = _inside(store, tmp_path), "/api/v1/namespaces/x"
        body: Obj = {"metadata": {"name": "x", "labels": {"a": "1"}}}
        sent = {**body, "status": {"phase": "Active", "conditions": [{"type": "T"}]}}
        if verb == "create":
            await client.create("/api/v1/namespaces", sent)
        else:
            await client.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
        if verb in ("merge", "strategic"):
            await client.patch(path, sent, MERGE if verb == "merge" else STRATEGIC)
        elif verb == "replace":
            await client.replace(path, sent)
        elif verb == "status":
            await client.patch(f"{path}/status", sent)
        before = dumps(await client.get(path))
        sent["metadata"]["labels"]["a"] = "2"
        sent["status"]["conditions"][0]["type"] = "U"
        assert dumps(await client.get(path)) == before
        assert store.changed() == []

    asyncio.run(work())


_WORK: list[tuple[str, Obj]] = [
    (
        "/apis/batch/v1/namespaces/default/jobs",
        {
            "metadata": {"name": "job"},
            "spec": {
                "completions": 4,
                "parallelism": 2,
                "completionMode": "Indexed",
                "template": {"spec": {"restartPolicy": "Never", "containers": [{}]}},
            },
        },
    ),
    (
        "/apis/batch/v1/namespaces/default/jobs",
        {
            "metadata": {"name": "failing"},
            "spec": {
                "backoffLimit": 1,
                "template": {
                    "spec": {"restartPolicy": "Never", "containers": [{"command": ["false"]}]}
                },
            },
        },
    ),
    (
        "/apis/apps/v1/namespaces/default/deployments",
        {
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "terminationGracePeriodSeconds": 0,
                        "volumes": [{"name": "v", "configMap": {"name": "settings"}}],
                        "containers": [
                            {
                                "command": ["sleep", "100"],
                                "ports": [{"containerPort": 80}],
                                "readinessProbe": {"exec": {"command": ["true"]}},
                                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                            }
                        ],
                    },
                },
            },
        },
    ),
    (
        "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
        {
            "metadata": {"name": "web"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        },
    ),
    (
        "/api/v1/namespaces/default/services",
        {
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        },
    ),
]


@pytest.mark.parametrize("loopback", ["many", "single"])
def test_no_part_of_the_cluster_changes_a_stored_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loopback: str
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_LOOPBACK", loopback)
    monkeypatch.setenv("LOCALCLUSTER_JOB_BACKOFF_SECONDS", "0.1")
    # A process of its own: a daemon ends all children of its process with itself.
    cluster = multiprocessing.get_context("spawn").Process(target=_run_sealed, args=(tmp_path,))
    cluster.start()
    cluster.join(60)
    cluster.kill()
    cluster.join()
    assert cluster.exitcode == 0


def _run_sealed(home: Path) -> None:
    """Run a cluster, have it do something, and fail if a stored object was changed."""
    store = _Sealed()
    daemon.Store = lambda: store  # type: ignore[assignment, misc]

    async def work() -> None:
        state = State.of(home).create()
        cluster = daemon.Daemon(state, "default", nodes=2, linger=None, ready_fd=-1)
        running = asyncio.create_task(cluster.run(certs.prepare(state.root)))
        while not state.info.exists():
            await asyncio.sleep(0.01)
            assert not running.done()
        await _use(cluster.controllers.client)
        cluster.stopped.set()
        await running

    asyncio.run(asyncio.wait_for(work(), 50))
    assert len(store.written) > 100
    assert store.changed() == []


async def _use(client: Client) -> None:
    """Have every controller and the kubelet do something."""
    apps = "/apis/apps/v1/namespaces/default/deployments/web"

    async def until(path: str, holds: Callable[[Obj], Any]) -> None:
        while not holds(await client.get(path)):
            await asyncio.sleep(0.02)

    await client.create(MAPS, {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    for path, body in _WORK:
        spec = body["spec"].get("template", {}).get("spec", {"containers": []})
        for container in spec["containers"]:
            container.setdefault("command", ["true"])
            container |= {"name": "c", "image": "python:3.11"}
        await client.create(path, body)
    await until(apps, lambda obj: obj.get("status", {}).get("readyReplicas") == 3)
    await client.patch(apps, {"spec": {"replicas": 4}})
    await until(apps, lambda obj: obj["status"].get("readyReplicas") == 4)
    changed = {"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}}
    await client.patch(apps, changed)
    await until(apps, lambda obj: obj["status"].get("updatedReplicas") == 4)
    await client.patch(MAPS + "/settings", {"data": {"a": "2"}})
    jobs = _WORK[0][0]
    await until(jobs + "/job", lambda obj: obj["status"].get("succeeded") == 4)
    for cordoned in (True, None):
        await client.patch("/api/v1/nodes/worker-1", {"spec": {"unschedulable": cordoned}})
        await asyncio.sleep(0.1)
    await until(jobs + "/failing", lambda obj: obj["status"].get("conditions"))
    await client.create("/api/v1/namespaces", {"metadata": {"name": "gone"}})
    await client.create("/api/v1/namespaces/gone/configmaps", {"metadata": {"name": "x"}})
    await client.delete("/api/v1/namespaces/gone")
    await client.delete(apps, propagationPolicy="Foreground")
    for path in ("/api/v1/namespaces/gone", apps):
        with pytest.raises(ApiError, match="not found"):
            await until(path, lambda obj: False)
