"""How fast the local cluster starts and works, and what it costs while it does.

    python benchmarks/localcluster.py [--json] [--quick] [--rounds N] [--pods N] [--nodes N]

Each round has a cluster of its own in a new folder. It is booted from a fresh process, several
times; then it runs three Jobs of 200 pods, 50 at once, and is idle; then pods are started one by
one, requests are sent over one connection and over four, and 20 watchers follow one object. A
figure is the median over all rounds, with the 95th percentile where there are samples enough.
Pods run `/bin/sleep` and a shell that exits, not an interpreter, so that what is seen is the
cluster's part; the same commands under a bare `subprocess.Popen` stand beside them. The bars never
change the exit code; a cluster that does not do its work does.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys
from pathlib import Path

# Beside this file lies one with the name of a module of the standard library.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != _HERE]
sys.path.insert(0, str(_HERE.parent))

import argparse
import json
import os
import platform
import signal
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import clusterfigures as figures
from benchmarks import clusterreport as report
from benchmarks.clusterlab import PODS, Cluster, Failed

_WATCHERS = 20


@dataclass(frozen=True)
class Amounts:
    """How much of everything is done in a round."""

    first_boots: int
    boots: int
    pods: int
    seconds: float
    rush: int
    idle_seconds: float
    job_pods: int = 200


FULL = Amounts(first_boots=7, boots=14, pods=40, seconds=1.0, rush=300, idle_seconds=10.0)
QUICK = Amounts(first_boots=2, boots=3, pods=10, seconds=0.2, rush=60, idle_seconds=2.0)


def main() -> int:
    """Measure and print."""
    options = _options()
    began, busy = time.monotonic(), os.getloadavg()[0]
    amounts = replace(QUICK if options.quick else FULL, job_pods=options.pods)
    samples: dict[str, list[float]] = defaultdict(list)
    try:
        for number in range(options.rounds):
            _round(amounts, options.nodes, samples)
            _say(f"round {number + 1} of {options.rounds}: {time.monotonic() - began:.0f} s")
    except Failed as error:
        _say(f"The cluster does not do its work: {error}")
        return 1
    result = _result(samples) | {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(busy, 2),
        "quick": options.quick,
        "job_pods": options.pods,
        "nodes": options.nodes,
        "rounds": options.rounds,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(result) if options.json else report.text(result))
    return 0


def _round(amounts: Amounts, nodes: int, samples: dict[str, list[float]]) -> None:
    for _ in range(amounts.first_boots):
        with Cluster(nodes) as cluster:
            samples["first_boot_ms"].append(cluster.boot()["answered"])
    with Cluster(nodes) as cluster:
        cluster.boot()
        for _ in range(amounts.boots):
            cluster.stop()
            times = cluster.boot()
            samples["boot_ms"].append(times["answered"])
            samples["boot_kubeconfig_ms"].append(times["usable"])
            samples["boot_process_ms"].append(times["process"])
            samples["imports_ms"].append(figures.bare_imports())
        _jobs(cluster, amounts, samples)
        samples["idle_cpu_percent"].append(figures.idle_cpu_percent(cluster, amounts.idle_seconds))
        samples["pod_start_ms"] += figures.pod_starts(cluster, amounts.pods)
        samples["popen_ms"] += [figures.bare_start(figures.SLEEP) for _ in range(amounts.pods)]
        fanout = figures.fan_out(cluster, _WATCHERS, amounts.rush, amounts.rush // 3)
        samples["fanout_events_per_second"].append(fanout.delivered_per_second)
        samples["fanout_latency_ms"] += fanout.latencies_ms


def _jobs(cluster: Cluster, amounts: Amounts, samples: dict[str, list[float]]) -> None:
    """Run three Jobs, and send requests while the pods of the last are there."""
    samples["memory.at_start"].append(cluster.memory_mb())
    pods = amounts.job_pods
    for name, after in (("j1", "one_job"), ("j2", "two_jobs"), ("j3", "three_jobs")):
        run = figures.run_job(cluster, name, pods, pods // 4)
        samples["job_seconds"].append(run.complete_seconds)
        samples["job_cpu_seconds"].append(run.cpu_seconds)
        samples[f"memory.after_{after}"].append(run.memory_mb)
        samples["popen_job_seconds"].append(figures.bare_many(figures.TRUE, pods, pods // 4))
        if name == "j3":
            _requests(cluster, amounts, samples)
        samples["delete_seconds"].append(figures.delete_job(cluster, name, pods))


def _requests(cluster: Cluster, amounts: Amounts, samples: dict[str, list[float]]) -> None:
    with cluster.connect() as api:
        name = api.ask("GET", f"{PODS}?limit=1")["items"][0]["metadata"]["name"]
    kinds = {
        "get_pod": figures.get_pod(name),
        "create_delete_configmap": figures.create_and_delete,
        f"list_{amounts.job_pods}_pods": figures.list_pods(amounts.job_pods),
    }
    for kind, one in kinds.items():
        for connections in (1, 4):
            rate = figures.requests_per_second(cluster, connections, amounts.seconds, one)
            samples[f"requests.{kind}.{connections}"].append(rate)


def _result(samples: dict[str, list[float]]) -> dict[str, Any]:
    result: dict[str, Any] = {"memory_mb": {}, "requests_per_second": defaultdict(dict)}
    for name, values in samples.items():
        first, _, rest = name.partition(".")
        if first == "memory":
            result["memory_mb"][rest] = round(statistics.median(values), 1)
        elif first == "requests":
            kind, _, connections = rest.partition(".")
            result["requests_per_second"][kind][connections] = report.spread(values)
        else:
            result[name] = report.spread(values)
    result["ratio_to_popen"] = {
        "pod_start": _ratio(samples["pod_start_ms"], samples["popen_ms"]),
        "job": _ratio(samples["job_seconds"], samples["popen_job_seconds"]),
    }
    result["boot_ratio"] = {"median": _ratio(samples["boot_process_ms"], samples["imports_ms"])}
    result["commands"] = f"pods run {' '.join(figures.SLEEP)}, the Job {' '.join(figures.TRUE)}"
    result["bars"] = report.bars(result)
    return result


def _ratio(ours: list[float], bare: list[float]) -> float:
    return round(statistics.median(ours) / statistics.median(bare), 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="less of everything, in about 20 s")
    parser.add_argument("--rounds", type=int, help="default: 3; with --quick 1")
    parser.add_argument("--pods", type=int, default=200, help="pods of a Job, a quarter at once")
    parser.add_argument("--nodes", type=int, default=1, help="of the cluster; default: %(default)s")
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 1 if options.quick else 3
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if options.pods < 4:
        parser.error("--pods must be 4 or more")
    return options


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)  # so that the cluster is stopped
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _say("Interrupted; the cluster is stopped.")
        sys.exit(130)
