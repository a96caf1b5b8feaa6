"""The life of a view: one thread of its own draws it, from `start` until `stop`.

A view is live in one place at a time: a cell that is run again takes over from the view before.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from ..history import History
from ..history.feed import Feed
from .actions import Cluster, Queue
from .stage import Stage

MOST_FPS = 30
_JOIN_SECONDS = 10.0

# What is live now, by what it shows.
_live: dict[Any, ThreadedView] = {}
_live_lock = threading.Lock()


class ThreadedView:
    """A widget that is drawn by one thread, its owner.

    A subclass says what is drawn at each turn, and what is left at the last (`_turn`). It runs on
    the owner thread; whatever runs on another calls nothing but `_submit`.

    Args:
        key: What it shows; another view of the same is stopped when this one starts.
        stage: Its widgets.
        fps: Frames a second, at most.

    Attributes:
        error: What went wrong in the thread last, or None.
    """

    _state = "Live"  # in a word, for the header
    _resting = False  # nothing moves until there is a request

    def __init__(self, key: Any, stage: Stage, fps: float) -> None:
        if not 0 < fps <= MOST_FPS:
            raise ValueError(f"fps is {fps}; it must be more than 0 and at most {MOST_FPS}.")
        self.error: Exception | None = None
        self._key = (type(self), key)
        self._stage = stage
        self._frame_seconds = 1.0 / fps
        self._requests: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        self.start()
        return {**self._stage.box._repr_mimebundle_(), "text/plain": repr(self)}

    @property
    def frames(self) -> int:
        """Return how many frames were drawn."""
        return self._stage.frames

    def png(self) -> bytes:
        """Return the picture as it is shown now, as a PNG file."""
        return bytes(self._stage.image.value)

    def show(self) -> None:
        """Display the view here, and start it."""
        from IPython.display import display

        display(self)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """Start, without displaying. Another live view of the same is stopped."""
        with _live_lock:
            other, _live[self._key] = _live.get(self._key), self
        if other is not None and other is not self:
            other.stop()
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._stage.enable(True)
            name = f"wqlib-{type(self).__name__.lower()}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and leave the last state as a picture."""
        self._leave(_JOIN_SECONDS)
        with _live_lock:
            if _live.get(self._key) is self:
                del _live[self._key]

    def _submit(self, step: Callable[..., object], *arguments: Any) -> None:
        """Let the owner thread do this."""
        self._requests.put(partial(step, *arguments))

    def _request_stop(self) -> None:
        """Tell the thread to end."""
        self._stop.set()
        self._submit(lambda: None)  # wakes it

    def _leave(self, seconds: float) -> None:
        """Tell the thread to end, and wait that long for it."""
        self._request_stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    # The owner thread. Nothing below runs on another.

    def _run(self) -> None:
        pause: float | None = 0.0
        while True:
            self._try(partial(self._do_requests, pause))
            if self._stop.is_set():
                break
            started = time.monotonic()
            self._try(partial(self._turn, last=False))
            self._stage.keep_reachable()
            spent = time.monotonic() - started
            # At least as long asleep as awake, so that cells keep half of the processor.
            pause = None if self._resting else max(self._frame_seconds - spent, spent, 0.01)
        self._try(partial(self._turn, last=True))
        self._stage.enable(False)

    def _do_requests(self, pause: float | None) -> None:
        """Do what was asked for; wait that long for the first request."""
        with contextlib.suppress(Empty):
            self._requests.get(timeout=pause)()
            while True:
                self._requests.get_nowait()()

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self.error = error
            self._stage.show_error(self._state, error)

    def _turn(self, *, last: bool) -> None:
        raise NotImplementedError


class QueueView(ThreadedView):
    """A view of what happens to a queue now, read through a feed.

    Attributes:
        history: What happened so far. It changes while the view is live.
    """

    _feed: Feed

    def __init__(
        self, queue: Queue, cluster: Cluster | None, job: str | None, stage: Stage, fps: float
    ) -> None:
        super().__init__((queue.name, str(queue.address)), stage, fps)
        self.history = History()
        self._queue, self._cluster, self._job = queue, cluster, job

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of queue {self._queue.name}>"

    def _run(self) -> None:
        # Going on after a stop, the stream is read anew, since it may have been wiped.
        self.history = History()
        feed = Feed(self._queue, self._cluster, self._job, self.history)
        with contextlib.closing(feed) as self._feed:
            super()._run()

    def _turn(self, *, last: bool) -> None:
        if not (last and self._feed.trouble):  # else whoever stops the view would wait for Redis
            self._poll()
        draw = self._stage.draw_last if last else self._stage.draw
        draw(*self._shown())
        self._update_texts(last=last)

    def _poll(self) -> None:
        self._feed.poll()

    def _shown(self) -> tuple[Any, ...]:
        """Return what the picture is drawn from."""
        return self.history, self._feed.now

    def _update_texts(self, *, last: bool) -> None:
        state = "Stopped" if last else self._state
        job, trouble = self._job or "", self._feed.trouble
        self._stage.update_texts(self.history, self._feed.now, state, job, trouble, at_once=last)


@atexit.register
def _stop_all() -> None:
    """Let no thread draw into a kernel that is going down."""
    with _live_lock:
        views = list(_live.values())
        _live.clear()
    for seconds in (0.0, 2.0):
        for view in views:
            view._leave(seconds)
