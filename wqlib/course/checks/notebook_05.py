"""The checks of notebook 05, Run the Job."""

from __future__ import annotations

import copy
import time
from typing import Any

from ...cluster import Cluster, manifests
from ...errors import ClusterError
from ...queue import WorkQueue
from ..verbs import build_worker, job_manifest, reach_redis
from . import untouched
from .answers import Answers, Blank, Wrong
from .exercise import exercise, fault

_LEASE = "WQLIB_LEASE_SECONDS"
_NO_CROWD = (
    "there is no job/crowd in the cluster. Apply yours, or begin again: run the cell with "
    '`broken("05-5", cluster)`.'
)
# What the server says of a first manifest, and what it means.
_UNKNOWN = "A word is misspelt, or stands at the wrong depth: compare it with the table."
_REASONS = {
    "not a field": _UNKNOWN,
    "unknown field": _UNKNOWN,
    "restartPolicy": "A Job ends, so its pods may not be restarted forever: `Always`, which a pod "
    "has by itself, is refused. Write `restartPolicy: Never` or `OnFailure` beside `containers`.",
    "cannot be handled as a Job": "Jobs are in the API group `batch`: `apiVersion: batch/v1`.",
    "does not know the kind": "The kind is `Job`, with a capital letter.",
    "lacks": "Every object has these three: what it is, in which version, and its name.",
    "not valid YAML": "Look at the indentation: what belongs to a line has two more spaces.",
    "RFC 1123": "Names have small letters, digits and dashes.",
}


@exercise("05-1", "Write a Job")
def first_job(answers: Answers) -> str:
    """Check that the Job `hello` ran one pod to its end; if not, say what keeps it from that."""
    if answers.find("job/hello") is None:
        raise Wrong(_why_not(answers))
    late = "your Job has not completed within a minute. Look at `cluster.describe('job/hello')`."
    if problem := answers.wait("job/hello", "complete", 60, late):
        raise Wrong(f"Kubernetes took your Job, and it fails: {problem}")
    job = answers.find("job/hello") or {}
    if job["spec"].get("parallelism", 1) != 1 or job["status"].get("succeeded") != 1:
        raise Wrong("this Job is to run one pod, once: leave `parallelism` and `completions` out.")
    if job["spec"].get("backoffLimit") != 2:
        raise Wrong(
            f"`backoffLimit` is {job['spec'].get('backoffLimit')} (6 if nobody says anything), "
            "and should be 2. It belongs to the Job's `spec`, beside `template`. Delete job/hello, "
            "and apply it again."
        )
    log = answers.cluster.logs("job/hello").strip()
    if "hello" not in log.rpartition("]")[2].lower():
        raise Wrong("the pod ended well, and its log says no hello. What does `command` run?")
    return "Kubernetes took your Job, and its pod said hello."


def _why_not(answers: Answers) -> str:
    """Say why there is no Job `hello`: by what the server says of the text, if there is one."""
    text = answers.value("hello")
    if type(text) is not str or not text.strip():
        return (
            "there is no Job `hello` in the cluster, and no text of a manifest in `hello`. Write "
            "it as the table says, a line for each field."
        )
    try:
        answers.cluster.apply(text + "\n", dry_run=True)
        found = manifests.read(text + "\n")
    except ClusterError as error:
        said = str(error)
        hint = next((why for sign, why in _REASONS.items() if sign in said), "")
        return f"{said[:300].rstrip('.')}. {hint}".strip()
    names = [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in found]
    if names != ["job/hello"]:
        return f"your manifest makes {' and '.join(names)}, and should make job/hello."
    return "Kubernetes would take your Job, and nobody has applied it yet: `cluster.apply(hello)`."


@fault("05-2")
def pods_counted(cluster: Cluster) -> str:
    """Run a Job that wants six pods to succeed, for the three items of a queue."""
    build_worker(cluster)
    cluster.delete("job/basket", grace_seconds=0)
    _fill(cluster, "basket", 3)
    job = _job("basket", "basket")
    job["spec"]["completions"] = 6
    cluster.apply(job)
    untouched.note(cluster, "05-2", "job/basket")
    cluster.wait("job/basket", "complete")
    return (
        "the Job `basket` had three items and two pods at a time. It started six pods in "
        "all, and most of them found nothing to do."
    )


@exercise("05-2", "A Job that counts pods")
def counts_no_pods(answers: Answers) -> str:
    """Check that the Job completes with two pods, because it is not told how many to count."""
    job = untouched.changed(answers, "05-2", "job/basket")
    if "completions" in job["spec"]:
        raise Wrong(
            f"`completions` is {job['spec']['completions']}: Kubernetes waits for that many pods "
            "to succeed, and knows nothing of items. A work queue leaves it out."
        )
    _two_pods(job)
    _completes(answers, job)
    _fails_when_the_worker_does(answers, job)
    return "the Job completes when its pods have nothing left to do."


@fault("05-3")
def never_complete(cluster: Cluster) -> str:
    """Start a Job whose pods fail although the work is done."""
    build_worker(cluster)
    cluster.delete("job/harvest", grace_seconds=0)
    _fill(cluster, "harvest", 4)
    job = _job("harvest", "harvest")
    script = "python worker.py; test -e report.txt"
    job["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", script]
    cluster.apply(job)
    untouched.note(cluster, "05-3", "job/harvest")
    _wait_until(lambda: _failed(cluster, "harvest"))
    return (
        "all items of the queue `harvest` are done, and the Job `harvest` does not complete: its "
        "containers are started again and again."
    )


@exercise("05-3", "A Job that never completes")
def completes(answers: Answers) -> str:
    """Check that the Job completes with two pods, and that its pods fail when the worker does."""
    job = untouched.changed(answers, "05-3", "job/harvest")
    _two_pods(job)
    if _failed(answers.cluster, "harvest"):
        raise Wrong(
            "its pods still fail although the worker has ended well. A shell's exit code is that "
            "of its last command. What does the Job run after the worker?"
        )
    _completes(answers, job)
    _fails_when_the_worker_does(answers, job)
    return "the Job completes, and a pod fails when its worker does."


@fault("05-4")
def complete_too_early(cluster: Cluster) -> str:
    """Start a Job whose worker cannot start, and whose pods say that all is well."""
    build_worker(cluster)
    cluster.delete("job/orchard", grace_seconds=0)
    _fill(cluster, "orchard", 6)
    job = _job("orchard", "orchard", WQLIB_LEASE_SECONDS="five")
    script = "python worker.py || true"
    job["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", script]
    cluster.apply(job)
    untouched.note(cluster, "05-4", "job/orchard")
    cluster.wait("job/orchard", "complete")
    return "the Job `orchard` is complete. Six items wait in the queue `orchard`, and none is done."


@exercise("05-4", "A Job that is complete too early")
def completes_in_time(answers: Answers) -> str:
    """Check that the Job did the work, and that its pods fail when the worker does."""
    job = untouched.changed(answers, "05-4", "job/orchard")
    _completes(answers, job)
    _fails_when_the_worker_does(answers, job)
    return "the work is done, and a pod fails when its worker does."


@fault("05-5")
def held_back(cluster: Cluster) -> str:
    """Allow the namespace one more pod than it has, and start a Job that wants three."""
    build_worker(cluster)
    cluster.delete("job/crowd", grace_seconds=0)
    cluster.delete("resourcequota/few-pods")
    _fill(cluster, "crowd", 3)
    others = sum(pod.phase in ("Pending", "Running") for pod in cluster.pods())
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few-pods"},
        "spec": {"hard": {"pods": str(others + 1)}},
    }
    cluster.apply(quota)
    job = _job("crowd", "crowd", ITEM_SECONDS="300", WQLIB_GRACE_SECONDS="1")
    job["spec"]["parallelism"] = 3
    job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 3
    cluster.apply(job)
    _wait_until(lambda: any("FailedCreate" in line for line in cluster.events("job/crowd")))
    return "the Job `crowd` wants three pods. One is there. The others are not even Pending."


@exercise("05-5", "Pods that are not there")
def not_held_back(answers: Answers) -> str:
    """Check that all three pods of the Job are there."""
    job = answers.find("job/crowd")
    if job is None:
        raise Blank(_NO_CROWD)
    if job["spec"].get("parallelism") != 3:
        raise Wrong("the Job still is to have three pods: leave `parallelism` at 3.")
    # Wakes the controller, which waits longer and longer between its attempts.
    patch = {"metadata": {"annotations": {"wqlib/checked": str(time.time())}}}
    answers.cluster.batch.patch_namespaced_job("crowd", answers.cluster.namespace, patch)
    deadline = time.monotonic() + 12
    while True:
        pods = [pod for pod in answers.cluster.pods("crowd") if pod.phase != "Failed"]
        if len(pods) == 3:
            return "all three pods are there."
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    raise Wrong(
        f"the Job has {len(pods)} of its three pods. What keeps the others away is in its events: "
        '`cluster.describe("job/crowd")`.'
    )


def _job(name: str, queue: str, **environment: str) -> dict[str, Any]:
    environment = {"ITEM_SECONDS": "0.2", "WQLIB_QUEUE": queue} | environment
    job = job_manifest(parallelism=2, **environment)
    job["metadata"]["name"] = name
    return job


def _fill(cluster: Cluster, name: str, count: int) -> None:
    with WorkQueue(name, **reach_redis(cluster)) as queue:
        queue.clear()
        queue.put([f"item {number}" for number in range(1, count + 1)])


def _wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


def _failed(cluster: Cluster, job: str) -> bool:
    """Has a pod of the Job failed, or one of its containers?"""
    return any(pod.phase == "Failed" or pod.restarts for pod in cluster.pods(job))


def _two_pods(job: dict[str, Any]) -> None:
    if job["spec"].get("parallelism") != 2:
        raise Wrong("the Job is to run two pods at a time. Leave `parallelism` at 2.")


def _completes(answers: Answers, job: dict[str, Any]) -> None:
    """Check that the Job completes, and that its queue has drained."""
    name = job["metadata"]["name"]
    late = "the Job has not completed within 40 seconds. Look at its events and its logs."
    if problem := answers.wait(f"job/{name}", "complete", 40, late):
        raise Wrong(problem)
    stats = answers.queue(name).stats()
    if stats.pending or stats.leased or not stats.done:
        raise Wrong(
            f"the Job is complete, and {stats.pending + stats.leased} items of the queue `{name}` "
            "are not done. What do the logs of its pods say?"
        )


def _fails_when_the_worker_does(answers: Answers, job: dict[str, Any]) -> None:
    """Give the worker a lease time that is not a number: it says so and exits with 2."""
    name, cluster = "check-05", answers.cluster
    template = copy.deepcopy(job["spec"]["template"])
    template["spec"]["restartPolicy"] = "Never"
    container = template["spec"]["containers"][0]
    others = [one for one in container.get("env") or [] if one["name"] != _LEASE]
    container["env"] = [*others, {"name": _LEASE, "value": "no number"}]
    metadata = {"name": name, "labels": {"redis-client": "true"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    cluster.delete(f"pod/{name}", grace_seconds=0)
    try:
        cluster.apply(pod)
        late = "the worker was to fail at once, and its pod still runs after 30 seconds."
        problem = answers.wait(f"pod/{name}", "failed", 30, late)
        if [one.phase for one in cluster.pods() if one.name == name] == ["Succeeded"]:
            raise Wrong(
                "a copy of its pod had a worker that fails, and the pod said that all is well: "
                "the command hides the exit code. Let the container run the worker, and nothing "
                "after it."
            )
        if problem:
            raise Wrong(problem)
    finally:
        cluster.delete(f"pod/{name}", grace_seconds=0)
