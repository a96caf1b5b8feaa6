"""Small queues, explored to the last state; and proof that the exploration finds what is wrong.

The larger ones end after a number of states. `make explore` runs one to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from planted import BUGS
from queue_exploration import Explorer, Report, Violation
from scripts import VIRTUAL_TIME, Change, changed

from wqlib.redisserver import RedisServer

STATES = 1000
A, B, C = b"<a>", b"<b>", b"<c>"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a Redis that no other test uses."""
    with RedisServer() as server:
        yield server.url


def explored(
    url: str, items: list[bytes], *changes: Change, states: float = float("inf"), **options: int
) -> Report:
    with changed(VIRTUAL_TIME, *changes):
        explorer = Explorer(url, items, **options)
        try:
            report = explorer.explore(states=states)
        finally:
            explorer.world.close()
    print(f"{len(items)} items: {report}")
    return report


def test_every_state_of_one_item_is_in_order_and_leads_to_the_end(url: str) -> None:
    report = explored(url, [A], most_doubts=2)
    assert report.unexplored == 0
    assert report.states > 500
    assert report.stuck() == 0


@pytest.mark.parametrize("items", [[A, B, C], [A, A]], ids=["three items", "two equal items"])
@pytest.mark.parametrize("doubts", [0, 1])
def test_the_first_states_of_more_items_are_in_order(
    url: str, items: list[bytes], doubts: int
) -> None:
    report = explored(url, items, states=STATES, most_doubts=doubts)
    assert report.states >= STATES


def test_the_first_states_of_batches_are_in_order(url: str) -> None:
    report = explored(url, [A, B, C], states=STATES, most_held=2, most_doubts=1)
    assert report.states >= STATES


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_with_the_shortest_way_to_it(url: str, bug: str) -> None:
    with pytest.raises(Violation, match=r"The shortest way to it, steps: \d") as caught:
        explored(url, [A, B], *BUGS[bug])
    print(f"{bug}: {caught.value}")
    steps = re.findall(r"^  \d+\. (?:[AB]: |[\d.]+ s pass)", str(caught.value), re.MULTILINE)
    assert 1 <= len(steps) <= 6


def test_a_change_that_does_not_fit_the_scripts_is_refused(url: str) -> None:
    with pytest.raises(LookupError, match="0 times in the script 'lease', not 1"):
        explored(url, [A], Change("no such text", "", ("lease",)))
