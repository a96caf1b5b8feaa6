"""Find out whether everything works here, by using each part once for real.

`run()` gives one `Check` a part: `ok`, or what to do next. What it makes in the cluster is
in a namespace of its own, and gone at the end.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WqlibError

if TYPE_CHECKING:
    from ..cluster import Cluster

NAMESPACE = "wq-doctor"
OLDEST_PYTHON, TOO_NEW_PYTHON = (3, 11), (3, 15)
LEAST_FREE_MB = 300
POD_SECONDS = 120  # a real cluster may have to pull an image first

# Not the names of the notebooks: in a class, both are in one namespace.
HELLO, REDIS = "doctor-hello", "doctor-redis"

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": HELLO},
    "spec": {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "hello",
                "image": "python:3.11-slim",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-c", "print('hello from a pod')"],
            }
        ],
    },
}

REDIS_COMMAND = """exec redis-server - <<END
requirepass $PASSWORD
save ""
END
"""
REDIS_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": REDIS},
    "spec": {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 2,
        "containers": [
            {
                "name": "redis",
                "image": "redis:7",
                "imagePullPolicy": "IfNotPresent",
                # By standard input, so the password is in no process list.
                "command": ["sh", "-c", REDIS_COMMAND],
                "env": [
                    {
                        "name": "PASSWORD",
                        "valueFrom": {"secretKeyRef": {"name": REDIS, "key": "password"}},
                    }
                ],
                "ports": [{"containerPort": 6379}],
                "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
            }
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Check:
    """What came of trying one part.

    Attributes:
        name: Which part, e.g. "port-forward".
        ok: It works.
        detail: What was found; if it does not work, why, and what to do next.
    """

    name: str
    ok: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'FAIL':4}  {self.name:13} {self.detail}"


class Failed(Exception):
    """A check failed, for the reason given."""


def run(
    names: Iterable[str] | None = None,
    *,
    context: str | None = None,
    report: Callable[[Check], None] | None = None,
    leave_as_found: bool = False,
) -> list[Check]:
    """Try each part once.

    Args:
        names: Only these parts, of `NAMES`; all if None. What they need is tried as well.
        context: Which cluster, as in `connect`.
        report: Called with each check as soon as it is done.
        leave_as_found: Stop the local cluster at the end, unless it ran before.

    Returns:
        The checks in the order of `NAMES`.

    Example:
        >>> [check.ok for check in run(["python", "port"])]
        [True, True]
    """
    chosen = list(NAMES) if names is None else _with_needs(names)
    done: dict[str, Check] = {}
    with Visit(context, leave_as_found) as visit:
        for name in chosen:
            done[name] = check = _try(visit, name, done)
            if report:
                report(check)
    return list(done.values())


def _try(visit: Visit, name: str, done: dict[str, Check]) -> Check:
    for need in NEEDS.get(name, ()):
        if not done[need].ok:
            return Check(name, False, f"not tried, because {need!r} failed")
    try:
        return Check(name, True, _ACTIONS[name](visit))
    except (Failed, WqlibError) as error:
        return Check(name, False, str(error))
    except Exception as error:  # a part that breaks in a new way must not hide the others
        return Check(name, False, f"{type(error).__name__}: {error}")


class Visit:
    """What the checks have opened so far, and its end."""

    def __init__(self, context: str | None, leave_as_found: bool) -> None:
        self.context = context
        self.leave_as_found = leave_as_found
        self.stack = ExitStack()
        self.password = ""
        self._cluster: Cluster | None = None

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stack.close()

    @property
    def cluster(self) -> Cluster:
        """The cluster; connecting to it is the first use of it."""
        if self._cluster is None:
            from ..cluster import connect, local, named_namespace

            if self.leave_as_found:
                self.stack.enter_context(local.restore_on_exit())
            named = named_namespace(self.context)  # a learner of a class may use no other
            namespace = named or f"{NAMESPACE}-{secrets.token_hex(2)}"  # others may do the same now
            self._cluster = cluster = connect(self.context, namespace=namespace)
            self.stack.callback(cluster.close)
            if not named:
                self.stack.callback(cluster.clean_up)
            # Nothing is in this Redis, so it need not end in good order, which takes longer.
            for made in (f"secret/{REDIS}", f"pod/{HELLO}", f"pod/{REDIS}"):
                self.stack.callback(cluster.delete, made, grace_seconds=0)
        return self._cluster


def _python(visit: Visit) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not OLDEST_PYTHON <= sys.version_info[:2] < TOO_NEW_PYTHON:
        raise Failed(
            f"This is Python {version}; the course needs 3.11 to 3.14. "
            "Install one of these and start again with it: make PYTHON=python3.13 lab"
        )
    return f"Python {version}"


def _packages(visit: Visit) -> str:
    missing = []
    needed = list(_requirements())
    for name, bounds in needed:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name} is not installed")
            continue
        if not _within(found, bounds):
            missing.append(f"{name} is {found}, wanted {bounds}")
    if missing:
        raise Failed(
            f"{'; '.join(missing)}. Install what the course needs: "
            f"{sys.executable} -m pip install 'wqlib[course]' (or `make lab` in its folder)."
        )
    return f"all {len(needed)} packages are there"


def _requirements() -> Iterator[tuple[str, str]]:
    """Name and bounds of what the course needs, from our own metadata."""
    try:
        lines = importlib.metadata.requires("wqlib") or []
    except importlib.metadata.PackageNotFoundError:
        raise Failed(
            "wqlib itself is not installed, only its files are found. "
            f"In its folder: {sys.executable} -m pip install -e '.[course]' (or `make lab`)."
        ) from None
    for line in lines:
        requirement, _, marker = line.partition(";")
        found = re.match(r"\s*([A-Za-z0-9._-]+)\s*(.*?)\s*$", requirement)
        if found and ("extra" not in marker or "course" in marker):
            yield found[1], found[2]


def _within(version: str, bounds: str) -> bool:
    """Whether a version lies within bounds such as ">=6.4,<9"."""
    numbers = _numbers(version)
    for bound in filter(None, bounds.replace(" ", "").split(",")):
        limit = _numbers(bound)
        if bound.startswith(">=") and numbers < limit:
            return False
        if bound.startswith("<") and not bound.startswith("<=") and numbers >= limit:
            return False
    return True


def _numbers(version: str) -> list[int]:
    found = [int(part) for part in re.findall(r"\d+", version)]
    while found and found[-1] == 0:  # 6.0 is 6
        found.pop()
    return found


def _redis(visit: Visit) -> str:
    from .. import redisserver
    from ..redisserver import image

    binary = redisserver.find()
    script = image.scripts(binary, redisserver.find_cli(binary))[image.COMMAND]
    with tempfile.TemporaryDirectory() as folder:
        entry = Path(folder, image.COMMAND)  # what a pod runs, with as little as a pod has
        entry.write_text(f"#!/bin/sh\n{script}")
        entry.chmod(0o700)
        env = {"PATH": f"{folder}:{os.defpath}", "HOME": folder, "TMPDIR": folder}
        try:
            redisserver.RedisServer(binary=entry, env=env).close()  # it has answered PING
        except WqlibError as error:
            raise Failed(str(error).replace(str(entry), str(binary))) from None
    return f"{binary.name} {redisserver.version(binary)} answers"


def _disk(visit: Visit) -> str:
    folder = Path(os.environ.get("WQLIB_HOME") or Path.home()).expanduser()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise Failed(f"The folder {folder} cannot be written to. Set WQLIB_HOME to one that can.")
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < LEAST_FREE_MB:
        raise Failed(
            f"Only {free_mb} MB are free in {folder}; {LEAST_FREE_MB} MB are needed. "
            "Make room, or set WQLIB_HOME to a folder on another disk."
        )
    return f"at least {LEAST_FREE_MB} MB are free"


def _port(visit: Visit) -> str:
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=5),
        ):
            return "programs on this machine reach each other on 127.0.0.1"
    except OSError as error:
        raise Failed(
            f"A program here cannot reach another one on 127.0.0.1: {error}. "
            "A firewall or a sandbox may forbid it: allow local connections for Python."
        ) from None


def _connect(visit: Visit) -> str:
    return f"Kubernetes {visit.cluster.version} answers"


def _image(visit: Visit) -> str:
    return visit.cluster.how_images_are_built()


def _pod(visit: Visit) -> str:
    visit.cluster.apply(POD)
    visit.cluster.wait(f"pod/{HELLO}", "succeeded", timeout_seconds=POD_SECONDS)
    if visit.cluster.logs(f"pod/{HELLO}") != "hello from a pod\n":
        raise Failed(
            "A pod ran, but its log does not say what it printed. "
            "Look at it with `kubectl logs`, and see whether the cluster keeps logs."
        )
    return "a pod ran, and its log came back"


def _exec(visit: Visit) -> str:
    visit.password = visit.cluster.secret(REDIS)
    visit.cluster.apply(REDIS_POD)
    visit.cluster.wait(f"pod/{REDIS}", "ready", timeout_seconds=POD_SECONDS)
    result = visit.cluster.exec(REDIS, ["sh", "-c", "echo hello"])
    if (result.stdout, result.exit_code) != ("hello\n", 0):
        raise Failed(
            f"A command in a pod ended with {result.exit_code} and said {result.stdout!r} "
            f"{result.stderr!r}. Does a proxy stand between here and the cluster that does "
            "not let WebSockets through?"
        )
    return "a command ran in a pod"


def _port_forward(visit: Visit) -> str:
    import redis

    with visit.cluster.port_forward(f"pod/{REDIS}", 6379) as forward:
        client = redis.Redis(forward.host, forward.port, password=visit.password)
        try:
            client.ping()
        except redis.RedisError as error:
            raise Failed(
                f"Redis in a pod was not reached: {forward.problem or error}. Does a proxy "
                "stand between here and the cluster that does not let WebSockets through?"
            ) from None
        finally:
            client.close()
    return "a port of a pod was reached"


def _queue(visit: Visit) -> str:
    from ..queue import WorkQueue

    with (
        visit.cluster.port_forward(f"pod/{REDIS}", 6379) as forward,
        WorkQueue(
            "doctor",
            host=forward.host,
            port=forward.port,
            password=visit.password,
            worker="doctor",
        ) as queue,
    ):
        queue.put("apple")
        lease = queue.lease(wait_seconds=5)
        if lease is None or lease.text != "apple":
            raise Failed("An item was put into a queue, but could not be leased. Please report it.")
        queue.complete(lease)
        if not queue.drained():
            raise Failed("An item was completed, but the queue is not drained. Please report it.")
    return "an item was put, leased and completed"


_ACTIONS: dict[str, Callable[[Visit], str]] = {
    "python": _python,
    "packages": _packages,
    "redis": _redis,
    "disk": _disk,
    "port": _port,
    "cluster": _connect,
    "image": _image,
    "pod": _pod,
    "exec": _exec,
    "port-forward": _port_forward,
    "queue": _queue,
}
NAMES = tuple(_ACTIONS)
NEEDS = {
    "cluster": ("packages", "port"),
    "image": ("cluster",),
    "pod": ("cluster",),
    "exec": ("cluster",),
    "port-forward": ("exec",),
    "queue": ("port-forward",),
}


def _with_needs(names: Iterable[str]) -> list[str]:
    wanted: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in _ACTIONS:
            raise WqlibError(f"There is no check {name!r}. There are: {', '.join(NAMES)}.")
        wanted.add(name)
        left += NEEDS.get(name, ())
    return [name for name in NAMES if name in wanted]
