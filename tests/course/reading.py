"""The notebooks as the tests of the course read them: cells, prose, links."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COURSE = ROOT / "notebooks"
SOLUTIONS = COURSE / "solutions"
LEARNERS = sorted(COURSE.glob("*.ipynb"))
SOURCES = sorted(SOLUTIONS.glob("*.ipynb"))
ALL = [*LEARNERS, *SOURCES]

_HIDDEN = re.compile(r"<details>.*?</details>", re.DOTALL)
_FENCED = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def name(path: Path) -> str:
    """How a test calls a notebook."""
    return path.stem if path.parent == COURSE else f"solution-{path.stem}"


def cells(path: Path, kind: str = "") -> list[dict[str, Any]]:
    """The cells of a notebook: all, or those of a kind, each with its source as one text."""
    found = json.loads(path.read_text("utf-8"))["cells"]
    for cell in found:
        cell["source"] = "".join(cell["source"])
        cell["tags"] = cell["metadata"].get("tags", [])
    return [cell for cell in found if kind in ("", cell["cell_type"])]


def texts(path: Path) -> str:
    """All that is written between the code, hints and all."""
    return "\n\n".join(cell["source"] for cell in cells(path, "markdown"))


def prose(path: Path) -> str:
    """What is read from top to bottom: no collapsed hints, code or tables."""
    text = _FENCED.sub("", _HIDDEN.sub("", texts(path)))
    text = re.sub(r"^ *\|.*$", "", text, flags=re.MULTILINE)
    text = _LINK.sub(lambda match: match[0][1 : match[0].rindex("](")], _IMAGE.sub("", text))
    return re.sub(r"<[^>]+>", "", text)


def words(text: str) -> list[str]:
    """The words of a text, with what is code in them as one."""
    return re.findall(r"[^\W\d_][\w'’-]*", re.sub(r"`[^`]*`", "code", text))


def links(path: Path) -> list[str]:
    """The targets of all links."""
    return [match[1] for match in _LINK.finditer(_FENCED.sub("", texts(path)))]


def images(path: Path) -> list[tuple[str, str]]:
    """Alt text and file of all images."""
    return [(match[1], match[2]) for match in _IMAGE.finditer(texts(path))]


def headings(path: Path) -> list[tuple[int, str]]:
    """Level and text of all headings."""
    found = re.findall(r"^(#+) (.*)$", _FENCED.sub("", texts(path)), re.MULTILINE)
    return [(len(marks), said) for marks, said in found]


def compared(path: Path) -> Iterator[str]:
    """The outputs that nbval compares: text, of cells that are not left out."""
    for cell in cells(path, "code"):
        if not {"nbval-ignore-output", "nbval-skip"} & set(cell["tags"]):
            for output in cell["outputs"]:
                data = output.get("data", {})
                if "image/png" in data or "application/vnd.jupyter.widget-view+json" in data:
                    continue
                text = "".join(output.get("text") or data.get("text/plain") or "").strip()
                if text:
                    yield text
