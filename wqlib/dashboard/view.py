"""The live view itself: widgets, and the one thread that owns them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import WaitTimeout
from ..history import History
from ..history.feed import Feed
from ..plots import ThemeName
from . import markup
from .actions import Actions, Hands, Request
from .controls import Controls
from .stage import Stage, give_up, take_over

if TYPE_CHECKING:
    from ..queue import WorkQueue

WORDS_SECONDS = 1.0  # between two changes of the table: nobody reads faster
_JOIN_SECONDS = 10.0


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
        self._queue = queue
        self._cluster = cluster
        self._job = job
        self._frame_seconds = 1.0 / fps
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._hands = Hands(Actions(queue, cluster, lambda: self._job or self._only_job()))
        self._stop = threading.Event()
        self._drained = threading.Event()
        self._thread: threading.Thread | None = None
        self._words_at = float("-inf")
        self._controls = Controls(self._requests.put, with_cluster=cluster is not None)
        self._stage = Stage(lanes, theme, window_seconds, self._controls.rows)

    @property
    def frames(self) -> int:
        """How many frames were drawn."""
        return self._stage.frames

    def __repr__(self) -> str:
        return f"<Dashboard of queue {self._queue.name}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        self.start()
        return {**self._stage.box._repr_mimebundle_(), "text/plain": repr(self)}

    def show(self) -> None:
        """Display the view here, and start it."""
        from IPython.display import display

        display(self)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """Start, without displaying. Another live view of the same queue is stopped."""
        address = self._queue.address
        take_over((self._queue.name, address.host, address.port), self)
        if self._thread is not None and self._thread.is_alive():
            return
        self._stop.clear()
        self._controls.enable(True)
        self._thread = threading.Thread(target=self._run, name="wqlib-dashboard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the threads, and leave the last state as a picture."""
        self.leave(_JOIN_SECONDS)
        give_up(self)

    def leave(self, seconds: float) -> None:
        """Tell the threads to end, and wait so long for that."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

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
        return bytes(self._stage.image.value)

    # The owner thread. Nothing below runs on another, but the `Actions`.

    def _run(self) -> None:
        # Going on after a stop, the stream is read anew, since it may have been wiped.
        self.history = History()
        self._drained.clear()
        feed = Feed(self._queue, self._cluster, self._job, self.history)
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
                self._stage.header.value = markup.header("", "Live", trouble)
                self._words_at = time.monotonic()

    def _turn(self, feed: Feed) -> None:
        self._take_requests()
        feed.poll()
        now = feed.now
        if feed.drained:
            self._drained.set()
        else:
            self._drained.clear()
        self._stage.draw(self.history, now)
        self._speak(feed, now)

    def _speak(self, feed: Feed, now: float) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._stage.note.value = markup.note(self._hands.said.get_nowait())
        if time.monotonic() - self._words_at < WORDS_SECONDS:
            return
        self._words_at = time.monotonic()
        self._controls.offer(self._running_pods())
        self._stage.say(self.history, now, "Live", self._job or "", feed.trouble)

    def _finish(self, feed: Feed) -> None:
        if not feed.trouble:  # else whoever stops the view would wait for Redis
            feed.poll()
        now = feed.now
        self._stage.draw_last(self.history, now)
        self._hands.stop()
        self._speak(feed, now)
        self._stage.say(self.history, now, "Stopped", self._job or "", feed.trouble, at_once=True)
        self._controls.enable(False)

    def _take_requests(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                request = self._requests.get_nowait()
                if request.kind == "stop":
                    self._stop.set()
                else:
                    self._hands.take(request)

    def _only_job(self) -> str:
        jobs = {lane.job for lane in list(self.history.lanes.values()) if lane.alive}
        return jobs.pop() if len(jobs) == 1 else ""

    def _running_pods(self) -> tuple[str, ...]:
        lanes = self.history.lanes.values()
        return tuple(lane.worker for lane in lanes if lane.state in ("pending", "running"))
