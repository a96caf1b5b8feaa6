"""Requests of whoever has the token, but not always his senses: never a fault, never a hang.

Hypothesis makes objects by the schema, with things in them that do not belong there, and sends
them with any verb to any path. `LOCALCLUSTER_FUZZ=2000` tries more of them than `make test` does.
"""

from __future__ import annotations

import http.client
import json
import os
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcluster.api.schema import schema
from localcluster.apimachinery import resources
from localcluster.apimachinery.resources import Resource

from .conftest import Local
from .test_safety import unharmed

__all__ = ["unharmed"]

EXAMPLES = int(os.environ.get("LOCALCLUSTER_FUZZ", "60"))
REQUESTS = 12
NAMESPACE = "fuzzed"

ODD: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 10**40, 1.5, 1e308, "", "a", "..", "/", "a\0b", "\ud800", "é",
    "a\n", "x" * 3000, [], {}, [None], [[]], [{}], {"": None}, {"a": {"b": [1]}}, "100m",
    "9999-99-99T99:99:99Z", "2020-01-01T00:00:00Z",
]  # fmt: skip
TEXTS = [
    "a", "b", "python", "redis", "Always", "Never", "OnFailure", "True", "Ready", "10.0.0.1",
    "None", "ClusterIP", "In", "Exists", "v1", "Pod", "batch/v1", "Job", "2020-01-01T00:00:00Z",
    "1", "10m", "", "a\nb",
]  # fmt: skip
NAMES = ["a", "b", "c"]
KINDS = {
    "application/merge-patch+json": "object",
    "application/strategic-merge-patch+json": "object",
    "application/apply-patch+yaml": "object",
    "application/json-patch+json": "operations",
}
POINTERS = [
    "", "/metadata", "/metadata/name", "/metadata/labels", "/metadata/labels/a", "/metadata/uid",
    "/spec", "/spec/template", "/spec/containers/0", "/spec/containers/-", "/status", "/kind",
    "/data", "/no/such", "no pointer",
]  # fmt: skip
DIRECTIVES = [
    "$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers",
]  # fmt: skip
QUERIES = [
    "", "labelSelector=a%3Db", "labelSelector=%00", "labelSelector=((,", "fieldSelector=%C3%28",
    "fieldSelector=metadata.name%3Da", "limit=1", "limit=-1", "limit=%C2%B2", "continue=x",
    "continue=9", "resourceVersion=99999999999999999999", "dryRun=All", "dryRun=x",
    "fieldManager=a&force=true", "gracePeriodSeconds=-1", "gracePeriodSeconds=0",
    "propagationPolicy=x", "propagationPolicy=Orphan", "fieldValidation=Strict", "tailLines=-1",
    "sinceSeconds=x", "sinceTime=9", "limitBytes=-5", "container=%2e%2e",
    "watch=1&timeoutSeconds=0",
]  # fmt: skip
SUBRESOURCES = [
    "", "", "", "status", "scale", "log", "exec", "attach", "portforward", "binding", "eviction",
    "finalize", "token", "ephemeralcontainers", "..", "%2e%2e%2f",
]  # fmt: skip
ACCEPT = [
    "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io", "*/*",
    "application/vnd.kubernetes.protobuf",
]  # fmt: skip


@st.composite
def values(draw: st.DrawFn, kind: schema.Type, depth: int = 0) -> Any:
    """Something of this type; one time in twelve, something else."""
    if draw(st.integers(0, 11)) == 0:
        return draw(st.sampled_from(ODD))
    if kind.items and kind.type == "array":
        return draw(st.lists(values(kind.items, depth + 1), max_size=2))
    if kind.items:
        keys = st.sampled_from(["a", "b", "cpu", "memory", "..", "x/y", ""])
        return draw(st.dictionaries(keys, values(kind.items, depth + 1), max_size=2))
    numbers = [0, 1, 2, 80, 6379, -1, 10**12]
    simple: dict[str, list[Any]] = {
        "string": [*TEXTS, *kind.enum],
        "bytes": ["", "YQ==", "a"],
        "time": ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000000Z", ""],
        "quantity": ["1", "10m", "1.5Gi", 2],
        "int-or-string": [*numbers, "25%", "a"],
        "integer": numbers,
        "boolean": [True, False],
        "number": ODD,
        "any": ODD,
    }
    if kind.type in simple:
        return draw(st.sampled_from(simple[kind.type]))
    if depth > 6:
        return draw(st.sampled_from([{}, None]))
    chosen = set(kind.required) if draw(st.booleans()) else set()
    chosen |= draw(st.sets(st.sampled_from(sorted(kind.fields)), max_size=4 if depth else 3))
    return {name: draw(values(kind.fields[name], depth + 1)) for name in sorted(chosen)}


@st.composite
def objects(draw: st.DrawFn, resource: Resource) -> Any:
    """An object of this kind, which mostly has a name."""
    made = draw(values(schema.of_kind(resource.group_version, resource.kind)))
    if isinstance(made, dict) and draw(st.integers(0, 9)):
        made.pop("kind", None)
        made.pop("apiVersion", None)
        before = made.get("metadata") if isinstance(made.get("metadata"), dict) else {}
        kept = {k: v for k, v in (before or {}).items() if k not in ("name", "namespace")}
        made["metadata"] = {**kept, "name": draw(st.sampled_from(NAMES))}
    return made


@st.composite
def operations(draw: st.DrawFn, resource: Resource) -> Any:
    """The operations of a JSON patch."""
    one = st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "copy", "move", "test", "x"]),
            "path": st.sampled_from(POINTERS),
            "from": st.sampled_from(POINTERS),
            "value": st.one_of(st.sampled_from(ODD), objects(resource)),
        }
    )
    return draw(st.lists(one, min_size=1, max_size=3))


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Any, str, str]:
    """A verb, a path, a body, its type, and what is accepted."""
    resource = draw(st.sampled_from([r for r in resources.ALL if r.kind != "Namespace"]))
    group = f"/apis/{resource.group}" if resource.group else "/api"
    place = f"/namespaces/{NAMESPACE}" if resource.namespaced else ""
    path = f"{group}/{resource.version}{place}/{resource.plural}"
    verb = draw(st.sampled_from(["POST", "POST", "PUT", "PATCH", "PATCH", "GET", "DELETE"]))
    if verb != "POST" or draw(st.integers(0, 9)) == 0:
        path += "/" + draw(st.sampled_from(NAMES))
        if subresource := draw(st.sampled_from(SUBRESOURCES)):
            path += "/" + subresource
    body, kind = None, "application/json"
    if verb in ("POST", "PUT"):
        body = draw(objects(resource))
    elif verb == "DELETE":
        body = draw(st.one_of(st.none(), values(schema.of_kind("v1", "DeleteOptions"))))
    elif verb == "PATCH":
        kind = draw(st.sampled_from(sorted(KINDS)))
        if KINDS[kind] == "operations":
            body = draw(operations(resource))
        else:
            body = draw(objects(resource))
            where = body.get("spec") if isinstance(body, dict) else None
            if isinstance(where, dict) and draw(st.booleans()):
                where[draw(st.sampled_from(DIRECTIVES))] = draw(st.sampled_from([*ODD, "delete"]))
    if query := draw(st.sampled_from(QUERIES)):
        path += "?" + query
    return verb, path, body, kind, draw(st.sampled_from(ACCEPT))


@pytest.fixture(scope="module")
def connection(local: Local) -> http.client.HTTPSConnection:
    local.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    server = urlsplit(local.server)
    return http.client.HTTPSConnection(
        str(server.hostname), server.port, context=local.context, timeout=20
    )


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(sent=st.lists(requests(), min_size=1, max_size=REQUESTS))
def test_no_request_is_beyond_the_server(
    local: Local, connection: http.client.HTTPSConnection, sent: list[tuple[Any, ...]]
) -> None:
    for verb, path, body, kind, accept in sent:
        headers = {"Content-Type": kind, "Accept": accept, "Authorization": f"Bearer {local.token}"}
        connection.request(verb, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read()
        # Some 500s are the real server's own; ours send the reader to the log.
        told = b"the local cluster's log" not in text and text.startswith(b"{")
        assert reply.status < 500 or told, (verb, path, body, kind, text)
        if text and accept == "application/json" and "/log" not in path:
            json.loads(text.splitlines()[0] if "watch=" in path else text)
