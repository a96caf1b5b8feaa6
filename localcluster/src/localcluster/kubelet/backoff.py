"""How long a kubelet waits before it tries again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Backoff:
    """A time that doubles, from one attempt to the next, up to a longest."""

    first: float
    longest: float
    delay: float = 0.0

    def next(self) -> float:
        """Return how long to wait now."""
        self.delay = min(max(self.delay * 2, self.first), self.longest)
        return self.delay


def go_duration(seconds: float) -> str:
    """Return a span of time as Go prints it: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
