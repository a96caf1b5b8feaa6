"""Items as text that a terminal or a log can take, whatever bytes they are.

This module is pure: it does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_LINE = 200


def shown(text: bytes | str, longest: int = LONGEST_LINE) -> str:
    """Return an item as one harmless line: no control characters, not too long.

    Args:
        text: The item. Bytes that are not UTF-8 are shown as `\\xNN`.
        longest: How many bytes (of text: characters) to show; " ..." stands for the rest.
    """
    start = text[:longest]
    if isinstance(start, bytes):
        start = start.decode("utf-8", "backslashreplace")
    line = start
    if not start.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in start)
    return line + " ..." if len(text) > longest else line


def failure(error: BaseException) -> str:
    """Return what went wrong as one harmless line: `ValueError: no luck`."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:
        text = type(error).__name__
    return shown(text.encode("utf-8", "backslashreplace"))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines with aligned columns. The last column is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return [
        "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]])
        for row in rows
    ]
