"""What is measured of the local cluster: each function does one thing and returns its samples."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .clusterlab import CONFIGMAPS, JOBS, PODS, Cluster, Connection, Failed

SLEEP = ["/bin/sleep", "300"]
# As much as a shell does to start and end: an interpreter's start would hide the cluster's part.
TRUE = ["/bin/sh", "-c", "exit 0"]
_AT = re.compile(rb'"at":"([0-9.]+)"')
_MERGE = "application/merge-patch+json"


def bare_start(command: list[str]) -> float:
    """Return the ms of a bare `subprocess.Popen`, which is over when the program runs."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - began
    process.kill()
    process.wait()
    return took * 1000


def bare_imports() -> float:
    """Return the ms of a bare interpreter that imports what any such server needs."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import tornado, ssl, yaml, json"], check=True)
    return (time.perf_counter() - began) * 1000


def bare_many(command: list[str], count: int, at_once: int) -> float:
    """Return the seconds that bare processes take, so many at once."""
    began = time.perf_counter()
    running: list[subprocess.Popen[bytes]] = []
    for _ in range(count):
        if len(running) == at_once:
            running.pop(0).wait()
        running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
    for process in running:
        process.wait()
    return time.perf_counter() - began


def _template(command: list[str]) -> dict[str, Any]:
    container = {"name": "main", "image": "python:3.11", "command": command}
    return {"restartPolicy": "Never", "containers": [container]}


def pod_starts(cluster: Cluster, count: int) -> list[float]:
    """Return the ms from creating a pod until a watch says that it is Running, one by one."""
    times = []
    with cluster.connect() as api, cluster.connect() as watching:
        version = api.ask("GET", PODS)["metadata"]["resourceVersion"]
        lines = watching.watch(f"{PODS}?resourceVersion={version}")
        for number in range(count):
            name = f"start-{number}"
            pod = {"metadata": {"name": name}, "spec": _template(SLEEP)}
            began = time.perf_counter()
            api.ask("POST", PODS, pod)
            for line in lines:
                if f'"name":"{name}"'.encode() in line and b'"phase":"Running"' in line:
                    break
            times.append((time.perf_counter() - began) * 1000)
            api.ask("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
    return times


@dataclass
class JobRun:
    """One Job from its creation to its Complete, and its deletion with all pods."""

    complete_seconds: float
    cpu_seconds: float
    memory_mb: float
    delete_seconds: float = 0.0


def run_job(cluster: Cluster, name: str, pods: int, parallelism: int) -> JobRun:
    """Run a Job to its end; its pods stay."""
    template = {"spec": _template(TRUE)}
    spec = {"completions": pods, "parallelism": parallelism, "template": template}
    job = {"metadata": {"name": name}, "spec": spec}
    with cluster.connect() as api, cluster.connect() as watching:
        version = api.ask("GET", JOBS)["metadata"]["resourceVersion"]
        lines = watching.watch(f"{JOBS}?resourceVersion={version}")
        before, began = cluster.cpu_seconds(), time.perf_counter()
        api.ask("POST", JOBS, job)
        for line in lines:
            if f'"name":"{name}"'.encode() in line and b'"type":"Complete"' in line:
                break
        took = time.perf_counter() - began
        time.sleep(0.5)  # the last events are written
        run = JobRun(took, cluster.cpu_seconds() - before, cluster.memory_mb())
        if api.ask("GET", f"{JOBS}/{name}")["status"].get("succeeded") != pods:
            raise Failed(f"not all {pods} pods of the Job {name} are counted")
    return run


def delete_job(cluster: Cluster, name: str, pods: int) -> float:
    """Return the seconds until a Job and all of its pods are gone."""
    with cluster.connect() as api, cluster.connect() as watching:
        version = api.ask("GET", PODS)["metadata"]["resourceVersion"]
        lines = watching.watch(f"{PODS}?resourceVersion={version}&labelSelector=job-name={name}")
        began = time.perf_counter()
        api.ask("DELETE", f"{JOBS}/{name}", {"propagationPolicy": "Background"})
        left = pods
        while left:
            left -= next(lines).startswith(b'{"type":"DELETED"')
        took = time.perf_counter() - began
        if api.raw("GET", f"{JOBS}/{name}")[0] != 404:
            raise Failed(f"the Job {name} is still there, its pods are gone")
    return took


def requests_per_second(
    cluster: Cluster, connections: int, seconds: float, one: Callable[[Connection, str], int]
) -> float:
    """Return how many requests are answered in a second.

    Args:
        one: sends requests, given a connection and a name of its own; returns how many.
    """
    counts = [0] * connections
    start = threading.Barrier(connections + 1)

    def work(number: int) -> None:
        with cluster.connect() as api:
            one(api, f"c{number}-first")
            start.wait()
            end = time.perf_counter() + seconds
            turn = 0
            while time.perf_counter() < end:
                counts[number] += one(api, f"c{number}-{turn}")
                turn += 1

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(connections)]
    for thread in threads:
        thread.start()
    start.wait(timeout=30)
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def get_pod(name: str) -> Callable[[Connection, str], int]:
    def one(api: Connection, _: str) -> int:
        _must(api.raw("GET", f"{PODS}/{name}"), 200)
        return 1

    return one


def list_pods(count: int) -> Callable[[Connection, str], int]:
    def one(api: Connection, _: str) -> int:
        body = _must(api.raw("GET", PODS), 200)
        if body.count(b'"containerStatuses"') < count:
            raise Failed(f"the list has fewer than {count} pods")
        return 1

    return one


def create_and_delete(api: Connection, name: str) -> int:
    """Create and delete a ConfigMap: two requests."""
    made = {"metadata": {"name": name}, "data": {"fruit": "apple"}}
    _must(api.raw("POST", CONFIGMAPS, made), 201)
    _must(api.raw("DELETE", f"{CONFIGMAPS}/{name}"), 200)
    return 2


def _must(reply: tuple[int, bytes], code: int) -> bytes:
    if reply[0] != code:
        raise Failed(f"{reply[0]} instead of {code}: {reply[1][:300].decode()}")
    return reply[1]


@dataclass
class Fanout:
    """How the changes of one object reached many watchers.

    Attributes:
        delivered_per_second: events that arrived at all watchers together, written in a rush.
        latencies_ms: from sending the write to its arrival, written with pauses.
    """

    delivered_per_second: float
    latencies_ms: list[float] = field(default_factory=list)


def fan_out(cluster: Cluster, watchers: int, rush: int, paced: int) -> Fanout:
    """Write to a ConfigMap that many watch: first with pauses, then in a rush."""
    with cluster.connect() as api:
        api.ask("POST", CONFIGMAPS, {"metadata": {"name": "watched"}})
        version = api.ask("GET", CONFIGMAPS)["metadata"]["resourceVersion"]
        path = f"{CONFIGMAPS}?resourceVersion={version}"
        latencies: list[list[float]] = [[] for _ in range(watchers)]
        ends = [0.0] * watchers
        ready = threading.Barrier(watchers + 1)

        def listen(number: int) -> None:
            with cluster.connect() as watching:
                lines = watching.watch(path)
                ready.wait()
                for _ in range(paced + rush):
                    found = _AT.search(next(lines))
                    ends[number] = time.perf_counter()
                    latencies[number].append((ends[number] - float(found[1])) * 1000)  # type: ignore[index]

        threads = [threading.Thread(target=listen, args=(n,), daemon=True) for n in range(watchers)]
        for thread in threads:
            thread.start()
        ready.wait(timeout=30)
        time.sleep(0.2)
        for _ in range(paced):
            _stamp(api)
            time.sleep(0.02)
        began = time.perf_counter()
        for _ in range(rush):
            _stamp(api)
        for thread in threads:
            thread.join(timeout=60)
        if any(len(one) != paced + rush for one in latencies):
            raise Failed("a watcher missed a change")
        api.ask("DELETE", f"{CONFIGMAPS}/watched")
    rate = watchers * rush / (max(ends) - began)
    return Fanout(rate, [ms for one in latencies for ms in one[:paced]])


def _stamp(api: Connection) -> None:
    change = {"data": {"at": f"{time.perf_counter():.6f}"}}
    _must(api.raw("PATCH", f"{CONFIGMAPS}/watched", change, _MERGE), 200)


def idle_cpu_percent(cluster: Cluster, seconds: float) -> float:
    """Return how much of one core the cluster uses while nobody asks anything of it."""
    time.sleep(3.0)  # what was begun before has come to its end
    before, began = cluster.cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    return 100 * (cluster.cpu_seconds() - before) / (time.perf_counter() - began)
