"""taskiq with taskiq-redis' `RedisStreamBroker`, the broker of its that acknowledges.

The receiver is the one that `taskiq worker` starts (`run_receiver_task` is documented for
programs of one's own), with what that command uses: 100 tasks at a time, 100 messages a read,
acknowledged after the result was saved, uvloop. Parameters are not validated, which is an option
of that command, and there is no result backend (the default). `setting` is `AT_ONCE [WAIT_MS]`: of
10, 100 and 500 at a time, no-op items took the least processor time with 100.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from protocol import Stopwatch, Talk, at_once_and_wait_ms, say_the_end
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker


async def main() -> None:
    talk = Talk()
    url, items = sys.argv[1], int(sys.argv[2])
    at_once, wait_ms = at_once_and_wait_ms(sys.argv[3])
    broker = RedisStreamBroker(url)
    finished = asyncio.Event()
    watch = Stopwatch(items, wait_ms, finished.set)

    @broker.task
    async def note(number: int) -> None:
        await watch.wait_async(number) if wait_ms else watch.note(number)

    await broker.startup()
    for first in range(0, items, 100):
        await asyncio.gather(*(note.kiq(n) for n in range(first, min(first + 100, items))))
    talk.say(filled=items)
    talk.hear()
    worker = asyncio.create_task(
        run_receiver_task(broker, validate_params=False, max_async_tasks=at_once)
    )
    await finished.wait()
    talk.say(**watch.answer())
    talk.hear()
    say_the_end(talk, watch.seen, await left(broker, items))
    await worker


async def left(broker: RedisStreamBroker, items: int) -> int:
    """Messages that were never read or not acknowledged; the last acknowledgements may take
    a moment."""
    from redis.asyncio import Redis

    remaining = items
    async with Redis(connection_pool=broker.connection_pool) as client:
        for _ in range(50):
            await asyncio.sleep(0.05)
            group = (await client.xinfo_groups(broker.queue_name))[0]
            entries = await client.xrange(
                broker.queue_name, f"({group['last-delivered-id'].decode()}"
            )
            remaining = len(entries) + group["pending"]
            if remaining == 0:
                break
    return remaining


if __name__ == "__main__":
    uvloop.run(main())
