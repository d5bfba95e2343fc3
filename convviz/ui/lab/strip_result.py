"""The text column of the strip: spelled-out terms as far as there is room, partial sums, the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QCoreApplication, QRectF

from convviz.core.explain import FloatArray
from convviz.ui import theme
from convviz.ui.lab.strip_drawings import SUMS_UNITS, paint_sums
from convviz.ui.lab.strip_painter import RESULT_UNITS, TEXT_UNITS, Pieces, StripPainter
from convviz.ui.lab.strip_words import Terms


def write_result(
    pen: StripPainter,
    box: QRectF,
    terms: Terms | None,
    closing: Sequence[Pieces],
    sums: tuple[FloatArray, int] | None = None,
) -> None:
    """Write the spelled-out terms, shortened where they do not fit, and the closing lines.

    ``sums``, the partial sums (C,) and which of them is chosen, are painted as colours between the two.
    """
    line_height, result_height, sums_height = (units * pen.unit for units in (TEXT_UNITS, RESULT_UNITS, SUMS_UNITS))
    room = box.height() - (len(closing) - 1) * line_height - result_height
    line_box = QRectF(box.left(), box.top(), box.width(), line_height)
    if sums is not None and sums_height <= room:
        room -= sums_height
    else:
        sums = None
    if terms is not None:
        font = pen.font()
        for text in shortened(terms, partial(theme.text_width, font), box.width(), int(room // line_height)):
            pen.write(line_box, text, font, pen.colors.muted)
            line_box.translate(0, line_height)
    if sums is not None:
        paint_sums(pen, QRectF(box.left(), line_box.top(), box.width(), sums_height), *sums)
        line_box.translate(0, sums_height)
    for line in closing:
        line_box.setHeight(result_height if any(style == "result" for _, style in line) else line_height)
        pen.write_pieces(line_box, line)
        line_box.translate(0, line_box.height())


def shortened(terms: Terms, width: Callable[[str], float], room: float, most: int) -> list[str]:
    """Return up to ``most`` lines of terms no wider than ``room``; the last counts the terms left out."""
    if most <= 0 or not terms.rows:
        return []
    lines = wrapped(terms.rows, terms.separator, width, room)
    if len(lines) <= most and not terms.left_out:
        return [text for text, _ in lines]
    lines = lines[: most - 1]
    more = QCoreApplication.translate("StripResult", "… and {count} more terms")
    count = terms.count - sum(shown for _, shown in lines)
    last, rest = "", [term for row in terms.rows for term in row][terms.count - count :]
    for term in rest:
        longer = last + term + (terms.separator if count > 1 else "")
        if width(longer + (more.format(count=count - 1) if count > 1 else "")) > room:
            break
        last, count = longer, count - 1
    return [*(text for text, _ in lines), last + (more.format(count=count) if count else "")]


def wrapped(
    rows: Sequence[Sequence[str]], separator: str, width: Callable[[str], float], room: float
) -> list[tuple[str, int]]:
    """Return lines no wider than ``room`` with the number of their terms: the rows if they fit, else filled anew."""
    texts = [separator.join(row) for row in rows]
    if all(width(text + separator) <= room for text in texts):
        between = separator.rstrip()
        return [
            (text + (between if k < len(rows) - 1 else ""), len(row))
            for k, (text, row) in enumerate(zip(texts, rows, strict=True))
        ]
    lines, text, count = [], "", 0
    terms = [term for row in rows for term in row]
    for k, term in enumerate(terms):
        piece = term + (separator if k < len(terms) - 1 else "")
        if text and width(text + piece) > room:
            lines.append((text, count))
            text, count = "", 0
        text, count = text + piece, count + 1
    return [*lines, (text, count)]
