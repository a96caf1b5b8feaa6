"""A run on one page: an HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
th {{ text-align: left; font-weight: normal; padding-right: 2rem }}
td {{ font-weight: bold }}
img {{ max-width: 100%; background: white }}
figure {{ margin: 1.5rem 0 }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
{rows}
</table>
{figures}
</body>
</html>
"""


def report(
    path: str | Path, title: str, facts: Mapping[str, object], pictures: Mapping[str, bytes]
) -> None:
    """Write a page about a run.

    Args:
        path: The HTML file.
        title: What came out, in a line.
        facts: The rows of the table, such as "lost" and 0.
        pictures: PNG images, by their captions.
    """
    rows = [
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
    ]
    figures = [
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(png).decode()}"><figcaption>{html.escape(caption)}</figcaption></figure>'
        for caption, png in pictures.items()
    ]
    page = _PAGE.format(title=html.escape(title), rows="\n".join(rows), figures="\n".join(figures))
    Path(path).write_text(page, "utf-8")
