"""Text that changes with every step: placed by summed character widths, without laying out each new string."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFont, QPainter

from convviz.ui import theme


def draw_centered(painter: QPainter, center: QPointF, text: str, font: QFont) -> None:
    """Draw one line around a point; ``font`` must be the painter's font already."""
    metrics = theme.line_metrics(font)
    painter.drawText(QPointF(center.x() - metrics.width(text) / 2, center.y() + metrics.baseline), text)


def draw_line(painter: QPainter, box: QRectF, text: str, font: QFont, right: bool = False) -> None:
    """Draw one line in the vertical middle of a box, at its left or right; ``font`` must be the painter's font."""
    metrics = theme.line_metrics(font)
    x = box.right() - metrics.width(text) if right else box.left()
    painter.drawText(QPointF(x, box.center().y() + metrics.baseline), text)
