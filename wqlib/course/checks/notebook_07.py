"""The checks of notebook 07, Scale out."""

from __future__ import annotations

import heapq
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...cluster import Cluster
from ...queue import WorkQueue
from ..verbs import build_worker, job_manifest, reach_redis
from .answers import Answers, Wrong
from .exercise import exercise, fault

JOB = "job-wq-2"
_ITEMS, _ITEM_SECONDS = 45, "0.8"
_FEWEST_PODS = 4


# -- scale a running Job


@fault("07-1")
def one_pod(cluster: Cluster) -> str:
    """Let one pod work on more than it should do alone."""
    _start(cluster, [_ITEM_SECONDS] * _ITEMS, parallelism=1)
    with _queue(cluster) as queue:
        _until(lambda: queue.stats().done > 0)
    return (
        f"job/{JOB} has one pod, and {_ITEMS} items of {_ITEM_SECONDS} seconds. In that way it "
        "takes more than half a minute."
    )


@exercise("07-1", "Scale a running Job")
def scaled(answers: Answers) -> str:
    """Check that more pods joined the one that had begun, and that all items were done once."""
    queue = answers.queue()
    job = answers.find(f"job/{JOB}")
    if job is None:
        raise Wrong(f"there is no job/{JOB}. Run the cell above the exercise, which starts it.")
    pods = {pod.name for pod in answers.cluster.pods(JOB)}
    leases = [event for event in queue.events() if event.kind == "lease"]
    if not leases or leases[0].worker not in pods:
        raise Wrong(
            "the pod that began the work is gone. Scale the Job while it runs, and do not replace "
            "it: run the cell above the exercise again, then yours."
        )
    if not queue.drained() and job["spec"]["parallelism"] < _FEWEST_PODS:
        raise Wrong(
            f"`parallelism` of job/{JOB} is {job['spec']['parallelism']}. Let {_FEWEST_PODS} pods "
            "or more work at once."
        )
    _until(queue.drained, seconds=60)
    stats, done = queue.stats(), _done_by_pod(queue)
    if (stats.put, sum(done.values())) != (_ITEMS, _ITEMS):
        raise Wrong(
            f"{sum(done.values())} of {stats.put} items are done, and it should be {_ITEMS} of "
            f"{_ITEMS}. Run the cell above the exercise again, then yours."
        )
    if len(done) < _FEWEST_PODS:
        raise Wrong(
            f"{len(done)} pods have done all the work. Scale the Job before it is over: run the "
            "cell above the exercise again, then yours soon after."
        )
    return f"{len(done)} pods shared the work, and each of the {_ITEMS} items was done once."


# -- how long a run takes


@exercise("07-2", "Predict the time of a run")
def makespan(answers: Answers) -> str:
    """Try `makespan`, a function of the items' lengths, in the queue's order, and the pods."""
    cases = [([], 3), ([5], 4), ([1] * 8 + [8], 4), ([8] + [1] * 8, 4)]
    for _ in range(20):
        items = [random.randint(1, 30) for _ in range(random.randint(2, 40))]
        cases.append((items, random.randint(1, 9)))
    for items, pods in cases:
        found = answers.call("makespan", list(items), pods, returns=(float,))
        right = run_seconds(items, pods)
        if not math.isclose(found, right, rel_tol=1e-6):
            raise Wrong(_why_not_makespan(found, right, items, pods))
    return "as a scheduler that was simulated item by item says."


def run_seconds(items: Sequence[float], pods: int) -> float:
    """Return how long a run takes, in which whoever is free takes the next item."""
    free_at = [0.0] * pods
    for seconds in items:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


def _why_not_makespan(found: float, right: float, items: list[int], pods: int) -> str:
    shown = f"{items}" if len(items) <= 10 else f"[{', '.join(map(str, items[:8]))}, …]"
    said = f"`makespan({shown}, {pods})` gave {found:g}, and it should be {right:g}. "
    if not items:
        return said + "No items take no time."
    if math.isclose(found, sum(items) / pods, rel_tol=1e-6):
        return said + "An item is not divided: a pod does all of it, while others may be idle."
    if math.isclose(found, run_seconds(sorted(items, reverse=True), pods), rel_tol=1e-6):
        return said + "That is the longest first. Keep the order in which the items come."
    if math.isclose(found, max(sum(items[i::pods]) for i in range(pods))):
        return said + (
            "You deal the items out like cards. A queue does not: the pod that is free first "
            "takes the next one."
        )
    return said + "Keep for each pod when it is free. The next item goes to the smallest of these."


# -- a batch that is too large

_SHARED, _SHARED_SECONDS = 32, "0.4"
_STARVED = (
    "some pods hold so many items that others get none. Which setting says how many a worker "
    "leases at a time?"
)


@fault("07-3")
def greedy(cluster: Cluster) -> str:
    """Let the first two of four pods lease everything."""
    _start(cluster, [_SHARED_SECONDS] * _SHARED, parallelism=4, WQLIB_BATCH="16")
    with _queue(cluster) as queue:
        _until(lambda: queue.stats().pending == 0)
    cluster.wait(f"job/{JOB}", "running")
    return f"job/{JOB} has four pods. Two of them have nothing to do."


@exercise("07-3", "Pods with nothing to do")
def shared(answers: Answers) -> str:
    """Check that four pods of the Job that is there now shared the items."""
    queue = answers.queue()
    job = answers.find(f"job/{JOB}")
    if job is None:
        raise Wrong(f"there is no job/{JOB}. Apply it again.")
    if job["spec"]["parallelism"] < 4:
        raise Wrong("four pods should work. Leave `parallelism` at 4.")
    most = Counter(lease.id.partition("@")[2] for lease in queue.snapshot().leases)
    if most and max(most.values()) > _SHARED // 4:
        raise Wrong(_STARVED)
    _until(queue.drained, seconds=60)
    pods = {pod.name for pod in answers.cluster.pods(JOB)}
    done = {pod: number for pod, number in _done_by_pod(queue).items() if pod in pods}
    if len(done) < 4 and sum(done.values()) >= _SHARED:
        raise Wrong(_STARVED)
    if sum(done.values()) < _SHARED or len(done) < 4:
        raise Wrong(
            f"the pods of job/{JOB} have done {sum(done.values())} items. Fill the queue again, "
            f"with {_SHARED} items of {_SHARED_SECONDS} seconds, and then apply the Job."
        )
    return f"four pods shared the items: {sorted(done.values())}."


# -- what they share


def _queue(cluster: Cluster) -> WorkQueue:
    return WorkQueue("job2", **reach_redis(cluster))


def _start(cluster: Cluster, items: list[str], parallelism: int, **settings: str) -> None:
    """Replace the Job and what is in the queue; its items say how long to wait."""
    build_worker(cluster)
    cluster.delete(f"job/{JOB}", grace_seconds=0)
    with _queue(cluster) as queue:
        queue.clear()
        queue.put(items)
    job = job_manifest(parallelism=parallelism, WQLIB_TASK="wait", **settings)
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["python", "-m", "wqlib.worker"]
    cluster.apply(job)


def _until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until a condition is true, or the time is up."""
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.1)


def _done_by_pod(queue: WorkQueue) -> Counter[Any]:
    return Counter(event.worker for event in queue.events() if event.kind == "complete")
