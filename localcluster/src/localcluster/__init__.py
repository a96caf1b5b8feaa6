"""A small stand-in Kubernetes cluster for one machine: a real API, pods as plain processes.

It speaks the Kubernetes protocol on 127.0.0.1, with TLS and a token, so the official Python
client and `kubectl` drive it unchanged. It needs no Docker, no root and no network. It stands in
for a cluster, and is none: pods are not isolated from each other or from the machine, all its nodes
are this machine, CPU limits and network policies are stored and not enforced, and all state is gone
when it stops (images that were built stay).

    kubeconfig = ensure()
    ...
    stop()
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ClusterError, ImageError
from .images.programs import ProgramImage
from .lifecycle import VERSION as __version__
from .lifecycle import Status, ensure, kill_node, status, stop
from .paths import State, explained_disk_errors

if TYPE_CHECKING:
    from .images.imagestore import Image, Images

__all__ = [
    "ClusterError",
    "Image",
    "ImageError",
    "ProgramImage",
    "Status",
    "__version__",
    "build_image",
    "ensure",
    "kill_node",
    "list_images",
    "require_login",
    "status",
    "stop",
]


def build_image(
    tag: str, folder: Path, dockerfile: Path | None = None, home: Path | None = None
) -> Image:
    """Build an image for pods of the local cluster from a Dockerfile.

    Args:
        tag: The image's name, for example `job-wq-2:1`.
        folder: Where COPY takes its files from.
        dockerfile: Default `Dockerfile` in that folder.
        home: Whose cluster gets the image; default `LOCALCLUSTER_HOME`, or `~/.localcluster`.

    Raises:
        ImageError: A line cannot be honoured; the message names file and line.
    """
    with explained_disk_errors(State.of(home)):
        return _images(home).build(tag, folder, dockerfile)


def list_images(home: Path | None = None) -> list[str]:
    """Return the names of the images that pods of the local cluster can use."""
    return _images(home).names()


def require_login(host: str, user: str, password: str, home: Path | None = None) -> None:
    """Let pods have images of this registry only if their `imagePullSecrets` hold this login.

    Args:
        host: What the names of its images begin with, for example `registry.example.com`.
        user, password: The login, as `kubectl create secret docker-registry` takes it.
        home: As in `build_image`.
    """
    from .images import registries

    registries.require_login(State.of(home).create(), host, user, password)


def _images(home: Path | None) -> Images:
    # Not above: whoever only starts the cluster should not wait for it.
    from .images.imagestore import Images

    return Images(State.of(home).create())


def __getattr__(name: str) -> Any:
    if name == "Image":
        from .images.imagestore import Image

        return Image
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
