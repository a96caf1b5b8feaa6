"""A pod and an item in words."""

from __future__ import annotations

from stories import T0, Story, lost_and_found, three_ends

from wqlib.history.story import item_story, items_of, leases_story, pod_story


def test_the_story_of_an_item_goes_from_lease_to_lease() -> None:
    assert item_story(lost_and_found().history(), 1, T0 + 9) == [
        "Item 1: apple.",
        "Attempt 1, aaaaa: lent at 0.5 s, its worker's process ended at 1.5 s, deadline 5.5 s, "
        "expired at 6.0 s.",
        "Attempt 2, bbbbb: lent at 6.0 s, completed at 7.5 s after 1.50 s of work.",
    ]
    assert item_story(lost_and_found().history(), 99, T0 + 9) == []


def test_the_story_of_an_item_that_is_worked_on_says_the_time_left() -> None:
    story = Story(9).lease(0, "1-2@a", "apple", 10).renew(2, "1-2@a", 10, "page 3 of 9")
    told = "Attempt 2, a: lent at 0.0 s, renewed once, last at 2.0 s, deadline 12.0 s, worked on "
    assert item_story(story.history(), 1, T0 + 5)[1] == f"{told}for 5 s (page 3 of 9); 7 s left."
    assert item_story(story.history(), 1, T0 + 15)[1].endswith("; the time is over.")
    story.fail(16, "1-2@a", "no such page").dead(16, "1-2@a", "fail: no such page")
    assert item_story(story.history(), 1, T0 + 17)[1].endswith(
        "given up at 16.0 s (fail: no such page)."
    )


def test_the_story_of_a_pod_is_its_state_and_its_life() -> None:
    history = three_ends().history()
    told = {name: pod_story(history, lane)[1] for name, lane in history.lanes.items()}
    assert told == {
        "j-crash": "Its life: started at 0.0 s, killed at 1.0 s, started at 1.0 s (exit code 137).",
        "j-ended": "Its life: started at 0.0 s, asked to end at 1.0 s, ended early at 2.6 s "
        "(exit code 143).",
        "j-moved": "Its life: started at 0.0 s, evicted at 1.2 s, ended early at 2.6 s "
        "(exit code 143).",
        "j-force": "Its life: started at 0.0 s, asked to end at 1.3 s, killed at 1.3 s.",
    }
    assert pod_story(history, history.lanes["j-ended"])[0] == "j-ended: gone. 1 item done, 0 lost."


def test_what_is_said_and_offered_of_a_pod_is_bounded() -> None:
    story = Story(900)
    for i in range(1, 901):
        story.lease(i, f"{i}-1@a", "x" * 99).complete(i + 0.9, f"{i}-1@a")
    lane = (history := story.history()).lanes["a"]
    assert [number for _, number in items_of(lane)] == list(range(900, 850, -1))
    told = leases_story(history, lane, T0 + 999)
    assert len(told) == 8
    assert max(map(len, told)) < 160
