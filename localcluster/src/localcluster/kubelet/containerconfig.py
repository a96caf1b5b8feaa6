"""What a container starts with: its folder, its environment, its command.

An image's absolute paths lie elsewhere on this machine; where they appear in the command, the
environment or the working directory, they are replaced by their place.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from ..apimachinery.jsontypes import Obj
from ..images import imagestore, podpython, sitecustomize
from ..images.imagestore import PathMapping, ResolvedImage
from . import podenv
from .containerrun import Start
from .podenv import ConfigError

_TERMINATION_LOG = "/dev/termination-log"


class Places(NamedTuple):
    """Where on this machine lies what a container knows by other paths.

    Attributes:
        home: Where its program may write.
        temporary: Its `/tmp`.
        python: The folder of its own Python environment.
    """

    mapping: PathMapping
    home: Path
    temporary: Path
    cwd: Path
    python: Path


def termination_log(folder: Path, container: str) -> Path:
    """Return the file that stands for `terminationMessagePath`."""
    return folder / f"{container}-termination-log"


def lay_out(
    folder: Path, spec: Obj, image: ResolvedImage, mounts: dict[str, Path], site: Path
) -> Places:
    """Make a container's folders, in the pod's.

    Args:
        mounts: Where its volumes lie, by the paths that it knows them by.
        site: The Python modules that all pods share.

    Raises:
        ConfigError: It asks for a folder outside of its image.
    """
    name = spec["name"]
    root = _root(folder / f"root-{name}", spec, image, mounts)
    folders = [(inside, place) for inside, place in mounts.items() if inside != "/"]
    message = os.path.normpath(spec.get("terminationMessagePath") or _TERMINATION_LOG)
    folders.append((message, termination_log(folder, name)))
    # The longest come first, for a volume may lie in another.
    folders.sort(key=lambda pair: -len(pair[0]))
    private = folder / f"python.{name}"
    python = podpython.create_venv(private, site)
    own = {f"/usr/local/bin/{program}": place for program, place in python.items()}
    mapping = PathMapping([*folders, ("/", mounts.get("/", root))], image.programs | own)
    # An image without files of its own has one folder for all that a pod writes.
    home = root if image.root is None else _made(folder / "home")
    inside = spec.get("workingDir") or image.workdir or "/"
    cwd = mapping.path(inside) or _working_folder(root, inside) or _made(folder / "home")
    return Places(mapping, home, mounts.get("/tmp", home), cwd, private)


def plan_start(
    spec: Obj, image: ResolvedImage, places: Places, pod_env: dict[str, str], env: dict[str, str]
) -> Start:
    """Return what a container starts with. Changes nothing.

    Args:
        pod_env: What all containers of the pod get.
        env: What the manifest says, references already replaced.

    Raises:
        ConfigError: There is no command, or one that no program can be given.
    """
    text = places.mapping.text
    base = {
        **podenv.base_environment(),
        "PATH": imagestore.base_path(image),
        "HOME": str(places.home),
        "TMPDIR": str(places.temporary),
        **{name: text(value) for name, value in image.env.items()},
        **pod_env,
    }
    if "PYTHONPATH" in pod_env and "PYTHONPATH" in image.env:
        base["PYTHONPATH"] = f"{pod_env['PYTHONPATH']}:{text(image.env['PYTHONPATH'])}"
    base |= {"VIRTUAL_ENV": str(places.python), sitecustomize.PYTHON: str(places.python)}
    base["PATH"] = f"{places.python}/bin:{base['PATH']}"
    whole = base | {name: text(value) for name, value in env.items()}
    if "PYTHONPATH" in base and base["PYTHONPATH"] != whole["PYTHONPATH"]:
        whole["PYTHONPATH"] = f"{base['PYTHONPATH']}:{whole['PYTHONPATH']}"
    if os.path.realpath(places.cwd) != str(places.cwd):
        # A shell's `pwd` takes this name of the folder, which a script can hold as text.
        whole["PWD"] = str(places.cwd)
    command, arguments = spec.get("command"), spec.get("args")
    if command:
        argv = [*command, *(arguments or [])]
    else:
        argv = [*image.entrypoint, *(arguments or image.command)]
    if not argv:
        raise ConfigError("no command specified")
    argv = [text(podenv.expand(str(word), env)) for word in argv]
    if any("\0" in word for word in [*argv, *whole, *whole.values()]):
        raise ConfigError("its command or environment holds a NUL character")
    return Start(argv, whole, places.cwd, places.mapping)


def host_name(pod: Obj) -> str:
    """Return what a pod calls itself: at most 63 characters, as a Linux host name has."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def _root(own: Path, spec: Obj, image: ResolvedImage, mounts: dict[str, Path]) -> Path:
    """Return the container's file tree: the image itself when it is read-only anyway."""
    if image.root is None:
        _link_volumes(_made(own), mounts)
        return own
    read_only = (spec.get("securityContext") or {}).get("readOnlyRootFilesystem")
    if read_only and not any(_is_inside_image(image.root, inside) for inside in mounts):
        return image.root
    if not own.exists():
        imagestore.copy_writable(image.root, own)
        _link_volumes(own, mounts)
    return own


def _is_inside_image(root: Path, inside: str) -> bool:
    """Tell whether a program could meet this mount by a path relative to the image's folders."""
    parent = root / os.path.dirname(inside).lstrip("/")
    return parent != root and parent.is_dir()


def _link_volumes(root: Path, mounts: dict[str, Path]) -> None:
    """Show each volume where it is mounted, for paths that are relative to the image."""
    for inside, place in sorted(mounts.items()):
        link = root / inside.lstrip("/")
        if inside == "/" or not link.parent.resolve().is_relative_to(root.resolve()):
            continue
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if link.is_symlink() or link.is_file():
            link.unlink()
        elif link.is_dir():
            shutil.rmtree(link)
        link.symlink_to(place)


def _working_folder(root: Path, inside: str) -> Path | None:
    if inside == "/":
        return root
    place = Path(os.path.normpath(f"{root}/{inside.lstrip('/')}"))
    if not place.is_relative_to(root):
        raise ConfigError(f"workingDir {inside} leads out of the image")
    if os.access(root, os.W_OK):
        place.mkdir(parents=True, exist_ok=True)
    return place if place.is_dir() else None


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
