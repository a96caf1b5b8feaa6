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
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "Parallel work on Kubernetes"
html_static_path = ["style.css"]
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
LANGUAGES = {"": "docker", ".lua": "lua", ".py": "python", ".yaml": "yaml"}
TOCTREES = """
```{toctree}
:hidden:
:glob:
:caption: The course

notebooks/[0-9]*
site/files
```

```{toctree}
:hidden:
:glob:
:caption: The library

docs/queue
docs/*
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
        text = json.dumps(notebook)
    text = re.sub(r"\]\(((?:\.\./)*[\w./-]+/)\)", page_of_folder, text)
    text = re.sub(r"<!-- files: (\S+) -->", listings, text)
    if docname == root_doc:
        pages = ["notebooks/INSTRUCTORS", "CONTRIBUTING", "CHANGELOG"]
        text += TOCTREES % "\n".join(page for page in pages if (ROOT / f"{page}.md").exists())
    content[0] = text


def add_index(app: Sphinx, error: Exception | None) -> None:
    """A folder's page is index.html: the start page once more."""
    if error is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    app.connect("source-read", read)
    app.connect("build-finished", add_index)
