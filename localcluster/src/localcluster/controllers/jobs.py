"""The Job controller: keeps as many pods running as a Job wants, and counts how they ended.

After the rules of today's Kubernetes (those of 1.20 are in `oldjobs`); see
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.client import Client
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, controller_of, copied, now
from ..apimachinery.keyqueue import KeyQueue
from . import jobindexes
from .jobbackoff import Backoff
from .jobpods import JobPods, indexed_template, plain_template
from .jobrules import (
    has_condition,
    has_finalizer,
    in_order,
    is_complete,
    is_finished,
    seconds_left,
    set_condition,
    set_count,
    waits_for_the_end,
    wanted_pods,
)
from .jobsync import Look
from .podcontrol import PodControl
from .podstate import is_ready, is_terminating, phase, restarts, worth

_COMPLETED = ("CompletionsReached", "Reached expected number of succeeded pods")


@dataclass
class JobController:
    """Follows Jobs and their pods.

    Args:
        first_backoff: seconds before the first failed pod is replaced; each further failure in
            a row doubles it.
    """

    client: Client
    jobs: Informer
    pod_informer: Informer
    first_backoff: float = 10.0

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "job-controller")
        self.pods = JobPods(PodControl(self.client, self.pod_informer, self.recorder))
        self._told: dict[str, tuple[object, ...]] = {}
        self.backoff = Backoff(self.first_backoff)
        self.queue = KeyQueue(self._sync)
        self.orphans = KeyQueue(self._let_go)

    def job_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Take notice of a change of a Job."""
        obj = new or old
        assert obj is not None
        if new is None:
            self.backoff.forget(obj)
            for pod in self.pods.of(obj):
                self._note_orphan(pod)
        elif old is None or _telling_of_job(old) != _telling_of_job(new):
            self.queue.add(key_of_job(obj))

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Take notice of a change of a pod."""
        if not self._is_news(old, new):
            return
        for pod in (old, new):
            reference = controller_of(pod) if pod else None
            if pod and reference and reference["kind"] == "Job":
                self.queue.add((pod["metadata"]["namespace"], reference["name"]))
        if new is not None:
            self._note_orphan(new)
            self._offer(new)

    def _is_news(self, old: Obj | None, new: Obj | None) -> bool:
        """Tell whether the pod says anything that it had not said before.

        What was said is remembered here, since the cache may hold a later version already.
        """
        if new is None:
            assert old is not None
            self._told.pop(old["metadata"]["uid"], None)
            return True
        uid, told = new["metadata"]["uid"], _telling(new)
        if self._told.get(uid) == told:
            return False
        self._told[uid] = told
        return True

    def close(self) -> None:
        self.queue.close()
        self.orphans.close()

    def _note_orphan(self, pod: Obj) -> None:
        if has_finalizer(pod) and self._job_of(pod) is None:
            self.orphans.add((pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def _offer(self, pod: Obj) -> None:
        """Have Jobs looked at that could adopt a pod which nobody controls."""
        if controller_of(pod) is None:
            for key, job in self.jobs.objects.items():
                if key[0] == pod["metadata"]["namespace"] and self.pods.selects(job, pod):
                    self.queue.add(key)

    def _job_of(self, pod: Obj) -> Obj | None:
        reference = controller_of(pod)
        if reference is None:
            return None
        job = self.jobs.get(pod["metadata"]["namespace"], reference["name"])
        return job if job and job["metadata"]["uid"] == reference["uid"] else None

    async def _let_go(self, key: Key) -> None:
        """Let go of a pod whose Job is gone: nobody counts it any more."""
        await self.jobs.synced.wait()
        pod = self.pod_informer.get(*key)
        if pod is not None and has_finalizer(pod) and self._job_of(pod) is None:
            await self.pods.release([pod])

    async def _sync(self, key: Key) -> None:
        job = self.jobs.get(*key)
        if job is None:
            return
        if is_finished(job) or job["metadata"].get("deletionTimestamp"):
            await self.pods.release([p for p in self.pods.of(job) if has_finalizer(p)])
        else:
            await self._manage(copied(job))

    async def _manage(self, job: Obj) -> None:
        status = job.setdefault("status", {})
        before = copied(status)
        if not status.get("startTime") and not job["spec"].get("suspend"):
            status["startTime"] = now()
        look = Look(job, await self.pods.claim(job))
        self.backoff.note(look)
        if look.end:
            await self.pods.delete(job, look.active)
            look.active = []
        else:
            await self._scale(look)
            self._complete_or_suspend(look)
        self._set_counts(look)
        await self._count(look, before)
        self._come_back(job)

    async def _scale(self, look: Look) -> None:
        """Create or delete pods until there are as many as wanted."""
        job, active = look.job, look.active
        wanted = wanted_pods(job, len(active), look.succeeded)
        ranked = sorted(active, key=worth)
        surplus = ranked[: max(0, len(active) - wanted)]
        if jobindexes.is_indexed(job):
            surplus = jobindexes.surplus(job, ranked, len(surplus))
        if surplus:
            await self.pods.send_away(job, surplus)
            look.active = [pod for pod in active if pod not in surplus]
            return
        missing = wanted - len(active)
        terminating = [pod for pod in look.pods if is_terminating(pod)]
        if waits_for_the_end(job):
            missing -= len(terminating)
        if missing <= 0:
            return
        wait = 0.0 if jobindexes.per_index(job) else self.backoff.seconds(job)
        templates = [] if wait else [plain_template(job)] * missing
        if not wait and jobindexes.is_indexed(job):
            gone = terminating if waits_for_the_end(job) else []
            busy = jobindexes.active_indexes(active) | {jobindexes.index_of(p) for p in gone}
            indexes = jobindexes.pending(job, busy | look.done | look.lost, missing)
            indexes, wait = self.backoff.due(look, indexes)
            templates = [indexed_template(job, i, look.kept.get(i)) for i in indexes]
        if wait > 0:
            self.queue.add_after(key_of_job(job), wait + 0.01)
            look.waiting = True
        else:
            look.active = active + await self.pods.create(job, templates)

    def _complete_or_suspend(self, look: Look) -> None:
        job = look.job
        active = 0 if look.waiting else len(look.active)
        if is_complete(job, active, look.succeeded):
            look.end = ("SuccessCriteriaMet", *_COMPLETED)
            return
        suspended = has_condition(job, "Suspended")
        if job["spec"].get("suspend") and not suspended:
            set_condition(job, "Suspended", "JobSuspended", "Job suspended")
            self.recorder.event(job, "Suspended", "Job suspended")
        elif not job["spec"].get("suspend") and suspended:
            set_condition(job, "Suspended", "JobResumed", "Job resumed", holds="False")
            job["status"]["startTime"] = now()
            self.recorder.event(job, "Resumed", "Job resumed")

    def _set_counts(self, look: Look) -> None:
        status = look.job["status"]
        # While it waits to replace a failed pod, the real controller reports none as active.
        set_count(status, "active", 0 if look.waiting else len(look.active))
        status["ready"] = sum(1 for pod in look.active if is_ready(pod))
        status["terminating"] = sum(1 for p in self.pods.of(look.job) if is_terminating(p))
        if jobindexes.is_indexed(look.job):
            set_count(status, "succeeded", len(look.done))
            _set_text(status, "completedIndexes", jobindexes.compact(look.done))
        if jobindexes.per_index(look.job):
            status["failedIndexes"] = jobindexes.compact(look.lost)

    async def _count(self, look: Look, before: Obj) -> None:
        """Add the pods that ended to the totals, so that none is counted twice or missed.

        First their uids are written down in the Job, with what it ends by; then each pod's
        finalizer is removed (from then on it may be deleted); then the totals are raised. A
        crash in between loses nothing.
        """
        job, status = look.job, look.job["status"]
        noted = status.get("uncountedTerminatedPods") or {}
        succeeded = list(noted.get("succeeded") or [])
        failed = list(noted.get("failed") or [])
        ended = [pod for pod in look.pods if look.may_go(pod)]
        for pod in ended:
            uid = pod["metadata"]["uid"]
            if uid in succeeded or uid in failed:
                continue
            if phase(pod) == "Succeeded":
                if not jobindexes.is_indexed(job):
                    succeeded.append(uid)
            elif look.counts_as_failed(pod):
                failed.append(uid)
        uncounted = {"succeeded": succeeded, "failed": failed}
        status["uncountedTerminatedPods"] = {k: v for k, v in uncounted.items() if v}
        if look.end and not has_condition(job, look.end[0]):
            set_condition(job, *look.end)
        if in_order(status) != in_order(before):
            await self._store(job)
        await self.pods.release(ended)
        status = job["status"]
        stored = copied(status)
        set_count(status, "succeeded", status.get("succeeded", 0) + len(succeeded))
        set_count(status, "failed", status.get("failed", 0) + len(failed))
        status["uncountedTerminatedPods"] = {}
        finished = look.end is not None and status["terminating"] == 0
        if finished:
            self._finish(look)
        if status != stored:
            await self._store(job)
        if finished:
            self._tell_the_end(look)

    def _finish(self, look: Look) -> None:
        assert look.end is not None
        kind = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}[look.end[0]]
        set_condition(look.job, kind, *look.end[1:])
        if kind == "Complete":
            look.job["status"]["completionTime"] = now()

    def _tell_the_end(self, look: Look) -> None:
        assert look.end is not None
        job, (kind, reason, message) = look.job, look.end
        if kind == "FailureTarget":
            self.recorder.event(job, reason, message, kind="Warning")
            return
        completions = job["spec"].get("completions")
        if completions is not None and job["status"].get("succeeded", 0) > completions:
            text = "Too many succeeded pods running after completion count reached"
            self.recorder.event(job, "TooManySucceededPods", text, kind="Warning")
        self.recorder.event(job, "Completed", "Job completed")

    async def _store(self, job: Obj) -> None:
        """Write the Job's status; a conflict makes the whole look start again."""
        metadata = job["metadata"]
        path = f"/apis/batch/v1/namespaces/{metadata['namespace']}/jobs/{metadata['name']}/status"
        stored = await self.client.replace(path, {**job, "status": in_order(job["status"])})
        self.jobs.put(stored)
        metadata["resourceVersion"] = stored["metadata"]["resourceVersion"]

    def _come_back(self, job: Obj) -> None:
        """Look again when the Job's time is over."""
        left = None if is_finished(job) else seconds_left(job)
        if left is not None:
            self.queue.add_after(key_of_job(job), max(left, 0.01))


def key_of_job(job: Obj) -> Key:
    return job["metadata"]["namespace"], job["metadata"]["name"]


def _set_text(status: Obj, name: str, text: str) -> None:
    if text:
        status[name] = text
    else:
        status.pop(name, None)


def _telling_of_job(job: Obj) -> Obj:
    """Return what of a Job the controller reads; its own writes change nothing of it."""
    metadata = job["metadata"]
    return {"spec": job["spec"], "gone": metadata.get("deletionTimestamp"), "uid": metadata["uid"]}


def _telling(pod: Obj) -> tuple[object, ...]:
    """Return what of a pod means anything to its Job."""
    metadata = pod["metadata"]
    facts = (phase(pod), is_ready(pod), restarts(pod), has_finalizer(pod), controller_of(pod))
    return (*facts, metadata.get("labels"), metadata.get("deletionTimestamp"))
