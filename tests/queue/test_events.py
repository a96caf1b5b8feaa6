"""The event stream's rows, and what `decode` makes of them."""

from __future__ import annotations

import time

import pytest

from wqlib.events import Event, decode, split_lease_id
from wqlib.queue import WorkQueue


def test_an_entry_holds_its_events_in_the_order_in_which_they_happened() -> None:
    events = decode(
        "1764000000123-4",
        [
            *(b"complete", b"17-1@pod-a"),
            *(b"lease", b"18-2@pod-a apple pie"),
            *(b"until", b"1764000030123"),
            *(b"pending", b"41"),
        ],
    )
    assert events == [
        Event("complete", 1764000000.123, "1764000000123-4", "17-1@pod-a", 17, 1, "pod-a",
              pending=41),
        Event("lease", 1764000000.123, "1764000000123-4", "18-2@pod-a", 18, 2, "pod-a",
              item="apple pie", deadline=1764000030.123, pending=41),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (b"release", b"3-1@w shutting down", "shutting down"),
        (b"fail", b"3-1@w ValueError: no", "ValueError: no"),
        (b"dead", b"3-1@w fail: ValueError: no", "fail: ValueError: no"),
        (b"expire", b"3-1@w", ""),
    ],
)
def test_the_end_of_a_lease_says_why(kind: bytes, value: bytes, reason: str) -> None:
    (event,) = decode("1000-0", [kind, value, b"pending", b"1"])
    assert (event.kind, event.reason, event.item) == (kind.decode(), reason, "")
    assert (event.item_id, event.attempt, event.worker) == (3, 1, "w")


def test_only_leases_and_renewals_have_a_deadline() -> None:
    fields = [b"complete", b"1-1@w", b"renew", b"2-1@w", b"until", b"5000", b"pending", b"0"]
    complete, renew = decode("1000-0", fields)
    assert (complete.deadline, renew.deadline) == (0.0, 5.0)


def test_put_and_requeue_say_how_many() -> None:
    for kind in ("put", "requeue"):
        (event,) = decode("1000-0", [kind.encode(), b"500", b"pending", b"507"])
        assert (event.kind, event.count, event.pending) == (kind, 500, 507)


def test_drained_and_clear_belong_to_no_lease() -> None:
    events = decode("1000-0", [b"drained", b"1", b"clear", b"1", b"pending", b"0"])
    assert [(event.kind, event.lease_id) for event in events] == [("drained", ""), ("clear", "")]


def test_an_item_cut_in_the_middle_of_a_letter_is_still_text() -> None:
    (event,) = decode("1000-0", [b"lease", b"1-1@w caf\xc3", b"until", b"1", b"pending", b"0"])
    assert event.item == "caf\ufffd"


def test_an_item_may_hold_spaces_and_at_signs() -> None:
    (event,) = decode("1000-0", [b"lease", b"1-1@w a@b c-d", b"until", b"1", b"pending", b"0"])
    assert (event.worker, event.item) == ("w", "a@b c-d")


def test_a_worker_may_have_dashes_and_at_signs_in_its_name() -> None:
    assert split_lease_id("12-3@job-wq-2-x7k2p@host") == (12, 3, "job-wq-2-x7k2p@host")


@pytest.mark.parametrize("text", ["", "12", "12-3", "@pod", "12@pod", "a-b@pod"])
def test_what_is_no_lease_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        split_lease_id(text)


def test_begin_timing_and_progress_are_read() -> None:
    fields = [b"complete", b"1-1@pod-a 35 5", b"lease", b"2-1@pod-a x", b"lease", b"3-1@pod-a y"]
    done, first, second = decode("1764000000000-0", [*fields, b"begin", b"1", b"pending", b"4"])
    assert (done.began, done.ended, done.reason) == (1763999999.965, 1763999999.995, "")
    assert (first.begins, second.begins) == (True, False)
    (renewed,) = decode("1764000000000-0", [b"renew", b"2-1@pod-a page 3 of 9", b"until", b"1"])
    assert renewed.progress == "page 3 of 9"


def test_the_queue_tells_when_the_work_began(queue: WorkQueue) -> None:
    queue.put(["a", "b", "c"])
    leases = queue.exchange((), 3, begins=2)
    queue.renew_all(leases, progress={leases[1].id: "page 3\nof 9"})
    now = time.monotonic()
    queue.exchange([(leases[0], None, now - 0.5, now - 0.2), (leases[1], None)], 0)
    lent = [event.begins for event in queue.events() if event.kind == "lease"]
    renewed = [event.progress for event in queue.events() if event.kind == "renew"]
    timed, untold = [event for event in queue.events() if event.kind == "complete"]
    assert lent == [True, True, False]
    assert renewed == ["", "page 3 of 9", ""]
    assert 0.29 < timed.ended - timed.began < 0.31
    assert timed.ended < timed.at
    assert untold.began == untold.ended == 0.0


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("begins", [0, 1])
def test_items_that_are_lent_for_completed_ones_may_wait_as_well(
    queue: WorkQueue, number: int, begins: int
) -> None:
    queue.put(["a", "b", "c", "d"])
    done = queue.exchange((), number)
    queue.exchange([(lease, None) for lease in done], number, begins=begins)
    lent = [event.begins for event in queue.events() if event.kind == "lease"]
    assert lent == [True] * (number + begins) + [False] * (number - begins)
