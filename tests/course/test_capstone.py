"""The tasks of the capstone: each item gives the same result each time, and all come together."""

from __future__ import annotations

import os
import runpy
import shutil
from pathlib import Path

import pytest

from wqlib.course import report

TASKS = Path(__file__).parents[2] / "notebooks" / "capstone"


@pytest.mark.parametrize("name", ["pi", "words", "photos"])
def test_a_task_is_safe_to_run_twice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(TASKS / f"{name}.py", "task.py")
    task = runpy.run_path("task.py")
    items = task["items"]()
    assert 20 <= len(items) == len(set(items)) <= 100
    some = [item.encode() for item in items[:3]]
    results = [task["process"](item) for item in some]
    assert [task["process"](item) for item in some] == results
    sent = [one.encode() if isinstance(one, str) else one for one in results]
    assert max(map(len, sent)) < 2**20
    assert isinstance(task["combine"](sent), str)


def test_a_report_is_one_file_and_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    report(path, "π < 4", {"lost": 0, "<b>": "&"}, {"a picture": b"\x89PNG"})
    text = path.read_text("utf-8")
    assert "<h1>π &lt; 4</h1>" in text
    assert "<tr><th>lost</th><td>0</td></tr>" in text
    assert "<th>&lt;b&gt;</th><td>&amp;</td>" in text
    assert 'src="data:image/png;base64,iVBORw==' in text
    assert os.listdir(tmp_path) == ["report.html"]
