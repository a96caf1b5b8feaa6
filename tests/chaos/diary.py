"""What a worker or the filler writes down before and after each call, whatever happens to it."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wqlib.errors import LeaseLost, QueueError, RedisRefused, RedisUnreachable
from wqlib.queue.items import Lease
from wqlib.worker.shutdown import OutOfTime

T = TypeVar("T")

_true_time = time.time  # `faults` gives the library another one
_REFUSED_PAUSE_SECONDS = 0.05
EXIT_GONE = 3


class Diary:
    """An append-only file, written unbuffered: one line before each call and one after it.

    A line is `{"ask": what, "call": number, "at": seconds, ...}` or `{"told": {...}, "call":
    number, "at": seconds}`, by the machine's true clock. Bytes are kept as latin-1 text. Any
    thread may write.
    """

    def __init__(self, folder: Path, who: str) -> None:
        self.who = who
        self._file = os.open(
            folder / f"{who}.diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode=0o600
        )
        self._numbers = itertools.count(1)
        self._now = threading.local()
        self._looked_at = 0.0

    @property
    def doing(self) -> str:
        """The call that this thread is in, or ""."""
        return getattr(self._now, "what", "")

    def write(self, **record: Any) -> None:
        """Add a line."""
        os.write(self._file, json.dumps({"at": _true_time()} | record).encode() + b"\n")

    def note(self, what: str, action: Callable[[], T], **asked: Any) -> T:
        """Do a call of the queue, and write down what was asked and told."""
        number = next(self._numbers)
        self.write(ask=what, call=number, **asked)
        # A completion that leases nothing is a flush.
        self._now.what = "flush" if what == "complete" and "wants" not in asked else what
        try:
            answer = action()
        except BaseException as error:
            self.write(told=_told_by(error), call=number)
            raise
        else:
            self.write(told=_told(what, answer, asked), call=number)
            return answer
        finally:
            self._now.what = ""

    def looks_for_the_end(self) -> None:
        """A call goes out whose answer may be that the queue has drained."""
        self._looked_at = _true_time()

    def found_the_end(self) -> None:
        """The last of these calls was answered so."""
        number = next(self._numbers)
        self.write(ask="drained", call=number, at=self._looked_at)
        self.write(told={"drained": True}, call=number)

    def call(self, what: str, action: Callable[[], T], **asked: Any) -> tuple[T | None, set[str]]:
        """`note` a call. When Redis refuses (it has no memory left) it is asked again.

        Returns:
            What the call returned, and the ids of the leases that were lost.

        Raises:
            SystemExit: Redis stayed away, or the call raised what it must not raise.
        """
        while True:
            try:
                return self.note(what, action, **asked), set()
            except LeaseLost as error:
                return None, {lease.id for lease in error.lost}
            except RedisUnreachable:
                raise SystemExit(EXIT_GONE) from None
            except QueueError as error:
                if "refused" not in _told_by(error):
                    raise SystemExit(1) from None
                time.sleep(_REFUSED_PAUSE_SECONDS)


def read_diary(path: Path) -> list[dict[str, Any]]:
    """The records of a diary."""
    lines = path.read_bytes().split(b"\n")
    # Killed in the middle of its last line: then it never made that call, or never learned more.
    return [json.loads(line) for line in lines[:-1]]


def _told(what: str, answer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    if what == "drained":
        return {"drained": answer}
    leases = [answer] if isinstance(answer, Lease) else answer
    if not isinstance(leases, Sequence):
        leases = ()
    told: dict[str, Any] = {}
    if leases:
        told["leases"] = [
            [x.id, x.item.decode("latin-1"), round(x.deadline * 1000)] for x in leases
        ]
    elif asked.get("waits"):
        told["drained"] = True
    return told


def _told_by(error: BaseException) -> dict[str, Any]:
    if isinstance(error, LeaseLost):
        return {"lost": [lease.id for lease in error.lost]}
    # A worker that is to stop leaves a call that Redis does not answer.
    if isinstance(error, RedisUnreachable | OutOfTime):
        return {"gone": str(error)}
    # (The last call of a filler that is dead may come in between that of its successor.)
    if isinstance(error, RedisRefused) or "was interrupted" in str(error):
        return {"refused": str(error)}
    return {"error": repr(error)}
