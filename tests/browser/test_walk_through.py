"""A learner works through a notebook: in a fresh copy of the course, with mouse and keyboard.

It is the first notebook that has all that a learner does: predictions, exercises, and commands for
the terminal. Screenshots go to build/.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab, find_chromium

from wqlib.cluster import local

ROOT = Path(__file__).parent.parent.parent
PICTURES = ROOT / "build"
SAMPLES = ROOT / "tests" / "course" / "samples"
# What looks and changes nothing, and comes to an end.
COMMAND = re.compile(r"^\$ (kubectl (?:get|describe|logs|exec)\b.*[^\\])$", re.MULTILINE)
STAYS = re.compile(r" (-it?|-w|-f|--watch|--tty|--follow)\b")
FAILED = re.compile(r"^(error:|Error from server|Unable to|bash: )", re.MULTILINE)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not shutil.which("git"), reason="there is no git on this machine"),
]


class Cell:
    """A cell of a notebook: its source, kind and tags."""

    def __init__(self, content: dict) -> None:
        self.source = "".join(content["source"])
        self.is_code = content["cell_type"] == "code"
        self.tags = content["metadata"].get("tags", [])

    @property
    def prediction(self) -> str:
        """The id of the prediction that it asks for, or ""."""
        found = re.match(r'wqlib\.predict\(\s*"(\d\d-\w)",\s*"', self.source)
        return found[1] if found else ""

    @property
    def commands(self) -> list[str]:
        """What it says to type in a terminal, to look at something."""
        lane = self.source.partition("**In a terminal**")[2]
        found = [] if "(not on the local cluster)" in lane[:60] else COMMAND.findall(lane)
        return [command for command in found if not STAYS.search(command)]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The course as somebody has it who has just cloned it, with what `make lab` makes."""
    course = tmp_path / "the course"
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(git, capture_output=True, check=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).exists():
            (course / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, course / name, follow_symlinks=False)
    in_course(course, "git", "init", "-q")
    in_course(course, "git", "add", "-A")
    in_course(
        course, *("git", "-c", "user.name=a", "-c", "user.email=a@b"), "commit", "-q", "-m", "all"
    )
    (course / ".venv").symlink_to(sys.prefix)
    (course / ".git/info/exclude").write_text(".venv\n")  # here it is a link
    paths = [course, course / "localcluster/src", *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "1")
    in_course(course, "make", "--silent", "--assume-old=.venv/.ready", "my-course")
    yield course
    local.stop()


def in_course(course: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def chosen(course: Path) -> tuple[str, list[Cell]]:
    """The first notebook that has all that a learner does."""
    for path in sorted((course / "my-course").glob("*.ipynb")):
        cells = [Cell(one) for one in json.loads(path.read_text())["cells"]]
        if (
            any(cell.prediction for cell in cells)
            and any("check" in cell.tags for cell in cells)
            and any(cell.commands for cell in cells)
        ):
            return path.name, cells
    raise AssertionError("no notebook has a prediction, an exercise and a command")


def wrong_answer(exercise: str) -> str:
    """An answer that many would give."""
    text = (SAMPLES / f"{exercise[:2]}.py").read_text()
    return next(
        code.partition("\n")[2].strip("\n")
        for code in text.split("# %% ")
        if code.startswith(f"{exercise} wrong")
    )


def exercises(cells: list[Cell]) -> Iterator[tuple[int, int, str, str]]:
    """Yield for each exercise its cell, that of its check, its id, and the solution shown below."""
    for number, cell in enumerate(cells):
        if "check" in cell.tags:
            [name] = re.findall(r'wqlib\.check\("(\d\d-\d+)"\)', cell.source)
            answer = max(at for at in range(number) if "exercise" in cells[at].tags)
            solution = re.search(r"```python\n(.*?)\n```", cells[number + 1].source, re.DOTALL)
            assert solution
            yield answer, number, name, solution[1]


def test_a_notebook_is_worked_through_as_a_learner_does(course: Path) -> None:
    name, cells = chosen(course)
    tasks = {answer: rest for answer, *rest in exercises(cells)}
    predictions = [number for number, cell in enumerate(cells) if cell.prediction]
    layout = (course / "notebooks/course.jupyterlab-workspace").read_text()
    with Lab(course, width=1366, height=900) as lab:
        lab.open_layout("course", layout)
        lab.screenshot(PICTURES / "walk-1-open.png")
        open_notebook(lab, name)
        for number, cell in enumerate(cells):
            if number in tasks:
                check, exercise, solution = tasks[number]
                if number == min(tasks):
                    try_wrong_then_look_at_hints(lab, number, check, exercise)
                lab.type_into_cell(number, solution)
                lab.run_cell(number)
            elif cell.is_code:
                said = lab.run_cell(number)
                if "check" in cell.tags:
                    assert said.startswith("✓"), said
                if number == min(tasks.values())[0]:
                    lab.show_cell(number)
                    lab.screenshot(PICTURES / "walk-4-right.png")
                if cell.prediction:
                    predict(lab, number, by_mouse=number == predictions[0])
                if "wqlib.compare(" in cell.source:
                    assert "You guessed" in said
                    assert "What happened" in said
            elif cell.commands and shutil.which("kubectl"):
                assert lab.in_terminal("kubectl get pods").startswith("NAME ")
                said = [lab.in_terminal(command) for command in cell.commands]
                assert not all(map(FAILED.search, said)), said
                lab.screenshot(PICTURES / "walk-5-terminal.png")
                lab.page.locator(".lm-TabBar-tabLabel", has_text=name).click()
        lab.save()
        lab.screenshot(PICTURES / "walk-6-end.png")
    assert problems(course / "my-course" / name) == []
    assert lab.console_errors == []
    assert lab.strayed == []
    status = in_course(course, ".venv/bin/wqlib", "course", "status")
    assert re.search(rf"^{name[:2]} .* begun +{len(tasks)} of {len(tasks)} ", status, re.MULTILINE)
    assert in_course(course, "git", "status", "--porcelain") == ""


def open_notebook(lab: Lab, name: str) -> None:
    """Open a notebook from the list at the left."""
    lab.page.locator(".jp-DirListing-item", has_text=name).dblclick()
    lab.wait_for_kernel(name)


def try_wrong_then_look_at_hints(lab: Lab, number: int, check: int, exercise: str) -> None:
    """Answer wrongly, check, and unfold a hint."""
    lab.type_into_cell(number, wrong_answer(exercise))
    lab.run_cell(number)
    assert lab.run_cell(check).startswith(f"✗ {exercise}")
    hints = lab.show_cell(check + 1)
    hint = hints.locator("details").first
    assert not hint.locator("p").first.is_visible()
    hint.locator("summary").click()
    assert hint.locator("p").first.is_visible()
    assert not hints.locator("details").last.locator("p").first.is_visible()
    lab.screenshot(PICTURES / "walk-3-wrong.png")


def predict(lab: Lab, number: int, *, by_mouse: bool) -> None:
    """Guess: click one, then another by keyboard; or only the latter."""
    cell = lab.show_cell(number)
    buttons = cell.locator("button:visible", has_text=re.compile(r"^[○●] \d\. "))
    said = cell.locator('[role="status"]:visible')
    if by_mouse:
        buttons.nth(0).click()
        said.filter(has_text="Your guess is 1").wait_for()
        lab.screenshot(PICTURES / "walk-2-predicted.png")
    buttons.nth(0).focus()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Enter")
    said.filter(has_text="Your guess is 2").wait_for()


def problems(path: Path) -> list[str]:
    """What went wrong in a notebook that was saved: errors, and what stands in red."""
    cells = json.loads(path.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [
        str(one) for one in outputs if one["output_type"] == "error" or one.get("name") == "stderr"
    ]
