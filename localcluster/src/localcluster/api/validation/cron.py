"""The schedule of a CronJob, read and refused as the real server reads and refuses it.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re
import zoneinfo

from .causes import Causes

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# The least and the greatest value of each field, and the names of its values.
_FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_NAMED = ("yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly")
_DURATION = re.compile(
    r"[-+]?(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))*|0"
)


def schedule_fault(text: str) -> str:
    """Return why a schedule cannot be read; nothing when it can."""
    found = re.match(r"(?:CRON_)?TZ=(\S*)\s*", text)
    if found:
        if not is_time_zone(found[1]):
            return f"provided bad location {found[1]}: unknown time zone {found[1]}"
        text = text[found.end() :]
    if text.startswith("@"):
        return _named_fault(text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        listed = " ".join(fields)
        return f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: [{listed}]"
    try:
        for field, limits in zip(fields, _FIELDS, strict=True):
            for part in filter(None, field.split(",")):
                _check_range(part, *limits)
    except ValueError as error:
        return str(error)
    return ""


def _named_fault(text: str) -> str:
    every = text.removeprefix("@every ")
    if every != text:
        valid = _DURATION.fullmatch(every)
        return "" if valid else f'failed to parse duration {text}: time: invalid duration "{every}"'
    return "" if text[1:] in _NAMED else f"unrecognized descriptor: {text}"


def _check_range(part: str, least: int, most: int, names: tuple[str, ...]) -> None:
    span, *steps = part.split("/")
    ends = span.split("-")
    if ends[0] in ("*", "?"):
        start, end = least, most
    else:
        start = end = _number(ends[0], least, names)
        if len(ends) > 2:
            raise ValueError(f"too many hyphens: {part}")
        if len(ends) == 2:
            end = _number(ends[1], least, names)
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {part}")
    step = _number(steps[0], 0, ()) if steps else 1
    if steps and len(ends) == 1:
        end = most
    if start < least:
        raise ValueError(f"beginning of range ({start}) below minimum ({least}): {part}")
    if end > most:
        raise ValueError(f"end of range ({end}) above maximum ({most}): {part}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {part}")


def _number(text: str, first: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + first
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        why = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ValueError(f"failed to parse int from {text}: {why}")
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def is_time_zone(name: str) -> bool:
    """Tell whether a time zone is known; where the machine has no data, each one is taken."""
    known = zoneinfo.available_timezones()
    return not known or name in ("", "UTC", "Local") or name in known


def validate_schedule(spec: dict[str, object], at: str, causes: Causes, *, old: str = "") -> None:
    """Complain about a CronJob's schedule and time zone.

    Args:
        old: The schedule so far; a `TZ=` that it had may stay.
    """
    schedule, zone = str(spec.get("schedule") or ""), spec.get("timeZone")
    if not schedule:
        causes.required(f"{at}.schedule")
    else:
        why = schedule_fault(schedule)
        if why:
            causes.invalid(f"{at}.schedule", schedule, why)
        if "TZ" in schedule and "TZ" not in old:
            why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            causes.invalid(f"{at}.schedule", schedule, why)
        elif "TZ" in schedule and zone is not None:
            why = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            causes.invalid(f"{at}.schedule", schedule, why)
    if zone == "":
        causes.invalid(f"{at}.timeZone", zone, "timeZone must be nil or non-empty string")
    elif str(zone).lower() == "local":
        why = "timeZone must be an explicit time zone as defined in"
        causes.invalid(f"{at}.timeZone", zone, f"{why} https://www.iana.org/time-zones")
    elif zone is not None and not is_time_zone(str(zone)):
        causes.invalid(f"{at}.timeZone", zone, f"unknown time zone {zone}")
