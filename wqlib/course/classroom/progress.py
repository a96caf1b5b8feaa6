"""A learner's progress, published where the teacher sees it: a ConfigMap of the own namespace.

`wqlib class create` makes it; where there is none, nobody is in a class and nothing happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...cluster import Cluster

PATIENCE_SECONDS = 2.0
LARGEST_BYTES = 200_000
KEY = "progress.json"


def publish(cluster: Cluster | None, record: Mapping[str, Any]) -> bool:
    """Put the learner's progress where the teacher sees it. It never raises.

    It takes two seconds at most, also when the cluster is away; the next call sends everything
    anew, so nothing is lost by that.

    Args:
        cluster: The cluster that the learner works on; None: the one that WQLIB_CONTEXT names,
            and without that there is no class.
        record: All of the learner's progress, as `read` takes it:
            `{"exercises": {"05-1": {"passed": True, "at": "2026-11-28T21:00:00Z"}}, "of": 27}`,
            with the time in UTC, and how many exercises there are in all.

    Returns:
        True if it is there now; False if the learner is in no class, or the cluster is away.
    """
    if cluster is None and os.environ.get("WQLIB_CONTEXT") in (None, "", "local"):
        return False
    done = threading.Event()

    def send() -> None:
        with contextlib.suppress(Exception):
            if _send(cluster, record):
                done.set()

    thread = threading.Thread(target=send, name="wqlib-publish", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return done.is_set()


def _send(cluster: Cluster | None, record: Mapping[str, Any]) -> bool:
    from kubernetes import client

    from ...cluster import kube, kubeconfig, named_namespace
    from .objects import PROGRESS

    text = json.dumps(record)
    if len(text) > LARGEST_BYTES:
        return False
    if cluster is not None:
        api, namespace = cluster.api, cluster.namespace
    else:
        files, context = kubeconfig.kubeconfig_files(None), os.environ["WQLIB_CONTEXT"]
        namespace = named_namespace(context)
        api = kube.client_for(files, context)
    patch = client.CoreV1Api(api).patch_namespaced_config_map
    limit = (PATIENCE_SECONDS, PATIENCE_SECONDS)
    kube.get(patch, PROGRESS, namespace, {"data": {KEY: text}}, _request_timeout=limit)
    return True


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a learner is, as the learner's own record says.

    Attributes:
        done: How many exercises were answered rightly.
        of: How many there are; 0: not known.
        last: The exercise that was tried last, or "".
        at: When that was, in seconds since the epoch; 0: not known.
    """

    done: int = 0
    of: int = 0
    last: str = ""
    at: float = 0.0


def read(config_map: Mapping[str, Any]) -> Progress:
    """Read what `publish` wrote. A learner may write anything there, so nothing is trusted."""
    try:
        record = json.loads((config_map.get("data") or {}).get(KEY) or "{}")
        exercises = {
            str(name)[:20]: (one.get("passed") is True, _seconds(one.get("at")))
            for name, one in record.get("exercises", {}).items()
        }
        of = int(_number(record.get("of")))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Progress()
    at, last = max(((at, name) for name, (_, at) in exercises.items()), default=(0.0, ""))
    return Progress(sum(passed for passed, _ in exercises.values()), of, last, at)


def _seconds(at: Any) -> float:
    """A time in UTC as seconds since the epoch, or 0."""
    try:
        return _number(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _number(value: Any) -> float:
    """A number in the range of times and counts, or 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11:
        return float(value)
    return 0.0
