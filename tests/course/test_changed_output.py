"""That the notebooks' test can fail: a changed output must be found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from reading import COURSE, LEARNERS, ROOT, compared


@pytest.mark.timeout(300)
@pytest.mark.parametrize("position", [0, -1])
def test_a_changed_output_is_found(tmp_path: Path, position: int) -> None:
    shutil.copytree(COURSE, tmp_path / "notebooks", ignore=shutil.ignore_patterns("solutions"))
    path = tmp_path / "notebooks" / LEARNERS[0].name
    notebook = nbformat.read(path, as_version=4)
    told = list(compared(path))[position]
    cell, output = next(
        (cell, output)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("text", "").strip() == told
    )
    output["text"] = output["text"].replace(told, told[:-1] + "?")
    nbformat.write(notebook, path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "tests/nbval.ini", "--rootdir", ".", str(path)],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "WQLIB_HOME": str(tmp_path / "home"),
            "LOCALCLUSTER_LINGER_SECONDS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout.splitlines()[-1]
    assert told.splitlines()[-1][:-1] + "?" in done.stdout
    assert cell.source.splitlines()[0] in done.stdout
