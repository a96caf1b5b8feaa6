"""That the notebooks' test can fail: a changed output must be found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(300)
def test_a_changed_output_is_found(tmp_path: Path) -> None:
    course = tmp_path / "notebooks"
    shutil.copytree(ROOT / "notebooks", course)
    path = course / "02_fill_the_queue.ipynb"
    notebook = nbformat.read(path, as_version=4)
    output = next(
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("text") == "8 False\n"
    )
    output["text"] = "8 True\n"
    nbformat.write(notebook, path)
    options = ["-c", str(ROOT / "tests/nbval.ini"), "--rootdir", str(tmp_path), str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        env=os.environ | {"WQLIB_HOME": str(tmp_path / "home"), "WQLIB_LINGER_SECONDS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout.splitlines()[-1]
    assert "8 True" in done.stdout
