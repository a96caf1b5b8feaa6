"""Cron schedules, and the CronJob controller that follows them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from localcluster.apimachinery import cron
from localcluster.controllers import cronjobrules as rules

from .conftest import Local, job, wait_until

Kubectl = Callable[..., CompletedProcess[str]]
_MERGE = "application/merge-patch+json"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("schedule", "after", "following"),
    [
        ("* * * * *", "2024-02-28 23:59:30", "2024-02-29 00:00:00"),
        ("* * * * *", "2024-01-01 10:00:00", "2024-01-01 10:01:00"),
        ("*/20 * * * *", "2024-01-01 10:41:00", "2024-01-01 11:00:00"),
        ("5/20 * * * *", "2024-01-01 10:41:00", "2024-01-01 10:45:00"),
        ("0 9-17/4 * * *", "2024-01-01 13:00:00", "2024-01-01 17:00:00"),
        ("0,30 8 * * MON-fri", "2024-03-08 08:30:00", "2024-03-11 08:00:00"),
        ("0 0 1 feb,Aug ?", "2024-02-01 00:00:00", "2024-08-01 00:00:00"),
        ("0 0 29 2 *", "2024-02-29 00:00:00", "2028-02-29 00:00:00"),
        # Both days restricted: either is enough. One of them not: the other decides.
        ("0 0 13 * fri", "2024-03-09 00:00:00", "2024-03-13 00:00:00"),
        ("0 0 13 * fri", "2024-03-13 00:00:00", "2024-03-15 00:00:00"),
        ("0 0 */1 * fri", "2024-03-13 00:00:00", "2024-03-15 00:00:00"),
        ("0 0 */2 * fri", "2024-03-13 00:00:00", "2024-03-15 00:00:00"),
        ("@hourly", "2024-01-01 10:00:00", "2024-01-01 11:00:00"),
        ("@weekly", "2024-03-13 00:00:00", "2024-03-17 00:00:00"),
        ("@annually", "2024-03-13 00:00:00", "2025-01-01 00:00:00"),
        ("@every 1h30m", "2024-01-01 10:00:10.5", "2024-01-01 11:30:10"),
        ("@every 10ms", "2024-01-01 10:00:00", "2024-01-01 10:00:01"),
        ("59 23 31 2 *", "2024-01-01 10:00:00", ""),
    ],
)
def test_when_a_schedule_is_due_next(schedule: str, after: str, following: str) -> None:
    assert cron.parse(schedule).next(_at(after)) == (_at(following) if following else None)


@pytest.mark.parametrize(
    ("schedule", "after", "following"),
    [
        ("0 9 * * *", "2024-01-01 08:00:00", "2024-01-02 08:00:00"),
        ("0 9 * * *", "2024-07-01 06:59:00", "2024-07-01 07:00:00"),
        # The clock goes from 2:00 to 3:00 that night, and has no 2:30.
        ("30 2 * * *", "2024-03-30 12:00:00", "2024-04-01 00:30:00"),
        ("0 0 1 * *", "2024-03-31 12:00:00", "2024-03-31 22:00:00"),
    ],
)
def test_a_schedule_in_a_time_zone(schedule: str, after: str, following: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert cron.parse(schedule).next(_at(after), zone) == _at(following)


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("", "empty spec string"),
        ("every 5 minutes", "expected exactly 5 fields, found 3: [every 5 minutes]"),
        ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        (
            "* * * * someday",
            'failed to parse int from someday: strconv.Atoi: parsing "someday": invalid syntax',
        ),
        ("@noon", "unrecognized descriptor: @noon"),
        ("@every day", 'failed to parse duration @every day: time: invalid duration "day"'),
    ],
)
def test_what_is_no_schedule(schedule: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        cron.parse(schedule)
    assert str(refused.value) == why


def _cronjob(schedule: str = "*/10 * * * *", last: str = "", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "c",
            "namespace": "default",
            "uid": "1",
            "creationTimestamp": "2024-01-01T10:05:00Z",
        },
        "spec": {"schedule": schedule, "jobTemplate": {"spec": {}}, **spec},
        "status": {"lastScheduleTime": last} if last else {},
    }


@pytest.mark.parametrize(
    ("cronjob", "now", "due", "count", "wait"),
    [
        (_cronjob(), "10:09:00", "", 0, 60),
        (_cronjob(), "10:10:00", "10:10", 1, 600),
        (_cronjob(), "10:15:00", "10:10", 1, 300),
        (_cronjob(), "10:45:00", "10:40", 4, 300),
        (_cronjob(last="2024-01-01T10:40:00Z"), "10:45:00", "", 0, 300),
        (_cronjob(last="2024-01-01T10:30:00Z"), "10:45:00", "10:40", 1, 300),
        (_cronjob(startingDeadlineSeconds=200), "10:45:00", "", 0, 300),
        (_cronjob(startingDeadlineSeconds=400), "10:45:00", "10:40", 1, 300),
        (_cronjob("@every 7m"), "10:45:00", "10:40", 5, 120),
        # The times are not at equal distances.
        (_cronjob("0,50 * * * *"), "13:55:00", "13:50", 1, 300),
        (_cronjob("* * * * *"), "12:00:30", "12:00", 115, 30),
    ],
)
def test_which_runs_are_due(
    cronjob: dict[str, Any], now: str, due: str, count: int, wait: float
) -> None:
    moment, schedule = _at(f"2024-01-01 {now}"), cron.parse(cronjob["spec"]["schedule"])
    found = rules.missed(cronjob, schedule, moment)
    assert found.last == (_at(f"2024-01-01 {due}:00") if due else None)
    if "0,50" not in cronjob["spec"]["schedule"]:
        assert found.count == count
    # Timers get a little more, since they may be early.
    assert rules.seconds_to_next(cronjob, schedule, moment) == pytest.approx(wait + 0.1)


def test_a_schedule_without_times_is_invalid() -> None:
    schedule = cron.parse("59 23 31 2 *")
    with pytest.raises(ValueError, match="time difference between two schedules is less than"):
        rules.missed(_cronjob(), schedule, _at("2024-01-01 12:00:00"))


def test_a_zone_that_is_not_there() -> None:
    assert rules.zone_of(_cronjob()) is UTC
    for name in ("Nowhere/Land", "../etc/passwd", "Europe"):
        with pytest.raises(ValueError, match=f"unknown time zone {name}"):
            rules.zone_of(_cronjob(timeZone=name))


def test_the_job_of_a_run() -> None:
    template = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"x": 1}}
    cronjob = _cronjob(jobTemplate=template, timeZone="Asia/Kolkata")
    made = rules.job_of(cronjob, _at("2024-01-01 10:10:00"))
    assert made["metadata"] == {
        "name": "c-28401730",
        "namespace": "default",
        "labels": {"a": "b"},
        "annotations": {
            "c": "d",
            "batch.kubernetes.io/cronjob-scheduled-timestamp": "2024-01-01T15:40:00+05:30",
        },
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": "c",
                "uid": "1",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert made["spec"] == {"x": 1}
    made = rules.job_of(_cronjob(jobTemplate=template), _at("2024-01-01 10:10:00"))
    assert made["metadata"]["annotations"][rules.SCHEDULED] == "2024-01-01T10:10:00Z"


def test_how_many_ended_jobs_are_kept() -> None:
    def ended(name: str, kind: str, minute: int) -> dict[str, Any]:
        status = {
            "startTime": f"2024-01-01T10:{minute:02}:00Z",
            "conditions": [{"type": kind, "status": "True"}],
        }
        return {"metadata": {"name": name}, "status": status}

    jobs = [
        ended("a", "Complete", 3),
        ended("b", "Complete", 1),
        ended("c", "Failed", 2),
        ended("d", "Complete", 2),
        {"metadata": {"name": "runs"}, "status": {}},
    ]
    limits = {"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0}
    surplus = rules.beyond_limits(_cronjob(**limits), jobs)
    assert [job["metadata"]["name"] for job in surplus] == ["b", "d", "c"]
    assert rules.beyond_limits(_cronjob(), jobs) == []


def _path(ns: str, *parts: str) -> str:
    return "/".join(("/apis/batch/v1/namespaces", ns, "cronjobs", *parts))


def _create(local: Local, ns: str, schedule: str, *command: str, **spec: Any) -> None:
    template = {"metadata": {"labels": {"made": "by-cron"}}, "spec": job("x", *command)["spec"]}
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "c"},
        "spec": {"schedule": schedule, "jobTemplate": template, **spec},
    }
    reply = local.request("POST", _path(ns), body)
    assert (reply.code, reply.headers.get("warning")) == (201, None)


def _was_due(local: Local, ns: str, **status: Any) -> None:
    """Let the CronJob see that it should have run since its last run, hours ago."""
    before = datetime.now(UTC) - timedelta(hours=5)
    status["lastScheduleTime"] = before.strftime("%Y-%m-%dT%H:%M:%SZ")
    reply = local.request("PATCH", _path(ns, "c", "status"), {"status": status}, _MERGE)
    assert reply.code == 200


def _jobs(local: Local, ns: str) -> list[str]:
    return [found.metadata.name for found in local.batch.list_namespaced_job(ns).items]


def _status(local: Local, ns: str) -> dict[str, Any]:
    found: dict[str, Any] = local.request("GET", _path(ns, "c")).json["status"]
    return found


def _events(local: Local, ns: str) -> dict[str, str]:
    listed = local.core.list_namespaced_event(ns, field_selector="involvedObject.name=c").items
    return {event.reason: event.message for event in listed}


def test_a_cronjob_runs_its_job_and_goes_with_it(local: Local, ns: str, kubectl: Kubectl) -> None:
    _create(local, ns, "@every 1s", "true")
    wait_until(lambda: "lastSuccessfulTime" in _status(local, ns))
    local.request("PATCH", _path(ns, "c"), {"spec": {"suspend": True}}, _MERGE)
    status = wait_until(lambda: (s := _status(local, ns)).get("active") is None and s)
    assert set(status) == {"lastScheduleTime", "lastSuccessfulTime"}
    name = _jobs(local, ns)[0]
    found = local.batch.read_namespaced_job(name, ns).metadata
    assert found.labels["made"] == "by-cron"
    assert rules.SCHEDULED in found.annotations
    events = wait_until(lambda: "SawCompletedJob" in (e := _events(local, ns)) and e)
    assert events["SuccessfulCreate"].startswith("Created job c-")
    assert events["SawCompletedJob"] == f"Saw completed job: {name}, condition: Complete"
    assert kubectl("get", "cj", "c").stdout.split()[-7:-2] == [
        "@every",
        "1s",
        "<none>",
        "True",
        "0",
    ]
    # What somebody makes of it is its own, too.
    kubectl("create", "job", "by-hand", "--from=cronjob/c")
    wait_until(lambda: "UnexpectedJob" in _events(local, ns))
    kubectl("delete", "cronjob", "c")
    wait_until(lambda: _jobs(local, ns) == [])


def test_a_missed_run_is_made_up_for(local: Local, ns: str) -> None:
    _create(local, ns, "@hourly", "sleep", "60")
    _was_due(local, ns)
    status = wait_until(lambda: (s := _status(local, ns)).get("active") and s)
    [name] = _jobs(local, ns)
    minutes = rules.parse_time(status["lastScheduleTime"]).timestamp() / 60
    assert name == f"c-{minutes:.0f}"
    [active] = status["active"]
    assert (active["kind"], active["name"], active["apiVersion"]) == ("Job", name, "batch/v1")
    local.batch.delete_namespaced_job(name, ns, propagation_policy="Background")
    wait_until(lambda: "active" not in _status(local, ns))
    wait_until(lambda: _events(local, ns).get("MissingJob") == f"Active job went missing: {name}")


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
def test_while_one_job_still_runs(local: Local, ns: str, policy: str) -> None:
    _create(local, ns, "@hourly", "sleep", "60", concurrencyPolicy=policy, suspend=True)
    cronjob = local.request("GET", _path(ns, "c")).json
    running = rules.job_of(cronjob, _at("2024-01-01 10:00:00"))
    created = local.request("POST", f"/apis/batch/v1/namespaces/{ns}/jobs", running).json
    before = created["metadata"]["name"]
    _was_due(local, ns, active=[rules.reference_to(created)])
    local.request("PATCH", _path(ns, "c"), {"spec": {"suspend": False}}, _MERGE)
    if policy == "Forbid":
        text = (
            "Not starting job because prior execution is running and concurrency policy is Forbid"
        )
        wait_until(lambda: _events(local, ns).get("JobAlreadyActive") == text)
        assert _jobs(local, ns) == [before]
        return
    wait_until(lambda: len(set(_jobs(local, ns)) - {before}) == 1)
    wait_until(lambda: (before in _jobs(local, ns)) == (policy == "Allow"))
    count = 2 if policy == "Allow" else 1
    wait_until(lambda: len(_status(local, ns).get("active") or []) == count)


def test_a_run_whose_deadline_is_over_is_left_out(local: Local, ns: str) -> None:
    half_an_hour_ago = datetime.now(UTC) - timedelta(minutes=30)
    schedule = f"{half_an_hour_ago.minute} * * * *"
    _create(local, ns, schedule, "sleep", "60", startingDeadlineSeconds=60)
    _was_due(local, ns)
    cronjob = local.request("GET", _path(ns, "c")).json
    by_hand = rules.job_of(cronjob, _at("2024-01-01 10:00:00"))
    local.request("POST", f"/apis/batch/v1/namespaces/{ns}/jobs", by_hand)
    wait_until(lambda: "UnexpectedJob" in _events(local, ns))
    assert _jobs(local, ns) == [by_hand["metadata"]["name"]]
    local.request("PATCH", _path(ns, "c"), {"spec": {"startingDeadlineSeconds": None}}, _MERGE)
    wait_until(lambda: len(_jobs(local, ns)) == 2)


def test_only_the_latest_jobs_are_kept(local: Local, ns: str) -> None:
    _create(local, ns, "@yearly", "true", successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0)
    cronjob = local.request("GET", _path(ns, "c")).json
    for hour, command in ((1, "true"), (2, "true"), (3, "false")):
        made = rules.job_of(cronjob, _at(f"2024-01-01 0{hour}:00:00"))
        made["spec"]["backoffLimit"] = 0
        made["spec"]["template"]["spec"]["containers"][0]["command"] = [command]
        local.request("POST", f"/apis/batch/v1/namespaces/{ns}/jobs", made)
        name = made["metadata"]["name"]
        if command == "true":
            wait_until(lambda name=name: local.batch.read_namespaced_job(name, ns).status.succeeded)
    wait_until(lambda: len(_jobs(local, ns)) == 1)
    [left] = _jobs(local, ns)
    assert left == rules.job_name(cronjob, _at("2024-01-01 02:00:00"))
