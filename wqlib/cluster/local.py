"""The local cluster as one of wqlib's: where it lies, its image `redis`, its errors in our words.

Nothing else here imports it. It is a program of its own: see `localcluster/README.md`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import localcluster
from localcluster import Status

from ..errors import ClusterError, ImageError
from ..redisserver import find, find_cli, image
from . import namespaces
from .cluster import NODES, Cluster
from .kube import client_for
from .statusline import StatusLine

CONTEXT = "localcluster"  # the names of context, cluster and user in its kubeconfig


def connect(namespace: str, *, nodes: int = NODES, leave_as_found: bool = False) -> Cluster:
    """Start the local cluster unless it runs, and connect to it.

    Args:
        namespace: As in `wqlib.connect`, but never None.
        nodes: As in `wqlib.connect`.
        leave_as_found: As in `wqlib.connect`.

    Raises:
        RedisServerMissing: There is none for its image `redis`.
        ClusterError: It does not start.
    """
    with contextlib.ExitStack() as undo:
        if leave_as_found and status() is None:
            undo.callback(stop)
        path = start(nodes=nodes)
        api = client_for([path], None)
        cluster = LocalCluster(None, namespace, path, api, FolderBuilder(), answer_seconds=20)
        cluster.at_close.push(undo.pop_all())
    return cluster


def home() -> Path:
    """Return the folder of its state: `WQLIB_HOME`, or `~/.wqlib`."""
    return Path(os.environ.get("WQLIB_HOME") or "~/.wqlib").expanduser()


def kubeconfig() -> Path:
    """Return where its kubeconfig is while it runs."""
    return home().absolute() / "cluster" / "kubeconfig"


def start(namespace: str = namespaces.DEFAULT, nodes: int = NODES) -> Path:
    """Start it unless it runs; it lives at least as long as this process.

    Args:
        namespace: The one that its kubeconfig names.
        nodes: How many it gets, if it starts now.

    Returns:
        The path of its kubeconfig.

    Raises:
        RedisServerMissing: There is none for its image `redis`.
        ClusterError: It does not start.
    """
    server = find()
    scripts = image.scripts(server, find_cli(server))
    redis = localcluster.ProgramImage(
        scripts, [image.COMMAND], image.FOLDER, [image.PORT], [image.ENTRYPOINT]
    )
    images = dict.fromkeys(image.NAMES, redis)
    with _our_errors(), StatusLine() as status:
        return localcluster.ensure(
            home(), namespace=namespace, images=images, nodes=nodes, tell=status.update
        )


def stop() -> bool:
    """Stop it with all its pods; return whether it ran."""
    with _our_errors():
        return localcluster.stop(home())


def status() -> Status | None:
    """Return what runs, or None."""
    return localcluster.status(home())


class LocalCluster(Cluster):
    """The local cluster; it can do what no client can do to a real one."""

    def kill_node(self, node: str) -> None:
        """See `Cluster.kill_node`."""
        with _our_errors():
            localcluster.kill_node(node, home())

    def require_login(self, registry: str, user: str, password: str) -> None:
        """See `Cluster.require_login`."""
        with _our_errors():
            localcluster.require_login(registry, user, password, home())


class FolderBuilder:
    """Builds images as folders of the local cluster; an `ImageBuilder`."""

    def build(self, tag: str, folder: Path) -> None:
        """Build an image. Raise ImageError, with the line of the Dockerfile, if that fails."""
        with _our_errors():
            localcluster.build_image(tag, folder, home=home())

    def describe(self) -> str:
        """Say how images are built here, in a few words."""
        return "from a Dockerfile"


@contextlib.contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except localcluster.ClusterError as error:
        text = str(error).replace("LOCALCLUSTER_HOME", "WQLIB_HOME")
        text = text.replace("python -m localcluster", "wqlib cluster")
        kind = ImageError if isinstance(error, localcluster.ImageError) else ClusterError
        raise kind(text) from None
