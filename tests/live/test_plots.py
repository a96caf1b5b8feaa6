"""The pictures: what is where, not which pixels have which colour."""

from __future__ import annotations

import itertools
import logging
import math
import random
import re
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from stories import T0, Story, lost_and_found, three_ends

from wqlib import plots
from wqlib.commands import textlanes
from wqlib.history import History
from wqlib.history.spans import ENDS, WAITS
from wqlib.history.timeaxis import LEAST_NOW_SHARE, NOW_SHARE, ticks, time_axis
from wqlib.plots import (
    Picture,
    RunPicture,
    ThemeName,
    charts,
    depthlayout,
    layout,
    panels,
    scaling,
)
from wqlib.plots.bars import BAR_KINDS, EndedBars
from wqlib.plots.canvas import Shapes, TextLayer, encode_png
from wqlib.plots.lanes import BAND, PITCH
from wqlib.plots.lettering import text_width
from wqlib.plots.theme import DARK, LIGHT, MEANING, THEMES, Theme

DRAW = [plots.timeline, plots.queue_depth, plots.throughput, plots.lease_histogram]


def shapes(picture: Picture, name: str) -> Shapes:
    found = [a for axes in picture.axes for a in axes.findobj(Shapes) if a.get_gid() == name]
    assert found, f"nothing named {name}"
    return found[0]


def rectangles(picture: Picture, name: str) -> list[tuple[float, float, float, float]]:
    """Start, end, top and bottom of each rectangle of a name; seconds and pixels."""
    artist = shapes(picture, name)
    if not artist.get_visible():
        return []
    corners = np.asarray(artist.get_path().vertices).reshape(-1, 5, 2)
    return sorted(
        (float(c[:, 0].min()), float(c[:, 0].max()), float(c[:, 1].min()), float(c[:, 1].max()))
        for c in corners
    )


def words(picture: Picture) -> list[str]:
    return [text.text for layer in picture.findobj(TextLayer) for text in layer.texts]


def plan(history: History, now: float | None = None, lanes: int = 8) -> layout.TimelineLayout:
    axis = time_axis(history, now, 100, 800)
    return layout.timeline(history, axis, top=0, height=BAND + PITCH * lanes)


def png_size(data: bytes) -> tuple[int, ...]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


# The lanes


def test_each_pod_has_a_lane_with_its_own_bars() -> None:
    boxes = {box.lane.worker: box for box in plan(lost_and_found().history()).boxes}
    assert list(boxes) == ["job-wq-2-aaaaa", "job-wq-2-bbbbb"]
    picture = plots.timeline(lost_and_found().history())
    done = rectangles(picture, "complete")
    (lost,) = rectangles(picture, "expire")
    assert len(done) == 3
    assert all(top > lost[3] for _, _, top, _ in done)  # pod b stands below pod a


def test_a_bar_spans_its_lease() -> None:
    picture = plots.timeline(lost_and_found().history())
    # The run began at 0.5 s, with the first pod; a thin gap is left after each bar.
    spans = [(start, end) for start, end, _, _ in rectangles(picture, "complete")]
    expected = [(0.6, 2.5), (2.5, 6.0), (6.0, 7.5)]
    for (start, end), (begin, stop) in zip(spans, expected, strict=True):
        assert start == pytest.approx(begin, abs=1e-6)
        assert end == pytest.approx(stop, abs=0.03)
    (lost,) = rectangles(picture, "expire")
    assert lost[:2] == (pytest.approx(0.5), pytest.approx(6.0, abs=0.03))


def test_how_a_lease_ended_is_told_by_fill_and_hatch() -> None:
    for theme in THEMES.values():
        looks = {kind: (theme.fills[kind].face, theme.fills[kind].hatch) for kind in MEANING}
        assert len(set(looks.values())) == len(MEANING)
        hatched = [theme.fills[kind].hatch for kind in ("expire", "release", "fail", "dead")]
        assert len(set(hatched)) == 4
        assert all(hatched)
    picture = plots.timeline(lost_and_found().history())
    assert shapes(picture, "expire").get_hatch() == "////"
    assert shapes(picture, "complete").get_hatch() is None


@pytest.mark.parametrize("end", ["complete", "release", "fail", "expire"])
def test_each_outcome_has_bars_of_its_own(end: str) -> None:
    story = Story(1).lease(0, "1-1@a")
    getattr(story, end)(2, "1-1@a")
    picture = plots.timeline(story.history())
    drawn = {kind for kind in BAR_KINDS if rectangles(picture, kind)}
    assert drawn == {end}


def test_an_item_given_up_is_drawn_as_such() -> None:
    history = Story(1).lease(0, "1-1@a").fail(2, "1-1@a").dead(2, "1-1@a").history()
    assert rectangles(plots.timeline(history), "dead")


def test_a_line_leads_from_the_lost_lease_to_the_lane_that_picked_the_item_up() -> None:
    out = plan(lost_and_found().history())
    first, second = out.boxes
    ((end, from_y, start, to_y),) = out.curves
    assert (end, start) == (pytest.approx(6.0), pytest.approx(6.0))
    assert (from_y, to_y) == (pytest.approx(first.middle), pytest.approx(second.middle))
    picture = plots.timeline(lost_and_found().history())
    curve = np.asarray(shapes(picture, "handovers").get_path().vertices)
    assert curve[0, 1] < curve[-1, 1]


def test_leases_held_at_once_do_not_cover_each_other() -> None:
    story = Story(3).lease(0, "1-1@a").lease(0, "2-1@a").lease(0, "3-1@a")
    for i in (1, 2, 3):
        story.complete(i, f"{i}-1@a")
    bars = rectangles(plots.timeline(story.history()), "complete")
    edges = sorted((top, bottom) for _, _, top, bottom in bars)
    assert all(above[1] <= below[0] for above, below in itertools.pairwise(edges))


def batch(number: int, begins: int = 1, seconds: float = 10) -> Story:
    """Pod j-a is lent that many items at 0 s, and begins some of them."""
    story = Story(number).pod(0, "running", "j-a", "j")
    for i in range(number):
        story.lease(0, f"{i + 1}-1@j-a", f"item {i + 1}", seconds, begins=i < begins)
    return story


def bars(history: History, kind: str, now: float | None = None) -> list[tuple[float, ...]]:
    """Start, end and height of each bar of a kind; the strip of what waits is under 5 high."""
    out = plan(history, now)
    return sorted((a, pytest.approx(b, abs=0.05), d - c) for a, b, c, d in out.bars[kind])


def test_a_bar_is_the_work_and_what_waits_is_a_strip_below() -> None:
    story = batch(3).complete(4.04, "1-1@j-a", 0, 4)
    history = story.history()
    strip, work = 3.5, PITCH - 10
    assert bars(history, "complete") == [(0, 4, work)]
    assert bars(history, "running", T0 + 6) == [(0, 6, strip), (4, 6, work)]
    assert [tuple(row[:2]) for row in plan(history, T0 + 8).fuses] == [(8, 10)]  # one is enough
    (box,) = plan(history, T0 + 6).boxes
    assert box.slot(0)[1] < box.slot(WAITS)[0] < box.slot(WAITS)[1] < box.top + box.height
    story.complete(9.04, "2-1@j-a", 4, 9).complete(10, "3-1@j-a", 9, 10)
    assert bars(story.history(), "running") == [(0, 9, strip)]  # later, too, it is what it was


def test_a_wait_too_short_to_see_is_not_drawn() -> None:
    story, at = Story(400), 0.0
    for i in range(0, 400, 4):
        for k in range(4):
            story.lease(at, f"{i + k + 1}-1@a", begins=k == 0)
        for k in range(4):
            at += 0.012
            story.complete(at, f"{i + k + 1}-1@a", at - 0.012, at)
        at += 1.0
    assert not len(plan(story.history()).bars["running"])


@pytest.mark.parametrize("end", ["expire", "release"])
def test_what_was_lost_while_it_waited_is_a_strip_with_its_hatch_and_a_line_leads_from_it(
    end: str,
) -> None:
    story = batch(2).pod(3, "failed", "j-a", "j", "exit code 137")
    kinds = plan(story.history(), T0 + 12).bars
    assert {kind: len(rows) for kind, rows in kinds.items() if len(rows)} == {
        "running": 2, "orphan": 2, "expire": 2,
    }  # fmt: skip
    for lease in ("1-1@j-a", "2-1@j-a"):
        getattr(story, end)(13, lease)
    story.lease(14, "2-2@j-b", "item 2")
    out = plan(story.history(), T0 + 15)
    assert bars(story.history(), end, T0 + 15) == [(0, 13, 3.5), (0, 13, PITCH - 10)]
    ((from_x, from_y, to_x, to_y),) = out.curves
    assert (from_x, from_y) == (13, sum(out.boxes[0].slot(WAITS)) / 2)
    assert (to_x, to_y) == (14, out.boxes[1].middle)


def test_items_worked_on_at_once_have_rows_with_names_in_a_taller_lane() -> None:
    story = batch(8, 8).pod(0, "running", "j-b", "j").lease(0, "9-1@j-b", "alone")
    out = plan(story.history(), T0 + 12)
    assert len({row[2] for row in out.bars["running"]}) == 9
    assert {f"item {i}" for i in range(1, 9)} | {"alone"} <= {text.text for text in out.texts}
    assert "up to 8 at once" in {text.text for text in out.texts}
    assert out.boxes[0].height > 4 * out.boxes[1].height == 4 * PITCH


def test_more_at_once_than_there_are_rows_are_counted() -> None:
    history = batch(50, 50).history()
    said = {text.text: text for text in plan(history, T0 + 9).texts}
    assert {"up to 50 at once", "and 42 more", "item 1", "item 7"} <= said.keys()
    assert "item 8" not in said  # there lie the others
    drawn = "\n".join(textlanes.draw(history, T0 + 9))
    assert "and 42 more" in drawn
    assert history.table(T0 + 9)[0].working_on == "item 1 and 49 more"


def test_lanes_with_many_rows_stay_within_the_picture() -> None:
    story = Story(99)
    for pod in range(12):
        for i in range(8):
            story.lease(1, f"{pod * 8 + i + 1}-1@pod-{pod}")
    out = plan(story.history(), T0 + 5)
    assert len(out.boxes) == 12
    assert out.boxes[-1].top + out.boxes[-1].height <= BAND + PITCH * 8 + 1e-6
    assert plots.timeline(story.history()).png()


def test_how_far_the_work_is_stands_beside_its_bar_cut_to_fit() -> None:
    story = batch(3, 2).renew(1, "1-1@j-a", progress="page 3 of 9").renew(2, "1-1@j-a")
    story.renew(2, "2-1@j-a", progress="a rather long story of what is being done " * 3)
    out = plan(story.history(), T0 + 4)
    beside = out.axis.px(out.axis.now)
    first, second = [text for text in out.texts if text.x > beside and text.role == "lost"]
    assert first.text == "page 3 of 9"
    assert second.text.startswith("a rather long")
    assert second.text.endswith("…")
    assert second.x + text_width(second.text) <= out.axis.x1
    story.complete(5, "1-1@j-a", 0, 5).complete(5, "2-1@j-a", 0, 5)
    assert "page 3 of 9" not in {text.text for text in plan(story.history(), T0 + 6).texts}


@pytest.mark.parametrize("columns", [60, 100, 240])
def test_the_terminal_has_a_line_for_each_item_worked_on_and_how_far_it_is(columns: int) -> None:
    story = batch(3, 2).renew(1, "1-1@j-a", progress="page 3 of 9").renew(2, "2-1@j-a")
    drawn = textlanes.draw(story.history(), T0 + 8, columns=columns)
    first = next(i for i, line in enumerate(drawn) if line.startswith("a "))
    assert " page 3 o" in drawn[first]
    assert "[item 2-" in drawn[first + 1]
    assert all(len(line) <= columns for line in drawn)
    low = textlanes.draw(story.history(), T0 + 8, columns=columns, lines=4)
    assert sum("----" in line for line in low[:-1]) == 1  # one line must do
    assert "page 3" not in "".join(low)  # nobody could tell of which


def test_pods_are_grouped_by_job() -> None:
    story = Story(0)
    for at, pod, job in [(0, "one-a", "one"), (1, "two-a", "two"), (2, "one-b", "one")]:
        story.pod(at, "running", pod, job)
    out = plan(story.history())
    assert [box.lane.worker for box in out.boxes] == ["one-a", "one-b", "two-a"]
    assert [text.text for text in out.texts if text.role == "job"] == ["one", "two"]
    assert {"a", "b"} <= {text.text for text in out.texts}  # the Job's name is not said twice


def test_pods_are_grouped_by_node_when_there_are_several() -> None:
    story = Story()
    for number, node in enumerate(("worker-2", "worker-1", "worker-2", "")):
        story.pod(number, "running" if node else "pending", f"job-wq-2-pod{number}", node=node)
    history = story.history()
    out = plan(history)
    titles = [text.text for text in out.texts if text.role == "job"]
    assert titles == ["job-wq-2", "job-wq-2 on worker-1", "job-wq-2 on worker-2"]
    assert [box.lane.worker[-1] for box in out.boxes] == ["3", "1", "0", "2"]
    drawn = "\n".join(textlanes.draw(history, T0 + 4))
    assert drawn.index("on worker-1") < drawn.index("pod1") < drawn.index("on worker-2")
    alone = Story().pod(0, "running", "job-wq-2-a", node="worker-1").history()
    assert [text.text for text in plan(alone).texts if text.role == "job"] == ["job-wq-2"]


def test_marks_say_what_became_of_a_pod() -> None:
    story = Story(0).pod(0, "pending", "p-1", "p").pod(1, "running", "p-1", "p")
    story.pod(5, "terminating", "p-1", "p").pod(6, "failed", "p-1", "p").pod(
        7, "deleted", "p-1", "p"
    )
    marks = plan(story.history()).marks
    assert [(kind, [at for at, _ in places]) for kind, places in marks.items() if len(places)] == [
        ("pending", [0]),
        ("running", [1]),
        ("terminating", [5]),
        ("failed", [6]),  # that it is deleted later is nothing new
    ]


@pytest.mark.parametrize(
    ("last", "mark"),
    [
        ([("failed", "exit code 137")], "killed"),
        ([("failed", "OOMKilled")], "killed"),
        ([("restarting", "exit code 137"), ("running", "")], "killed"),
        ([("restarting", "exit code 1"), ("running", "")], "failed"),
        ([("deleted", "")], "failed"),
        ([("failed", "exit code 1")], "failed"),
        ([("terminating", ""), ("failed", "exit code 143")], "failed"),
        ([("terminating", ""), ("deleted", "")], "failed"),
        ([("succeeded", ""), ("deleted", "")], "succeeded"),
    ],
)
def test_how_a_pod_ended_has_a_mark_of_its_own(last: list[tuple[str, str]], mark: str) -> None:
    story = Story(0).pod(0, "running", "p-1", "p")
    for number, (kind, reason) in enumerate(last):
        story.pod(5 + number, kind, "p-1", "p", reason)
    marks = plan(story.history()).marks
    assert [kind for kind in ENDS if len(marks[kind])] == [mark]


def test_a_pod_that_is_gone_with_a_lease_in_its_hands_was_killed() -> None:
    story = Story(1).pod(0, "running", "p-1", "p").lease(1, "1-1@p-1")
    story.pod(5, "terminating", "p-1", "p").pod(5.1, "deleted", "p-1", "p").expire(11, "1-1@p-1")
    marks = plan(story.history()).marks
    ((asked, _),), ((killed, _),) = marks["terminating"], marks["killed"]
    scale = plan(story.history()).axis.scale
    assert asked == pytest.approx(5)
    assert (killed - asked) * scale >= layout.MARK_ROOM  # at one moment, and two marks all the same


def test_a_pod_deleted_by_force_ends_when_it_was_last_heard_of() -> None:
    story = Story(1).pod(0, "running", "p-1", "p").lease(1, "1-1@p-1").pod(5, "deleted", "p-1", "p")
    story.renew(6.5, "1-1@p-1").expire(17, "1-1@p-1").pod(17, "running", "p-2", "p")
    out = plan(story.history(), T0 + 18)
    assert [at for at, _ in out.marks["terminating"]] == [5]
    assert [at for at, _ in out.marks["killed"]] == [6.5]
    assert out.rails[0][1] == 6.5


def test_a_crash_a_deletion_and_an_eviction_look_different() -> None:
    out = plan(three_ends().history(), T0 + 6)
    rows = {box.middle: box.lane.worker for box in out.boxes}
    seen: dict[str, list[str]] = {}
    for kind, places in out.marks.items():
        for at, y in sorted(map(tuple, places)):
            seen.setdefault(rows[y], []).append(f"{at:.1f} {kind}")
    assert {pod: sorted(some)[1:] for pod, some in seen.items()} == {
        "j-crash": ["1.0 killed", "1.2 running"],  # in the same pod
        "j-ended": ["1.0 terminating", "2.6 failed"],
        "j-moved": ["1.2 evicted", "2.6 failed"],
        "j-force": ["1.3 terminating", "1.5 killed"],
    }


def test_a_crash_soon_after_the_start_is_seen_beside_the_restart() -> None:
    story = (
        Story(0).pod(0, "running", "j-a", "j").pod(0.2, "restarting", "j-a", "j", "exit code 137")
    )
    story.pod(0.21, "running", "j-a", "j")
    out = plan(story.pod(16, "succeeded", "j-a", "j").history(), T0 + 16)
    [killed] = out.marks["killed"]
    first, again = sorted(map(tuple, out.marks["running"]))
    assert first < tuple(killed) < again


def test_the_marks_of_a_pod_that_crashes_again_and_again_do_not_drift() -> None:
    story = Story(0).pod(0, "running", "j-a", "j").pod(0, "running", "j-b", "j")
    for number in range(30):
        story.pod(100 + number / 10, "restarting", "j-a", "j", "exit code 1")
        story.pod(100 + number / 10, "running", "j-a", "j")
    out = plan(story.pod(200, "running", "j-b", "j").history(), T0 + 200)
    places = [at for kind in ("failed", "running") for at, _ in out.marks[kind] if at > 1]
    assert len(places) >= 2
    assert all(100 <= at <= 103 + 2 * 17 / out.axis.scale for at in places)
    letters = textlanes.draw(story.history(), T0 + 200, columns=100)
    (lane,) = [line for line in letters if line.startswith("a ")]
    assert lane.count(">") <= 6


def test_a_worker_that_was_started_again_has_a_row_for_what_it_held_before() -> None:
    history = three_ends().history()
    lane, out = history.lanes["j-crash"], plan(history, T0 + 4)
    assert (lane.slots, lane.most, lane.working) == (2, 1, 1)
    assert not any("at once" in text.text for text in out.texts)
    box = next(box for box in out.boxes if box.lane is lane)
    first, second = box.slot(0)[0], box.slot(1)[0]
    rows = {kind: [tuple(r[:3]) for r in out.bars[kind]] for kind in ("running", "orphan")}
    assert (0.5, 1.0, first) in rows["running"]
    assert (1.0, 4.0, first) in rows["orphan"]
    assert (1.5, 4.0, second) in rows["running"]


def test_a_lease_has_a_mark_at_its_deadline() -> None:
    story = Story(3).pod(0, "running", "j-a", "j")
    for i, end in enumerate(("expire", "fail", "complete"), 1):
        story.lease(0, f"{i}-1@j-a", "", 4)
        getattr(story, end)(6, f"{i}-1@j-a")
    story.lease(6, "4-1@j-a", "", 2).renew(7, "4-1@j-a", 3)
    now = plan(story.history(), T0 + 9)
    assert sorted(at for at, _, _ in now.deadlines) == [4, 10]  # of one renewed: the last one
    assert all(bottom - top > 10 for _, top, bottom in now.deadlines)


def test_the_legend_has_what_is_in_the_picture_and_nothing_else() -> None:
    def legend(history: History) -> list[str]:
        said = plots.timeline(history).findobj(TextLayer)[-1].texts
        return [text.text for text in said]

    plain = Story(1).lease(0, "1-1@a").complete(2, "1-1@a")
    assert legend(plain.history()) == ["completed"]
    assert legend(lost_and_found().history()) == [
        "completed", "expired", "started", "finished", "killed", "deadline", "leased again",
    ]  # fmt: skip
    story, picture = Story(1).pod(0, "running", "j-a", "j"), RunPicture(2, scale=1)
    picture.frame(story.history(), T0 + 1)
    assert "leased" not in words(picture.picture)
    picture.frame(story.lease(1, "1-1@j-a", "", 2).history(), T0 + 2)
    assert {"leased", "time left of a lease", "deadline"} <= set(words(picture.picture))


def test_every_entry_of_the_legend_fits_into_its_two_lines() -> None:
    rows = panels.legend_rows(list(panels._ENTRIES), 900.0)
    assert len(rows) <= 2


def test_room_that_lanes_leave_goes_to_the_queue_over_time() -> None:
    picture, size = RunPicture(6, scale=1), set()
    heights = []
    for pods in (1, 3, 6, 9):
        story = Story(0)
        for pod in range(pods):
            story.pod(0, "running", f"j-{pod}", "j", node=f"worker-{pod % 3}")
        size.add(png_size(picture.frame(story.history(), T0 + 1)))
        lanes, depth = picture._lanes, picture._depth
        assert depth.top == pytest.approx(lanes.top + lanes.height + panels.RULER)
        heights.append((lanes.height, depth.height))
    assert len(size) == 1  # nothing jumps
    assert len({sum(both) for both in heights}) == 1
    assert heights[0][0] == BAND + PITCH
    assert heights == sorted(heights)
    assert heights[-1] == heights[-2]  # full: more lanes are narrower


def test_a_pods_life_line_ends_when_it_does() -> None:
    out = plan(lost_and_found().history())
    assert [tuple(row[:2]) for row in out.rails] == [
        (pytest.approx(0), pytest.approx(1.5)),
        (pytest.approx(0.1), pytest.approx(7.9)),
    ]


# A run that goes on


def running() -> History:
    story = Story(9).pod(0, "running", "j-a", "j").pod(0, "running", "j-b", "j")
    story.lease(1, "1-1@j-a", "apple", 10).lease(2, "2-1@j-b", "banana", 30).renew(6, "2-1@j-b", 30)
    return story.history()


def test_a_running_lease_grows_until_now_and_its_fuse_lasts_until_the_deadline() -> None:
    history = running()
    out = plan(history, T0 + 8)
    assert out.axis.live
    assert [tuple(row[:2]) for row in out.bars["running"]] == [(1, 8), (2, 8)]
    assert out.fuses[0, :2] == pytest.approx((8, 11))
    assert out.fuses[1, 1] == out.axis.end  # the other is too far to see: a number says it
    assert {"3 s", "28 s"} <= {text.text for text in out.texts}


def test_renewals_are_ticks_in_the_bar() -> None:
    ((at, top, bottom),) = plan(running(), T0 + 8).renewals
    box = plan(running(), T0 + 8).boxes[1]
    assert at == 6
    assert box.top < top < bottom < box.middle


def test_renewals_of_a_lost_lease_are_ticks_that_its_hatch_does_not_hide() -> None:
    story = Story(1).lease(0, "1-1@a").renew(3, "1-1@a").fail(6, "1-1@a")
    out = plan(story.history())
    assert [row[0] for row in out.late_renewals] == [3]
    assert not len(out.renewals)


def test_a_lease_whose_pod_is_gone_is_hollow_and_then_expired() -> None:
    story = Story(2).pod(0, "running", "j-a", "j").pod(0, "running", "j-b", "j")
    story.lease(1, "1-1@j-a", "apple", 10).pod(4, "failed", "j-a", "j", "exit code 137")
    out = plan(story.history(), T0 + 14)
    spans = {kind: [tuple(row[:2]) for row in rows] for kind, rows in out.bars.items() if len(rows)}
    assert spans == {"running": [(1, 4)], "orphan": [(4, 11)], "expire": [(11, 14)]}
    assert "expired" in {text.text for text in out.texts}


def test_now_stands_still_while_time_goes_on() -> None:
    history = running()
    places = [
        (axis.px(axis.now) - 100) / 700
        for axis in (time_axis(history, T0 + s, 100, 800) for s in (20, 35, 50))
    ]
    assert places == [pytest.approx(LEAST_NOW_SHARE)] * 3  # its leases last 30 s


def test_a_lease_that_has_just_begun_is_seen_up_to_its_deadline() -> None:
    story = Story(1).pod(0, "running", "j-a", "j").lease(19, "1-1@j-a", "", 5)
    axis = time_axis(story.history(), T0 + 20, 100, 800)
    assert 24 < axis.end < 26
    assert time_axis(story.history(), T0 + 90, 100, 800).end == pytest.approx(90 / NOW_SHARE)


def test_a_long_run_is_shown_through_a_window() -> None:
    axis = time_axis(running(), T0 + 500, 100, 800, window_seconds=60)
    assert (axis.start, axis.now) == (pytest.approx(440), pytest.approx(500))


def test_a_run_that_is_over_fills_the_width() -> None:
    axis = time_axis(lost_and_found().history(), T0 + 500, 100, 800)
    assert not axis.live
    assert (axis.start, axis.end) == (0, pytest.approx(7.9 * 1.02))


def test_the_picture_never_changes_its_size() -> None:
    picture = RunPicture(4, scale=1)
    story = Story(50)
    sizes = {png_size(picture.frame(History(), T0))}
    for i in range(40):
        story.pod(i, "running", f"j-{i}", "j").lease(i, f"{i + 1}-1@j-{i}")
        sizes.add(png_size(picture.frame(story.history(), T0 + i)))
    assert len(sizes) == 1


def test_lanes_keep_their_place_when_others_join() -> None:
    before = plan(running(), T0 + 8).boxes
    history = running()
    history.add(Story(3).pod(9, "running", "j-c", "j").events)
    after = plan(history, T0 + 9).boxes
    assert [(box.top, box.height) for box in after[:2]] == [(b.top, b.height) for b in before]


def test_more_pods_than_fit_are_counted_and_the_working_ones_are_drawn() -> None:
    story = Story(300)
    for i in range(200):
        story.pod(i, "running", f"j-{i}", "j")
    story.lease(300, "1-1@j-3")
    out = plan(story.history(), T0 + 301)
    assert len(out.boxes) + out.hidden == 200
    assert out.hidden > 0
    assert "j-3" in {box.lane.worker for box in out.boxes}
    assert any(f"{out.hidden} more pods" in text.text for text in out.texts)
    assert out.boxes[-1].top + out.boxes[-1].height <= BAND + PITCH * 8 + 1e-6


def test_bars_too_narrow_to_see_become_one_without_hiding_idle_time() -> None:
    story = Story(2_000)
    for i in range(1_000):
        story.lease(i * 0.1, f"{i + 1}-1@a").complete(i * 0.1 + 0.099, f"{i + 1}-1@a")
    for i in range(1_000):
        story.lease(200 + i * 0.1, f"{i + 2001}-1@a")
        story.complete(200 + i * 0.1 + 0.099, f"{i + 2001}-1@a")
    bars = plan(story.history()).bars["complete"]
    assert len(bars) < 800
    idle = [(a, b) for (_, a, *_), (b, *_) in itertools.pairwise(bars) if b - a > 50]
    assert idle == [(pytest.approx(100, abs=0.5), pytest.approx(200, abs=0.5))]


def test_what_is_kept_from_frame_to_frame_draws_the_same_as_drawing_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wqlib.history.fold.MAX_SPANS", 150)
    story, chance, held = Story(9_000), random.Random(5), dict.fromkeys("abc", "")
    for i in range(1, 600):
        worker = chance.choice("abc")
        if lease := held[worker]:
            end = chance.choice(["complete", "complete", "complete", "expire", "fail"])
            getattr(story, end)(i * 0.4, lease)
            if end == "fail" and chance.random() < 0.5:
                story.dead(i * 0.4, lease)
        held[worker] = f"{i}-1@{worker}"
        story.lease(i * 0.4, held[worker])
    history, ended, at = History(), EndedBars(), 0
    while at < len(story.events):
        step = chance.randint(1, 40)
        history.add(story.events[at : at + step])
        at += step
        axis = time_axis(history, None, 100, 800, window_seconds=60)
        size = {"top": 0.0, "height": 120.0}
        kept = layout.timeline(history, axis, ended=ended, **size).bars
        fresh = layout.timeline(history, axis, **size).bars
        assert all(np.array_equal(kept[kind], fresh[kind]) for kind in BAR_KINDS)
    assert history.thinned_before


def test_items_are_named_where_the_name_fits() -> None:
    story = Story(2).lease(0, "1-1@a", "apple").complete(9, "1-1@a")
    story.lease(9, "2-1@a", "banana").complete(9.05, "2-1@a")
    picture = plots.timeline(story.history())
    assert "apple" in words(picture)
    assert "banana" not in words(picture)


def test_a_lost_item_is_named_on_a_ground_of_its_own_and_clear_of_marks() -> None:
    story = Story(1).pod(0, "running", "j-a", "j").lease(1, "1-1@j-a", "strawberries", 10)
    named = [text for text in plan(story.history(), T0 + 11).texts if text.text == "strawberries"]
    assert [text.role for text in named] == ["bar"]
    story.expire(11, "1-1@j-a").pod(12, "deleted", "j-a", "j")
    named = [text for text in plan(story.history()).texts if text.text == "strawberries"]
    assert [text.role for text in named] == ["lost"]
    story = Story(1).pod(0, "running", "j-a", "j").lease(1, "1-1@j-a", "strawberries", 10)
    story.pod(1.4, "failed", "j-a", "j", "exit code 137").expire(11, "1-1@j-a")
    assert "strawberries" not in {text.text for text in plan(story.history()).texts}


# The queue over time, the throughput, the ruler


def test_the_bands_of_the_depth_are_stacked_levels() -> None:
    history = lost_and_found().history()
    axis = time_axis(history, None, 100, 800)
    out = depthlayout.depth(history, axis, top=0, height=100)
    assert list(out.bands) == ["done", "leased", "pending"]
    half = len(out.bands["done"]) // 2
    upper = {band: dict(map(tuple, outline[:half])) for band, outline in out.bands.items()}
    assert set(upper["pending"].values()) == {3.0}  # nothing is lost: the sum is always 3
    assert upper["done"][max(upper["done"])] == 3.0
    assert {band: level for band, (level, _) in out.labels.items()} == {
        "done": 3,
        "leased": 0,
        "pending": 0,
    }


def test_labels_of_the_bands_do_not_cover_each_other() -> None:
    story = Story(1_000).lease(1, "1-1@a").fail(2, "1-1@a").dead(2, "1-1@a")
    story.lease(3, "2-1@a").complete(4, "2-1@a").lease(5, "3-1@a")
    history = story.history()
    out = depthlayout.depth(history, time_axis(history, None, 100, 800), top=10, height=84)
    places = sorted(y for _, y in out.labels.values())
    assert len(places) == 4
    assert all(b - a >= depthlayout.LINE - 1e-6 for a, b in itertools.pairwise(places))
    assert places[0] >= 10
    assert places[-1] <= 94


def test_the_throughput_is_items_over_time() -> None:
    story = Story(100)
    for i in range(1, 101):
        story.lease(i * 0.5, f"{i}-1@a").complete(i * 0.5 + 0.5, f"{i}-1@a")
    history = story.history()
    out = depthlayout.throughput(history, time_axis(history, None, 100, 800))
    assert out.mean == pytest.approx(2, rel=0.05)
    assert area(out.done) == pytest.approx(100)
    assert not len(out.ahead)


def area(outline: np.ndarray) -> float:
    """The area of an outline that runs along its upper edge and back along the lower one."""
    x, y = outline.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) + x[-1] * y[0] - x[0] * y[-1]) / -2


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_rate_is_never_more_than_the_workers_can_do(workers: int) -> None:
    """Items of 1 s, all completed in step, which a count in a short while would double."""
    story, most = Story(100), 0.0
    for second in range(20):
        for worker in range(workers):
            story.lease(second, f"{second * workers + worker + 1}-1@w{worker}")
        for worker in range(workers):
            lease = f"{second * workers + worker + 1}-1@w{worker}"
            story.complete(second + 1, lease, second, second + 1)
        history = story.history()
        for now in np.arange(second + 1.0, second + 2, 0.23):
            out = depthlayout.throughput(history, time_axis(history, T0 + now, 100, 800))
            most = max(most, out.highest, history.rate(T0 + now), history.rate(T0 + now, 2.0))
    assert most == pytest.approx(workers, rel=1e-6)


def test_what_is_worked_on_counts_at_the_usual_pace_of_its_worker() -> None:
    story = Story(9).pod(0, "running", "j-a", "j").lease(0, "1-1@j-a").complete(2, "1-1@j-a", 0, 2)
    story.lease(2, "2-1@j-a")
    history = story.history()
    out = depthlayout.throughput(history, time_axis(history, T0 + 3, 100, 800))
    assert (area(out.done), area(out.ahead)) == (pytest.approx(1), pytest.approx(0.5))
    assert history.rate(T0 + 3) == pytest.approx(0.5)
    history.add(Story().pod(3, "failed", "j-a", "j", "exit code 137").events)
    assert history.rate(T0 + 4) == pytest.approx(0.25)  # nobody works on it any more


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (3, ["0.0 s", "0.5 s", "1.0 s", "1.5 s", "2.0 s", "2.5 s", "3.0 s"]),
        (30, ["0 s", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"]),
        (200, ["0 s", "30 s", "1:00 min", "1:30 min", "2:00 min", "2:30 min", "3:00 min"]),
        (9_000, ["0 s", "30:00 min", "1:00 h", "1:30 h", "2:00 h", "2:30 h"]),
    ],
)
def test_the_ruler_marks_round_moments(seconds: float, expected: list[str]) -> None:
    history = Story(1).lease(0, "1-1@a").complete(seconds, "1-1@a").history()
    assert [word for _, word in ticks(time_axis(history, None, 100, 800))] == expected


def test_the_live_picture_tells_the_throughput_and_the_time_left_with_its_uncertainty() -> None:
    story = Story(80)
    for i in range(1, 21):
        story.lease(i, f"{i}-1@a").complete(i + 0.9, f"{i}-1@a")
    story.lease(21, "21-1@a")
    picture = RunPicture(2, scale=1)
    picture.frame(story.history(), T0 + 21.5)
    said = words(picture.picture)
    assert "items a second" in said
    assert any(re.fullmatch(r"(1 min.*|\d\d s) left", text) for text in said)
    assert any(re.fullmatch(r"± \d+ s", text) for text in said)
    assert shapes(picture.picture, "throughput").get_visible()


# How long leases lasted, what more pods brought


def test_the_histogram_counts_each_lease_where_its_time_lies_and_how_it_ended() -> None:
    story = Story(9)
    for i, (seconds, end) in enumerate(
        [(1, "complete"), (1.2, "complete"), (3, "complete"), (3.1, "expire"), (3.1, "fail")], 1
    ):
        story.lease(i * 10, f"{i}-1@a")
        getattr(story, end)(i * 10 + seconds, f"{i}-1@a")
    story.lease(99, "9-1@a")  # it still runs: nobody knows how long it will last
    history = story.history()
    times = charts.lease_times(history)
    assert {kind: counts.sum() for kind, counts in times.counts.items()} == {
        "complete": 3,
        "fail": 1,
        "expire": 1,
    }
    first = np.searchsorted(times.edges, 1.1, "right") - 1
    assert times.counts["complete"][first] == 2
    assert (times.mean, times.p95) == (pytest.approx(5.2 / 3), pytest.approx(3))
    picture = plots.lease_histogram(history)
    ((start, end, low, high),) = rectangles(picture, "expire")
    assert start < 3.1 < end
    assert (low, high) == (2, 3)  # it stands on a completed one and a failed one
    assert shapes(picture, "expire").get_hatch() == "////"
    assert {"3 completed", "1 failed", "1 expired", "mean 1.73 s", "p95 3.00 s"} <= set(
        words(picture)
    )


def test_the_histogram_says_how_many_leases_it_no_longer_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wqlib.history.fold.MAX_SPANS", 50)
    history = steady_run(400)
    times = charts.lease_times(history)
    assert times.missing > 0
    assert times.missing + sum(counts.sum() for counts in times.counts.values()) == 400
    assert f"{times.missing:,} older not shown" in words(plots.lease_histogram(history))


def steady_run(items: int, pods: int = 1, seconds: float = 1.0) -> History:
    story = Story(items)
    for i in range(items):
        lease, at = f"{i + 1}-1@pod-{i % pods}", i // pods * seconds
        story.lease(at, lease).complete(at + seconds, lease)
    story.events.sort(key=lambda event: event.at)
    return story.history()


def middles(picture: Picture, name: str = "runs") -> list[tuple[float, ...]]:
    """Where the marks of a curve are: pods and times as fast."""
    corners = np.asarray(shapes(picture, name).get_path().vertices).reshape(-1, 5, 2)
    return [tuple((c.max(axis=0) + c.min(axis=0)) / 2) for c in corners]


def test_the_speedup_is_the_rate_of_each_run_over_that_of_one_pod() -> None:
    runs = {4: steady_run(80, 4, 1.25), 1: steady_run(20), 2: steady_run(40, 2)}
    assert [(one.pods, one.median) for one in scaling.speedups(runs)] == [
        (1, pytest.approx(1)),
        (2, pytest.approx(2)),
        (4, pytest.approx(3.2)),
    ]
    picture = plots.speedup(runs)
    assert middles(picture) == [
        pytest.approx((1, 1)),
        pytest.approx((2, 2)),
        pytest.approx((4, 3.2)),
    ]
    ideal = np.asarray(shapes(picture, "ideal").get_path().vertices)
    assert np.allclose(ideal[:, 0], ideal[:, 1])
    assert {"3.2×", "80% of the ideal", "with 4 pods"} <= set(words(picture))
    assert not shapes(picture, "spread").get_visible()  # one run each: nothing to compare


def test_several_runs_are_a_mark_at_the_median_and_a_bar_from_the_slowest_to_the_fastest() -> None:
    runs = {
        1: [steady_run(20, 1, seconds) for seconds in (1.0, 0.8, 1.25)],
        2: [steady_run(20, 2, seconds) for seconds in (2.0, 1.0, 1.25)],
    }
    one, two = scaling.speedups(runs)
    assert (one.low, one.median, one.high) == pytest.approx((0.8, 1, 1.25))
    assert (two.low, two.median, two.high) == pytest.approx((1, 1.6, 2))
    assert (one.runs, two.runs) == (3, 3)
    picture = plots.speedup(runs)
    bars = np.asarray(shapes(picture, "spread").get_path().vertices).reshape(-1, 2, 2)
    upright = sorted((x0, *sorted((y0, y1))) for (x0, y0), (x1, y1) in bars if x0 == x1)
    assert upright == [pytest.approx((1, 0.8, 1.25)), pytest.approx((2, 1, 2))]
    caps = sorted((y0, (x0 + x1) / 2) for (x0, y0), (x1, y1) in bars if y0 == y1)
    assert caps == [pytest.approx(c) for c in ((0.8, 1), (1, 2), (1.25, 1), (2, 2))]
    assert "I  slowest to fastest run" in words(picture)


def test_one_slow_outlier_moves_neither_the_mark_nor_the_base() -> None:
    runs = {pods: [steady_run(8, pods), steady_run(8, pods)] for pods in (1, 2)}
    slow = {pods: [*some, steady_run(8, pods, 50.0)] for pods, some in runs.items()}
    assert [one.median for one in scaling.speedups(slow)] == pytest.approx([1, 2])


def amdahl(share: float, pods: int) -> float:
    return 1 / (share + (1 - share) / pods)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_the_fitted_law_finds_the_share_that_was_not_divided(share: float) -> None:
    exact = [scaling.Speedup(n, *[amdahl(share, n)] * 3) for n in (1, 2, 4, 8)]
    assert scaling.serial_share(exact) == pytest.approx(share, abs=1e-9)


def test_the_fitted_law_is_drawn_and_said() -> None:
    runs = {n: steady_run(40, n, n / amdahl(0.25, n)) for n in (1, 2, 4, 8)}
    picture = plots.speedup(runs)
    curve = np.asarray(shapes(picture, "amdahl").get_path().vertices)
    nearest = curve[np.abs(curve[:, 0] - 4).argmin()]
    assert nearest == pytest.approx((4, amdahl(0.25, 4)), abs=0.05)
    assert "25% not divided" in words(picture)


def test_faster_than_ideal_is_no_share_below_zero() -> None:
    assert scaling.serial_share([scaling.Speedup(2, 3.0, 3.0, 3.0)]) == 0.0


def test_one_pod_alone_says_nothing_of_amdahls_law() -> None:
    picture = plots.speedup({1: steady_run(20)})
    assert not any("Amdahl" in word for word in words(picture))


def test_two_kinds_of_work_are_two_curves_with_marks_of_their_own() -> None:
    picture = plots.speedup(
        {
            "waiting": {n: steady_run(40, n) for n in (1, 2, 8)},
            "computing": {n: steady_run(40, n, max(1, n / 2)) for n in (1, 2, 8)},
        }
    )
    assert middles(picture)[-1] == pytest.approx((8, 8))
    assert [y for _, y in middles(picture, "runs 2")] == pytest.approx([1, 2, 2], abs=0.05)
    first, second = (shapes(picture, name) for name in ("runs", "runs 2"))
    assert first.get_facecolor() != second.get_facecolor()
    forms = [np.diff(np.asarray(s.get_path().vertices)[:5], axis=0) for s in (first, second)]
    assert not np.allclose(*forms)  # never by colour alone
    assert {"◆ waiting", "■ computing", "8.0×", "2.0×"} <= set(words(picture))


def test_a_run_without_speed_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="There is no run"):
        plots.speedup({})
    with pytest.raises(ValueError, match="There is no run"):
        plots.speedup({"waiting": {}})
    with pytest.raises(ValueError, match="no run of 1 pods"):
        plots.speedup({1: []})
    with pytest.raises(ValueError, match="completed nothing"):
        plots.speedup({1: History()})
    with pytest.raises(ValueError, match="4 curves in one picture are too many: at most 3"):
        plots.speedup({name: {1: steady_run(2)} for name in "abcd"})


# Pictures as files, and in a notebook


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("draw", DRAW)
def test_every_picture_is_a_png_and_an_svg(tmp_path: Path, draw, theme) -> None:  # type: ignore[no-untyped-def]
    picture = draw(lost_and_found().history(), theme=theme)
    picture.save(tmp_path / "run.png")
    picture.save(tmp_path / "run.svg")
    assert png_size((tmp_path / "run.png").read_bytes())[0] == 1800
    root = ElementTree.parse(tmp_path / "run.svg").getroot()
    texts = "".join(root.itertext())
    assert "0 s" in texts or "0.0 s" in texts


@pytest.mark.parametrize("draw", DRAW)
def test_an_empty_history_can_be_drawn(draw) -> None:  # type: ignore[no-untyped-def]
    assert png_size(draw(History()).png())


def test_a_picture_shows_itself_in_a_notebook_and_its_repr_is_constant() -> None:
    for history in (History(), lost_and_found().history()):
        assert repr(plots.timeline(history)) == "<timeline>"
    data, metadata = plots.queue_depth(lost_and_found().history())._repr_mimebundle_()
    assert data["text/plain"] == "<queue over time>"
    assert metadata["image/png"]["width"] * 2 == png_size(data["image/png"])[0]


def test_the_same_history_gives_the_same_picture() -> None:
    first, second = (plots.timeline(lost_and_found().history()) for _ in range(2))
    assert first.png() == second.png()
    assert first.svg() == second.svg()


def test_a_frame_is_what_a_fresh_picture_would_be() -> None:
    used = RunPicture(4, scale=1)
    used.frame(running(), T0 + 5)
    used.frame(lost_and_found().history(), T0 + 20)
    assert used.frame(running(), T0 + 8) == RunPicture(4, scale=1).frame(running(), T0 + 8)


def test_hostile_labels_are_drawn_as_text_without_a_warning(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    story = Story(9)
    labels = ["$\\frac{", "漢字", "🍎", "<b>&amp;", "\x00\x1b[31m", "\u202eright", "%s {0}", " "]
    for i, label in enumerate(labels, 1):
        story.lease(i * 10, f"{i}-1@a$b", label).complete(i * 10 + 9, f"{i}-1@a$b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.timeline(story.history()).png()
        plots.timeline(story.history()).svg()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert capfd.readouterr().err == ""


def test_the_png_holds_the_pixels() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    data = encode_png(pixels)
    length = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(2, 13)
    assert np.array_equal(rows[:, 1:].reshape(2, 3, 4), pixels)
    assert not rows[:, 0].any()


def test_drawing_needs_no_pyplot() -> None:
    code = (
        "import sys; from wqlib import plots; from wqlib.history import History; "
        "plots.RunPicture().frame(History(), 0); plots.timeline(History()).svg(); "
        "bad = {'matplotlib.pyplot', 'IPython', 'ipywidgets', 'redis', 'kubernetes'}; "
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


# Colours


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21.

    See https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = _rgb(colour) / 255
    return float(
        np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        @ (0.2126, 0.7152, 0.0722)
    )


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_shapes_have_the_contrast_that_wcag_asks_for(theme: Theme) -> None:
    for ground in (theme.ground, theme.stripe):
        assert contrast(theme.text, ground) >= 4.5
        assert contrast(theme.dim, ground) >= 4.5
        assert contrast(theme.line, ground) >= 3
        assert contrast(theme.fuse, ground) >= 3
    for kind in ("complete", "running"):
        assert contrast(theme.on_bar, theme.fills[kind].face) >= 4.5
    for fill in theme.fills.values():
        seen = [fill.face] if fill.edge == "none" else [fill.face, fill.edge]
        assert max(contrast(colour, theme.ground) for colour in seen) >= 3
        if fill.hatch:
            assert contrast(fill.edge, fill.face) >= 3


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_ticks_on_hatched_bars_can_be_seen(theme: Theme) -> None:
    for kind in ("expire", "release", "fail"):
        assert contrast(theme.text, theme.fills[kind].face) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pixels_of_an_expired_lease_are_hatched(theme: ThemeName) -> None:
    story = Story(1).pod(0, "running", "j-a", "j").lease(1, "1-1@j-a", "", 10)
    story.pod(2, "failed", "j-a", "j", "exit code 137").expire(11, "1-1@j-a")
    history, picture = story.history(), RunPicture(1, theme=theme, scale=2)
    picture.frame(history, T0 + 12)
    axis = picture.axis(history, T0 + 12)
    pixels = np.asarray(picture.picture.canvas.buffer_rgba())[:, :, :3]
    x0, x1 = (round(2 * axis.px(at - T0)) for at in (T0 + 4, T0 + 10))
    middle = round(2 * (6.0 + BAND + PITCH / 2))
    bar = pixels[middle - 10 : middle + 10, x0:x1].reshape(-1, 3)
    fill = THEMES[theme].fills["expire"]
    shares = [
        float((np.abs(bar.astype(int) - _rgb(colour)).max(axis=1) < 8).mean())
        for colour in (fill.face, fill.edge)
    ]
    assert shares[0] > 0.3  # the ground
    assert shares[1] > 0.05  # the lines of the hatch
    beside = pixels[middle - 1 : middle + 1, x1 + 120 : x1 + 140].reshape(-1, 3)
    assert not (np.abs(beside.astype(int) - _rgb(fill.face)).max(axis=1) < 8).any()


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert math.isclose(contrast("#123456", "#123456"), 1)
