"""The slides: what starts one, what is left out, and that they need no network."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
pytestmark = pytest.mark.site


@pytest.fixture(scope="module")
def slides() -> ModuleType:
    found = importlib.util.spec_from_file_location("slides", ROOT / ".ci" / "make_slides.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_long_texts_end_between_paragraphs_and_lists_fences_tables_stay_whole(
    slides: ModuleType,
) -> None:
    text = "## Title\n\nFirst.\n\nSecond:\n\n- a\n\n- b\n\n```\nx\n\ny\n```\n\nLast."
    assert slides.blocks(text) == [
        "## Title\n\nFirst.",
        "Second:\n\n- a\n\n- b",
        "```\nx\n\ny\n```",
        "Last.",
    ]
    assert "\n\n".join(slides.blocks(text)) == text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestSlides:
    def test_a_section_and_an_exercise_start_a_slide(self, slides: ModuleType, path: Path) -> None:
        notebook = slides.lay_out(nbformat.read(path, as_version=4))
        for cell in notebook.cells:
            kind = cell.metadata["slideshow"]["slide_type"]
            starts = re.match(r"#{1,2} |### Exercise", cell.source)
            if cell.cell_type == "markdown" and starts:
                assert kind == "slide"
            else:
                assert kind in ("-", "subslide")

    def test_no_hint_solution_or_check_is_on_them(self, slides: ModuleType, path: Path) -> None:
        notebook = slides.lay_out(nbformat.read(path, as_version=4))
        text = "\n".join(cell.source for cell in notebook.cells)
        assert "<details>" not in text
        assert "<summary>" not in text
        code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
        assert "wqlib.check(" not in code
        assert "wqlib.progress(" not in code

    def test_no_other_words_are_missing(self, slides: ModuleType, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        text = "\n\n".join(cell.source for cell in slides.lay_out(notebook).cells)
        for source in markdown:
            for paragraph in source.partition("<details>")[0].strip().split("\n\n"):
                assert paragraph in text

    def test_they_load_nothing_from_elsewhere(
        self, slides: ModuleType, path: Path, tmp_path: Path
    ) -> None:
        slides.export(path, tmp_path)
        text = (tmp_path / f"{path.stem}.html").read_text()
        loads = re.findall(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="([^"]+)"', text)
        assert "reveal.js/dist/reveal.js" in loads
        assert not [x for x in loads if "//" in x.partition(",")[0] or x.endswith(".svg")]
        assert not re.search(r"\bimport\b[^;\n]*https?://", text)
