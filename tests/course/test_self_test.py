"""The checks of each notebook, on right, wrong and malicious answers."""

from __future__ import annotations

import pytest
import selftest

from wqlib.course.checks import exercises


@pytest.mark.timeout(300)
@pytest.mark.parametrize("notebook", sorted({one.notebook for one in exercises().values()}))
def test_right_answers_pass_and_no_others(notebook: str) -> None:
    outcomes = selftest.run([notebook])
    assert [one for one in outcomes if not one.as_it_should_be] == []
    assert len(outcomes) >= 5
