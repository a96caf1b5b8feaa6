"""saq: its `Worker` in this process, with jobs that are retried after a crash.

`blmove` keeps a job in the list of the active ones, and the worker's sweep takes back those of a
dead worker: `retries=3` lets it run them again. `setting` is `CONCURRENCY [WAIT_MS]`: of 1, 10
(its default) and 50, no-op items took the least processor time with 10. Timers and the time for
which results are kept are the defaults; uvloop runs the loop. A worker's very first sweep takes a
job that was just fetched for a lost one and runs it twice, so one sweep is done before it starts.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop
from protocol import Stopwatch, Talk, at_once_and_wait_ms, say_the_end
from saq import Queue, Worker


async def main() -> None:
    talk = Talk()
    url, items = sys.argv[1], int(sys.argv[2])
    at_once, wait_ms = at_once_and_wait_ms(sys.argv[3])
    queue = Queue.from_url(url)
    await queue.connect()
    finished = asyncio.Event()
    watch = Stopwatch(items, wait_ms, finished.set)

    async def note(context: dict[str, Any], *, number: int) -> None:
        await watch.wait_async(number) if wait_ms else watch.note(number)

    for first in range(0, items, 100):
        await asyncio.gather(
            *(
                queue.enqueue(note.__qualname__, number=n, retries=3)
                for n in range(first, min(first + 100, items))
            )
        )
    talk.say(filled=items)
    talk.hear()
    await queue.sweep()
    worker = asyncio.create_task(Worker(queue, functions=[note], concurrency=at_once).start())
    await finished.wait()
    talk.say(**watch.answer())
    talk.hear()
    left = items
    for _ in range(50):
        await asyncio.sleep(0.05)
        left = await queue.count("incomplete")
        if left == 0:
            break
    say_the_end(talk, watch.seen, left)
    await worker


if __name__ == "__main__":
    uvloop.run(main())
