"""What the notebooks of the course take from wqlib beside its own names.

The set-up verbs, a line each where earlier notebooks did the same in the open; the worker's
bundle; the doctor; and the model of how long a run takes.
"""

from __future__ import annotations

from ..redisserver import RedisServer
from ..sizing import Plan, forecast
from . import doctor
from .bundle import bundle
from .checks import broken
from .measuring import cores, duration, durations, findings
from .nodes import drain, spare_node
from .rehearsal import rehearse
from .verbs import IMAGE, build_worker, folder, job_manifest, reset, start_redis

__all__ = [
    "IMAGE",
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
    "reset",
    "spare_node",
    "start_redis",
]
