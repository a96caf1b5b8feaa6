"""How controls are labelled."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets


def labelled(pixels: int) -> dict[str, Any]:
    """Return the options of a control with a label, of a given width."""
    return {
        "style": {"description_width": "initial"},
        "layout": widgets.Layout(width=f"{pixels}px"),
    }
