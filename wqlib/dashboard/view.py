"""The live view itself: widgets, and the one thread that owns them."""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from wqlib.dashboard import markup
from wqlib.dashboard.controls import GENTLE_SECONDS, Controls, Hands, Request
from wqlib.errors import WaitTimeout
from wqlib.feed import Feed
from wqlib.history import History
from wqlib.plots import RunPicture, ThemeName

if TYPE_CHECKING:
    from wqlib.queue import WorkQueue

WORDS_SECONDS = 1.0  # between two changes of the texts: nobody reads faster, or listens
FINAL_SCALE = 2.0
_JOIN_SECONDS = 10.0

# The view of each queue that is live now: a cell that is run again stops the one before.
_live: dict[tuple[Any, ...], Dashboard] = {}
_live_lock = threading.Lock()


class Dashboard:
    """A live view of a queue and its pods.

    Shown as the last line of a cell, or by `show()`, it starts; then it goes on by itself
    until `stop()`. Showing another one of the same queue stops this one.

    Args:
        queue: The queue to watch.
        cluster: What `wqlib.connect()` gave; without it there are no pods, only workers.
        job: Name of the Job to watch and to scale; None for all pods.
        fps: Frames a second, at most. Nothing is drawn while nothing changes.
        lanes: For how many pods there is full room.
        theme: "light" or "dark".
        window_seconds: How much of the past is shown while the run goes on; None for all.

    Attributes:
        history: What happened so far. It changes while the view is live.
        error: What went wrong in the thread of the view last, or None.
        frames: How many frames were drawn.

    Example:
        >>> dashboard = Dashboard(queue, cluster, "job-wq-2")  # doctest: +SKIP
        >>> dashboard.show()  # doctest: +SKIP
        >>> dashboard.wait_until_drained(timeout_seconds=60)  # doctest: +SKIP
        >>> dashboard.stop()  # doctest: +SKIP
    """

    def __init__(
        self,
        queue: WorkQueue,
        cluster: Any = None,
        job: str | None = None,
        *,
        fps: float = 5.0,
        lanes: int = 8,
        theme: ThemeName = "light",
        window_seconds: float | None = 120.0,
    ) -> None:
        if not 0 < fps <= 30:
            raise ValueError(f"fps is {fps}; it must be more than 0 and at most 30.")
        self.history = History()
        self.error: Exception | None = None
        self.frames = 0
        self._queue = queue
        self._cluster = cluster
        self._job = job
        self._frame_seconds = 1.0 / fps
        self._lanes = lanes
        self._theme: ThemeName = theme
        self._window_seconds = window_seconds
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._hands = Hands(self._act)
        self._stop = threading.Event()
        self._drained = threading.Event()
        self._thread: threading.Thread | None = None
        self._feed: Feed | None = None
        self._run_picture = self._new_picture(1.5)
        self._drawn: Any = None
        self._words_at = float("-inf")
        self._controls = Controls(self._requests.put, with_cluster=cluster is not None)
        self._box = self._build()

    def __repr__(self) -> str:
        return f"<Dashboard of queue {self._queue.name}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        self.start()
        return {**self._box._repr_mimebundle_(), "text/plain": repr(self)}

    def show(self) -> None:
        """Display the view here, and start it."""
        from IPython.display import display

        display(self)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """Start, without displaying. Another live view of the same queue is stopped."""
        address = self._queue.address
        key = (self._queue.name, address.host, address.port)
        with _live_lock:
            other = _live.get(key)
            _live[key] = self
        if other is not None and other is not self:
            other.stop()
        if self._thread is not None and self._thread.is_alive():
            return
        self._stop.clear()
        self._controls.enable(True)
        self._thread = threading.Thread(target=self._run, name="wqlib-dashboard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the threads, and leave the last state as a picture."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)
        with _live_lock:
            for key in [key for key, view in _live.items() if view is self]:
                del _live[key]

    def wait_until_drained(self, timeout_seconds: float = 60.0) -> None:
        """Wait until nothing waits and nothing is leased, while the view goes on.

        Args:
            timeout_seconds: How long to wait at most.

        Raises:
            WaitTimeout: The queue did not drain in time.
        """
        self.start()
        if not self._drained.wait(timeout_seconds):
            raise WaitTimeout(
                f"Queue {self._queue.name} did not drain within {timeout_seconds:g} s. "
                f"{self.history.summary(self.history.last_at, self._job or '')}"
            )

    def png(self) -> bytes:
        """The picture as it is shown now, as a PNG file."""
        return bytes(self._image.value)

    # The owner thread. Nothing below runs on another, but `_act`.

    def _run(self) -> None:
        # Going on after a stop, the stream is read anew, since it may have been wiped.
        self.history = History()
        self._drained.clear()
        self._drawn = None
        feed = Feed(self._queue, self._cluster, self._job, self.history)
        self._feed = feed
        pause = 0.0
        while not self._stop.wait(pause):
            started = time.monotonic()
            self._try(lambda: self._turn(feed))
            spent = time.monotonic() - started
            # At least as long asleep as awake, so that cells keep half of the processor.
            pause = max(self._frame_seconds - spent, spent, 0.01)
        self._try(lambda: self._finish(feed))
        feed.close()
        self._hands.stop()

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self.error = error
            with contextlib.suppress(Exception):
                trouble = f"The view itself failed ({type(error).__name__}: {error})."
                self._header.value = markup.header("", "live", trouble)
                self._words_at = time.monotonic()

    def _turn(self, feed: Feed) -> None:
        self._take_requests()
        feed.poll()
        now = feed.now
        if feed.drained:
            self._drained.set()
        else:
            self._drained.clear()
        self._draw(now)
        self._speak(feed, now)

    def _draw(self, now: float) -> None:
        axis = self._run_picture.axis(self.history, now)
        key = (self.history.version, axis.live, round(axis.now * axis.scale * 2))
        if key != self._drawn:
            self._image.value = self._run_picture.frame(self.history, now)
            self._drawn = key
            self.frames += 1

    def _speak(self, feed: Feed, now: float) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._note.value = markup.note(self._hands.said.get_nowait())
        if time.monotonic() - self._words_at < WORDS_SECONDS:
            return
        self._words_at = time.monotonic()
        self._controls.offer(self._running_pods())
        summary = self.history.summary(now, self._job or "")
        self._header.value = markup.header(summary, "Live", feed.trouble)
        self._table.value = markup.table(self.history.table(now))

    def _finish(self, feed: Feed) -> None:
        if not feed.trouble:  # else whoever stops the view would wait for Redis
            feed.poll()
        now = feed.now
        last = self._new_picture(FINAL_SCALE)
        last.frame(self.history, now)
        self._image.value = last.picture.png()
        self._hands.stop()
        self._speak(feed, now)
        summary = self.history.summary(now, self._job or "")
        self._header.value = markup.header(summary, "Stopped", feed.trouble)
        self._table.value = markup.table(self.history.table(now))
        self._controls.enable(False)

    def _take_requests(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                request = self._requests.get_nowait()
                if request.kind == "stop":
                    self._stop.set()
                else:
                    self._hands.take(request)

    def _act(self, request: Request) -> str:
        """Carry a request out, on the thread of the hands."""
        if request.kind == "kill":
            self._cluster.kill_pod(request.pod, grace_seconds=0)
            return f"Killed pod {request.pod}."
        if request.kind == "end":
            self._cluster.kill_pod(request.pod, grace_seconds=GENTLE_SECONDS)
            return f"Asked pod {request.pod} to end."
        job = self._job or self._only_job()
        if not job:
            return "Say which Job to scale: Dashboard(queue, cluster, job)."
        self._cluster.scale(job, request.number)
        return f"Job {job} may run {request.number} pods at once."

    def _only_job(self) -> str:
        jobs = {lane.job for lane in list(self.history.lanes.values()) if lane.alive}
        return jobs.pop() if len(jobs) == 1 else ""

    def _running_pods(self) -> tuple[str, ...]:
        lanes = self.history.lanes.values()
        return tuple(lane.worker for lane in lanes if lane.state in ("pending", "running"))

    # Widgets

    def _new_picture(self, scale: float) -> RunPicture:
        return RunPicture(
            self._lanes, theme=self._theme, scale=scale, window_seconds=self._window_seconds
        )

    def _build(self) -> widgets.VBox:
        figure = self._run_picture.picture
        width, height = round(figure.width), round(figure.height)
        # An Image takes no alt text, and a tooltip keeps it from being shown at all (ipywidgets
        # 8.1): the header says in words what it shows.
        self._image = widgets.Image(
            value=self._run_picture.frame(self.history, 0.0),
            format="png",
            width=width,
            height=height,
            # Narrower windows scale it; the attributes above keep its shape from the start.
            layout=widgets.Layout(width=f"{width}px", max_width="100%", height="auto"),
        )
        self._header = widgets.HTML(markup.header("", "Starting"), layout=_fixed(width, 44))
        self._note = widgets.HTML(layout=_fixed(width, 22))
        self._table = widgets.HTML(markup.table([]), layout=_fixed(width, 132))
        return widgets.VBox(
            [self._header, self._image, self._controls.row, self._note, self._table]
        )


def _fixed(width: int, height: int) -> widgets.Layout:
    return widgets.Layout(
        width=f"{width}px",
        max_width="100%",
        height=f"{height}px",
        margin="0",
        padding="0 0 0 12px",
        overflow="auto",
    )


@atexit.register
def _stop_all() -> None:
    """Let no thread draw into a kernel that is going down."""
    with _live_lock:
        views = list(_live.values())
        _live.clear()
    for view in views:
        view._stop.set()
    for view in views:
        if view._thread is not None:
            view._thread.join(2.0)
