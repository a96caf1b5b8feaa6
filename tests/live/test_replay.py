"""Recorded runs: those that the library ships, wound back and forth, in words and as a widget."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from stories import T0, Story, lost_and_found
from test_history import state_of

from wqlib.commands import replay
from wqlib.dashboard import Replay
from wqlib.events import Event, EventKind, PodEvent, PodKind
from wqlib.history import BadHistoryFile, History, Reading
from wqlib.history.tape import Tape, recording_path

SHIPPED = ("clean", "killed", "scaled")


def eventually(true: Callable[[], Any], seconds: float = 10.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.02)


@pytest.fixture
def show() -> Iterator[Callable[..., Replay]]:
    """Makes replays that are stopped at the end; then no thread may be left."""
    made: list[Replay] = []

    def make(*args: Any, **options: Any) -> Replay:
        made.append(Replay(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()
    assert "wqlib-replay" not in {thread.name for thread in threading.enumerate()}


# What is shipped


def test_three_real_runs_are_shipped() -> None:
    folder = recording_path("clean").parent
    assert sorted(path.stem for path in folder.glob("*.jsonl")) == sorted(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_run_loses_nothing(name: str) -> None:
    history = History.load(recording_path(name))
    counts = history.counts
    assert counts.done == counts.put > 40
    assert (counts.pending, counts.leased, counts.dead) == (0, 0, 0)
    assert history.drained_at
    assert {lane.job for lane in history.lanes.values()} == {"job-wq-2"}


def test_the_shipped_runs_show_what_their_names_say() -> None:
    clean, killed, scaled = (History.load(recording_path(name)) for name in SHIPPED)
    assert not clean.handovers
    assert killed.counts.expired == len(killed.handovers) == 2
    for lost, found in killed.handovers:
        assert lost.worker != found.worker
        assert not killed.lanes[lost.worker].alive
    first, *others = sorted(lane.first_at for lane in scaled.lanes.values())
    assert len(others) == 7
    assert all(at > first + 1 for at in others)


# The tape


def test_a_tape_shows_the_run_up_to_any_moment_however_it_is_wound() -> None:
    events = lost_and_found().events
    tape = Tape(list(events))
    assert (tape.began_at, tape.seconds) == (T0 + 0.5, pytest.approx(7.9))
    for seconds in (0.0, 7.9, 3.2, 3.3, 0.6, 5.0, 7.9):
        expected = History()
        expected.add([event for event in events if event.at <= T0 + 0.5 + seconds + 1e-6])
        assert state_of(tape.until(seconds)) == state_of(expected)


def test_news_that_came_late_are_shown_when_they_came() -> None:
    story = Story(1).lease(5, "1-1@p-a").pod(4, "running", "p-a", "p").complete(6, "1-1@p-a")
    tape = Tape(story.events)
    assert tape.until(0.0).lanes["p-a"].job == "p"


def test_an_empty_recording_is_a_tape_of_no_length() -> None:
    assert Tape([]).seconds == 0.0


def test_a_shipped_run_is_told_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    replay.play("killed")
    told = capsys.readouterr().out
    assert "48 of 48 items done" in told
    assert told.count("expire ") == 2


# The widget


def test_the_repr_is_constant_and_it_stands_at_the_end(show: Callable[..., Replay]) -> None:
    widget = show("killed")
    assert repr(widget) == "<Replay of killed>"
    data = widget._repr_mimebundle_()
    assert data["text/plain"] == "<Replay of killed>"
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "48 of 48 items done" in widget._stage.header.value
    assert widget._slider.value == pytest.approx(widget._slider.max)


def test_moving_the_slider_shows_that_moment(show: Callable[..., Replay]) -> None:
    widget = show("killed")
    widget.start()
    end = widget.png()
    half = widget._slider.max / 2
    widget._slider.value = half
    eventually(lambda: widget.seconds == pytest.approx(half))
    eventually(lambda: widget.png() != end)
    counts = Tape.of("killed").until(half).counts
    assert 0 < counts.done < 48
    eventually(lambda: f"{counts.done} of 48 items done" in widget._stage.header.value)
    widget._slider.value = 0
    eventually(lambda: "0 of 48 items done" in widget._stage.header.value)
    widget._slider.value = widget._slider.max
    eventually(lambda: "48 of 48 items done" in widget._stage.header.value)
    assert widget.error is None


def test_it_plays_at_the_speed_that_is_chosen_and_stops_at_the_end(
    show: Callable[..., Replay],
) -> None:
    widget = show("clean", fps=20)
    widget.start()
    widget._speeds.value = 10.0
    began = time.monotonic()
    widget._toggle.click()
    eventually(lambda: widget._toggle.description == "Pause")
    eventually(lambda: widget.seconds < 5)  # from the beginning
    eventually(lambda: widget._toggle.description == "Play")
    assert widget.seconds == pytest.approx(widget._slider.max)
    assert time.monotonic() - began >= widget._slider.max / 10 * 0.9
    assert widget.frames >= 3
    assert "48 of 48 items done" in widget._stage.header.value


def test_the_time_that_it_stood_still_is_not_played(show: Callable[..., Replay]) -> None:
    widget = show("clean", fps=20, speed=10)
    widget.start()
    time.sleep(2)  # times ten, that would be more than the whole run
    widget._toggle.click()
    eventually(lambda: widget.seconds < 1)
    eventually(lambda: widget.seconds > 0)
    assert widget.seconds < 10


def test_it_can_be_paused_and_moved_while_it_plays(show: Callable[..., Replay]) -> None:
    widget = show("scaled", fps=20)
    widget.start()
    widget._toggle.click()
    eventually(lambda: not widget._resting and 0.1 < widget.seconds < 5)
    widget._slider.value = 12.0
    eventually(lambda: 12 <= widget.seconds < 20)
    widget._toggle.click()
    eventually(lambda: widget._toggle.description == "Play")
    stands, frames = widget.seconds, widget.frames
    time.sleep(0.3)
    assert (widget.seconds, widget.frames) == (stands, frames)


def test_the_same_recording_shown_again_stops_the_one_before(show: Callable[..., Replay]) -> None:
    first, second = show("clean"), show("clean")
    first.start()
    second.start()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("wqlib-replay") == 1
    assert first._toggle.disabled
    assert not second._toggle.disabled
    first.start()  # and back again
    assert not first._toggle.disabled


def test_a_history_can_be_replayed_and_one_that_was_saved(
    show: Callable[..., Replay], tmp_path: Path
) -> None:
    history = lost_and_found().history()
    assert repr(show(history)) == "<Replay of a run>"
    history.save(tmp_path / "mine.jsonl")
    widget = show(tmp_path / "mine.jsonl", theme="dark")
    assert repr(widget) == "<Replay of mine>"
    widget.seek(3.0)
    eventually(lambda: "1 of 3 items done" in widget._stage.header.value)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadHistoryFile, match="Cannot read"):
        Replay(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="speed"):
        Replay("clean", speed=0)
    with pytest.raises(ValueError, match="fps"):
        Replay("clean", fps=0)


# The format


def test_the_document_names_every_field_and_its_example_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")
    for cls in (Event, PodEvent, Reading):
        for field in dataclasses.fields(cls):
            if field.name != "kind":
                assert f"`{field.name}`" in text, (cls.__name__, field.name)
    for kind in (*get_args(EventKind), *get_args(PodKind)):
        assert f"`{kind}`" in text, kind
    example = text.partition("```json\n")[2].partition("```")[0]
    (tmp_path / "example.jsonl").write_text(example, encoding="utf-8")
    history = History.load(tmp_path / "example.jsonl")
    assert history.lanes["job-wq-2-x7k2p"].spans[0].item == "apple"
    assert history.counts.pending == 7
