"""Each notebook has the same frame: header, one set-up, exercises, recap, reset."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from reading import ALL, COURSE, LEARNERS, SOURCES, cells, headings, images, name, prose, words

from wqlib.course.checks import exercises
from wqlib.course.checks.exercise import TITLES

MOST_IGNORED = 7


def test_there_are_twelve_notebooks_with_the_titles_that_the_library_knows() -> None:
    for paths in (LEARNERS, SOURCES):
        found = {path.stem[:2]: path for path in paths}
        assert list(found) == list(TITLES)
        for number, title in TITLES.items():
            assert found[number].stem[3:] == re.sub(r"\W+", "_", title.lower())
            [first] = [said for level, said in headings(found[number]) if level == 1]
            assert first in (title, f"{int(number)} · {title}")


def test_every_exercise_of_the_library_is_in_a_notebook_with_its_title() -> None:
    written = {}
    for path in SOURCES:
        for _, said in headings(path):
            if match := re.fullmatch(r"Exercise (\d\d-\d): (.+)", said):
                assert match[1].startswith(path.stem[:2])
                written[match[1]] = match[2]
    assert written == {one.id: one.title for one in exercises().values()}


@pytest.mark.parametrize("path", ALL, ids=name)
class TestFrame:
    def test_the_header_says_how_long_what_for_and_where_you_are(self, path: Path) -> None:
        number = path.stem[:2]
        first = cells(path)[0]["source"]
        rows = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", first, re.MULTILINE))
        assert list(rows) == ["Time", "You will be able to", "Where you are", "Before, after"]
        assert re.fullmatch(r"\d\d minutes", rows["Time"])
        assert rows["Where you are"] == " · ".join(
            f"**{one}**" if one == number else one for one in TITLES
        )
        neighbours = [f"{int(number) + step:02}" for step in (-1, 1)]
        for one in neighbours:
            if one in TITLES:
                file = next(path.parent.glob(f"{one}_*.ipynb")).name
                assert f"[{one} {TITLES[one]}]({file})" in rows["Before, after"]
        assert 3 <= len(re.findall(r"^- ", first, re.MULTILINE)) <= 6

    def test_it_is_as_long_as_a_lesson_should_be(self, path: Path) -> None:
        assert 20 <= len(cells(path)) <= 50
        assert 600 <= len(words(prose(path))) <= 1500

    def test_no_code_cell_is_longer_than_15_lines(self, path: Path) -> None:
        """A manifest that the learner writes may be."""
        for cell in cells(path, "code"):
            longest = 32 if "exercise" in cell["tags"] else 15
            assert len(cell["source"].splitlines()) <= longest, cell["source"]

    def test_it_has_one_set_up_cell_right_after_the_words_set_up(self, path: Path) -> None:
        found = cells(path)
        [at] = [
            i for i, cell in enumerate(found) if re.search(r"^## Set up$", cell["source"], re.M)
        ]
        kinds = [cell["cell_type"] for cell in found[at : at + 3]]
        assert kinds == ["markdown", "code", "markdown"]
        assert all(cell["cell_type"] == "markdown" for cell in found[:at])

    def test_exercises_have_task_answer_check_hints_in_that_order(self, path: Path) -> None:
        found, number = cells(path), 0
        for at, cell in enumerate(found):
            task = re.match(r"#{2,4} Exercise (\d\d-\d): ", cell["source"])
            if cell["cell_type"] != "markdown" or not task:
                assert "### Exercise" not in cell["source"]
                continue
            number += 1
            assert task[1] == f"{path.stem[:2]}-{number}"
            answer, check, hints = found[at + 1 : at + 4]
            assert answer["tags"] == ["exercise"]
            assert check["tags"] == ["check"]
            assert check["source"] == f'wqlib.check("{task[1]}")'
            summaries = re.findall(r"<summary>(.+?)</summary>", hints["source"])
            assert summaries == ["Hint 1", "Hint 2", "Solution"]
            assert hints["source"].count("<details>") == hints["source"].count("</details>") == 3
        assert 2 <= number <= 5
        for tag in ("exercise", "check"):
            assert sum(tag in cell["tags"] for cell in found) == number

    def test_answers_are_checked_right_in_the_solution_and_wrong_in_the_blank(
        self, path: Path
    ) -> None:
        marks = ("·", "✗") if path.parent == COURSE else ("✓",)
        for cell in cells(path, "code"):
            if "check" in cell["tags"]:
                said = "".join("".join(output["text"]) for output in cell["outputs"])
                assert said.startswith(tuple(f"{mark} {cell['source'][13:17]} " for mark in marks))
                assert "could not be checked" not in said

    def test_it_ends_with_recap_progress_links_and_a_reset(self, path: Path) -> None:
        last = [said for level, said in headings(path) if level == 2][-2:]
        assert last == ["What you have seen", "Go deeper"]
        *_, progress, reset = cells(path, "code")
        assert progress["source"] == f'wqlib.progress("{path.stem[:2]}")'
        assert progress["tags"] == ["nbval-ignore-output"]
        assert "clean_up()" in reset["source"] or "reset(" in reset["source"]

    def test_headings_nest(self, path: Path) -> None:
        levels = [level for level, _ in headings(path)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        for before, after in itertools.pairwise(levels):
            assert after <= before + 1

    def test_images_are_there_and_have_alt_text(self, path: Path) -> None:
        for alt, file in images(path):
            assert len(alt.split()) >= 5, file
            assert (path.parent / file).is_file()
        assert "<img" not in path.read_text()

    def test_only_these_tags_are_used_and_few_outputs_are_ignored(self, path: Path) -> None:
        tags = [tag for cell in cells(path) for tag in cell["tags"]]
        assert set(tags) <= {"exercise", "check", "nbval-ignore-output"}
        assert tags.count("nbval-ignore-output") <= MOST_IGNORED

    def test_it_names_no_cluster_and_no_machine(self, path: Path) -> None:
        assert not re.search(r"/(home|root|Users|work|tmp)/", path.read_text())
        code = "\n".join(cell["source"] for cell in cells(path, "code"))
        for word in ("WQLIB_CONTEXT", "is_local", "localcluster", "context="):
            assert word not in code
