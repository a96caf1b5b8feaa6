"""What the live view costs: a frame, an event, memory, and a share of one core.

    python benchmarks/dashboard.py [--quick] [--json]

A made-up run (each pod works half a second on an item) is folded and drawn, with as much new
between two frames as there is in a fifth of a second. Frames are measured in the time of the
processor, because that is what the view takes from a notebook, and by the clock, which on a
busy machine is longer. Folding and memory are measured in a process of their own, and the
share of a core in a real Jupyter kernel, whose live view follows a real queue of four workers.

A bar that is missed is said, and never changes the exit code.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != _HERE]
sys.path.insert(0, str(_HERE.parent))

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import psutil

from wqlib.events import Event, PodEvent
from wqlib.history import History

T0 = 1_764_000_000.0
JOB = "job-wq-2"
ITEM_SECONDS = 0.5
FRAME_SECONDS = 0.2
LEASES = (100, 500, 5_000, 50_000)
PODS = (4, 32, 200)
BARS = {  # what is measured: the bar, and whether less is better
    "frame_ms_at_500": (20.0, True),
    "frame_ms_at_50000": (40.0, True),
    "events_per_second": (200_000.0, False),
    "megabytes": (150.0, True),
    "core_share": (0.20, True),
}


class MadeUpRun:
    """Pods that work without a pause, each on one item after the other."""

    def __init__(self, pods: int, items: int) -> None:
        self.names = [f"{JOB}-{number:05d}" for number in range(pods)]
        self.items = items
        self.leased = 0
        self._held: dict[str, tuple[int, str]] = {}

    def beginning(self) -> list[Event | PodEvent]:
        """Return how it begins: the queue is filled, the pods start."""
        pods = [PodEvent("running", T0, name, JOB) for name in self.names]
        return [Event("put", T0, count=self.items, pending=self.items), *pods]

    def events(self, leases: int) -> Iterator[Event]:
        """Yield what happens until that many more items are leased."""
        for _ in range(leases):
            number = self.leased + 1
            pod = self.names[self.leased % len(self.names)]
            at = T0 + self.leased * ITEM_SECONDS / len(self.names)
            pending, entry = self.items - number, f"{int(at * 1000)}-{number}"
            if pod in self._held:
                item, lease = self._held[pod]
                yield Event("complete", at, entry, lease, item, 1, pod, pending=pending)
            lease = f"{number}-1@{pod}"
            item_text, deadline = f"item {number}", at + 10
            yield Event("lease", at, entry, lease, number, 1, pod, item_text, deadline,
                        pending=pending)  # fmt: skip
            self._held[pod] = number, lease
            self.leased = number


def frames(leases: int, pods: int, number: int) -> dict[str, Any]:
    """Draw some frames of a run, the new events between them folded in.

    Args:
        leases: How many there were before the first frame.
        pods: How many work.
        number: How many frames.
    """
    from wqlib.plots import RunPicture  # not for `fold`: it would take memory

    run, history = MadeUpRun(pods, 1_000_000), History()
    history.add(run.beginning())
    history.add(run.events(max(leases, pods)))
    picture = RunPicture()
    picture.frame(history, history.last_at)
    fresh = max(1, round(pods * FRAME_SECONDS / ITEM_SECONDS))
    clock, processor, size = [], [], 0
    for _ in range(number):
        events = list(run.events(fresh))
        began, used = time.perf_counter(), time.thread_time()
        history.add(events)
        size = len(picture.frame(history, history.last_at + 0.05))
        processor.append(1000 * (time.thread_time() - used))
        clock.append(1000 * (time.perf_counter() - began))
    return {
        "leases": leases,
        "pods": pods,
        "cpu_ms": round(statistics.median(processor), 2),
        "clock_ms": round(statistics.median(clock), 2),
        "slowest_clock_ms": round(max(clock), 2),
        "kilobytes": round(size / 1024),
    }


def fold(events: int, pods: int) -> dict[str, Any]:
    """Fold a long run, and see how fast that goes and how much more memory it takes."""
    run, history = MadeUpRun(pods, events), History()
    history.add(run.beginning())
    process = psutil.Process()
    before = most = process.memory_info().rss
    stream, seconds, folded = run.events(events), 0.0, 0
    while folded < events and (batch := list(islice(stream, 10_000))):
        began = time.process_time()
        folded += history.add(batch)
        seconds += time.process_time() - began
        most = max(most, process.memory_info().rss)
    return {
        "events": folded,
        "pods": pods,
        "events_per_second": round(folded / seconds),
        "megabytes": round((most - before) / 1e6, 1),
    }


def fold_apart(events: int, pods: int) -> dict[str, Any]:
    """Run `fold` in a process of its own, in which nothing else took memory before."""
    code = (
        f"import sys, json; sys.path.insert(0, {str(_HERE.parent)!r}); "
        f"from benchmarks.dashboard import fold; print(json.dumps(fold({events}, {pods})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


_IN_THE_KERNEL = """
import time
from wqlib import Dashboard, WorkQueue
view = Dashboard(WorkQueue({name!r}, url={url!r}), fps={fps})
view.start()
time.sleep(3)
began, used, drawn = time.monotonic(), time.process_time(), view.frames
time.sleep({seconds})
share = (time.process_time() - used) / (time.monotonic() - began)
fps = (view.frames - drawn) / (time.monotonic() - began)
done = view.history.counts.done
view.stop()
print(f'{{share:.4f}} {{fps:.2f}} {{done}}')
"""


def core_share(seconds: float, fps: float = 5.0) -> dict[str, Any]:
    """Follow a real queue from a real kernel, and see how much of a core that takes."""
    import nbformat
    from nbclient import NotebookClient

    from wqlib.queue import WorkQueue
    from wqlib.redisserver import RedisServer

    name, over = "benchmark of the view", threading.Event()
    with RedisServer() as server, tempfile.TemporaryDirectory() as folder:
        with WorkQueue(name, url=server.url, worker="earlier") as queue:
            queue.put([f"item {number}" for number in range(10_000)])
            for _ in range(500):
                queue.complete(queue.lease())
        workers = [
            threading.Thread(target=_work, args=(WorkQueue(name, url=server.url, worker=pod), over))
            for pod in ("pod-a", "pod-b", "pod-c", "pod-d")
        ]
        for worker in workers:
            worker.start()
        try:
            code = _IN_THE_KERNEL.format(name=name, url=server.url, fps=fps, seconds=seconds)
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
            where = {"metadata": {"path": folder}}
            path = os.environ.get("PYTHONPATH", "")
            os.environ["PYTHONPATH"] = os.pathsep.join([str(_HERE.parent), path]).strip(os.pathsep)
            NotebookClient(notebook, timeout=seconds + 90, resources=where).execute()
        finally:
            over.set()
            for worker in workers:
                worker.join()
    share, drawn, done = notebook.cells[0].outputs[-1].text.split()
    return {"fps": float(drawn), "seconds": seconds, "done": int(done), "share": float(share)}


def _work(queue: Any, over: threading.Event) -> None:
    with queue:
        lease = queue.lease()
        while lease and not over.wait(0.1):
            lease = queue.complete_and_lease(lease)


def measure(*, quick: bool) -> dict[str, Any]:
    """Measure all."""
    number = 9 if quick else 41
    sizes = LEASES[:3] if quick else LEASES
    drawn = []
    for leases in sizes:
        for pods in PODS:
            _say(f"{leases:,} leases of {pods} pods")
            drawn.append(frames(leases, pods, number))
    _say("folding")
    folded = [fold_apart(100_000 if quick else 1_000_000, pods) for pods in (4, 200)]
    _say("in a kernel")
    share = core_share(3.0 if quick else 15.0)
    found = {
        "frame_ms_at_500": max(row["cpu_ms"] for row in drawn if row["leases"] == 500),
        "frame_ms_at_50000": max(
            (row["cpu_ms"] for row in drawn if row["leases"] == 50_000), default=None
        ),
        "events_per_second": min(row["events_per_second"] for row in folded),
        "megabytes": max(row["megabytes"] for row in folded),
        "core_share": share["share"],
    }
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "quick": quick,
        "frames": drawn,
        "fold": folded,
        "kernel": share,
        "bars": [_judged(name, value) for name, value in found.items() if value is not None],
    }


def _judged(name: str, value: float) -> dict[str, Any]:
    bar, less = BARS[name]
    return {"name": name, "value": value, "bar": bar, "met": value < bar if less else value >= bar}


def text(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    lines = ["leases   pods   frame, processor   by the clock     PNG"]
    lines += [
        f"{row['leases']:6,} {row['pods']:6} {row['cpu_ms']:15.1f} ms {row['clock_ms']:11.1f} ms "
        f"{row['kilobytes']:4} kB"
        for row in result["frames"]
    ]
    lines += [
        f"{row['events']:,} events of {row['pods']} pods: {row['events_per_second']:,} folded a "
        f"second, {row['megabytes']:.0f} MB more"
        for row in result["fold"]
    ]
    kernel = result["kernel"]
    lines.append(f"in a kernel: {kernel['share']:.1%} of a core at {kernel['fps']:.1f} frames/s")
    lines += [
        f"{'met   ' if bar['met'] else 'MISSED'} {bar['name']}: {bar['value']:,} "
        f"({'below' if BARS[bar['name']][1] else 'at least'} {bar['bar']:,g})"
        for bar in result["bars"]
    ]
    lines.append(f"Python {result['python']}, {result['cores']} cores, load {result['load']}")
    return "\n".join(lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the live view costs.")
    parser.add_argument("--quick", action="store_true", help="less of each, in some 15 seconds")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    result = measure(quick=options.quick)
    print(json.dumps(result) if options.json else text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
