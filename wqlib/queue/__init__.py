"""The lease queue on Redis: items are lent, never given away, so none is lost with its worker."""

from .items import DeadItem, Lease, Stats
from .workqueue import WorkQueue

__all__ = ["DeadItem", "Lease", "Stats", "WorkQueue"]
