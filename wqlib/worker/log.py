"""What a worker says: lines of text for people, or lines of JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from ..queue.items import Lease
from ..shown import shown

_LIBRARY = logging.getLogger("wqlib.queue")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


def say_text(line: str, **fields: Any) -> None:
    """Print a line as it is, at once and in one piece, so that threads do not mix theirs."""
    try:  # not `print` and `suppress`: they take three times as long, for each item
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except UnicodeEncodeError:  # a locale that is not UTF-8
        say_text(line.encode("ascii", "backslashreplace").decode())
    except OSError:  # nobody reads any more; the work goes on
        pass


def say_json(line: str, **fields: Any) -> None:
    """Print a line as a JSON object: `time` (UTC), `level`, `message`, and the fields."""
    now = time.time()
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    say_text(json.dumps({"time": at, "level": "info", "message": line, **fields}, default=str))


FORMATS: dict[str, Callable[..., None]] = {"text": say_text, "json": say_json}


def about(lease: Lease) -> dict[str, Any]:
    """The fields of a line about a lease."""
    return {"item": shown(lease.item), "item_id": lease.item_id, "attempt": lease.attempt}


class Listener(logging.Handler):
    """Inside `with`, the queue's own log goes to `say`.

    Args:
        say: Gets each line, and its fields.
    """

    def __init__(self, say: Callable[..., None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        self._say(record.getMessage(), level=record.levelname.lower(), **fields)

    def __enter__(self) -> None:
        _LIBRARY.addHandler(self)

    def __exit__(self, *_: object) -> None:
        _LIBRARY.removeHandler(self)
