"""The diagrams: well-formed, small, told in words, and of no other file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[2] / "notebooks/images"
SVG = "{http://www.w3.org/2000/svg}"
DIAGRAMS = sorted(IMAGES.glob("*.svg"))


def test_there_is_a_diagram_for_each_idea() -> None:
    ideas = {"job", "lease", "node", "parts", "restart", "service", "zombie"}
    assert {path.stem for path in DIAGRAMS} == ideas


@pytest.mark.parametrize("path", DIAGRAMS, ids=lambda path: path.stem)
class TestDiagrams:
    def test_it_says_what_it_shows(self, path: Path) -> None:
        root = ET.parse(path).getroot()
        assert root.tag == f"{SVG}svg"
        told = {name: root.find(f"{SVG}{name}") for name in ("title", "desc")}
        assert all(one is not None and " " in (one.text or "") for one in told.values())
        ids = [one.get("id") for one in told.values() if one is not None]
        assert (root.get("aria-labelledby") or "").split() == ids

    def test_it_needs_nothing_else(self, path: Path) -> None:
        text = path.read_text("utf-8")
        assert len(text.encode()) < 6_000
        assert not re.findall(r"<(?:script|image|use|foreignObject)|@import|href", text)
        assert {"http://www.w3.org/2000/svg"} == set(re.findall(r"https?://[^\"' )]+", text))
        assert set(re.findall(r"url\((.*?)\)", text)) <= {"#head"}

    def test_its_text_is_readable_beside_the_text_of_a_page(self, path: Path) -> None:
        """Shown 600 pixels wide, no letter is smaller than 11 pixels."""
        root = ET.parse(path).getroot()
        assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
        text = path.read_text("utf-8")
        sizes = re.findall(r'font-size(?:: |=")(\d+)|font: (\d+)px', text)
        smallest = min(int(one or other) for one, other in sizes)
        assert smallest * 600 / int(root.get("width") or 0) >= 11
        fonts = re.findall(r"(?:font-family=\"|font: \d+px )([\w, -]*[\w])", text)
        assert set(fonts) <= {"system-ui, sans-serif", "ui-monospace, monospace"}

    def test_a_card_lies_under_it_in_light_and_dark(self, path: Path) -> None:
        text = path.read_text("utf-8")
        assert re.search(r'<rect class="card" x="0.5" y="0.5"', text)
        assert "@media (prefers-color-scheme: dark)" in text
