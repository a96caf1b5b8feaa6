"""Put the few files of the library that a worker needs beside its Dockerfile."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .errors import ImageError

FILES = (
    "__init__.py",
    "connection.py",
    "errors.py",
    "events.py",
    "items.py",
    "lua",
    "queue.py",
    "rediswq.py",
    "shown.py",
    "storedqueue.py",
    "tasks.py",
    "worker.py",
)


def bundle(folder: str | Path) -> list[str]:
    """Copy what a worker needs of wqlib to `{folder}/wqlib`, in place of what was there.

    Args:
        folder: The folder of the image, with its Dockerfile.

    Returns:
        The names of the files and folders, sorted.

    Raises:
        ImageError: There is no such folder.
    """
    target, source = Path(folder), Path(__file__).parent
    if not target.is_dir():
        raise ImageError(f"There is no folder {folder}. Name the one that holds the Dockerfile.")
    # Made aside and then renamed: somebody may build the image at the same time.
    with tempfile.TemporaryDirectory(prefix=".wqlib-", dir=target) as aside:
        fresh, stale = Path(aside, "fresh"), Path(aside, "stale")
        fresh.mkdir()
        for name in FILES:
            if (source / name).is_dir():
                shutil.copytree(source / name, fresh / name)
            else:
                shutil.copyfile(source / name, fresh / name)
        if (target / "wqlib").exists():
            (target / "wqlib").rename(stale)
        fresh.rename(target / "wqlib")
    return sorted(FILES)
