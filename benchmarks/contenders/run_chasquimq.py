"""ChasquiMQ, a Rust engine with asyncio handlers. It adds messages with an option of XADD that
Redis has since 8.6.

`setting` is `CONCURRENCY [WAIT_MS]`; its default is 100. Results are not stored (the default). It
acknowledges in batches and claims the messages of dead consumers.
"""

from __future__ import annotations

import asyncio
import sys

from chasquimq import Job, Queue, Worker
from protocol import Stopwatch, Talk, at_once_and_wait_ms, say_the_end
from redis import Redis


async def main() -> None:
    talk = Talk()
    url, items = sys.argv[1], int(sys.argv[2])
    at_once, wait_ms = at_once_and_wait_ms(sys.argv[3])
    finished = asyncio.Event()
    watch = Stopwatch(items, wait_ms, finished.set)

    async def note(job: Job) -> None:
        await watch.wait_async(job.data) if wait_ms else watch.note(job.data)

    async with Queue("bench", redis_url=url) as queue:
        for first in range(0, items, 500):
            numbers = range(first, min(first + 500, items))
            await queue.add_bulk([{"name": "note", "data": n} for n in numbers])
        talk.say(filled=items)
        talk.hear()
        async with Worker("bench", note, redis_url=url, concurrency=at_once) as worker:
            running = asyncio.create_task(worker.run())
            await finished.wait()
            talk.say(**watch.answer())
            talk.hear()
            await asyncio.sleep(0.5)
            say_the_end(talk, watch.seen, left(url))
            await running


def left(url: str) -> int:
    """Messages of the queue's stream that a group has not acknowledged."""
    client, count = Redis.from_url(url), 0
    for key in client.scan_iter("{chasqui:bench}:*", _type="stream"):
        count += sum(group["pending"] for group in client.xinfo_groups(key))
    return count


if __name__ == "__main__":
    asyncio.run(main())
