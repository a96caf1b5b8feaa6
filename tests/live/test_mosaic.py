"""The picture that pods make tile by tile: what is where, and its live view on a real Redis."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from conftest import MakeQueue
from matplotlib.colors import to_rgb
from stories import T0, Story
from test_dashboard import FakeCluster, eventually, our_threads
from test_plots import contrast, shapes, words

from wqlib import tasks
from wqlib.dashboard import Mosaic
from wqlib.history import History
from wqlib.plots import mosaic
from wqlib.plots.mosaic import COLOURS, MosaicPicture, Part, Tile, tiles_of
from wqlib.plots.theme import LIGHT

STEP = 1 / 8
ITEMS = [
    {
        "left": -2 + x * STEP,
        "top": 1 - y * STEP,
        "step": STEP,
        "width": 8,
        "height": 8,
        "limit": 20,
    }
    for y in (0, 8)
    for x in (0, 8, 16)
]


def pixels_of(item: dict[str, Any]) -> bytes:
    return tasks.mandelbrot(json.dumps(item).encode())


def half_done() -> History:
    """Tile 0 made by pod a, 1 lost by pod b and made by a, 2 lost, 3 lent, 4 and 5 waiting."""
    return (
        Story()
        .put(0, 6)
        .lease(1, "11-1@job-wq-2-aaaaa")
        .lease(1, "12-1@job-wq-2-bbbbb")
        .complete(2, "11-1@job-wq-2-aaaaa")
        .release(2, "12-1@job-wq-2-bbbbb")
        .lease(2, "12-2@job-wq-2-aaaaa")
        .complete(3, "12-2@job-wq-2-aaaaa")
        .lease(3, "13-1@job-wq-2-bbbbb")
        .lease(3, "14-1@job-wq-2-aaaaa")
        .expire(4, "13-1@job-wq-2-bbbbb")
        .history()
    )


def drawn(history: History, results: dict[int, bytes]) -> MosaicPicture:
    picture = MosaicPicture(tiles_of(ITEMS), 20)
    picture.show(history, results, T0 + 5)
    return picture


# What is where


def test_tiles_are_found_in_what_the_items_ask_for() -> None:
    assert tiles_of(ITEMS) == [Tile(x, y, 8, 8) for y in (0, 8) for x in (0, 8, 16)]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "These are no tiles"),
        ([{"left": 1}], "These are no tiles"),
        (["apple"], "These are no tiles"),
        ([ITEMS[0], ITEMS[1] | {"step": 0.5}], "differ in `step`"),
    ],
)
def test_what_is_no_tile_is_refused_in_words(items: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiles_of(items)


def test_each_tile_tells_who_has_it_and_at_which_try() -> None:
    assert mosaic.parts_of(half_done(), 6) == [
        Part("done", 1, 1, 11),
        Part("done", 1, 2, 12),
        Part("lost", 2, 1, 13),
        Part("leased", 1, 1, 14),
        Part(),
        Part(),
    ]


def test_items_beyond_the_tiles_are_no_part_of_the_picture() -> None:
    assert [part.state for part in mosaic.parts_of(half_done(), 1)] == ["done"]


def test_a_tile_has_the_colour_of_the_pod_that_made_it() -> None:
    results = {11: bytes([20] * 32 + [19] * 32)}
    picture = drawn(half_done(), results)
    image = np.asarray(picture._image.get_array())
    assert image[0, 0] == pytest.approx(0.4 * np.array(to_rgb(COLOURS[0])))  # in the set
    near = 0.04 + 0.96 * np.array(to_rgb(COLOURS[0]))
    assert image[7, 7] == pytest.approx(near, abs=0.08)  # close to it: nearly the full colour
    assert image[0, 8] == pytest.approx(to_rgb(LIGHT.stripe))  # done, but not read yet
    assert image[15, 20] == pytest.approx(to_rgb(LIGHT.stripe))


def test_the_tiles_fill_the_picture_up_to_its_key() -> None:
    story = Story().put(0, 6)
    for i in range(6):
        story.lease(1, f"{i + 1}-1@pod-{i}").complete(2, f"{i + 1}-1@pod-{i}")
    results = {i + 1: bytes([19] * 64) for i in range(6)}
    picture = drawn(story.history(), results)
    image = matplotlib.image.imread(io.BytesIO(picture.picture.png()))[:, :, :3]
    for tile, colour in zip(tiles_of(ITEMS), COLOURS, strict=False):
        x, y = tile.x + 0.6 * tile.width, tile.y + 0.6 * tile.height
        row, column = (round(1.5 * (mosaic.MARGIN + at * picture.zoom)) for at in (y, x))
        near = 0.03 + 0.97 * np.array(to_rgb(colour))
        assert image[row, column] == pytest.approx(near, abs=0.05)


def test_no_meaning_hangs_on_colour_alone() -> None:
    picture = drawn(half_done(), {}).picture
    said = words(picture)
    assert {"1", "1, try 2", "lost by 2", "…aaaaa", "…bbbbb", "2 tiles", "0 tiles"} <= set(said)
    assert shapes(picture, "lost").get_hatch() == "////"
    outline = np.asarray(shapes(picture, "again").get_path().vertices)
    assert (outline[:, 0].min() > 8, outline[:, 0].max() < 16) == (True, True)
    lent = np.asarray(shapes(picture, "leased").get_path().vertices)
    assert (lent[:, 1].min() > 8, lent[:, 0].max() < 8) == (True, True)


def test_the_first_colours_of_pods_are_all_different() -> None:
    assert len(set(COLOURS)) == 8
    assert mosaic.colour_of(9) == mosaic.colour_of(1)
    assert all(contrast(colour, "#000000") > 3 for colour in COLOURS)


def test_many_pods_are_counted_where_there_is_no_room_to_list_them() -> None:
    story = Story().put(0, 20)
    for i in range(20):
        story.lease(1, f"{i + 1}-1@pod-{i:02}")
    assert "and 6 more pods" in words(drawn(story.history(), {}).picture)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_frame_has_the_same_size(theme: Any) -> None:
    picture = MosaicPicture(tiles_of(ITEMS), 20, theme=theme)
    frames = [picture.frame(history, {}, T0) for history in (History(), half_done())]
    sizes = {struct.unpack(">II", frame[16:24]) for frame in frames}
    assert len(sizes) == 1
    assert frames[0] != frames[1]


# Live


@pytest.fixture
def view() -> Iterator[Callable[..., Mosaic]]:
    made: list[Mosaic] = []

    def make(*args: Any, **options: Any) -> Mosaic:
        made.append(Mosaic(*args, fps=30, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()
    assert our_threads() == []


def test_the_picture_assembles_while_the_work_goes_on(
    make_queue: MakeQueue, view: Callable[..., Mosaic]
) -> None:
    queue = make_queue("pod-a")
    other = make_queue("pod-b")
    shown = view(queue, ITEMS)
    empty = shown.png()
    shown.start()
    queue.put(ITEMS)
    for worker in (queue, other, queue):
        lease = worker.lease()
        assert lease
        worker.complete(lease, tasks.mandelbrot(lease.item))
    eventually(lambda: len(shown._results) == 3 and shown.png() != empty)
    while lease := other.lease():
        other.complete(lease, tasks.mandelbrot(lease.item))
    eventually(lambda: shown.history.counts.done == 6)
    shown.stop()
    assert shown.error is None
    assert "6 of 6 items done" in shown._stage.header.value
    assert "Stopped" in shown._stage.header.value
    last = matplotlib.image.imread(io.BytesIO(shown.png()))
    assert last.shape[:2] == tuple(
        round(2 * x)
        for x in (shown._stage.picture.picture.height, shown._stage.picture.picture.width)
    )
    assert [part.pod for part in mosaic.parts_of(shown.history, 6)] == [1, 2, 1, 2, 2, 2]
    assert shown._results == {
        part.item_id: pixels_of(item)
        for part, item in zip(mosaic.parts_of(shown.history, 6), ITEMS, strict=True)
    }


def test_a_pod_that_is_gone_is_told_and_its_tile_done_by_another(
    make_queue: MakeQueue, view: Callable[..., Mosaic]
) -> None:
    queue, other, cluster = (
        make_queue("pod-a", lease_seconds=0.2),
        make_queue("pod-b"),
        FakeCluster(),
    )
    queue.put(ITEMS[:1])
    assert queue.lease()
    shown = view(queue, ITEMS[:1], cluster)
    shown.start()
    cluster.tell("running", "pod-a")
    cluster.tell("deleted", "pod-a")
    lease = other.lease(wait_seconds=10)
    assert lease
    other.complete(lease, tasks.mandelbrot(lease.item))
    eventually(
        lambda: shown.history.counts.done == 1 and "gone" in words(shown._stage.picture.picture)
    )
    assert mosaic.parts_of(shown.history, 1)[0][:3] == ("done", 2, 2)


def test_its_repr_never_changes_and_showing_it_starts_it(
    queue: Any, view: Callable[..., Mosaic]
) -> None:
    shown = view(queue, ITEMS)
    before = repr(shown)
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == before == f"<Mosaic of queue {queue.name}>"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    eventually(lambda: shown.frames > 0)


def test_a_second_mosaic_stops_the_first(queue: Any, view: Callable[..., Mosaic]) -> None:
    first, second = view(queue, ITEMS), view(queue, ITEMS)
    first.start()
    second.start()
    assert first._thread
    assert not first._thread.is_alive()
    first.stop()
    assert second._thread
    assert second._thread.is_alive()


def test_it_outlives_a_queue_that_is_cleared(
    make_queue: MakeQueue, view: Callable[..., Mosaic]
) -> None:
    queue = make_queue("pod-a")
    shown = view(queue, ITEMS)
    shown.start()
    for _ in range(2):
        queue.clear()
        queue.put(ITEMS)
        while lease := queue.lease():
            queue.complete(lease, tasks.mandelbrot(lease.item))
        eventually(lambda: len(shown._results) == shown.history.counts.done == 6)
    ids = [part.item_id for part in mosaic.parts_of(shown.history, 6)]
    eventually(lambda: sorted(shown._results) == ids)
    assert shown.error is None


def test_a_pace_that_makes_no_sense_is_refused(queue: Any) -> None:
    with pytest.raises(ValueError, match="fps is 0"):
        Mosaic(queue, ITEMS, fps=0)
