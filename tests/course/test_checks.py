"""How exercises are checked: by what answers are and do, whatever they pretend."""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
import selftest

from wqlib.cluster import Cluster
from wqlib.course import checks, job_manifest
from wqlib.course.checks import exercises, record
from wqlib.course.checks.answers import Answers, Blank, TimeUp, Wrong, time_limit
from wqlib.course.checks.exercise import Exercise
from wqlib.course.checks.plain import counted, shown, shown_call
from wqlib.errors import ClusterError, WqlibError
from wqlib.events import Event


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


class Point(NamedTuple):
    x: int
    y: int


class TestValues:
    @pytest.mark.parametrize(
        ("value", "types", "meant"),
        [
            (3, (int, float), 3),
            (3, (float,), 3),
            (numpy.int64(3), (int,), 3),
            (numpy.float32(0.5), (float,), 0.5),
            (numpy.bool_(True), (bool,), True),
            (numpy.arange(3), (list,), [0, 1, 2]),
            ([numpy.int8(1)], (list,), [1]),
            ((1, 2), (list,), [1, 2]),
            ([1, 2], (tuple,), (1, 2)),
            (Point(1, 2), (list,), [1, 2]),
            (range(3), (list,), [0, 1, 2]),
            (deque([1]), (list,), [1]),
            ({"a": 1}.keys(), (list,), ["a"]),
            (Counter("aab"), (dict,), {"a": 2, "b": 1}),
            (defaultdict(list, a=[(1, 2)]), (dict,), {"a": [(1, 2)]}),
            (OrderedDict(a=1), (dict,), {"a": 1}),
            (["a", "b"], (set,), {"a", "b"}),
            (frozenset("a"), (set,), {"a"}),
            (None, (int, type(None)), None),
        ],
    )
    def test_what_means_the_same_is_given_as_the_type_asked_for(
        self, value: Any, types: tuple[type, ...], meant: Any
    ) -> None:
        found = Answers({"x": value}).value("x", *types)
        assert found == meant
        assert type(found) is type(meant)

    @pytest.mark.parametrize("names", [{}, {"x": ...}, {"x": [1, ...]}])
    def test_a_blank_is_told_to_be_blank(self, names: dict[str, Any]) -> None:
        with pytest.raises(Blank, match=r"^nothing here yet: `x`"):
            Answers(names).value("x", int, list)

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (["a", "a"], set),
            (numpy.longdouble(1), float),
            (numpy.array([Yes()], dtype=object), list),
            (defaultdict(list, a=Yes()), dict),
            (type("float64", (numpy.float64,), {"item": lambda self: 3.0})(1), float),
            (type("Mine", (dict,), {"items": lambda self: []})(a=1), dict),
            (True, float),
            (b"a", str),
        ],
    )
    def test_what_means_something_else_or_may_lie_is_refused(self, value: Any, kind: type) -> None:
        assert wrong(lambda answers: answers.value("x", kind), x=value)

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
        def documented(x: int) -> None:
            """As in the notebook."""
            ...

        def passes(x: int) -> None:
            pass

        for function in (lambda x: ..., documented, passes):
            with pytest.raises(Blank, match="`f` is still blank"):
                Answers({"f": function}).call("f", 1)

    def test_a_function_that_does_something_is_not_blank(self) -> None:
        def prints(x: int) -> None:
            print(x)

        assert Answers({"f": prints}).call("f", 1) is None
        assert Answers({"f": lambda: 0}).call("f") == 0
        said = wrong(lambda answers: answers.call("f", [1] * 99, returns=(int, float)), f=prints)
        assert said.startswith(
            "`f([1, 1, 1, 1, 1, 1, 1, 1, … 91 more])` returned nothing (`None`), and should return "
            "a whole number or a number."
        )

    def test_the_answer_is_given_as_the_type_asked_for(self) -> None:
        found = Answers({"f": lambda: numpy.float64(2)}).call("f", returns=(float,))
        assert type(found) is float
        assert "`f()` returned is '2', a str, and should be a number" in wrong(
            lambda answers: answers.call("f", returns=(float,)), f=lambda: "2"
        )


def _square(item: bytes) -> int:
    return int(item) ** 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (_square, "square"),
        (len, "len"),
        (lambda x: x, "a lambda"),
        (0.1 + 0.2, "0.3"),
        ((1,), "(1,)"),
        (set(), "set()"),
        ({}, "{}"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        (list(range(30)), "[0, 1, 2, 3, 4, 5, 6, 7, … 22 more]"),
        ("x" * 99, f"'{'x' * 38}'…"),
        (numpy.int64(3), "3"),
        (Event("complete", 1.0, "", "5-1@pod-a", 5, 1, "pod-a"), "Event(complete, item 5, pod-a)"),
        (Event("put", 1.0, count=4), "Event(put)"),
        (Yes(), "a Yes"),
        ([Yes()], "[…]"),
    ],
)
def test_a_value_is_shown_readably(value: Any, said: str) -> None:
    assert shown(value) == said


def test_a_call_is_shown_readably() -> None:
    assert shown_call("work", [1] * 50, _square) == f"work([{'1, ' * 8}… 42 more], square)"
    assert len(shown({"a" * 50: {"b": ["c" * 99] * 9}})) < 125


def test_a_number_and_its_noun_agree() -> None:
    assert counted(1, "tile is", "tiles are") == "1 tile is"
    assert counted(1200, "tile is", "tiles are") == "1,200 tiles are"


@pytest.fixture(scope="class")
def cluster() -> Iterator[Cluster]:
    with selftest.a_cluster_of_our_own() as cluster:
        yield cluster


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            ("spec.template", None, "template"),
            ("spec.template.spec.restartPolicy", "Sometimes", "restartPolicy"),
            ("spec.template.spec.containers", [], "containers"),
            ("spec.parallelism", "two", "parallelism"),
            ("metadata", 3, "`metadata` has fields, such as"),
            ("kind", None, "this one lacks kind"),
        ],
    )
    def test_a_refusal_is_told_in_words(
        self, cluster: Cluster, path: str, value: Any, said: str
    ) -> None:
        manifest = job_manifest()
        *way, last = path.split(".")
        part: Any = manifest
        for name in way:
            part = part[name]
        part[last] = value
        told = wrong(lambda answers: answers.dry_run(manifest), cluster=cluster)
        assert told.startswith("Kubernetes would not take this: ")
        assert said in told
        assert "pydantic" not in told
        assert "HTTP" not in told
        with pytest.raises(ClusterError) as caught:
            cluster.apply(manifest)
        assert "pydantic" not in str(caught.value)

    def test_a_manifest_is_taken_whether_there_is_such_an_object_or_not(
        self, cluster: Cluster
    ) -> None:
        with Answers({"cluster": cluster}) as answers:
            answers.dry_run(job_manifest())
            assert answers.find("job/job-wq-2") is None
            cluster.apply(job_manifest())
            answers.dry_run(job_manifest())


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
        assert judged(lambda answers: answers.value("x")).blank
        assert not judged(lambda answers: answers.value("x", int), x="3").blank
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
        blank = checks.Verdict(False, "nothing here yet.", blank=True)
        monkeypatch.setattr(checks, "judge", lambda exercise, names: blank)
        checks.check(name)
        assert capsys.readouterr().out.startswith(f"· {name} ")
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
    def test_every_exercise_has_samples(self) -> None:
        assert {one.exercise for one in selftest.samples()} == set(exercises())

    def test_an_unknown_exercise_is_told(self) -> None:
        with pytest.raises(WqlibError, match="There is no exercise or notebook '99-9'"):
            selftest.samples(["99-9"])

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("# %% 02-1 rihgt\n", "no head of a sample"),
            ("# %% 04-1 right\nx\n", "no head of a sample"),
            ("# %% 02-1 equivalent\n# 1 -> 2\n", "does not say why"),
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
        assert selftest.main([first.exercise, "--no-mutants"]) == 1
        out = capsys.readouterr().out
        assert f"FAIL {first.exercise} has 1 right sample answers, and needs 3" in out
        assert f"FAIL {first.exercise} right" in out
        assert "the process ended without a verdict" in out
        assert "misjudged=2" in out

    def test_a_check_that_takes_mutants_is_found(self) -> None:
        taken = [selftest.Outcome(_mutant(number), True, "") for number in range(2)]
        refused = [selftest.Outcome(_mutant(number), False, "") for number in range(10)]
        solution = selftest.Outcome(replace(_mutant(0), kind="solution"), True, "")
        assert selftest.Share("02-1", solution, tuple(refused[:9]), tuple(taken[:1])).enough
        assert not selftest.Share("02-1", solution, tuple(refused), tuple(taken)).enough
        assert not selftest.Share("02-1", solution, tuple(refused), unknown=("1 -> 2",)).enough
        assert not selftest.Share("02-1", replace(solution, passed=False)).enough


def _mutant(number: int) -> selftest.Sample:
    return selftest.Sample("02-1", "mutant", str(number), "", "")
