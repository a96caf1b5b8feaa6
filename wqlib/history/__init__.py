"""What happened in a run: the events of the queue and its pods, folded into leases per lane.

`History.add` takes events as they come, in batches of any size, and keeps what a picture or
a table needs: a lane for each worker with its leases as spans, who picked up what another
had lost, the counts, and how full the queue was over time. It is pure: it never asks Redis
or the cluster anything, and never looks at the clock. Memory is bounded: the detail of old
leases is thinned, the counts never are.

A worker may be lent more than it works on at once, so a span has the moment of the loan and
those of the work. While the work goes on they follow from the order of the events; once it is
completed they are what the worker told. How many items are leased is what the queue says.

The first entries of the stream may have been trimmed, so the end of a lease that nobody saw
begin is counted, but not drawn.
"""

from __future__ import annotations

from .fold import History
from .recording import BadHistoryFile, Reading
from .spans import Counts, Handover, Lane, Level, Outcome, PodRow, Span

__all__ = [
    "BadHistoryFile",
    "Counts",
    "Handover",
    "History",
    "Lane",
    "Level",
    "Outcome",
    "PodRow",
    "Reading",
    "Span",
]
