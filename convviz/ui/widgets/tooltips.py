"""Tooltips that quote what users wrote."""

from __future__ import annotations

from html import escape
from typing import Final

from convviz.core.plain_text import visible

LINE_LENGTH: Final = 72
"""Characters of a line of a name."""


def plain(text: str) -> str:
    """Return a tooltip that shows a text as it is, whatever markup it looks like."""
    return "<span>" + escape(text).replace("\n", "<br>") + "</span>"


def name_tooltip(name: str, *lines: str) -> str:
    """Return a tooltip with a name of any length, in lines, and what is said of it below."""
    shown = visible(name)
    parts = [shown[start : start + LINE_LENGTH] for start in range(0, len(shown), LINE_LENGTH)]
    return plain("\n".join([*parts, *lines]))
