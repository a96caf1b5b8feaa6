"""The checks of notebook 04, The worker and its image."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from pathlib import Path
from typing import Any

from ...cluster import LOCAL, Cluster
from ...errors import ClusterError, ImageError
from ...queue import WorkQueue
from ..verbs import IMAGE, build_worker, folder, job_manifest, reach_redis
from . import untouched
from .answers import Answers, Wrong
from .exercise import exercise, fault

_QUEUE = "check-04"
_INSTALLS = re.compile(r"^\s*RUN\b.*\binstall\b.*(\bredis\b|\s-r\s|--requirement)", re.M | re.I)


@exercise("04-1", "A loop that survives a bad item")
def the_loop(answers: Answers) -> str:
    """Try `work` with bad items, an interrupt, a worker that dies, and an end before the end."""
    answers.function("work")
    _bad_items(answers)
    _an_interrupt(answers)
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


def _an_interrupt(answers: Answers) -> None:
    def interrupt(item: bytes) -> str:
        raise KeyboardInterrupt

    _, theirs = _queues(answers, "1", "2")
    try:
        answers.call("work", theirs, interrupt)
    except KeyboardInterrupt:
        return
    raise Wrong(
        "Ctrl-C (a KeyboardInterrupt) does not end your loop: it is caught as if the item were "
        "bad, and so is the end of the program (SystemExit). Catch `Exception`, no more."
    )


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


@exercise("04-2", "Fix the Dockerfile")
def the_dockerfile(answers: Answers) -> str:
    """Build the image anew, and check that a pod of it squares numbers."""
    cluster, queue, name = answers.cluster, answers.queue(_QUEUE), "check-04-2"
    build(answers, "squares:1", "folder")
    numbers = random.sample(range(10, 1000), 3)
    queue.clear()
    queue.put([str(number) for number in numbers])
    pod = _pod(name, "squares:1", WQLIB_QUEUE=_QUEUE)
    cluster.delete(f"pod/{name}", grace_seconds=0)
    try:
        cluster.apply(pod)
        late = "the pod of your image did not end within a minute. Does its CMD run the worker?"
        problem = answers.wait(f"pod/{name}", "succeeded", 60, late)
        [(phase, reason)] = [(x.phase, x.reason) for x in cluster.pods() if x.name == name]
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


def build(answers: Answers, tag: str, name: str) -> None:
    """Build an image from the learner's folder as it is now: an older image does not count.

    Args:
        tag: The image's name.
        name: That of the variable with the folder.

    Raises:
        Wrong: There is no Dockerfile, it cannot be built, or it lacks the Redis client or `wqlib`:
            a pod would find those of this computer, and on a real node it does not.
    """
    folder = answers.value(name)
    file = Path(folder, "Dockerfile") if isinstance(folder, str | Path) else None
    if file is None or not file.is_file():
        raise Wrong(
            f"there is no Dockerfile in `{name}`. Run the cell that makes the folder, then the "
            "cell above, which writes the Dockerfile."
        )
    try:
        answers.cluster.build_image(tag, file.parent)
    except ImageError as error:
        raise Wrong(f"the image cannot be built: {_words(str(error))}") from None
    text = re.sub(r"\\\n", " ", file.read_text("utf-8"))
    if not _INSTALLS.search(text):
        raise Wrong(
            "nothing installs the Redis client in the image. Here a pod finds that of this "
            "computer; on a real node it does not. Keep the line `RUN pip install …`."
        )
    pod = _pod("check-library", tag)
    pod["spec"]["containers"][0]["command"] = ["ls", "-d", "wqlib/worker"]
    cluster = answers.cluster
    cluster.delete("pod/check-library", grace_seconds=0)
    try:
        cluster.apply(pod)
        cluster.wait("pod/check-library", "succeeded", timeout_seconds=60)
    except ClusterError:
        raise Wrong(
            "the folder of the library, `wqlib`, is not where the program starts in the image. "
            "Here a pod finds that of this computer; on a real node it does not. Copy it."
        ) from None
    finally:
        cluster.delete("pod/check-library", grace_seconds=0)


def _pod(name: str, image: str, **environment: str) -> dict[str, Any]:
    """Return a pod of the course's worker."""
    environment = {"ITEM_SECONDS": "0"} | environment
    template = job_manifest(parallelism=1, **environment)["spec"]["template"]
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"]["name"] = name
    pod["spec"]["restartPolicy"] = "Never"
    pod["spec"]["containers"][0]["image"] = image
    return pod


def _words(log: str) -> str:
    """Return what a program said last, without folders, which differ from cluster to cluster."""
    return re.sub(r"(?<![\w.])/[^\s':,]*/", "", log.strip().splitlines()[-1] if log else "")[-300:]


_REGISTRY, _USER, _PASSWORD = "registry.example.com", "learner", "pears-and-plums"
_PULLED = f"{_REGISTRY}/course/job-wq-2:1"


@fault("04-3")
def an_image_that_is_not_pulled(cluster: Cluster) -> str:
    """Start a pod with a mistyped image of a registry that wants a login, where there is one."""
    cluster.delete("pod/puller", grace_seconds=0)
    build_worker(cluster)
    image = "job-qw-2:1"
    with contextlib.suppress(ClusterError):  # a real cluster has no such registry
        cluster.require_login(_REGISTRY, _USER, _PASSWORD)
        cluster.build_image(_PULLED, folder() / "worker")
        image = _PULLED.replace("wq", "qw")
    cluster.apply(_pod("puller", image, WQLIB_QUEUE="puller"))
    untouched.note(cluster, "04-3", "pod/puller")
    return "the pod `puller` was accepted a while ago, and it still does not run."


@exercise("04-3", "An image that cannot be pulled")
def pulled(answers: Answers) -> str:
    """Check that the pod `puller` runs the image of the registry, or has run it."""
    untouched.changed(answers, "04-3", "pod/puller")
    problem = answers.wait("pod/puller", "running", 30, "the pod still waits.")
    pod = answers.find("pod/puller") or {}
    image = pod["spec"]["containers"][0]["image"]
    if pod.get("status", {}).get("phase") == "Pending":
        statuses = pod["status"].get("containerStatuses") or [{}]
        waiting = statuses[0].get("state", {}).get("waiting") or {}
        said = waiting.get("message") or problem
        raise Wrong(f"it does not run yet. Kubernetes says: {_short(said)}")
    if answers.cluster.name == LOCAL and not image.startswith(f"{_REGISTRY}/"):
        raise Wrong(f"it runs {image}. The image should come from {_REGISTRY}, as it was meant to.")
    if problem:
        raise Wrong(f"the image was pulled, and the pod failed: {_short(problem)}")
    return "the image was pulled, and the pod ran."


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"


@fault("04-4")
def a_pod_that_does_not_listen(cluster: Cluster) -> str:
    """Start a worker behind a shell that ignores SIGTERM, with an item that takes a minute."""
    build_worker(cluster)
    cluster.delete("pod/deaf", grace_seconds=0)
    pod = _pod("deaf", IMAGE, ITEM_SECONDS="60", WQLIB_GRACE_SECONDS="1", WQLIB_LEASE_SECONDS="10")
    pod["spec"]["terminationGracePeriodSeconds"] = 5
    shell = "python worker.py; echo The worker has ended."
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", shell]
    with WorkQueue("job2", worker="notebook", **reach_redis(cluster)) as queue:
        queue.clear()
        queue.put(["a long item"])
        cluster.apply(pod)
        cluster.wait("pod/deaf", "running")
        deadline = time.monotonic() + 30
        while not queue.stats().leased and time.monotonic() < deadline:
            time.sleep(0.1)
    return (
        "deleting the pod `deaf` takes all of its 5 seconds of grace, and the item that it held "
        "stays leased until the lease expires."
    )


@exercise("04-4", "A worker that does not hear SIGTERM")
def a_worker_that_listens(answers: Answers) -> str:
    """Run a copy of the learner's pod, delete it, and see whether it gave its item back."""
    cluster, queue, name = answers.cluster, answers.queue(_QUEUE), "check-04-4"
    live = untouched.changed(answers, "04-4", "pod/deaf")
    try:
        pod = cluster.last_applied("pod/deaf")
    except ClusterError:  # made by `kubectl create` or `run`
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": live["spec"]}
        pod["spec"].pop("nodeName", None)
    labels = live["metadata"].get("labels") or {}
    pod["metadata"] = {"name": name, "labels": labels}
    container = pod["spec"]["containers"][0]
    ours = {"WQLIB_QUEUE": _QUEUE, "ITEM_SECONDS": "60", "WQLIB_LEASE_SECONDS": "60"}
    others = [one for one in container.get("env") or [] if one.get("name") not in ours]
    container["env"] = others + [{"name": name, "value": value} for name, value in ours.items()]
    cluster.delete(f"pod/{name}", grace_seconds=0)
    queue.clear()
    queue.put(["a long item"])
    try:
        cluster.apply(pod)
        _until_leased(answers, queue, f"pod/{name}")
        cluster.delete(f"pod/{name}")
        released = any(event.kind == "release" for event in queue.events())
    finally:
        cluster.delete(f"pod/{name}", grace_seconds=0)
        queue.clear()
    if not released:
        raise Wrong(
            "a copy of your pod was deleted in the middle of an item, and did not give the item "
            "back: SIGTERM did not reach the worker. Which program is process 1 of the container?"
        )
    return "a copy of your pod was deleted, gave its item back, and ended."


def _until_leased(answers: Answers, queue: WorkQueue, target: str) -> None:
    deadline = time.monotonic() + 30
    while not queue.stats().leased:
        pod = answers.find(target) or {}
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            log = answers.cluster.logs(target, tail=1).strip()
            raise Wrong(f"a copy of your pod ended before it leased an item: {_words(log)}")
        if time.monotonic() > deadline:
            raise Wrong("a copy of your pod leased no item within 30 seconds. Does it run?")
        time.sleep(0.1)
