"""The built site, as `make site` left it: whole, usable without a network, readable for everybody.

`make site` runs these tests after it has built the site. They need its packages.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from stories import T0, Story

from wqlib.events import Event
from wqlib.history import History, Reading
from wqlib.history.tape import Tape

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
    assert text.count("</details>") == text.count("<details")
    assert "<details open" not in text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_happened_is_closed_while_the_reader_guesses(notebook: Path) -> None:
    text = (SITE / "notebooks" / f"{notebook.stem}.html").read_text()
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    compared = sum("wqlib.compare(" in "".join(cell["source"]) for cell in cells)
    assert text.count("Show what happened") == compared


@pytest.mark.parametrize(
    ("link", "stops"), [("[here](#start)", False), ("[nowhere](notebooks/nowhere.ipynb)", True)]
)
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path, link: str, stops: bool) -> None:
    shutil.copytree(ROOT / "site", tmp_path / "site")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    pages = (
        "docs/queue.md docs/glossary.md docs/more.md notebooks/0.md site/files.md site/replay.md"
    )
    pages += " CHANGELOG.md localcluster/README.md localcluster/docs/more.md"
    for name in pages.split():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("# Page\n")
    (tmp_path / "README.md").write_text(f"# Start\n\n{link}\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "site", ".", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode != 0) == stops, done.stderr
    assert ("nowhere.ipynb" in done.stderr) == stops


# -- the player of recorded runs

SOURCES = (("style", "site/style.css"), ("script", "site/replay.js"))
COUNTS = ("done", "leased", "pending", "dead", "expired")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
with_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Player:
    """A recorded run on its page, opened from a file, with the network cut off."""

    def __init__(
        self, browser: Browser, run: str, page: Path = SITE / "site/replay.html", **options: Any
    ) -> None:
        self.asked: list[str] = []
        self.errors: list[str] = []
        context = browser.new_context(offline=True, **options)
        self.page = context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(page.as_uri())
        self.box = self.page.locator(f'.wq-replay[data-run="{run}"]')
        self.slider = self.box.get_by_role("slider")
        self.button = self.box.get_by_role("button")

    def counts(self) -> dict[str, int]:
        return {
            name: int(self.box.locator(f'[data-count="{name}"]').inner_text()) for name in COUNTS
        }

    def seconds(self) -> float:
        return float(self.box.locator(".clock").inner_text().split()[0])


@with_browser
@pytest.mark.parametrize("run", ["clean", "killed", "scaled"])
def test_the_player_counts_what_the_history_counts(browser: Browser, run: str) -> None:
    player, tape = Player(browser, run), Tape.of(run)
    player.slider.press("Home")
    for second in range(int(tape.seconds) + 1):
        counts = tape.until(second).counts
        assert player.counts() == {name: getattr(counts, name) for name in COUNTS}, second
        player.slider.press("ArrowRight")
    player.slider.press("End")
    counts = tape.until(tape.seconds).counts
    assert player.counts() == {name: getattr(counts, name) for name in COUNTS}
    assert not player.errors
    assert {urlsplit(url).scheme for url in player.asked} == {"file"}


@with_browser
@pytest.mark.parametrize(
    ("page", "run"), [("05_run_the_job", "clean"), ("06_when_pods_die", "killed")]
)
def test_a_notebook_s_page_plays_a_run_by_keyboard(browser: Browser, page: str, run: str) -> None:
    player = Player(browser, run, SITE / f"notebooks/{page}.html")
    player.slider.press("Space")  # at the end: it begins again
    expect(player.button).to_have_text("Pause")
    player.page.wait_for_function(
        "box => box.querySelector('[data-count=done]').innerText > 1",
        arg=player.box.element_handle(),
    )
    player.slider.press("Space")
    expect(player.button).to_have_text("Play")
    stopped_at = player.seconds()
    player.slider.press("ArrowRight")
    assert player.seconds() == pytest.approx(stopped_at + 1, abs=0.11)
    player.button.press("Enter")
    expect(player.button).to_have_text("Pause")
    player.button.press("Space")
    expect(player.button).to_have_text("Play")
    assert not player.errors


@with_browser
def test_the_player_tells_what_happens(browser: Browser) -> None:
    player = Player(browser, "killed")
    aloud = player.box.get_by_role("status")
    assert aloud.get_attribute("aria-live") == "polite"
    player.slider.press("Home")
    expect(aloud).to_contain_text("0 done, 0 leased, 48 waiting")
    for _ in range(9):
        player.slider.press("ArrowRight")
    expect(aloud).to_contain_text(re.compile(r"9\.0 s: \d+ done.* was killed; it held \w+\."))
    expect(player.box.locator("svg.picture")).to_have_attribute("aria-label", re.compile("done"))
    lost = Tape.of("killed").until(9).counts.expired
    assert player.box.locator("svg.picture .bar.expire").count() == lost == 1


@with_browser
def test_who_wants_less_motion_sees_a_step_a_second(browser: Browser) -> None:
    player = Player(browser, "clean", reduced_motion="reduce")
    seen = player.box.evaluate_handle("""box => {
        const place = box.querySelector('.clock'), seen = [];
        new MutationObserver(() => seen.push(parseFloat(place.innerText)))
            .observe(place, {childList: true});
        return seen;
    }""")
    player.button.click()
    player.page.wait_for_function("seen => seen.length > 2", arg=seen)
    steps = [b - a for a, b in itertools.pairwise(seen.json_value())]
    assert min(steps) > 0.8


def eventful() -> History:
    """Everything that may be in a recording."""
    a, b, c, d = (f"job-wq-2-{letter * 5}" for letter in "abcd")
    story = Story().put(0, 3).pod(0.1, "running", a, node="worker-2").lease(0.2, f"1-1@{a}")
    story = story.clear(0.5).put(0.6, 6)
    for pod, node in ((b, "worker-2"), (c, "worker-1"), (d, "worker-2")):
        story = story.pod(1, "pending", pod, node=node).pod(1.4, "running", pod, node=node)
    story = (
        story.lease(2, f"1-1@{a}", "<b>fig</b>", 3)
        .lease(2, f"2-1@{b}", "</script><script>throw 1</script>", 9)
        .lease(2, f"3-1@{c}", "date", 9)
        .pod(3, "failed", a, reason="exit code 137")
        .fail(3, f"2-1@{b}")
        .lease(3.2, f"2-2@{b}")
        .renew(4, f"2-2@{b}")
        .dead(5, f"2-2@{b}")
        .pod(5, "terminating", c, reason="EvictionByEvictionAPI")
        .release(5.5, f"3-1@{c}")
        .pod(5.6, "deleted", c)
        .lease(6, f"3-2@{b}")
        .expire(6, f"1-1@{a}")
        .lease(6, f"1-2@{d}")
        .pod(7, "restarting", d, reason="Error")
        .requeue(8, 1)
        .complete(8, f"3-2@{b}")
    )
    history = story.history()
    history.add([Reading(T0 + 9, pending=4, leased=1, done=2, expired=1), Event("drop", T0 + 9.5)])
    return history


@with_browser
def test_whatever_is_recorded_is_counted_and_drawn(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks/recordings"
    folder.mkdir(parents=True)
    eventful().save(folder / "eventful.jsonl")
    conf = runpy.run_path(str(ROOT / "site/conf.py"))
    conf["player"].__globals__["ROOT"] = tmp_path
    box = conf["player"]("eventful").strip("`").removeprefix("{raw} html")
    page = tmp_path / "page.html"
    files = "".join(f"<{tag}>{(ROOT / name).read_text()}</{tag}>" for tag, name in SOURCES)
    page.write_text(f"<!doctype html><meta charset=utf-8>{box}{files}")
    player, tape = Player(browser, "eventful", page), Tape.of(folder / "eventful.jsonl")
    player.slider.press("Home")
    for second in range(int(tape.seconds) + 1):
        counts = tape.until(second).counts
        assert player.counts() == {name: getattr(counts, name) for name in COUNTS}, second
        player.slider.press("ArrowRight")
    assert not player.errors
    words = player.box.inner_text()
    for word in ("evicted", "restarted", "killed", "released", "failed", "dead"):
        assert word in words
    lanes = player.box.locator("svg.picture .lane + text").all_text_contents()
    assert lanes == ["ccccc · worker-1", "aaaaa · worker-2", "bbbbb · worker-2", "ddddd · worker-2"]
