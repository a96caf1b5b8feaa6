"""Keeps the number of Events small: similar ones become one, and nobody talks without end.

As every Kubernetes component does before it writes an Event:
https://github.com/kubernetes/client-go/blob/master/tools/record/events_cache.go
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .jsontypes import Obj

Key = tuple[str, ...]

# From so many different messages of one kind on, the further ones are combined.
_SIMILAR = 10
_SIMILAR_SECONDS = 600.0
# So many Events about one object in a row, then one in five minutes.
_BURST = 25.0
_SECONDS_EACH = 300.0
_MOST_KEYS = 4096


@dataclass
class EventFilter:
    """Decides what becomes of each Event of one component.

    Args:
        clock: seconds that only go up; tests give their own.
    """

    clock: Callable[[], float] = time.monotonic
    _groups: dict[int, tuple[float, tuple[int, ...]]] = field(default_factory=dict)
    _tokens: dict[str, tuple[float, float]] = field(default_factory=dict)

    def admit(self, event: Obj) -> Key | None:
        """Return by what an Event is known (equal ones are counted), or None to drop it.

        The message of an Event that is combined with similar ones is changed in place.
        """
        uid = str(event["involvedObject"]["uid"])
        key = self._group(event, uid)
        return key if self._may_speak(uid) else None

    def _group(self, event: Obj, uid: str) -> Key:
        now, message = self.clock(), event["message"]
        group_key = (uid, event["type"], event["reason"])
        # Hashes stand for names and messages, which would take much memory.
        group, said = hash(group_key), hash(message)
        if len(self._groups) > _MOST_KEYS:
            self._groups.clear()
        seen, messages = self._groups.get(group, (now, ()))
        if now - seen > _SIMILAR_SECONDS:
            messages = ()
        known = said in messages
        fits = known or len(messages) < _SIMILAR - 1
        self._groups[group] = (now, (*messages, said) if fits and not known else messages)
        if fits:
            return (*group_key, event["involvedObject"].get("fieldPath", ""), message)
        event["message"] = f"(combined from similar events): {message}"[:1024]
        return group_key

    def _may_speak(self, uid: str) -> bool:
        now = self.clock()
        if len(self._tokens) > _MOST_KEYS:
            self._tokens.clear()
        left, since = self._tokens.get(uid, (_BURST, now))
        left = min(_BURST, left + (now - since) / _SECONDS_EACH)
        self._tokens[uid] = (left - 1 if left >= 1 else left, now)
        return left >= 1
