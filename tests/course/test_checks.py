"""How exercises are checked: by what answers are and do, whatever they pretend."""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import selftest

from wqlib.course import checks
from wqlib.course.checks import exercises, record
from wqlib.course.checks.answers import Answers, TimeUp, Wrong, time_limit
from wqlib.course.checks.exercise import Exercise
from wqlib.errors import WqlibError


class Yes:
    """Equal to everything."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


class MyInt(int):
    """A number of a type of the learner's own."""


def wrong(ask: Callable[[Answers], Any], **names: Any) -> str:
    """What an answer is told that is wrong."""
    with pytest.raises(Wrong) as caught, Answers(names) as answers:
        ask(answers)
    return str(caught.value)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class TestValues:
    def test_a_value_of_the_right_type_is_given(self) -> None:
        assert Answers({"x": 3}).value("x", int, float) == 3

    @pytest.mark.parametrize("names", [{}, {"x": ...}])
    def test_a_blank_is_told_to_be_blank(self, names: dict[str, Any]) -> None:
        assert wrong(lambda answers: answers.value("x", int), **names).startswith(
            "nothing here yet: `x` is still blank"
        )

    @pytest.mark.parametrize("value", [True, "3", 3.0, None, Yes(), MyInt(3), [3], int])
    def test_another_type_is_refused_with_both_types(self, value: Any) -> None:
        said = wrong(lambda answers: answers.value("x", int), x=value)
        assert "should be a whole number" in said
        assert type(value).__name__ in said

    def test_a_list_with_something_strange_deep_inside_is_refused(self) -> None:
        said = wrong(lambda answers: answers.value("x", dict), x={"a": [1, (2, Yes())]})
        assert "a Yes" in said

    def test_a_list_that_holds_itself_is_refused(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        assert "far larger" in wrong(lambda answers: answers.value("x", list), x=endless)


class TestCalls:
    def test_the_answer_of_a_function_is_given(self) -> None:
        assert Answers({"double": lambda x: 2 * x}).call("double", 21) == 42

    def test_what_is_no_function_is_told_so(self) -> None:
        assert "should be a function" in wrong(lambda answers: answers.call("x"), x=3)

    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), GeneratorExit(), TimeUp()])
    def test_whatever_it_raises_is_told(self, error: BaseException) -> None:
        def bad(x: int) -> int:
            raise error

        assert "`bad(1)`" in wrong(lambda answers: answers.call("bad", 1), bad=bad)

    def test_an_error_that_cannot_be_shown_is_told_too(self) -> None:
        class Silent(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        def bad() -> None:
            raise Silent

        assert "raised Silent." in wrong(lambda answers: answers.call("bad"), bad=bad)

    def test_an_endless_loop_is_ended(self) -> None:
        def endless() -> None:
            while True:
                try:
                    time.sleep(60)
                except Exception:
                    continue

        said = wrong(lambda answers: answers.call("endless", seconds=0.2), endless=endless)
        assert "did not end within 0.2 seconds" in said

    def test_an_answer_that_lies_about_itself_is_refused(self) -> None:
        assert "a Yes" in wrong(lambda answers: answers.call("f"), f=lambda: [Yes()])

    def test_a_function_left_blank_is_told_to_be_blank(self) -> None:
        assert "still blank" in wrong(lambda answers: answers.call("f"), f=lambda: ...)


def test_a_time_limit_inside_another_leaves_that_one_in_force() -> None:
    handler, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]

    def inner_then_outer() -> None:
        with time_limit(0.4):
            with time_limit(30):
                pass
            time.sleep(30)

    with pytest.raises(TimeUp):
        inner_then_outer()
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    assert 0 < left < timer if timer else left == 0  # that of pytest itself, if it has one
    assert signal.getsignal(signal.SIGALRM) is handler


def test_off_the_main_thread_there_is_no_limit_and_no_error() -> None:
    found: list[int] = []

    def inside() -> None:
        with time_limit(0.01):
            time.sleep(0.05)
            found.append(1)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [1]


def judged(judge: Callable[[Answers], str], **names: Any) -> checks.Verdict:
    return checks.judge(Exercise("99-1", "Test", judge), names)


class TestVerdicts:
    def test_right_wrong_and_not_to_be_judged(self) -> None:
        def broken(answers: Answers) -> str:
            raise KeyError("x")

        def no_cluster(answers: Answers) -> str:
            raise WqlibError("The cluster is away.")

        assert judged(lambda answers: "fine.") == checks.Verdict(True, "fine.")
        assert not judged(lambda answers: answers.value("x")).passed
        assert not judged(broken).judged
        assert judged(no_cluster).text == "this could not be checked. The cluster is away."

    def test_the_verdict_is_printed_and_noted(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        name = next(iter(exercises()))
        monkeypatch.setattr(checks, "_names", lambda: {})
        monkeypatch.setattr(
            checks, "judge", lambda exercise, names: checks.Verdict(False, "not yet.")
        )
        checks.check(name)
        assert capsys.readouterr().out.startswith(f"✗ {name} ")
        assert record.load()[name]["tries"] == 1
        checks.check("nonsense")
        assert "There is no exercise 'nonsense'" in capsys.readouterr().out

    def test_outside_of_a_notebook_it_says_where_it_belongs(self) -> None:
        with pytest.raises(WqlibError, match="run it in one"):
            checks.check(next(iter(exercises())))


class TestRecord:
    one = Exercise("99-1", "Test", lambda answers: "")

    def test_once_right_is_always_right(self) -> None:
        assert record.load() == {}
        for passed in (False, True, False):
            record.note(self.one, passed)
        noted = record.load()["99-1"]
        assert (noted["passed"], noted["tries"]) == (True, 2)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 7, "exercises": {}}', "\0"])
    def test_a_broken_file_is_put_aside(self, home: Path, content: str) -> None:
        home.mkdir()
        (home / "progress.json").write_text(content)
        assert record.load() == {}
        assert (home / "progress.json.broken").read_text() == content
        record.note(self.one, True)
        assert json.loads((home / "progress.json").read_text())["exercises"]["99-1"]["passed"]

    def test_notebooks_that_note_at_the_same_time_lose_nothing(self, home: Path) -> None:
        context = multiprocessing.get_context("spawn")
        all_of_them = [context.Process(target=_note_many, args=(n,)) for n in range(3)]
        for process in all_of_them:
            process.start()
        for process in all_of_them:
            process.join()
        assert len(record.load()) == 30
        assert {path.name for path in home.iterdir()} == {"progress.json", "progress.lock"}

    def test_a_folder_that_cannot_be_written_is_told_and_no_error(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        home.write_text("a file where the folder should be")
        monkeypatch.setattr(checks, "_names", lambda: {})
        monkeypatch.setattr(checks, "judge", lambda exercise, names: checks.Verdict(True, "yes."))
        checks.check(next(iter(exercises())))
        out = capsys.readouterr().out
        assert "✓" in out
        assert "could not be noted" in out

    def test_progress_shows_done_tried_and_not_yet(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first, second, *_ = exercises().values()
        record.note(first, True)
        record.note(second, False)
        checks.progress()
        out = capsys.readouterr().out
        assert f"1 of {len(exercises())} exercises done" in out
        assert "✓" in out
        assert "✗" in out
        checks.progress(first.notebook)
        assert f"✓ {first.id}  {first.title}" in capsys.readouterr().out


def _note_many(number: int) -> None:
    for i in range(10):
        record.note(Exercise(f"9{number}-{i}", "Test", lambda answers: ""), True)


class TestSamples:
    def test_every_exercise_has_samples_of_each_kind(self) -> None:
        found = selftest.samples()
        assert {one.exercise for one in found} == set(exercises())

    def test_an_unknown_exercise_is_told(self) -> None:
        with pytest.raises(WqlibError, match="There is no exercise or notebook '99-9'"):
            selftest.samples(["99-9"])

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("# %% 02-1 rihgt\n", "no head of a sample"),
            ("# %% 02-1 right\nx\n", "0 wrong sample answers"),
            ("# %% 04-1 right\nx\n", "no head of a sample"),
        ],
    )
    def test_a_bad_sample_file_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
    ) -> None:
        (tmp_path / "02.py").write_text(text)
        monkeypatch.setattr(selftest, "SAMPLES", tmp_path)
        with pytest.raises(WqlibError, match=said):
            selftest.samples(["02-1"])

    def test_a_check_that_takes_everything_is_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Samples whose kinds are wrong stand for checks that misjudge."""
        first = next(one for one in selftest.samples() if one.kind == "right")
        head = f"# %% {first.exercise}"
        cells = [f"{head} right\n"]  # blank is not right
        cells += [f"{head} {kind}: {n}\n" for kind in ("wrong", "malicious") for n in range(3)]
        cells += [f"{head} wrong: kills its process\nimport os\nos._exit(0)\n"]
        (tmp_path / f"{first.exercise[:2]}.py").write_text("".join(cells))
        monkeypatch.setattr(selftest, "SAMPLES", tmp_path)
        assert selftest.main([first.exercise]) == 1
        out = capsys.readouterr().out
        assert f"FAIL {first.exercise} right" in out
        assert "the process ended without a verdict" in out
        assert "misjudged=2" in out
