"""What a pod does, its last log lines and events, and what happened to an item, under the picture.

A lane is chosen by a click on it or by Tab and Enter: over each lane lies a button that is not
seen. (A picture of ipywidgets has no clicks.) Lists beside offer all pods and their items. What the
lists and buttons hear is only put where the owner thread finds it, and the cluster is asked on the
thread of the actions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import ipywidgets as widgets

from ..errors import NotFound, WqlibError
from ..history import History
from ..history.story import item_story, items_of, leases_story, pod_story
from . import markup
from .labels import labelled

ALL_PODS = "All pods"
NO_ITEM = ("–", 0)
ASK_SECONDS = 2.0  # between two looks at the log and the events of a pod
LOG_LINES = 10
EVENTS = 6
LONGEST_LINE = 160
MOST_PODS = 200
MOST_LANES = 16  # that can be clicked; the lists offer all

Submit = Callable[..., None]


class Talks(Protocol):
    """A cluster that tells of its pods; what `wqlib.connect()` gives does."""

    def logs(self, target: str, *, tail: int) -> str: ...
    def events(self, target: str) -> list[str]: ...


class Details:
    """The lists to choose a pod and an item from, and what is known of them.

    Args:
        submit: Lets the owner thread do something; all else here is called by that thread.

    Attributes:
        row: The lists and buttons.
        lanes: A button for each lane of the picture, which is not seen.
        pod: The pod that is looked at, or "".
        item: Number of the item that is looked at, or 0.
        changed: There is something new to show.
    """

    def __init__(self, submit: Submit) -> None:
        self.pod, self.item = "", 0
        self.changed = self._newest = False
        self._submit = submit
        self._shown: list[tuple[str, float, float]] = []
        self._setting = False
        self._told: tuple[str, str] = ("", "")  # its last log lines and events
        self._asked_at = float("-inf")
        self._asking = False
        self._pods = widgets.Dropdown(options=[ALL_PODS], description="Look at", **labelled(250))
        self._items = widgets.Dropdown(options=[NO_ITEM], description="Item", **labelled(250))
        self._earlier = widgets.Button(
            description="Earlier item",
            tooltip="Look at the item that the pod had before",
            layout=widgets.Layout(width="auto"),
        )
        self._pods.observe(self._on_pod, "value")
        self._items.observe(self._on_item, "value")
        self._earlier.on_click(lambda _: submit(self._look_earlier))
        self.row = [self._pods, self._items, self._earlier]
        self.lanes = [self._lane_button(number) for number in range(MOST_LANES)]

    def _lane_button(self, number: int) -> Any:
        layout = widgets.Layout(display="none", width="100%")
        button = widgets.Button(layout=layout)
        button.add_class("wqlib-lane")
        button.on_click(lambda _: self._submit(self._choose_lane, number))
        return button

    def _on_pod(self, change: Any) -> None:
        if not self._setting:
            self._submit(self.choose, change["new"])

    def _on_item(self, change: Any) -> None:
        if not self._setting:
            self._submit(self._choose_item, change["new"])

    # The owner thread

    def choose(self, pod: str) -> None:
        """Look at a pod, and at what it works on or had last."""
        self.pod = "" if pod == ALL_PODS else pod
        self.item, self._told, self._asked_at = 0, ("", ""), float("-inf")
        self.changed = self._newest = True

    def _choose_lane(self, number: int) -> None:
        if number < len(self._shown):
            self.choose(self._shown[number][0])

    def _choose_item(self, item: int) -> None:
        self.item, self.changed = item, True

    def _look_earlier(self) -> None:
        numbers = [number for _, number in self._items.options]
        after = numbers.index(self.item) + 1 if self.item in numbers else 0
        self._choose_item(numbers[after % len(numbers)])

    def place(self, shown: list[tuple[str, float, float]]) -> None:
        """Lay the buttons over these lanes: name, upper edge and height, in shares of the picture's
        height.
        """
        if shown == self._shown:
            return
        self._shown = shown
        for button, (pod, top, height) in zip(self.lanes, shown, strict=False):
            button.tooltip = f"Look at {pod}"
            button.layout.top, button.layout.height = f"{top:.2%}", f"{height:.2%}"
            button.layout.display = None
        for button in self.lanes[len(shown) :]:
            button.layout.display = "none"

    def html(self, history: History, now: float) -> str:
        """Return what is known of the pod and the item, or "" if all pods are looked at."""
        self.changed = False
        lanes = list(history.lanes.values())
        if self.pod and self.pod not in history.lanes:
            self.choose(ALL_PODS)  # the run began anew
        self._offer(self._pods, [ALL_PODS, *(lane.worker for lane in lanes[-MOST_PODS:])], self.pod)
        lane = history.lanes.get(self.pod)
        items = items_of(lane) if lane else []
        if self._newest and items:
            self.item, self._newest = items[0][1], False
        self._offer(self._items, [NO_ITEM, *items], self.item)
        if lane is None:
            return ""
        item = item_story(history, self.item, now) if self.item else []
        pod, leases = pod_story(history, lane), leases_story(history, lane, now)
        return markup.details([*item, *pod], *self._told, leases)

    def ask(self, cluster: Talks | None, submit: Submit) -> None:
        """Let the log and the events of the pod be read, if it is time.

        Args:
            cluster: Where the pod is, or None.
            submit: Lets another thread do something that returns "".
        """
        due = time.monotonic() - self._asked_at >= ASK_SECONDS
        if cluster is not None and self.pod and due and not self._asking:
            self._asked_at, self._asking = time.monotonic(), True
            submit(self._read, cluster, self.pod)

    def _take(self, pod: str, log: str | None, events: str | None) -> None:
        self._asking = False
        if pod == self.pod:
            self.changed, before = True, self._told
            self._told = (
                before[0] or "The pod is gone, and its log with it." if log is None else log,
                before[1] if events is None else events,
            )

    def _offer(self, choice: Any, options: list[Any], chosen: Any) -> None:
        """Set what a list offers and what is chosen in it, without hearing of it as a wish."""
        values = [option[1] if isinstance(option, tuple) else option for option in options]
        value = chosen if chosen in values else values[0]
        if list(choice.options) == options and choice.value == value:
            return
        self._setting = True
        try:
            with choice.hold_sync():
                if list(choice.options) != options:
                    choice.options = options
                choice.value = value
        finally:
            self._setting = False

    # The thread of the actions

    def _read(self, cluster: Talks, pod: str) -> str:
        log = _told(lambda: cluster.logs(f"pod/{pod}", tail=LOG_LINES).splitlines(), LOG_LINES)
        events = _told(lambda: cluster.events(f"pod/{pod}"), EVENTS)
        self._submit(self._take, pod, log, events)
        return ""


def _told(read: Callable[[], list[str]], most: int) -> str | None:
    """Return the last lines of something, what went wrong, or None if it is gone."""
    try:
        lines = read()
    except NotFound:
        return None
    except WqlibError as error:
        return f"This cannot be read: {error}"
    return "\n".join(
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines[-most:]
    )
