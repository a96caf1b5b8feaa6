"""The small programs that stand for `pip` in pods, and the Python of each."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
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
# To uv the system's Python is that of the pod, for whose packages it has a folder.
_UV = """\
unset UV_SYSTEM_PYTHON
command=${{1:-}}
for word do
    shift
    case "$command $word" in
        'pip --system') set -- "$@" --python "$LOCALCLUSTER_PYTHON";;
        *) set -- "$@" "$word";;
    esac
done
exec {uv} "$@"
"""
_USER_SITE = (
    "import os, site; p = site.getusersitepackages(); os.path.isdir(p) and site.addsitedir(p)\n"
)


def write_shared(folder: Path, shared: Path, search_path: str = "") -> None:
    """Write `pip` for Python images into `folder`, and what all their environments share.

    Args:
        search_path: The PATH on which pods would find a `uv` of this machine.
    """
    for path in (folder, shared):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("pip", "pip3", f"pip{_VERSION}"):
        write_program(folder / name, _PIP)
    if uv := shutil.which("uv", path=search_path):
        write_program(folder / "uv", _UV.format(uv=shlex.quote(os.path.abspath(uv))))
    source = Path(sitecustomize.__file__).read_text("utf-8")
    home = Path(_BASE).parent
    here = [*site.getsitepackages(), site.getusersitepackages()]
    files = {
        "sitecustomize.py": source.replace('HERE = ""', f"HERE = {sys.prefix!a}", 1),
        # In this spelling it is no reason for pip to refuse `--user`, which pods may say.
        "pyvenv.cfg": f"home = {home}\ninclude-system-site-packages = False\n",
        "here.pth": _USER_SITE
        + "".join(f"import site; site.addsitedir({path!a})\n" for path in here if path in sys.path),
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
