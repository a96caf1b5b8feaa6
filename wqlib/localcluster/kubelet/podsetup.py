"""What a container starts with: its folder, its environment, its command.

An image's absolute paths lie elsewhere on this machine; where they appear in the command, the
environment or the working directory, they are replaced by their place.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from wqlib.localcluster.images import imagestore
from wqlib.localcluster.kubelet import impossible, podenv
from wqlib.localcluster.kubelet.containers import Container
from wqlib.localcluster.kubelet.podenv import ConfigError

if TYPE_CHECKING:
    from wqlib.localcluster.kubelet.podworker import PodWorker


@impossible.is_told
async def configure(worker: PodWorker, container: Container) -> list[str]:
    """Set the container's folder and environment, and return its command."""
    image = container.image
    assert image is not None
    spec, pod = container.spec, worker.pod
    root = _root(worker, container)
    volumes = _volumes(worker, container)
    folders = [*volumes, ("/", root)]
    mapping = container.mapping = imagestore.Mapping(folders, image.programs)
    resolver = podenv.Resolver(
        pod, worker.address, worker.kubelet.addresses.node, worker.kubelet.fetch
    )
    base = {
        **worker.kubelet.base_environment(),
        "PATH": imagestore.base_path(image),
        "HOME": str(_folder(worker, "home")),
        "TMPDIR": str(dict(volumes).get("/tmp", _folder(worker, "tmp"))),
        "HOSTNAME": pod["metadata"]["name"],
        "WQLIB_POD_IP": worker.address,
        **{f"WQLIB_PORT_{inside}": str(real) for inside, real in worker.ports.items()},
        **{name: mapping.text(value) for name, value in image.env.items()},
    }
    # References such as $(NAME) see Services and what the manifest declares, nothing else.
    env = await resolver.resolve(spec, worker.kubelet.service_environment(pod))
    container.env = base | {name: mapping.text(value) for name, value in env.items()}
    command = spec.get("command")
    arguments = spec.get("args")
    if command is None:
        argv = [*image.entrypoint, *(image.command if arguments is None else arguments)]
    else:
        argv = [*command, *(arguments or [])]
    if not argv:
        raise ConfigError("no command specified")
    inside = spec.get("workingDir") or image.workdir or "/"
    container.cwd = mapping.path(inside) or _working_folder(worker, root, inside)
    return [mapping.text(podenv.expand(str(word), env)) for word in argv]


def _root(worker: PodWorker, container: Container) -> Path:
    """Return the container's file tree: the image itself when it is read-only anyway."""
    image = container.image
    assert image is not None
    if image.root is None:
        return _folder(worker, f"root-{container.name}")
    if (container.spec.get("securityContext") or {}).get("readOnlyRootFilesystem"):
        return image.root
    own = worker.folder / f"root-{container.name}"
    if not own.exists():
        shutil.copytree(image.root, own)
        for path in [own, *own.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
    return own


def _working_folder(worker: PodWorker, root: Path, inside: str) -> Path:
    if inside == "/":
        return root
    place = Path(os.path.normpath(f"{root}/{inside.lstrip('/')}"))
    if not place.is_relative_to(root):
        raise ConfigError(f"workingDir {inside} leads out of the image")
    if os.access(root, os.W_OK):
        place.mkdir(parents=True, exist_ok=True)
    return place if place.is_dir() else _folder(worker, "home")


def _folder(worker: PodWorker, name: str) -> Path:
    folder = worker.folder / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _volumes(worker: PodWorker, container: Container) -> list[tuple[str, Path]]:
    """Return where the container's emptyDir volumes lie."""
    found = []
    empty = {v["name"] for v in worker.pod["spec"].get("volumes") or [] if "emptyDir" in v}
    for mount in container.spec.get("volumeMounts") or []:
        if mount["name"] in empty:
            found.append(
                (os.path.normpath(mount["mountPath"]), _folder(worker, f"volumes/{mount['name']}"))
            )
    return found
