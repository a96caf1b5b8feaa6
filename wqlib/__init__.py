"""Process work in parallel on Kubernetes with a lease queue on Redis.

`wqlib.queue` and `wqlib.worker` need redis-py only, so a pod's image stays small. The rest
(the cluster, the live view, the pictures) is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .checks import check as check
    from .checks import progress as progress
    from .cluster import Cluster as Cluster
    from .cluster import connect as connect
    from .dashboard import Dashboard as Dashboard
    from .dashboard import Replay as Replay
    from .errors import LeaseLost as LeaseLost
    from .errors import WaitTimeout as WaitTimeout
    from .errors import WqlibError as WqlibError
    from .history import History as History
    from .items import Lease as Lease
    from .queue import WorkQueue as WorkQueue

_HOME = {
    "Cluster": "cluster",
    "check": "checks",
    "connect": "cluster",
    "Dashboard": "dashboard",
    "History": "history",
    "Lease": "items",
    "LeaseLost": "errors",
    "progress": "checks",
    "Replay": "dashboard",
    "WaitTimeout": "errors",
    "WorkQueue": "queue",
    "WqlibError": "errors",
}

__all__ = [
    "Cluster",
    "Dashboard",
    "History",
    "Lease",
    "LeaseLost",
    "Replay",
    "WaitTimeout",
    "WorkQueue",
    "WqlibError",
    "check",
    "connect",
    "progress",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'wqlib' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
