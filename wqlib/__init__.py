"""Process work in parallel on Kubernetes with a lease queue on Redis.

These are the names that one needs most. The others are in `wqlib.worker`, `wqlib.tasks`,
`wqlib.errors` and, for the notebooks, `wqlib.course`. The queue and the worker need redis-py
only, so a pod's image stays small; the rest is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .cluster import connect as connect
    from .course.checks import check as check
    from .course.checks import progress as progress
    from .course.predictions.ask import compare as compare
    from .course.predictions.ask import predict as predict
    from .course.predictions.quizzes import quiz as quiz
    from .dashboard import Dashboard as Dashboard
    from .dashboard import Explorable as Explorable
    from .dashboard import Mosaic as Mosaic
    from .dashboard import Replay as Replay
    from .errors import LeaseLost as LeaseLost
    from .history import History as History
    from .plots import speedup as speedup
    from .plots import timeline as timeline
    from .queue import WorkQueue as WorkQueue
    from .rediswq import RedisWQ as RedisWQ

_HOME = {
    "check": "course.checks",
    "compare": "course.predictions.ask",
    "connect": "cluster",
    "Dashboard": "dashboard",
    "Explorable": "dashboard",
    "History": "history",
    "LeaseLost": "errors",
    "Mosaic": "dashboard",
    "predict": "course.predictions.ask",
    "progress": "course.checks",
    "quiz": "course.predictions.quizzes",
    "RedisWQ": "rediswq",
    "Replay": "dashboard",
    "speedup": "plots",
    "timeline": "plots",
    "WorkQueue": "queue",
}

__all__ = [
    "Dashboard",
    "Explorable",
    "History",
    "LeaseLost",
    "Mosaic",
    "RedisWQ",
    "Replay",
    "WorkQueue",
    "check",
    "compare",
    "connect",
    "predict",
    "progress",
    "quiz",
    "speedup",
    "timeline",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'wqlib' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
