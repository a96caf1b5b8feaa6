"""Cron schedules, as a CronJob's `schedule` writes them.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()
# The smallest and the largest number of each field, and names for some.
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)"
# Python's calendar ends a little later.
_LAST_YEAR = 9900


class Schedule(NamedTuple):
    """When something recurs.

    Attributes:
        fields: The minutes, hours, days, months and weekdays on which it does.
        any_day: Whether the days of the month, or those of the week, are not restricted; else
            either is enough.
        every: Where the schedule is an interval, its length.
    """

    fields: tuple[frozenset[int], ...] = ()
    any_day: bool = True
    every: timedelta | None = None

    def next(self, after: datetime, zone: tzinfo = UTC) -> datetime | None:
        """Return the first time after `after`, or None when there is none within five years."""
        if after.year > _LAST_YEAR:
            return None
        if self.every is not None:
            return after.replace(microsecond=0) + self.every
        minutes, hours, _, months, _ = self.fields
        limit = after + timedelta(days=5 * 366)
        moment = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        while moment < limit:
            local = moment.astimezone(zone)
            if local.month not in months or not self._has_day(local):
                tomorrow = local.replace(tzinfo=None, hour=0, minute=0) + timedelta(days=1)
                moment = max(tomorrow.replace(tzinfo=zone).astimezone(UTC), moment)
            elif local.hour not in hours:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in minutes:
                moment += timedelta(minutes=1)
            else:
                return moment
        return None

    def _has_day(self, local: datetime) -> bool:
        _, _, days, _, weekdays = self.fields
        found = (local.day in days, local.isoweekday() % 7 in weekdays)
        return all(found) if self.any_day else any(found)


def parse(text: str) -> Schedule:
    """Return the schedule that a text means: five fields, or a descriptor such as `@hourly`.

    Raises:
        ValueError: It means none.
    """
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@every "):
        return Schedule(every=_interval(text.removeprefix("@every ")))
    if text.startswith("@") and text not in _DESCRIPTORS:
        raise ValueError(f"unrecognized descriptor: {text}")
    parts = _DESCRIPTORS.get(text, text).split()
    if len(parts) != len(_FIELDS):
        count = len(parts)
        raise ValueError(f"expected exactly 5 fields, found {count}: [{' '.join(parts)}]")
    found = [_field(part, *limits) for part, limits in zip(parts, _FIELDS, strict=True)]
    return Schedule(tuple(numbers for numbers, _ in found), found[2][1] or found[4][1])


def _field(text: str, least: int, most: int, names: dict[str, int]) -> tuple[frozenset[int], bool]:
    """Return the numbers of a field, and whether it is not restricted."""
    ranges = [_range(part, least, most, names) for part in text.split(",") if part]
    numbers = frozenset(number for numbers, _ in ranges for number in numbers)
    return numbers, any(unrestricted for _, unrestricted in ranges)


def _range(text: str, least: int, most: int, names: dict[str, int]) -> tuple[range, bool]:
    span, *steps = text.split("/")
    first, *last = span.split("-")
    anything = first in ("*", "?")
    start, end = (least, most) if anything else (_number(first, names),) * 2
    if not anything and last:
        if len(last) > 1:
            raise ValueError(f"too many hyphens: {text}")
        end = _number(last[0], names)
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    step = _number(steps[0], {}) if steps else 1
    if steps and not last:
        end = most
    if start < least:
        raise ValueError(f"beginning of range ({start}) below minimum ({least}): {text}")
    if end > most:
        raise ValueError(f"end of range ({end}) above maximum ({most}): {text}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return range(start, end + 1, step), anything and step == 1


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        why = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ValueError(f"failed to parse int from {text}: {why}")
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _interval(text: str) -> timedelta:
    """Return an interval such as `1h30m` in whole seconds, at least one."""
    if not re.fullmatch(f"[+-]?({_DURATION})+", text) and text != "0":
        why = f'time: invalid duration "{text}"'
        raise ValueError(f"failed to parse duration @every {text}: {why}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_DURATION, text))
    return timedelta(seconds=1 if text.startswith("-") else max(1, int(seconds)))
