"""What a container starts with: its folder, its environment, its command.

An image's absolute paths lie elsewhere on this machine; where they appear in the command, the
environment or the working directory, they are replaced by their place.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..apimachinery.jsontypes import Obj
from ..images import imagestore, podpython, sitecustomize
from . import podenv, servicenames, volumes
from .containers import Container
from .pod import Pod
from .podenv import ConfigError
from .processes import MARK

_TERMINATION_LOG = "/dev/termination-log"


async def configure(pod: Pod, container: Container) -> list[str]:
    """Set the container's folder and environment, and return its command.

    Raises:
        ConfigError: The manifest refers to what is not there, or asks for what no program can be
            given: a path that is none, a command or environment with NUL in it.
    """
    try:
        argv = await _configure(pod, container)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the container cannot be set up: {error}") from None
    for text in [*argv, *container.env, *container.env.values()]:
        if "\0" in text:
            raise ConfigError("its command or environment holds a NUL character")
    return argv


async def _configure(pod: Pod, container: Container) -> list[str]:
    image = container.image
    assert image is not None
    spec = container.spec
    resolver = pod.resolver()
    # References such as $(NAME) see Services and what the manifest declares, nothing else.
    env = await resolver.resolve(spec, pod.host.service_environment(pod.manifest))
    for text in resolver.skipped:
        pod.event("InvalidEnvironmentVariableNames", text, kind="Warning")
    mounts = _mounts(pod, spec, env)
    root = _root(pod, container, mounts)
    folders = [(inside, place) for inside, place in mounts.items() if inside != "/"]
    termination_log = os.path.normpath(spec.get("terminationMessagePath") or _TERMINATION_LOG)
    folders.append((termination_log, container.termination_log))
    # The longest come first, for a volume may lie in another.
    folders.sort(key=lambda pair: -len(pair[0]))
    private = pod.folder / f"python.{container.name}"
    python = podpython.create_venv(private, pod.host.images.site)
    own = {f"/usr/local/bin/{name}": program for name, program in python.items()}
    mapping = container.mapping = imagestore.PathMapping(
        [*folders, ("/", mounts.get("/", root))], image.programs | own
    )
    # An image without files of its own has one folder for all that a pod writes.
    home = root if image.root is None else _folder(pod, "home")
    base = _base_environment(pod, container, home, mounts.get("/tmp", home))
    base |= {"VIRTUAL_ENV": str(private), sitecustomize.PYTHON: str(private)}
    base["PATH"] = f"{private}/bin:{base['PATH']}"
    container.env = base | {name: mapping.text(value) for name, value in env.items()}
    if "PYTHONPATH" in base and base["PYTHONPATH"] != container.env["PYTHONPATH"]:
        container.env["PYTHONPATH"] = f"{base['PYTHONPATH']}:{container.env['PYTHONPATH']}"
    command, arguments = spec.get("command"), spec.get("args")
    argv = (
        [*command, *(arguments or [])]
        if command
        else [*image.entrypoint, *(arguments or image.command)]
    )
    if not argv:
        raise ConfigError("no command specified")
    inside = spec.get("workingDir") or image.workdir or "/"
    container.cwd = mapping.path(inside) or _working_folder(pod, root, inside)
    if os.path.realpath(container.cwd) != str(container.cwd):
        # A shell's `pwd` takes this name of the folder, which a script can hold as text.
        container.env["PWD"] = str(container.cwd)
    return [mapping.text(podenv.expand(str(word), env)) for word in argv]


def _base_environment(
    pod: Pod, container: Container, home: Path, temporary: Path
) -> dict[str, str]:
    """Return what a container gets besides what its manifest says."""
    image = container.image
    assert image is not None
    env = {
        **podenv.base_environment(),
        "PATH": imagestore.base_path(image),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "HOSTNAME": host_name(pod.manifest),
        "LOCALCLUSTER_POD_IP": pod.address,
        **{f"LOCALCLUSTER_PORT_{inside}": str(real) for inside, real in pod.ports.items()},
        **{name: container.mapping.text(value) for name, value in image.env.items()},
        MARK: pod.mark(container),
    }
    if servicenames.enabled(pod.manifest):
        site = str(pod.host.images.site)
        env[sitecustomize.NAMES] = str(pod.host.names.path)
        env[sitecustomize.NAMESPACE] = pod.metadata["namespace"]
        env["PYTHONPATH"] = ":".join(filter(None, [site, env.get("PYTHONPATH")]))
    return env


def host_name(pod: Obj) -> str:
    """Return what a pod calls itself: at most 63 characters, as a Linux host name has."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def _root(pod: Pod, container: Container, mounts: dict[str, Path]) -> Path:
    """Return the container's file tree: the image itself when it is read-only anyway."""
    image = container.image
    assert image is not None
    if image.root is None:
        own = _folder(pod, f"root-{container.name}")
        _link_volumes(own, mounts)
        return own
    own = pod.folder / f"root-{container.name}"
    read_only = (container.spec.get("securityContext") or {}).get("readOnlyRootFilesystem")
    if read_only and not any(_is_inside_image(image.root, inside) for inside in mounts):
        return image.root
    if not own.exists():
        shutil.copytree(image.root, own)
        for path in [own, *own.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
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


def _mounts(pod: Pod, spec: Obj, env: dict[str, str]) -> dict[str, Path]:
    """Return where the container's volumes lie, by the paths that it knows them by."""
    found = {}
    for mount in spec.get("volumeMounts") or []:
        place = volumes.place(pod, spec, mount, env)
        if place is not None:
            found[os.path.normpath("/" + str(mount["mountPath"]).lstrip("/"))] = place
    return found


def _working_folder(pod: Pod, root: Path, inside: str) -> Path:
    if inside == "/":
        return root
    place = Path(os.path.normpath(f"{root}/{inside.lstrip('/')}"))
    if not place.is_relative_to(root):
        raise ConfigError(f"workingDir {inside} leads out of the image")
    if os.access(root, os.W_OK):
        place.mkdir(parents=True, exist_ok=True)
    return place if place.is_dir() else _folder(pod, "home")


def _folder(pod: Pod, name: str) -> Path:
    folder = pod.folder / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
