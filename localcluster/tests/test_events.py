"""Similar Events become one, and nobody talks without end."""

from __future__ import annotations

from typing import Any

from localcluster.apimachinery.events import EventCorrelator


def _event(message: str, reason: str = "Created", uid: str = "1") -> dict[str, Any]:
    return {"involvedObject": {"uid": uid}, "type": "Normal", "reason": reason, "message": message}


def test_equal_events_are_known_by_the_same_key() -> None:
    kept = EventCorrelator()
    assert kept.admit(_event("a")) == kept.admit(_event("a"))
    assert kept.admit(_event("a")) != kept.admit(_event("b"))
    assert kept.admit(_event("a")) != kept.admit(_event("a", uid="2"))


def test_from_the_tenth_message_on_similar_events_are_combined() -> None:
    kept = EventCorrelator()
    events = [_event(f"pod {i}") for i in range(12)]
    keys = [kept.admit(event) for event in events]
    assert [event["message"] for event in events[:9]] == [f"pod {i}" for i in range(9)]
    assert events[9]["message"] == "(combined from similar events): pod 9"
    assert len(set(keys[:9])) == 9
    assert keys[9] == keys[10] == keys[11]
    assert kept.admit(other := _event("done", reason="Completed"))
    assert other["message"] == "done"


def test_after_ten_quiet_minutes_each_event_counts_again() -> None:
    now = 0.0
    kept = EventCorrelator(lambda: now)
    for i in range(10):
        kept.admit(_event(f"pod {i}"))
    now = 601.0
    kept.admit(late := _event("pod 10"))
    assert late["message"] == "pod 10"


def test_whoever_talks_too_much_about_one_object_is_silenced_for_a_while() -> None:
    now = 0.0
    kept = EventCorrelator(lambda: now)
    said = [kept.admit(_event("again")) is not None for _ in range(30)]
    assert said == [True] * 25 + [False] * 5
    assert kept.admit(_event("again", uid="2")) is not None
    now = 301.0
    assert kept.admit(_event("again")) is not None
    assert kept.admit(_event("again")) is None
