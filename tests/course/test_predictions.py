"""Predict, run, compare: guesses, what is told of them, and the files that know what is right."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reading import LEARNERS, SOURCES, cells, name

import wqlib
from wqlib.course import checks
from wqlib.course.checks import record
from wqlib.course.predictions import ask, data, quizzes
from wqlib.course.predictions.choices import Choice
from wqlib.errors import WqlibError

OPTIONS = ["Wait for ever", "Take over", "Stop"]
ASKED = ("99-a", "What will the survivor do?", OPTIONS)
GOOD = """
[99-a]
right = 2
because = "The lease runs out, and the item is leased again."
pictures = ["A lock, which nobody takes away.", "", "A team that gives up together."]
"""
QUIZ = """
[[questions]]
question = "What is `1 + 1`?"
options = ["1", "2"]
right = 2
feedback = ["That is one too few.", "So it is."]

[[questions]]
question = "What is 2 + 2?"
options = ["4", "5"]
right = 1
feedback = ["So it is.", "That is one too many."]
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WQLIB_CONTEXT", raising=False)
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data files of our own, with one prediction and a quiz of two questions."""
    (tmp_path / "99.toml").write_text(GOOD)
    (tmp_path / "quiz_1.toml").write_text(QUIZ)
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(ask, "_asked", {})
    return tmp_path


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Forgets what a kernel forgets that is restarted."""
    return lambda: monkeypatch.setattr(ask, "_asked", {})


Out = pytest.CaptureFixture[str]


def click(number: int) -> None:
    """Click a button of the question that was asked last."""
    [*_, asked] = ask._asked.values()
    asked._choice._buttons[number - 1].click()


def labels() -> list[str]:
    [*_, asked] = ask._asked.values()
    return [button.description for button in asked._choice._buttons]


@pytest.mark.usefixtures("folder")
class TestPredict:
    def test_without_a_front_end_the_question_is_text(self, capsys: Out) -> None:
        wqlib.predict(*ASKED)
        assert capsys.readouterr().out == (
            "99-a  What will the survivor do?\n"
            "  1. Wait for ever\n"
            "  2. Take over\n"
            "  3. Stop\n"
            'Make a guess before you go on. Click, or run wqlib.predict("99-a", NUMBER).\n'
        )

    def test_with_a_front_end_there_is_a_button_for_each_option(self) -> None:
        wqlib.predict(*ASKED)
        bundle = ask._asked["99-a"]._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert bundle["text/plain"].startswith("99-a  What will")
        assert labels() == ["○ 1. Wait for ever", "○ 2. Take over", "○ 3. Stop"]

    def test_a_click_is_noted_and_marked_in_words(self) -> None:
        wqlib.predict(*ASKED)
        click(3)
        assert labels()[2] == "● 3. Stop"
        assert "Your guess is 3" in ask._asked["99-a"]._choice._said.value
        assert record.guesses()["99-a"]["guess"] == 3

    def test_a_guess_may_be_typed(self, capsys: Out) -> None:
        wqlib.predict(*ASKED)
        wqlib.predict("99-a", 2)
        assert labels()[1] == "● 2. Take over"
        assert "99-a: Your guess is 2. You can change it" in capsys.readouterr().out

    @pytest.mark.parametrize("number", [0, 4, -1, "2"])
    def test_a_number_that_is_no_option_is_told(self, number: int | str) -> None:
        wqlib.predict(*ASKED)
        with pytest.raises(WqlibError, match=f"no option {number!r}. Choose a number from 1 to 3"):
            wqlib.predict("99-a", number)

    def test_a_guess_before_the_question_is_told(self) -> None:
        with pytest.raises(WqlibError, match="Run the cell with its question first"):
            wqlib.predict("99-a", 1)

    @pytest.mark.parametrize(
        ("prediction", "said"),
        [
            ("99-z", "It has: 99-a"),
            ("98-a", "It has: none"),
            ("../99-a", "is not the id of a prediction"),
        ],
    )
    def test_a_prediction_that_there_is_not_is_told(self, prediction: str, said: str) -> None:
        with pytest.raises(WqlibError, match=said):
            wqlib.predict(prediction, "?", OPTIONS)

    def test_other_options_than_the_file_has_are_told(self) -> None:
        with pytest.raises(WqlibError, match=r"2 options here, and 3 in 99\.toml"):
            wqlib.predict("99-a", "?", OPTIONS[:2])

    def test_the_guess_is_there_again_after_a_restart(self, capsys: Out, restarted: Any) -> None:
        wqlib.predict(*ASKED)
        click(1)
        restarted()
        capsys.readouterr()
        wqlib.predict(*ASKED)
        assert labels()[0] == "● 1. Wait for ever"
        assert "Your guess is 1." in capsys.readouterr().out

    def test_a_guess_at_other_options_does_not_count(self, restarted: Any) -> None:
        wqlib.predict(*ASKED)
        click(1)
        restarted()
        wqlib.predict("99-a", "What now?", ["One", "Two", "Three"])
        assert labels() == ["○ 1. One", "○ 2. Two", "○ 3. Three"]
        click(2)
        assert record.guesses()["99-a"]["first"] == 2


@pytest.mark.usefixtures("folder")
class TestCompare:
    def test_without_a_guess_it_tells_what_is_right(self, capsys: Out) -> None:
        wqlib.predict(*ASKED)
        capsys.readouterr()
        wqlib.compare("99-a", "done=9 lost=0")
        assert capsys.readouterr().out == (
            "You made no guess.\n"
            "What happened: done=9 lost=0.\n"
            "Right was 2, “Take over”. The lease runs out, and the item is leased again.\n"
        )

    def test_run_again_without_a_guess_all_is_the_same(self, capsys: Out) -> None:
        wqlib.predict(*ASKED)
        wqlib.compare("99-a", "done=9 lost=0")
        first = capsys.readouterr().out
        wqlib.predict(*ASKED)
        wqlib.compare("99-a", "done=9 lost=0")
        assert capsys.readouterr().out == first

    def test_after_a_wrong_guess_it_tells_the_picture_behind_it(self, capsys: Out) -> None:
        wqlib.predict(*ASKED)
        click(1)
        capsys.readouterr()
        wqlib.compare("99-a", "done=9 lost=0.")
        assert capsys.readouterr().out == (
            "✗ You guessed 1, “Wait for ever”.\n"
            "What happened: done=9 lost=0.\n"
            "Right was 2, “Take over”. The lease runs out, and the item is leased again.\n"
            "About your guess: A lock, which nobody takes away.\n"
        )

    def test_after_a_right_guess_it_is_short(self, capsys: Out) -> None:
        wqlib.predict(*ASKED)
        click(2)
        capsys.readouterr()
        wqlib.compare("99-a", "done=9 lost=0")
        assert capsys.readouterr().out == (
            "✓ You guessed 2, “Take over”.\n"
            "What happened: done=9 lost=0. The lease runs out, and the item is leased again.\n"
        )

    def test_the_guess_can_be_changed_until_then_and_not_after(self, capsys: Out) -> None:
        wqlib.predict(*ASKED)
        click(1)
        click(3)
        wqlib.compare("99-a", "done=9")
        asked = ask._asked["99-a"]
        assert all(button.disabled for button in asked._choice._buttons)
        asked.commit(2)  # a click that was on its way
        wqlib.predict("99-a", 2)
        assert (
            "Your guess was 3. It has already been compared, so it stays."
            in capsys.readouterr().out
        )
        assert record.guesses()["99-a"] == {
            "options": OPTIONS,
            "first": 1,
            "guess": 3,
            "compared": True,
        }

    def test_a_guess_after_the_answer_was_told_does_not_count(self) -> None:
        wqlib.predict(*ASKED)
        wqlib.compare("99-a", "done=9")
        click(2)
        noted = record.guesses()["99-a"]
        assert (noted["guess"], noted["first"]) == (2, 0)

    def test_without_the_question_it_says_so_and_tells_nothing(self, capsys: Out) -> None:
        wqlib.compare("99-a", "done=9")
        out = capsys.readouterr().out
        assert out.startswith("99-a has not been asked yet.")
        assert "Take over" not in out

    def test_after_a_restart_the_guess_is_still_known(self, capsys: Out, restarted: Any) -> None:
        wqlib.predict(*ASKED)
        click(1)
        restarted()
        wqlib.compare("99-a", "done=9")
        assert "✗ You guessed 1, “Wait for ever”." in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
class TestProgress:
    def test_a_guess_is_shown_and_what_is_right_only_after_it_was_compared(
        self, capsys: Out, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(record.TITLES, "99", "A test")
        seen = []
        for step in (
            lambda: wqlib.predict(*ASKED),
            lambda: click(1),
            lambda: wqlib.compare("99-a", "done=9"),
        ):
            step()
            capsys.readouterr()
            wqlib.progress("99")
            seen.append(capsys.readouterr().out)
        assert seen == ["Predictions: ·\n", "Predictions: ?\n", "Predictions: ✗\n"]
        wqlib.progress()
        assert "99  A test                              predicted ✗\n" in capsys.readouterr().out

    def test_exercises_and_guesses_are_in_one_file(self, home: Path) -> None:
        record.note(next(iter(checks.exercises().values())), True)
        record.note_guess("99-a", OPTIONS, 2)
        content = json.loads((home / "progress.json").read_text())
        assert content["version"] == record.VERSION
        assert len(content["exercises"]) == len(content["predictions"]) == 1

    def test_a_guess_that_cannot_be_noted_is_told(self, home: Path) -> None:
        wqlib.predict(*ASKED)
        home.write_text("a file where the folder should be")
        click(1)
        assert "could not be noted" in ask._asked["99-a"]._choice._said.value
        wqlib.compare("99-a", "done=9")  # no error


@pytest.mark.usefixtures("folder")
class TestQuiz:
    def test_answers_by_numbers_get_feedback_and_a_score(self, capsys: Out) -> None:
        wqlib.quiz(1, [1, 1])
        assert capsys.readouterr().out == (
            "1. ✗ That is one too few.\n2. ✓ So it is.\n1 of 2 right\n"
        )

    def test_without_a_front_end_it_is_text(self, capsys: Out) -> None:
        wqlib.quiz(1)
        out = capsys.readouterr().out
        assert "1. What is `1 + 1`?\n  1. 1\n  2. 2\n\n2. What is 2 + 2?\n" in out
        assert "wqlib.quiz(1, [1, 1])" in out

    def test_each_click_gets_feedback_and_the_first_one_counts(self) -> None:
        quiz = quizzes.Quiz(1, data.questions(data.FOLDER / "quiz_1.toml"))
        first, second = quiz._choices
        for choice, number in ((first, 1), (first, 2), (second, 1)):
            choice._buttons[number - 1].click()
        assert "✓ So it is." in first._said.value
        assert "2 of 2 answered, 1 right at the first try." in quiz._score.value

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((3,), "There are 1 and 2"),
            ((2,), r"quiz_2\.toml cannot be read"),
            ((1, [1]), "has 2 questions, not 1"),
            ((1, [1, 3]), "Question 2 has no answer 3. Choose 1 to 2"),
            ((1, ["a", 1]), "Question 1 has no answer 'a'"),
        ],
    )
    def test_what_there_is_not_is_told(self, arguments: tuple[Any, ...], said: str) -> None:
        with pytest.raises(WqlibError, match=said):
            wqlib.quiz(*arguments)


def test_texts_are_shown_as_they_are() -> None:
    choice = Choice("Is <b> & `<i>` a tag?", ["`<b>`", "no"], lambda number: None)
    choice.show(0, "<script>")
    assert "&lt;b&gt; &amp; <code>&lt;i&gt;</code>" in choice.box.children[0].value
    assert choice._buttons[0].description == "○ 1. <b>"
    assert "&lt;script&gt;" in choice._said.value


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[99-a", "not TOML"),
            ("[98-a]", r'\[98-a\] of 99\.toml: call it "99-a"'),
            ("x = 1", 'call it "99-a"'),
            ("[99-a]\nright = 1", "its keys must be `right`, `because`, `pictures`"),
            (GOOD + "left = 1", "its keys must be"),
            (GOOD.replace("right = 2", "right = true"), "`right` is not of type int"),
            (GOOD.replace("right = 2", 'right = "2"'), "`right` is not of type int"),
            (GOOD.replace("right = 2", "right = 4"), "`right` is 4, and `pictures` has 3"),
            (GOOD.replace("right = 2", "right = 1"), 'only the picture of the right option is ""'),
            (GOOD.replace('because = "The', 'because = "" # '), "`because` is empty"),
            (GOOD.replace("pictures = [", 'pictures = "" # '), "`pictures` is not of type"),
            (GOOD.replace('"", ', "3, "), "`pictures` is not of type"),
        ],
    )
    def test_a_broken_file_is_told_with_what_is_wrong(
        self, folder: Path, text: str, said: str
    ) -> None:
        (folder / "99.toml").write_text(text)
        data.entries.cache_clear()
        with pytest.raises(WqlibError, match=said):
            wqlib.predict(*ASKED)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (QUIZ.replace("right = 2", "right = 3"), "question 1 of quiz_1.toml: `right` is 3"),
            (QUIZ.replace(', "So it is."', ""), "each option needs its `feedback`"),
            (QUIZ.replace('question = "What is 2', 'asked = "What is 2'), "question 2 of quiz_1"),
        ],
    )
    def test_a_broken_quiz_is_told_with_what_is_wrong(
        self, folder: Path, text: str, said: str
    ) -> None:
        (folder / "quiz_1.toml").write_text(text)
        data.questions.cache_clear()
        with pytest.raises(WqlibError, match=said):
            wqlib.quiz(1)

    @pytest.fixture(autouse=True)
    def read_anew(self) -> Iterator[None]:
        yield
        data.entries.cache_clear()
        data.questions.cache_clear()


# -- what the course has


def calls(path: Path, function: str) -> list[tuple[int, int, ast.Call]]:
    """The calls of a function of wqlib in a notebook: code cell, statement in it, the call."""
    found = []
    for at, cell in enumerate(cells(path, "code")):
        lines = cell["source"].splitlines()
        code = "\n".join(line for line in lines if not line.startswith(("!", "%")))
        for number, statement in enumerate(ast.parse(code).body):
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == f"wqlib.{function}":
                    found.append((at, number, node))
    return found


def ids(path: Path, function: str) -> list[Any]:
    """What the calls of a function are about: their first arguments."""
    return [ast.literal_eval(call.args[0]) for _, _, call in calls(path, function)]


@pytest.mark.parametrize("path", [*LEARNERS, *SOURCES], ids=name)
class TestNotebooks:
    def test_each_prediction_has_its_entry_and_each_entry_is_used(self, path: Path) -> None:
        mine = [name for name in data.known() if name[:2] == path.stem[:2]]
        assert ids(path, "predict") == ids(path, "compare") == mine

    def test_there_are_as_many_options_as_pictures(self, path: Path) -> None:
        for _, _, call in calls(path, "predict"):
            prediction, question, options = map(ast.literal_eval, call.args)
            assert len(options) == len(set(options)) == len(data.entry(prediction).pictures)
            assert question.endswith("?")

    def test_something_is_run_between_guess_and_comparison(self, path: Path) -> None:
        for asked, compared in zip(calls(path, "predict"), calls(path, "compare"), strict=True):
            next_cell = (asked[0] + 1, 0)
            assert compared[:2] > next_cell, ast.unparse(compared[2])

    def test_the_quizzes_are_at_the_end_of_each_half(self, path: Path) -> None:
        assert ids(path, "quiz") in ([], {"05": [1], "10": [2]}.get(path.stem[:2], []))


@pytest.mark.parametrize("number", [1, 2])
def test_the_quizzes_have_six_to_eight_questions_and_cannot_be_guessed(number: int) -> None:
    questions = data.questions(data.FOLDER / f"quiz_{number}.toml")
    assert 6 <= len(questions) <= 8
    right = [one.right for one in questions]
    assert max(map(right.count, right)) <= len(right) / 2
    for one in questions:
        assert len(set(one.options)) == len(one.options)
        assert len(set(one.feedback)) == len(one.feedback)


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "01" <= path.stem[:2] <= "10"], ids=name
)
def test_each_notebook_has_a_prediction(path: Path) -> None:
    assert calls(path, "predict")


def test_the_right_option_has_no_usual_place() -> None:
    right = [one.right for one in data.known().values()]
    assert all(right.count(place) >= len(right) / 6 for place in (1, 2, 3)), right


def test_in_a_kernel_that_is_used_from_a_program_outputs_are_constant(tmp_path: Path) -> None:
    """Two runs in which nobody guesses show the same, as strict nbval demands."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    (tmp_path / "99.toml").write_text(GOOD)
    setup = (
        "import pathlib, wqlib\nfrom wqlib.course.predictions import data\n"
        f"data.FOLDER = pathlib.Path({str(tmp_path)!r})"
    )
    sources = [setup, f"wqlib.predict{ASKED}", 'wqlib.compare("99-a", "done=9")']
    seen = []
    for _ in range(2):
        notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
        NotebookClient(notebook, timeout=60).execute()
        [[], [asked], [compared]] = [cell.outputs for cell in notebook.cells]
        assert "application/vnd.jupyter.widget-view+json" in asked.data
        seen.append((asked.data["text/plain"], compared.text))
    assert seen[0] == seen[1]
