"""The committed outputs: all cells were run, and enough of what they said is compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import ALL, cells, compared, name


@pytest.mark.parametrize("path", ALL, ids=name)
class TestOutputs:
    def test_every_code_cell_was_executed_in_order_without_an_error(self, path: Path) -> None:
        found = cells(path, "code")
        assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
        for cell in found:
            assert {output["output_type"] for output in cell["outputs"]} <= {
                "stream",
                "display_data",
                "execute_result",
            }
            assert "stderr" not in {output.get("name") for output in cell["outputs"]}

    def test_at_least_eight_outputs_are_compared(self, path: Path) -> None:
        assert len(list(compared(path))) >= 8
