"""The learner's notebooks are made from the solutions, and are what would be made now."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from reading import ROOT

HINTS = """<details><summary>Hint 1</summary>

Look.

</details>

<details><summary>Hint 2</summary>

Look again.

</details>

<details><summary>Solution</summary>

Because.

</details>"""


@pytest.fixture(scope="module")
def course() -> ModuleType:
    spec = importlib.util.spec_from_file_location("course", ROOT / ".ci/course.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_learners_notebooks_are_as_they_would_be_made_now(course: ModuleType) -> None:
    assert course.drifted() == [], "run `make course`"


def test_a_learners_notebook_that_was_edited_is_found(
    course: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "COURSE", tmp_path)
    monkeypatch.setattr(course, "SOLUTIONS", tmp_path / "solutions")
    (tmp_path / "solutions").mkdir()
    source = notebook("x = 1  # blank: ...", HINTS)
    for name in ("one.ipynb", "two.ipynb", "three.ipynb"):
        nbformat.write(source, tmp_path / "solutions" / name)
        nbformat.write(course.learners(source), tmp_path / name)
    assert course.drifted() == []
    edited = course.learners(source)
    edited.cells[0].source += "\nMore."
    nbformat.write(edited, tmp_path / "two.ipynb")
    (tmp_path / "three.ipynb").unlink()
    assert course.drifted() == ["three.ipynb", "two.ipynb"]


def test_answers_are_taken_out_and_shown_below(course: ModuleType) -> None:
    answer = (
        "# Double it.\n"
        "many = [1, 2]  # blank: ...\n"
        "def double(number):\n"
        "    # solution:\n"
        "    twice = 2 * number\n"
        "    return twice\n"
        "    # :solution\n"
        "# solution:\n"
        "print(double(2))\n"
        "# :solution"
    )
    made = course.learners(notebook(answer, HINTS))
    assert made.cells[1].source == (
        "# Double it.\nmany = ...\ndef double(number):\n    ...  # your code here\n# your code here"
    )
    compile(made.cells[1].source, "blank", "exec")
    assert "```python\n# Double it.\nmany = [1, 2]\ndef double" in made.cells[3].source
    assert "solution:" not in made.cells[3].source
    assert made.cells[3].source.index("```python") < made.cells[3].source.index("Because.")


@pytest.mark.parametrize(
    ("answer", "hints", "said"),
    [
        ("x = 1", HINTS, "no part that is marked"),
        ("x = 1  # blank: ...", "No hints.", "have no solution"),
        ("x = 1  # blank: ...", None, "No hints"),
    ],
)
def test_an_exercise_without_answer_or_hints_is_refused(
    course: ModuleType, answer: str, hints: str | None, said: str
) -> None:
    with pytest.raises(course.BadSource, match=said):
        course.learners(notebook(answer, hints))


def notebook(answer: str, hints: str | None) -> nbformat.NotebookNode:
    cells = [
        new_markdown_cell("### Exercise 00-1: Double"),
        new_code_cell(answer, metadata={"tags": ["exercise"]}),
        new_code_cell('wqlib.check("00-1")', metadata={"tags": ["check"]}),
    ]
    return new_notebook(cells=cells + ([new_markdown_cell(hints)] if hints else []))
