"""The checks of notebook 04, The worker and its image."""

from __future__ import annotations

import random
import re
import threading
from typing import Any

from ...queue import WorkQueue
from ..verbs import job_manifest
from .answers import Answers, Wrong
from .exercise import exercise

_QUEUE = "check-04"


@exercise("04-1", "A loop that bears a bad item")
def the_loop(answers: Answers) -> str:
    """Try `work` with bad items, with a worker that dies, and with an end before the end."""
    answers.function("work")
    _bad_items(answers)
    _a_worker_that_dies(answers)
    _an_end_before_the_end(answers)
    return (
        "good items are done, a bad one is given back until it is dead, a dead worker's item is "
        "waited for, and 0 means drained."
    )


def _bad_items(answers: Answers) -> None:
    numbers = [random.randrange(100) for _ in range(6)]
    items = [*map(str, numbers), "rotten"]
    random.shuffle(items)
    seen, theirs = _queues(answers, *items)
    theirs.max_attempts = 3
    code = answers.call("work", theirs, _square)
    stats, wanted = seen.stats(), sorted(str(number**2) for number in numbers)
    results = sorted(result.decode("utf-8", "replace") for result in seen.results().values())
    reasons = {event.reason for event in seen.events() if event.kind == "fail"}
    if stats.failed == 0:
        raise Wrong(
            "`process` raised an error on an item, and the queue was never told. Call "
            "`queue.fail(lease, str(error))` in an `except Exception`."
        )
    if stats.done != len(numbers) or stats.dead != 1:
        raise Wrong(
            f"of {len(numbers)} good items and a bad one, {stats.done} are done, "
            f"{stats.dead} dead, {stats.pending} wait and {stats.leased} are lent. "
            "Every lease must end in `fail` or in a completion, and the loop goes on after `fail`."
        )
    if results != wanted:
        raise Wrong(
            "the results kept are not what `process` returned. Pass its result on: "
            "`queue.complete_and_lease(lease, result, …)`."
        )
    if not all("no number" in reason for reason in reasons):
        raise Wrong(
            f"the queue was told {sorted(reasons)[0]!r} as the reason, which is not what "
            "`process` said. Pass `str(error)`."
        )
    _is_code(code, 0, "the queue had drained")


def _a_worker_that_dies(answers: Answers) -> None:
    seen, theirs = _queues(answers, "1", "2", "3")
    seen.lease_seconds = 0.7
    seen.lease()  # another worker takes it, and dies
    code = answers.call("work", theirs, _square, seconds=10)
    stats = seen.stats()
    if stats.done != 3:
        raise Wrong(
            "your worker went home while another one still held an item. That one died, and its "
            "item came back to nobody. Wait in each call: `wait_seconds=60`."
        )
    _is_code(code, 0, "the queue had drained")


def _an_end_before_the_end(answers: Answers) -> None:
    seen, theirs = _queues(answers, "1", "2")
    seen.lease_seconds = 60
    held = seen.lease()
    assert held is not None
    friend = answers.enter_context(seen.copy())
    timers = [
        threading.Timer(0.4, theirs.interrupt),  # as if the time were up
        threading.Timer(1.5, lambda: friend.complete(held)),
    ]
    for timer in timers:
        timer.start()
    try:
        code = answers.call("work", theirs, _square, seconds=10)
        drained = seen.drained()
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()
    if drained:
        _is_code(code, 0, "the queue had drained")
    else:
        _is_code(code, 1, "`lease` returned None although another worker still held an item")


def _is_code(code: Any, wanted: int, when: str) -> None:
    if type(code) is not int or code != wanted:
        raise Wrong(
            f"`work` returned {code!r} when {when}, and {wanted} is right. "
            "`queue.drained()` says which it is."
        )


def _queues(answers: Answers, *items: str) -> tuple[WorkQueue, WorkQueue]:
    """Return a queue with items twice: for us to look at, and for the learner's function."""
    seen = answers.queue(_QUEUE)
    seen.clear()
    seen.put(list(items))
    return seen, answers.queue(_QUEUE)


def _square(item: bytes) -> str:
    if not item.isdigit():
        raise ValueError(f"{item!r} is no number")
    return str(int(item) ** 2)


@exercise("04-2", "Mend the Dockerfile")
def the_dockerfile(answers: Answers) -> str:
    """Check that a pod of the image squares numbers."""
    cluster, queue, name = answers.cluster, answers.queue(_QUEUE), "check-03-2"
    numbers = random.sample(range(10, 1000), 3)
    queue.clear()
    queue.put([str(number) for number in numbers])
    template = job_manifest(WQLIB_QUEUE=_QUEUE, ITEM_SECONDS="0")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"]["name"] = name
    pod["spec"]["restartPolicy"] = "Never"
    pod["spec"]["containers"][0]["image"] = "squares:1"
    cluster.delete(f"pod/{name}", grace_seconds=0)
    try:
        cluster.apply(pod)
        late = "the pod of your image did not end within a minute. Does its CMD run the worker?"
        problem = answers.wait(f"pod/{name}", "succeeded", 60, late)
        [(phase, reason)] = [(x.phase, x.reason) for x in cluster.pods() if x.name == name]
        if phase == "Pending" and "Image" in reason:
            raise Wrong(
                "there is no image `squares:1` in the cluster. Run the cell above: it builds it."
            )
        if phase not in ("Succeeded", "Failed"):
            raise Wrong(problem)
        log = cluster.logs(f"pod/{name}", tail=1).strip()
        results = sorted(int(result) for result in queue.results().values() if result.isdigit())
        if results == sorted(number**2 for number in numbers):
            return "a pod of your image squared three numbers."
        if phase == "Failed":
            raise Wrong(
                f"the pod of your image failed, and its last words were: {_words(log or reason)}"
            )
        raise Wrong(
            f"the pod of your image ended well, but the numbers {numbers} came to no right "
            "results. Does it run `folder`'s own worker.py?"
        )
    finally:
        cluster.delete(f"pod/{name}", grace_seconds=0)
        queue.clear()


def _words(log: str) -> str:
    """Return what a program said last, without folders, which differ from cluster to cluster."""
    _, found, rest = log.partition("can't open file ")
    return found + re.sub(r"[^\s']*/", "", rest) if found else log[-200:]
