"""The Job controller: keeps as many pods running as a Job wants, and counts how they ended.

After the rules of today's Kubernetes; see
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import asyncio
import copy
import logging
from dataclasses import dataclass, field

from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.client import STRATEGIC, Client, pod_path
from wqlib.localcluster.apimachinery.informer import Informer, Key, Recorder, WorkQueue
from wqlib.localcluster.apimachinery.jsontypes import (
    Obj,
    controller_of,
    now,
    owner_reference,
    random_suffix,
    seconds_since,
)
from wqlib.localcluster.controllers.jobrules import (
    FINALIZER,
    end_of,
    failure_of,
    has_condition,
    has_finalizer,
    is_active,
    is_finished,
    is_ready,
    is_terminating,
    phase,
    set_condition,
    set_count,
    wanted_pods,
    worth,
)

log = logging.getLogger(__name__)

_FIRST_BACKOFF = 10.0
_LONGEST_BACKOFF = 600.0


@dataclass
class _Failures:
    """How often in a row the pods of a Job failed, and when last (for the back-off)."""

    count: int = 0
    last: str = ""


@dataclass
class JobController:
    """Follows Jobs and their pods.

    Args:
        first_backoff: seconds before the first failed pod is replaced; each further failure in
            a row doubles it.
    """

    client: Client
    jobs: Informer
    pods: Informer
    first_backoff: float = _FIRST_BACKOFF
    _failures: dict[str, _Failures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "job-controller")
        self.queue = WorkQueue(self._sync)

    def job_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Take notice of a change of a Job."""
        obj = new or old
        assert obj is not None
        self.queue.add((obj["metadata"]["namespace"], obj["metadata"]["name"]))
        if new is None:
            self._failures.pop(obj["metadata"]["uid"], None)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Take notice of a change of a pod."""
        pod = new or old
        assert pod is not None
        reference = controller_of(pod)
        if reference and reference["kind"] == "Job":
            self.queue.add((pod["metadata"]["namespace"], reference["name"]))
        elif has_finalizer(pod):
            self.queue.add((pod["metadata"]["namespace"], ""))

    async def _sync(self, key: Key) -> None:
        namespace, name = key
        job = self.jobs.get(namespace, name)
        await self._release_orphans(namespace)
        if job is None:
            return
        if job["metadata"].get("deletionTimestamp"):
            await self._release([p for p in self._pods_of(job) if has_finalizer(p)])
            return
        if is_finished(job):
            await self._release([p for p in self._pods_of(job) if has_finalizer(p)])
            await self._clean_up(job)
            return
        await self._manage(copy.deepcopy(job))

    def _pods_of(self, job: Obj) -> list[Obj]:
        uid, namespace = job["metadata"]["uid"], job["metadata"]["namespace"]
        found = []
        for pod in self.pods.objects.values():
            if pod["metadata"]["namespace"] != namespace:
                continue
            reference = controller_of(pod)
            if reference and reference["uid"] == uid:
                found.append(pod)
        return found

    async def _release_orphans(self, namespace: str) -> None:
        """Let go of pods whose Job is gone: nobody counts them any more."""
        uids = {job["metadata"]["uid"] for job in self.jobs.objects.values()}
        orphans = []
        for pod in self.pods.objects.values():
            if pod["metadata"]["namespace"] != namespace or not has_finalizer(pod):
                continue
            reference = controller_of(pod)
            if reference is None or (reference["kind"] == "Job" and reference["uid"] not in uids):
                orphans.append(pod)
        await self._release(orphans)

    async def _manage(self, job: Obj) -> None:
        status = job.setdefault("status", {})
        before = copy.deepcopy(status)
        pods = self._pods_of(job)
        if not status.get("startTime") and not job["spec"].get("suspend"):
            status["startTime"] = now()
        # What ends from here on is for the next look: each pod is counted before it is missed.
        active = [pod for pod in pods if is_active(pod)]
        await self._count(job, pods)
        succeeded, failed = status.get("succeeded", 0), status.get("failed", 0)
        failure = failure_of(job, active, failed)
        if failure and not has_condition(job, "FailureTarget"):
            set_condition(job, "FailureTarget", *failure)
        if has_condition(job, "FailureTarget"):
            await self._delete_pods(job, active)
            active = []
        elif not has_condition(job, "SuccessCriteriaMet"):
            active = await self._scale(job, active, succeeded)
        left = self._pods_of(job)
        terminating = [pod for pod in left if is_terminating(pod)]
        uncounted = any(has_finalizer(pod) and not is_active(pod) for pod in left)
        if not uncounted:
            self._conclude(job, len(active), len(terminating), succeeded)
        set_count(status, "active", len(active))
        status["ready"] = 0 if is_finished(job) else sum(1 for pod in active if is_ready(pod))
        status["terminating"] = len(terminating)
        status["uncountedTerminatedPods"] = {}
        if status != before:
            await self._store(job)
        self._come_back(job)

    async def _count(self, job: Obj, pods: list[Obj]) -> None:
        """Add the pods that ended to the totals, so that none is counted twice or missed.

        First their uids are written down in the Job, then each pod's finalizer is removed (from
        then on it may be deleted), then the totals are raised: a crash in between loses nothing.
        """
        status = job["status"]
        noted = status.get("uncountedTerminatedPods") or {}
        known = {*(noted.get("succeeded") or []), *(noted.get("failed") or [])}
        succeeded = list(noted.get("succeeded") or [])
        failed = list(noted.get("failed") or [])
        released = []
        for pod in pods:
            if not has_finalizer(pod):
                continue
            uid, ended = pod["metadata"]["uid"], phase(pod)
            gone = is_terminating(pod) and self._replaces_terminating(job)
            if ended not in ("Succeeded", "Failed") and not gone:
                continue
            released.append(pod)
            if uid in known:
                continue
            if ended == "Succeeded":
                succeeded.append(uid)
            else:
                failed.append(uid)
                self._note_failure(job, pod)
        if not succeeded and not failed:
            return
        if any(phase(pod) == "Succeeded" for pod in released):
            self._failures.pop(job["metadata"]["uid"], None)
        uncounted = {"succeeded": succeeded, "failed": failed}
        status["uncountedTerminatedPods"] = {k: v for k, v in uncounted.items() if v}
        await self._store(job)
        await self._release(released)
        status = job["status"]
        set_count(status, "succeeded", status.get("succeeded", 0) + len(succeeded))
        set_count(status, "failed", status.get("failed", 0) + len(failed))
        status["uncountedTerminatedPods"] = {}

    def _replaces_terminating(self, job: Obj) -> bool:
        policy = job["spec"].get("podReplacementPolicy", "TerminatingOrFailed")
        return bool(policy == "TerminatingOrFailed")

    def _note_failure(self, job: Obj, pod: Obj) -> None:
        failures = self._failures.setdefault(job["metadata"]["uid"], _Failures())
        failures.count += 1
        # A pod that is being deleted has its time of death in the future.
        failures.last = max(failures.last, min(end_of(pod), now()))

    def _back_off(self, job: Obj) -> float:
        """Return how many seconds to wait before failed pods are replaced."""
        failures = self._failures.get(job["metadata"]["uid"])
        if failures is None or failures.count == 0 or not self.first_backoff:
            return 0.0
        delay = min(self.first_backoff * 2.0 ** (failures.count - 1), _LONGEST_BACKOFF)
        return max(0.0, delay - seconds_since(failures.last))

    async def _scale(self, job: Obj, active: list[Obj], succeeded: int) -> list[Obj]:
        """Create or delete pods until there are as many as wanted; returns the active ones."""
        await self._suspend_or_resume(job)
        wanted = wanted_pods(job, len(active), succeeded)
        if len(active) > wanted:
            ranked = sorted(active, key=worth)
            surplus = ranked[: len(active) - wanted]
            # Whoever is sent away has not failed: the Job lets go of him before, uncounted.
            await self._release(surplus)
            await self._delete_pods(job, surplus)
            return [pod for pod in active if pod not in surplus]
        missing = wanted - len(active)
        if not self._replaces_terminating(job):
            missing -= sum(1 for pod in self._pods_of(job) if is_terminating(pod))
        if missing <= 0:
            return active
        wait = self._back_off(job)
        if wait > 0:
            self.queue.add_after(_key(job), wait + 0.01)
            return active
        return active + await self._create_pods(job, missing)

    async def _create_pods(self, job: Obj, count: int) -> list[Obj]:
        """Create pods in growing batches, so that a hopeless template fails only once."""
        created: list[Obj] = []
        batch = 1
        while len(created) < count:
            size = min(batch, count - len(created))
            made = await asyncio.gather(
                *(self._create_pod(job) for _ in range(size)), return_exceptions=True
            )
            created += [pod for pod in made if isinstance(pod, dict)]
            for error in made:
                if isinstance(error, BaseException):
                    text = f"Error creating: {error}"
                    self.recorder.event(job, "FailedCreate", text, kind="Warning")
                    raise error
            batch *= 2
        return created

    async def _create_pod(self, job: Obj) -> Obj:
        metadata, template = job["metadata"], job["spec"]["template"]
        base = f"{metadata['name']}-"
        pod: Obj = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": base,
                "name": base[:57] + random_suffix(),
                "labels": dict(template["metadata"].get("labels") or {}),
                "finalizers": [FINALIZER],
                "ownerReferences": [owner_reference(job)],
            },
            "spec": template["spec"],
        }
        if template["metadata"].get("annotations"):
            pod["metadata"]["annotations"] = template["metadata"]["annotations"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods"
        created = await self.client.create(path, pod)
        self.pods.put(created)
        text = f"Created pod: {created['metadata']['name']}"
        self.recorder.event(job, "SuccessfulCreate", text)
        return created

    async def _delete_pods(self, job: Obj, pods: list[Obj]) -> None:
        async def delete(pod: Obj) -> None:
            metadata = pod["metadata"]
            try:
                last = await self.client.delete(
                    pod_path(metadata["namespace"], metadata["name"]),
                    preconditions={"uid": metadata["uid"]},
                )
                self.pods.put(last)
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
            text = f"Deleted pod: {metadata['name']}"
            self.recorder.event(job, "SuccessfulDelete", text)

        await asyncio.gather(*(delete(pod) for pod in pods))

    async def _suspend_or_resume(self, job: Obj) -> None:
        suspended = has_condition(job, "Suspended")
        if job["spec"].get("suspend") and not suspended:
            set_condition(job, "Suspended", "JobSuspended", "Job suspended")
            job["status"].pop("startTime", None)
            self.recorder.event(job, "Suspended", "Job suspended")
        elif not job["spec"].get("suspend") and suspended:
            set_condition(job, "Suspended", "JobResumed", "Job resumed", holds="False")
            job["status"]["startTime"] = now()
            self.recorder.event(job, "Resumed", "Job resumed")

    def _conclude(self, job: Obj, active: int, terminating: int, succeeded: int) -> None:
        """Set the conditions that end the Job, in the real server's order."""
        spec, status = job["spec"], job["status"]
        target = has_condition(job, "FailureTarget")
        if target:
            if terminating == 0:
                set_condition(job, "Failed", target["reason"], target["message"])
                self.recorder.event(job, target["reason"], target["message"], kind="Warning")
            return
        completions = spec.get("completions")
        if completions is None:
            met = succeeded > 0 and active == 0
        else:
            met = succeeded >= completions and active == 0
        if not met or spec.get("suspend"):
            return
        why = ("CompletionsReached", "Reached expected number of succeeded pods")
        if not has_condition(job, "SuccessCriteriaMet"):
            set_condition(job, "SuccessCriteriaMet", *why)
        if terminating == 0:
            set_condition(job, "Complete", *why)
            status["completionTime"] = now()
            self.recorder.event(job, "Completed", "Job completed")

    async def _store(self, job: Obj) -> None:
        """Write the Job's status; a conflict makes the whole look start again."""
        metadata = job["metadata"]
        path = f"/apis/batch/v1/namespaces/{metadata['namespace']}/jobs/{metadata['name']}/status"
        stored = await self.client.replace(path, job)
        self.jobs.put(stored)
        metadata["resourceVersion"] = stored["metadata"]["resourceVersion"]

    async def _release(self, pods: list[Obj]) -> None:
        async def release(pod: Obj) -> None:
            metadata = pod["metadata"]
            change = {
                "metadata": {
                    "uid": metadata["uid"],
                    "$deleteFromPrimitiveList/finalizers": [FINALIZER],
                }
            }
            path = pod_path(metadata["namespace"], metadata["name"])
            try:
                self.pods.put(await self.client.patch(path, change, STRATEGIC))
            except ApiError as error:
                if error.code not in (404, 409):
                    raise

        await asyncio.gather(*(release(pod) for pod in pods))

    def _come_back(self, job: Obj) -> None:
        """Look again when a deadline or a lifetime is over."""
        spec, status = job["spec"], job["status"]
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None and status.get("startTime") and not is_finished(job):
            left = deadline - seconds_since(status["startTime"])
            self.queue.add_after(_key(job), max(left, 0.1))

    async def _clean_up(self, job: Obj) -> None:
        """Delete a finished Job whose time to live is over."""
        lifetime = job["spec"].get("ttlSecondsAfterFinished")
        ended = has_condition(job, "Complete") or has_condition(job, "Failed")
        if lifetime is None or ended is None:
            return
        left = lifetime - seconds_since(ended["lastTransitionTime"])
        if left > 0:
            self.queue.add_after(_key(job), left + 0.01)
            return
        metadata = job["metadata"]
        path = f"/apis/batch/v1/namespaces/{metadata['namespace']}/jobs/{metadata['name']}"
        try:
            await self.client.delete(
                path, propagationPolicy="Foreground", preconditions={"uid": metadata["uid"]}
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _key(job: Obj) -> Key:
    return job["metadata"]["namespace"], job["metadata"]["name"]
