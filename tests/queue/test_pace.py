"""How many items a worker leases at a time by itself."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wqlib.queue.items import Lease
from wqlib.worker.pace import Pace


def leases(first: int, count: int) -> list[Lease]:
    return [Lease(f"{first + i}-1@w", b"", 0.0) for i in range(count)]


def settled(item_seconds: float, *, workers: int = 1, slots: int = 1, rounds: int = 20) -> Pace:
    """A pace after some rounds, beside others that lease as many as it does."""
    pace, next_id = Pace(slots), 1
    for _ in range(rounds):
        count = max(1, pace.wanted(10**6))
        pace.note_leases(leases(next_id, count))
        pace.note_work(count, count * item_seconds)
        next_id += count * workers
    return pace


@pytest.mark.parametrize(
    ("item_seconds", "wanted"), [(1e-6, 500), (0.001, 30), (0.01, 3), (0.02, 1), (3600.0, 1)]
)
def test_it_wants_what_will_be_done_in_30_ms(item_seconds: float, wanted: int) -> None:
    assert settled(item_seconds).wanted(10**6) == pytest.approx(wanted, abs=1)


def test_the_first_time_it_wants_one_and_then_at_most_four_times_as_many() -> None:
    pace = Pace()
    assert pace.wanted(10**6) == 1
    pace.note_leases(leases(1, 1))
    pace.note_work(1, 1e-6)
    assert pace.wanted(10**6) == 4


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_of_what_is_left_it_wants_half_its_share(workers: int) -> None:
    pace = settled(1e-6, workers=workers)
    assert pace.wanted(400) == pytest.approx(400 / (2 * workers), rel=0.1)
    assert pace.wanted(1) == 1
    assert pace.wanted(0) == 1


def test_with_several_slots_it_fills_them_and_adds_what_short_items_need() -> None:
    assert settled(1.0, slots=50).wanted(10**6) == 50
    assert settled(1.0, slots=50).wanted(10**6, held=48) == 2
    assert settled(0.02, slots=50).wanted(10**6) == 75


def test_among_short_items_a_long_one_is_expected() -> None:
    """Or most batches with a long one would give others back."""
    rng, pace, batches, cut_short = random.Random(1), Pace(), 0, 0
    for first in range(1, 10**6, 500):
        count = pace.wanted(10**6)
        pace.note_leases(leases(first, count))
        seconds = [0.1 if rng.random() < 0.1 else 0.001 for _ in range(count)]
        begun = seconds[: seconds.index(0.1) + 1] if 0.1 in seconds else seconds
        pace.note_work(len(begun), sum(begun))
        batches, cut_short = batches + 1, cut_short + (len(begun) < count)
    assert cut_short < 0.1 * batches


@pytest.mark.parametrize(("slow", "ahead"), [(0, 120), (3, 33), (4, 4)])
def test_items_that_take_long_have_nothing_wait_for_their_places(slow: int, ahead: int) -> None:
    pace = settled(0.001, slots=4)
    assert pace.ahead(slow) == pytest.approx(ahead, abs=1)
    assert pace.wanted(10**6, 4, slow) == pytest.approx(ahead - 4, abs=1)


@given(
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(1, 500), st.floats(0, 1e6)), max_size=30),
    st.integers(0, 10**9),
    st.integers(0, 500),
)
def test_it_never_wants_more_than_a_batch_or_less_than_what_is_free(
    slots: int, rounds: list[tuple[int, float]], pending: int, held: int
) -> None:
    pace, next_id = Pace(slots), 1
    for count, seconds in rounds:
        pace.note_leases(leases(next_id, count))
        pace.note_work(count, seconds)
        next_id += 3 * count
    wanted = pace.wanted(pending, held)
    assert wanted + held <= 500 or wanted <= 0
    assert wanted <= max(1, pending / 2)
    if held < slots:
        assert wanted >= 1
