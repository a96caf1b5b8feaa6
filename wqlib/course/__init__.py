"""What the notebooks of the course take from wqlib beside its own names.

The set-up verbs, a line each where earlier notebooks did the same in the open; the worker's
bundle; the doctor; the model of how long a run takes; and a report of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..redisserver import RedisServer
from ..sizing import Plan, forecast
from . import doctor
from .bundle import bundle
from .report import report
from .verbs import IMAGE, build_worker, folder, job_manifest, reset, start_redis

if TYPE_CHECKING:
    from .checks import broken
    from .patterns import Comparison

__all__ = [
    "IMAGE",
    "Comparison",
    "Plan",
    "RedisServer",
    "broken",
    "build_worker",
    "bundle",
    "doctor",
    "folder",
    "forecast",
    "job_manifest",
    "report",
    "reset",
    "start_redis",
]


def __getattr__(name: str) -> Any:
    if name == "broken":  # needs the Kubernetes client, which the doctor does without
        from .checks import broken

        return broken
    if name == "Comparison":  # needs matplotlib
        from .patterns import Comparison

        return Comparison
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
