"""Play a plan on the real queue, with threads for pods: what a forecast says, measured."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ..errors import LeaseLost
from ..queue import WorkQueue
from ..queue.items import Lease
from ..sizing import Plan

_HOUR = 3600.0


def rehearse(plan: Plan, login: Mapping[str, Any], seed: int = 0) -> float:
    """Work through the items of a plan on a queue of its own, and return how long that took.

    Each pod is a thread that leases, sleeps, renews and completes. As in a forecast, it dies and
    pauses at random: one that dies leaves its item behind, and another takes its place at once.
    While it pauses, it renews nothing.

    Args:
        plan: What to do. Its `start_seconds` and `replace_seconds` are not waited for.
        login: Of Redis, as `WorkQueue` takes it.
        seed: Of the deaths and pauses.

    Returns:
        Seconds from the first lease to the last completion.
    """
    name = f"rehearsal-{uuid.uuid4().hex[:8]}"
    with WorkQueue(name, lease_seconds=plan.lease_seconds, max_attempts=None, **login) as queue:
        queue.put([str(number) for number in range(plan.items)])
        began = time.monotonic()
        with ThreadPoolExecutor(plan.pods) as pods:
            ends = list(
                pods.map(lambda pod: _pod(queue, plan, seed * 1000 + pod), range(plan.pods))
            )
        queue.clear()
    return max(ends) - began


def _pod(queue: WorkQueue, plan: Plan, seed: int) -> float:
    """Work until the queue has drained; return when the last item was completed here."""
    dice, end = random.Random(seed), 0.0
    with queue.copy(f"pod-{seed}") as mine:
        while lease := mine.lease(wait_seconds=3600):
            with suppress(LeaseLost):
                if _survives(mine, lease, plan, dice):
                    mine.complete(lease)
                    end = time.monotonic()
    return end


def _survives(queue: WorkQueue, lease: Lease, plan: Plan, dice: random.Random) -> bool:
    """Do one item; return False if the pod died over it."""
    left, death = plan.item_seconds, _wait(dice, plan.deaths_per_pod_hour)
    pause = _wait(dice, plan.pauses_per_pod_hour)
    while left > 0:
        step = min(left, death, pause, plan.lease_seconds / 3)
        time.sleep(step)
        left, death, pause = left - step, death - step, pause - step
        if death <= 0:
            return False
        if pause <= 0:
            time.sleep(plan.pause_seconds)
            pause = _wait(dice, plan.pauses_per_pod_hour)
        else:
            with suppress(LeaseLost):  # a zombie goes on, in vain
                lease = queue.renew(lease)
    return True


def _wait(dice: random.Random, per_hour: float) -> float:
    return dice.expovariate(per_hour / _HOUR) if per_hour else float("inf")
