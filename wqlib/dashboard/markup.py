"""The texts of the live view as HTML, with everything escaped that came from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from ..history import PodRow
from ..history.words import item_seconds

_FONT = (
    "font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: 13px; "
    "line-height: 20px; color: var(--jp-ui-font-color1, inherit);"
)
_DIM = "color: var(--jp-ui-font-color2, inherit);"
_STYLE = f"""<style>
table.wqlib {{ {_FONT} border-collapse: collapse; font-variant-numeric: tabular-nums; }}
table.wqlib th, table.wqlib td {{ padding: 0 16px 0 0; white-space: nowrap; text-align: left; }}
table.wqlib th {{ font-weight: 600; position: sticky; top: 0;
  background: var(--jp-layout-color0, Canvas); }}
table.wqlib .right {{ text-align: right; }}
/* Without its kernel a view is the last picture, and says so; no broken chains are added. */
.wqlib-view.jupyter-widgets-disconnected::before,
.wqlib-view .jupyter-widgets-disconnected::before {{ display: none !important; }}
.wqlib-view.jupyter-widgets-disconnected .wqlib-live {{ display: none; }}
.wqlib-view.jupyter-widgets-disconnected .wqlib-was-live {{ display: inline !important; }}
.wqlib-picture {{ position: relative !important; overflow: visible; }}
button.wqlib-lane {{ position: absolute !important; left: 0; margin: 0; padding: 0; border: 0;
  background: transparent; box-shadow: none !important; cursor: pointer; }}
button.wqlib-lane:hover {{ background: rgb(86 180 233 / 15%); }}
button.wqlib-lane:focus-visible {{ outline: 2px solid #0072b2; outline-offset: -2px; }}
.wqlib-details p {{ {_FONT} margin: 0; }}
.wqlib-details pre {{ margin: 0 0 4px; font-size: 12px; line-height: 16px; white-space: pre-wrap; }}
.wqlib-view.jupyter-widgets-disconnected :is(button, input, select, .slider-container) {{
  opacity: 0.5; pointer-events: none; }}
</style>"""
_LIVE = (
    '<span class="wqlib-live">Live</span>'
    '<span class="wqlib-was-live" style="display: none">'
    "The kernel has ended, this is its last picture</span>"
)
_COLUMNS: tuple[tuple[str, str, Callable[[PodRow], str]], ...] = (
    ("pod", "left", lambda row: row.pod),
    ("state", "left", lambda row: row.state),
    ("done", "right", lambda row: f"{row.done:,}"),
    ("lost", "right", lambda row: f"{row.lost:,}"),
    ("now working on", "left", lambda row: row.working_on or "–"),
    ("mean", "right", lambda row: item_seconds(row.mean_seconds)),
    ("p95", "right", lambda row: item_seconds(row.p95_seconds)),
    ("busy", "right", lambda row: f"{row.busy:.0%}"),
)


def header(summary: str, state: str, trouble: str = "") -> str:
    """Return the run in words, read out by screen readers when it changes.

    Args:
        summary: Where the run stands.
        state: "Live", "Stopped", ...
        trouble: What is wrong, or "".

    Returns:
        HTML two lines high.
    """
    said = f"<strong>{escape(trouble)}</strong> " if trouble else ""
    mark = " ·" if said or summary else ""
    shown = _LIVE if state == "Live" else escape(state)
    return (
        f'<div role="status" aria-live="polite" aria-atomic="true" style="{_FONT}">'
        f'<span style="{_DIM}">{shown}{mark}</span> {said}{escape(summary)}</div>'
    )


def note(text: str) -> str:
    """Return what became of the last request, in one line."""
    return f'<div role="status" aria-live="polite" style="{_FONT} {_DIM}">{escape(text)}</div>'


def said(text: str) -> str:
    """Return what a picture shows, in a few sentences below it."""
    return f'{_STYLE}<div role="status" aria-live="polite" style="{_FONT}">{escape(text)}</div>'


def table(rows: Iterable[PodRow]) -> str:
    """Return the table of pods, a line for each."""
    head = "".join(f'<th scope="col" class="{side}">{name}</th>' for name, side, _ in _COLUMNS)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return (
        f'{_STYLE}<table class="wqlib"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def details(known: list[str], log: str, events: str, leases: list[str]) -> str:
    """Return what is known of an item and a pod, the pod's last log lines, events and leases."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in known)
    for title, text in (("Its last log lines", log), ("Its events", events)):
        if text:
            lines += f"<p><strong>{title}</strong></p><pre>{escape(text)}</pre>"
    lines += "<p><strong>Its last leases</strong></p>" if leases else ""
    lines += "".join(f"<p>{escape(line)}</p>" for line in leases)
    return f'{_STYLE}<div class="wqlib-details">{lines}</div>'


def _cells(row: PodRow) -> str:
    return "".join(f'<td class="{side}">{escape(of(row))}</td>' for _, side, of in _COLUMNS)
