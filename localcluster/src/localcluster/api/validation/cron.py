"""What the server refuses about the schedule and the time zone of a CronJob.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

import re

from ...apimachinery import cron
from .part import Part


def _fault(schedule: str) -> str:
    """Return why a schedule cannot be read; nothing when it can."""
    found = re.match(r"(?:CRON_)?TZ=(\S*)\s*", schedule)
    if found and not _is_zone(found[1]):
        return f"provided bad location {found[1]}: unknown time zone {found[1]}"
    try:
        cron.parse(schedule[found.end() :] if found else schedule)
    except ValueError as error:
        return str(error)
    return ""


def _is_zone(name: str) -> bool:
    """Tell whether a time zone is known; where the machine has no data, each one is taken."""
    import zoneinfo  # few clusters have a CronJob

    known = zoneinfo.available_timezones()
    return not known or name in ("", "UTC", "Local") or name in known


def validate_schedule(spec: Part) -> None:
    """Complain about a CronJob's schedule and time zone."""
    schedule, zone = str(spec["schedule"] or ""), spec["timeZone"]
    spec.require("schedule")
    if schedule and _fault(schedule):
        spec.invalid("schedule", _fault(schedule))
    if "TZ" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        spec.invalid("schedule", why)
    if zone == "":
        spec.invalid("timeZone", "timeZone must be nil or non-empty string")
    elif str(zone).lower() == "local":
        why = "timeZone must be an explicit time zone as defined in"
        spec.invalid("timeZone", f"{why} https://www.iana.org/time-zones")
    elif zone is not None and not _is_zone(str(zone)):
        spec.invalid("timeZone", f"unknown time zone {zone}")
