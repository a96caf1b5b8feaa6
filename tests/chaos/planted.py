"""Bugs that a process builds into its own copy of the queue's scripts, to prove the checker."""

from __future__ import annotations


def plant(name: str, skew_seconds: float) -> None:
    """Build in the bug of this name; "" is none."""
    if name:
        raise NotImplementedError(name)
