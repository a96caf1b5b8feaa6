"""The built site: `make site` makes pages of the notebooks, docs/ and the README in build/site.

The source folder is the project itself, so that a link in a page leads to the same file here, on a
code host and on the site. Nothing is executed: the pages show the outputs that the notebooks hold.
The solution notebooks are left out; each exercise has its own solution, collapsed.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "Parallel work on Kubernetes, by doing"
author = "the authors of wqlib"
copyright = "the authors of wqlib, Apache-2.0"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
language = "en"

extensions = ["myst_nb"]
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "localcluster/*.md",
    "localcluster/docs/*.md",
    "notebooks/[0-9]*.ipynb",
    "notebooks/*.md",
    "site/*.md",
]
suppress_warnings = ["config.cache"]

nb_execution_mode = "off"
# A widget needs a kernel: its text takes its place. So no page needs a script from elsewhere.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_render_image_options = {"alt": "What this cell drew; the text beside it describes it."}
nb_code_prompt_show = "Show what happened"
nb_code_prompt_hide = "Hide what happened"
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "Parallel work on Kubernetes"
html_static_path = ["style.css", "replay.js"]
html_css_files = ["style.css"]
html_use_index = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_fullscreen_button": False,
}

# Where a page of the site stands for a folder, to which a page cannot link.
FOLDERS = {
    "notebooks/solutions": "site/files.md#the-solutions",
    "notebooks/manifests": "site/files.md#the-manifests",
    "notebooks/worker": "site/files.md#the-worker",
    "wqlib/queue/lua": "site/files.md#the-queue-s-scripts",
}
# Where a notebook's live view stands still, a recorded run plays.
RECORDINGS = {"notebooks/05_run_the_job": "clean", "notebooks/06_when_pods_die": "killed"}
LANGUAGES = {"": "docker", ".lua": "lua", ".py": "python", ".yaml": "yaml"}
WATCH = "Nothing installed yet? [Watch a recorded run](site/replay.md) in your browser."
TOCTREES = """
```{toctree}
:hidden:
:glob:
:caption: The course

notebooks/[0-9]*
docs/glossary
site/replay
site/files
```

```{toctree}
:hidden:
:glob:
:caption: The library

docs/queue
docs/[!g]*
```

```{toctree}
:hidden:
:glob:
:caption: The local cluster

localcluster/README
localcluster/docs/*
```

```{toctree}
:hidden:
:caption: The project

%s
```
"""


def player(run: str) -> str:
    """Return the player of a recording as a block of a page, with the recording in it."""
    lines = (ROOT / f"notebooks/recordings/{run}.jsonl").read_text("utf-8").splitlines()[1:]
    events = [json.loads(line) for line in lines]
    for event in events:
        event.pop("stream_id", None)
    data = json.dumps(events, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'```{{raw}} html\n<div class="wq-replay" data-run="{run}">'
        f'<script type="application/json">{data}</script><noscript>Without JavaScript, type '
        f"<code>wqlib replay {run} --lanes</code> in a terminal.</noscript></div>\n```"
    )


def add_player(cells: list[dict[str, Any]], run: str) -> None:
    """Put a player after the live view of a notebook, before the next heading."""
    text = (
        "On this page the live view stands still. Here is a recorded run to play "
        f"([there are more](../site/replay.md)):\n\n{player(run)}\n\n"
    )
    shown = False
    for cell in cells:
        source = "".join(cell["source"])
        shown = shown or "Dashboard(" in source
        heading = re.search(r"^##+ \w", source, re.MULTILINE)
        if shown and heading and cell["cell_type"] == "markdown":
            cell["source"] = source[: heading.start()] + text + source[heading.start() :]
            break


def hide_answers(cells: list[dict[str, Any]]) -> None:
    """Leave the reader time to guess: what happened is shown when it is asked for."""
    for cell in cells:
        source = "".join(cell["source"])
        if "wqlib.compare(" in source:
            cell["metadata"].setdefault("tags", []).append("hide-output")
        for output in cell.get("outputs", []) if "wqlib.predict(" in source else []:
            text = "".join(output.get("data", {}).get("text/plain", ""))
            if text:  # nothing here can be clicked
                output["data"]["text/plain"] = re.sub(r" Click, or .*", "", text)


def load_player(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Let the pages that have a player load it."""
    if 'class="wq-replay"' in context.get("body", ""):
        app.add_js_file("replay.js", loading_method="defer")


def read(app: Sphinx, docname: str, content: list[str]) -> None:
    """Put in what only the site has: contents, listings, pages that stand for folders."""
    here = (ROOT / docname).parent
    up = "../" * len(here.relative_to(ROOT).parts)

    def page_of_folder(match: re.Match[str]) -> str:
        folder = (here / match[1]).resolve().relative_to(ROOT).as_posix()
        return f"]({up}{FOLDERS[folder]})" if folder in FOLDERS else match[0]

    def listings(match: re.Match[str]) -> str:
        files = sorted(path for path in (ROOT / match[1]).iterdir() if path.is_file())
        return "\n".join(
            f"### `{path.name}`\n\n"
            f"```{{literalinclude}} {up}{path.relative_to(ROOT)}\n"
            f":language: {LANGUAGES.get(path.suffix, 'text')}\n```\n"
            for path in files
        )

    text = content[0]
    if app.env.doc2path(docname).suffix == ".ipynb":
        notebook = json.loads(text)
        notebook["metadata"].pop("widgets", None)  # what only a kernel can bring to life
        hide_answers(notebook["cells"])
        if docname in RECORDINGS:
            add_player(notebook["cells"], RECORDINGS[docname])
        text = json.dumps(notebook)
    else:
        text = re.sub(r"<!-- replay: (\w+) -->", lambda match: player(match[1]), text)
    text = re.sub(r"\]\(((?:\.\./)*[\w./-]+/)\)", page_of_folder, text)
    text = re.sub(r"<!-- files: (\S+) -->", listings, text)
    if docname == root_doc:
        pages = ["notebooks/INSTRUCTORS", "CONTRIBUTING", "CHANGELOG"]
        text = text.replace("\n## ", f"\n{WATCH}\n\n## ", 1)
        text += TOCTREES % "\n".join(page for page in pages if (ROOT / f"{page}.md").exists())
    content[0] = text


def add_index(app: Sphinx, error: Exception | None) -> None:
    """A folder's page is index.html: the start page once more."""
    if error is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    app.connect("source-read", read)
    app.connect("html-page-context", load_player)
    app.connect("build-finished", add_index)
