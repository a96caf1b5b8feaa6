"""What if? A forecast as a curve that follows sliders, with the runs that were measured on it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import ipywidgets as widgets

from ..history.words import duration, item_seconds
from ..plots.curve import Curve, CurvePicture
from ..plots.theme import ThemeName
from ..sizing import Forecast, Outcome, Plan, simulate, summarize
from . import markup
from .stage import Stage
from .threaded import ThreadedView

Over = Literal["pods", "lease_seconds"]

MOST_RUNS = 60  # of each point of the curve
FEWEST_RUNS = 4
_MOST_LEASES = 400_000  # of all runs of a curve together, where that leaves enough runs
_TOO_MANY = 50_000  # leases of one run: too slow to follow a slider
_SLICE_SECONDS = 0.08  # of work between two frames
_MOST_PLANS = 2_000  # that are remembered
_ALIKE = 1.02  # times that differ by less are called the same
_LABELS = {
    "item_seconds": "Seconds an item",
    "pods": "Pods",
    "lease_seconds": "Lease, s",
    "pause_seconds": "Pause, s",
}


class Explorable(ThreadedView):
    """How long a plan takes, over the number of pods or the length of the lease.

    Sliders change the rest of the plan, and the curve follows: what `forecast` expects, and
    between which times 90 of 100 runs lie. A text below says what the curve says. There is a
    slider for the seconds of an item, the pods, the lease and the pause, but for what is on the
    lower ruler already, and for what makes no difference: the lease if no pod dies or pauses, and
    the pause if none pauses. Shown as the last line of a cell it follows until `stop()`. Saved with
    a notebook it is the curve of the plan.

    Args:
        plan: Where the sliders stand at first.
        over: What is on the lower ruler: "pods" or "lease_seconds".
        values: The places on it for which there is a forecast.
        measured: How long real runs took, in seconds, from the Job's start to the last item done,
            by their place on the lower ruler.
        theme: "light" or "dark".

    Attributes:
        error: What went wrong in the thread last, or None.

    Raises:
        ValueError: `over` or `values` make no sense.

    Example:
        >>> plan = Plan(items=24, item_seconds=1, pods=2)
        >>> Explorable(plan, over="pods", values=range(1, 9), measured={2: 14.2})
        <Explorable over pods>
    """

    _state = "Explorable"

    def __init__(
        self,
        plan: Plan,
        *,
        over: Over,
        values: Iterable[float],
        measured: Mapping[float, float] | None = None,
        theme: ThemeName = "light",
    ) -> None:
        if over not in ("pods", "lease_seconds"):
            raise ValueError(f'over is {over!r}; it must be "pods" or "lease_seconds".')
        self._over, self._plan = over, plan
        self._settings: dict[str, float] = {}  # of the sliders that were moved
        self._values = sorted(set(values))
        if not self._values:
            raise ValueError("values is empty; name the places for which you want a forecast.")
        for value in self._values:
            self._at(value)  # refuses what makes no sense
        self._measured = tuple(sorted((measured or {}).items()))
        self._outcomes: dict[Plan, list[Outcome]] = {}
        self._sliders = {name: self._slider(name) for name in self._changeable()}
        while not self._compute(math.inf):
            pass
        stage = Stage(
            lambda scale: CurvePicture(theme, scale), (self._curve(),), [[*self._sliders.values()]]
        )
        self._still = stage.picture.picture  # for those who see the notebook without a kernel
        stage.header.layout.height = "66px"
        stage.header.value = markup.said(self.text)
        row = widgets.Layout(flex_flow="row wrap", max_width="100%")
        sliders = widgets.Box([*self._sliders.values()], layout=row)
        stage.box.children = (stage.image, sliders, stage.header)
        super().__init__((plan, over), stage, fps=10)

    def __repr__(self) -> str:
        return f"<Explorable over {_words(self._over)}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        data, metadata = self._still._repr_mimebundle_()
        return {**data, **super()._repr_mimebundle_(**options)}, metadata

    @property
    def text(self) -> str:
        """Return what the curve says now, in a few sentences."""
        found = self._forecasts()
        if not found:
            return (
                "With these numbers items are hardly ever finished. Make the items or the pauses "
                "shorter."
            )
        items = self._plan.items
        said = _of_pods(found) if self._over == "pods" else _of_leases(found, items)
        return " ".join([*said, *_of_measured(found, self._measured)])

    # The owner thread

    def _turn(self, *, last: bool) -> None:
        complete = self._compute(0.0 if last else _SLICE_SECONDS)
        draw = self._stage.draw_last if last else self._stage.draw
        draw(self._curve())
        if complete or last:
            self._stage.header.value = markup.said(self.text)
        self._resting = complete

    def _set(self, name: str, value: float) -> None:
        self._settings[name] = value

    def _compute(self, seconds: float) -> bool:
        """Play runs for a while, the same number at each place; return whether all are played."""
        plans = self._plans()
        if len(self._outcomes) > _MOST_PLANS:
            self._outcomes = {}
        runs = self._runs(plans)
        until = time.monotonic() + seconds
        for number in range(runs):
            for plan in plans:
                outcomes = self._outcomes.setdefault(plan, [])
                if len(outcomes) <= number:
                    if number > 1 and time.monotonic() >= until:
                        return False
                    outcomes.append(simulate(plan, number))
        return True

    def _runs(self, plans: list[Plan]) -> int:
        """Return how many runs of each plan there shall be: all are the same if nothing fails."""
        if not (self._plan.deaths_per_pod_hour or self._plan.pauses_per_pod_hour):
            return 2
        leases = sum(plan.expected_runs for plan in plans)
        return max(FEWEST_RUNS, min(MOST_RUNS, int(_MOST_LEASES / max(leases, 1.0))))

    def _plans(self) -> list[Plan]:
        """Return the plan at each place, without those of which no item would ever be done."""
        plans = []
        for value in self._values:
            try:
                plan = self._at(value)
            except ValueError:
                continue
            if plan.expected_runs <= _TOO_MANY:
                plans.append(plan)
        return plans

    def _at(self, value: float) -> Plan:
        changed: dict[str, Any] = {**self._settings, self._over: value}
        return replace(self._plan, **changed)

    def _forecasts(self) -> dict[float, Forecast]:
        """Return what is known so far, by the place on the lower ruler."""
        found = {getattr(plan, self._over): self._outcomes[plan] for plan in self._plans()}
        return {value: summarize(outcomes) for value, outcomes in found.items()}

    def _curve(self) -> Curve:
        found = self._forecasts()
        places = [*self._values, *(place for place, _ in self._measured)]
        return Curve(
            over="pods" if self._over == "pods" else "how long a lease lasts, in seconds",
            x=tuple(found),
            mean=tuple(one.makespan_seconds for one in found.values()),
            low=tuple(one.fastest_seconds for one in found.values()),
            high=tuple(one.slowest_seconds for one in found.values()),
            measured=self._measured,
            most_x=float(max(places)),
        )

    # The widgets: what they hear is only put where the owner thread finds it

    def _changeable(self) -> list[str]:
        pauses = self._plan.pauses_per_pod_hour
        useful = {
            "item_seconds": True,
            "pods": True,
            "lease_seconds": pauses or self._plan.deaths_per_pod_hour,
            "pause_seconds": pauses,
        }
        return [name for name, useful in useful.items() if useful and name != self._over]

    def _slider(self, name: str) -> Any:
        value = getattr(self._plan, name)
        look = {
            "description": _LABELS[name],
            "style": {"description_width": "116px"},
            "layout": widgets.Layout(width="340px"),
        }
        if name == "pods":
            slider = widgets.IntSlider(value=value, min=1, max=max(16, 4 * value), **look)
        else:
            step = _step(value)
            digits = max(0, -math.floor(math.log10(step)))
            slider = widgets.FloatSlider(
                value=value, min=step, max=4 * (value or 1.0), step=step, **look
            )
            slider.readout_format = f".{digits}f"
        slider.observe(partial(self._on_slider, name), "value")
        return slider

    def _on_slider(self, name: str, change: Any) -> None:
        self._submit(self._set, name, change["new"])


def _step(value: float) -> float:
    """Return a step of 1 or 5 of a decimal place, a tenth of the value or less."""
    tenth = (value or 1.0) / 10
    scale: float = 10.0 ** math.floor(math.log10(tenth) + 1e-9)
    return round(5 * scale if tenth >= 5 * scale * (1 - 1e-9) else scale, 9)


def _words(over: str) -> str:
    return over.replace("_", " ")


def _time(seconds: float) -> str:
    return item_seconds(seconds) if seconds < 60 else duration(seconds)


def _pods(number: float) -> str:
    return f"{number:g} pod{'' if number == 1 else 's'}"


def _in_vain(found: Forecast, items: int) -> str:
    share = found.repeats / items
    return f"{found.repeats:.0f} runs in vain ({share:.0%} of the items)"


def _of_pods(found: dict[float, Forecast]) -> list[str]:
    first, last = min(found), max(found)
    best = min(one.makespan_seconds for one in found.values())
    enough = next(pods for pods, one in found.items() if one.makespan_seconds <= best * 1.1)
    said = [f"The run takes {_time(found[first].makespan_seconds)} with {_pods(first)}"]
    if last > first:
        said[0] += f", {_time(found[last].makespan_seconds)} with {_pods(last)}"
    said[0] += "."
    if first < enough <= 0.75 * last:
        said.append(f"Beyond {_pods(enough)} you gain less than 10%.")
    if round(found[last].repeats):
        said.append(f"About {found[last].repeats:.0f} of the runs are in vain.")
    return said


def _of_leases(found: dict[float, Forecast], items: int) -> list[str]:
    def told(lease: float) -> str:
        one = found[lease]
        return f"{lease:g} s: {_time(one.makespan_seconds)}, {_in_vain(one, items)}"

    best = min(found, key=lambda lease: found[lease].makespan_seconds)
    worst = max(one.makespan_seconds for one in found.values())
    if worst <= found[best].makespan_seconds * _ALIKE:
        return [f"The lease makes no difference here: {_time(worst)} with each."]
    said = [f"The best lease here is {told(best)}."]
    others = [lease for lease in (min(found), max(found)) if lease != best]
    return said + [f"A lease of {told(lease)}." for lease in others]


def _of_measured(
    found: dict[float, Forecast], measured: tuple[tuple[float, float], ...]
) -> list[str]:
    """Say how far the measured runs are from the curve, where it reaches."""
    off = [
        seconds / found[place].makespan_seconds - 1 for place, seconds in measured if place in found
    ]
    if not off:
        return []
    low, high = (f"{abs(x):.0%} {'more' if x >= 0 else 'less'}" for x in (min(off), max(off)))
    if len(off) == 1 or low == high:
        return [f"Measured: {high} than expected."]
    return [f"Measured: from {low} to {high} than expected."]
