"""The store: versions, the log of changes, and what a watch that is too late gets."""

from __future__ import annotations

import asyncio
import json

from localcluster.api.objects.watching import Watch
from localcluster.apimachinery import resources
from localcluster.apimachinery.transport import WatchEvent
from localcluster.store import Change, Store


def _object(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}}


def test_every_write_gets_the_next_version() -> None:
    store = Store()
    first = store.put("configmaps", ("n", "a"), _object("a"))
    second = store.put("configmaps", ("n", "b"), _object("b"))
    gone = store.delete("configmaps", ("n", "a"))
    assert [first.version, second.version, gone.version] == [1, 2, 3]
    assert gone.obj["metadata"]["resourceVersion"] == "3"
    assert first.obj["metadata"]["resourceVersion"] == "1"


def test_a_list_is_in_the_order_of_namespace_and_name() -> None:
    store = Store()
    for name in ("c", "a", "b"):
        store.put("configmaps", ("n", name), _object(name))
    assert [e.obj["metadata"]["name"] for e in store.list("configmaps", "n")] == ["a", "b", "c"]
    assert store.list("configmaps", "other") == []


def test_a_watcher_hears_of_its_resource_only() -> None:
    store, heard = Store(), list[Change]()
    watcher = store.watch("configmaps", heard.append)
    store.put("configmaps", ("n", "a"), _object("a"))
    store.put("secrets", ("n", "a"), _object("a"))
    store.unwatch(watcher)
    store.delete("configmaps", ("n", "a"))
    assert [(c.version, c.deleted, c.old) for c in heard] == [(1, False, None)]


def test_the_log_is_bounded_and_says_what_it_forgot() -> None:
    store = Store(log_size=3)
    for _ in range(5):
        store.put("configmaps", ("n", "a"), _object("a"))
    assert store.since("configmaps", 1) is None
    changes = store.since("configmaps", 2)
    assert changes is not None
    assert [c.version for c in changes] == [3, 4, 5]


def _watch_from(store: Store, since: int, timeout: float = 0.0) -> Watch:
    return Watch(
        store,
        resources.named("configmaps"),
        namespace=None,
        match=None,
        since=since,
        bookmarks=False,
        initial_end=False,
        timeout=timeout,
    )


def _watch(store: Store, since: int) -> list[dict[str, object]]:
    async def read() -> list[WatchEvent]:
        return [event async for some in _watch_from(store, since) for event in some]

    return [{"type": e.type, "object": json.loads(e.object.text)} for e in asyncio.run(read())]


def test_a_watch_ends_at_once_when_its_reader_leaves() -> None:
    store = Store()

    async def read() -> list[list[WatchEvent]]:
        watch = _watch_from(store, 0, 1800.0)
        asyncio.get_running_loop().call_later(0.01, watch.close)
        return [some async for some in watch]

    assert asyncio.run(asyncio.wait_for(read(), 30)) == []
    assert store._watchers == []


def test_a_watch_from_too_old_a_version_gets_410() -> None:
    store = Store(log_size=3)
    for _ in range(5):
        store.put("configmaps", ("n", "a"), _object("a"))
    (error,) = _watch(store, since=1)
    status = error["object"]
    assert isinstance(status, dict)
    assert (error["type"], status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert len(_watch(store, since=3)) == 2


def test_old_versions_are_kept_as_text_and_read_as_before() -> None:
    store, seen = Store(), list[Change]()
    store.watch("configmaps", seen.append)
    for number in range(300):
        obj = {**_object("a"), "data": {"n": str(number)}}
        store.put("configmaps", ("n", "a"), obj)
    for number, change in enumerate(seen):
        assert change.new.obj["data"] == {"n": str(number)}
        assert json.loads(change.new.text) == change.new.obj
        assert list(change.new.obj)[:2] == ["apiVersion", "kind"]
    events = _watch(store, since=1)
    assert [event["object"]["data"]["n"] for event in events] == [str(n) for n in range(1, 300)]  # type: ignore[index]


def test_of_some_resources_only_the_latest_objects_are_kept() -> None:
    store, gone = Store(most={"events": 3}), list[str]()
    store.watch(
        "events", lambda c: gone.append(c.new.obj["metadata"]["name"]) if c.deleted else None
    )
    for name in "abcde":
        store.put("events", ("n", name), _object(name))
        store.put("configmaps", ("n", name), _object(name))
    assert [e.obj["metadata"]["name"] for e in store.list("events")] == ["c", "d", "e"]
    assert gone == ["a", "b"]
    assert len(store.list("configmaps")) == 5
