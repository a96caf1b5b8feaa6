"""Find out whether everything works here, by using each part once for real.

`run()` gives one `Check` for each part: `ok`, or what to do next. What it makes in the cluster is
in a separate namespace, and gone at the end.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import redisserver
from ..errors import WqlibError
from ..redisserver import image

if TYPE_CHECKING:
    from ..cluster import Cluster

NAMESPACE = "wq-doctor"
OLDEST_PYTHON, TOO_NEW_PYTHON = (3, 11), (3, 15)
LEAST_FREE_MB = 300
KUBECTL_SECONDS = 20
POD_SECONDS = 120  # a real cluster may have to pull an image first

# Not the names of the notebooks: in a class, both are in one namespace.
HELLO, REDIS = "doctor-hello", "doctor-redis"
HELLO_POD = """
apiVersion: v1
kind: Pod
metadata: {name: doctor-hello}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  containers:
  - name: hello
    image: python:3.11-slim
    imagePullPolicy: IfNotPresent
    command: [python, -c, "print('hello from a pod')"]
"""
REDIS_POD = """
apiVersion: v1
kind: Pod
metadata: {name: doctor-redis}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 2
  containers:
  - name: redis
    image: redis:7
    imagePullPolicy: IfNotPresent
    command:  # by standard input, so the password is in no process list
    - sh
    - -c
    - |
      exec redis-server - <<END
      requirepass $PASSWORD
      save ""
      END
    env:
    - name: PASSWORD
      valueFrom: {secretKeyRef: {name: doctor-redis, key: password}}
    ports: [{containerPort: 6379}]
    readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 1}
"""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of trying one part.

    Attributes:
        name: Which part, e.g. "port-forward".
        ok: Whether it works.
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
    action, needs = _PARTS[name]
    for need in needs:
        if not done[need].ok:
            return Check(name, False, f"not tried, because {need!r} failed")
    try:
        return Check(name, True, action(visit))
    except (Failed, WqlibError) as error:
        return Check(name, False, str(error))
    except Exception as error:  # a part that breaks in a new way must not hide the others
        return Check(name, False, f"{type(error).__name__}: {error}")


class Visit(ExitStack):
    """What the checks have opened so far; it is closed and deleted at the block's end."""

    def __init__(self, context: str | None, leave_as_found: bool) -> None:
        super().__init__()
        self.context = context
        self.leave_as_found = leave_as_found
        self.password = ""

    @functools.cached_property
    def cluster(self) -> Cluster:
        """The cluster; the first use connects to it."""
        from ..cluster import connect, named_namespace

        named = named_namespace(self.context)  # a learner of a class may use no other
        namespace = named or f"{NAMESPACE}-{secrets.token_hex(2)}"  # others may do the same now
        cluster = self.enter_context(
            connect(self.context, namespace=namespace, leave_as_found=self.leave_as_found)
        )
        if not named:
            self.callback(cluster.clean_up)
        # Nothing is in this Redis, so it need not shut down cleanly, which takes longer.
        for made in (f"secret/{REDIS}", f"pod/{HELLO}", f"pod/{REDIS}"):
            self.callback(cluster.delete, made, grace_seconds=0)
        return cluster


def _python(visit: Visit) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not OLDEST_PYTHON <= sys.version_info[:2] < TOO_NEW_PYTHON:
        raise Failed(
            f"This is Python {version}; the course needs 3.11 to 3.14. "
            "Install one of these and start again with it: make PYTHON=python3.13 lab"
        )
    return f"Python {version}"


def _packages(visit: Visit) -> str:
    import importlib.metadata

    install = f"{sys.executable} -m pip install 'wqlib[course]' (or `make lab` in its folder)."
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        raise Failed(
            f"packaging is not installed. Install what the course needs: {install}"
        ) from None
    try:
        needed = [Requirement(line) for line in importlib.metadata.requires("wqlib") or []]
    except importlib.metadata.PackageNotFoundError:
        raise Failed(
            "wqlib itself is not installed; only its files were found. "
            f"In its folder: {sys.executable} -m pip install -e localcluster -e '.[course]' "
            "(or `make lab`)."
        ) from None
    needed = [one for one in needed if not one.marker or one.marker.evaluate({"extra": "course"})]
    missing = []
    for one in needed:
        try:
            found = importlib.metadata.version(one.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{one.name} is not installed")
            continue
        if not one.specifier.contains(found, prereleases=True):
            missing.append(f"{one.name} is {found}, but {one.specifier} is needed")
    if missing:
        raise Failed(f"{'; '.join(missing)}. Install what the course needs: {install}")
    return f"all {len(needed)} packages are there"


def _redis(visit: Visit) -> str:
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
        raise Failed(
            f"The folder {folder} cannot be written to. Set WQLIB_HOME to one that can be."
        )
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < LEAST_FREE_MB:
        raise Failed(
            f"Only {free_mb} MB are free in {folder}; {LEAST_FREE_MB} MB are needed. "
            "Free some space, or set WQLIB_HOME to a folder on another disk."
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
            "A firewall or a sandbox may block it: allow local connections for Python."
        ) from None


def _kubectl(visit: Visit) -> str:
    if not shutil.which("kubectl"):
        return (
            "not found; you need it only for what you type in a terminal. "
            "To install it: https://kubernetes.io/docs/tasks/tools/"
        )
    try:
        said = subprocess.run(
            ["kubectl", "version", "--client", "--output=json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=KUBECTL_SECONDS,
            check=True,
        ).stdout
        return f"{json.loads(said)['clientVersion']['gitVersion']} is there"
    except (OSError, ValueError, LookupError, TypeError, subprocess.SubprocessError):
        return (
            "found, but it does not report its version. Only what you type in a terminal needs it."
        )


def _connect(visit: Visit) -> str:
    return f"Kubernetes {visit.cluster.version} answers"


def _image(visit: Visit) -> str:
    return visit.cluster.how_images_are_built()


def _pod(visit: Visit) -> str:
    visit.cluster.apply(HELLO_POD)
    visit.cluster.wait(f"pod/{HELLO}", "succeeded", timeout_seconds=POD_SECONDS)
    if visit.cluster.logs(f"pod/{HELLO}") != "hello from a pod\n":
        raise Failed(
            "A pod ran, but its log does not say what it printed. "
            "Run `kubectl logs`, and check whether the cluster keeps logs."
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
            f"{result.stderr!r}. Is there a proxy in front of the cluster that does not let "
            "WebSockets through?"
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
                f"Redis in a pod could not be reached: {forward.problem or error}. Is there a "
                "proxy in front of the cluster that does not let WebSockets through?"
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


_PARTS: dict[str, tuple[Callable[[Visit], str], tuple[str, ...]]] = {  # and what each needs
    "python": (_python, ()),
    "packages": (_packages, ()),
    "redis": (_redis, ()),
    "disk": (_disk, ()),
    "port": (_port, ()),
    "kubectl": (_kubectl, ()),
    "cluster": (_connect, ("packages", "port")),
    "image": (_image, ("cluster",)),
    "pod": (_pod, ("cluster",)),
    "exec": (_exec, ("cluster",)),
    "port-forward": (_port_forward, ("exec",)),
    "queue": (_queue, ("port-forward",)),
}
NAMES = tuple(_PARTS)


def _with_needs(names: Iterable[str]) -> list[str]:
    wanted = set(names)
    for name in wanted - set(NAMES):
        raise WqlibError(f"There is no check {name!r}. Use one of these: {', '.join(NAMES)}.")
    for name in reversed(NAMES):  # what a check needs comes before it
        if name in wanted:
            wanted.update(_PARTS[name][1])
    return [name for name in NAMES if name in wanted]
