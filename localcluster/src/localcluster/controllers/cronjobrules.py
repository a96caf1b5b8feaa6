"""The rules of the CronJob controller: pure functions of a CronJob, its Jobs and the time.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from ..apimachinery.cron import Schedule
from ..apimachinery.jsontypes import Obj, deep_copy, owner_reference, parse_time
from .podstate import has_condition

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# With more missed times than this, something is wrong with a clock or a deadline.
MANY = 100
# A moment later than the schedule says, since timers may be early.
_DELTA = timedelta(milliseconds=100)


@dataclass(frozen=True)
class Missed:
    """The times at which a CronJob should have run since a moment, and did not.

    Attributes:
        since: The moment: of its last run, or its creation.
        last: The last of them, or None.
        count: About how many there are.
    """

    since: datetime
    last: datetime | None = None
    count: int = 0


def zone_of(cronjob: Obj) -> tzinfo:
    """Return the time zone of the schedule; UTC unless the CronJob names one.

    Raises:
        ValueError: There is no such zone.
    """
    name = cronjob["spec"].get("timeZone")
    from zoneinfo import ZoneInfo  # few clusters have a CronJob, and fewer a time zone

    try:
        return ZoneInfo(name) if name else UTC
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"unknown time zone {name}") from error


def missed(cronjob: Obj, schedule: Schedule, now: datetime, *, deadline: bool = True) -> Missed:
    """Return the runs that are due.

    Args:
        deadline: Leave out those whose `startingDeadlineSeconds` is over.

    Raises:
        ValueError: The schedule has no times.
    """
    zone, limit = zone_of(cronjob), cronjob["spec"].get("startingDeadlineSeconds")
    last_run = (cronjob.get("status") or {}).get("lastScheduleTime")
    since = parse_time(last_run or cronjob["metadata"]["creationTimestamp"])
    if deadline and limit is not None:
        since = max(since, now - timedelta(seconds=limit))
    first = schedule.next(since, zone)
    second = schedule.next(first, zone) if first else None
    if first is None or second is None:
        raise ValueError("time difference between two schedules is less than 1 second")
    if now < first:
        return Missed(since)
    if now < second:
        return Missed(since, first, 1)
    step = (second - first).total_seconds()
    count = int((now - first).total_seconds() // step) + 1
    # One step back: the times need not be at equal distances.
    last, moment = None, schedule.next(first + timedelta(seconds=(count - 2) * step), zone)
    while moment is not None and moment <= now:
        last, moment = moment, schedule.next(moment, zone)
    return Missed(since, last, count)


def seconds_to_next(cronjob: Obj, schedule: Schedule, now: datetime) -> float:
    """Return how long it is until the CronJob has to run again."""
    found = missed(cronjob, schedule, now, deadline=False)
    since = found.last or (now if found.count else found.since)
    following = schedule.next(since, zone_of(cronjob))
    return math.inf if following is None else (following + _DELTA - now).total_seconds()


def is_too_late(cronjob: Obj, at: datetime, now: datetime) -> bool:
    """Tell whether a run may not start any more."""
    deadline = cronjob["spec"].get("startingDeadlineSeconds")
    return deadline is not None and at + timedelta(seconds=deadline) < now


def job_name(cronjob: Obj, at: datetime) -> str:
    """Return the name of the Job of one run, which no two runs share."""
    return f"{cronjob['metadata']['name']}-{int(at.timestamp()) // 60}"


def job_of(cronjob: Obj, at: datetime) -> Obj:
    """Return the Job of the run that was due at a time."""
    template = cronjob["spec"]["jobTemplate"]
    metadata = template.get("metadata") or {}
    moment = at.astimezone(zone_of(cronjob)).isoformat(timespec="seconds")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(cronjob, at),
            "namespace": cronjob["metadata"]["namespace"],
            "labels": dict(metadata.get("labels") or {}),
            "annotations": {
                **(metadata.get("annotations") or {}),
                SCHEDULED: moment.replace("+00:00", "Z"),
            },
            "ownerReferences": [owner_reference(cronjob)],
        },
        "spec": deep_copy(template["spec"]),
    }


def reference_to(job: Obj) -> Obj:
    """Return how the status of a CronJob names a Job."""
    metadata = job["metadata"]
    named = {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")}
    return {"kind": job["kind"], **named, "apiVersion": job["apiVersion"]}


def beyond_limits(cronjob: Obj, jobs: list[Obj]) -> list[Obj]:
    """Return the finished Jobs that the CronJob does not want to keep, the oldest first."""
    limits = (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit"))
    surplus: list[Obj] = []
    for kind, field in limits:
        limit = cronjob["spec"].get(field)
        ended = [job for job in jobs if has_condition(job, kind)]
        ended.sort(key=lambda job: (job["status"].get("startTime", "9"), job["metadata"]["name"]))
        if limit is not None:
            surplus += ended[: max(0, len(ended) - limit)]
    return surplus
