"""The checks of notebook 11, Capstone."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import yaml

from ...errors import ClusterError
from ...queue import WorkQueue
from .answers import Answers, Wrong
from .exercise import exercise
from .notebook_04 import build

_QUEUE, _NAME, _IMAGE = "check-11", "check-11", "capstone:1"
_ENV = [
    {"name": "WQLIB_QUEUE", "value": _QUEUE},
    {
        "name": "REDIS_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}},
    },
]


@exercise("11-1", "Your image")
def the_image(answers: Answers) -> str:
    """Check that a pod of the image works on three of the items as `process` does."""
    container = {"name": "worker", "image": _IMAGE, "env": _ENV}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _NAME, "labels": {"redis-client": "true"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    if not answers.value("dockerfile", str).strip():
        raise Wrong("`dockerfile` is still empty. Write the Dockerfile, and build the image.")
    build(answers, _IMAGE, "project")
    _run(answers, pod, "succeeded", f"the pod of `{_IMAGE}`")
    return "a pod of your image works on your items as `process` does."


@exercise("11-2", "Your Job")
def the_job(answers: Answers) -> str:
    """Check that the manifest is that of a work-queue Job, and run it on three items."""
    text = answers.value("job_yaml", str)
    if not text.strip():
        raise Wrong("`job_yaml` is still empty. Begin with `apiVersion: batch/v1`.")
    try:
        job = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Wrong(f"`job_yaml` is not valid YAML: {' '.join(str(error).split())[:200]}") from None
    if type(job) is not dict or job.get("kind") != "Job":
        raise Wrong("`job_yaml` should describe one object with `kind: Job`.")
    answers.dry_run(job)
    spec = job["spec"]
    pod = spec["template"]["spec"]
    [first, *others] = pod["containers"]
    env = {one["name"]: one for one in first.get("env", [])}
    secret = env.get("REDIS_PASSWORD", {}).get("valueFrom", {}).get("secretKeyRef", {})
    wanted = {
        "its name is `capstone`": job["metadata"].get("name") == "capstone",
        "`parallelism` is 4": spec.get("parallelism") == 4,
        "`completions` is not set": spec.get("completions") is None,
        "`backoffLimit` is 10 or more": spec.get("backoffLimit", 6) >= 10,
        "`restartPolicy` is OnFailure": pod.get("restartPolicy") == "OnFailure",
        "it has one container": not others,
        f"its image is `{_IMAGE}`": first.get("image") == _IMAGE,
        "WQLIB_QUEUE is `capstone`": env.get("WQLIB_QUEUE", {}).get("value") == "capstone",
        'WQLIB_LEASE_SECONDS is "3"': _seconds(env.get("WQLIB_LEASE_SECONDS", {})) == 3,
        "REDIS_PASSWORD comes from the Secret `redis`": secret.get("name") == "redis"
        and secret.get("key") == "password",
        'its pods have the label `redis-client: "true"`': (
            spec["template"].get("metadata", {}).get("labels", {}).get("redis-client") == "true"
        ),
    }
    missing = [what for what, holds in wanted.items() if not holds]
    if missing:
        raise Wrong(f"Kubernetes would take it, but this is not so yet: {missing[0]}.")
    job["metadata"]["name"] = _NAME
    env["WQLIB_QUEUE"]["value"] = _QUEUE
    _run(answers, job, "complete", "your Job")
    return "Kubernetes takes it, and it completes with the results of `process`."


def _seconds(variable: dict[str, Any]) -> float:
    try:
        return float(variable["value"])
    except (KeyError, ValueError, TypeError):
        return 0.0


def _run(answers: Answers, manifest: dict[str, Any], condition: str, what: str) -> None:
    """Let a pod or a Job work on three of the learner's items, and compare the results.

    Raises:
        Wrong: It does not reach the condition, or its results are not those of `process`.
    """
    cluster, queue = answers.cluster, answers.queue(_QUEUE)
    chosen = random.sample(_pieces(answers), 3)
    target = f"{manifest['kind'].lower()}/{_NAME}"
    cluster.delete(target, grace_seconds=0)
    queue.clear()
    try:
        queue.put(chosen)
        cluster.apply(manifest)
        problem = answers.wait(target, condition, 60, f"{what} was not done after a minute.")
        if problem:
            log = "" if "log" in problem else f" Its log: {_log(answers, target)}"
            raise Wrong(f"{problem}{log}")
        found = queue.results()
        if len(found) != len(chosen):
            raise Wrong(
                f"{what} ended well, but did {len(found)} of {len(chosen)} items. Does it run "
                "`worker.py`, and until the queue has drained?"
            )
        _compare(answers, chosen, queue, what)
    finally:
        cluster.delete(target, grace_seconds=0)
        queue.clear()


def _compare(answers: Answers, pieces: list[str], queue: WorkQueue, what: str) -> None:
    """Compare some of the results in a queue with those of `process`."""
    found = queue.results()
    for place in random.sample(range(len(pieces)), min(3, len(pieces))):
        mine = answers.call("process", pieces[place].encode(), seconds=60, returns=(str, bytes))
        if found[sorted(found)[place]] != (mine.encode() if isinstance(mine, str) else mine):
            raise Wrong(
                f"{what} has another result for the item {pieces[place]!r:.60} than `process` "
                "here. Is the image older than `task.py`? Build it again. If not, `process` "
                "depends on something else than its item."
            )


def _pieces(answers: Answers) -> list[str]:
    pieces: list[str] = answers.value("pieces", list)
    if len(pieces) < 8 or not all(type(piece) is str for piece in pieces):
        raise Wrong("`pieces` should be a list of at least 8 items, each a text.")
    return pieces


def _log(answers: Answers, target: str) -> str:
    try:
        return answers.cluster.logs(target, tail=3).strip() or "(empty)"
    except ClusterError as error:
        return str(error)


@exercise("11-3", "Survive")
def survive(answers: Answers) -> str:
    """Check from queue, events and cluster that all was done once, although workers died."""
    pieces, queue = _pieces(answers), answers.queue("capstone")
    stats, events = queue.stats(), queue.events()
    if not stats.done and not stats.pending:
        raise Wrong("the queue `capstone` is empty, and nothing is done. `queue.put(pieces)`.")
    if not stats.drained or stats.done != len(pieces):
        raise Wrong(
            f"{stats.done} of {len(pieces)} items are done, {stats.pending} wait and "
            f"{stats.leased} are leased ({stats.dead} dead). Is the Job running? Wait until "
            "it is complete."
        )
    job = answers.find("job/capstone")
    conditions = ((job or {}).get("status") or {}).get("conditions") or []
    if not any(one["type"] == "Complete" and one["status"] == "True" for one in conditions):
        raise Wrong("all items are done, but there is no complete Job `capstone`.")
    completed = [event for event in events if event.kind == "complete"]
    if any(not event.worker.startswith("capstone-") for event in completed):
        raise Wrong(
            "some items were completed by something that is not a pod of the Job `capstone`."
        )
    if max(Counter(event.item_id for event in completed).values()) > 1:
        raise Wrong("some items were put twice. Clear the queue, and run the cell once more.")
    if not any(event.attempt > 1 for event in completed):
        raise Wrong(
            "no item needed a second attempt, so no pod died at work. Start the killer before you "
            "wait; if all was over too soon, shorten its pause."
        )
    _compare(answers, pieces, queue, "the Job")
    return "pods died at work, and each item is done once, with the right result."
