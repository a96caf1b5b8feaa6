"""The course's layout of JupyterLab, in a real JupyterLab and a real Chromium."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab, find_chromium

from wqlib.course import copies

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.browser
@pytest.mark.timeout(200)
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
def test_the_course_opens_with_its_first_notebook_and_a_terminal(tmp_path: Path) -> None:
    copies.update(tmp_path / copies.NAME)
    name = "00_before_you_begin.ipynb"
    cells = json.loads((tmp_path / copies.NAME / name).read_text())["cells"]
    code = next(at for at, cell in enumerate(cells) if cell["cell_type"] == "code")
    layout = (ROOT / "notebooks" / "course.jupyterlab-workspace").read_text()
    with Lab(tmp_path) as lab:
        lab.open_layout("course", layout)
        title = lab.page.locator(".jp-NotebookPanel:visible h1").first.inner_text()
        folder = lab.page.locator(".jp-BreadCrumbs").inner_text()
        names = lab.page.locator(".jp-DirListing-itemText").all_inner_texts()
        tabs = lab.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabLabel").all_inner_texts()
        lab.screenshot(ROOT / "build" / "layout.png")
        lab.run_cell(code)  # running a notebook is no change of it
        lab.save()
    assert "Before you begin" in title
    assert folder.strip("/ \n") == copies.NAME
    assert len(tabs) == 2
    assert tabs[1].startswith("Terminal")
    assert {path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")} <= set(names)
    assert lab.console_errors == []
    [first] = [one for one in copies.status(tmp_path / copies.NAME) if one.number == "00"]
    assert first.state == "begun"
    saved = (tmp_path / copies.NAME / name).read_bytes()
    assert copies.digest(name, saved) == copies.digest(name, copies.edition()[name])
