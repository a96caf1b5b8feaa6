"""The live view and its buttons in a real JupyterLab, on each version of ipykernel.

`make browser-test` runs this. One notebook is worked through in one browser for each version:
four pods work through 200 items, all buttons are pressed by keyboard, a recorded run is
replayed, and the kernel is restarted while a view is live. Screenshots go to build/.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kernels import VERSIONS, NotInstalled, environment
from lab import Followed, Lab, find_chromium

ROOT = Path(__file__).parent.parent.parent
NAME = "live_view.ipynb"
BOX = ".wqlib-view"
PODS = f"{BOX} .widget-dropdown:has(label:text-is('Pod')) select"
HANDLE = ".noUi-handle"
LEAST_FRAMES_A_SECOND = 4

CELLS = """
import threading, time
from pathlib import Path

import ipykernel, yaml
import wqlib
from wqlib import Dashboard, Replay, WorkQueue
from wqlib.course import bundle

cluster = wqlib.connect()
password = cluster.secret("redis")
cluster.apply("manifests/redis.yaml")
cluster.wait("pod/redis", "ready")
files = bundle("worker")
image = cluster.build_image("job-wq-2:1", "worker")
forward = cluster.port_forward("service/redis", 6379)
queue = WorkQueue("job2", host="127.0.0.1", port=forward.port, password=password)
queue.put(f"item {number}" for number in range(1, 201))
job = yaml.safe_load(Path("manifests/job.yaml").read_text())
job["spec"]["parallelism"] = 4
worker = job["spec"]["template"]["spec"]["containers"][0]
settings = {"WQLIB_LEASE_SECONDS": "2", "ITEM_SECONDS": "0.6"}
for variable in worker["env"]:
    if variable["name"] in settings:
        variable["value"] = settings[variable["name"]]
print(ipykernel.__version__)
---
view = Dashboard(queue, cluster, job="job-wq-2")
view
---
cluster.apply(job)
cluster.wait("job/job-wq-2", "running", timeout_seconds=120)
while len({event.worker for event in queue.events() if event.kind == "lease"}) < 4:
    time.sleep(0.2)
---
while queue.stats().done < 50:
    time.sleep(0.2)
---
time.sleep(10)
---
view.wait_until_drained(120)
---
for lost, found in view.history.handovers:
    print(lost.worker, lost.outcome, found.attempt)
---
print([t.name for t in threading.enumerate() if t.name.startswith("wqlib-")], view.error)
---
replay = Replay("killed", speed=5)
replay
---
replay.stop()
---
view = Dashboard(queue, cluster, job="job-wq-2")
view
""".strip().split("\n---\n")
SETUP, SHOW, START, WORK, SLEEP, DRAIN, LOST, THREADS, REPLAY, STOP_REPLAY, AGAIN = range(11)


@pytest.mark.kernels
@pytest.mark.timeout(600)
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize("kernel", sorted({*VERSIONS, version("ipykernel")}))
def test_the_live_view_its_buttons_and_the_replay(kernel: str, tmp_path: Path) -> None:
    try:
        variables = environment(kernel)
    except NotInstalled as reason:
        pytest.skip(f"ipykernel {kernel} cannot be installed here (no network?): {reason}")
    home = tmp_path / "home"
    variables |= {"WQLIB_HOME": str(home), "LOCALCLUSTER_LINGER_SECONDS": "1"}
    with Lab(make_course(tmp_path), environment=variables, height=1300) as lab:
        lab.open(NAME)
        visit = Visit(lab, kernel)
        assert lab.run_cell(SETUP).strip() == kernel
        visit.frames_arrive_and_a_killed_pod_loses_its_lease()
        visit.a_lane_is_looked_at_by_mouse_and_by_keyboard()
        visit.every_button_works_by_keyboard()
        visit.nothing_jumped_and_no_thread_is_left()
        visit.a_recorded_run_is_replayed()
        visit.restarting_the_kernel_leaves_no_process(home)
        assert lab.errors() == []
        assert lab.console_errors == []


def make_course(folder: Path) -> Path:
    """The course's folder, with the notebook of this test in it."""
    course = folder / "notebooks"
    shutil.copytree(ROOT / "notebooks", course)
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": python}, cells=cells)
    nbformat.write(notebook, course / NAME)
    return course


class Visit:
    """What a learner does in the notebook, one step after the other."""

    def __init__(self, lab: Lab, kernel: str) -> None:
        self.lab = lab
        self.page = lab.page
        self.kernel = kernel

    def frames_arrive_and_a_killed_pod_loses_its_lease(self) -> None:
        lab = self.lab
        lab.run_cell(SHOW)
        self.page.wait_for_selector(f"{BOX} img")
        lab.follow(BOX)
        self.photograph("empty")
        lab.run_cell(START)

        lab.start_cell(WORK)
        lab.show(BOX)
        start = lab.now()
        lab.wait_done()
        self.count_frames("working", start)
        self.photograph("working")

        expired_before = self.pixels("#fbe0cf")
        lab.start_cell(SLEEP)
        start = lab.now()
        victim = self.page.locator(PODS).input_value()
        self.press("Kill", "Enter")
        if not self.kernel.startswith("6."):  # 6.31 has no subshells: a click waits for the cell
            self.hear(f"Killed pod {victim}.")
            assert not lab.done(), "the click was heard only when the cell had ended"
        lab.wait_done()
        self.count_frames("sleeping", start)
        self.hear(f"Killed pod {victim}.")
        eventually(lambda: "1 lease expired" in self.header())
        eventually(lambda: self.pixels("#fbe0cf") > expired_before + 50)
        eventually(lambda: self.row_of(victim)[3:4] == ["1"])  # lost
        self.photograph("killed")
        assert f"{victim} expire 2" in lab.run_cell(LOST).splitlines()

    def a_lane_is_looked_at_by_mouse_and_by_keyboard(self) -> None:
        lanes, said = self.page.locator(f"{BOX} button.wqlib-lane:visible"), f"{BOX} .wqlib-details"
        assert lanes.count() >= 4
        for number, act in enumerate((lambda lane: lane.click(), lambda lane: lane.press("Enter"))):
            lane = lanes.nth(number)
            pod = str(lane.get_attribute("title")).removeprefix("Look at ")
            act(lane)
            details = self.page.locator(said)
            eventually(lambda pod=pod, details=details: f"{pod} on worker-" in details.inner_text())
            eventually(lambda details=details: "Its last log lines" in details.inner_text())
            assert "Attempt 1" in details.inner_text()
            assert "Its events" in details.inner_text()
        self.photograph("details")
        self.page.locator(f"{BOX} select").nth(1).select_option("All pods")
        eventually(lambda: self.page.locator(said).count() == 0)

    def every_button_works_by_keyboard(self) -> None:
        select = self.page.locator(PODS)
        first = select.input_value()
        self.press("Next pod", "Space")
        eventually(lambda: select.input_value() != first)
        frozen = select.input_value()
        self.press("Freeze", "Enter")
        self.hear(f"Froze pod {frozen}")
        self.press("Add", "Space")
        self.hear("Added 10 items.")
        self.to("input[type=number]")
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.type("6")
        self.press("Scale", "Enter")
        self.hear("Job job-wq-2 may run 6 pods at once.")
        eventually(lambda: "2 leases expired" in self.header())
        self.page.locator(PODS).select_option(frozen)
        self.press("Thaw", "Space")
        self.hear(f"Thawed pod {frozen}")
        self.photograph("scaled")
        self.lab.run_cell(DRAIN)
        self.press("Stop live view", "Enter")
        eventually(lambda: self.header().startswith("Stopped"))
        assert "210 of 210 items done, 0 leased, 0 waiting, 0 dead" in self.header()
        self.photograph("stopped")

    def nothing_jumped_and_no_thread_is_left(self) -> None:
        seen: Followed = self.lab.followed()
        assert len(seen.heights) == 1, seen.heights
        live = [at for at, text in seen.said if text.startswith("Live")]
        assert 5 <= len(live) <= (live[-1] - live[0]) / 2 + 2, "the header is read out too often"
        assert self.page.locator(f'{BOX} [role="status"][aria-live="polite"]').count() == 2
        assert self.lab.run_cell(THREADS) == "[] None\n"

    def a_recorded_run_is_replayed(self) -> None:
        lab, keys = self.lab, self.page.keyboard
        lab.run_cell(REPLAY)
        box = f"{BOX}:has({HANDLE})"
        header = self.page.locator(f"{box} [role=status]").first
        lab.show(box)
        assert "48 of 48 items done" in header.inner_text()
        lab.follow(box)
        self.page.locator(HANDLE).focus()
        keys.press("Home")
        eventually(lambda: "Replay, 0.0 s" in header.inner_text())
        assert "0 of 48 items done" in header.inner_text()
        track = self.page.locator(f"{box} .noUi-target").bounding_box()
        assert track is not None
        y = track["y"] + track["height"] / 2
        self.page.mouse.move(track["x"] + 2, y)
        self.page.mouse.down()
        for part in range(1, 11):  # to the middle, as a hand does it
            self.page.mouse.move(track["x"] + track["width"] * part / 20, y)
        self.page.mouse.up()
        eventually(lambda: "Replay, 15." in header.inner_text())
        assert len(lab.followed().frames) >= 3
        self.photograph("replay")
        start, before = lab.now(), len(lab.followed().frames)
        self.page.locator(HANDLE).focus()
        keys.press("Shift+Tab")  # to Play
        keys.press("Space")
        eventually(lambda: "48 of 48 items done" in header.inner_text())
        seen = lab.followed()
        assert len(seen.frames) - before >= (lab.now() - start)
        assert len(seen.heights) == 1, seen.heights
        lab.run_cell(STOP_REPLAY)
        assert lab.run_cell(THREADS) == "[] None\n"

    def restarting_the_kernel_leaves_no_process(self, home: Path) -> None:
        lab = self.lab
        lab.run_cell(AGAIN)
        box = self.page.locator(BOX).last
        box.scroll_into_view_if_needed()
        header = box.locator("[role=status]").first
        eventually(lambda: header.inner_text().startswith("Live"))
        height = box.evaluate("box => box.getBoundingClientRect().height")
        assert processes(home), "nothing runs, so nothing could be left"
        lab.restart_kernel()
        eventually(lambda: not processes(home), 90)
        eventually(lambda: header.inner_text().startswith("The kernel has ended"))
        assert self.header().startswith("Stopped")  # the view that was stopped before
        assert box.evaluate("box => box.getBoundingClientRect().height") == height
        self.photograph("restarted")

    # What a hand and an eye do

    def press(self, label: str, key: str) -> None:
        """Go to a button by Tab alone, and press it by a key."""
        self.to(f"button:text-is('{label}')")
        self.page.keyboard.press(key)

    def to(self, selector: str) -> None:
        """Go to something in the view by Tab alone, from the list of pods."""
        self.page.locator(PODS).first.focus()
        wanted = self.page.locator(f"{BOX} {selector}").first
        for _ in range(20):
            if wanted.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {selector}")

    def hear(self, text: str) -> None:
        """Wait until the view says what became of a request."""
        eventually(lambda: any(text in said for said in self.statuses()))

    def statuses(self) -> list[str]:
        return self.page.locator(BOX).first.locator('[role="status"]').all_inner_texts()

    def header(self) -> str:
        return next(iter(self.statuses()), "")

    def row_of(self, pod: str) -> list[str]:
        rows = self.page.locator(BOX).first.locator(f"tr:has(td:text-is('{pod}')) td")
        return rows.all_inner_texts()

    def pixels(self, colour: str) -> int:
        """How many pixels of the picture have about this colour."""
        return int(
            self.page.evaluate(
                """async ([selector, colour]) => {
                    const image = document.querySelector(`${selector} img`);
                    while (!image.complete || !image.naturalWidth)  // between two frames
                        await new Promise(requestAnimationFrame);
                    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
                    const context = canvas.getContext('2d');
                    context.drawImage(image, 0, 0);
                    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
                    const wanted = [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));
                    let count = 0;
                    for (let i = 0; i < data.length; i += 4)
                        count += wanted.every((part, j) => Math.abs(data[i + j] - part) < 4);
                    return count;
                }""",
                [BOX, colour],
            )
        )

    def count_frames(self, what: str, start: float) -> None:
        frames = self.lab.followed().frames_a_second(start, self.lab.now())
        median = statistics.median(frames)
        print(f"frames={sum(frames)} median_per_second={median:g} kernel={self.kernel} {what}")
        assert median >= LEAST_FRAMES_A_SECOND, f"{what}: {frames}"

    def photograph(self, what: str) -> None:
        self.lab.screenshot(ROOT / "build" / f"live-view-{self.kernel}-{what}.png")


def processes(home: Path) -> list[str]:
    """What runs of the cluster in `home`, without JupyterLab and its kernels."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            ours = str(home) in words or process.environ().get("WQLIB_HOME") == str(home)
        except psutil.Error:
            continue
        if ours and "jupyterlab" not in words and "ipykernel_launcher" not in words:
            found.append(words)
    return found


def eventually(true: Callable[[], Any], seconds: float = 60.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.1)
