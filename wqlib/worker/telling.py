"""How a task tells how far its item is, wherever it runs."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

_TELL = contextvars.ContextVar[Callable[[str], None]]("_TELL")


def progress(text: str) -> None:
    """Tell those who watch how far the item is that this task works on, in a few words.

    The text goes out with a renewal of the lease, at most one a second; the latest counts.
    Outside a task it does nothing.

    Args:
        text: Such as "page 3 of 9"; cut after 200 bytes.
    """
    tell = _TELL.get(None)
    if tell:
        tell(str(text))


def listen(tell: Callable[[str], None]) -> None:
    """Let `progress`, in this thread or asyncio task, call `tell`."""
    _TELL.set(tell)
