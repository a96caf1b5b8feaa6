"""Other versions of ipykernel, each in a folder under build/ that only its kernel looks into.

    with Lab(folder, environment=environment("6.31.0")) as lab:
        ...

The folder holds ipykernel alone and comes first on PYTHONPATH; all else is as in `.venv`.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
# What each version asks for that the others do not.
VERSIONS = {
    "6.31.0": ["nest-asyncio==1.6.0"],
    "7.3.0": ["nest-asyncio2==1.7.4"],
    "7.4.0": ["nest-asyncio2==1.7.4"],
}
LONGEST_INSTALL_SECONDS = 180


class NotInstalled(Exception):
    """Why a version cannot be had here."""


def environment(version: str) -> dict[str, str]:
    """The variables that give a JupyterLab and its kernels this ipykernel.

    Raises:
        NotInstalled: It cannot be installed here.
    """
    if importlib.metadata.version("ipykernel") == version:
        return {}
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(install(version)), before]))}


def install(version: str) -> Path:
    """The folder that holds this ipykernel; it is filled once, and then kept.

    Raises:
        NotInstalled: It cannot be installed here.
    """
    folder = BUILD / f"ipykernel-{version}"
    ready = folder / ".ready"
    if not ready.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        _run([*_installer(), "--target", str(folder), f"ipykernel=={version}", *VERSIONS[version]])
        ready.touch()
    return folder


def _installer() -> list[str]:
    if shutil.which("uv"):
        return ["uv", "pip", "install", "-q", "--python", sys.executable, "--no-deps"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    return [*pip, "--retries", "1", "--timeout", "15", "--no-deps"]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"not installed within {LONGEST_INSTALL_SECONDS} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["the installer said nothing"]
        raise NotInstalled(said[-1])
