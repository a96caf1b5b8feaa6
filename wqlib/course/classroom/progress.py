"""A learner's progress, where the teacher sees it: a ConfigMap of the learner's namespace.

`wqlib class create` makes it; where there is none, nobody is in a class and nothing happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..predictions import data

PATIENCE_SECONDS = 2.0
LARGEST_BYTES = 200_000
KEY = "progress.json"


def publish(record: Mapping[str, Any]) -> bool:
    """Put the learner's progress where the teacher sees it. It never raises.

    The cluster is the one that WQLIB_CONTEXT names; without that there is no class. It takes two
    seconds at most, even if the cluster is away; the next call sends everything again, so
    nothing is lost by that.

    Args:
        record: All of the learner's progress, as `read` takes it: `{"exercises": {"06-1":
            {"passed": True, "at": "2026-11-28T21:00:00Z"}}, "of": 32, "guesses": {"06-a": 2}}`,
            with the time in UTC, and how many exercises there are in all.

    Returns:
        True if it is there now; False if the learner is in no class, or the cluster is away.
    """
    context = os.environ.get("WQLIB_CONTEXT")
    if context in (None, "", "local"):
        return False
    done = threading.Event()

    def send() -> None:
        with contextlib.suppress(Exception):
            if _send(context, record):
                done.set()

    thread = threading.Thread(target=send, name="wqlib-publish", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return done.is_set()


def _send(context: str, record: Mapping[str, Any]) -> bool:
    from kubernetes import client

    from ...cluster import kube, kubeconfig, named_namespace
    from .objects import PROGRESS

    text = json.dumps(record)
    if len(text) > LARGEST_BYTES:
        return False
    api = kube.client_for(kubeconfig.kubeconfig_files(None), context)
    patch = client.CoreV1Api(api).patch_namespaced_config_map
    limit, body = (PATIENCE_SECONDS, PATIENCE_SECONDS), {"data": {KEY: text}}
    kube.get(patch, PROGRESS, named_namespace(context), body, _request_timeout=limit)
    return True


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a learner is, as the learner's own record says.

    Attributes:
        done: How many exercises were answered correctly.
        of: How many there are; 0: not known.
        last: The exercise that was tried last, or "".
        at: When that was, in seconds since the epoch; 0: not known.
        guesses: The number of the option that was guessed first, by prediction.
    """

    done: int = 0
    of: int = 0
    last: str = ""
    at: float = 0.0
    guesses: dict[str, int] = field(default_factory=dict)


def read(config_map: Mapping[str, Any]) -> Progress:
    """Read what `publish` wrote. A learner may write anything there, so trust nothing."""
    try:
        record = json.loads((config_map.get("data") or {}).get(KEY) or "{}")
        exercises = {
            str(name)[:20]: (one.get("passed") is True, _seconds(one.get("at")))
            for name, one in record.get("exercises", {}).items()
        }
        of = int(_number(record.get("of")))
        guesses = {
            name: guess
            for name, entry in data.known().items()
            if type(guess := record.get("guesses", {}).get(name)) is int
            and 1 <= guess <= len(entry.pictures)
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Progress()
    at, last = max(((at, name) for name, (_, at) in exercises.items()), default=(0.0, ""))
    done = sum(passed for passed, _ in exercises.values())
    return Progress(done, of, last, at, guesses)


def _seconds(at: Any) -> float:
    """Return a time in UTC as seconds since the epoch, or 0."""
    try:
        return _number(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _number(value: Any) -> float:
    """Return a number in the range of times and counts, or 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11:
        return float(value)
    return 0.0
