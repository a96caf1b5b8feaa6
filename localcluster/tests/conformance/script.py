"""What a scenario is written with: requests, kubectl commands, watches, and waiting.

    @scenario
    def a_job_counts_its_pods(s):
        \"\"\"Three completions, one at a time.\"\"\"
        s.post("jobs", job("three", "true", completions=3))
        s.until("jobs/three", "status.succeeded", 3)
        s.get("jobs/three", show=("spec.completions", "status"))
        s.kubectl("get jobs")

Each step but `until` is recorded. What it asserts besides is what upstream documents, and holds on
every cluster. A scenario has a namespace of its own, `s.ns`; `{ns}` stands
for it in paths, bodies and commands.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .cluster import Cluster, Reply
from .normalise import Normaliser, in_order

PYTHON, REDIS = "python:3.11-slim", "redis:7"
_PREFIXES = {
    "apps/v1": "deployments replicasets statefulsets daemonsets controllerrevisions",
    "batch/v1": "jobs cronjobs",
    "networking.k8s.io/v1": "networkpolicies",
    "rbac.authorization.k8s.io/v1": "roles rolebindings",
    "policy/v1": "poddisruptionbudgets",
}
_GROUPS = {plural: group for group, names in _PREFIXES.items() for plural in names.split()}
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Scenario:
    """One script, and how it is judged.

    Attributes:
        name: Its name, and that of the file with its recording.
        identities: Whether two fields that named the same thing must do so again.
        keep_owners: Whether `managedFields` are compared as well.
        alone: Whether no other may play meanwhile, because it changes nodes.
    """

    name: str
    about: str
    play: Callable[[Script], None]
    identities: bool
    keep_owners: bool
    alone: bool


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    play: Callable[[Script], None] | None = None,
    *,
    identities: bool = True,
    keep_owners: bool = False,
    alone: bool = False,
) -> Any:
    """Make a function a scenario."""

    def add(play: Callable[[Script], None]) -> Callable[[Script], None]:
        name = play.__name__.replace("_", "-")
        assert name not in SCENARIOS, name
        about = (play.__doc__ or "").strip()
        SCENARIOS[name] = Scenario(name, about, play, identities, keep_owners, alone)
        return play

    return add if play is None else add(play)


def pick(value: Any, path: str) -> Any:
    """Return what lies at a path as `status.conditions.*.type`, or None."""
    for number, part in enumerate(parts := path.split(".") if path else []):
        if part == "*":
            rest = ".".join(parts[number + 1 :])
            return [pick(item, rest) if rest else item for item in value or []]
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


@dataclass
class Script:
    """The steps of one scenario, sent to one cluster, and what came back."""

    cluster: Cluster
    ns: str
    normaliser: Normaliser
    folder: Path
    patience: float = 90.0
    steps: list[dict[str, Any]] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> Any:
        """Read; see `send`."""
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> Any:
        """Create; see `send`."""
        return self.send("POST", path, body, **options)

    def put(self, path: str, body: Any, **options: Any) -> Any:
        """Replace; see `send`."""
        return self.send("PUT", path, body, **options)

    def patch(self, path: str, body: Any, kind: str = "merge", **options: Any) -> Any:
        """Patch: "merge", "strategic", "json" or "apply"; see `send`."""
        headers = {"Content-Type": _PATCHES[kind]}
        return self.send("PATCH", path, body, headers=headers, note=f" ({kind})", **options)

    def delete(self, path: str, body: Any = None, **options: Any) -> Any:
        """Delete; see `send`."""
        return self.send("DELETE", path, body, **options)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        show: Sequence[str] | None = None,
        sort: bool = False,
        headers: dict[str, str] | None = None,
        note: str = "",
        **query: Any,
    ) -> Any:
        """Send a request, record status and body, and return the body.

        Args:
            path: As "pods/a", in the scenario's namespace, or whole, with a slash in front.
            show: The paths of the only fields to record.
            sort: Record a list's items in an order that does not depend on their names.
            headers: Beside those that every request has.
            note: More for the step's name.
            query: Parameters of the URL.
        """
        reply = self._request(method, path, body, headers, query)
        told = {**query, "continue": "..."} if "continue" in query else query
        asked = " ".join(f"{key}={value}" for key, value in told.items())
        record = self._record(f"{method} {path}{note} {asked}".strip())
        record["status"] = reply.status
        kept = reply.body if show is None or reply.status > 299 else _only(reply.body, show)
        if isinstance(kept, str):
            record["text"] = self.normaliser.text(kept)
        else:
            kept = self.normaliser.value(kept)
            if sort and isinstance(kept.get("items"), list):
                kept["items"] = in_order(kept["items"])
            record["body"] = kept
        return reply.body

    def stranger(self, method: str, path: str) -> None:
        """Send a request with a token that nobody gave out, and record the answer."""
        reply = self.cluster.stranger(method, self._path(path))
        record = self._record(f"{method} {path} as a stranger")
        record |= {"status": reply.status, "body": self.normaliser.value(reply.body)}

    def quiet(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request that is not recorded, because it only prepares the next step."""
        headers = {"Content-Type": _PATCHES["merge"]} if method == "PATCH" else None
        reply = self._request(method, path, body, headers, query)
        assert reply.status < 300, f"{method} {path}: {reply.body}"
        return reply.body

    def until(self, path: str, field: str, value: Any = None, *, seconds: float = 0) -> Any:
        """Wait until a field has a value, or until a function of that value says so.

        With "gone" for the field, until there is no such object. A field that may be missing, and
        only must be there, needs no value.
        """
        deadline = time.monotonic() + (seconds or self.patience)
        while True:
            reply = self._request("GET", path, None, None, {})
            found = pick(reply.body, field)
            if reply.status == 404 if field == "gone" else _holds(found, value):
                return reply.body
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: {field} is {found!r}, and not {value!r}")
            time.sleep(_POLL_SECONDS)

    def until_made(self, path: str, body: dict[str, Any]) -> None:
        """Wait until an object can be made; with `dryRun` in the path, none is."""
        deadline = time.monotonic() + self.patience
        while (reply := self._request("POST", path, body, None, {})).status != 201:
            if time.monotonic() > deadline:
                raise TimeoutError(f"POST {path}: {reply.body}")
            time.sleep(_POLL_SECONDS)

    def pause(self, seconds: float) -> None:
        """Wait where what follows must lie in another second, or where nothing must happen."""
        time.sleep(seconds)

    def file(self, name: str, text: str) -> None:
        """Write a file for kubectl."""
        (self.folder / name).write_text(self._fill(text))

    def kubectl(self, command: str, stdin: str | None = None, *, sort: bool = False) -> str:
        """Run a kubectl command; record its exit code and what it printed, and return the latter.

        What `-o json` and `-o yaml` print is recorded as the object that it is. With `sort`, the
        lines below a table's head are put in an order that does not depend on names.
        """
        done = self.cluster.kubectl(
            self._fill(command), self.ns, self.folder, stdin and self._fill(stdin)
        )
        record = self._record(f"kubectl {command}")
        record["exit"] = done.returncode
        parsed = _parsed(command, done.stdout) if done.returncode == 0 else None
        if parsed is not None:
            record["output"] = self.normaliser.value(parsed)
        elif done.stdout:
            record["stdout"] = self._lines(done.stdout, sort)
        if told := self._lines(done.stderr, sort):
            record["stderr"] = told
        return done.stdout

    @contextlib.contextmanager
    def watching(
        self,
        path: str,
        until: Callable[[list[dict[str, Any]]], bool],
        show: Sequence[str] = ("metadata.name",),
        **query: Any,
    ) -> Iterator[None]:
        """Record what a watch tells of the steps inside, from their start until a condition holds.

        An event is its type and the shown fields; one that repeats the last of its object adds
        nothing, since how often a cluster writes the same is its own affair.
        """
        start = self._request("GET", path, None, None, query).body["metadata"]["resourceVersion"]
        record = self._record(f"watch {path}")
        yield
        events: list[dict[str, Any]] = []
        last: dict[str, Any] = {}
        where = self._path(path)
        for event in self.cluster.watch(where, self.patience, resourceVersion=start, **query):
            told = {"type": event["type"], **_only(event["object"], show)}
            name = event["object"].get("metadata", {}).get("name", "")
            if last.get(name) != told:
                last[name] = told
                events.append(told)
            if until(events):
                record["events"] = self.normaliser.value(events)
                return
        raise TimeoutError(f"watch {path}: {json.dumps(events, indent=1)}")

    def _lines(self, text: str, sort: bool) -> str:
        lines = self.normaliser.text(text).split("\n")
        if sort:
            head = 1 if lines[0].isupper() else 0
            lines = lines[:head] + in_order(lines[head:])
        return "\n".join(lines)

    def _record(self, step: str) -> dict[str, Any]:
        record: dict[str, Any] = {"step": self.normaliser.string(step)}
        self.steps.append(record)
        return record

    def _request(
        self,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str] | None,
        query: dict[str, Any],
    ) -> Reply:
        if body is not None and not isinstance(body, bytes):
            body = json.loads(self._fill(json.dumps(body)))
        query = {key: self._fill(str(value)) for key, value in query.items()}
        return self.cluster.request(method, self._path(path), body, headers, **query)

    def _fill(self, text: str) -> str:
        return text.replace("{ns}", self.ns)

    def _path(self, path: str) -> str:
        path = self._fill(path)
        if path.startswith("/"):
            return path
        group = _GROUPS.get(path.split("/")[0])
        return f"/{f'apis/{group}' if group else 'api/v1'}/namespaces/{self.ns}/{path}"


def _holds(found: Any, value: Any) -> bool:
    if callable(value):
        return bool(found is not None and value(found))
    return found is not None if value is None else bool(found == value)


def _only(value: Any, show: Sequence[str]) -> dict[str, Any]:
    return {path: found for path in show if (found := pick(value, path)) is not None}


def _parsed(command: str, text: str) -> Any:
    words = command.replace("-o ", "-o").replace("--output=", "-o").split()
    if "-ojson" in words or "--raw" in words:
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return yaml.safe_load(text) if "-oyaml" in words else None


def pod(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    """Return a pod's manifest; fields of its container are given as `container`."""
    container = {"name": "main", "image": PYTHON, **spec.pop("container", {})}
    if command:
        container["command"] = list(command)
    metadata = {"name": name, **spec.pop("metadata", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 2,
            "containers": [container],
            **spec,
        },
    }


def template(*command: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a pod template."""
    made = pod("unnamed", *command, **spec)
    return {"metadata": {"labels": labels} if labels else {}, "spec": made["spec"]}


def job(name: str, *command: str, pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a Job's manifest; fields of its pods' spec are given as `pod`."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template(*command, **(pod or {})), **spec},
    }


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    """Return a ConfigMap's manifest."""
    made: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
    made["metadata"] = {"name": name, **metadata}
    return made if data is None else {**made, "data": data}
