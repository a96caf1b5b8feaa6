"""What the notebooks of the course take from wqlib beside its own names.

The set-up verbs, a line each where earlier notebooks did the same in the open; the worker's
bundle; the doctor; the model of how long a run takes; a report of a run; and the adversary of a
queue that the learner builds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..redisserver import RedisServer
from ..sizing import Plan, forecast
from . import doctor
from .adversary import Adversary
from .bundle import bundle
from .measuring import cores, duration, durations, findings
from .nodes import drain, spare_node
from .rehearsal import rehearse
from .report import report
from .verbs import IMAGE, build_worker, folder, job_manifest, reset, start_redis

if TYPE_CHECKING:
    from .checks import broken
    from .patterns import Comparison

__all__ = [
    "IMAGE",
    "Adversary",
    "Comparison",
    "Plan",
    "RedisServer",
    "broken",
    "build_worker",
    "bundle",
    "cores",
    "doctor",
    "drain",
    "duration",
    "durations",
    "findings",
    "folder",
    "forecast",
    "job_manifest",
    "rehearse",
    "report",
    "reset",
    "spare_node",
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
