"""Make reveal.js slides of the learner's notebooks: build/slides/index.html.

A `##` heading starts a slide, an exercise has one of its own, and what is long goes on below
(press the down key). Hints, solutions and checks are left out. Nothing is executed.
"""

from __future__ import annotations

import html
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import sphinx_revealjs
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
LINES = 15  # on one slide
CHARACTERS = 95  # on one of its lines


def blocks(text: str) -> list[str]:
    """Markdown in pieces between which a slide may end: fences, lists and tables stay whole."""
    found: list[str] = []
    fenced = False
    for piece in text.split("\n\n"):
        after_heading = found and re.fullmatch(r"#+ .*", found[-1])
        if fenced or after_heading or (found and re.match(r"- |\d+\. |\|", piece)):
            found[-1] += f"\n\n{piece}"
        else:
            found.append(piece)
        fenced ^= piece.count("```") % 2 == 1
    return found


def lines(cell: NotebookNode) -> float:
    """About how many lines of a slide a cell takes."""
    taken = 1.0
    for line in cell.source.splitlines():
        taken += 1 + len(line) // CHARACTERS if line.strip() else 0.5
    if "![" in cell.source:
        taken += LINES / 2
    for output in cell.get("outputs", []):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        taken += LINES if "image/png" in output.get("data", {}) else 1 + text.count("\n")
    return taken


def shown(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """The cells that are on slides, long texts in pieces."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = cell.source.partition("<details>")[0].strip()
            for block in [text] if text.startswith("# ") else blocks(text):
                if block:
                    yield nbformat.v4.new_markdown_cell(block)
            continue
        tags = cell.metadata.get("tags", [])
        if "check" in tags or cell.source.startswith("wqlib.progress("):
            continue
        # A widget needs a kernel; the picture after it shows the same.
        cell.outputs = [
            output
            for output in cell.outputs
            if "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
        ]
        yield cell


def lay_out(notebook: NotebookNode) -> NotebookNode:
    """Say of each cell where on the slides it is."""
    cells = list(shown(notebook))
    taken = 0.0
    for before, cell in itertools.pairwise([None, *cells]):
        heading = cell.cell_type == "markdown" and re.match(r"#{1,2} |### Exercise", cell.source)
        kind = "slide" if heading or before is None else "-"
        if kind == "-" and taken + lines(cell) > LINES:
            kind = "subslide"
        taken = lines(cell) + (taken if kind == "-" else 0)
        cell.metadata["slideshow"] = {"slide_type": kind}
    notebook.cells = cells
    notebook.metadata.pop("widgets", None)
    return notebook


def export(path: Path, folder: Path) -> str:
    """Write the slides of one notebook.

    Returns:
        Its title.
    """
    exporter = SlidesExporter(
        raw_template=(ROOT / "site" / "slides.html.j2").read_text(),
        reveal_url_prefix="reveal.js",
        reveal_theme="white",
        embed_images=True,
    )
    notebook = lay_out(nbformat.read(path, as_version=4))
    title = re.match(r"# (.*)", notebook.cells[0].source)
    notebook.metadata["title"] = title[1] if title else path.stem
    where = {"metadata": {"name": path.stem, "path": str(path.parent)}}
    text, _ = exporter.from_notebook_node(notebook, where)
    (folder / f"{path.stem}.html").write_text(text)
    return str(notebook.metadata["title"])


def main() -> None:
    folder = ROOT / "build" / "slides"
    shutil.rmtree(folder, ignore_errors=True)
    source = Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs"
    for name in ("dist", "plugin/notes"):
        shutil.copytree(source / name, folder / "reveal.js" / name)
    links = []
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        title = export(path, folder)
        links.append(f'<li><a href="{path.stem}.html">{html.escape(title)}</a></li>')
        print(f"build/slides/{path.stem}.html", flush=True)
    (folder / "index.html").write_text(
        '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Slides</title>\n'
        '<body style="font: 1.3em/1.8 system-ui, sans-serif; margin: 3em auto; max-width: 40em">\n'
        "<h1>Parallel work on Kubernetes, by doing</h1>\n<p>Keys: arrows; S for the speaker's view;"
        " O for all slides; F for the whole screen.</p>\n<ul>\n" + "\n".join(links) + "\n</ul>\n"
    )


if __name__ == "__main__":
    main()
