"""Record the three runs that the course ships, on a local cluster that ends afterwards.

    python .ci/record_runs.py [clean] [killed] [scaled]

Each is a real run of the course's own Job; the recordings replace those in notebooks/recordings/.
Look at them afterwards: `wqlib replay killed`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

from wqlib import course
from wqlib.cluster import Cluster, connect, local
from wqlib.commands import demo
from wqlib.course.verbs import reach_redis
from wqlib.history import History
from wqlib.history.feed import Feed
from wqlib.queue import WorkQueue

FOLDER = course.folder() / "recordings"
FRUITS = (
    "apple banana cherry date elderberry fig grape honeydew kiwi lemon mango nectarine orange "
    "papaya quince raspberry strawberry tangerine"
).split()
Step = Callable[[Cluster, History], bool]


def leave_alone(cluster: Cluster, history: History) -> bool:
    return True


class KillTwo:
    """Kill a pod at 8 and one at 20 items, each while it holds an item."""

    def __init__(self) -> None:
        self.at = [8, 20]

    def __call__(self, cluster: Cluster, history: History) -> bool:
        now = history.last_at
        busy = [
            lane.worker
            for lane in history.lanes.values()
            if lane.state == "running" and any(now - s.start > 0.3 for s in lane.held.values())
        ]
        if self.at and busy and history.counts.done >= self.at[0]:
            self.at.pop(0)
            cluster.crash_pod(busy[0])
        return not self.at


class Scale:
    """One pod, then 2, 4 and 8."""

    def __init__(self) -> None:
        self.steps = [(8, 2), (24, 4), (60, 8)]

    def __call__(self, cluster: Cluster, history: History) -> bool:
        if self.steps and history.counts.done >= self.steps[0][0]:
            cluster.scale(demo.JOB, self.steps.pop(0)[1])
        return not self.steps


RUNS: dict[str, tuple[int, int, float, type | None]] = {  # items, pods, seconds an item, step
    "clean": (48, 3, 0.8, None),
    "killed": (48, 3, 0.8, KillTwo),
    "scaled": (200, 1, 0.5, Scale),
}


def record(cluster: Cluster, name: str) -> None:
    items, pods, seconds, step = RUNS[name]
    act: Step = step() if step else leave_alone
    job = course.job_manifest(
        parallelism=pods,
        WQLIB_QUEUE=demo.QUEUE,
        WQLIB_LEASE_SECONDS="4.0",
        ITEM_SECONDS=str(seconds),
    )
    job["spec"]["template"]["spec"] |= {"restartPolicy": "Never", "shareProcessNamespace": True}
    with ExitStack() as stack:
        queue = stack.enter_context(WorkQueue(demo.QUEUE, **reach_redis(cluster)))
        queue.clear()
        queue.put([FRUITS[i % len(FRUITS)] for i in range(items)])
        cluster.apply(job)
        feed = Feed(queue, cluster, demo.JOB)
        stack.callback(feed.close)
        acted, give_up_at = False, time.monotonic() + 240
        while True:
            feed.poll()
            acted = act(cluster, feed.history)
            alive = any(lane.alive for lane in feed.history.lanes.values())
            if feed.drained and not alive and acted:
                break
            if time.monotonic() > give_up_at:
                sys.exit(f"{name} did not end: {feed.history.summary(feed.now)}")
            time.sleep(0.05)
        feed.history.save(FOLDER / f"{name}.jsonl")
        print(f"{name}: {feed.history.summary(feed.now, demo.JOB)}")
        cluster.delete(f"job/{demo.JOB}", grace_seconds=0)


def main() -> None:
    names = sys.argv[1:] or list(RUNS)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wqlib-record-") as home:
        os.environ["WQLIB_HOME"] = home
        try:
            with connect(namespace="wq-record") as cluster:
                course.build_worker(cluster)
                course.start_redis(cluster)
                for name in names:
                    record(cluster, name)
        finally:
            local.stop()


if __name__ == "__main__":
    main()
