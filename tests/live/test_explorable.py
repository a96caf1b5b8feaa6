"""The explorable: a forecast as a curve that follows sliders, with measured runs on it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import wqlib
from wqlib.course import Plan, forecast
from wqlib.dashboard.explorable import MOST_RUNS, _step

CALM = Plan(items=24, item_seconds=0.5, pods=3, lease_seconds=2)
ROUGH = Plan(
    items=40,
    item_seconds=5,
    pods=4,
    lease_seconds=10,
    deaths_per_pod_hour=10,
    pauses_per_pod_hour=120,
    pause_seconds=8,
)


def eventually(true: Callable[[], Any], seconds: float = 20.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.02)


@pytest.fixture
def show() -> Iterator[Callable[..., wqlib.Explorable]]:
    """Makes explorables that are stopped at the end; then no thread may be left."""
    made: list[wqlib.Explorable] = []

    def make(*args: Any, **options: Any) -> wqlib.Explorable:
        made.append(wqlib.Explorable(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        assert one.error is None
    assert "wqlib-explorable" not in {thread.name for thread in threading.enumerate()}


def sliders(explorable: wqlib.Explorable) -> dict[str, Any]:
    _, controls, _ = explorable._stage.box.children
    return {slider.description: slider for slider in controls.children}


def said(explorable: wqlib.Explorable) -> str:
    html = explorable._stage.header.value
    return re.sub("<.*?>", "", re.sub("<style>.*?</style>", "", html, flags=re.DOTALL))


def test_the_curve_is_the_forecast(show: Callable[..., wqlib.Explorable]) -> None:
    curve = show(ROUGH, over="lease_seconds", values=[4, 20, 60])._curve()
    assert curve.x == (4, 20, 60)
    for at, mean, low, high in zip(curve.x, curve.mean, curve.low, curve.high, strict=True):
        found = forecast(replace(ROUGH, lease_seconds=at), runs=MOST_RUNS)
        assert (mean, low, high) == (
            found.makespan_seconds,
            found.fastest_seconds,
            found.slowest_seconds,
        )


@pytest.mark.parametrize(
    ("plan", "over", "expected"),
    [
        (CALM, "pods", ["Seconds an item"]),
        (CALM, "lease_seconds", ["Seconds an item", "Pods"]),
        (ROUGH, "pods", ["Seconds an item", "Lease, s", "Pause, s"]),
        (replace(ROUGH, pauses_per_pod_hour=0), "pods", ["Seconds an item", "Lease, s"]),
        (ROUGH, "lease_seconds", ["Seconds an item", "Pods", "Pause, s"]),
    ],
)
def test_there_are_sliders_for_what_makes_a_difference(
    show: Callable[..., wqlib.Explorable], plan: Plan, over: str, expected: list[str]
) -> None:
    explorable = show(plan, over=over, values=[1, 2])
    assert [*sliders(explorable)] == expected
    for name, slider in sliders(explorable).items():
        assert slider.min <= slider.value <= slider.max, name


@pytest.mark.parametrize("value", [0.05, 0.5, 0.8, 1, 2, 2.5, 4, 8, 10, 12, 30, 45, 90, 600])
def test_the_slider_of_a_plan_stands_on_one_of_its_steps(value: float) -> None:
    assert 10 <= value / _step(value) <= 100
    assert value / _step(value) == pytest.approx(round(value / _step(value)))


def test_curve_and_text_follow_a_slider(show: Callable[..., wqlib.Explorable]) -> None:
    explorable = show(CALM, over="pods", values=range(1, 13), measured={1: 12.6, 3: 6.0})
    assert (
        said(explorable)
        == explorable.text
        == (
            "The run takes 14.0 s with 1 pod, 3.00 s with 12 pods. "
            "Measured: from 10% less to 0% more than expected."
        )
    )
    before = explorable.png()
    explorable.start()
    for value in (0.6, 0.8, 1.0):
        sliders(explorable)["Seconds an item"].value = value
    eventually(lambda: "26.0 s with 1 pod, 4.00 s with 12" in said(explorable))
    eventually(lambda: explorable.png() != before)
    explorable.stop()
    assert sliders(explorable)["Seconds an item"].disabled


def test_a_lease_shorter_than_the_pauses_is_told(show: Callable[..., wqlib.Explorable]) -> None:
    explorable = show(ROUGH, over="lease_seconds", values=[2, 20, 80])
    assert re.match(r"The best lease here is 20 s: .* A lease of 2 s: .* in vain", explorable.text)
    calm = show(CALM, over="lease_seconds", values=[1, 2])
    assert calm.text == "The lease makes no difference here: 6.00 s with each."


def test_a_slider_at_its_end_may_leave_nothing_to_expect(
    show: Callable[..., wqlib.Explorable],
) -> None:
    explorable = show(replace(ROUGH, items=1000, item_seconds=100), over="pods", values=[2, 4])
    explorable.start()
    sliders(explorable)["Seconds an item"].value = 400
    eventually(lambda: "hardly ever finished" in said(explorable))
    sliders(explorable)["Seconds an item"].value = 10
    eventually(lambda: said(explorable).startswith("The run takes"))


def test_a_saved_notebook_keeps_the_picture_and_always_the_same_text(
    show: Callable[..., wqlib.Explorable],
) -> None:
    explorable = show(CALM, over="pods", values=[1, 2, 4])
    bundle, metadata = explorable._repr_mimebundle_()
    assert bundle["text/plain"] == repr(explorable) == "<Explorable over pods>"
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] == 760
    assert "application/vnd.jupyter.widget-view+json" in bundle


@pytest.mark.parametrize("wrong", [{"over": "items"}, {"values": []}, {"values": [0, 1]}])
def test_it_refuses_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"over is|values is|pods is"):
        wqlib.Explorable(CALM, **{"over": "pods", "values": [1], **wrong})
