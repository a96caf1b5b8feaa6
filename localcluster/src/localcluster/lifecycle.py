"""Starting the daemon when it is needed, owning it, and stopping it."""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .apimachinery.conventions import KILL_NODE
from .errors import ClusterError
from .images import programs
from .images.programs import ProgramImage
from .locks import lock_file, owner_alive
from .paths import State, explained_disk_errors
from .settings import seconds as seconds_of

VERSION = "0.1.0"
MOST_NODES = 20
_START_SECONDS = 120.0  # a start that fails is known at once; this is for a slow disk, busy cores
_STOP_SECONDS = 15.0
_NEEDED_BYTES = 1 << 18
_PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
    "LOCALCLUSTER_LOOPBACK", "LOCALCLUSTER_JOB_BACKOFF_SECONDS",
    "LOCALCLUSTER_NODE_GRACE_SECONDS", "LOCALCLUSTER_NODE_EVICTION_SECONDS",
)  # fmt: skip

_owned: dict[Path, tuple[Path, int]] = {}
_started: list[subprocess.Popen[bytes]] = []


class Status(NamedTuple):
    """A running local cluster.

    Attributes:
        server: The URL of its API.
        started_at: UTC, as Kubernetes writes times.
        nodes: How many nodes it began with and that were not killed.
        pods: How many pods have a running process.
    """

    pid: int
    server: str
    kubeconfig: Path
    started_at: str
    nodes: int
    pods: int


def _lock(
    path: Path, *, seconds: float, tell: Callable[[str], None] = lambda what: None
) -> int | None:
    """Return a descriptor that holds the file's lock, or None after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        descriptor = lock_file(path, wait=False)
        if descriptor is not None:
            return descriptor
        if time.monotonic() >= deadline:
            return None
        tell("another process that starts or ends the local cluster")
        time.sleep(0.01)


def _is_free(path: Path) -> bool:
    """Tell whether nobody holds the file's lock."""
    if not path.exists():
        return True
    descriptor = _lock(path, seconds=0)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def _become_owner(state: State) -> None:
    known = _owned.get(state.root)
    if known is not None:
        if known[0].exists():
            return
        os.close(known[1])
    name = f"{os.getpid()}-{os.urandom(4).hex()}"
    draft = state.root / f"owner-{name}.new"
    descriptor = lock_file(draft, wait=True)
    assert descriptor is not None
    # The file appears among the owners only when it is locked already.
    file = state.owners / name
    draft.rename(file)
    _owned[state.root] = (file, descriptor)


def ensure(
    home: Path | None = None,
    *,
    namespace: str = "default",
    images: Mapping[str, ProgramImage] | None = None,
    nodes: int = 1,
    linger_seconds: float | None = None,
    tell: Callable[[str], None] = lambda what: None,
) -> Path:
    """Start the local cluster unless it runs, and become one of its owners.

    The cluster lives as long as any of its owners, and a little longer.

    Args:
        home: Where its state lies; default `LOCALCLUSTER_HOME`, or `~/.localcluster`.
        namespace: The one that the kubeconfig names, for a cluster that starts now. Except for
            Kubernetes' own, it is made by whoever needs it.
        images: What pods find under these names, with whatever tag: programs of this machine.
            For a running cluster too; those that it has stay.
        nodes: How many nodes a cluster that starts now gets: `worker-1`, `worker-2` and so on.
        linger_seconds: How long a cluster that starts now outlives its last owner; default
            `LOCALCLUSTER_LINGER_SECONDS`, or 30.
        tell: Called again and again with what it waits for.

    Returns:
        The path of the kubeconfig.

    Raises:
        ClusterError: The cluster does not start.
    """
    check_nodes(nodes)
    state = State.of(home)
    if os.pathsep in str(state.root):
        raise ClusterError(
            f"The path {state.root} holds a colon, which is what separates the paths in KUBECONFIG."
            " Set LOCALCLUSTER_HOME to a folder without one."
        )
    with explained_disk_errors(state):
        state.create()
        if linger_seconds is None:
            linger_seconds = seconds_of(os.environ, "LOCALCLUSTER_LINGER_SECONDS", 30)
        options = ["--namespace", namespace, "--linger", str(linger_seconds)]
        options += ["--nodes", str(nodes)]
        _ensure(state, images or {}, options, tell)
    return state.kubeconfig


def check_nodes(number: int) -> None:
    """Raise a `ClusterError` when a local cluster cannot have that many nodes."""
    if not 0 < number <= MOST_NODES:
        raise ClusterError(f"A local cluster has 1 to {MOST_NODES} nodes, not {number}.")


def _ensure(
    state: State,
    images: Mapping[str, ProgramImage],
    options: list[str],
    tell: Callable[[str], None],
) -> None:
    lock = _lock(state.start_lock, seconds=_START_SECONDS, tell=tell)
    if lock is None:
        raise ClusterError(
            f"Another process has been starting the local cluster in {state.root} for too long."
            " End it, and try again."
        )
    try:
        if state.info.exists() and not _is_free(state.daemon_lock):
            _stop_if_foreign(state)
        _become_owner(state)
        programs.register(state, images)
        if state.info.exists() and not _is_free(state.daemon_lock):
            return
        for path in (state.daemon_lock, state.reaper_lock):
            waiting = _lock(path, seconds=_STOP_SECONDS, tell=tell)
            if waiting is None:
                raise ClusterError(
                    f"The local cluster in {state.root} is ending and does not come to an end."
                    " Stop it: python -m localcluster stop"
                )
            os.close(waiting)
        _check_disk_space(state)
        _start(state, options, tell)
    finally:
        os.close(lock)


def installation() -> dict[str, str]:
    """Return which copy of the program this is: its pods get its Python and its packages."""
    return {
        "version": VERSION,
        "package": str(Path(__file__).resolve().parent),
        "python": os.path.realpath(os.path.dirname(sys.executable)),
    }


def _stop_if_foreign(state: State) -> None:
    """Stop the running cluster if another copy of the program started it and nobody uses it.

    Raises:
        ClusterError: It is in use.
    """
    other = _info(state).get("copy")
    if other == installation() and state.kubeconfig.exists():
        return
    if not owner_alive(state):
        stop(state.root.parent)
        return
    whose = "by another version of localcluster"
    if isinstance(other, dict) and other.get("version") == VERSION:
        whose = f"from {other.get('package')} with the Python in {other.get('python')}"
    raise ClusterError(
        f"The local cluster in {state.root} was started {whose}, and is in use. End what uses it"
        " there, or stop it: python -m localcluster stop. To have both at a time, set"
        " LOCALCLUSTER_HOME to another folder here."
    )


def _check_disk_space(state: State) -> None:
    """Raise an `OSError` when the disk has no space for what the daemon writes at once."""
    probe = state.root / "space-check"
    try:
        probe.write_bytes(bytes(_NEEDED_BYTES))
    finally:
        probe.unlink(missing_ok=True)


def _start(state: State, options: list[str], tell: Callable[[str], None]) -> None:
    read, write = os.pipe()
    command = [
        sys.executable,
        "-m",
        "localcluster",
        "serve",
        "--home",
        str(state.root.parent),
    ]
    command += [*options, "--ready-fd", str(write)]
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Threads with heaps of their own keep memory that nobody uses.
    env["MALLOC_ARENA_MAX"] = "1"
    env["PYTHONUTF8"] = "1"
    env["PYTHONPATH"] = str(Path(__file__).parent.parent)
    descriptor = os.open(state.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=env,
            cwd="/",
            pass_fds=(write,),
            start_new_session=True,
        )
    finally:
        os.close(write)
        os.close(descriptor)
    _started.append(daemon)
    try:
        deadline, in_time = time.monotonic() + _START_SECONDS, False
        while not in_time and time.monotonic() < deadline:
            in_time = bool(select.select([read], [], [], min(1, _START_SECONDS))[0])
            tell("the local cluster to start")
        if in_time and os.read(read, 1) == b"r":
            return
    finally:
        os.close(read)
    daemon.kill()
    daemon.wait()
    if not in_time:
        raise ClusterError(
            f"The local cluster was not ready after {_START_SECONDS:.0f} s. Either this machine is"
            f" busy, or the disk of {state.root} is slow. Try again, or set LOCALCLUSTER_HOME to a"
            " folder on another disk."
        )
    tail = state.log.read_text("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise ClusterError(
        f"The local cluster did not start: {tail[0].rstrip('.')}. Its log: {state.log}"
    )


def status(home: Path | None = None) -> Status | None:
    """Return what runs, or None."""
    state = State.of(home)
    if not state.root.exists() or _is_free(state.daemon_lock):
        return None
    info = _info(state)
    try:
        about = (info["started_at"], info["nodes"], info["pods"])
        return Status(info["pid"], info["server"], state.kubeconfig, *about)
    except KeyError:
        return None


def _info(state: State) -> dict[str, Any]:
    """Return what the daemon says about itself; nothing when that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        info = json.loads(state.info.read_text("utf-8"))
        if isinstance(info, dict):
            return info
    return {}


def kill_node(name: str, home: Path | None = None) -> None:
    """Cut a node's power: its processes are killed at once, and its heartbeats stop.

    What becomes of its pods is the cluster's affair, as on a real one: after 4 s (50 s on a real
    cluster) the node is NotReady, and after 5 s more (300 s) its pods are replaced elsewhere. It
    does not come back; `kubectl delete node` takes it off the list.

    Args:
        name: Such as `worker-2`.
        home: Of which cluster; default `LOCALCLUSTER_HOME`, or `~/.localcluster`.

    Raises:
        ClusterError: No such cluster runs, or it has no such node, or that one is dead.
    """
    import http.client  # takes longer to import than all else that a start needs
    import ssl
    from urllib.parse import quote

    state = State.of(home)
    try:
        config = json.loads(state.kubeconfig.read_text("utf-8"))
    except FileNotFoundError:
        raise ClusterError(f"No local cluster runs in {state.root}.") from None
    cluster, token = config["clusters"][0]["cluster"], config["users"][0]["user"]["token"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    connection = http.client.HTTPSConnection(
        cluster["server"].removeprefix("https://"),
        timeout=_START_SECONDS,
        context=ssl.create_default_context(cadata=authority),
    )
    with contextlib.closing(connection):
        try:
            headers = {"Authorization": f"Bearer {token}"}
            connection.request("POST", KILL_NODE.format(name=quote(name, safe="")), "", headers)
            code = connection.getresponse().status
        except OSError as error:
            raise ClusterError(f"The local cluster in {state.root} is ending: {error}.") from None
    if code != http.HTTPStatus.OK:
        raise ClusterError(
            f"The local cluster has no node {name} that is alive. List them: kubectl get nodes"
        )


def stop(home: Path | None = None) -> bool:
    """Stop the local cluster with all its pods; return whether one was running.

    Returns only when the last process is gone.

    Raises:
        ClusterError: The daemon does not end.
    """
    state = State.of(home)
    if not state.root.exists():
        return False
    running = not _is_free(state.daemon_lock)
    pid = _daemon_pid(state) if running else None
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for path in (state.daemon_lock, state.reaper_lock):
        lock = _lock(path, seconds=_STOP_SECONDS)
        if lock is None and pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            lock = _lock(path, seconds=_STOP_SECONDS)
        if lock is None:
            raise ClusterError(f"The local cluster in {state.root} does not end. See {state.log}.")
        os.close(lock)
    for daemon in list(_started):
        if daemon.poll() is not None:
            _started.remove(daemon)
    return running


def _daemon_pid(state: State) -> int | None:
    """Return the pid of the running daemon, which wrote it into its lock file."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        text = state.daemon_lock.read_text("ascii", "replace")
        if text.strip().isdigit():
            return int(text)
        if _is_free(state.daemon_lock):
            return None
        time.sleep(0.01)
    return None


@atexit.register
def _leave_daemons_alone() -> None:
    """Suppress a warning: the daemon outlives its starter on purpose."""
    for daemon in _started:
        daemon.returncode = 0
