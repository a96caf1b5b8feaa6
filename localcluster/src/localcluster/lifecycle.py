"""Starting the daemon when it is needed, owning it, and stopping it."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wqlib import __version__
from wqlib.errors import ClusterError
from wqlib.localcluster.locks import lock_file, owner_alive
from wqlib.localcluster.paths import State, told_of_disk

_START_SECONDS = 120.0  # a start that fails is known at once; this is for a slow disk, busy cores
_STOP_SECONDS = 15.0
_ROOM_BYTES = 1 << 18
_PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
    "WQLIB_LOOPBACK", "WQLIB_JOB_BACKOFF_SECONDS", "WQLIB_PROFILE",
)  # fmt: skip

_owned: dict[Path, tuple[Path, int]] = {}
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Status:
    """A running local cluster.

    Attributes:
        server: the URL of its API.
        started_at: UTC, as Kubernetes writes times.
        pods: how many pods have a running process.
    """

    pid: int
    server: str
    kubeconfig: Path
    started_at: str
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
    redis_server: Path | None = None,
    redis_cli: Path | None = None,
    tell: Callable[[str], None] = lambda what: None,
) -> Path:
    """Start the local cluster unless it runs, and become one of its owners.

    The cluster lives as long as any of its owners, and a little longer
    (`WQLIB_LINGER_SECONDS`, default 30).

    Args:
        home: where its state lies; default `WQLIB_HOME`, or `~/.wqlib`.
        redis_server: the program behind the image `redis`, for a running cluster too; None: there
            is no such image, or the one that it has stays.
        redis_cli: the program that pods of that image find as `redis-cli`.
        tell: called again and again with what it waits for.

    Returns:
        The path of the kubeconfig.

    Raises:
        ClusterError: the cluster does not start.
    """
    state = State.of(home)
    if os.pathsep in str(state.root):
        raise ClusterError(
            f"The path {state.root} holds a colon, which is what separates the paths in KUBECONFIG."
            " Set WQLIB_HOME to a folder without one."
        )
    with told_of_disk(state):
        return _ensure(state.create(), redis_server, redis_cli, tell)


def _ensure(
    state: State,
    redis_server: Path | None,
    redis_cli: Path | None,
    tell: Callable[[str], None],
) -> Path:
    lock = _lock(state.start_lock, seconds=_START_SECONDS, tell=tell)
    if lock is None:
        raise ClusterError(
            f"Another process has been starting the local cluster in {state.root} for too long."
            " End it, and try again."
        )
    try:
        if state.info.exists() and not _is_free(state.daemon_lock):
            _end_if_foreign(state)
        _become_owner(state)
        if state.info.exists() and not _is_free(state.daemon_lock):
            # Not above: whoever only starts the cluster should not wait for it.
            from wqlib.localcluster.images.imagestore import Images

            Images(state).give_redis(redis_server, redis_cli)
            return state.kubeconfig
        for path in (state.daemon_lock, state.reaper_lock):
            waiting = _lock(path, seconds=_STOP_SECONDS, tell=tell)
            if waiting is None:
                raise ClusterError(
                    f"The local cluster in {state.root} is ending and does not come to an end."
                    " Stop it: python -m wqlib.localcluster stop"
                )
            os.close(waiting)
        _check_room(state)
        _start(state, redis_server, redis_cli, tell)
    finally:
        os.close(lock)
    return state.kubeconfig


def this_copy() -> dict[str, str]:
    """Say which copy of the program this is: its pods get its Python and its packages."""
    return {
        "version": __version__,
        "package": str(Path(__file__).resolve().parent.parent),
        "python": os.path.realpath(os.path.dirname(sys.executable)),
    }


def _end_if_foreign(state: State) -> None:
    """Stop the running cluster if another copy of the program started it and nobody uses it.

    Raises:
        ClusterError: it is in use.
    """
    other = _info(state).get("copy")
    if other == this_copy() and state.kubeconfig.exists():
        return
    if not owner_alive(state):
        stop(state.root.parent)
        return
    whose = "by another version of the course"
    if isinstance(other, dict) and other.get("version") == __version__:
        whose = f"from {other.get('package')} with the Python in {other.get('python')}"
    raise ClusterError(
        f"The local cluster in {state.root} was started {whose}, and is in use. End what uses it"
        " there, or stop it: wqlib cluster stop. To have both at a time, set WQLIB_HOME to another"
        " folder here."
    )


def _check_room(state: State) -> None:
    """Raise an `OSError` when the disk has no room for what the daemon writes at once."""
    probe = state.root / "room"
    try:
        probe.write_bytes(bytes(_ROOM_BYTES))
    finally:
        probe.unlink(missing_ok=True)


def _start(
    state: State,
    redis_server: Path | None,
    redis_cli: Path | None,
    tell: Callable[[str], None],
) -> None:
    read, write = os.pipe()
    linger = os.environ.get("WQLIB_LINGER_SECONDS", "30")
    command = [
        sys.executable,
        "-m",
        "wqlib.localcluster",
        "serve",
        "--home",
        str(state.root.parent),
    ]
    command += ["--linger", linger, "--ready-fd", str(write)]
    if redis_server is not None:
        command += ["--redis-server", str(Path(redis_server).absolute())]
    if redis_cli is not None:
        command += ["--redis-cli", str(Path(redis_cli).absolute())]
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Threads with heaps of their own keep memory that nobody uses.
    env["MALLOC_ARENA_MAX"] = "1"
    env["PYTHONUTF8"] = "1"
    spec = importlib.util.find_spec("wqlib")
    if spec is not None and spec.submodule_search_locations:
        env["PYTHONPATH"] = str(Path(spec.submodule_search_locations[0]).parent)
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
            f" busy, or the disk of {state.root} is slow. Try again, or set WQLIB_HOME to a folder"
            " on another disk."
        )
    tail = state.log.read_text("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise ClusterError(
        f"The local cluster did not start: {tail[0]}. The whole story is in {state.log}."
    )


def status(home: Path | None = None) -> Status | None:
    """Return what runs, or None."""
    state = State.of(home)
    if not state.root.exists() or _is_free(state.daemon_lock):
        return None
    info = _info(state)
    try:
        return Status(
            info["pid"], info["server"], state.kubeconfig, info["started_at"], info["pods"]
        )
    except KeyError:
        return None


def _info(state: State) -> dict[str, Any]:
    """Return what the daemon says about itself; nothing when that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        info = json.loads(state.info.read_text("utf-8"))
        if isinstance(info, dict):
            return info
    return {}


def stop(home: Path | None = None) -> bool:
    """Stop the local cluster with all its pods; returns whether one was running.

    Returns only when the last process is gone.

    Raises:
        ClusterError: the daemon does not end.
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
    """The daemon outlives its starter on purpose: say no warning about it."""
    for daemon in _started:
        daemon.returncode = 0
