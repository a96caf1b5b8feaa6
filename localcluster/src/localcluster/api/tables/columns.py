"""Parts of all tables: column definitions, cells, and times as kubectl shortens them."""

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


def columns(*names: str, kind: str = "string", priority: int = 0) -> list[Obj]:
    return [column(name, kind=kind, priority=priority) for name in names]


NAME = column("Name", form="name")
AGE = column("Age")
WIDE = columns("Containers", "Images", "Selector", priority=1)


def _created(obj: Obj) -> Row:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


CREATED: Layout = ([NAME, column("Created At")], _created)


def row(obj: Obj, *cells: Any) -> Row:
    """Return the object's name, these cells and its age."""
    return [obj["metadata"]["name"], *cells, age(obj["metadata"].get("creationTimestamp"))]


def first_three(found: list[str]) -> str:
    """Return the first endpoints of a list, and how many there are besides."""
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return ",".join(found[:3]) + more


def pod_spec(spec: Obj) -> Obj:
    """Return the spec in the pod template of what makes pods."""
    return (spec.get("template") or {}).get("spec") or {}


def containers_of(spec: Obj) -> Row:
    """Return the names and the images of the containers of what makes pods."""
    containers = pod_spec(spec).get("containers") or []
    return [",".join(c.get(key, "") for c in containers) for key in ("name", "image")]


def balancers(obj: Obj) -> list[str]:
    """Return the addresses at which a load balancer takes in requests for an object."""
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return sorted({one.get("ip") or one.get("hostname") or "" for one in ingress} - {""})


def joined(pairs: Obj | None) -> str:
    """Return labels or a selector as a cell shows them."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items())) or "<none>"
