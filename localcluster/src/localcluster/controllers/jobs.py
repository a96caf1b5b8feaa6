"""The Job controller: keeps as many pods running as a Job wants, and counts how they ended.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.jsontypes import Key, Obj, controller_of, deep_copy, key_of, now
from . import jobindexes
from .controller import Controller
from .jobbackoff import Backoff
from .jobpods import JobPods, indexed_template, plain_template
from .jobrules import (
    in_order,
    is_complete,
    is_finished,
    is_ours,
    is_tracked,
    replaces_only_failed,
    seconds_left,
    set_condition,
    set_or_drop,
    wanted_pods,
)
from .jobsync import JobSync
from .ownerindex import OwnedInformer, adopter_keys, controller_keys
from .podcontrol import BURST
from .podstate import deletion_rank, has_condition, is_ready, is_terminating, phase, restarts

_COMPLETED = ("CompletionsReached", "Reached expected number of succeeded pods")


@dataclass
class JobController(Controller):
    """Follows Jobs and their pods.

    Args:
        first_backoff: Seconds before the first failed pod is replaced; each further failure in
            a row doubles it.
    """

    jobs: OwnedInformer
    pod_informer: OwnedInformer
    first_backoff: float = 10.0
    component = "job-controller"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pods = JobPods(self.client, self.pod_informer, self.recorder)
        self._seen_facts: dict[str, tuple[object, ...]] = {}
        self.backoff = Backoff(self.first_backoff)

    def job_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue a Job that changed."""
        obj = new or old
        assert obj is not None
        if new is None:
            self.backoff.forget(obj)
        elif old is None or _job_facts(old) != _job_facts(new):
            self.queue.add(key_of(obj))

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the Job of a pod that changed."""
        if not self._has_news(old, new):
            return
        for key in controller_keys("Job", old, new):
            self.queue.add(key)
        for key in adopter_keys(self.jobs.objects, new):
            self.queue.add(key)

    def _has_news(self, old: Obj | None, new: Obj | None) -> bool:
        """Tell whether anything changed of the pod that its Job needs to know.

        The last facts are remembered here, since the cache may hold a later version already.
        """
        if new is None:
            assert old is not None
            self._seen_facts.pop(old["metadata"]["uid"], None)
            return True
        uid, told = new["metadata"]["uid"], _pod_facts(new)
        if self._seen_facts.get(uid) == told:
            return False
        self._seen_facts[uid] = told
        return True

    async def _sync(self, key: Key) -> None:
        job = self.jobs.get(*key)
        if job is None or not is_ours(job):
            return
        if is_finished(job) or job["metadata"].get("deletionTimestamp"):
            await self.pods.release([p for p in self.pods.of(job) if is_tracked(p)])
        else:
            await self._manage(deep_copy(job))

    async def _manage(self, job: Obj) -> None:
        status = job.setdefault("status", {})
        before = deep_copy(status)
        if not status.get("startTime") and not job["spec"].get("suspend"):
            status["startTime"] = now()
        sync = JobSync(job, await self.pods.claim(job))
        self.backoff.note(sync)
        if sync.outcome:
            await self.pods.delete(job, sync.active)
            sync.active = []
        else:
            await self._scale(sync)
            self._complete_or_suspend(sync)
        self._set_counts(sync)
        await self._count(sync, before)
        self._requeue_at_deadline(job)

    async def _scale(self, sync: JobSync) -> None:
        """Create or delete pods until there are as many as wanted."""
        job, active = sync.job, sync.active
        wanted = wanted_pods(job, len(active), sync.succeeded)
        ranked = sorted(active, key=deletion_rank)
        surplus = ranked[: max(0, len(active) - wanted)]
        if jobindexes.is_indexed(job):
            surplus = jobindexes.surplus(job, ranked, len(surplus))
        if surplus:
            await self.pods.scale_down(job, surplus)
            sync.active = [pod for pod in active if pod not in surplus]
            return
        missing = wanted - len(active)
        terminating = [pod for pod in sync.pods if is_terminating(pod)]
        if replaces_only_failed(job):
            missing -= len(terminating)
        if missing <= 0:
            return
        missing = min(missing, BURST)
        wait = 0.0 if jobindexes.per_index(job) else self.backoff.seconds(job)
        templates = [] if wait else [plain_template(job)] * missing
        if not wait and jobindexes.is_indexed(job):
            gone = terminating if replaces_only_failed(job) else []
            busy = jobindexes.active_indexes(active) | {jobindexes.index_of(p) for p in gone}
            indexes = jobindexes.pending(
                job, busy | sync.succeeded_indexes | sync.failed_indexes, missing
            )
            indexes, wait = self.backoff.due(sync, indexes)
            templates = [indexed_template(job, i, sync.delayed_pods.get(i)) for i in indexes]
        if wait > 0:
            self.queue.add_after(key_of(job), wait + 0.01)
            sync.backing_off = True
        else:
            sync.active = active + await self.pods.create(job, templates)

    def _complete_or_suspend(self, sync: JobSync) -> None:
        job = sync.job
        active = 0 if sync.backing_off else len(sync.active)
        if is_complete(job, active, sync.succeeded):
            sync.outcome = ("SuccessCriteriaMet", *_COMPLETED)
            return
        suspended = has_condition(job, "Suspended")
        if job["spec"].get("suspend") and not suspended:
            set_condition(job, "Suspended", "JobSuspended", "Job suspended")
            self.recorder.event(job, "Suspended", "Job suspended")
        elif not job["spec"].get("suspend") and suspended:
            set_condition(job, "Suspended", "JobResumed", "Job resumed", holds="False")
            job["status"]["startTime"] = now()
            self.recorder.event(job, "Resumed", "Job resumed")

    def _set_counts(self, sync: JobSync) -> None:
        status = sync.job["status"]
        # While it waits to replace a failed pod, the real controller reports none as active.
        set_or_drop(status, "active", 0 if sync.backing_off else len(sync.active))
        status["ready"] = sum(1 for pod in sync.active if is_ready(pod))
        status["terminating"] = sum(1 for p in self.pods.of(sync.job) if is_terminating(p))
        if jobindexes.is_indexed(sync.job):
            set_or_drop(status, "succeeded", len(sync.succeeded_indexes))
            set_or_drop(status, "completedIndexes", jobindexes.compact(sync.succeeded_indexes))
        if jobindexes.per_index(sync.job):
            status["failedIndexes"] = jobindexes.compact(sync.failed_indexes)

    async def _count(self, sync: JobSync, before: Obj) -> None:
        """Add the pods that ended to the totals, so that none is counted twice or missed.

        First their uids are written down in the Job, with what it ends by; then each pod's
        finalizer is removed (from then on it may be deleted); then the totals are raised. A
        crash in between loses nothing.
        """
        job, status = sync.job, sync.job["status"]
        noted = status.get("uncountedTerminatedPods") or {}
        succeeded = list(noted.get("succeeded") or [])
        failed = list(noted.get("failed") or [])
        ended = [pod for pod in sync.pods if sync.can_release(pod)]
        for pod in ended:
            uid = pod["metadata"]["uid"]
            if uid in succeeded or uid in failed:
                continue
            if phase(pod) == "Succeeded":
                if not jobindexes.is_indexed(job):
                    succeeded.append(uid)
            elif sync.counts_as_failed(pod):
                failed.append(uid)
        uncounted = {"succeeded": succeeded, "failed": failed}
        status["uncountedTerminatedPods"] = {k: v for k, v in uncounted.items() if v}
        if sync.outcome and not has_condition(job, sync.outcome[0]):
            set_condition(job, *sync.outcome)
        if in_order(status) != in_order(before):
            await self._write(job)
        await self.pods.release(ended)
        status = job["status"]
        stored = deep_copy(status)
        set_or_drop(status, "succeeded", status.get("succeeded", 0) + len(succeeded))
        set_or_drop(status, "failed", status.get("failed", 0) + len(failed))
        status["uncountedTerminatedPods"] = {}
        finished = sync.outcome is not None and status["terminating"] == 0
        if finished:
            self._finish(sync)
        if status != stored:
            await self._write(job)
        if finished:
            self._record_end(sync)

    def _finish(self, sync: JobSync) -> None:
        assert sync.outcome is not None
        kind = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}[sync.outcome[0]]
        set_condition(sync.job, kind, *sync.outcome[1:])
        if kind == "Complete":
            sync.job["status"]["completionTime"] = now()

    def _record_end(self, sync: JobSync) -> None:
        assert sync.outcome is not None
        job, (kind, reason, message) = sync.job, sync.outcome
        if kind == "FailureTarget":
            self.recorder.event(job, reason, message, kind="Warning")
        else:
            self._record_completion(job)

    def _record_completion(self, job: Obj) -> None:
        completions = job["spec"].get("completions")
        if completions is not None and job["status"].get("succeeded", 0) > completions:
            text = "Too many succeeded pods running after completion count reached"
            self.recorder.event(job, "TooManySucceededPods", text, kind="Warning")
        self.recorder.event(job, "Completed", "Job completed")

    async def _write(self, job: Obj) -> None:
        """Write the Job's status."""
        stored = await self.write_status(self.jobs, job, in_order(job["status"]))
        job["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]

    def _requeue_at_deadline(self, job: Obj) -> None:
        """Sync again when the Job's deadline is over."""
        left = None if is_finished(job) else seconds_left(job)
        if left is not None:
            self.queue.add_after(key_of(job), max(left, 0.01))


def _job_facts(job: Obj) -> Obj:
    """Return what the controller reads of a Job; its own writes do not change that."""
    metadata = job["metadata"]
    return {"spec": job["spec"], "gone": metadata.get("deletionTimestamp"), "uid": metadata["uid"]}


def _pod_facts(pod: Obj) -> tuple[object, ...]:
    """Return what a Job needs to know of a pod."""
    metadata = pod["metadata"]
    facts = (
        phase(pod),
        is_ready(pod),
        restarts(pod),
        is_tracked(pod),
        controller_of(pod),
    )
    return (*facts, metadata.get("labels"), metadata.get("deletionTimestamp"))
