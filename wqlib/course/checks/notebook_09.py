"""The checks of notebook 09, Choose your pattern."""

from __future__ import annotations

import math
import random

from .answers import Answers, Wrong
from .exercise import exercise

ITEMS = 12


@exercise("09-1", "When is a pod for each item worth it?")
def smallest_item(answers: Answers) -> str:
    """Compare `smallest_item_seconds` with the formula, for starts and shares of our own."""
    for _ in range(20):
        start, waste = random.uniform(0.5, 20), random.uniform(0.02, 0.6)
        said = answers.call("smallest_item_seconds", start, waste)
        if type(said) not in (int, float):
            raise Wrong(f"it returned {said!r}, and should return a number of seconds.")
        if not math.isclose(said, start / waste - start, rel_tol=1e-6):
            real = start / (start + said) if said > 0 else 1.0
            raise Wrong(
                f"with a start of {start:.1f} s and items of {said:.1f} s, the start is "
                f"{real:.2f} of the pod's whole time, and {waste:.2f} was asked for. Remember "
                "that the whole time is start and item together."
            )
    return "the share of the start is what was asked for."


@exercise("09-2", "Be the autoscaler")
def autoscaler(answers: Answers) -> str:
    """Check that the Deployment's workers did all twelve items, and that it has no replicas."""
    deployment = answers.find("deployment/endless")
    if deployment is None:
        raise Wrong(
            "there is no Deployment `endless`. Run the cells of this section from the one that "
            "applies `manifests/endless.yaml`."
        )
    wanted, queue = deployment["spec"].get("replicas"), answers.queue()
    stats = queue.stats()
    if stats.pending == ITEMS and not wanted:
        raise Wrong(f"all {ITEMS} items still wait. Scale the Deployment up first.")
    if not stats.drained:
        raise Wrong(
            f"{stats.pending} items are pending and {stats.leased} leased. Wait until the queue "
            "has drained before you scale to 0, then run both cells again."
        )
    done = [event for event in queue.events() if event.kind == "complete"]
    if len(done) != ITEMS:
        raise Wrong(
            f"{len(done)} items were done, and {ITEMS} were put. Run the whole cell above again."
        )
    strangers = {event.worker for event in done if not event.worker.startswith("endless-")}
    if strangers:
        raise Wrong(
            "some items were done by a worker that is no pod of the Deployment. Let its pods do "
            "the work: `scale(3)`."
        )
    if wanted:
        raise Wrong(
            f"all is done, and the Deployment still wants {wanted} pods, which cost as much as "
            "working ones. Scale it to 0."
        )
    return "all twelve were done, and nobody waits for more at your cost."
