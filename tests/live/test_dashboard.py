"""The live view on a real Redis: its feed, its thread, its buttons, and in a real kernel."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import nbformat
import pytest
from conftest import MakeQueue, run_out
from nbclient import NotebookClient

from wqlib.dashboard import Dashboard, details, markup
from wqlib.dashboard.actions import Actions, items_of
from wqlib.dashboard.controls import Controls
from wqlib.errors import ClusterError, NotFound, WaitTimeout
from wqlib.events import PodEvent
from wqlib.history import Reading
from wqlib.history.feed import Feed
from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer

JOB = "job-wq-2"


class FakeCluster:
    """What the live view uses of a cluster, and what it asked for."""

    def __init__(self) -> None:
        self.pods: SimpleQueue[PodEvent | Exception] = SimpleQueue()
        self.asked: list[tuple[Any, ...]] = []
        self.fails: Exception | None = None
        self.said: dict[tuple[str, str], list[str] | Exception] = {}
        self.answers = threading.Event()
        self.answers.set()

    def watch_pods(self, stop: threading.Event, job: str | None = None) -> Iterator[PodEvent]:
        while not stop.wait(0.01):
            while not self.pods.empty():
                news = self.pods.get()
                if isinstance(news, Exception):
                    raise news
                yield news

    def crash_pod(self, pod: str) -> None:
        self._do("crash", pod)

    def kill_pod(self, pod: str, *, grace_seconds: int = 0) -> None:
        self._do("delete", pod, grace_seconds)

    def evict_pod(self, pod: str) -> None:
        self._do("evict", pod)

    def logs(self, target: str, *, tail: int) -> str:
        return "".join(f"{line}\n" for line in self._read("logs", target)[-tail:])

    def events(self, target: str) -> list[str]:
        return self._read("events", target)

    def _read(self, what: str, target: str) -> list[str]:
        self.answers.wait(30)
        lines = self.said.get((what, target), NotFound(f"There is no {target}."))
        if isinstance(lines, Exception):
            raise lines
        return lines

    def freeze_pod(self, pod: str) -> None:
        self._do("freeze", pod)

    def thaw_pod(self, pod: str) -> None:
        self._do("thaw", pod)

    def scale(self, job: str, parallelism: int) -> None:
        self._do("scale", job, parallelism)

    def _do(self, *what: Any) -> None:
        self.answers.wait(30)
        if self.fails:
            raise self.fails
        self.asked.append(what)

    def tell(self, kind: Any, pod: str, job: str = JOB) -> None:
        self.pods.put(PodEvent(kind, time.time(), pod, job))


def eventually(true: Callable[[], Any], seconds: float = 30.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.02)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("wqlib-")]


@pytest.fixture
def view() -> Iterator[Callable[..., Dashboard]]:
    """Makes dashboards that are stopped at the end; then no thread may be left."""
    made: list[Dashboard] = []

    def make(*args: Any, **options: Any) -> Dashboard:
        made.append(Dashboard(*args, **options))
        return made[-1]

    yield make
    for dashboard in made:
        dashboard.stop()
    assert our_threads() == []


def work_all(queue: WorkQueue, limit: int = 10**9) -> int:
    done = 0
    while done < limit and (lease := queue.lease()):
        queue.complete(lease)
        done += 1
    return done


# The feed


def test_the_feed_folds_what_the_queue_tells(make_queue: MakeQueue) -> None:
    queue = make_queue("pod-a")
    feed = Feed(queue)
    queue.put(["apple", "banana", "cherry"])
    assert feed.poll()
    lease = queue.lease()
    assert lease
    assert feed.poll()
    assert [span.item for span in feed.history.lanes["pod-a"].spans] == ["apple"]
    queue.complete(lease)
    queue.put("date")
    feed.poll()
    assert (feed.history.counts.done, feed.history.counts.pending) == (1, 3)
    assert not feed.drained
    work_all(queue)
    feed.poll()
    assert feed.drained
    assert not feed.poll()  # nothing is new
    feed.close()


def test_counts_agree_with_the_stats_of_the_queue_after_every_kind_of_event(
    make_queue: MakeQueue,
) -> None:
    a, b = make_queue("a", max_attempts=2), make_queue("b", max_attempts=2)
    feed = Feed(a)
    a.put([f"item {i}" for i in range(40)])
    work_all(b, 10)
    run_out(a, *a.exchange((), 3))
    for _ in range(4):
        lease = b.lease()
        assert lease
        b.fail(lease, "boom")
    lease = b.lease()
    assert lease
    b.release(lease, "SIGTERM")
    feed.poll()
    work_all(b, 20)
    for _ in range(2):
        lease = b.lease()
        assert lease
        b.fail(lease, "again")
    b.requeue_dead()
    b.lease()
    feed.poll()
    counts, stats = feed.history.counts, a.stats()
    for name in ("pending", "leased", "done", "dead", "expired", "released", "failed", "put"):
        assert getattr(counts, name) == getattr(stats, name), name
    assert counts.expired == 3
    # The events alone said all that: no reading was needed to set it right.
    assert not [event for event in feed.history.log if isinstance(event, Reading)]
    feed.close()


def test_items_pushed_by_redis_cli_are_seen_without_an_event(make_queue: MakeQueue) -> None:
    queue = make_queue()
    feed = Feed(queue)
    feed.poll()
    queue._store.link.command("RPUSH", queue.name, "apple", "banana")
    eventually(lambda: feed.poll() or feed.history.counts.pending == 2)
    assert feed.history.counts.pending == 2
    feed.close()


def test_a_stream_whose_beginning_was_trimmed_still_gives_the_right_counts(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue("a")
    queue.put([str(i) for i in range(50)])
    work_all(queue, 30)
    queue.lease()
    queue._store.link.command("XTRIM", f"{{{queue.name}}}:events", "MAXLEN", 3)
    feed = Feed(queue)
    feed.poll()
    counts = feed.history.counts
    assert (counts.done, counts.leased, counts.pending) == (30, 1, 19)
    feed.close()


def test_a_feed_that_joins_late_tells_the_same(make_queue: MakeQueue) -> None:
    queue = make_queue("a")
    early = Feed(queue)
    queue.put([str(i) for i in range(20)])
    for _ in range(20):
        early.poll()
        work_all(queue, 1)
    early.poll()
    late = Feed(queue)
    late.poll()
    assert late.history.lanes == early.history.lanes
    assert late.history.counts == early.history.counts
    early.close()
    late.close()


def test_a_queue_that_is_wiped_starts_anew(make_queue: MakeQueue) -> None:
    queue = make_queue("a")
    feed = Feed(queue)
    queue.put(["apple"])
    work_all(queue)
    feed.poll()
    time.sleep(0.01)  # ids of the stream may start over within one millisecond
    queue.clear()
    queue.put(["banana", "cherry"])
    feed.poll()
    assert (feed.history.counts.total, feed.history.counts.pending) == (2, 2)
    assert not feed.history.lanes
    feed.close()


def test_pods_stand_on_the_clock_of_redis(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, cluster = make_queue(), FakeCluster()
    monkeypatch.setattr(WorkQueue, "server_time", lambda self: time.time() + 1000)
    feed = Feed(queue, cluster)
    cluster.tell("running", "j-a")
    eventually(lambda: feed.poll() and feed.history.lanes)
    assert feed.history.lanes["j-a"].marks[0].at == pytest.approx(time.time() + 1000, abs=5)
    assert feed.now == pytest.approx(time.time() + 1000, abs=1)
    feed.close()


def test_a_broken_pod_watch_is_said_and_tried_again(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wqlib.history.feed.POD_RETRY_SECONDS", 0.05)
    feed = Feed(make_queue(), cluster := FakeCluster())
    cluster.pods.put(ClusterError("no API server <here>"))
    eventually(lambda: feed.poll() or feed.trouble)
    assert "The pods cannot be followed, retrying. (no API server <here>)" in feed.trouble
    cluster.tell("running", "j-a")
    eventually(lambda: feed.poll() or not feed.trouble)
    assert "j-a" in feed.history.lanes
    feed.close()


# The view


def test_the_repr_is_constant(make_queue: MakeQueue, view: Callable[..., Dashboard]) -> None:
    queue = make_queue(name="job2 repr")
    dashboard = view(queue)
    assert repr(dashboard) == "<Dashboard of queue job2 repr>"
    data = dashboard._repr_mimebundle_()
    assert data["text/plain"] == "<Dashboard of queue job2 repr>"
    assert "application/vnd.jupyter.widget-view+json" in data
    assert set(data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}


def test_the_image_has_no_tooltip_since_jupyterlab_would_not_show_it(
    make_queue: MakeQueue,
) -> None:
    assert Dashboard(make_queue())._stage.image.tooltip is None


def test_it_draws_while_the_run_goes_on_and_rests_when_nothing_changes(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    queue = make_queue("a")
    queue.put(["apple"])
    dashboard = view(queue, fps=20)
    first = dashboard.png()
    dashboard.start()
    lease = queue.lease()
    eventually(lambda: dashboard.frames >= 5)  # the bar grows, though no event comes
    assert dashboard.png() != first
    assert lease
    queue.complete(lease)
    eventually(lambda: dashboard.history.counts.done)
    time.sleep(0.3)
    drawn = dashboard.frames
    time.sleep(0.5)
    assert dashboard.frames == drawn


def test_the_header_says_in_words_what_the_picture_shows(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    queue = make_queue("a")
    queue.put(["apple", "banana"])
    dashboard = view(queue)
    dashboard.start()
    work_all(queue)
    dashboard.wait_until_drained(10)
    dashboard.stop()
    header = dashboard._stage.header.value
    assert 'role="status" aria-live="polite"' in header
    assert "2 of 2 items done, 0 leased, 0 waiting, 0 dead. The queue is drained." in header
    assert "Stopped" in header


def test_everything_that_comes_from_outside_is_escaped(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    evil = "<img/src=x/onerror=alert(1)>"
    queue = make_queue(evil)
    queue.put([f"item {evil}"])
    dashboard = view(queue, FakeCluster(), f"job{evil}")
    dashboard.start()
    queue.lease()
    eventually(
        lambda: "alert" in dashboard._stage.table.value and "alert" in dashboard._stage.header.value
    )

    class Tags(HTMLParser):
        seen: set[str] = set()  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.seen.add(tag)

    parser = Tags()
    parser.feed(dashboard._stage.table.value + dashboard._stage.header.value + markup.note(evil))
    assert "img" not in parser.seen
    assert "td" in parser.seen


def test_waiting_for_the_end_gives_up_in_words(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    queue = make_queue("a")
    queue.put(["apple"])
    with pytest.raises(WaitTimeout, match=r"did not drain within 0\.3 s.*0 of 1 item done"):
        view(queue).wait_until_drained(0.3)


def test_a_second_view_of_the_same_queue_stops_the_first(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    queue = make_queue("a")
    first, second = view(queue), view(queue)
    first.start()
    second.start()
    assert our_threads() == ["wqlib-dashboard"]
    assert "Stopped" in first._stage.header.value
    second.start()  # again: it goes on as it is
    assert our_threads() == ["wqlib-dashboard"]


def test_views_of_different_queues_live_side_by_side(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    first, second = view(make_queue(name="side a")), view(make_queue(name="side b"))
    first.start()
    second.start()
    assert our_threads() == ["wqlib-dashboard"] * 2


def test_a_stopped_view_can_be_started_again(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    queue = make_queue("a")
    queue.put(["apple", "banana"])
    dashboard = view(queue)
    dashboard.start()
    work_all(queue, 1)
    eventually(lambda: dashboard.history.counts.done == 1)
    dashboard.stop()
    work_all(queue)
    dashboard.start()
    dashboard.wait_until_drained(10)
    assert dashboard.history.counts.done == 2


def test_stopping_twice_or_before_the_start_does_no_harm(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    dashboard = view(make_queue())
    dashboard.stop()
    dashboard.start()
    dashboard.stop()
    dashboard.stop()


def test_a_fault_in_the_thread_is_shown_and_kept(
    make_queue: MakeQueue,
    view: Callable[..., Dashboard],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    queue = make_queue("a")
    queue.put(["apple"])
    dashboard = view(queue)

    def broken(*_: Any) -> bytes:
        raise RuntimeError("no <ink>")

    with monkeypatch.context() as patched:
        patched.setattr(dashboard._stage.picture, "frame", broken)
        dashboard.start()
        queue.lease()
        eventually(lambda: "no &lt;ink&gt;" in dashboard._stage.header.value)
    assert isinstance(dashboard.error, RuntimeError)
    eventually(lambda: dashboard.frames)  # and it goes on once it can
    dashboard.stop()
    assert capfd.readouterr() == ("", "")


def test_losing_redis_is_said_and_the_view_goes_on_afterwards(
    view: Callable[..., Dashboard], capfd: pytest.CaptureFixture[str]
) -> None:
    with RedisServer(appendonly=True) as server:
        queue = WorkQueue("job2", url=server.url, worker="a", patience_seconds=20)
        queue.put(["apple", "banana"])
        dashboard = view(queue, fps=20)
        dashboard.start()
        eventually(lambda: dashboard.history.counts.pending == 2)
        queue.lease()
        eventually(lambda: dashboard.history.counts.leased == 1)
        server.stop()
        eventually(lambda: "Connection to Redis lost" in dashboard._stage.header.value, 30)
        assert "s ago, retrying." in dashboard._stage.header.value
        drawn = dashboard.frames
        time.sleep(0.5)
        assert dashboard.frames == drawn  # what is not known is not drawn
        server.start()
        eventually(lambda: "lost" not in dashboard._stage.header.value, 20)
        eventually(lambda: dashboard.frames > drawn)
        work_all(queue)
        eventually(lambda: dashboard.history.counts.done == 1)
        queue.close()
        dashboard.stop()
    assert capfd.readouterr() == ("", "")


def test_stopping_while_redis_is_away_leaves_the_last_state(
    view: Callable[..., Dashboard],
) -> None:
    with RedisServer() as server:
        queue = WorkQueue("job2", url=server.url, worker="a")
        queue.put(["apple"])
        dashboard = view(queue)
        dashboard.start()
        eventually(lambda: dashboard.history.counts.pending == 1)
    dashboard.stop()
    assert "Connection to Redis lost" in dashboard._stage.header.value
    assert "0 of 1 item done" in dashboard._stage.header.value


# What one can do with it


def with_pods(
    make_queue: MakeQueue, view: Callable[..., Dashboard], *pods: str
) -> tuple[Dashboard, FakeCluster]:
    cluster = FakeCluster()
    for pod in pods:
        cluster.tell("running", pod)
    dashboard = view(make_queue(), cluster, JOB, fps=20)
    dashboard.start()
    eventually(lambda: dashboard._controls._number.value == len(pods))
    eventually(lambda: dashboard._controls._pods.value == pods[0])
    return dashboard, cluster


def test_clicks_kill_delete_and_evict_the_chosen_pod(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    dashboard, cluster = with_pods(make_queue, view, "j-a", "j-b")
    dashboard._controls._pods.value = "j-b"
    dashboard._controls._kill.click()
    dashboard._controls._delete.click()
    dashboard._controls._evict.click()
    eventually(lambda: len(cluster.asked) == 3)
    assert cluster.asked == [("crash", "j-b"), ("delete", "j-b", 30), ("evict", "j-b")]
    eventually(lambda: "Evicted pod j-b: it is asked to end." in dashboard._stage.note.value)


def test_a_click_scales_the_job(make_queue: MakeQueue, view: Callable[..., Dashboard]) -> None:
    dashboard, cluster = with_pods(make_queue, view, "j-a", "j-b")
    assert dashboard._controls._number.value == 2  # as many as run now
    dashboard._controls._number.value = 5
    dashboard._controls._scale.click()
    eventually(lambda: cluster.asked)
    assert cluster.asked == [("scale", JOB, 5)]


def test_a_click_adds_items_to_the_queue(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    queue = make_queue()
    dashboard = view(queue, fps=20)
    dashboard.start()
    dashboard._controls._items.value = "apple, banana"
    dashboard._controls._add.click()
    eventually(lambda: dashboard.history.counts.pending == 2)
    assert queue.peek() == [b"apple", b"banana"]
    eventually(lambda: "Added 2 items." in dashboard._stage.note.value)
    dashboard._controls._items.value = " , "
    dashboard._controls._add.click()
    eventually(lambda: "Say which items to add" in dashboard._stage.note.value)


def test_items_are_a_number_or_names() -> None:
    assert items_of("3") == ["added 1", "added 2", "added 3"]
    assert items_of(" 2 ", before=3) == ["added 4", "added 5"]
    assert items_of("apple, 7up ,, date") == ["apple", "7up", "date"]
    assert items_of("") == []
    assert len(items_of("999999")) == 10_000


def test_every_control_can_be_reached_by_keyboard(make_queue: MakeQueue) -> None:
    controls = Dashboard(make_queue(), FakeCluster())._controls
    parts = [part for row in controls.rows for part in row]
    names = "Pod,Next pod,Kill,Delete,Evict,Freeze,Thaw".split(",")
    names += "Parallelism,Scale,Items,Add,Stop live view".split(",")
    assert [part.description for part in parts] == names  # Tab goes in this order
    assert all(part.tabbable is not False and not part.disabled for part in parts)


def chosen(dashboard: Dashboard, pod: str) -> Callable[[str], None]:
    """Click the lane of a pod; the function waits until that is said of it."""
    found = dashboard._details
    eventually(lambda: pod in [name for name, *_ in found._shown])
    found.lanes[[name for name, *_ in found._shown].index(pod)].click()

    def wait_for(text: str) -> None:
        eventually(lambda: text in unescape(dashboard._stage.table.value))

    return wait_for


def test_a_click_on_a_lane_shows_what_the_pod_does_and_what_became_of_its_item(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    queue, cluster = make_queue("j-a"), FakeCluster()
    cluster.tell("running", "j-a")
    cluster.said = {
        ("logs", "pod/j-a"): [f"line {n}" for n in range(50)],
        ("events", "pod/j-a"): ["Normal Started pod/j-a: Container <started>"],
    }
    dashboard = view(queue, cluster, JOB, fps=20)
    queue.put(["apple", "banana"])
    first = queue.lease()
    assert first
    queue.complete(first)
    assert queue.lease()
    dashboard.start()
    shows = chosen(dashboard, "j-a")
    shows("Item 2: banana.")
    shows("j-a: working. 1 item done, 0 lost.")
    shows("apple: lent at")
    shows("line 40\n")
    shows("Container <started>")
    assert "line 39" not in dashboard._stage.table.value  # the last ten
    dashboard._details._earlier.click()
    shows("Item 1: apple.")
    assert dashboard._details._items.value == 1
    cluster.said = {}
    dashboard._details._pods.value = "All pods"
    shows("now working on")
    assert dashboard.error is None


def test_a_log_that_cannot_be_read_is_said_and_one_that_is_gone_stays_as_it_was(
    make_queue: MakeQueue, view: Callable[..., Dashboard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(details, "ASK_SECONDS", 0.05)
    dashboard, cluster = with_pods(make_queue, view, "j-a")
    cluster.said["logs", "pod/j-a"] = ["its last words"]
    cluster.said["events", "pod/j-a"] = ClusterError("Not <allowed>.")
    shows = chosen(dashboard, "j-a")
    shows("its last words")
    shows("This cannot be read: Not <allowed>.")
    cluster.tell("deleted", "j-a")
    cluster.said = {}
    shows("j-a: gone.")
    shows("its last words")
    frames = dashboard.frames
    cluster.answers.clear()  # it hangs
    dashboard._queue.put("apple")
    eventually(lambda: dashboard.frames > frames)
    cluster.answers.set()
    assert dashboard.error is None


def test_drawing_goes_on_while_the_cluster_is_slow(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    dashboard, cluster = with_pods(make_queue, view, "j-a")
    cluster.answers.clear()
    dashboard._controls._kill.click()
    before = dashboard.frames
    eventually(lambda: dashboard.frames > before)
    assert not cluster.asked  # neither the cell nor the view was held up
    cluster.answers.set()
    eventually(lambda: cluster.asked)


def test_a_request_that_fails_is_said(
    make_queue: MakeQueue, view: Callable[..., Dashboard]
) -> None:
    dashboard, cluster = with_pods(make_queue, view, "j-a")
    cluster.fails = ClusterError("There is no pod <j-a>.")
    dashboard._controls._kill.click()
    eventually(lambda: "There is no pod &lt;j-a&gt;." in dashboard._stage.note.value)
    assert dashboard.error is None


def test_the_stop_button_stops(make_queue: MakeQueue, view: Callable[..., Dashboard]) -> None:
    dashboard = view(make_queue())
    dashboard.start()
    dashboard._controls._stop.click()
    eventually(lambda: our_threads() == [])
    assert dashboard._controls._stop.disabled


def some_controls(queue: WorkQueue) -> tuple[Controls, Actions]:
    actions = Actions(queue, None, str)
    return Controls(actions, lambda: None, with_cluster=True), actions


def test_the_chosen_pod_stays_chosen_while_others_come_and_go(make_queue: MakeQueue) -> None:
    controls, actions = some_controls(make_queue())
    controls.offer_pods(("a", "b", "c"))
    controls._pods.value = "b"
    controls.offer_pods(("b", "c", "d"))
    assert controls._pods.value == "b"
    controls.offer_pods(())
    controls._kill.click()
    assert actions._requests.empty()


def test_the_next_pod_can_be_chosen_without_the_arrow_keys(make_queue: MakeQueue) -> None:
    controls, _ = some_controls(make_queue())
    controls._next.click()
    controls.offer_pods(("a", "b"))
    chosen = []
    for _ in range(3):
        controls._next.click()
        chosen.append(controls._pods.value)
    assert chosen == ["b", "a", "b"]


def test_without_a_cluster_there_is_nothing_to_kill(make_queue: MakeQueue) -> None:
    dashboard = Dashboard(make_queue())
    (row,) = dashboard._controls.rows
    assert [part.description for part in row] == ["Items", "Add", "Stop live view"]


def test_a_view_that_nobody_keeps_is_collected(make_queue: MakeQueue) -> None:
    dashboard = Dashboard(make_queue())
    dashboard.start()
    dashboard.stop()
    for widget in [*dashboard._stage.box.children, dashboard._stage.box]:
        widget.close()
    del dashboard
    gc.collect()
    assert our_threads() == []


@pytest.mark.parametrize("fps", [0, -1, 31])
def test_a_frame_rate_that_makes_no_sense_is_refused(make_queue: MakeQueue, fps: float) -> None:
    with pytest.raises(ValueError, match="fps"):
        Dashboard(make_queue(), fps=fps)


# In a real kernel

CELLS = [
    """
import sys, threading, time
from wqlib import Dashboard, WorkQueue
queue = WorkQueue(NAME, url=URL, worker="pod-a", lease_seconds=5)
queue.put([f"item {i}" for i in range(30)])
""",
    "Dashboard(queue, fps=10)",  # a cell that is run twice: this one is stopped by the next
    """
dashboard = Dashboard(queue, fps=10)
dashboard
""",
    """
lease = queue.lease()
while lease:
    time.sleep(0.03)
    lease = queue.complete_and_lease(lease)
""",
    "dashboard.wait_until_drained(20)",
    "dashboard.stop()",
    """
print(sorted(t.name for t in threading.enumerate() if t.name.startswith("wqlib-")))
print(dashboard.history.counts.done, dashboard.error, dashboard.frames > 3)
print(dashboard.png()[:4] == bytes([137, 80, 78, 71]))
""",
    "from wqlib import Replay\nReplay('killed', speed=5)",
    "Dashboard(queue).show()",  # still live when the kernel is shut down
]


def run_notebook(cells: list[str], folder: Path) -> Any:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = NotebookClient(notebook, timeout=90, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return client.nb


def test_in_a_kernel_it_leaves_a_widget_and_no_thread_and_no_noise(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    setting = f"NAME, URL = 'kernel test', {redis_server.url!r}"
    notebook = run_notebook([setting, *CELLS], tmp_path)
    outputs = [cell.outputs for cell in notebook.cells]
    assert not [
        o for cell in outputs for o in cell if o.output_type == "stream" and o.name == "stderr"
    ]
    ((first,), (second,)) = outputs[2:4]
    for output in (first, second):
        assert output.output_type == "execute_result"
        assert output.data["text/plain"] == "<Dashboard of queue kernel test>"
        assert set(output.data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert outputs[4:7] == [[], [], []]  # nothing is printed into later cells
    assert outputs[7][0].text == "[]\n30 None True\nTrue\n"
    (replay,), (shown,) = outputs[8:10]
    assert replay.data["text/plain"] == "<Replay of killed>"
    assert set(replay.data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert shown.output_type == "display_data"


def test_a_notebook_with_a_live_view_passes_strict_nbval(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    setting = f"NAME, URL = 'nbval test', {redis_server.url!r}"
    wipe = "queue.clear(); None"
    notebook = run_notebook([setting, *CELLS[:-1], wipe], tmp_path)
    nbformat.write(notebook, tmp_path / "live.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-p",
        "no:valkey",
        "-q",
        "live.ipynb",
    ]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
