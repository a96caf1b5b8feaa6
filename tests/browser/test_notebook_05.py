"""Notebook 05 as a learner sees it: a real JupyterLab in a real Chromium.

It serves under a base URL, as JupyterHub and Binder do: what works there works at "/" too, where
no request can leave the base URL.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab, find_chromium

ROOT = Path(__file__).parent.parent.parent
VIEW = "img.widget-image"
BOX = ".wqlib-view"
KERNEL = version("ipykernel")


@pytest.mark.browser
@pytest.mark.timeout(400)
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
def test_the_live_view_moves_while_the_job_runs(tmp_path: Path) -> None:
    course = tmp_path / "notebooks"  # JupyterLab saves what it has open
    shutil.copytree(ROOT / "notebooks", course)
    home = {"WQLIB_HOME": str(tmp_path / "home"), "LOCALCLUSTER_LINGER_SECONDS": "1"}
    with Lab(course, environment=home, height=1100, base_url="/user/a/") as lab:
        lab.open("05_run_the_job.ipynb")
        lab.page.evaluate(
            "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
        )
        lab.start_all()
        lab.page.wait_for_selector(VIEW, timeout=120_000)
        lab.show(VIEW)
        status = lab.page.locator(f"{BOX} [role='status']").first
        lab.page.wait_for_function(
            """box => /[1-5] of 9 items done/.test(
                document.querySelector(`${box} [role="status"]`)?.innerText ?? '')""",
            arg=BOX,
            timeout=60_000,
        )
        pods = lab.page.locator(f"{BOX} select").first
        chosen = pods.input_value()
        lab.page.locator(f"{BOX} button:text-is('Next pod')").click()
        lab.page.wait_for_function(
            "([box, chosen]) => document.querySelector(`${box} select`).value !== chosen",
            arg=[BOX, chosen],
        )
        height = lab.height(VIEW)
        lab.screenshot(ROOT / "build" / "notebook-05-mid-run.png")
        lab.follow(BOX)
        start = lab.now()
        lab.page.wait_for_timeout(3000)
        stop = lab.now()
        frames = lab.followed().frames_a_second(start, stop)
        lab.wait_done(240)
        lab.show(VIEW)
        lab.screenshot(ROOT / "build" / "notebook-05-end.png")
        said = status.inner_text()
        errors = lab.errors()
        end_height = lab.height(VIEW)

    assert errors == []
    assert lab.console_errors == []
    assert lab.strayed == []
    assert "9 of 9 items done" in said
    assert end_height == height
    print(f"frames={sum(frames)} median_per_second={statistics.median(frames)} kernel={KERNEL}")
    assert sum(frames) >= 4
