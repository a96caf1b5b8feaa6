"""The live view of a queue and its pods."""

from __future__ import annotations

import contextlib
import threading
import time
from queue import Empty

from ..errors import WaitTimeout
from ..plots import ThemeName
from ..plots.pictures import LANES
from . import markup
from .actions import Actions, Cluster, Queue
from .controls import Controls
from .details import Details
from .stage import run_stage
from .threaded import QueueView

OFFER_SECONDS = 1.0  # between two looks at which pods there are to choose from


class Dashboard(QueueView):
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
        queue: Queue,
        cluster: Cluster | None = None,
        job: str | None = None,
        *,
        fps: float = 5.0,
        lanes: int = LANES,
        theme: ThemeName = "light",
        window_seconds: float | None = 120.0,
    ) -> None:
        self._actions = Actions(queue, cluster, lambda: self._job or self._only_job())
        self._controls = Controls(
            self._actions, self._request_stop, with_cluster=cluster is not None
        )
        self._details = Details(self._submit)
        stage = run_stage(lanes, theme, window_seconds, self._controls.rows, self._details)
        super().__init__(queue, cluster, job, stage, fps)
        self._drained = threading.Event()
        self._offered_at = float("-inf")

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

    # The owner thread

    def _run(self) -> None:
        self._drained.clear()
        super()._run()

    def _poll(self) -> None:
        super()._poll()
        if self._feed.drained:
            self._drained.set()
        else:
            self._drained.clear()

    def _update_texts(self, *, last: bool) -> None:
        with contextlib.suppress(Empty):
            while True:
                if said := self._actions.messages.get_nowait():
                    self._stage.note.value = markup.note(said)
        self._details.ask(self._cluster, self._actions.submit)
        if time.monotonic() - self._offered_at >= OFFER_SECONDS:
            self._offered_at = time.monotonic()
            self._controls.offer_pods(self._running_pods())
        super()._update_texts(last=last)

    def _turn(self, *, last: bool) -> None:
        if last:
            self._actions.stop()
        else:
            self._actions.start()
        super()._turn(last=last)

    def _only_job(self) -> str:
        jobs = {lane.job for lane in list(self.history.lanes.values()) if lane.alive}
        return jobs.pop() if len(jobs) == 1 else ""

    def _running_pods(self) -> tuple[str, ...]:
        lanes = self.history.lanes.values()
        return tuple(lane.worker for lane in lanes if lane.state in ("pending", "running"))
