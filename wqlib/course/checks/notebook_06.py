"""The checks of notebook 06, When pods die."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...cluster import Cluster
from ...cluster.cluster import LOCAL
from ...events import Event
from ...queue import WorkQueue
from ..verbs import build_worker, job_manifest, reach_redis
from .answers import Answers, Wrong
from .exercise import exercise, fault


class _Died(Exception):
    """The worker dies here, in the check."""


class _Fuse:
    """Lets a worker die after some commands to Redis, having sent them.

    Attributes:
        left: How many commands it has left; None: it does not die.
    """

    left: int | None = None

    def __call__(self, message: bytes) -> None:
        if self.left is not None:
            if self.left == 0:
                raise _Died
            self.left -= 1


@exercise("06-1", "A task that is safe to run twice")
def idempotent(answers: Answers) -> str:
    """Check that the total is right whatever ran twice, and wherever a worker died."""
    store, _, fuse = answers.function("store"), answers.function("total"), _Fuse()
    client = answers.redis(fuse)
    try:
        for _ in range(2):  # the second time, nobody may remember the first
            _forget(client)
            _run_twice(answers, client)
        for commands in range(6):
            _forget(client)
            _die_after(answers, client, store, fuse, commands)
    finally:
        _forget(client)
    return "each item counts once, however often it ran and wherever its worker died."


def _run_twice(answers: Answers, client: Any) -> None:
    numbers = {item: random.randrange(1, 50) for item in random.sample(range(1, 500), 5)}
    numbers |= {501: 7, 502: 7}  # different items of one number
    once = list(numbers)
    for item in once:
        answers.call("store", client, item, numbers[item])
    _is_total(answers, client, numbers, "each item ran once, two of them with the same number")
    again = random.choices(once, k=12)
    for item in again:
        answers.call("store", client, item, numbers[item])
    _is_total(answers, client, numbers, "some items ran more than once")


def _die_after(
    answers: Answers, client: Any, store: Callable[..., Any], fuse: _Fuse, commands: int
) -> None:
    numbers = {1: random.randrange(1, 50), 2: random.randrange(50, 99)}
    answers.call("store", client, 1, numbers[1])
    fuse.left = commands
    try:
        store(client, 2, numbers[2])
    except _Died:
        pass
    except BaseException as error:
        raise Wrong(f"`store` raised {type(error).__name__}: {error}") from None
    finally:
        fuse.left = None
    answers.call("store", client, 2, numbers[2])  # another worker
    when = f"a worker died in `store` after {commands} of its commands, and another ran the item"
    _is_total(answers, client, numbers, when)


def _is_total(answers: Answers, client: Any, numbers: dict[int, int], when: str) -> None:
    found, wanted = answers.call("total", client, returns=(int,)), sum(numbers.values())
    if found != wanted:
        raise Wrong(
            f"{when}, and the total was {found}, not {wanted}. Give each item a place of its own "
            "in Redis, which one command sets; and keep nothing in Python's memory, since the "
            "second run may be in another pod."
        )


def _forget(client: Any) -> None:
    for key in list(client.scan_iter("sold*", count=1000)):
        client.delete(key)


# -- a lease shorter than the work

JOB = "job-wq-2"
FRUITS = {"apple": 5, "banana": 6, "cherry": 6, "date": 4}  # and how many letters they have
_FRUIT_SECONDS = 1.0
_NEVER_RENEWS = """
import os, time
from wqlib import LeaseLost, WorkQueue
from wqlib.queue.address import Address

lease_seconds = float(os.environ["WQLIB_LEASE_SECONDS"])
address = Address.from_environment()
queue = WorkQueue("job2", url=address, lease_seconds=lease_seconds, max_attempts=None)
while not queue.drained():
    if lease := queue.lease(wait_seconds=1):
        print("Working on", lease.text, flush=True)
        time.sleep(float(os.environ["ITEM_SECONDS"]))
        try:
            queue.complete(lease, f"{len(lease.text)} letters")
        except LeaseLost:
            print("Too late for", lease.text, flush=True)
"""


@fault("06-2")
def too_short(cluster: Cluster) -> str:
    """Run workers that do not renew, with leases of half an item's length."""
    with _fresh_queue(cluster, "job2") as queue:
        queue.put(list(FRUITS))
        job = job_manifest(ITEM_SECONDS=str(_FRUIT_SECONDS), WQLIB_LEASE_SECONDS="0.5")
        _run_instead(cluster, job, _NEVER_RENEWS)
        _until(lambda: queue.stats().expired >= 4)
    return (
        f"Job {JOB} has two pods, and they are never idle. There are four fruits of a second "
        "each, and not one gets done."
    )


@exercise("06-2", "Busy, and nothing gets done")
def long_enough(answers: Answers) -> str:
    """Check that the Job has done the four fruits, and that no lease of its pods ran out."""
    queue = answers.queue()
    if answers.find(f"job/{JOB}") is None:
        raise Wrong(f"there is no job/{JOB}. Change its manifest, and apply it again.")
    _until(lambda: queue.drained() or bool(_expired(answers, queue)), seconds=40)
    if _expired(answers, queue):
        raise Wrong(
            "the leases of its pods still expire while they work, so each fruit is leased again "
            "and again. How long is a lease, how long is the work, and who renews?"
        )
    if not queue.drained():
        raise Wrong(f"the fruits are not all done after 40 s. Do the pods of job/{JOB} run?")
    done = _completed(queue)
    _by_pods(done, JOB)
    found = Counter(result.decode("utf-8", "replace") for result in queue.results().values())
    if found != Counter(f"{letters} letters" for letters in FRUITS.values()):
        raise Wrong(
            f"the queue has drained, with the results {sorted(found.elements())}. Each of the "
            "four fruits should be done once: run the cell that broke the Job, and fix it again."
        )
    began = {event.lease_id: event.at for event in queue.events() if event.kind == "lease"}
    if any(event.at - began[event.lease_id] < 0.8 * _FRUIT_SECONDS for event in done):
        raise Wrong("a fruit takes a second of work. Keep that, and give the worker time for it.")
    if late := answers.wait(f"job/{JOB}", "complete", 30, f"job/{JOB} does not become complete."):
        raise Wrong(late)
    return "each fruit is done, and no lease of these pods has expired."


def _expired(answers: Answers, queue: WorkQueue) -> list[Event]:
    """Return the leases that ran out of pods that the Job has now."""
    pods = {pod.name for pod in answers.cluster.pods(JOB)}
    return [event for event in queue.events() if event.kind == "expire" and event.worker in pods]


# -- an item that nobody can do

PRICES = ["3.50", "1,20", "2.75"]
_READS_POINTS = """
import sys
from wqlib.worker import run

def cents(item):
    return str(round(float(item.decode()) * 100))

sys.exit(run(cents))
"""


@fault("06-3")
def poison(cluster: Cluster) -> str:
    """Let a Job read prices, one of which its task cannot read."""
    with _fresh_queue(cluster, "job2") as queue:
        queue.put(PRICES)
        _run_instead(cluster, job_manifest(WQLIB_MAX_ATTEMPTS="3"), _READS_POINTS)
        cluster.wait(f"job/{JOB}", "complete")
        done = queue.stats().done
    return f"Job {JOB} is Complete. {len(PRICES)} prices went in, and {done} results came out."


@exercise("06-3", "A result is missing")
def recovered(answers: Answers) -> str:
    """Check that all three prices have become cents, and no item is dead."""
    queue = answers.queue()
    _until(lambda: queue.drained() or not _at_work(answers))
    stats = queue.stats()
    results = sorted(result.decode("utf-8", "replace") for result in queue.results().values())
    if stats.dead:
        again = sum(event.kind == "requeue" for event in queue.events())
        raise Wrong(
            "it died again: fix the task or the item first, requeue it, and then run a worker."
            if again
            else f"one of {stats.put} items is dead. `queue.dead_items()` shows it, with its error."
        )
    if stats.pending or stats.leased:
        raise Wrong("an item waits in the queue, and nobody works on it. Run the Job again.")
    if results != ["120", "275", "350"]:
        raise Wrong(
            f"the results are {results}. The prices {', '.join(PRICES)} are 350, 120 and 275 "
            "cents, and each should be there once."
        )
    return "all three prices are read, and no item is dead."


# -- a Job that gives up

PHOTOS = [8, 200, 8, 8]  # in MB
_LOADS_PHOTOS = """
import sys, time
from wqlib.worker import run

def load(item):
    photo = bytearray(int(item) << 20)
    time.sleep(1.2)
    return f"{len(photo) >> 20} MB"

sys.exit(run(load))
"""


@fault("06-4")
def out_of_memory(cluster: Cluster) -> str:
    """Run two Jobs that differ in their restart policy; one item needs more memory than there is.

    Each has a queue of its own name.
    """
    names = {f"photos-{policy.lower()}": policy for policy in ("OnFailure", "Never")}
    for name, policy in names.items():
        with _fresh_queue(cluster, name) as queue:
            queue.put([str(size) for size in PHOTOS])
        job = job_manifest(WQLIB_QUEUE=name, WQLIB_LEASE_SECONDS="1")
        job["metadata"]["name"] = name
        job["spec"]["backoffLimit"] = 1
        job["spec"]["template"]["spec"]["restartPolicy"] = policy
        _run_instead(cluster, job, _LOADS_PHOTOS)
    if sys.platform == "darwin" and cluster.name == LOCAL:
        for name in names:
            cluster.wait(f"job/{name}", "complete")
        return "on macOS the local cluster sets no limits to memory, so both Jobs are Complete."
    for name in names:
        cluster.wait(f"job/{name}", "failed")
    return (
        f"the Jobs {' and '.join(names)} have Failed. They differ in their restartPolicy alone, "
        "and each has a queue of its own name, with photos left in it."
    )


@exercise("06-4", "Why did it fail?")
def photos(answers: Answers) -> str:
    """Check that all photos of photos-never were loaded by a Job that is complete."""
    queue = answers.queue("photos-never")
    _until(lambda: queue.drained() or not _at_work(answers), seconds=60)
    stats = queue.stats()
    if stats.dead:
        raise Wrong(
            "a photo has failed so often that it is dead. Fix the Job, `requeue_dead()` it, and "
            "run the Job again."
        )
    if stats.pending or stats.leased:
        raise Wrong(
            "there are photos that are not loaded yet. The failed pods of photos-never are still "
            "there: what does `cluster.describe` or `kubectl describe` say of one?"
        )
    results = Counter(result.decode("utf-8", "replace") for result in queue.results().values())
    if results != Counter(f"{size} MB" for size in PHOTOS):
        raise Wrong(
            f"the queue has drained, with the results {sorted(results.elements())}. All photos "
            f"should be loaded, each of its full size: {', '.join(map(str, PHOTOS))} MB."
        )
    large = {e.lease_id for e in queue.events() if e.item == str(max(PHOTOS))}
    [name] = {e.worker.rpartition("-")[0] for e in _completed(queue) if e.lease_id in large}
    if not name or answers.find(f"job/{name}") is None:
        raise Wrong("the large photo was not loaded by a pod of a Job that is still there.")
    if late := answers.wait(f"job/{name}", "complete", 30, f"job/{name} is not complete."):
        raise Wrong(late)
    return "all photos are loaded. The next container that is OOMKilled will not puzzle you."


# -- what they share


def _fresh_queue(cluster: Cluster, name: str) -> WorkQueue:
    queue = WorkQueue(name, **reach_redis(cluster))
    for job in (JOB, name):
        cluster.delete(f"job/{job}", grace_seconds=0)
    queue.clear()
    return queue


def _run_instead(cluster: Cluster, job: dict[str, Any], program: str) -> None:
    """Apply a Job whose pods run a Python program in place of the image's own."""
    build_worker(cluster)
    job["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-c", program]
    cluster.apply(job)


def _until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until a condition is true, or the time is up."""
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.1)


def _at_work(answers: Answers) -> bool:
    """Does a pod of a Job run, or will one?"""
    jobs = answers.cluster.batch.list_namespaced_job(answers.cluster.namespace).items
    ended = ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
    return any(not any(one.type in ended for one in job.status.conditions or []) for job in jobs)


def _completed(queue: WorkQueue) -> list[Event]:
    return [event for event in queue.events() if event.kind == "complete"]


def _by_pods(done: Sequence[Event], job: str) -> None:
    if not all(event.worker.startswith(f"{job}-") for event in done):
        raise Wrong(f"an item was done elsewhere. Let the pods of job/{job} do them all.")
