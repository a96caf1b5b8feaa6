"""The checks of notebook 04, Run the Job."""

from __future__ import annotations

import random
from collections import Counter

from ..events import Event, EventKind
from .answers import Answers
from .exercise import Wrong, exercise


@exercise("04-1", "Be the controller")
def be_the_controller(answers: Answers) -> str:
    """States of a work-queue Job of our own."""
    cases = [(2, 0, 0), (2, 1, 0), (2, 2, 0), (2, 0, 1), (2, 1, 1), (1, 3, 0), (0, 0, 0)]
    cases += [
        (random.randint(0, 9), random.randint(0, 9), random.choice([0, 0, 1, 2])) for _ in range(40)
    ]
    for parallelism, active, succeeded in cases:
        said = answers.call("pods_to_start", parallelism, active, succeeded)
        right = 0 if succeeded else max(0, parallelism - active)
        about = f"parallelism {parallelism}, {active} active, {succeeded} succeeded"
        if type(said) is not int:
            raise Wrong(f"{about}: it returned {said!r}, and should return a whole number.")
        if said != right:
            why = (
                "a pod has said that the work is over. Start none any more."
                if succeeded
                else "what is missing up to `parallelism`, and never less than 0."
            )
            raise Wrong(f"{about}: you start {said}. Think again: {why}")
    return "that is the rule of a Job without completions."


@exercise("04-2", "Who did what?")
def shares(answers: Answers) -> str:
    """Made-up runs in which leases were also released, failed and lost."""
    for number in range(1, 9):
        events = _a_run(workers=number, items=3 * number)
        right = Counter(event.worker for event in events if event.kind == "complete")
        said = answers.call("shares", events)
        if type(said) is not dict:
            raise Wrong(
                f"it returned {_a_kind(said)}, and should return a dict. If it is a Counter, "
                "wrap it: `dict(…)`."
            )
        if said != dict(right):
            raise Wrong(
                f"in a run of {3 * number} items, {sum(right.values())} were completed, by "
                f"{len(right)} workers. Your shares add up to {_sum(said)}, for {len(said)} "
                "workers. Which kind of event says that an item is done?"
            )
    return "only what was completed counts, whoever held it before."


@exercise("04-3", "A Job that does nothing")
def mend(answers: Answers) -> str:
    """The Job job-broken has completed, and its pods have done the five fruits."""
    names = {pod.name for pod in answers.cluster.pods("job-broken")}
    queue = answers.queue()
    stats = queue.stats()
    if not names:
        raise Wrong(
            "there is no Job `job-broken` with pods. Run it: `cluster.apply(broken)`, then "
            '`cluster.wait("job/job-broken", "complete")`.'
        )
    if not stats.drained:
        raise Wrong(
            f"{stats.pending + stats.leased} of the five fruits are not done. What do the pods "
            'say in `cluster.logs("job/job-broken")`? Which queue do they work on?'
        )
    done = [event for event in queue.events() if event.kind == "complete"]
    if len(done) != 5 or {event.worker for event in done} - names:
        raise Wrong(
            "the fruits are gone, but it was not the pods of `job-broken` that did all five. "
            "Put them again, and let the mended Job do them."
        )
    return "its pods have found the right queue, and all five fruits are done."


def _a_run(workers: int, items: int) -> list[Event]:
    """Events of a run in which some leases came to nothing, and some items were never done."""
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    lost: tuple[EventKind, ...] = ("expire", "release", "fail")
    events = [Event("put", 1.0, count=items)]
    for item_id in range(1, items + 1):
        for attempt in range(1, random.choice([1, 1, 2, 3]) + 1):
            worker = random.choice(names)
            lease = (f"{item_id}-{attempt}@{worker}", item_id, attempt, worker)
            events.append(Event("lease", 2.0, "", *lease, item="apple"))
            events.append(Event(random.choice(lost), 3.0, "", *lease))
        if random.random() < 0.8:
            events[-1] = Event("complete", 3.0, "", *lease)
    return events


def _a_kind(value: object) -> str:
    return f"a {type(value).__name__}"


def _sum(said: dict[object, object]) -> object:
    numbers = [one for one in said.values() if type(one) is int]
    return sum(numbers) if len(numbers) == len(said) else "something that is no number"
