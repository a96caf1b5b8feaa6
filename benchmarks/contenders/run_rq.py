"""rq: a burst of its `SimpleWorker`, which works in its own process.

rq's ordinary worker forks for every job and is several times slower, so this flatters it.
`Retry(max=3)` lets an abandoned job come back; results are not kept (`result_ttl=0`).
"""

from __future__ import annotations

import logging
import sys

from protocol import Stopwatch, Talk, say_the_end
from redis import Redis
from rq import Queue, Retry, SimpleWorker

watch: Stopwatch


def note(number: int) -> None:
    watch.note(number)


def main() -> None:
    global watch
    talk = Talk()
    url, items = sys.argv[1], int(sys.argv[2])
    sys.modules["run_rq"] = sys.modules["__main__"]  # rq finds functions by name
    note.__module__ = "run_rq"
    logging.getLogger("rq.worker").setLevel(logging.ERROR)
    connection = Redis.from_url(url)
    queue = Queue("bench", connection=connection)
    for first in range(0, items, 100):
        queue.enqueue_many(
            [
                Queue.prepare_data(note, (n,), result_ttl=0, retry=Retry(max=3))
                for n in range(first, min(first + 100, items))
            ]
        )
    talk.say(filled=items)
    watch = Stopwatch(int(talk.hear()), 0, lambda: None)
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
    talk.say(**watch.answer())
    talk.hear()
    left = queue.count + queue.started_job_registry.count + queue.failed_job_registry.count
    say_the_end(talk, watch.seen, left)


if __name__ == "__main__":
    main()
