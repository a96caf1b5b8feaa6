"""The local cluster as one of wqlib's: where it lies, its image `redis`, its errors in our words.

Nothing else here knows that it exists. It is a program of its own: see `localcluster/README.md`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import localcluster
from localcluster import Status

from .. import redisserver
from ..errors import ClusterError, ImageError
from ..redisserver import image


def home() -> Path:
    """Return the folder of its state: `WQLIB_HOME`, or `~/.wqlib`."""
    return Path(os.environ.get("WQLIB_HOME") or "~/.wqlib").expanduser()


def start(namespace: str, *, tell: Callable[[str], None] = lambda what: None) -> Path:
    """Start it unless it runs; it lives at least as long as this process.

    Args:
        namespace: The one that its kubeconfig names.
        tell: Called again and again with what is waited for.

    Returns:
        The path of its kubeconfig.

    Raises:
        RedisServerMissing: There is none for its image `redis`.
        ClusterError: It does not start.
    """
    server = redisserver.find()
    scripts = image.scripts(server, redisserver.find_cli(server))
    redis = localcluster.ProgramImage(scripts, [image.COMMAND], image.FOLDER, [image.PORT])
    with _in_our_words():
        return localcluster.ensure(
            home(),
            namespace=namespace,
            images=dict.fromkeys(image.NAMES, redis),
            tell=tell,
        )


def stop() -> bool:
    """Stop it with all its pods; return whether it ran."""
    with _in_our_words():
        return localcluster.stop(home())


def status() -> Status | None:
    """Return what runs, or None."""
    return localcluster.status(home())


@contextlib.contextmanager
def left_as_found() -> Iterator[None]:
    """Stop it at the end of the block, unless it ran before."""
    ran_before = status() is not None
    try:
        yield
    finally:
        if not ran_before:
            stop()


class Images:
    """Images for its pods: folders, built from a Dockerfile."""

    def build(self, tag: str, folder: Path) -> None:
        """Build an image. Raise ImageError, with the line of the Dockerfile, if that fails."""
        with _in_our_words():
            localcluster.build_image(tag, folder, home=home())

    def how(self) -> str:
        """Say how images are built here, in a few words."""
        return "from a Dockerfile"


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except localcluster.ClusterError as error:
        words = str(error).replace("LOCALCLUSTER_HOME", "WQLIB_HOME")
        words = words.replace("python -m localcluster", "wqlib cluster")
        kind = ImageError if isinstance(error, localcluster.ImageError) else ClusterError
        raise kind(words) from None
