"""Keeps what happens in a run: reads the event stream along, and everything else at the end."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import redis

from wqlib.queue import WorkQueue

from .diary import read_diary
from .plan import Plan
from .records import COUNTERS, Final, History
from .servers import Redis

_PAUSE_SECONDS = 0.05
_AT_ONCE = 5000
_KEPT = 100_000


class Tail:
    """Reads the event stream along into a file, in a thread.

    Redis keeps about the last 100,000 entries of the stream only, so it must be read while the
    run goes on. Whenever the last entry that was read is no longer there, something between may
    have been missed: that is a gap. It survives that Redis restarts or fails over; a Redis that
    `forgets` may come back without the last entries, which then count as never written.

    Args:
        servers: Where Redis is; asked anew each time.
        key: The key of the stream.
        path: The file.

    Attributes:
        gaps: How often something may have been missed.
        undone: How many entries were read that Redis forgot afterwards.
    """

    def __init__(self, servers: Redis, key: str, path: Path) -> None:
        self.gaps = self.undone = 0
        self._servers, self._key, self._path = servers, key, path
        self._last = "0"
        self._places: dict[str, int] = {}  # of the entries in the file
        self._file = path.open("w")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read to the end of the stream, and stop."""
        if not self._end.is_set():
            self._end.set()
            self._thread.join()
            self._read_on()
            self._file.close()

    def entries(self) -> list[tuple[str, list[bytes]]]:
        """All entries, once it is closed."""
        found = []
        with self._path.open() as lines:
            for line in lines:
                stream_id, fields = json.loads(line)
                found.append((stream_id, [field.encode("latin-1") for field in fields]))
        return found

    def _run(self) -> None:
        while not self._end.wait(_PAUSE_SECONDS):
            with contextlib.suppress(redis.RedisError, OSError):
                self._read_on()

    def _read_on(self) -> None:
        while True:
            # The entry that is known already comes first, or there is a gap.
            entries = self._range(self._last, _AT_ONCE)
            if self._last != "0":
                if not entries or entries[0][0].decode() != self._last:
                    entries = self._go_back()
                else:
                    entries = entries[1:]
            for stream_id, fields in entries:
                self._last = stream_id.decode()
                self._places[self._last] = self._file.tell()
                shown = [field.decode("latin-1") for field in fields]
                self._file.write(json.dumps([self._last, shown]) + "\n")
            if len(entries) < _AT_ONCE - 1:
                return

    def _go_back(self) -> list[Any]:
        """Forget what Redis forgot; returns what follows the entry from which on it did."""
        entries = self._range("-", 2 * _KEPT)
        if not self._servers.forgets or (entries and entries[0][0].decode() not in self._places):
            self.gaps += 1
            return self._range(self._last, _AT_ONCE)
        place = self._places[entries[0][0].decode()] if entries else 0
        known = {stream_id for stream_id, at in self._places.items() if at >= place}
        self.undone += len(known - {stream_id.decode() for stream_id, _ in entries})
        for stream_id in known:
            del self._places[stream_id]
        self._file.seek(place)
        self._file.truncate()
        return entries

    def _range(self, first: str, count: int) -> list[Any]:
        command = ("XRANGE", self._key, first, "+", "COUNT", count)
        entries: list[Any] = self._servers.owner().execute_command(*command)
        return entries


def read(
    plan: Plan, folder: Path, tail: Tail, client: redis.Redis, *, is_finished: bool
) -> History:
    """Put together all that is known of a run that is over."""
    tail.close()
    return History(
        entries=tail.entries(),
        diaries={path.stem: read_diary(path) for path in sorted(folder.glob("*.diary"))},
        final=_final(client, plan.queue),
        lease_ms=int(plan.lease_seconds * 1000),
        max_attempts=plan.max_attempts,
        gaps=tail.gaps,
        work_ms=plan.work_seconds * 1000,
        is_finished=is_finished,
    )


def _final(client: redis.Redis, queue: str) -> Final:
    def key(name: str) -> str:
        return f"{{{queue}}}:{name}"

    told = client.connection_pool.connection_kwargs
    with WorkQueue(queue, host="127.0.0.1", port=told["port"], password=told["password"]) as own:
        counted = own.stats()

    return Final(
        waiting=client.lrange(queue, 0, -1),
        leases=client.zcard(key("leases")),
        requeued=client.zcard(key("requeued")),
        kept_forever=sum(client.ttl(k) == -1 for k in client.scan_iter(key("call:*"))),
        leased={k.decode(): v for k, v in client.hgetall(key("leased")).items()},
        tries={int(k) for k in client.hkeys(key("tries"))},
        dead={int(k): v for k, v in client.hgetall(key("dead")).items()},
        results={int(k): v for k, v in client.hgetall(key("results")).items()},
        counts={name: getattr(counted, name) for name in COUNTERS},
    )
