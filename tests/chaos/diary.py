"""What a worker or the filler writes down before and after each call, whatever happens to it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wqlib.errors import LeaseLost, QueueError, RedisRefused, RedisUnreachable
from wqlib.queue.items import Lease

T = TypeVar("T")

_true_time = time.time  # `faults` gives the library another one
_REFUSED_PAUSE_SECONDS = 0.05
EXIT_GONE = 3


class Diary:
    """An append-only file, written unbuffered: one line before each call and one after it.

    A line is `{"ask": what, "at": seconds, ...}` or `{"told": {...}, "at": seconds}`, by the
    machine's true clock. Bytes are kept as latin-1 text.
    """

    def __init__(self, folder: Path, who: str) -> None:
        self._file = os.open(
            folder / f"{who}.diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode=0o600
        )

    def write(self, **record: Any) -> None:
        """Add a line."""
        os.write(self._file, json.dumps(record | {"at": _true_time()}).encode() + b"\n")

    def call(self, what: str, action: Callable[[], T], **asked: Any) -> tuple[T | None, set[str]]:
        """Do a call of the queue, and write down what was asked and told.

        When Redis refuses (it has no memory left) it is asked again.

        Returns:
            What the call returned, and the ids of the leases that were lost.

        Raises:
            SystemExit: Redis stayed away, or the call raised what it must not raise.
        """
        while True:
            self.write(ask=what, **asked)
            try:
                answer = action()
            except LeaseLost as error:
                lost = [lease.id for lease in error.lost]
                self.write(told={"lost": lost})
                return None, set(lost)
            except RedisRefused as error:
                self.write(told={"refused": str(error)})
                time.sleep(_REFUSED_PAUSE_SECONDS)
            except RedisUnreachable as error:
                self.write(told={"gone": str(error)})
                raise SystemExit(EXIT_GONE) from None
            except QueueError as error:
                if what == "put" and "interrupted" in str(error):
                    # The last call of a filler that is dead came in between.
                    self.write(told={"refused": str(error)})
                    continue
                self.write(told={"error": repr(error)})
                raise SystemExit(1) from None
            except BaseException as error:
                self.write(told={"error": repr(error)})
                raise
            else:
                self.write(told=_told(what, answer))
                return answer, set()


def read_diary(path: Path) -> list[dict[str, Any]]:
    """The records of a diary."""
    lines = path.read_bytes().split(b"\n")
    # Killed in the middle of its last line: then it never made that call, or never learned more.
    return [json.loads(line) for line in lines[:-1]]


def _told(what: str, answer: Any) -> dict[str, Any]:
    if what == "drained":
        return {"drained": answer}
    if isinstance(answer, Lease):
        answer = [answer]
    if not isinstance(answer, Sequence):
        return {}
    return {
        "leases": [[x.id, x.item.decode("latin-1"), round(x.deadline * 1000)] for x in answer],
        "drained": not answer,
    }
