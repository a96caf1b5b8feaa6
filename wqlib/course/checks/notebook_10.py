"""The checks of notebook 10, To production."""

from __future__ import annotations

import base64
import contextlib
import copy
import itertools
import random
import secrets
import time
from collections.abc import Iterator
from typing import Any

import redis

from ...cluster import Cluster
from ...errors import RedisRefused
from ...queue import WorkQueue
from ...queue.items import Stats
from ..verbs import build_worker, folder, reach_redis
from .answers import Answers, Blank, Wrong
from .exercise import exercise, fault
from .plain import counted, shown

WORDS = ("dead", "stuck", "expiring")

ORDERS, DONE, WAITING = "orders", 100, 6
_RESULT = "x" * 10_000
_ROOM = 300_000  # bytes that Redis has left when somebody begins to use it as a cache
_PROBE = "wqlib-check"
_PROBES = f"{_PROBE}:1", f"{_PROBE}:2"


@exercise("10-1", "When to wake somebody")
def alarms(answers: Answers) -> str:
    """Try `alarms` with a real queue, and with numbers of our own that are easy to get wrong."""
    for before, now in _of_a_queue(answers.login):
        _judge_alarms(answers, before, now)
    for number in range(60):
        _judge_alarms(answers, *_two_moments(number))
    return "it wakes you when it should, and lets you sleep when it may."


def _judge_alarms(answers: Answers, before: Stats, now: Stats) -> None:
    given = copy.copy(before), copy.copy(now)  # theirs to change
    said = answers.call("alarms", *given, returns=(set, list))
    if len(said) != len(set(said)) or set(said) - set(WORDS):
        raise Wrong(f"it returned {shown(said)}. Use each of {', '.join(map(repr, WORDS))} once.")
    for word, (wanted, seen) in _right(before, now).items():
        if (word in said) != wanted:
            verb = "should be" if wanted else "should not be"
            raise Wrong(f"{seen}: {word!r} {verb} in the list.")


def _of_a_queue(login: dict[str, Any]) -> Iterator[tuple[Stats, Stats]]:
    """Play a queue through: empty, waiting for workers, moving on, and with a dead item."""
    with WorkQueue(_PROBE, worker="check", max_attempts=1, **login) as queue:
        queue.clear()
        try:
            moments = [queue.stats()]
            queue.put(["a", "b", "c"])
            moments.append(queue.stats())
            for end in (queue.complete, queue.fail):
                if lease := queue.lease():
                    end(lease)
                moments.append(queue.stats())
        finally:
            queue.clear()
    yield from itertools.pairwise(moments)
    yield moments[-1], moments[-1]  # the dead item is an old one now


def _two_moments(number: int) -> tuple[Stats, Stats]:
    """Return stats of five minutes ago and of now; the first are cases that are easy to miss."""
    old = {"put": 2000, "pending": 500, "leased": 2, "leases": 1000, "done": 900, "dead": 0}
    old |= {"expired": 90, "released": 0, "failed": 0}
    grown = [
        {"done": 100, "leases": 100},  # well
        {"done": 0, "leases": 0, "pending": -500},  # idle: nothing to do
        {"done": 0, "leases": 4, "pending": 0},  # stuck
        {"done": 0, "leases": 4, "pending": -499},  # stuck with a single item
        {"done": 80, "leases": 100, "expired": 11},  # expiring now, though few on the whole
        {"done": 100, "leases": 100, "expired": 10},  # a tenth is not more than a tenth
        {"done": 50, "leases": 50, "dead": 1},
        {"done": 0, "leases": 20, "expired": 20, "dead": 3},  # all three
    ]
    if number < len(grown):
        change = grown[number]
    else:
        leases = random.randint(0, 60)
        old["dead"] = random.choice([0, 0, 2])
        change = {
            "leases": leases,
            "done": random.choice([0, leases // 2]),
            "expired": random.randint(0, leases // 4),
            "dead": random.choice([-old["dead"], 0, 1]),
            "pending": random.choice([-500, 0, 20]),
        }
    new = {key: value + change.get(key, 0) for key, value in old.items()}
    return Stats(**old, at=0.0), Stats(**new, at=0.0)


def _right(before: Stats, now: Stats) -> dict[str, tuple[bool, str]]:
    """Return for each word whether it should be in the list, and what shows that."""
    done, leases = now.done - before.done, now.leases - before.leases
    expired = now.expired - before.expired
    return {
        "dead": (
            now.dead > 0,
            f"{counted(now.dead, 'item is', 'items are')} dead, and {before.dead} before",
        ),
        "stuck": (
            now.pending > 0 and not done,
            f"{counted(now.pending, 'item is', 'items are')} pending, and {done} were done",
        ),
        "expiring": (
            10 * expired > leases,
            f"{expired} leases expired of {leases} given out since `before`",
        ),
    }


# -- a Redis that is full


@fault("10-2")
def full(cluster: Cluster) -> str:
    """Let Redis throw out what was not used for longest, and somebody fill it with other things."""
    with _client(reach_redis(cluster)) as client, _orders(client) as queue:
        queue.put(range(2 * DONE))
        for _ in range(DONE):
            if lease := queue.lease():
                queue.complete(lease, _RESULT)
        client.config_set("maxmemory", client.info("memory")["used_memory"] + _ROOM)
        client.config_set("maxmemory-samples", 64)  # the oldest of all its keys, not of a few
        client.config_set("maxmemory-policy", "allkeys-lru")
        while queue.results():
            time.sleep(1.1)  # Redis tells the ages of keys in seconds
            for number in range(2 * DONE):
                client.set(f"cache:{number}", _RESULT)
    return (
        f"{2 * DONE} orders were put in the queue `{ORDERS}`, and {DONE} were done. A moment later "
        "`results()` has none of their results, and nobody has cleared the queue."
    )


@contextlib.contextmanager
def _orders(client: Any) -> Iterator[WorkQueue]:
    """Give the queue of the orders in a Redis without limits and without old caches."""
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 0)
    for key in list(client.scan_iter("cache:*", count=1000)):
        client.delete(key)
    settings = client.connection_pool.connection_kwargs
    login = {name: settings[name] for name in ("host", "port", "password")}
    with WorkQueue(ORDERS, **login) as queue:
        queue.clear()
        yield queue


@exercise("10-2", "The results that vanished")
def never_forgets(answers: Answers) -> str:
    """Check that Redis keeps what it has when it is full, and is not full."""
    with _client(answers.login) as client:
        return _is_not_full(client)


def _is_not_full(client: Any) -> str:
    policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    limit = int(client.config_get("maxmemory")["maxmemory"])
    if limit and policy.startswith("allkeys-"):
        if limit < client.info("memory")["used_memory"] + 2 * _ROOM and policy == "allkeys-lru":
            raise Blank(
                "Redis is as it was set up, and will forget more. What does it do when it is full?"
            )
        raise Wrong(
            f"with `maxmemory-policy {policy}` Redis still throws keys out when its {limit >> 20} "
            "MB are full, later perhaps. Which policy throws nothing out?"
        )
    try:
        for name in _PROBES:  # one too many is taken
            client.set(name, "x" * _ROOM)
    except redis.OutOfMemoryError:
        raise Wrong(
            "Redis forgets nothing now, and is full: it refuses new items, too. Give it more room "
            "with `maxmemory`, or take something out that is no queue: see `client.keys()`."
        ) from None
    finally:
        client.delete(*_PROBES)
    return "a full Redis refuses what is new, and keeps what it has; and it has room."


# -- a password that was changed


@fault("10-3")
def rotated(cluster: Cluster) -> str:
    """Change the password in the Secret, and leave that of Redis as it is; then start workers."""
    build_worker(cluster)
    cluster.delete("deployment/endless", grace_seconds=0)
    _until_gone(cluster)
    login = reach_redis(cluster)
    with _client(login) as client, contextlib.suppress(redis.AuthenticationError):
        client.config_set("maxmemory", 0)
        with WorkQueue("job2", **login) as queue:
            queue.clear()
            queue.put(["0.1"] * WAITING)
        password = base64.b64encode(secrets.token_urlsafe(24).encode()).decode()
        patch = {"data": {"password": password}}
        cluster.core.patch_namespaced_secret("redis", cluster.namespace, patch)
    cluster.apply(folder() / "manifests" / "endless.yaml")
    _until(lambda: any("Error" in pod.reason or pod.restarts for pod in _pods(cluster)))
    return (
        f"the password in the Secret `redis` was changed today. {WAITING} items wait in job2, and "
        "the pods of the Deployment `endless` end as soon as they have started."
    )


@exercise("10-3", "Nobody can log in")
def logs_in(answers: Answers) -> str:
    """Check that Redis takes the password of the Secret, and that pods have done the six items."""
    queue = answers.queue()
    try:
        queue.stats()
    except RedisRefused as error:
        if "password" not in str(error):
            raise
        raise Blank("Redis does not take the password that the Secret has.") from None
    cluster = answers.cluster
    if answers.find("deployment/endless") is None:
        raise Wrong("there is no Deployment `endless` any more. Apply `manifests/endless.yaml`.")
    if not queue.stats().put:
        raise Wrong(
            "Redis takes the new password, and the six items are gone: it was restarted, and has "
            "no file. Run the cell that broke it again; this time let it run on."
        )
    _until(lambda: queue.drained())
    if not queue.drained():
        states = ", ".join(f"{pod.phase} {pod.reason}".strip() for pod in _pods(cluster)) or "none"
        raise Wrong(
            "Redis takes the password of the Secret now, and after 40 s items still wait. The pods "
            f"of `endless`: {states}. A pod in CrashLoopBackOff waits longer and longer: delete "
            "it, and another starts at once."
        )
    done = [event for event in queue.events() if event.kind == "complete"]
    if len(done) < WAITING or not all(event.worker.startswith("endless-") for event in done):
        raise Wrong(
            f"the pods of `endless` should do the {WAITING} items. Run the cell that broke it "
            "again, and leave the work to the pods."
        )
    return "Redis and the pods have the same password, and all items are done."


def _pods(cluster: Cluster) -> list[Any]:
    return [pod for pod in cluster.pods() if pod.name.startswith("endless-")]


def _until(true: Any, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)


def _until_gone(cluster: Cluster) -> None:
    _until(lambda: not _pods(cluster))


@contextlib.contextmanager
def _client(login: dict[str, Any]) -> Iterator[Any]:
    """Give a client of Redis whose answers are text."""
    with redis.Redis(decode_responses=True, **login) as client:
        yield client
