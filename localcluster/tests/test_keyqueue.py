"""The queue of keys to reconcile: how often, when, and what is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sized

from localcluster.apimachinery.apierrors import ApiError
from localcluster.apimachinery.jsontypes import Key
from localcluster.apimachinery.keyqueue import KeyQueue

ONE, OTHER = ("ns", "one"), ("ns", "other")


def test_a_key_is_worked_on_until_that_succeeds_and_then_forgotten() -> None:
    seen: list[Key] = []

    async def reconcile(key: Key) -> None:
        seen.append(key)
        if len(seen) < 3:
            raise ApiError(409, "Conflict", "somebody was faster")

    async def work() -> None:
        queue = KeyQueue(reconcile)
        queue.add(ONE)
        queue.add(ONE)
        await asyncio.sleep(0.5)
        assert seen == [ONE] * 3
        assert [one for one in vars(queue).values() if isinstance(one, Sized) and one] == []

    asyncio.run(work())


def test_of_several_delays_the_shortest_counts() -> None:
    seen: list[Key] = []

    async def reconcile(key: Key) -> None:
        seen.append(key)

    async def work() -> None:
        queue = KeyQueue(reconcile)
        for key, delays in ((ONE, (60.0, 0.01, 30.0)), (OTHER, (60.0,))):
            for seconds in delays:
                queue.add_after(key, seconds)
        await asyncio.sleep(0.3)
        assert seen == [ONE]
        # A key that was worked on can wait again.
        queue.add_after(ONE, 0.01)
        await asyncio.sleep(0.3)
        assert seen == [ONE, ONE]
        queue.close()

    asyncio.run(work())
