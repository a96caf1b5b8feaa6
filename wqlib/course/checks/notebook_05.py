"""The checks of notebook 05, Run the Job."""

from __future__ import annotations

import copy
import random
import time
from typing import Any

from kubernetes.client.exceptions import ApiException

from ...cluster.kube import server_message
from ...errors import ClusterError
from ..verbs import job_manifest
from .answers import Answers, Wrong
from .exercise import exercise

_QUEUE, _NAME = "check-05", "check-05-3"
_LEASE = "WQLIB_LEASE_SECONDS"


@exercise("05-1", "Change the manifest")
def the_manifest(answers: Answers) -> str:
    """Check that the copy has the new parallelism and lease time, and is a valid manifest."""
    given, pods, seconds = job_manifest(), random.randint(3, 9), random.randint(7, 60)
    before = copy.deepcopy(given)
    new = answers.call("changed", given, pods, seconds)
    if type(new) is not dict:
        raise Wrong(f"`changed` returned {type(new).__name__}, and should return the new manifest.")
    if given != before:
        raise Wrong(
            "the manifest that you were given has changed too. `dict(job)` copies only the "
            "outermost dict; `copy.deepcopy(job)` copies all of them."
        )
    try:
        answers.cluster.batch.create_namespaced_job(
            answers.cluster.namespace, _named(new), dry_run="All"
        )
    except (ApiException, ValueError) as error:  # ValueError: what the client itself refuses
        said = (
            server_message(error)
            if isinstance(error, ApiException)
            else " ".join(str(error).split())
        )
        raise Wrong(
            f"Kubernetes would not take your manifest: {said[:300]} "
            "(The value of an environment variable is text.)"
        ) from None
    parallelism = new["spec"].get("parallelism")
    if parallelism != pods:
        raise Wrong(f"`parallelism` should be {pods}, and is {parallelism}.")
    values = [one.get("value") for one in _environment(new) if one["name"] == _LEASE]
    if not values or values[-1] not in (str(seconds), str(float(seconds))):
        raise Wrong(f"a lease should last {seconds} seconds, and {_LEASE} is {values}.")
    if _rest(new) != _rest(before):
        raise Wrong("something else has changed, too. Change only the two things asked for.")
    return "Kubernetes would take it, and the manifest that you were given is as it was."


def _named(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with a name that no Job has."""
    metadata = manifest.get("metadata")
    extra = {"name": f"check-{random.randrange(10**6)}"}
    return manifest | {"metadata": (metadata if type(metadata) is dict else {}) | extra}


def _environment(job: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return found


def _rest(job: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest without what was to be changed."""
    rest = copy.deepcopy(job)
    rest["spec"].pop("parallelism", None)
    left = [one for one in _environment(rest) if one["name"] != _LEASE]
    rest["spec"]["template"]["spec"]["containers"][0]["env"] = left
    return rest


@exercise("05-2", "Who did what?")
def who_did_what(answers: Answers) -> str:
    """Try `who_did_what`: completions, not leases, with the items' names, for each worker."""
    queue = answers.queue(_QUEUE)
    queue.clear()
    fruits = ["apple", "banana", "cherry", "fig", "fig", "lemon", "melon", "pear", "plum"]
    names = [f"pod-{number}" for number in random.sample(range(100, 1000), 3)]
    random.shuffle(fruits)
    queue.put(fruits)
    workers = {name: answers.enter_context(queue.copy(name)) for name in names}
    dies = answers.enter_context(queue.copy("pod-that-dies"))
    dies.lease_seconds = 0.05
    dies.lease()
    failed, wanted = workers[names[0]].lease(), dict[str, list[str]]()
    assert failed is not None
    workers[names[0]].fail(failed, "on purpose")
    time.sleep(0.1)  # the lease of the pod that dies runs out
    while lease := (worker := workers[random.choice(names)]).lease():
        worker.complete(lease)
        wanted.setdefault(worker.worker, []).append(lease.text)
    events = queue.events()
    queue.clear()
    found = answers.call("who_did_what", events)
    if type(found) is not dict:
        raise Wrong(f"it returned {type(found).__name__}, and should return a dict.")
    if "pod-that-dies" in found:
        raise Wrong("a worker that leased an item and died is in it. Count `complete` events only.")
    if set(found) != set(wanted):
        raise Wrong(f"the workers are {sorted(wanted)}, and yours are {sorted(map(str, found))}.")
    for name, items in wanted.items():
        if type(found[name]) is not list or found[name] != sorted(items):
            raise Wrong(
                f"{name} completed {sorted(items)}, and yours says {found[name]!r}. The name of an "
                "item stands in the `lease` event with the same `lease_id`."
            )
    return "each item is under the worker that completed it, and no dead one is in the list."


@exercise("05-3", "Mend a Job")
def mended_job(answers: Answers) -> str:
    """Check that the Job completes with two pods, and that they fail when the worker does."""
    job = copy.deepcopy(answers.value("mended", dict))
    try:
        job["metadata"] = {"name": _NAME, "labels": dict(job["metadata"].get("labels") or {})}
        _environment(job).append({"name": "WQLIB_QUEUE", "value": _QUEUE})
        env = {one["name"]: one for one in _environment(job)}  # the last of a name counts
        _environment(job)[:] = env.values()
        if job["spec"].get("parallelism") != 2:
            raise Wrong("the colleague wants two pods at a time. Leave `parallelism` at 2.")
    except (KeyError, TypeError, AttributeError, IndexError):
        raise Wrong(
            "`mended` is no manifest of a Job any more. Run the cell above again: it begins with a "
            "fresh copy."
        ) from None
    try:
        _completes(answers, job)
        _fails_when_the_worker_does(answers, job)
    finally:
        answers.cluster.delete(f"job/{_NAME}", grace_seconds=0)
        answers.cluster.delete(f"pod/{_NAME}", grace_seconds=0)
        answers.queue(_QUEUE).clear()
    return "two pods, the Job completes, and a pod fails when its worker does."


def _completes(answers: Answers, job: dict[str, Any]) -> None:
    cluster, queue = answers.cluster, answers.queue(_QUEUE)
    cluster.delete(f"job/{_NAME}", grace_seconds=0)
    queue.clear()
    queue.put([f"item {number}" for number in range(6)])
    _apply(answers, job)
    late = "the Job was not complete after 45 seconds. What do its pods wait for?"
    problem = answers.wait(f"job/{_NAME}", "complete", 45, late)
    pods = cluster.pods(_NAME)
    if any(pod.restarts or pod.phase == "Failed" or "exit code" in pod.reason for pod in pods):
        raise Wrong(
            "a pod failed, although its worker did all its work. The exit code of a shell "
            "line is that of its last command. Which command does the container run?"
        )
    if problem:
        raise Wrong(problem)
    stats = queue.stats()
    if stats.done != 6:
        raise Wrong(
            f"the Job is complete, but only {stats.done} of 6 items are done. Do its pods run "
            "`python worker.py`?"
        )
    if len(pods) != 2:
        raise Wrong(
            f"the Job ran {len(pods)} pods, and two were wanted. What does `completions` count?"
        )


def _fails_when_the_worker_does(answers: Answers, job: dict[str, Any]) -> None:
    """Give the worker a lease time that is no number: it says so and exits with 2."""
    job = _rest(job)
    _environment(job).append({"name": _LEASE, "value": "no number"})
    template = job["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    metadata = {"name": _NAME, "labels": (template.get("metadata") or {}).get("labels") or {}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    answers.cluster.delete(f"pod/{_NAME}", grace_seconds=0)
    _apply(answers, pod)
    late = "the worker was to fail at once, and its pod still runs after 30 seconds."
    problem = answers.wait(f"pod/{_NAME}", "failed", 30, late)
    if [one.phase for one in answers.cluster.pods() if one.name == _NAME] == ["Succeeded"]:
        raise Wrong(
            "the worker failed on purpose, and its pod said that all is well: the command "
            "hides the exit code. Let the container run the worker and nothing after it."
        )
    if problem:
        raise Wrong(problem)


def _apply(answers: Answers, manifest: dict[str, Any]) -> None:
    try:
        answers.cluster.apply(manifest)
    except ClusterError as error:
        raise Wrong(f"Kubernetes does not take your manifest. {error}") from None
