"""A picture that pods make tile by tile, live."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import QueueError
from ..history import History
from ..plots.mosaic import MosaicPicture, tiles_of
from ..plots.theme import ThemeName
from .actions import Cluster, Queue
from .stage import Stage
from .threaded import QueueView


class Mosaic(QueueView):
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
        queue: Queue,
        items: Sequence[Mapping[str, Any]],
        cluster: Cluster | None = None,
        job: str | None = None,
        *,
        fps: float = 5.0,
        theme: ThemeName = "light",
    ) -> None:
        tiles = tiles_of(items)
        limit = max(int(item["limit"]) for item in items)
        self._results: dict[int, bytes] = {}

        def make(scale: float) -> MosaicPicture:
            return MosaicPicture(tiles, limit, theme=theme, scale=scale)

        super().__init__(queue, cluster, job, Stage(make, (History(), {}, 0.0)), fps)

    # The owner thread

    def _run(self) -> None:
        self._results = {}
        super()._run()

    def _poll(self) -> None:
        """Read what is new, and the pixels of the tiles that are done, when there are new ones."""
        super()._poll()
        done = self.history.counts.done
        if not done:
            self._results.clear()
        elif done != len(self._results):
            # The feed says it when Redis is away; the next turn tries again.
            with contextlib.suppress(QueueError):
                self._results = self._feed.results()

    def _shown(self) -> tuple[Any, ...]:
        return self.history, self._results, self._feed.now
