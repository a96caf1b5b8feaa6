"""Pictures of a run: its leases in lanes, how full the queue was, how fast it went, how long
leases lasted, and what more pods brought.

Pure: a `History` in, a `Picture` out, which a notebook shows and `save` writes to a file
(PNG, SVG). `RunPicture` is the same for a run that goes on: it keeps its shapes and only
moves them, so a frame costs some milliseconds.

Example:
    >>> from wqlib.history import History
    >>> picture = timeline(History())
    >>> picture.save("/tmp/run.svg")
"""

from __future__ import annotations

from .canvas import Picture
from .charts import lease_histogram
from .pictures import RunPicture, queue_depth, throughput, timeline
from .scaling import speedup
from .theme import THEMES, Theme, ThemeName

__all__ = [
    "THEMES",
    "Picture",
    "RunPicture",
    "Theme",
    "ThemeName",
    "lease_histogram",
    "queue_depth",
    "speedup",
    "throughput",
    "timeline",
]
