"""The buttons of the live view. A click only puts a request where the owner thread finds it.

All of them are a browser's own buttons, lists and fields, so Tab reaches them in this order,
Space or Enter presses them, and a screen reader says their names. The list of pods has a button
besides, since JupyterLab takes the arrow keys of a list for its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import ipywidgets as widgets

from .actions import GRACE_SECONDS, Request
from .stage import wide

MOST_PODS = 1000
_PodAction = Literal["kill", "end", "freeze", "thaw"]


class Controls:
    """The rows of buttons.

    Args:
        ask: Called with each request, from whichever thread a click arrives on.
        with_cluster: Is there a cluster whose pods can be killed and scaled?

    Attributes:
        rows: The widgets, row by row.
    """

    def __init__(self, ask: Callable[[Request], None], *, with_cluster: bool) -> None:
        self._ask = ask
        self._pods = widgets.Dropdown(options=[], description="Pod", **wide(250))
        self._next = self._button("Next pod", "Choose the next pod of the list", self._on_next)
        self._kill = self._on_pod("kill", "Kill", "It is deleted, with no time to end well")
        self._end = self._on_pod(
            "end", "Ask to end", f"It gets SIGTERM, and {GRACE_SECONDS} s to end well"
        )
        self._freeze = self._on_pod(
            "freeze", "Freeze", "It stands still, renews nothing, and does not know it"
        )
        self._thaw = self._on_pod("thaw", "Thaw", "A frozen pod goes on")
        self._number = widgets.BoundedIntText(
            value=1, min=0, max=MOST_PODS, description="Parallelism", **wide(150)
        )
        self._scale = self._button(
            "Scale", "Let this many pods of the Job run at once", self._on_scale
        )
        self._items = widgets.Text(
            value="10", description="Items", placeholder="20, or apple, banana", **wide(200)
        )
        self._add = self._button(
            "Add", "Put so many items, or these, at the end of the line", self._on_add
        )
        self._stop = self._button("Stop live view", "The run itself goes on", self._on_stop)
        self._number_known = False
        for_pods = [self._pods, self._next, self._kill, self._end, self._freeze, self._thaw]
        for_job = [self._number, self._scale]
        for_queue = [self._items, self._add, self._stop]
        self.rows = [for_pods, for_job + for_queue] if with_cluster else [for_queue]

    def _button(self, label: str, tooltip: str, click: Callable[[Any], None]) -> widgets.Button:
        button = widgets.Button(
            description=label, tooltip=tooltip, layout=widgets.Layout(width="auto")
        )
        button.on_click(click)
        return button

    def _on_pod(self, kind: _PodAction, label: str, tooltip: str) -> widgets.Button:
        def click(_: Any) -> None:
            if self._pods.value:
                self._ask(Request(kind, pod=self._pods.value))

        return self._button(label, tooltip, click)

    def _on_next(self, _: Any) -> None:
        pods, chosen = self._pods.options, self._pods.value
        if chosen in pods:
            self._pods.value = pods[(pods.index(chosen) + 1) % len(pods)]

    def _on_scale(self, _: Any) -> None:
        self._ask(Request("scale", number=self._number.value))

    def _on_add(self, _: Any) -> None:
        self._ask(Request("add", text=self._items.value))

    def _on_stop(self, _: Any) -> None:
        self._ask(Request("stop"))

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
