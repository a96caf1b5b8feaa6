"""The Job controller by the rules of Kubernetes 1.20.

It counts the pods that are there, keeps no finalizers, replaces the first failed pod at once,
and forgets failed pods that somebody deletes.
https://v1-20.docs.kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..apimachinery.jsontypes import Key, Obj, key_of, now
from .jobpods import plain_template
from .jobrules import (
    BACKOFF_LIMIT_EXCEEDED,
    DEADLINE_EXCEEDED,
    exceeds_restart_limit,
    has_condition,
    is_complete,
    is_finished,
    seconds_left,
    set_condition,
    set_or_drop,
    wanted_pods,
)
from .jobs import JobController
from .ownerindex import adopter_keys, controller_keys
from .podstate import deletion_rank, is_active, phase

_LONGEST_BACKOFF = 360.0


@dataclass
class LegacyJobController(JobController):
    """Follows Jobs and their pods, as Kubernetes 1.20 does."""

    _retries: dict[Key, int] = field(default_factory=dict)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the Job of a pod that changed; after repeated failures, with a delay."""
        if not self._has_news(old, new):
            return
        for key in controller_keys("Job", old, new):
            wait = self._back_off(key) if new is not None and phase(new) == "Failed" else 0.0
            if wait:
                self.queue.add_after(key, wait)
            else:
                self.queue.add(key)
        for key in adopter_keys(self.jobs.objects, new):
            self.queue.add(key)

    def _back_off(self, key: Key) -> float:
        retries = self._retries.get(key, 0)
        if not retries:
            return 0.0
        return min(self.first_backoff * 2.0 ** (min(retries, 30) - 1), _LONGEST_BACKOFF)

    async def _sync(self, key: Key) -> None:
        job = self.jobs.get(*key)
        if job is None:
            self._retries.pop(key, None)
        elif not is_finished(job):
            await self._manage({**job, "status": dict(job.get("status") or {})})

    async def _manage(self, job: Obj) -> None:
        status, spec, key = job["status"], job["spec"], key_of(job)
        before = dict(status)
        pods = await self.pods.claim(job, counted=False)
        active = [pod for pod in pods if is_active(pod)]
        succeeded = sum(1 for pod in pods if phase(pod) == "Succeeded")
        failed = sum(1 for pod in pods if phase(pod) == "Failed")
        status.setdefault("startTime", now())
        fresh = failed > before.get("failed", 0)
        end = self._failure(job, pods, fresh and len(active) != spec["parallelism"])
        if end:
            await self.pods.delete(job, active)
            failed, active = failed + len(active), []
            set_condition(job, "Failed", *end)
        elif not job["metadata"].get("deletionTimestamp"):
            active = await self._scale_pods(job, active, succeeded)
        if not end and is_complete(job, len(active), succeeded):
            set_condition(job, "Complete")
            status["completionTime"] = now()
        if succeeded > before.get("succeeded", 0):
            self._retries.pop(key, None)
        for name, count in (("active", len(active)), ("succeeded", succeeded), ("failed", failed)):
            set_or_drop(status, name, count)
        # A start without pods is not written down.
        if {**status, "startTime": ""} != {**before, "startTime": ""}:
            await self._write_status(job)
            self._record_legacy_end(job, len(active))
            if fresh and not is_finished(job):
                self._retries[key] = self._retries.get(key, 0) + 1
                self.queue.add_after(key, self._back_off(key))
            else:
                self._retries.pop(key, None)
        self._requeue_at_deadline(job)

    def _failure(self, job: Obj, pods: list[Obj], fresh: bool) -> tuple[str, str] | None:
        """Return why the Job has failed, or None.

        Args:
            fresh: A pod failed since the last sync, and was not replaced yet.
        """
        limit, retries = job["spec"].get("backoffLimit", 6), self._retries.get(key_of(job), 0)
        if (fresh and retries + 1 > limit) or exceeds_restart_limit(job, pods):
            return BACKOFF_LIMIT_EXCEEDED
        left = seconds_left(job)
        return DEADLINE_EXCEEDED if left is not None and left <= 0 else None

    async def _scale_pods(self, job: Obj, active: list[Obj], succeeded: int) -> list[Obj]:
        """Create or delete pods until there are as many as wanted; return the active ones."""
        parallelism = job["spec"]["parallelism"]
        if len(active) > parallelism:
            surplus = sorted(active, key=deletion_rank)[: len(active) - parallelism]
            await self.pods.delete(job, surplus)
            return [pod for pod in active if pod not in surplus]
        missing = wanted_pods(job, len(active), succeeded) - len(active)
        if missing <= 0:
            return active
        template = plain_template(job)
        template["metadata"].pop("finalizers")
        return active + await self.pods.create(job, [template] * missing)

    def _record_legacy_end(self, job: Obj, active: int) -> None:
        """Record how the Job ended, if it did."""
        failure = has_condition(job, "Failed")
        if failure:
            self.recorder.event(job, failure["reason"], failure["message"], kind="Warning")
        if not has_condition(job, "Complete"):
            return
        if job["spec"].get("completions") is not None and active:
            text = "Too many active pods running after completion count reached"
            self.recorder.event(job, "TooManyActivePods", text, kind="Warning")
        self._record_completion(job)
