"""Installs the peers under build/, each kind in an environment of its own, versions pinned."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .lab import ROOT

HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build"
_LONGEST_INSTALL_SECONDS = 300


class NotInstalled(Exception):
    """Why a peer cannot be had here."""


def python_peers(name: str = "bench-venv", requirements: str = "peers.txt") -> Path:
    """Python of the environment that holds the Python peers; installs it if need be.

    Raises:
        NotInstalled: It cannot be made here.
    """
    folder, source = BUILD / name, HERE / requirements
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    digest = hashlib.sha256(source.read_bytes() + sys.version.encode()).hexdigest()
    if _is_ready(ready, digest):
        return python
    # Exactly the packages of the list: no resolving, and nothing that they ask for besides.
    if shutil.which("uv"):
        _run(["uv", "venv", "-q", "--clear", "--python", sys.executable, str(folder)])
        _run(
            ["uv", "pip", "install", "-q", "--python", str(python), "--no-deps", "-r", str(source)]
        )
    else:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, "--retries", "1", "--timeout", "15", "--no-deps", "-r", str(source)])
    ready.write_text(digest)
    return python


def chasquimq() -> Path:
    """Python of the environment that holds ChasquiMQ; see `python_peers`."""
    return python_peers("bench-chasquimq", "chasquimq.txt")


def node_peers() -> Path:
    """Folder of the node project that holds BullMQ; installs it if need be.

    Raises:
        NotInstalled: Node or npm is missing, or the packages cannot be had.
    """
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            raise NotInstalled(f"there is no {tool} on this machine")
    folder, source = BUILD / "bench-node", HERE / "bullmq.json"
    ready = folder / ".ready"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if not _is_ready(ready, digest):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(source, folder / "package.json")
        quiet = ["--silent", "--no-audit", "--no-fund", "--fetch-retries=1", "--ignore-scripts"]
        _run(["npm", "install", *quiet, "--prefix", str(folder)])
        ready.write_text(digest)
    return folder


def _is_ready(ready: Path, digest: str) -> bool:
    return ready.is_file() and ready.read_text() == digest


def _run(command: Sequence[str]) -> None:
    """Run an installer, and take it and its children away if we are interrupted.

    Raises:
        NotInstalled: It failed.
    """
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wqlib-install-") as scratch:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": scratch},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=_LONGEST_INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            raise NotInstalled(
                f"{command[0]} did not end within {_LONGEST_INSTALL_SECONDS} s"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode != 0:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        why = next((x for x in reversed(lines) if "error" in x.lower()), (lines or ["?"])[-1])
        raise NotInstalled(f"{Path(command[0]).name} could not install it: {why[:300]}")
