"""The built site, as `make site` left it: whole, usable without a network, readable for everybody.

`make site` runs these tests after it has built the site. They need its packages.
"""

from __future__ import annotations

import functools
import itertools
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
PAGES = [
    page
    for page in sorted(SITE.rglob("*.html"))
    if "_static" not in page.parts and page.name != "search.html"
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
pytestmark = pytest.mark.site


class Page(HTMLParser):
    """What is looked at in a page: links, what it loads, pictures, ids, the article's headings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.in_article = False
        self.links: list[str] = []
        self.loads: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.headings: list[int] = []
        self.ids: set[str | None] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids.add(found.get("id"))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(found["href"] or "")
        if tag in ("script", "img", "iframe") and found.get("src"):
            self.loads.append(found["src"] or "")
        if tag == "img":
            self.pictures.append(found)
        if tag == "article":
            self.in_article = True
        if self.in_article and re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self.in_article = False


@functools.cache
def read(path: Path) -> Page:
    return Page(path)


def test_the_site_has_a_page_for_every_notebook_and_document() -> None:
    names = {page.relative_to(SITE).with_suffix("").as_posix() for page in PAGES}
    sources = [*NOTEBOOKS, *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    assert names >= {path.relative_to(ROOT).with_suffix("").as_posix() for path in sources}
    assert "index" in names
    assert not [name for name in names if "solutions" in name]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(SITE).as_posix())
class TestPages:
    def test_it_loads_nothing_from_elsewhere(self, path: Path) -> None:
        assert not [x for x in read(path).loads if urlsplit(x).netloc]

    def test_its_links_within_the_site_lead_somewhere(self, path: Path) -> None:
        for link in read(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{link} leads nowhere"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in read(target).ids, f"{link} is not on that page"

    def test_every_picture_has_words_for_those_who_do_not_see_it(self, path: Path) -> None:
        for picture in read(path).pictures:
            assert " " in (picture.get("alt") or ""), picture

    def test_headings_nest(self, path: Path) -> None:
        headings = read(path).headings
        assert headings.count(1) == 1
        for above, below in itertools.pairwise(headings):
            assert below <= above + 1, headings


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_hints_and_solutions_are_closed(notebook: Path) -> None:
    text = (SITE / "notebooks" / f"{notebook.stem}.html").read_text()
    hints = notebook.read_text().count("<details>")
    assert text.count("<details>") == hints
    assert text.count("</details>") == hints
    assert "<details open" not in text


@pytest.mark.parametrize(
    ("link", "stops"), [("[here](#start)", False), ("[nowhere](notebooks/nowhere.ipynb)", True)]
)
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path, link: str, stops: bool) -> None:
    shutil.copytree(ROOT / "site", tmp_path / "site")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    pages = "docs/queue.md docs/more.md notebooks/0.md site/files.md CHANGELOG.md"
    pages += " localcluster/README.md localcluster/docs/more.md"
    for name in pages.split():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("# Page\n")
    (tmp_path / "README.md").write_text(f"# Start\n\n{link}\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "site", ".", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode != 0) == stops, done.stderr
    assert ("nowhere.ipynb" in done.stderr) == stops
