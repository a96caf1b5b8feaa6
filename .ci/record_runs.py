"""Record the three runs that the library ships, on a local cluster that ends afterwards.

    python .ci/record_runs.py [clean] [killed] [scaled]

Each is a real run of the course's own Job; the recordings replace those in notebooks/recordings/.
Look at them afterwards: `wqlib replay killed`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

import localcluster
from wqlib import course
from wqlib.cluster import Cluster, connect
from wqlib.commands import demo
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
            cluster.kill_pod(busy[0], grace_seconds=0)
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


def record(cluster: Cluster, image: str, name: str) -> None:
    items, pods, seconds, step = RUNS[name]
    act: Step = step() if step else leave_alone
    folder = course.folder()
    options = argparse.Namespace(pods=pods, kills=5, lease_seconds=4.0, item_seconds=seconds)
    with ExitStack() as stack:
        forward = stack.enter_context(cluster.port_forward("service/redis", 6379))
        where = {"host": forward.host, "port": forward.port, "password": cluster.secret("redis")}
        queue = stack.enter_context(WorkQueue(demo.QUEUE, **where))
        queue.clear()
        queue.put([FRUITS[i % len(FRUITS)] for i in range(items)])
        job = demo._job(folder / "manifests" / "job.yaml", image, options)
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
                folder = course.folder()
                image = demo._build_image(cluster, folder / "worker")
                cluster.secret("redis")
                cluster.apply(folder / "manifests" / "redis.yaml")
                cluster.wait("pod/redis", "ready")
                for name in names:
                    record(cluster, image, name)
        finally:
            localcluster.stop()


if __name__ == "__main__":
    main()
