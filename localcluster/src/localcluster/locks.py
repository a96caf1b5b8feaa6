"""File locks: who holds one lives, and the kernel lets go when he dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .paths import State


def lock_file(path: Path, *, wait: bool) -> int | None:
    """Return a descriptor that holds the file's lock, or None when somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def owner_alive(state: State) -> bool:
    """Tell whether any owner lives, and remove the files of dead ones."""
    alive = False
    for path in state.owners.iterdir():
        descriptor = lock_file(path, wait=False)
        if descriptor is None:
            alive = True
            continue
        path.unlink(missing_ok=True)
        os.close(descriptor)
    return alive
