"""A picture that pods make tile by tile, live."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..errors import QueueError
from ..history import History
from ..history.feed import Feed
from ..plots.mosaic import MosaicPicture, tiles_of
from ..plots.theme import ThemeName
from . import markup
from .stage import ALOUD_SECONDS, FINAL_SCALE, give_up, take_over

if TYPE_CHECKING:
    from ..queue import WorkQueue

_JOIN_SECONDS = 10.0


class Mosaic:
    """A live view of the tiles of a picture, in the colours of the pods that made them.

    Shown as the last line of a cell it starts, and goes on until `stop()`, while later cells
    run. Showing another one of the same queue stops this one.

    Args:
        queue: The queue. It was empty before the items were put.
        items: The items for the task `mandelbrot` that were put, in the same order.
        cluster: What `wqlib.connect()` gave, to tell what became of the pods; or None.
        job: Name of the Job to watch; None for all pods.
        fps: Frames a second, at most. Nothing is drawn while nothing changes.
        theme: "light" or "dark".

    Attributes:
        history: What happened so far.
        error: What went wrong in the thread of the view last, or None.
        frames: How many frames were drawn.

    Raises:
        ValueError: The items are no tiles of one picture.

    Example:
        >>> mosaic = Mosaic(queue, items, cluster, "job-wq-2")  # doctest: +SKIP
        >>> mosaic  # doctest: +SKIP
        >>> mosaic.stop()  # doctest: +SKIP
    """

    def __init__(
        self,
        queue: WorkQueue,
        items: Sequence[Mapping[str, Any]],
        cluster: Any = None,
        job: str | None = None,
        *,
        fps: float = 5.0,
        theme: ThemeName = "light",
    ) -> None:
        if not 0 < fps <= 30:
            raise ValueError(f"fps is {fps}; it must be more than 0 and at most 30.")
        self.history = History()
        self.error: Exception | None = None
        self.frames = 0
        self._tiles = tiles_of(items)
        self._limit = max(int(item["limit"]) for item in items)
        self._queue, self._cluster, self._job = queue, cluster, job
        self._theme: ThemeName = theme
        self._frame_seconds = 1.0 / fps
        self._picture = MosaicPicture(self._tiles, self._limit, theme=theme)
        self._results: dict[int, bytes] = {}
        self._drawn: Any = None
        self._said_at = float("-inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        width, height = (round(x) for x in (self._figure.width, self._figure.height))
        # Its header says in words what it shows, for an Image takes no alt text.
        self._image = widgets.Image(
            value=self._picture.frame(History(), {}, 0.0),
            format="png",
            width=width,
            height=height,
            layout=widgets.Layout(width=f"{width}px", max_width="100%", height="auto"),
        )
        layout = widgets.Layout(width=f"{width}px", max_width="100%", height="44px")
        self._header = widgets.HTML(markup.header("", "Starting"), layout=layout)
        self._box = widgets.VBox([self._header, self._image])
        self._box.add_class("wqlib-view")

    @property
    def _figure(self) -> Any:
        return self._picture.picture

    def __repr__(self) -> str:
        return f"<Mosaic of queue {self._queue.name}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        self.start()
        return {**self._box._repr_mimebundle_(), "text/plain": repr(self)}

    def start(self) -> None:
        """Start, without displaying. Another mosaic of the same queue is stopped."""
        address = self._queue.address
        take_over(("mosaic", self._queue.name, address.host, address.port), self)
        if self._thread is not None and self._thread.is_alive():
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="wqlib-mosaic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and leave the last state as a picture."""
        self.leave(_JOIN_SECONDS)
        give_up(self)

    def leave(self, seconds: float) -> None:
        """Tell the thread to end, and wait so long for that."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def png(self) -> bytes:
        """The picture as it is shown now, as a PNG file."""
        return bytes(self._image.value)

    # The owner thread. Nothing below runs on another.

    def _run(self) -> None:
        self.history, self._results, self._drawn = History(), {}, None
        feed = Feed(self._queue, self._cluster, self._job, self.history)
        queue = self._queue.copy(timeout_seconds=2.0)
        queue.patience_seconds = 0.25
        pause = 0.0
        while not self._stop.wait(pause):
            started = time.monotonic()
            self._try(feed, queue, last=False)
            spent = time.monotonic() - started
            # At least as long asleep as awake, so that cells keep half of the processor.
            pause = max(self._frame_seconds - spent, spent, 0.01)
        self._try(feed, queue, last=True)
        queue.close()
        feed.close()

    def _try(self, feed: Feed, queue: WorkQueue, *, last: bool) -> None:
        try:
            self._turn(feed, queue, last=last)
        except Exception as error:
            self.error = error
            trouble = f"The view itself failed ({type(error).__name__}: {error})."
            self._header.value = markup.header("", "Live", trouble)

    def _turn(self, feed: Feed, queue: WorkQueue, *, last: bool) -> None:
        if not (last and feed.trouble):  # else whoever stops the view would wait for Redis
            feed.poll()
            self._read(queue)
        now, key = feed.now, (self.history.version, len(self._results))
        if last:
            final = MosaicPicture(self._tiles, self._limit, theme=self._theme, scale=FINAL_SCALE)
            final.show(self.history, self._results, now)
            self._image.value = final.picture.png()
        elif key != self._drawn:
            self._image.value = self._picture.frame(self.history, self._results, now)
            self._drawn = key
            self.frames += 1
        if last or time.monotonic() - self._said_at >= ALOUD_SECONDS:
            self._said_at = time.monotonic()
            summary = self.history.summary(now, self._job or "")
            state = "Stopped" if last else "Live"
            self._header.value = markup.header(summary, state, feed.trouble)

    def _read(self, queue: WorkQueue) -> None:
        """Bring the pixels of the tiles that are done, when there are new ones."""
        done = self.history.counts.done
        if not done:
            self._results.clear()
        elif done != len(self._results):
            try:
                self._results = queue.results()
            except QueueError:
                return  # the feed says that Redis is away; the next turn tries again
