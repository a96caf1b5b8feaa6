"""The learner's own copy of the course: what is written in it is never lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import COURSE, LEARNERS, ROOT

from wqlib.course import copies, folder
from wqlib.course.copies import HANDED_OUT, digest, edition, plan, reset, status, update
from wqlib.errors import WqlibError

FIVE = next(path.name for path in LEARNERS if path.name.startswith("05"))
NEW = FIVE.replace(".ipynb", ".new.ipynb")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A course whose editions change."""
    return Path(
        shutil.copytree(
            COURSE,
            tmp_path / "notebooks",
            ignore=shutil.ignore_patterns("solutions", "recordings", "wqlib"),
        )
    )


@pytest.fixture
def mine(tmp_path: Path, source: Path) -> Path:
    """A learner's folder."""
    update(tmp_path / "my-course", source)
    return tmp_path / "my-course"


def write_in(path: Path, text: str, cell: int = 0) -> None:
    notebook = json.loads(path.read_text())
    notebook["cells"][cell]["source"] = text
    path.write_text(json.dumps(notebook))


def sources(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


class TestPlan:
    def test_a_file_that_was_not_changed_gets_the_new_edition(self) -> None:
        made = plan({"a": "2"}, {"a": "1"}, {"a": "1"})
        assert (made.write, made.beside, made.handed_out) == ({"a": "a"}, {}, {"a": "2"})

    def test_a_file_that_was_changed_stays_and_the_new_edition_comes_beside_it_once(self) -> None:
        made = plan({"a": "2"}, {"a": "1"}, {"a": "mine"})
        assert (made.write, made.beside) == ({"a.new": "a"}, {"a": "a.new"})
        again = plan({"a": "2"}, made.handed_out, {"a": "mine", "a.new": "2"})
        assert (again.write, again.delete, again.beside) == ({}, [], {})
        assert again.handed_out == made.handed_out

    def test_without_a_new_edition_nothing_comes_beside_a_changed_file(self) -> None:
        made = plan({"a": "1"}, {"a": "1"}, {"a": "mine"})
        assert (made.write, made.delete, made.beside) == ({}, [], {})

    def test_a_third_edition_takes_the_place_of_the_second_unless_that_was_changed(self) -> None:
        handed_out = {"a": "2", "a.new": "2"}
        made = plan({"a": "3"}, handed_out, {"a": "mine", "a.new": "2"})
        assert made.write == {"a.new": "a"}
        made = plan({"a": "3"}, handed_out, {"a": "mine", "a.new": "mine too"})
        assert (made.write, made.delete) == ({"a.new2": "a"}, [])

    def test_the_copy_beside_goes_when_the_learner_has_taken_it_over(self) -> None:
        made = plan({"a": "2"}, {"a": "2", "a.new": "2"}, {"a": "2", "a.new": "2"})
        assert (made.write, made.delete, made.handed_out) == ({}, ["a.new"], {"a": "2"})

    def test_a_file_that_the_learner_deleted_comes_back(self) -> None:
        assert plan({"a": "1"}, {"a": "1"}, {}).write == {"a": "a"}

    def test_what_is_no_longer_in_the_course_goes_unless_it_was_changed(self) -> None:
        assert plan({}, {"a": "1"}, {"a": "1"}).delete == ["a"]
        made = plan({}, {"a": "1"}, {"a": "mine"})
        assert (made.delete, made.handed_out) == ([], {})

    def test_without_a_record_nothing_is_overwritten(self) -> None:
        made = plan({"a": "1", "b": "1"}, {}, {"a": "mine", "b": "1"})
        assert made.write == {"a.new": "a"}

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["new edition", "learner writes", "learner deletes", "forget"]),
                st.sampled_from(["a.ipynb", "a.new.ipynb", "b.py", "b.py.new", "b.py.new2"]),
            ),
            max_size=25,
        )
    )
    def test_whatever_happens_no_word_of_the_learner_is_lost(
        self, story: list[tuple[str, str]]
    ) -> None:
        course = {"a.ipynb": "a0", "b.py": "b0"}
        disk: dict[str, str] = {}
        handed_out: dict[str, str] = {}
        for number, (what, name) in enumerate(story):
            if what == "learner writes":
                disk[name] = f"mine {number}"
            elif what == "learner deletes":
                disk.pop(name, None)
            elif what == "forget":
                handed_out = {}
            elif number % 5 == 0:
                course.pop(name, None)
            elif ".new" not in name:
                course[name] = f"edition {number}"
            written = {name: text for name, text in disk.items() if text.startswith("mine")}
            made = plan(course, handed_out, disk)
            disk |= {name: course[new] for name, new in made.write.items()}
            for gone in made.delete:
                del disk[gone]
            handed_out = made.handed_out
            assert written.items() <= disk.items()
            assert course.keys() <= disk.keys()
            again = plan(course, handed_out, disk)
            assert (again.write, again.delete, again.beside) == ({}, [], {})


class TestWhatCounts:
    def notebook(self, *cells: dict) -> bytes:
        return json.dumps({"cells": cells, "metadata": {}}).encode()

    def test_running_a_notebook_changes_nothing(self) -> None:
        cell = {"cell_type": "code", "source": ["1 +\n", "1"], "metadata": {}, "outputs": []}
        ran = cell | {"source": "1 +\n1", "outputs": [{"text": "2"}], "execution_count": 7, "id": 1}
        added = {"cell_type": "code", "source": "", "metadata": {}, "outputs": []}
        assert digest("x.ipynb", self.notebook(cell)) == digest(
            "x.ipynb", self.notebook(ran, added)
        )

    def test_a_changed_cell_a_new_one_and_another_order_count(self) -> None:
        one, two = ({"cell_type": "markdown", "source": text} for text in "12")
        found = {
            digest("x.ipynb", self.notebook(*cells))
            for cells in ([one], [two], [one, two], [two, one])
        }
        assert len(found) == 4

    def test_a_notebook_that_is_broken_counts_as_a_text(self) -> None:
        assert digest("x.ipynb", b"{") != digest("x.ipynb", b"[]")


class TestTheEdition:
    def test_it_has_the_learners_notebooks_without_outputs_and_the_files_that_they_need(
        self,
    ) -> None:
        files = edition()
        assert {name for name in files if name.endswith(".ipynb")} == {x.name for x in LEARNERS}
        assert {"manifests/job.yaml", "worker/Dockerfile", "images/parts.svg"} <= files.keys()
        assert not [name for name in files if name.startswith(("worker/wqlib", "solutions"))]
        for path in LEARNERS:
            made = nbformat.reads(files[path.name].decode(), as_version=4)
            nbformat.validate(made)
            given = nbformat.read(path, as_version=4)
            assert [(x.id, x.source) for x in made.cells] == [(x.id, x.source) for x in given.cells]
            code = [cell for cell in made.cells if cell.cell_type == "code"]
            assert not [cell for cell in code if cell.outputs or cell.execution_count]

    def test_its_links_lead_somewhere_from_a_folder_beside_the_notebooks(self) -> None:
        files = edition()
        for name in (name for name in files if name.endswith(".ipynb")):
            for target in re.findall(r"\]\(([^)#:\\]+)[)#]", files[name].decode()):
                outside = target.startswith("../") and (COURSE / target).resolve().exists()
                assert outside or target in files, f"{name}: {target}"

    def test_without_notebooks_it_says_where_to_get_them(self, tmp_path: Path) -> None:
        with pytest.raises(WqlibError, match=r"There are no notebooks in .*offline kit"):
            update(tmp_path / "mine", tmp_path)


class TestUpdate:
    def test_again_with_no_new_edition_it_touches_nothing(self, mine: Path, source: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in mine.rglob("*")}
        assert update(mine, source) == []
        assert {path: path.stat().st_mtime_ns for path in mine.rglob("*")} == before

    def test_what_a_learner_wrote_stays_and_the_rest_is_brought_up_to_date(
        self, mine: Path, source: Path
    ) -> None:
        write_in(mine / FIVE, "my own words")
        (mine / "notes.txt").write_text("mine")
        for path in source.glob("0*.ipynb"):
            write_in(path, "a new edition")
        (source / "manifests/job.yaml").write_text("new: true\n")
        said = update(mine, source)
        others = len(list(source.glob("0*.ipynb")))
        assert said == [
            f"my-course/: {others} files have been brought up to date.",
            f"my-course/{FIVE} stays as you left it. Its new edition is beside it: {NEW}",
        ]
        assert sources(mine / FIVE)[0] == "my own words"
        assert sources(mine / NEW)[0] == "a new edition"
        assert sources(mine / LEARNERS[0].name)[0] == "a new edition"
        assert (mine / "manifests/job.yaml").read_text() == "new: true\n"
        assert (mine / "notes.txt").read_text() == "mine"
        assert update(mine, source) == []

    def test_what_the_worker_image_puts_there_is_left_alone(self, mine: Path, source: Path) -> None:
        (mine / "worker/wqlib").mkdir()
        (mine / "worker/wqlib/queue.py").write_text("x = 1")
        update(mine, source)
        assert (mine / "worker/wqlib/queue.py").exists()

    def test_a_record_that_is_broken_costs_no_work(self, mine: Path, source: Path) -> None:
        write_in(mine / FIVE, "my own words")
        (mine / HANDED_OUT).write_bytes(b"\xff{")
        update(mine, source)
        assert sources(mine / FIVE)[0] == "my own words"
        assert (mine / NEW).is_file()

    def test_two_at_once_make_one_folder(self, tmp_path: Path) -> None:
        program = (
            "import sys, pathlib; from wqlib.course import copies\n"
            "print(*copies.update(pathlib.Path(sys.argv[1])), sep='\\n')"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "my-course")]
        running = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True) for _ in range(3)]
        said = [process.communicate(timeout=60) for process in running]
        assert [error for _, error in said] == [""] * 3
        assert sorted(text.count("your own copy") for text, _ in said) == [0, 0, 1]
        found = {x for x in (tmp_path / "my-course").rglob("*") if x.is_file()}
        names = {x.relative_to(tmp_path / "my-course").as_posix() for x in found}
        assert names == {*edition(), HANDED_OUT}

    def test_a_folder_that_cannot_be_written_to_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "my-course").write_text("a file")
        with pytest.raises(WqlibError, match="my-course cannot be used: File exists"):
            update(tmp_path / "my-course")
        with pytest.raises(WqlibError, match="that you may write to"):
            update(Path("/sys/my-course"))

    def test_the_course_finds_the_manifests_of_the_folder_that_it_runs_in(
        self, mine: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(mine)
        assert folder() == mine


class TestStatusAndReset:
    def test_status_tells_what_was_begun_and_what_has_a_new_edition(
        self, mine: Path, source: Path
    ) -> None:
        assert {one.state for one in status(mine, source)} == {"untouched"}
        write_in(mine / FIVE, "my own words")
        ran = mine / LEARNERS[1].name
        ran.write_text(ran.read_text().replace('"execution_count": null', '"execution_count": 1'))
        (mine / LEARNERS[2].name).unlink()
        write_in(source / FIVE, "a new edition")
        found = {one.number: one for one in status(mine, source)}
        told = [found[name].state for name in ("00", "01", "02", "05")]
        assert told == ["untouched", "begun", "missing", "begun"]
        update(mine, source)
        found = {one.number: one for one in status(mine, source)}
        assert (found["02"].state, found["05"].beside) == ("untouched", [NEW])

    def test_reset_puts_a_fresh_copy_in_place_and_keeps_the_learners(
        self, mine: Path, source: Path
    ) -> None:
        write_in(mine / FIVE, "my own words")
        write_in(source / FIVE, "a new edition")
        update(mine, source)
        for number in range(2):
            said = reset("5", mine, source)
            kept = re.search(r"beside it: (\S+\.ipynb)\.", said)
            assert kept
            assert sources(mine / kept[1])[0] == "my own words"
            assert sources(mine / FIVE)[0] == "a new edition"
            assert not (mine / NEW).exists()
            assert len(list(mine.glob("05*"))) == 2 + number
            write_in(mine / FIVE, "my own words")
        assert update(mine, source) == []

    def test_reset_of_a_notebook_that_was_only_run_clears_it(
        self, mine: Path, source: Path
    ) -> None:
        ran = (mine / FIVE).read_text().replace('"execution_count": null', '"execution_count": 1')
        (mine / FIVE).write_text(ran)
        assert "you had not changed it" in reset("05", mine, source)
        assert '"execution_count": 1' not in (mine / FIVE).read_text()
        assert list(mine.glob("05*")) == [mine / FIVE]

    def test_reset_takes_a_file_too(self, mine: Path, source: Path) -> None:
        (mine / "manifests/job.yaml").write_text("mine")
        said = reset("manifests/job.yaml", mine, source)
        assert (mine / "manifests/job.yaml").read_bytes() == edition()["manifests/job.yaml"]
        [kept] = (mine / "manifests").glob("job.yaml.2*")  # no `apply` of the folder reads it
        assert kept.name in said

    def test_a_wrong_number_and_a_folder_that_is_not_there(self, mine: Path) -> None:
        with pytest.raises(WqlibError, match=r"no notebook '77'.* 00 to 1"):
            reset("77", mine)
        for action in (lambda: reset("05", mine / "none"), lambda: status(mine / "none")):
            with pytest.raises(WqlibError, match="`make lab` makes it"):
                action()

    def test_the_command(self, mine: Path) -> None:
        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "wqlib.commands.cli", "course", *words],
                cwd=mine,
                env=os.environ | {"WQLIB_HOME": str(mine.parent / "home")},
                capture_output=True,
                text=True,
                timeout=60,
            )

        lines = run("status").stdout.splitlines()
        assert lines[0].split() == ["NOTEBOOK", "YOURS", "EXERCISES", "PREDICTIONS"]
        assert re.fullmatch(r"00 +Before you begin +untouched +0 of \d .*", lines[1])
        assert len(lines) == 1 + len(LEARNERS)
        write_in(mine / FIVE, "my own words")
        assert "yours is beside it" in run("reset", "05").stdout
        wrong = run("reset", "77")
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert wrong.stderr.startswith("wqlib: There is no notebook '77'")


def test_the_folder_is_that_of_the_current_one_or_else_of_this_course(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mine)
    assert copies.default_folder() == mine
    monkeypatch.chdir(mine.parent)
    assert copies.default_folder() == mine
    monkeypatch.chdir("/")
    assert copies.default_folder() == ROOT / "my-course"
