"""The CronJob controller: creates Jobs on a schedule.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

import email.utils
import math
from dataclasses import dataclass
from datetime import UTC, datetime

from ..apimachinery import cron
from ..apimachinery.apierrors import ApiError, ignored
from ..apimachinery.jsontypes import Key, Obj, controller_of, deep_copy, format_time
from ..apimachinery.resources import named, object_path, path_of
from . import cronjobrules as rules
from .controller import Controller
from .jobrules import is_finished
from .ownerindex import OwnedInformer, controller_keys
from .podstate import has_condition

# Timers cannot wait for years.
_LONGEST_WAIT_SECONDS = 86400.0


@dataclass
class CronJobController(Controller):
    """Follows CronJobs and their Jobs."""

    cronjobs: OwnedInformer
    jobs: OwnedInformer
    component = "cronjob-controller"

    cronjob_changed = Controller.enqueue

    def job_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the CronJob of a Job that changed."""
        for key in controller_keys("CronJob", old, new):
            self.queue.add(key)

    async def _sync(self, key: Key) -> None:
        found = self.cronjobs.get(*key)
        if found is None:
            return
        await self.jobs.synced.wait()
        cronjob = deep_copy(found)
        status = cronjob.setdefault("status", {})
        jobs = self.jobs.objects.controlled_by(cronjob)
        try:
            self._note_jobs(cronjob, jobs)
            await self._forget_missing(cronjob, jobs)
            if not cronjob["metadata"].get("deletionTimestamp"):
                await self._run(key, cronjob)
            for job in rules.beyond_limits(cronjob, jobs):
                await self._delete(cronjob, job)
        finally:
            if not status.get("active"):
                status.pop("active", None)
            if status != (found.get("status") or {}):
                await self.write_status(self.cronjobs, cronjob, status)

    def _note_jobs(self, cronjob: Obj, jobs: list[Obj]) -> None:
        """Record in the status which Jobs ended."""
        status = cronjob["status"]
        active = {one.get("uid") for one in status.get("active") or []}
        for job in jobs:
            uid, name = job["metadata"]["uid"], job["metadata"]["name"]
            complete = has_condition(job, "Complete")
            if not is_finished(job):
                if uid not in active:
                    text = f"Saw a job that the controller did not create or forgot: {name}"
                    self.recorder.event(cronjob, "UnexpectedJob", text, kind="Warning")
            elif uid in active:
                text = (
                    f"Saw completed job: {name}, condition: {'Complete' if complete else 'Failed'}"
                )
                self.recorder.event(cronjob, "SawCompletedJob", text)
                _forget(cronjob, uid)
            ended = job["status"].get("completionTime") if complete else None
            if ended:
                known = status.get("lastSuccessfulTime", "")
                status["lastSuccessfulTime"] = max(known, ended)

    async def _forget_missing(self, cronjob: Obj, jobs: list[Obj]) -> None:
        """Remove Jobs from the status that somebody deleted."""
        known = {job["metadata"]["uid"] for job in jobs}
        for one in list(cronjob["status"].get("active") or []):
            if one.get("uid") not in known and await self._get(cronjob, one) is None:
                text = f"Active job went missing: {one.get('name', '')}"
                self.recorder.event(cronjob, "MissingJob", text)
                _forget(cronjob, one.get("uid"))

    async def _get(self, cronjob: Obj, reference: Obj) -> Obj | None:
        """Ask the API itself for a Job: the cache may not have seen it yet."""
        namespace, name = cronjob["metadata"]["namespace"], reference.get("name")
        if not name:
            return None
        with ignored(404):
            return await self.client.get(path_of(named("jobs.batch"), namespace, name))
        return None

    async def _run(self, key: Key, cronjob: Obj) -> None:
        """Start the Job that is due, if one is, and come back for the next."""
        spec, now = cronjob["spec"], datetime.now(UTC)
        written = spec.get("schedule", "")
        try:
            reason, what = "UnknownTimeZone", f'invalid timeZone: "{spec.get("timeZone")}":'
            rules.zone_of(cronjob)
            if spec.get("suspend"):
                return
            reason, what = "UnparseableSchedule", f'unparseable schedule: "{written}" :'
            schedule = cron.parse(written)
            reason, what = "InvalidSchedule", f"invalid schedule: {written} :"
            missed = rules.missed(cronjob, schedule, now)
        except ValueError as error:
            self.recorder.event(cronjob, reason, f"{what} {error}", kind="Warning")
            return
        if missed.count > rules.MANY:
            text = (
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or"
                " check clock skew"
            )
            self.recorder.event(cronjob, "TooManyMissedTimes", text, kind="Warning")
        if missed.last and self._may_start(cronjob, missed.last, now):
            await self._start(cronjob, missed.last)
        wait = rules.seconds_to_next(cronjob, schedule, now)
        if wait < math.inf:
            self.queue.add_after(key, min(wait, _LONGEST_WAIT_SECONDS))

    def _may_start(self, cronjob: Obj, at: datetime, now: datetime) -> bool:
        status = cronjob["status"]
        active = status.get("active") or []
        if rules.is_too_late(cronjob, at, now):
            moment = email.utils.format_datetime(at)
            text = f"Missed scheduled time to start a job: {moment}"
            self.recorder.event(cronjob, "MissSchedule", text, kind="Warning")
            return False
        if any(one.get("name") == rules.job_name(cronjob, at) for one in active):
            return False
        if status.get("lastScheduleTime") == format_time(at):
            return False
        if active and cronjob["spec"].get("concurrencyPolicy") == "Forbid":
            text = "Not starting job because prior execution is running and concurrency policy is"
            self.recorder.event(cronjob, "JobAlreadyActive", f"{text} Forbid")
            return False
        return True

    async def _start(self, cronjob: Obj, at: datetime) -> None:
        status = cronjob["status"]
        if cronjob["spec"].get("concurrencyPolicy") == "Replace":
            for one in list(status.get("active") or []):
                running = await self._get(cronjob, one)
                if running is None or not await self._delete(cronjob, running):
                    raise OSError(f"could not replace job {one['name']}")
        wanted = rules.job_of(cronjob, at)
        path = path_of(named("jobs.batch"), wanted["metadata"]["namespace"])
        try:
            job = await self.client.create(path, wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                text = f"Error creating job: {error}"
                self.recorder.event(cronjob, "FailedCreate", text, kind="Warning")
                raise
            job = await self.client.get(object_path(wanted))
            mine = (controller_of(job) or {}).get("uid") == cronjob["metadata"]["uid"]
            if not mine:
                return
        else:
            name = job["metadata"]["name"]
            self.recorder.event(cronjob, "SuccessfulCreate", f"Created job {name}")
        status["active"] = [*(status.get("active") or []), rules.reference_to(job)]
        status["lastScheduleTime"] = format_time(at)

    async def _delete(self, cronjob: Obj, job: Obj) -> bool:
        """Delete a Job with its pods; return whether that was possible."""
        try:
            with ignored(404):
                await self.client.delete(object_path(job), propagationPolicy="Background")
        except ApiError as error:
            self.recorder.event(cronjob, "FailedDelete", f"Deleted job: {error}", kind="Warning")
            return False
        _forget(cronjob, job["metadata"]["uid"])
        name = job["metadata"]["name"]
        self.recorder.event(cronjob, "SuccessfulDelete", f"Deleted job {name}")
        return True


def _forget(cronjob: Obj, uid: str | None) -> None:
    """Remove a Job from the status."""
    status = cronjob["status"]
    status["active"] = [one for one in status.get("active") or [] if one.get("uid") != uid]
