"""The buttons of the live view. A click only puts a request where another thread finds it.

All of them are a browser's own buttons, lists and fields, so Tab reaches them in this order,
Space or Enter presses them, and a screen reader says their names. The list of pods has a button
besides, since JupyterLab takes the arrow keys of a list for its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from .actions import GRACE_SECONDS, Actions
from .labels import labelled

MOST_PODS = 1000


class Controls:
    """The rows of buttons.

    Args:
        actions: What carries out what is asked for.
        stop: Stops the live view.
        with_cluster: Is there a cluster whose pods can be killed and scaled?

    Attributes:
        rows: The widgets, row by row.
    """

    def __init__(self, actions: Actions, stop: Callable[[], None], *, with_cluster: bool) -> None:
        def on_pod(action: Callable[[str], str], label: str, tooltip: str) -> widgets.Button:
            def click() -> None:
                if self._pods.value:
                    actions.submit(action, self._pods.value)

            return _button(label, tooltip, click)

        self._pods = widgets.Dropdown(options=[], description="Pod", **labelled(250))
        self._next = _button("Next pod", "Choose the next pod of the list", self._choose_next)
        self._kill = on_pod(actions.kill, "Kill", "It gets SIGKILL: no warning, no clean-up")
        self._delete = on_pod(
            actions.delete, "Delete", f"It gets SIGTERM, and {GRACE_SECONDS} s to shut down"
        )
        self._evict = on_pod(actions.evict, "Evict", "As when its node is drained")
        self._freeze = on_pod(
            actions.freeze, "Freeze", "It stands still, renews nothing, and does not know it"
        )
        self._thaw = on_pod(actions.thaw, "Thaw", "A frozen pod goes on")
        self._number = widgets.BoundedIntText(
            value=1, min=0, max=MOST_PODS, description="Parallelism", **labelled(150)
        )
        self._scale = _button(
            "Scale",
            "Let this many pods of the Job run at once",
            lambda: actions.submit(actions.scale, self._number.value),
        )
        self._items = widgets.Text(
            value="10", description="Items", placeholder="20, or apple, banana", **labelled(200)
        )
        self._add = _button(
            "Add",
            "Put so many items, or these, at the end of the line",
            lambda: actions.submit(actions.add, self._items.value),
        )
        self._stop = _button("Stop live view", "The run itself goes on", stop)
        self._number_known = False
        for_pods = [self._pods, self._next, self._kill, self._delete, self._evict]
        for_pods += [self._freeze, self._thaw]
        for_job = [self._number, self._scale]
        for_queue = [self._items, self._add, self._stop]
        self.rows = [for_pods, for_job + for_queue] if with_cluster else [for_queue]

    def _choose_next(self) -> None:
        pods, chosen = self._pods.options, self._pods.value
        if chosen in pods:
            self._pods.value = pods[(pods.index(chosen) + 1) % len(pods)]

    def offer_pods(self, pods: tuple[str, ...]) -> None:
        """Offer these pods; the one that is chosen stays chosen as long as it is there."""
        if self._pods.options != pods:
            chosen = self._pods.value
            with self._pods.hold_sync():
                self._pods.options = pods
                if pods:
                    self._pods.value = chosen if chosen in pods else pods[0]
        if pods and not self._number_known:
            self._number.value = len(pods)
            self._number_known = True


def _button(label: str, tooltip: str, click: Callable[[], Any]) -> widgets.Button:
    button = widgets.Button(description=label, tooltip=tooltip, layout=widgets.Layout(width="auto"))
    button.on_click(lambda _: click())
    return button
