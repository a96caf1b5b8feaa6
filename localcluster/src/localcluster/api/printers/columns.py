"""What the tables of all kinds are made of: columns, and times as kubectl shortens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...apimachinery.jsontypes import Obj, seconds_since

Row = list[Any]
Layout = tuple[list[Obj], Callable[[Obj], Row]]


def age(timestamp: str | None) -> str:
    """Return how long ago a time was, as kubectl shortens it: `45s`, `3m20s`, `5h`."""
    if not timestamp:
        return "<unknown>"
    return duration(seconds_since(timestamp))


def duration(seconds: float) -> str:
    """Return a span of time as kubectl shortens it."""
    total = max(0, int(seconds))
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


def column(name: str, *, kind: str = "string", priority: int = 0, form: str = "") -> Obj:
    return {
        "name": name,
        "type": kind,
        "format": form,
        "description": "",
        "priority": priority,
    }


NAME = column("Name", form="name")
AGE = column("Age")
