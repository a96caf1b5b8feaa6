"""The queue of the keys that a controller works on."""

from __future__ import annotations

import asyncio

from localcluster.apimachinery.keyqueue import KeyQueue


def test_a_key_that_fails_for_ever_is_tried_for_ever() -> None:
    tried = 0

    async def reconcile(_key: object) -> None:
        nonlocal tried
        tried += 1
        raise OSError

    async def main() -> None:
        queue = KeyQueue(reconcile)
        for _ in range(1200):
            queue.add(("a", "b"))
            before = tried
            while tried == before:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        queue.close()

    asyncio.run(asyncio.wait_for(main(), 20))
    assert tried >= 1200
