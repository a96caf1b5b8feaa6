"""arq: its `Worker` in this process. It acknowledges after the work: a job stays in the queue until
it has ended, and one whose worker died is run again (at most five times, the default).

`setting` is `MAX_JOBS [WAIT_MS]`; of 10 (its default), 50 and 100 at a time, no-op items took the
least processor time with 100. When all places are taken, arq looks for jobs again after
`poll_delay`, by default 0.5 s; whoever has many short jobs sets it lower. Of 1 to 50 ms, jobs of
20 ms went fastest with 10 ms. Results are not kept (`keep_result=0`), which spares a write. uvloop
runs the loop. arq asks for a redis-py before 6, but works with that of the others.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop
from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker
from protocol import Stopwatch, Talk, at_once_and_wait_ms, say_the_end


async def main() -> None:
    talk = Talk()
    url, items = sys.argv[1], int(sys.argv[2])
    at_once, wait_ms = at_once_and_wait_ms(sys.argv[3])
    pool = await create_pool(RedisSettings.from_dsn(url))
    finished = asyncio.Event()
    watch = Stopwatch(items, wait_ms, finished.set)

    async def note(context: dict[str, Any], number: int) -> None:
        await watch.wait_async(number) if wait_ms else watch.note(number)

    for first in range(0, items, 100):
        numbers = range(first, min(first + 100, items))
        await asyncio.gather(*(pool.enqueue_job("note", n) for n in numbers))
    talk.say(filled=items)
    talk.hear()
    worker = Worker(
        [func(note, name="note")],
        redis_pool=pool,
        max_jobs=at_once,
        poll_delay=0.01,
        keep_result=0,
        handle_signals=False,
    )
    running = asyncio.create_task(worker.async_run())
    await finished.wait()
    talk.say(**watch.answer())
    talk.hear()
    left = items
    for _ in range(50):
        await asyncio.sleep(0.05)
        left = await pool.zcard(worker.queue_name)
        if left == 0:
            break
    say_the_end(talk, watch.seen, left)
    await running


if __name__ == "__main__":
    uvloop.run(main())
