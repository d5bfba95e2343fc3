"""Names that come from files, made harmless to look at."""

from __future__ import annotations

import unicodedata
from typing import Final

MOST_LENGTH: Final = 400
"""Characters of a name that are shown; who names a tensor by a novel gets an ellipsis."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories of characters that are not seen, or make others look like something else."""
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_ISOLATE, _END_OF_ISOLATE = "\u2066", "\u2069"


def shortened(name: str, most: int) -> str:
    """Return a name of at most so many characters (3 or more), with an ellipsis in its middle if it is longer."""
    if len(name) <= most:
        return name
    start = most // 2
    return f"{name[:start]}…{name[len(name) - (most - 1 - start) :]}"


def visible(name: str) -> str:
    """Return a name as one line of text that shows every character of it and nothing beside it.

    Control and formatting characters become their code points, "‹U+202E›". The dotted parts of a name stand from left
    to right, whichever way their letters run. What is too long ends with an ellipsis. It still has to be shown as plain
    text: markup stays as it is.
    """
    cut = name if len(name) <= MOST_LENGTH else name[: MOST_LENGTH - 1] + "…"
    shown = "".join(
        f"‹U+{ord(character):04X}›" if unicodedata.category(character) in _HIDDEN else character for character in cut
    )
    return ".".join(map(_isolated, shown.split(".")))


def _isolated(part: str) -> str:
    """Return a part of a name; letters that run from right to left carry nothing beside it along."""
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in part):
        return _ISOLATE + part + _END_OF_ISOLATE
    return part
