"""The buttons of the live view. A click only puts a request where the owner thread finds it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Literal

import ipywidgets as widgets

GENTLE_SECONDS = 30
MOST_PODS = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """Something that the reader wants done.

    Attributes:
        kind: What.
        pod: Which pod, for "kill" and "end".
        number: How many pods, for "scale".
    """

    kind: Literal["stop", "kill", "end", "scale"]
    pod: str = ""
    number: int = 0


class Controls:
    """A row of buttons.

    Args:
        ask: Called with each request, from whichever thread a click arrives on.
        with_cluster: Is there a cluster whose pods can be killed and scaled?

    Attributes:
        row: The widget.
    """

    def __init__(self, ask: Callable[[Request], None], *, with_cluster: bool) -> None:
        self._ask = ask
        self._pods = widgets.Dropdown(
            options=[],
            description="Pod",
            style={"description_width": "initial"},
            layout=widgets.Layout(width="250px"),
        )
        self._kill = self._button(
            "Kill", "The pod is deleted, with no time to end in good order", self._on_kill
        )
        self._end = self._button(
            "Ask to end", f"The pod gets SIGTERM, and {GENTLE_SECONDS} s to end well", self._on_end
        )
        self._number = widgets.BoundedIntText(
            value=1,
            min=0,
            max=MOST_PODS,
            description="Parallelism",
            style={"description_width": "initial"},
            layout=widgets.Layout(width="150px"),
        )
        self._scale = self._button(
            "Scale", "Let this many pods of the Job run at once", self._on_scale
        )
        self._stop = self._button("Stop live view", "The run itself goes on", self._on_stop)
        self._number_known = False
        for_pods = [self._pods, self._kill, self._end, self._number, self._scale]
        self._parts = [*for_pods, self._stop]
        self.row = widgets.HBox(
            self._parts if with_cluster else [self._stop],
            layout=widgets.Layout(height="36px", overflow="hidden"),
        )

    @staticmethod
    def _button(label: str, tooltip: str, click: Callable[[Any], None]) -> widgets.Button:
        button = widgets.Button(
            description=label, tooltip=tooltip, layout=widgets.Layout(width="auto")
        )
        button.on_click(click)
        return button

    def _on_kill(self, _: Any) -> None:
        if self._pods.value:
            self._ask(Request("kill", pod=self._pods.value))

    def _on_end(self, _: Any) -> None:
        if self._pods.value:
            self._ask(Request("end", pod=self._pods.value))

    def _on_scale(self, _: Any) -> None:
        self._ask(Request("scale", number=self._number.value))

    def _on_stop(self, _: Any) -> None:
        self._ask(Request("stop"))

    def stay_reachable(self) -> None:
        """Let clicks arrive while a cell runs, where the kernel can do that.

        JupyterLab sends them to a subshell of the kernel, which is free when the main thread
        is not. But ipykernel 7.4 sends an answer to whichever shell spoke last through the
        widget, and takes a click for one; so let it forget who that was. (6.31 has no
        subshells: there a click waits until no cell runs.)
        """
        for part in self._parts:
            with contextlib.suppress(TypeError):  # no kernel: no such attributes
                vars(part.comm).pop("_reply_subshell_id", None)

    def offer(self, pods: tuple[str, ...]) -> None:
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
        self.stay_reachable()

    def enable(self, on: bool) -> None:
        """Let the buttons be used, or not."""
        for part in self._parts:
            part.disabled = not on
        self.stay_reachable()


class Hands:
    """Carries requests out, one after the other, on a thread of its own: a cluster may be slow.

    Args:
        act: Carries one out and says what was done; what it raises is said, too.
    """

    def __init__(self, act: Callable[[Request], str]) -> None:
        self._act = act
        self._todo: SimpleQueue[Request | None] = SimpleQueue()
        self.said: SimpleQueue[str] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self, request: Request) -> None:
        """Carry this out soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="wqlib-hands", daemon=True)
            self._thread.start()
        self._todo.put(request)

    def stop(self) -> None:
        """Carry out what was asked for, and end."""
        if self._thread is not None:
            self._todo.put(None)
            self._thread.join(5.0)
            self._thread = None

    def _run(self) -> None:
        while (request := self._todo.get()) is not None:
            try:
                self.said.put(self._act(request))
            except Exception as error:
                self.said.put(f"That did not work: {error or type(error).__name__}")
