"""Manifests with faults in them: each is accepted and works, or is refused, and harms nothing.

Valid manifests of all kinds are changed in one to three places, by what the schema says of them,
and sent in all ways that change something. `LOCALCLUSTER_FUZZ=10000` sends that many. A manifest
depends on its number alone, so that a batch that failed can be run again by itself.
"""

from __future__ import annotations

import collections
import copy
import http.client
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

import localcluster
from localcluster.api.schema import schema
from localcluster.api.schema.schema import Type
from localcluster.apimachinery import resources
from localcluster.apimachinery.resources import Resource, path_of

from .conftest import Local, job, pod, wait_until
from .manifests import valid

BATCH = 100
BATCHES = max(1, int(os.environ.get("LOCALCLUSTER_FUZZ", "200")) // BATCH)
# Reviews are questions, and leave nothing behind.
KINDS = [r for r in resources.ALL if not r.kind.endswith("Review")]
OFTEN = {"Pod": 6, "Job": 5, "Deployment": 3, "CronJob": 2, "Service": 3, "PodDisruptionBudget": 2}

NUMBERS = [
    0, -1, 1, 2, 3, 80, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, -(2**63),
    10**40, 1.5, -0.0, 1e308,
]  # fmt: skip
TEXTS = [
    "", " ", "a", "b", "main", "web", "A", "..", "/", "/a/b", "a/b", "-", "é", "\u202e", "😀",
    "a\nb", "a\0b", "\ud800", "a" * 64, "a" * 254, "x" * 10_000, "%s%d", "$(A)", "{{a}}", "true",
    "0", "1", "-1", "10.0.0.1", "::1", "127.0.0.1", "10.0.0.0/8", "None", "default", "kube-system",
    "example.com/a", "metadata.name", "worker-1", "kubernetes", "orphan", "foregroundDeletion",
    "app", "app=a", "((,", "None of that",
]  # fmt: skip
QUANTITIES = [
    "1", "10m", "1.5Gi", 2, 0, "0", "-1", "-1m", "1e3", "1E", "1e400", "9" * 400, "0.0000000001",
    ".5", "1.", "Gi", "1 Gi", "1KB", "", "inf", "nan", "١", 1.5, 2**63,
]  # fmt: skip
TIMES = [
    "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456Z", "2999-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00",
    "2020-02-30T00:00:00Z", "2020-01-01", "now", "", 0, "2020-01-01T24:00:00Z",
    "2020-01-01t00:00:00z",
]  # fmt: skip
OF_TYPE: dict[str, list[Any]] = {
    "string": TEXTS,
    "bytes": ["", "YQ==", "a", "YQ", "Y Q==", "é"],
    "time": TIMES,
    "quantity": QUANTITIES,
    "int-or-string": [*NUMBERS, "25%", "100%", "101%", "-1%", "1.5%", "%", "a", ""],
    "integer": NUMBERS,
    "number": NUMBERS,
    "boolean": [True, False],
}
NESTED: Any = "deep"
for _ in range(60):
    NESTED = {"a": [NESTED]}
ODD: list[Any] = [
    None, True, 0, 2**63, 1.5, "", "a", "x" * 10_000, [], {}, [None], [[]], [{}], {"": None},
    {"a": {"b": [1]}}, NESTED,
]  # fmt: skip
PATCHES = [
    "application/apply-patch+yaml",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
]
# A kubectl that is older than the cluster asks for them in a version of the past.
NOT_DESCRIBED = {"IPAddress", "ServiceCIDR"}
QUERIES = ["", "", "", "", "dryRun=All", "fieldValidation=Strict", "fieldValidation=Ignore"]

Path = tuple[Any, ...]


# -- what is sent


def value(rng: random.Random, kind: Type, depth: int = 0) -> Any:
    """Something of this type, with all that it requires; its texts and numbers may be unusual."""
    if kind.enum and rng.random() < 0.8:
        return rng.choice(kind.enum)
    if kind.type == "array" and kind.items:
        return [value(rng, kind.items, depth + 1) for _ in range(rng.choice([0, 1, 1, 2]))]
    if kind.type == "map" and kind.items:
        keys = rng.sample(["a", "app", "cpu", "memory", "example.com/b", "x/y/z", ""], 2)
        return {key: value(rng, kind.items, depth + 1) for key in keys}
    if kind.type == "struct":
        some = rng.sample(sorted(kind.fields), min(2, len(kind.fields))) if depth < 4 else []
        names = sorted({*kind.required, *some})
        return {name: value(rng, kind.fields[name], depth + 1) for name in names}
    return copy.deepcopy(rng.choice(OF_TYPE.get(kind.type, ODD)))


def places(at: Any, kind: Type, path: Path = ()) -> Iterator[tuple[Path, Any, Type]]:
    """Yield each part of a manifest: where it is, what is there, and its type."""
    yield path, at, kind
    if isinstance(at, dict):
        for name, one in at.items():
            yield from places(one, kind.part(name), (*path, name))
    elif isinstance(at, list):
        for i, one in enumerate(at):
            yield from places(one, kind.items or schema.UNKNOWN, (*path, i))


def every_field() -> list[tuple[Resource, tuple[str, ...]]]:
    """Return each field of the schema, once: a kind that has it, and the fields on the way."""
    found: dict[tuple[str, str], tuple[Resource, tuple[str, ...]]] = {}

    def collect(resource: Resource, kind: Type, path: tuple[str, ...]) -> None:
        for name, inner in kind.fields.items():
            if (kind.name, name) not in found:
                found[kind.name, name] = resource, (*path, name)
                collect(resource, inner.innermost, (*path, name))

    for resource in KINDS:
        collect(resource, schema.of_kind(resource.group_version, resource.kind), ())
    return list(found.values())


FIELDS = every_field()


def set_field(rng: random.Random, obj: dict[str, Any], kind: Type, path: tuple[str, ...]) -> None:
    """Set a field deep in an object; what is missing on the way is made."""
    at: Any = obj
    for name in path[:-1]:
        kind = kind.fields[name]
        if not at.get(name):
            at[name] = value(rng, kind)
        if kind.type in ("array", "map") and not at[name]:
            made = value(rng, kind.innermost)
            at[name] = [made] if kind.type == "array" else {"a": made}
        at, kind = at[name], kind
        while isinstance(at, list) or kind.type == "map":
            at = rng.choice(at if isinstance(at, list) else list(at.values()))
            kind = kind.items or schema.UNKNOWN
    at[path[-1]] = value(rng, kind.fields[path[-1]])


def mutate(rng: random.Random, obj: Any, kind: Type) -> Any:
    """Change an object in one place; return what it is then."""
    found = list(places(obj, kind))
    path, old, of = rng.choice(found[1:] or found)
    how = rng.randrange(9)
    if how == 0:
        new = rng.choice(ODD)
    elif how == 1 and isinstance(old, list):
        new = [*old, *copy.deepcopy(old[-1:])]
    elif how == 2 and isinstance(old, dict):
        new = {
            **old,
            rng.choice(["nosuch", "", "é", "a.b/c", "$patch", "x" * 300]): rng.choice(ODD),
        }
    elif how in (2, 3) and isinstance(old, dict) and of.fields:
        name = rng.choice(sorted(of.fields))
        new = {**old, name: value(rng, of.fields[name])}
    elif how in (3, 4) and path:
        return without(obj, path)
    elif how == 5:
        new = value(rng, of)
    elif how == 6:
        new = next((v for p, v, t in rng.sample(found, len(found)) if t.type == of.type), None)
    elif how == 7:
        new = None
    else:
        new = rng.choice(OF_TYPE.get(of.type, ODD))
    return placed(obj, path, copy.deepcopy(new))


def without(obj: Any, path: Path) -> Any:
    at = obj
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return obj


def placed(obj: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    at = obj
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = new
    return obj


@dataclass
class Sent:
    """A request, and the valid object that has to be there before it."""

    verb: str
    path: str
    body: Any
    media: str = "application/json"
    before: dict[str, Any] | None = None


def request(number: int, namespace: str) -> Sent:
    """Return the request of this number."""
    rng = random.Random(number)
    resource, path = FIELDS[number * 7919 % len(FIELDS)]
    if chosen := rng.random() < 0.7:
        weights = [OFTEN.get(r.kind, 1) for r in KINDS]
        resource = rng.choices(KINDS, weights)[0]
    kind = schema.of_kind(resource.group_version, resource.kind)
    before = valid(resource, namespace, number)
    obj = copy.deepcopy(before)
    if not chosen:
        set_field(rng, obj, kind, path)
    for _ in range(rng.choice([1, 1, 1, 2, 3]) if chosen else rng.choice([0, 0, 1])):
        obj = mutate(rng, obj, kind)
    place = path_of(resource, namespace if resource.namespaced else "")
    query = "?" + rng.choice(QUERIES)
    if rng.random() < 0.5 or resource.kind == "Binding":
        return Sent("POST", place + query, obj)
    one = f"{place}/{before['metadata']['name']}"
    if rng.random() < 0.2:
        return sent_below(rng, resource, one, before, query)
    if rng.random() < 0.1:
        options = schema.of_kind("v1", "DeleteOptions")
        return Sent("DELETE", one, mutate(rng, value(rng, options), options), before=before)
    media = rng.choice(["application/json", *PATCHES])
    if media == PATCHES[0]:
        query += "&fieldManager=fuzz&force=true"
        before_or_not = before if rng.random() < 0.5 else None
        return Sent("PATCH", one + query, obj, media, before_or_not)
    if media == PATCHES[-1]:
        return Sent("PATCH", one + query, operations(rng, before, obj, kind), media, before)
    return Sent("PUT" if media == "application/json" else "PATCH", one + query, obj, media, before)


def sent_below(
    rng: random.Random, resource: Resource, one: str, before: dict[str, Any], query: str
) -> Sent:
    """Return a request for a subresource."""
    writes = {"binding", "eviction", "ephemeralcontainers", "resize", "scale", "finalize"}
    names = sorted(writes & set(resource.subresources)) + ["status"] * (1 + resource.status)
    name = rng.choice(names)
    kinds = {
        "binding": ("v1", "Binding"),
        "eviction": ("policy/v1", "Eviction"),
        "scale": ("autoscaling/v1", "Scale"),
    }
    kind = schema.of_kind(*kinds.get(name, (resource.group_version, resource.kind)))
    body: Any = {"metadata": {"name": before["metadata"]["name"]}}
    if name in kinds:
        body |= {k: v for k, v in value(rng, kind).items() if k not in ("metadata",)}
        body |= dict(zip(("apiVersion", "kind"), kinds[name], strict=True))
    else:
        body = copy.deepcopy(before)
    if name == "ephemeralcontainers":
        container = {"name": "debug", "image": "python", "command": ["true"]}
        body["spec"]["ephemeralContainers"] = [container]
    if name == "status" and "status" in kind.fields:
        body["status"] = value(rng, kind.fields["status"])
    if rng.random() < 0.8:
        body = mutate(rng, body, kind)
    verb = "POST" if name in ("binding", "eviction") else rng.choice(["PUT", "PATCH"])
    media = rng.choice(PATCHES[1:3]) if verb == "PATCH" else "application/json"
    return Sent(verb, f"{one}/{name}{query}", body, media, before)


def operations(rng: random.Random, before: Any, obj: Any, kind: Type) -> Any:
    """Return a JSON patch of an object, which takes values from another."""
    there = [path for path, _, _ in places(before, kind)] + [("no", "such"), ("spec", "-")]
    values = [one for _, one, _ in places(obj, kind)] + ODD
    pointers = ["".join(f"/{str(s).replace('/', '~1')}" for s in path) for path in there]
    return [
        {
            "op": rng.choice(["add", "remove", "replace", "replace", "copy", "move", "test", "x"]),
            "path": rng.choice(pointers),
            "from": rng.choice(pointers),
            "value": rng.choice(values),
        }
        for _ in range(rng.choice([1, 1, 2]))
    ]


# -- what is watched


@dataclass
class Figures:
    """What became of what was sent."""

    codes: collections.Counter[int] = field(default_factory=collections.Counter)
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        accepted = self.codes[200] + self.codes[201]
        refused = {code: n for code, n in sorted(self.codes.items()) if code > 201}
        seconds = time.monotonic() - self.began
        sent = self.codes.total()
        return f"fuzz: {sent} manifests, {accepted} accepted, refused {refused}, {seconds:.0f} s"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    home = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
        patch.setenv("LOCALCLUSTER_JOB_BACKOFF_SECONDS", "1")
        yield Local(home, localcluster.ensure(home, nodes=3))
        assert localcluster.stop(home)


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    found = Figures()
    yield found
    print(found)


@dataclass
class Connection:
    """One connection to the API for many requests; what went wrong is kept.

    Attributes:
        faults: Answers that are the server's own fault, and what else it told of in its log.
    """

    local: Local
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        server = urlsplit(self.local.server)
        self.http = http.client.HTTPSConnection(
            str(server.hostname), server.port, context=self.local.context, timeout=20
        )
        self.log = self.local.home / "cluster" / "daemon.log"
        self.told = self.log.stat().st_size

    def send(
        self, verb: str, path: str, body: Any = None, media: str = "application/json"
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": media, "Authorization": f"Bearer {self.local.token}"}
        self.http.request(verb, path, None if body is None else json.dumps(body), headers)
        reply = self.http.getresponse()
        text = reply.read()
        # Some 500s are the real server's own; ours send the reader to the log.
        ours = reply.status >= 500 and (b"the local cluster's log" in text or text[:1] != b"{")
        if ours or self.log.stat().st_size > self.told:
            log = self.log.read_bytes()[self.told :].decode(errors="replace")
            self.told += len(log.encode())
            if ours or "Traceback" in log:
                sent = f"{verb} {path} {media} {json.dumps(body)}"
                self.faults.append(f"{sent}\n{text.decode()[:300]}\n{log}")
        return reply.status, text


def clean(connection: Connection, namespace: str) -> None:
    """Delete the namespace, and what was made beside it."""
    for resource in KINDS:
        if resource.kind == "Binding":
            continue
        path = path_of(resource, namespace if resource.namespaced else "")
        for one in json.loads(connection.send("GET", path)[1])["items"]:
            about = one["metadata"]
            ours = resource.namespaced or about["name"].startswith(("fuzz-", "10.96."))
            if about.get("finalizers") and ours and resource.kind != "Namespace":
                change = {"metadata": {"finalizers": None}}
                connection.send("PATCH", f"{path}/{about['name']}", change, PATCHES[1])
            if ours and not resource.namespaced:
                connection.send("DELETE", f"{path}/{about['name']}", {"gracePeriodSeconds": 0})
    pods = path_of(resources.named("pods"), namespace)
    connection.send("DELETE", pods, {"gracePeriodSeconds": 0})
    connection.send("DELETE", f"/api/v1/namespaces/{namespace}")


def kubectl(local: Local, *arguments: str) -> str:
    program = shutil.which("kubectl")
    if program is None:
        return ""
    done = subprocess.run(
        [program, "--kubeconfig", str(local.kubeconfig), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(local.home)},
        check=False,
    )
    # Of the events only the newest are kept: some may go between the list and a look at each.
    vanished = all(line.endswith("not found") for line in done.stderr.splitlines())
    assert done.returncode == 0 or vanished, (arguments, done.stderr[-2000:])
    assert "panic" not in done.stderr, (arguments, done.stderr[:2000])
    return done.stdout


def fill(
    connection: Connection, figures: Figures, namespace: str, numbers: range
) -> list[Resource]:
    """Send the requests of these numbers; return what kinds of objects came of them."""
    stored: dict[str, Resource] = {}
    for number in numbers:
        one = request(number, namespace)
        if one.before is not None:
            resource = resources.find_kind(one.before["apiVersion"], one.before["kind"])
            assert resource is not None
            where = path_of(resource, namespace if resource.namespaced else "")
            code, text = connection.send("POST", where, one.before)
            # A quota of an earlier manifest may be in the way.
            assert code in (201, 403), (number, text)
        code, text = connection.send(one.verb, one.path, one.body, one.media)
        figures.codes[code] += 1
        made = json.loads(text)
        kind = resources.find_kind(made.get("apiVersion", ""), made.get("kind", ""))
        if code < 300 and kind and kind.kind != "Binding":
            stored[kind.name] = kind
    return list(stored.values())


def works(connection: Connection, namespace: str) -> None:
    """The cluster still runs a Job to its end and empties the namespace, and had no fault."""
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    connection.send("POST", jobs, job(f"after-{namespace}", "true"))

    def complete() -> bool:
        status = json.loads(connection.send("GET", f"{jobs}/after-{namespace}")[1])["status"]
        return any(c["type"] == "Complete" for c in status.get("conditions", []))

    wait_until(complete, 30, "a Job after the batch is complete")
    connection.send("DELETE", f"{jobs}/after-{namespace}", {"propagationPolicy": "Background"})
    space = f"/api/v1/namespaces/{namespace}"
    wait_until(lambda: connection.send("GET", space)[0] == 404, 30, "the namespace is gone")
    assert not connection.faults, "\n\n".join(connection.faults)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_faulty_manifest_harms_nothing(cluster: Local, figures: Figures, batch: int) -> None:
    connection, namespace = Connection(cluster), f"fuzzed-{batch}"
    connection.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    waiting = pod("bound", "true", schedulerName="none")
    connection.send("POST", f"/api/v1/namespaces/{namespace}/pods", waiting)
    numbers = range(batch * BATCH, (batch + 1) * BATCH)
    try:
        seen = fill(connection, figures, namespace, numbers)
        everything = ",".join(kind.name for kind in seen)
        kubectl(cluster, "get", everything, "-A", "--chunk-size=0", "-o", "wide")
        kubectl(cluster, "get", everything, "-A", "--chunk-size=0", "-o", "yaml")
        described = [kind for kind in seen if kind.kind not in NOT_DESCRIBED]
        for kind in random.Random(batch).sample(described, 2):
            within = ["-n", namespace] if kind.namespaced else []
            kubectl(cluster, "describe", kind.name, *within)
        kubectl(cluster, "get", "all", "-A", "--chunk-size=0")
    finally:
        clean(connection, namespace)
    works(connection, namespace)


# What harmed the cluster once: the kind, the verb, the subresource, what is sent, the answer.
FOUND: list[tuple[str, str, str, Any, str, int]] = [
    ("pods", "PATCH", "", {"metadata": True}, PATCHES[0], 400),
    ("pods", "PATCH", "", {"metadata": {"labels": {"b": "c"}}}, PATCHES[0], 200),
    ("deployments.apps", "PATCH", "scale", {"spec": 7}, PATCHES[1], 400),
    ("deployments.apps", "PATCH", "scale", {"metadata": [1]}, PATCHES[1], 400),
    ("deployments.apps", "PATCH", "scale", {"spec": {"replicas": "1"}}, PATCHES[1], 400),
    ("jobs.batch", "PATCH", "status", {"status": {"completedIndexes": "a\nb"}}, PATCHES[1], 200),
    ("jobs.batch", "PATCH", "status", {"status": {"completedIndexes": "0-9999"}}, PATCHES[1], 200),
    ("cronjobs.batch", "PATCH", "status", {"status": {"lastScheduleTime": TIMES[5]}}, PATCHES[1],
     200),
    ("pods", "PATCH", "status", {"status": {"conditions": [{}]}}, PATCHES[1], 200),
    ("nodes", "PATCH", "status", {"status": {"conditions": [{}]}}, PATCHES[1], 200),
    ("deployments.apps", "PATCH", "status", {"status": {"conditions": [{}]}}, PATCHES[1], 200),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "verb", "below", "body", "media", "code"), FOUND)
def test_what_harmed_once_does_not(
    cluster: Local, kind: str, verb: str, below: str, body: Any, media: str, code: int
) -> None:
    connection, resource = Connection(cluster), resources.named(kind)
    connection.send("POST", "/api/v1/namespaces", {"metadata": {"name": "found"}})
    before = valid(resource, "found", 0)
    place = path_of(resource, "found" if resource.namespaced else "")
    connection.send("POST", place, before)
    name = before["metadata"]["name"]
    one = f"{place}/{name}{'/' if below else ''}{below}?fieldManager=fuzz"
    answer = connection.send(verb, one, body, media)
    assert answer[0] == code, answer
    kubectl(cluster, "describe", kind, name, *(["-n", "found"] if resource.namespaced else []))
    clean(connection, "found")
    works(connection, "found")
