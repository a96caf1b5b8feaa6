"""The checks of each notebook, on right, wrong and malicious answers and on mutants.

This is what fits into the tests: of exercises that touch Redis or the cluster, one answer of each
kind; of the others all, and a few mutants. `make check-exercises` tries everything.
"""

from __future__ import annotations

import mutants
import pytest
import selftest

from wqlib.course.checks import exercises
from wqlib.course.checks.exercise import TITLES, faults

COMPLETE = {one.notebook for one in exercises().values()} == set(TITLES)
needs_all_notebooks = pytest.mark.skipif(not COMPLETE, reason="a notebook has no exercises yet")

CELL = """\
def busy(items, most):
    # Say whether there are many.
    # solution:
    count = 0
    for item in items:
        if item.kind == "busy":
            count += 1
    return count < most
    # :solution


text = "one"  # blank: ...
print(busy([], 3))
"""


@pytest.fixture(scope="module")
def outcomes() -> list[selftest.Outcome]:
    return selftest.run(brief=True)


@pytest.mark.timeout(400)
def test_right_answers_pass_and_no_others(outcomes: list[selftest.Outcome]) -> None:
    assert [one for one in outcomes if not one.as_it_should_be] == []


@needs_all_notebooks
@pytest.mark.timeout(300)
def test_nine_of_ten_mutants_are_refused(outcomes: list[selftest.Outcome]) -> None:
    slow = {one.sample.exercise for one in outcomes if one.uses}
    shares = selftest.run_mutants(sorted(set(exercises()) - slow), most=(4, 0))
    assert [one.solution for one in shares if not one.solution.as_it_should_be] == []
    refused = sum(len(one.refused) for one in shares)
    survived = [outcome for one in shares for outcome in one.survived]
    assert refused >= selftest.LEAST_REFUSED * (refused + len(survived)), survived


@needs_all_notebooks
def test_most_exercises_touch_a_real_thing_and_many_are_break_and_fix(
    outcomes: list[selftest.Outcome],
) -> None:
    assert len({one.sample.exercise for one in outcomes if one.uses}) >= 22
    assert len(set(faults) & set(exercises())) >= 10


@needs_all_notebooks
def test_every_exercise_has_enough_samples() -> None:
    assert selftest.missing() == []


class TestMutants:
    def test_only_the_solution_is_changed_and_in_ways_of_all_kinds(self) -> None:
        made = mutants.mutants(CELL)
        assert {one.about for one in made} >= {
            "drop: count = 0",
            "return None in: return count < most",
            "count < most -> count <= most in: return count < most",
            "item.kind == 'busy' -> item.kind != 'busy' in: if item.kind == 'busy':",
            "'one' -> 'onex' in: text = 'one'",
            "Add -> Sub in: count += 1",
            "0 -> 1 in: count = 0",
        }
        assert all("print(busy([], 3))" in one.code for one in made)
        assert len({one.code for one in made}) == len(made)

    def test_they_are_the_same_each_time(self) -> None:
        assert mutants.mutants(CELL) == mutants.mutants(CELL)

    @pytest.mark.parametrize(
        ("right", "about"),
        [
            ("f(a, b)", "first two arguments swapped in: f(a, b)"),
            ("f(a, key=b)", "no key= in: f(a, key=b)"),
            ("x = min(a, b)", "min -> max in: x = min(a, b)"),
            ("x = {'a': 1, 'b': 2}", "'a' swapped with the next in: x = {'a': 1, 'b': 2}"),
            ("x = {'a': 1, 'b': 2}", "no 'b' in: x = {'a': 1, 'b': 2}"),
            ("x = (a, b)", "a swapped with the next in: x = (a, b)"),
            ("x = a and b", "and <-> or in: x = a and b"),
            ("x = 'FROM a\\nCOPY b\\n'", "no line: COPY b in: x = 'FROM a\\nCOPY b\\n'"),
            ("x = 'a: 1\\nb: 2\\n'", "line: b: 3 in: x = 'a: 1\\nb: 2\\n'"),
            ("try:\n    f()\nexcept Exception:\n    pass", "no try in: try:"),
        ],
    )
    def test_a_change(self, right: str, about: str) -> None:
        made = mutants.mutants(f"# solution:\n{right}\n# :solution\n")
        assert about in {one.about for one in made}

    @pytest.mark.parametrize(
        "right", ["time.sleep(1)", "f(wait_seconds=60)", "x = a[0]", "print(1, 2)", "import math"]
    )
    def test_what_would_mean_the_same_is_left_alone(self, right: str) -> None:
        made = mutants.mutants(f"# solution:\n{right}\n# :solution\n")
        assert not [one for one in made if " -> " in one.about and "x = a[1]" not in one.code]

    def test_the_answer_is_the_cell_without_its_marks(self) -> None:
        code = mutants.answer(CELL)
        assert 'text = "one"\n' in code
        assert "solution" not in code
