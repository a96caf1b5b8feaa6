"""Where the course opens: JupyterLab's layout, Binder, a devcontainer."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_layout_opens_a_notebook_that_is_there() -> None:
    layout = json.loads((ROOT / "notebooks/course.jupyterlab-workspace").read_text())
    assert layout["metadata"]["id"] == "course"
    data = layout["data"]
    main = data["layout-restorer:data"]["main"]
    assert main["dock"]["widgets"] == [main["current"]]
    assert (ROOT / data[main["current"]]["data"]["path"]).is_file()
    assert (ROOT / data["file-browser-filebrowser:cwd"]["path"]).is_dir()


def test_binder_installs_the_locked_versions_on_a_python_that_the_course_runs_on() -> None:
    binder = ROOT / ".binder"
    python = re.fullmatch(r"python-3\.(\d+)\n", (binder / "runtime.txt").read_text())
    assert python
    assert 11 <= int(python[1]) <= 14
    included = re.findall(r"^-r (\S+)$", (binder / "requirements.txt").read_text(), re.M)
    assert [(binder / name).resolve() for name in included] == [ROOT / "requirements.lock"]
    assert os.access(binder / "postBuild", os.X_OK)
    for name in re.findall(
        r"[\w./-]+\.(?:lock|json|jupyterlab-workspace)", (binder / "postBuild").read_text()
    ):
        assert (ROOT / name).is_file(), name


def test_the_devcontainer_runs_targets_that_the_makefile_has() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    makefile = (ROOT / "Makefile").read_text()
    workspace = re.search(r"^WORKSPACE := (\S+)$", makefile, re.M)
    assert workspace
    assert container["postCreateCommand"] == f"make {workspace[1]}"
    assert container["postAttachCommand"].startswith("make lab ")
    assert str(container["forwardPorts"][0]) in container["postAttachCommand"]
