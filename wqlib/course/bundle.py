"""Put what a worker needs of wqlib beside its Dockerfile: `queue/`, `worker/`, plain modules."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import ImageError

_CACHES = shutil.ignore_patterns("__pycache__")


def bundle(folder: str | Path) -> list[str]:
    """Copy what a worker needs of wqlib to `{folder}/wqlib`, in place of what was there.

    Args:
        folder: The folder of the image, with its Dockerfile.

    Returns:
        The names of the files and folders, sorted.

    Raises:
        ImageError: There is no such folder.
    """
    target, source = Path(folder), Path(__file__).parents[1]
    if not target.is_dir():
        raise ImageError(f"There is no folder {folder}. Name the one that holds the Dockerfile.")
    # Made aside and then renamed: somebody may build the image at the same time.
    with alone(target), tempfile.TemporaryDirectory(prefix=".wqlib-", dir=target) as aside:
        fresh, stale = Path(aside, "fresh"), Path(aside, "stale")
        fresh.mkdir()
        for package in ("queue", "worker"):
            shutil.copytree(source / package, fresh / package, ignore=_CACHES)
        for module in source.glob("*.py"):
            shutil.copyfile(module, fresh / module.name)
        names = sorted(path.name for path in fresh.iterdir())
        if _content(fresh) != _content(target / "wqlib"):
            if (target / "wqlib").exists():
                (target / "wqlib").rename(stale)
            fresh.rename(target / "wqlib")
    return names


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time work in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _content(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {x.relative_to(folder): x.read_bytes() for x in files if "__pycache__" not in x.parts}
