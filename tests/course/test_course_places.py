"""Where the course opens: JupyterLab's layout, Binder, a devcontainer."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from wqlib.course import copies

ROOT = Path(__file__).parents[2]


def test_the_layout_opens_the_learners_first_notebook_and_a_terminal() -> None:
    layout = json.loads((ROOT / "notebooks/course.jupyterlab-workspace").read_text())
    assert layout["metadata"]["id"] == "course"
    data = layout["data"]
    main = data["layout-restorer:data"]["main"]
    assert main["dock"]["widgets"] == [main["current"], "terminal:1"]
    assert data["terminal:1"]["data"] == {"name": "1"}
    folder = data["file-browser-filebrowser:cwd"]["path"]
    assert folder == copies.NAME
    [name] = [
        name
        for name in copies.edition()
        if data[main["current"]]["data"]["path"] == f"{folder}/{name}"
    ]
    assert name.startswith("00_")


def test_git_does_not_see_what_the_learner_does() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert f"{copies.NAME}/" in ignored


def test_binder_installs_the_locked_versions_on_a_python_that_the_course_runs_on() -> None:
    binder = ROOT / ".binder"
    python = re.fullmatch(r"python-3\.(\d+)\n", (binder / "runtime.txt").read_text())
    assert python
    assert 11 <= int(python[1]) <= 14
    included = re.findall(r"^-r (\S+)$", (binder / "requirements.txt").read_text(), re.M)
    assert [(binder / name).resolve() for name in included] == [ROOT / "requirements.lock"]
    assert os.access(binder / "postBuild", os.X_OK)
    for name in re.findall(
        r"[\w./-]+\.(?:lock|json|py|jupyterlab-workspace)", (binder / "postBuild").read_text()
    ):
        assert (ROOT / name).is_file(), name


def test_the_devcontainer_runs_targets_that_the_makefile_has() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    makefile = (ROOT / "Makefile").read_text()
    target = container["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{target}: ", makefile, re.M)
    assert container["postAttachCommand"].startswith("make lab ")
    assert str(container["forwardPorts"][0]) in container["postAttachCommand"]
