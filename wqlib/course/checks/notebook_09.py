"""The checks of notebook 09, Choose your pattern."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...cluster import Pod
from .answers import Answers, Blank, Wrong
from .exercise import exercise
from .plain import counted

ITEMS = 12
SHARES = 3
_SHARE = ["waited 0.1 s", "waited 0.9 s"]


@exercise("09-1", "Three equal shares")
def three_shares(answers: Answers) -> str:
    """Check that three pods of the Indexed Job each did a long and a short item, at once."""
    job = answers.find("job/three-shares")
    if job is None:
        raise Blank("there is no Job `three-shares` yet. Apply it in the cell above.")
    late = "job/three-shares is not complete after 30 s. Look at `cluster.describe` of it."
    if problem := answers.wait("job/three-shares", "complete", 30, late):
        raise Wrong(problem)
    logs: dict[str, list[str]] = {}
    for line in answers.cluster.logs("job/three-shares").splitlines():
        pod, _, said = line[1:].partition("] ")
        logs.setdefault(pod, []).append(said)
    completions = job["spec"].get("completions", 1)
    done = sum(map(len, logs.values()))
    if completions == 2 and done == 2 * SHARES and len(logs) == 2:
        raise Blank("there are two shares still, as in the file. Change what makes them three.")
    if job["spec"].get("completionMode") != "Indexed":
        raise Wrong("without `completionMode: Indexed` the pods get no number. Leave it in.")
    if completions != SHARES:
        raise Wrong(
            f"`completions` is {completions}: that many shares are given out, and three are asked "
            "for."
        )
    if done != 2 * SHARES or any(sorted(lines) != _SHARE for lines in logs.values()):
        shares = " and ".join(str(len(lines)) for lines in logs.values())
        raise Wrong(
            f"the pods did {shares} items, {done} in all, and should do 2 each. How many parts "
            "does each pod think that there are? See `container['env']`."
        )
    if job["spec"].get("parallelism", 1) < SHARES:
        raise Wrong(
            f"each item is done once, and only {job['spec'].get('parallelism', 1)} of the pods ran "
            "at the same time. Look at `parallelism`."
        )
    return "three pods, a second of work each, and every item once."


@exercise("09-2", "Workers without end")
def endless(answers: Answers) -> str:
    """Check that `uploads` has two workers, which wait for items and are replaced if one goes."""
    found = [answers.find(f"{kind}/uploads") for kind in ("replicaset", "deployment")]
    wanted = [one["spec"].get("replicas", 1) for one in found if one]
    if not wanted:
        raise Blank("there is no ReplicaSet or Deployment `uploads` yet. Apply your manifest.")
    if sum(wanted) != 2:
        raise Wrong(f"`uploads` wants {sum(wanted)} replicas. Let it keep two workers.")
    if not _until(lambda: len(_running(answers)) == 2 or _restarts(answers) > 0):
        states = ", ".join(f"{pod.phase} {pod.reason}".strip() for pod in _pods(answers)) or "none"
        raise Wrong(f"there should be two running pods of `uploads`, and there are: {states}.")
    _demand_no_restarts(answers)
    queue, first = answers.queue(), _running(answers)[0].name
    before = queue.stats().done
    answers.cluster.kill_pod(first)
    queue.put(["0.1"] * 4)
    if not _until(queue.drained):
        raise Wrong("four items were put, and after 30 s they are not done. What do the pods log?")
    done = [event for event in queue.events() if event.kind == "complete"]
    workers = {event.worker for event in done[-(queue.stats().done - before) :]}
    if not all(worker.startswith("uploads-") for worker in workers):
        raise Wrong("the items were done by somebody else than the pods of `uploads`.")
    if not _until(lambda: len({pod.name for pod in _running(answers)} - {first}) == 2):
        raise Wrong("a pod of `uploads` was deleted, and no other took its place.")
    time.sleep(1.5)  # long enough for a worker to find the queue drained, and exit
    _demand_no_restarts(answers)
    return "four items were done, a deleted pod was replaced, and two workers wait for more."


def _demand_no_restarts(answers: Answers) -> None:
    if restarts := _restarts(answers):
        raise Wrong(
            f"the pods exit when the queue has drained: {counted(restarts, 'restart', 'restarts')} "
            "so far. Give the worker the variable `WQLIB_ENDLESS`."
        )


def _restarts(answers: Answers) -> int:
    return sum(pod.restarts for pod in _pods(answers))


def _pods(answers: Answers) -> list[Pod]:
    return [pod for pod in answers.cluster.pods() if pod.name.startswith("uploads-")]


def _running(answers: Answers) -> list[Pod]:
    return [pod for pod in _pods(answers) if pod.phase == "Running" and pod.reason == ""]


def _until(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@exercise("09-3", "Be the autoscaler")
def autoscaler(answers: Answers) -> str:
    """Check that the Deployment's workers did all twelve items, and that it has no replicas."""
    deployment = answers.find("deployment/endless")
    if deployment is None:
        raise Wrong(
            "there is no Deployment `endless`. Run the cells of this section from the one that "
            "applies `manifests/endless.yaml`."
        )
    wanted, queue = deployment["spec"].get("replicas"), answers.queue()
    stats = queue.stats()
    if stats.pending == ITEMS and not wanted:
        raise Blank(f"all {ITEMS} items still wait. Scale the Deployment up first.")
    if not stats.drained:
        raise Wrong(
            f"{stats.pending} items are pending and {stats.leased} leased. Wait until the queue "
            "has drained before you scale to 0, then run both cells again."
        )
    done = [event for event in queue.events() if event.kind == "complete"]
    if len(done) != ITEMS:
        raise Wrong(
            f"{counted(len(done), 'item was', 'items were')} done, and {ITEMS} were put. Run the "
            "whole cell above again."
        )
    if not all(event.worker.startswith("endless-") for event in done):
        raise Wrong(
            "some items were done by a worker that is no pod of the Deployment. Let its pods do "
            "the work: `scale(3)`."
        )
    if wanted:
        raise Wrong(
            f"all is done, and the Deployment still wants {counted(wanted, 'pod', 'pods')}, at the "
            "price of working ones. Scale it to 0."
        )
    return "all twelve were done, and nobody waits for more at your cost."
