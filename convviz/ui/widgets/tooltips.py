"""Tooltips that quote what users wrote."""

from __future__ import annotations

from html import escape


def plain(text: str) -> str:
    """Return a tooltip that shows a text as it is, whatever markup it looks like."""
    return "<span>" + escape(text).replace("\n", "<br>") + "</span>"
