"""A worker of wqlib that waits, `run_waiter.py URL QUEUE SETTING`, and says when it has an item.

Settings: `wait` (`queue.lease`, without end), `work SECONDS` (the real `Worker`, with leases of so
many seconds, until drained) and `hold SECONDS` (the same, but its task never ends).
"""

from __future__ import annotations

import sys
import time

from protocol import Talk

from wqlib import WorkQueue
from wqlib.worker import Worker


def wait(talk: Talk, queue: WorkQueue) -> None:
    """Lease, say so, complete; for ever."""
    while True:
        lease = queue.lease(wait_seconds=3600, until_drained=False)
        if lease:
            talk.say(at=time.monotonic())
            queue.complete(lease)


def work(talk: Talk, queue: WorkQueue, pause_seconds: float) -> int:
    """Let a `Worker` work, and say when it has an item."""

    def task(item: bytes) -> None:
        talk.say(at=time.monotonic())
        time.sleep(pause_seconds)

    talk.hear()
    return Worker(queue, task).run()


def main() -> int:
    talk = Talk()
    kind, *seconds = sys.argv[3].split()
    lease_seconds = float(seconds[0]) if seconds else 30.0
    queue = WorkQueue(sys.argv[2], url=sys.argv[1], worker=kind, lease_seconds=lease_seconds)
    with queue:
        queue.stats()
        talk.say(ready=True)
        if kind == "wait":
            wait(talk, queue)
        return work(talk, queue, 3600.0 if kind == "hold" else 0.0)


if __name__ == "__main__":
    sys.exit(main())
