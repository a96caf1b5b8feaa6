"""From what was measured of the local cluster to figures, bars and tables. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# figure, part of it, bar (all are upper bounds, not reached), unit, what it is
BARS: tuple[tuple[str, str, float, str, str], ...] = (
    ("boot_ratio", "median", 2.5, "x", "that process to a bare one that imports a server's parts"),
    ("boot_ms", "p95", 400, "ms", "ensure() in a fresh process until a request is answered"),
    ("first_boot_ms", "p95", 400, "ms", "the same where no cluster has been before"),
    ("pod_start_ms", "p95", 100, "ms", "a pod from its creation to Running"),
    ("job_seconds", "median", 2.0, "s", "that Job, a quarter of its pods at once, to Complete"),
    ("memory_mb", "after_one_job", 70, "MB", "daemon and reaper after that Job, its pods kept"),
    ("idle_cpu_percent", "median", 0.5, "%", "of one core, while nobody asks anything"),
)


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Return median, p95 (by nearest rank), least and most of the samples, and their number."""
    ranked = sorted(samples)
    return {
        "median": round(statistics.median(ranked), 3),
        "p95": round(ranked[math.ceil(0.95 * len(ranked)) - 1], 3),
        "min": round(ranked[0], 3),
        "max": round(ranked[-1], 3),
        "samples": len(ranked),
    }


def bars(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each bar with its figure, and whether it is met."""
    lines = []
    for figure, part, bar, unit, about in BARS:
        value = result[figure][part]
        lines.append(
            {
                "figure": f"{figure}.{part}",
                "value": value,
                "bar": bar,
                "unit": unit,
                "verdict": "met" if value < bar else "short",
                "about": about,
            }
        )
    return lines


def text(result: Mapping[str, Any]) -> str:
    """The result for people."""
    busy = f"load {result['load_before']}"
    lines = [
        f"The local cluster on {result['machine']} ({busy}), Python {result['python']}",
        f"{result['rounds']} rounds in {result['seconds']} s, nodes: {result['nodes']}",
        "",
        f"{'':38}{'median':>10}{'p95':>10}{'most':>10}  of",
    ]
    lines += [
        _line(title.format(**result), result[name]) for name, title in _SPREADS if result.get(name)
    ]
    pod, job = result["ratio_to_popen"]["pod_start"], result["ratio_to_popen"]["job"]
    memory = result["memory_mb"]
    lines += [
        "",
        f"To bare subprocess.Popen: pod start {pod} times ({result['popen_ms']['median']} ms),",
        f"the Job {job} times ({result['popen_job_seconds']['median']} s); {result['commands']}",
        f"Memory in MB: {memory['at_start']} at start, {memory['after_one_job']} after one Job,"
        f" {memory['after_three_jobs']} after three",
        "",
        f"{'requests per second':38}" + "".join(f"{c:>10}" for c in _connections(result)),
    ]
    for name, rates in result["requests_per_second"].items():
        cells = "".join(f"{rates[c]['median']:>10.0f}" for c in _connections(result))
        lines.append(f"{'  ' + name.replace('_', ' '):38}{cells}")
    lines += ["", "Bars"]
    lines += [
        f"  {b['verdict']:6}{b['value']:>9.2f} < {b['bar']:g} {b['unit']:3} {b['about']}"
        for b in result["bars"]
    ]
    return "\n".join(lines)


_SPREADS = (
    ("boot_ms", "boot until a request is answered, ms"),
    ("first_boot_ms", "first boot in a new home, ms"),
    ("boot_process_ms", "boot, the process as a whole, ms"),
    ("imports_ms", "a bare process that only imports, ms"),
    ("pod_start_ms", "pod created to Running, ms"),
    ("job_seconds", "Job of {job_pods} pods to Complete, s"),
    ("job_cpu_seconds", "  CPU of the daemon for it, s"),
    ("delete_seconds", "that Job deleted with its pods, s"),
    ("fanout_latency_ms", "a change to each of 20 watchers, ms"),
    ("fanout_events_per_second", "events to 20 watchers per second"),
    ("idle_cpu_percent", "idle CPU, % of a core"),
)


def _connections(result: Mapping[str, Any]) -> list[str]:
    return list(next(iter(result["requests_per_second"].values())))


def _line(title: str, figures: Mapping[str, Any]) -> str:
    cells = "".join(f"{_short(figures[name]):>10}" for name in ("median", "p95", "max"))
    return f"{title:38}{cells}  {figures['samples']}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"
