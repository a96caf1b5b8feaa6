"""The small programs that stand for `pip` in pods, and the Python of each."""

from __future__ import annotations

import contextlib
import os
import site
import sys
from pathlib import Path

from . import sitecustomize
from .programs import write, write_program

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# An interpreter without a global lock has packages of its own.
_LIB = f"python{_VERSION}{'t' * sys.abiflags.count('t')}"
_BASE: str = sys._base_executable  # type: ignore[attr-defined]
# Some programs that make environments (uv) put no pip into them.
_PIP = """\
python -c 'import pip' 2>/dev/null || python -m ensurepip >/dev/null 2>&1 || {
    echo "There is no pip in the local cluster's Python. Install it there: uv pip install pip" >&2
    exit 1
}
exec python -m pip "$@"
"""


def write_shared(folder: Path, shared: Path) -> None:
    """Write `pip` for Python images into `folder`, and what all their environments share."""
    for path in (folder, shared):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("pip", "pip3", f"pip{_VERSION}"):
        write_program(folder / name, _PIP)
    home = Path(_BASE).parent
    here = [*site.getsitepackages(), site.getusersitepackages()]
    files = {
        "sitecustomize.py": Path(sitecustomize.__file__).read_text("utf-8"),
        "pyvenv.cfg": f"home = {home}\ninclude-system-site-packages = false\n",
        "here.pth": "".join(
            f"import site; site.addsitedir({path!a})\n" for path in here if path in sys.path
        ),
    }
    for name, text in files.items():
        write(shared / name, text, 0o600)


def create_venv(folder: Path, shared: Path) -> dict[str, Path]:
    """Make the Python of one container, unless it is there; return its programs.

    It is a virtual environment that sees all that is installed here, too. What the container
    installs goes into `folder`, comes first, and is gone with it. Most pods never install
    anything, so it consists of as little as can be.
    https://docs.python.org/3/library/venv.html
    """
    names = ("python", "python3", f"python{_VERSION}")
    if not (folder / "pyvenv.cfg").is_symlink():
        for inside in ("bin", "lib", f"lib/{_LIB}", f"lib/{_LIB}/site-packages"):
            os.makedirs(f"{folder}/{inside}", exist_ok=True)
        links = {f"bin/{name}": _BASE for name in names}
        for name in (f"lib/{_LIB}/site-packages/here.pth", "pyvenv.cfg"):
            links[name] = f"{shared}/{os.path.basename(name)}"
        for name, target in links.items():
            with contextlib.suppress(FileExistsError):
                os.symlink(target, f"{folder}/{name}")
    return {name: folder / "bin" / name for name in names}
