"""A whole run in the terminal: fill a queue, start a Job, kill a pod, lose nothing.

The pods are killed (SIGKILL) while they hold a lease: no warning, no chance to clean up.
Afterwards a check that shares no code with the queue reads the events and counts, item by item. The
last line says what came of it::

    done=60 lost=0 recorded_twice=0 pods=4 kills=1 seconds=9.8
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..course import folder as course_folder
from ..course import job_manifest, start_redis
from ..course.bundle import bundle
from ..errors import EXIT_ERROR, EXIT_OK, ClusterError, NotFound, WqlibError
from ..events import Event
from ..history.feed import Feed
from ..queue import WorkQueue
from .terminal import Progress, Signals, Stopped, run_command
from .watch import fit_lines

if TYPE_CHECKING:
    from ..cluster import Cluster

QUEUE, JOB = "demo", "job-wq-2"
JOB_SECONDS = 600
MOST_ITEMS = 20_000  # the events of more would not all be kept


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run, judged by its events alone.

    Attributes:
        done: Different items that were recorded done.
        lost: Items that were put and never recorded done.
        recorded_twice: Items that were recorded done more than once.
        pods: Pods that leased at least one item.
        kills: Pods that were killed.
        seconds: From the start of the Job to its end.
    """

    done: int
    lost: int
    recorded_twice: int
    pods: int
    kills: int
    seconds: float

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in asdict(self).items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `wqlib demo`.

    Returns:
        0 if every item was done exactly once, or else 1.

    Raises:
        WqlibError: If something failed.
        Stopped: If a signal ended it; everything was cleaned up.
    """
    options = _parser().parse_args(arguments)
    say = Progress(silent=options.json)
    try:
        with Signals() as signals:
            outcome = run(options, say, signals)
    except Stopped:
        say.line("Interrupted; everything was cleaned up.")
        raise
    print(json.dumps(asdict(outcome)) if options.json else outcome, flush=True)
    good = outcome.done == options.items and not outcome.lost and not outcome.recorded_twice
    return EXIT_OK if good else EXIT_ERROR


def run(options: argparse.Namespace, say: Progress, signals: Signals) -> Outcome:
    """Do the run, and remove all that it made."""
    with ExitStack() as stack:
        with signals.held_back():
            cluster = _connect(options.context, stack, say)
        stack.callback(signals.ignore)  # what comes after this, the clean-up, is not cut short
        say.line(f"Kubernetes {cluster.version}: starting Redis, building the worker's image")
        image = _build_image(cluster, course_folder() / "worker")
        queue = stack.enter_context(WorkQueue(QUEUE, **start_redis(cluster)))
        items = [f"item {number}" for number in range(1, options.items + 1)]
        queue.put(items)
        say.line(f"{options.items} items wait; the Job starts {options.pods} pods")
        signals.check()
        began = time.monotonic()
        cluster.apply(_job(image, options))
        killer = Killer(cluster, options.kills, options.items, random.Random(options.seed), say)
        events = _follow(cluster, queue, killer, signals, options.items)
        seconds = time.monotonic() - began
        return judge(items, events, killer.kills, seconds)


def judge(items: Iterable[str], events: Iterable[Event], kills: int, seconds: float) -> Outcome:
    """Count from the events alone what became of each item.

    Args:
        items: What was put, each text once.
        events: All events of the run.
        kills: How many pods were killed.
        seconds: How long it took.
    """
    text: dict[int, str] = {}
    pods: set[str] = set()
    recorded: Counter[int] = Counter()
    for event in events:
        if event.kind == "lease":
            text[event.item_id] = event.item
            pods.add(event.worker)
        elif event.kind == "complete":
            recorded[event.item_id] += 1
    finished = Counter(text.get(item_id, "") for item_id in recorded)
    expected = set(items)
    twice = sum(count > 1 for count in recorded.values())
    twice += sum(count > 1 for count in finished.values())  # one text under two numbers
    return Outcome(
        done=len(expected & finished.keys()),
        lost=len(expected - finished.keys()),
        recorded_twice=twice,
        pods=len(pods),
        kills=kills,
        seconds=round(seconds, 1),
    )


@dataclass
class Killer:
    """Kills pods while they hold a lease, early enough that none has succeeded."""

    cluster: Cluster
    wanted: int
    items: int
    chance: random.Random
    say: Progress
    kills: int = 0
    done: int = 0
    held: dict[str, Event] = field(default_factory=dict)
    victims: set[str] = field(default_factory=set)
    orphans: dict[int, Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Early, so that the others have much left to do while the pod dies.
        low, high = max(1, self.items // 10), max(1, self.items // 3)
        self.moments = sorted(self.chance.randint(low, high) for _ in range(self.wanted))

    def see(self, events: Iterable[Event]) -> None:
        """Take note of what happened, and kill when it is time."""
        for event in events:
            if event.kind == "lease":
                self.held[event.lease_id] = event
                if lost := self.orphans.pop(event.item_id, None):
                    self.say.line(
                        f"{lost.item!r}, which {lost.worker} held when it was killed, was leased "
                        f"again, to {event.worker}"
                    )
            elif event.kind in ("complete", "release", "fail", "expire", "dead"):
                lease = self.held.pop(event.lease_id, None)
                self.done += event.kind == "complete"
                if lease and event.kind == "expire" and event.worker in self.victims:
                    self.orphans[event.item_id] = lease
        while self.kills < self.wanted and self.done >= self.moments[self.kills]:
            workers = [event.worker for event in self.held.values()]
            workers = [worker for worker in workers if worker not in self.victims]
            if not workers or not self._kill(self.chance.choice(workers)):
                return

    def _kill(self, worker: str) -> bool:
        # A worker gets its next lease in the same step in which it completes one, so while items
        # wait it holds one when the kill arrives. Which one that is, its lease tells as it expires.
        self.victims.add(worker)
        try:
            self.cluster.crash_pod(worker)
        except ClusterError as error:  # it has just ended by itself, say
            self.say.line(f"{worker} was not killed: {error}")
            return False
        self.kills += 1
        self.say.line(f"Killed {worker}")
        return True


def _connect(context: str | None, stack: ExitStack, say: Progress) -> Cluster:
    """Connect, and make sure that nothing is left in the end."""
    from ..cluster import connect

    namespace = f"wq-demo-{secrets.token_hex(2)}"
    cluster = connect(context, namespace=namespace, leave_as_found=True)

    def clean_up() -> None:
        say.line("Cleaning up")
        with contextlib.suppress(NotFound):
            cluster.delete(f"job/{JOB}", grace_seconds=0)
            cluster.delete("pod/redis", grace_seconds=0)
        cluster.clean_up()

    stack.callback(cluster.close)
    stack.callback(clean_up)
    return cluster


def _build_image(cluster: Cluster, worker: Path) -> str:
    """Build the worker's image under a tag that says what is in it."""
    with tempfile.TemporaryDirectory(prefix="wqlib-demo-") as made:
        folder = Path(made) / "worker"
        shutil.copytree(worker, folder, ignore=shutil.ignore_patterns("wqlib", "__pycache__"))
        bundle(folder)
        digest = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
        return cluster.build_image(f"wqlib-demo:{digest.hexdigest()[:12]}", folder)


def _job(image: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the course's own Job, with our numbers."""
    job = job_manifest(
        parallelism=options.pods,
        WQLIB_QUEUE=QUEUE,
        WQLIB_LEASE_SECONDS=str(options.lease_seconds),
        ITEM_SECONDS=str(options.item_seconds),
    )
    job["metadata"]["name"] = JOB
    job["spec"]["backoffLimit"] = 10 + 2 * options.kills
    pod = job["spec"]["template"]["spec"]
    # A pod whose process is killed has failed, and the Job makes another. (In a container only a
    # process that is not its first can be killed from inside.)
    pod |= {"restartPolicy": "Never", "shareProcessNamespace": True}
    pod["containers"][0]["image"] = image
    return job


def _follow(
    cluster: Cluster, queue: WorkQueue, killer: Killer, signals: Signals, items: int
) -> list[Event]:
    """Read the events until the Job has ended."""
    say = killer.say
    problem: list[WqlibError] = []

    def wait() -> None:
        try:
            cluster.wait(f"job/{JOB}", "complete", timeout_seconds=JOB_SECONDS)
        except WqlibError as error:
            problem.append(error)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    events: list[Event] = []
    with contextlib.closing(Feed(queue, cluster, JOB)) as feed:
        while True:
            signals.check()
            job_ended = not waiter.is_alive()
            after = events[-1].stream_id if events else "0"
            fresh = queue.events(after, wait_seconds=0 if job_ended else 0.2)
            events += fresh
            if job_ended and not fresh:
                break
            killer.see(fresh)
            say.count(killer.done, len(killer.held), items)
            _draw(feed, say)
        _draw(feed, say)
    say.end()
    if problem:
        raise ClusterError(str(problem[0]))
    return events


def _draw(feed: Feed, say: Progress) -> None:
    """Draw the leases of the pods as `wqlib watch` does, where they can change in place."""
    if say.live:
        feed.poll()
        say.picture(fit_lines(feed.history, feed.now, JOB))


def _parser() -> argparse.ArgumentParser:
    def number(least: int, most: int) -> Any:
        def convert(text: str) -> int:
            value = int(text)
            if not least <= value <= most:
                raise argparse.ArgumentTypeError(f"{value} is not from {least} to {most}")
            return value

        convert.__name__ = "number"
        return convert

    def seconds(text: str) -> float:
        value = float(text)
        if not 0 < value <= 3600:
            raise argparse.ArgumentTypeError(f"{value} is not more than 0 and at most 3600")
        return value

    parser = argparse.ArgumentParser(
        prog="wqlib demo",
        description="Run a Job on a queue, kill a pod, and verify that nothing was lost.",
    )
    parser.add_argument("--items", type=number(1, MOST_ITEMS), default=60, help="how many (60)")
    parser.add_argument("--pods", type=number(1, 200), default=3, help="how many at a time (3)")
    parser.add_argument("--kills", type=number(0, 50), default=1, help="pods to kill (1)")
    parser.add_argument(
        "--lease-seconds", type=seconds, default=3.0, help="how long a lease lasts (3)"
    )
    parser.add_argument(
        "--item-seconds", type=seconds, default=0.3, help="how long an item takes (0.3)"
    )
    parser.add_argument("--seed", type=int, help="makes the choice of victims repeatable")
    parser.add_argument("--context", help="a real cluster (default: WQLIB_CONTEXT, or local)")
    parser.add_argument("--json", action="store_true", help="print only the outcome, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
