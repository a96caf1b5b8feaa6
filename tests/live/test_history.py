"""The fold of events into a history: pure, so no Redis is needed here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import T0, Story, lost_and_found, three_ends

from wqlib.events import Event
from wqlib.history import BadHistoryFile, History, Reading, fold
from wqlib.history.recording import EventLog, Recorded
from wqlib.history.words import duration, item_seconds


def state_of(history: History) -> dict[str, Any]:
    """All that a history says, in a form that compares."""
    now = history.last_at + 1
    return {
        "lanes": history.lanes,
        "handovers": list(history.handovers),
        "counts": history.counts,
        "depth": history.depth,
        "started_at": history.started_at,
        "drained_at": history.drained_at,
        "thinned_before": history.thinned_before,
        "version": history.version,
        "summary": history.summary(now),
        "table": history.table(now),
        "rate": history.rate(now),
        "eta": history.eta(now),
        "log": list(history.log),
    }


# Spans and lanes


def test_a_lease_becomes_a_span_from_loan_to_completion() -> None:
    history = Story(1).lease(1, "1-1@a", "apple", 10).complete(3.5, "1-1@a").history()
    (span,) = history.lanes["a"].spans
    assert (span.start, span.end, span.outcome) == (T0 + 1, T0 + 3.5, "complete")
    assert (span.item, span.item_id, span.attempt) == ("apple", 1, 1)


def test_a_running_lease_has_no_end_and_its_deadline_moves_with_renewals() -> None:
    history = Story(1).lease(1, "1-1@a", seconds=10).renew(6, "1-1@a", 10).history()
    (span,) = history.lanes["a"].spans
    assert (span.end, span.outcome, span.deadline) == (None, "running", T0 + 16)
    assert span.renewals == (T0 + 6,)


@pytest.mark.parametrize("end", ["expire", "fail", "release"])
def test_a_lost_lease_says_how_it_ended(end: str) -> None:
    story = Story(1).lease(1, "1-1@a")
    getattr(story, end)(3, "1-1@a")
    history = story.history()
    assert history.lanes["a"].spans[0].outcome == end
    assert history.lanes["a"].lost == 1
    assert history.counts.pending == 1


def test_an_item_given_up_turns_its_last_span_dead() -> None:
    history = Story(1).lease(1, "1-3@a").fail(2, "1-3@a").dead(2, "1-3@a").history()
    (span,) = history.lanes["a"].spans
    assert (span.outcome, span.reason) == ("dead", "fail: boom")
    assert (history.counts.failed, history.counts.dead, history.counts.leased) == (1, 1, 0)


def test_lanes_stand_in_the_order_in_which_their_workers_appeared() -> None:
    history = Story(3).lease(1, "1-1@z").lease(2, "2-1@a").lease(3, "3-1@m").history()
    assert list(history.lanes) == ["z", "a", "m"]


def test_a_pod_has_a_lane_before_its_first_lease() -> None:
    history = Story().pod(1, "pending", "p").pod(2, "running", "p").history()
    assert [mark.kind for mark in history.lanes["p"].marks] == ["pending", "running"]
    assert history.lanes["p"].job == "job-wq-2"


def test_a_pod_of_no_job_gets_no_lane_unless_it_works() -> None:
    assert not Story().pod(1, "running", "redis-0", job="").history().lanes
    worked = Story(1).lease(1, "1-1@solo").pod(2, "running", "solo", job="").history()
    assert worked.lanes["solo"].state == "running"


def test_leases_held_at_once_lie_in_different_slots_of_the_lane() -> None:
    story = Story(4).lease(1, "1-1@a").lease(1, "2-1@a").lease(1, "3-1@a")
    story.complete(2, "1-1@a").lease(2, "4-1@a")
    lane = story.history().lanes["a"]
    assert [span.slot for span in lane.spans] == [0, 1, 2, 0]
    assert lane.slots == 3


# Handovers


def test_the_next_lease_of_a_lost_item_is_joined_to_the_lost_one() -> None:
    history = lost_and_found().history()
    ((lost, found),) = history.handovers
    assert (lost.worker, lost.outcome, found.worker) == (
        "job-wq-2-aaaaa",
        "expire",
        "job-wq-2-bbbbb",
    )
    assert lost.item_id == found.item_id == 1


def test_a_completed_item_is_never_handed_over() -> None:
    assert not Story(2).lease(1, "1-1@a").complete(2, "1-1@a").lease(2, "2-1@b").history().handovers


# Counts


def test_counts_follow_the_story() -> None:
    counts = lost_and_found().history().counts
    assert (counts.put, counts.done, counts.pending, counts.leased) == (3, 3, 0, 0)
    assert (counts.expired, counts.failed, counts.released, counts.dead) == (1, 0, 0, 0)
    assert counts.total == 3


def test_items_pushed_without_an_event_are_counted_once_an_event_tells_of_them() -> None:
    history = Story(7).lease(1, "1-1@a").history()
    assert (history.counts.pending, history.counts.total) == (6, 7)


def test_dead_items_put_back_are_no_longer_dead() -> None:
    story = Story(1).lease(1, "1-1@a").fail(2, "1-1@a").dead(2, "1-1@a").requeue(3, 1)
    assert (story.history().counts.dead, story.history().counts.pending) == (0, 1)


def test_the_end_of_a_lease_whose_beginning_was_trimmed_is_counted() -> None:
    history = Story(4).complete(1, "9-1@a").expire(2, "8-1@b").history()
    assert (history.counts.done, history.counts.expired, history.counts.leased) == (1, 1, 0)
    assert history.lanes["a"].done == 1
    assert not history.lanes["a"].spans


def test_a_renewal_of_an_unseen_lease_shows_that_it_is_held() -> None:
    history = Story(4).renew(1, "9-1@a").history()
    assert history.counts.leased == 1
    assert history.lanes["a"].spans[0].outcome == "running"
    assert Story(4).renew(1, "9-1@a").complete(2, "9-1@a").history().counts.leased == 0


def test_clear_starts_anew_but_keeps_pods_that_live() -> None:
    story = lost_and_found().pod(9, "running", "job-wq-2-ccccc").clear(10)
    history = story.history()
    assert list(history.lanes) == ["job-wq-2-ccccc"]
    assert history.counts.total == 0
    assert not history.handovers


def test_a_reading_sets_the_counts_right() -> None:
    story = Story(0).lease(1, "1-1@a")
    story.events.append(Reading(T0 + 2, pending=5, leased=3, done=900, dead=1, expired=4))
    history = story.history()
    counts = history.counts
    assert (counts.pending, counts.leased, counts.done, counts.dead) == (5, 3, 900, 1)
    history.add(Story(5).complete(3, "1-1@a").complete(3, "77-1@b").events)
    assert (history.counts.leased, history.counts.done) == (1, 902)
    assert history.rate(T0 + 3) < 10  # the 900 were not done just now


def test_a_reading_without_leases_forgets_those_whose_end_was_trimmed() -> None:
    story = Story(0).lease(1, "1-1@a").lease(1, "2-1@a").complete(2, "2-1@a")
    story.events.append(Reading(T0 + 9, done=2))
    history = story.history()
    assert [span.outcome for span in history.lanes["a"].spans] == ["complete"]
    assert history.counts.leased == 0


# Depth, rate and time left


def test_depth_holds_how_full_the_queue_was() -> None:
    depth = lost_and_found().history().depth
    assert depth[0] == (T0, 3, 0, 0, 0)
    assert depth[-1] == (T0 + 8, 0, 0, 3, 0)
    assert {level.pending + level.leased + level.done for level in depth} == {3}


def test_depth_stays_small_however_long_the_run_is() -> None:
    story = Story(30_000)
    for i in range(1, 10_001):
        story.lease(i, f"{i}-1@a").complete(i + 0.9, f"{i}-1@a")
    depth = story.history().depth
    assert len(depth) <= 2_048
    assert depth[0].at == T0 + 1
    assert depth[-1].done == 10_000
    assert [level.at for level in depth] == sorted(level.at for level in depth)


def steady(items: int, seconds: float, workers: int = 1, left: int = 0) -> History:
    story = Story(items + left)
    for i in range(items):
        worker = f"w{i % workers}"
        story.lease(i // workers * seconds, f"{i + 1}-1@{worker}")
        story.complete((i // workers + 1) * seconds, f"{i + 1}-1@{worker}")
    story.events.sort(key=lambda event: event.at)  # workers take turns
    history = History()
    history.add(story.events)
    history.add([Reading(history.last_at, pending=left, done=items)])
    return history


def test_the_rate_is_that_of_the_last_seconds() -> None:
    history = steady(100, 0.5)
    assert history.rate(T0 + 50) == pytest.approx(2, rel=0.05)
    assert history.rate(T0 + 55) == pytest.approx(1, rel=0.1)
    assert history.rate(T0 + 100) == 0


def test_time_left_is_what_is_left_over_the_rate() -> None:
    seconds, uncertainty = steady(100, 0.5, left=40).eta(T0 + 50) or (0, 0)
    assert seconds == pytest.approx(20, rel=0.1)
    assert 0 < uncertainty < seconds / 2


def test_time_left_is_less_certain_when_the_pace_has_changed() -> None:
    story = Story(300)
    for i in range(100):  # two items a second, and only one in the last four seconds
        at = i * 0.5 if i < 92 else 46 + (i - 92)
        story.lease(at, f"{i + 1}-1@a").complete(at + 0.4, f"{i + 1}-1@a")
    changed, even = story.history().eta(T0 + 54), steady(100, 0.5, left=200).eta(T0 + 50)
    assert changed
    assert even
    assert changed[1] / changed[0] > 2 * even[1] / even[0]


def test_time_left_is_not_guessed_from_nothing() -> None:
    assert History().eta(T0) is None
    assert Story(5).lease(1, "1-1@a").history().eta(T0 + 2) is None


def test_nothing_is_left_of_a_drained_queue() -> None:
    assert lost_and_found().history().eta(T0 + 9) == (0, 0)


# Words and table


def test_the_summary_says_where_the_run_stands() -> None:
    story = Story(60)
    for pod in ("aaaaa", "bbbbb", "ccccc"):
        story.pod(0, "running", f"job-wq-2-{pod}")
    for i in range(1, 42):
        story.lease(i, f"{i}-1@job-wq-2-aaaaa").complete(i + 1, f"{i}-1@job-wq-2-aaaaa")
    story.lease(42, "42-1@job-wq-2-aaaaa").lease(42, "43-1@job-wq-2-bbbbb")
    story.expire(42.2, "42-1@job-wq-2-aaaaa").expire(42.2, "43-1@job-wq-2-bbbbb")
    story.lease(42.2, "42-2@job-wq-2-ccccc").lease(42.2, "43-2@job-wq-2-aaaaa")
    story.lease(42.3, "44-1@job-wq-2-bbbbb")
    text = story.history().summary(T0 + 42.5)
    assert text.startswith(
        "Job job-wq-2: 3 pods running. 41 of 60 items done, 3 leased, 16 waiting, 0 dead. "
        "2 leases expired and were leased again. About "
    )


def test_the_summary_says_what_is_not_lent_again_yet() -> None:
    text = Story(1).lease(1, "1-1@a").expire(9, "1-1@a").history().summary(T0 + 10)
    assert "1 lease expired; its item waits to be leased again." in text


def test_the_summary_says_when_all_is_done() -> None:
    text = lost_and_found().history().summary(T0 + 9)
    assert text == (
        "Job job-wq-2: 0 pods running; so far 1 killed. 3 of 3 items done, 0 leased, 0 waiting, "
        "0 dead. 1 lease expired and was leased again. The queue is drained."
    )


def test_the_summary_says_how_pods_ended_before_the_work_did() -> None:
    text = three_ends().history().summary(T0 + 3)
    assert text.startswith(
        "Job j: 1 pod running; so far 2 killed, 2 ended early, 2 asked to end, 1 evicted. "
    )


def test_the_summary_of_nothing_says_so() -> None:
    assert History().summary(T0) == "No worker yet. No items yet."
    assert History().summary(T0, "job-wq-2") == "Job job-wq-2: no pod yet. No items yet."


def test_the_table_has_a_row_for_each_pod() -> None:
    first, second = lost_and_found().history().table(T0 + 10)
    assert (first.pod, first.state, first.done, first.lost) == ("job-wq-2-aaaaa", "killed", 0, 1)
    assert (second.done, second.state, second.working_on) == (3, "finished", "")
    assert second.mean_seconds == pytest.approx((1.9 + 3.5 + 1.5) / 3)
    assert second.p95_seconds == pytest.approx(3.5)
    assert second.busy == pytest.approx(6.9 / 7.8)


def test_the_table_says_what_a_pod_works_on() -> None:
    story = Story(3).lease(1, "1-2@a", "apple").lease(1, "2-1@a", "banana")
    (row,) = story.history().table(T0 + 2)
    assert (row.state, row.working_on) == ("working", "apple (attempt 2) and 1 more")


def test_a_worker_with_several_leases_is_timed_item_by_item() -> None:
    story = Story(2).lease(0, "1-1@a").lease(0, "2-1@a")
    story.complete(1, "1-1@a").complete(3, "2-1@a")
    assert list(story.history().lanes["a"].item_seconds) == [1, 2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0.4 s"), (8, "8 s"), (59.4, "59 s"), (130, "2 min 10 s"), (700, "11 min 40 s"),
     (3600, "1 h"), (11_100, "3 h 5 min")],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0034, "3.4 ms"), (0.034, "34 ms"), (2.314, "2.31 s"), (12.34, "12.3 s")],
)
def test_item_times_have_three_digits(seconds: float | None, text: str) -> None:
    assert item_seconds(seconds) == text


# Bounded memory


def test_old_detail_is_thinned_and_the_counts_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MAX_SPANS", 200)
    story = Story(5_000)
    for i in range(1, 5_001):
        story.lease(i, f"{i}-1@w{i % 4}").complete(i + 3.9, f"{i}-1@w{i % 4}")
    history = story.history()
    spans = [span for lane in history.lanes.values() for span in lane.spans]
    assert len(spans) <= 200
    assert sum(span.leases for span in spans) == 5_000
    assert history.counts.done == 5_000
    assert history.thinned_before > T0
    newest = [span for span in spans if span.start > history.thinned_before]
    assert newest
    assert all(span.leases == 1 for span in newest)


def test_idle_time_is_never_painted_over_when_spans_are_thinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fold, "MAX_SPANS", 100)
    story = Story(2_000)
    for i in range(1, 2_001):
        story.lease(i * 10, f"{i}-1@a").complete(i * 10 + 1, f"{i}-1@a")
    history = story.history()
    assert len(history.lanes["a"].spans) <= 100
    assert all(span.end - span.start < 1.5 for span in history.lanes["a"].spans if span.end)


def test_the_log_is_packed_and_still_tells_all() -> None:
    log = EventLog()
    events = [Event("put", T0 + i, count=i) for i in range(10_000)]
    for event in events:
        log.recent.append(event)
        log.pack()
    assert len(log.recent) < 4_096
    assert (list(log), len(log)) == (events, 10_000)


# The same history, however the events are cut into batches


def cut(events: list[Recorded], at: Iterable[int]) -> History:
    history = History()
    last = 0
    for here in [*sorted(at), len(events)]:
        history.add(events[last:here])
        last = here
    return history


@st.composite
def stories(draw: Callable[..., Any]) -> list[Recorded]:
    """Random runs, with leases that end in every way, and some events missing."""
    story, at = Story(0), 0.0
    held: dict[str, int] = {}
    waiting: list[tuple[int, int]] = []
    items = 0
    for _ in range(draw(st.integers(1, 60))):
        at += draw(st.sampled_from([0, 0.004, 0.3, 2, 40]))
        worker = draw(st.sampled_from(["a", "b", "job-wq-2-x"]))
        step = draw(st.integers(0, 12))
        mine = [lease for lease in held if lease.endswith(f"@{worker}")]
        if step < 2:
            story.put(at, 3)
        elif step < 6:
            if waiting and step < 5:
                item, attempt = waiting.pop()
            else:
                items, item, attempt = items + 1, items + 1, 0
            lease = f"{item}-{attempt + 1}@{worker}"
            held[lease] = item
            story.lease(at, lease, f"item {item}")
        elif step == 6 and mine:
            story.renew(at, mine[0])
        elif step in (7, 8) and mine:
            del held[mine[-1]]
            story.complete(at, mine[-1])
        elif step in (9, 10) and mine:
            item = held.pop(mine[0])
            getattr(story, draw(st.sampled_from(["expire", "fail", "release"])))(at, mine[0])
            if draw(st.booleans()):
                waiting.append((item, int(mine[0].split("@")[0].split("-")[1])))
            else:
                story.dead(at, mine[0])
        elif step == 11:
            kind = draw(st.sampled_from(["pending", "running", "terminating", "failed"]))
            story.pod(at, kind, "job-wq-2-x")
        elif step == 12:
            story.events.append(Reading(T0 + at, pending=draw(st.integers(0, 3)), done=items))
    skip = draw(st.integers(0, len(story.events)))
    return story.events[skip if skip < 10 else 0 :]


@settings(max_examples=200, deadline=None)
@given(events=stories(), data=st.data())
def test_any_cut_into_batches_gives_the_same_history(
    events: list[Recorded], data: st.DataObject
) -> None:
    places = data.draw(st.sets(st.integers(0, len(events))))
    assert state_of(cut(events, places)) == state_of(cut(events, []))


def test_any_cut_gives_the_same_history_when_detail_is_thinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fold, "MAX_SPANS", 50)
    story = Story(900)
    for i in range(1, 901):
        story.lease(i, f"{i}-1@w{i % 3}").complete(i + 2, f"{i}-1@w{i % 3}")
    whole = cut(story.events, [])
    assert state_of(cut(story.events, range(0, 1_800, 7))) == state_of(whole)


# Files


def test_a_saved_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    story = lost_and_found()
    story.lease(9, "4-1@b").lease(9, "5-1@b", begins=False).renew(10, "4-1@b", progress="half")
    story.complete(12, "4-1@b", 9, 11.97)
    story.events.append(Reading(T0 + 13, leased=1, done=4, expired=1))
    history = story.history()
    history.save(tmp_path / "run.jsonl")
    assert state_of(History.load(tmp_path / "run.jsonl")) == state_of(history)


def test_a_run_can_be_saved_while_it_goes_on(tmp_path: Path) -> None:
    history, number = History(), 60_000

    def go_on() -> None:
        for i in range(0, number, 50):
            history.add([Event("put", T0 + j, count=j) for j in range(i, i + 50)])

    thread = threading.Thread(target=go_on)
    thread.start()
    path, saved = tmp_path / "run.jsonl", 0
    while True:
        last = not thread.is_alive()
        history.save(path)
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        counts = [json.loads(line).get("count", 0) for line in lines]
        assert counts == list(range(len(counts)))  # none missing, none twice
        assert json.loads(head)["events"] == len(counts) >= saved
        saved = len(counts)
        if last:
            break
    thread.join()
    assert saved == number


def test_a_run_is_saved_as_json_lines_with_the_version_in_the_first(tmp_path: Path) -> None:
    Story(1).lease(1, "1-1@a", "café").history().save(tmp_path / "run.jsonl")
    head, line = (tmp_path / "run.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(head) == {"format": "wqlib history", "version": 1, "events": 1}
    assert json.loads(line)["event"] == "lease"
    assert "café" in line


def test_what_a_newer_wqlib_added_to_the_format_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(
        '{"format": "wqlib history", "version": 1}\n'
        '{"event": "put", "at": 1.0, "count": 2, "colour": "red"}\n'
        '{"weather": "fine"}\n'
        '{"event": "paused", "at": 2.0}\n'
    )
    assert History.load(path).counts.put == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "first line"),
        ("fruit\n", "first line"),
        ("[1]\n", "first line"),
        ('{"format": "wqlib history", "version": 99}\n', "newer wqlib"),
        ('{"format": "wqlib history", "version": 1}\nnonsense\n', "Line 2"),
        ('{"format": "wqlib history", "version": 1}\n{"event": "put"}\n', "Line 2"),
        ('{"format": "wqlib history", "version": 1}\n{"event": "put", "at": "x"}\n', "at is 'x'"),
        ('{"format": "wqlib history", "version": 1}\n[]\n', "Line 2"),
        (
            '{"format": "wqlib history", "version": 1}\n{"event": "lease", "at": 1, "begins": 1}\n',
            "begins is 1",
        ),
    ],
)
def test_a_bad_file_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(BadHistoryFile, match=says):
        History.load(path)


def test_a_missing_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadHistoryFile, match="Cannot read"):
        History.load(tmp_path / "none.jsonl")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = lost_and_found().history()
    path = tmp_path / "run.jsonl"
    path.write_text("old")
    monkeypatch.setattr("wqlib.history.recording._to_json", lambda event: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        history.save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
