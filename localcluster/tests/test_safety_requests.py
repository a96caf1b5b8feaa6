"""How much one request may cost the others: bombs, and what is too large."""

from __future__ import annotations

import http.client
import time
from typing import Any

import pytest

from localcluster.api.http import guard

from .conftest import Local, pod, wait_until
from .test_safety import talk, unharmed

__all__ = ["unharmed"]


def _laughs() -> bytes:
    """A few lines of YAML that stand for 9^12 values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
    return "\n".join(lines).encode()


def _merges() -> bytes:
    lines = ["a: &a {x: 1}"]
    for before, name in zip("abcdefghijklmnopqrstuvw", "bcdefghijklmnopqrstuvwx", strict=True):
        lines.append(f"{name}: &{name} {{<<: [*{before}, *{before}]}}")
    return "\n".join(lines).encode()


BOMBS: dict[str, tuple[bytes, str]] = {
    "deep JSON": (b'{"metadata":{"name":"x"},"data":' + b'{"a":' * 60_000, "application/json"),
    "deep and whole": (b'{"a":' * 900 + b"1" + b"}" * 900, "application/json"),
    "deep list": (b"[" * 1_000_000, "application/json"),
    "deep YAML": (b"- " * 60_000, "application/yaml"),
    "deep YAML flow": (b"[" * 120_000, "application/yaml"),
    "aliases": (_laughs(), "application/yaml"),
    "merges": (_merges(), "application/yaml"),
    "an alias of itself": (b"a: &a [*a]", "application/yaml"),
    "much YAML": (b"- {a: 1}\n" * 300_000, "application/yaml"),
    "a long number": (b'{"a":' + b"1" * 1_000_000 + b"}", "application/json"),
    "a large number": (b'{"metadata":{"name":"x"},"data":{"a":1e999}}', "application/json"),
    "no number": (b'{"metadata":{"name":"x"},"data":{"a":NaN}}', "application/json"),
    "a Python object": (b"!!python/object/apply:os.system [id]", "application/yaml"),
    "no UTF-8": (b'{"metadata":{"name":"\xff\xfe"}}', "application/json"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(local: Local, ns: str, name: str) -> None:
    body, kind = BOMBS[name]
    reply = local.request("POST", f"/api/v1/namespaces/{ns}/configmaps", body, kind)
    assert (reply.code, reply.json["reason"]) == (400, "BadRequest")


def test_a_body_has_a_largest_size(local: Local, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    fits = b'{"metadata": {"name": "big"}}'.ljust(guard.MAX_BODY_BYTES)
    assert local.request("POST", path, fits).code == 201
    reply = local.request("POST", path, b"x" * (guard.MAX_BODY_BYTES + 1))
    assert (reply.code, reply.json["reason"]) == (413, "RequestEntityTooLarge")
    connection = talk(local)
    connection.request("POST", path, b"x" * (guard.MAX_BODY_BYTES + 1))
    assert connection.getresponse().status == 401
    connection.close()


def test_a_body_in_chunks_has_a_largest_size_too(local: Local, ns: str) -> None:
    connection = talk(local)
    headers = {"Authorization": f"Bearer {local.token}"}
    chunks = (b"x" * 65536 for _ in range(8 * guard.MAX_BODY_BYTES // 65536))
    path = f"/api/v1/namespaces/{ns}/configmaps"
    with pytest.raises((OSError, http.client.HTTPException)):  # It hangs up long before the end.
        connection.request("POST", path, chunks, headers, encode_chunked=True)
    connection.close()


def test_headers_have_a_largest_size(local: Local) -> None:
    for headers in ({"X": "x" * 1_000_000}, {f"X-{i}": "x" * 100 for i in range(5000)}):
        with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
            assert local.request("GET", "/version", headers=headers).code == 200


@pytest.mark.parametrize("text", ["," * 30_000, "(" * 30_000, "a=b," * 10_000, "a in (" * 4_000])
@pytest.mark.parametrize("selector", ["labelSelector", "fieldSelector"])
def test_a_long_selector_costs_little_more_than_any_long_address(
    local: Local, selector: str, text: str
) -> None:
    def span(name: str) -> float:
        """Return the shortest of three tries, in seconds."""
        spans = []
        for _ in range(3):
            began = time.monotonic()
            reply = local.request("GET", f"/api/v1/pods?{name}={text.replace(' ', '%20')}")
            assert reply.code in (200, 400)
            spans.append(time.monotonic() - began)
        return min(spans)

    assert span(selector) < 10 * span("unknown") + 0.2


def test_an_image_name_is_read_quickly(local: Local, ns: str) -> None:
    for number, image in enumerate(("a" * 60 + "!", "a-" * 60 + "!", "a." * 100, "a/" * 100)):
        local.core.create_namespaced_pod(ns, pod(f"p{number}", "true", image=image))

    def reasons() -> set[str]:
        items = local.request("GET", f"/api/v1/namespaces/{ns}/pods").json["items"]
        states = [one["status"].get("containerStatuses") or [{}] for one in items]
        return {(s[0].get("state", {}).get("waiting") or {}).get("reason", "") for s in states}

    wait_until(lambda: reasons() == {"InvalidImageName"})


def _doubling(times: int) -> list[dict[str, Any]]:
    return [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(times)]


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        (_doubling(40), 422),
        (_doubling(2000), 422),
        ([{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001, 413),
        ([{"op": "add", "path": "/data/" + "a/" * 5000, "value": "1"}], 422),
        ([{"op": "add", "path": "/data/²", "value": "1"}], 422),
    ],
)
def test_patches_that_grow_are_refused(
    local: Local, ns: str, operations: list[dict[str, Any]], code: int
) -> None:
    body = {"metadata": {"name": "grows"}, "data": {"a": "x" * 1000}}
    path = f"/api/v1/namespaces/{ns}/configmaps"
    assert local.request("POST", path, body).code == 201
    reply = local.request("PATCH", f"{path}/grows", operations, "application/json-patch+json")
    assert reply.code == code, reply.body
