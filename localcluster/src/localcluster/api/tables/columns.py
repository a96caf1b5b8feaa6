"""Parts of all tables: columns, cells, and times as kubectl shortens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...apimachinery.jsontypes import Obj, seconds_since
from ...apimachinery.selectors import selector_text

Cell = Callable[[Obj], Any]


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


class Column(NamedTuple):
    """A column: its heading, and how the cell of an object is found.

    Args:
        wide: Whether `kubectl get` shows it only with `-o wide`.
    """

    name: str
    cell: Cell
    type: str = "string"
    wide: bool = False
    format: str = ""

    @property
    def definition(self) -> Obj:
        """Return the column as a `Table` describes it."""
        about = {"name": self.name, "type": self.type, "format": self.format, "description": ""}
        return {**about, "priority": int(self.wide)}


def found(path: str, default: Any = None) -> Cell:
    """Return a cell with what lies at a path of fields, or the default if there is nothing."""
    *parts, last = path.split(".")

    def cell(obj: Obj) -> Any:
        for part in parts:
            obj = obj.get(part) or {}
        value = obj.get(last)
        return default if value is None or value == "" else value

    return cell


def text(name: str, path: str, default: Any = None, *, wide: bool = False) -> Column:
    """Return a column of texts, each found at a path."""
    return Column(name, found(path, default), wide=wide)


def number(name: str, path: str, default: int = 0) -> Column:
    """Return a column of numbers, each found at a path."""
    return Column(name, found(path, default), "integer")


def _ready(obj: Obj) -> str:
    wanted, status = obj["spec"].get("replicas", 1), obj.get("status") or {}
    return f"{status.get('readyReplicas', 0)}/{wanted}"


def _containers(name: str, key: str) -> Column:
    """Return the column with one field of the containers of what makes pods."""
    listed = found("template.spec.containers", [])
    return Column(
        name, lambda obj: ",".join(c.get(key, "") for c in listed(template_owner(obj))), wide=True
    )


def template_owner(obj: Obj) -> Obj:
    """Return the spec that has the template of the pods that an object makes, maybe by Jobs."""
    spec: Obj = obj.get("spec") or {}
    return (spec.get("jobTemplate") or {}).get("spec") or spec


def _selector(obj: Obj) -> str:
    return selector_text(template_owner(obj).get("selector")) or "<none>"


NAME = Column("Name", found("metadata.name"), format="name")
AGE = Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp")))
READY = Column("Ready", _ready)
CREATED = [NAME, text("Created At", "metadata.creationTimestamp")]
CONTAINERS = [_containers("Containers", "name"), _containers("Images", "image")]
WIDE = [*CONTAINERS, Column("Selector", _selector, wide=True)]


def first_three(found: list[str]) -> str:
    """Return the first endpoints of a list, and how many there are besides."""
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return ",".join(found[:3]) + more


def balancers(obj: Obj) -> list[str]:
    """Return the addresses at which a load balancer takes in requests for an object."""
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return sorted({one.get("ip") or one.get("hostname") or "" for one in ingress} - {""})


def joined(pairs: Obj | None) -> str:
    """Return labels or a selector as a cell shows them."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items())) or "<none>"
