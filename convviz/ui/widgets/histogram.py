"""A histogram: bars over the numbers that they count."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from convviz.core.numbers import format_number, grouped
from convviz.ui import theme

Floats = NDArray[np.floating]
Counts = NDArray[np.integer]

HEIGHT: Final = 11.0
"""Height in spacing units, the numbers below included."""
AXIS: Final = 2.25
"""Height of the numbers below the bars."""
LEAST_BAR: Final = 1.5
"""Height in px of a bar that counts anything at all."""
LABEL_DIGITS: Final = 3


class Histogram(QWidget):
    """Shows how many numbers lie in each of several ranges of one width; zero is marked where it lies inside."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: Counts = np.zeros(0, np.int64)
        self._edges: Floats = np.zeros(1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)

    def show_counts(self, counts: Counts, edges: Floats) -> None:
        """Show the counts of ranges (N,) between edges (N + 1,)."""
        self._counts, self._edges = counts, edges
        self.setAccessibleDescription(
            self.tr("{count} numbers from {first} to {last}").format(
                count=int(counts.sum()), first=format_number(float(edges[0])), last=format_number(float(edges[-1]))
            )
        )
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self.show_counts(np.zeros(0, np.int64), np.zeros(1))

    def words_at(self, x: float) -> str:
        """Return what the bar at ``x`` px counts, or nothing."""
        bars = self._bars()
        if not len(self._counts) or not bars.left() <= x < bars.right():
            return ""
        k = min(len(self._counts) - 1, int((x - bars.left()) / bars.width() * len(self._counts)))
        first, last = (format_number(float(edge)) for edge in self._edges[k : k + 2])
        count = int(self._counts[k])
        words = self.tr("1 number") if count == 1 else self.tr("{count} numbers").format(count=grouped(count))
        return self.tr("{first} to {last}: {numbers}").format(first=first, last=last, numbers=words)

    def sizeHint(self) -> QSize:
        """Return a height in which shapes can be told apart."""
        unit = theme.unit()
        return QSize(round(30 * unit), round(HEIGHT * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the same height and a width that still leaves bars."""
        unit = theme.unit()
        return QSize(round(12 * unit), round(HEIGHT * unit))

    def _bars(self) -> QRectF:
        return QRectF(self.rect()).adjusted(0, 0, 0, -AXIS * theme.unit())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the bars, the line below them, the mark of zero, and the numbers at both ends."""
        if not len(self._counts):
            return
        painter, colors, bars = QPainter(self), theme.colors(self.palette()), self._bars()
        left, right = float(self._edges[0]), float(self._edges[-1])
        width, most = bars.width() / len(self._counts), max(1, int(self._counts.max()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.palette().color(QPalette.ColorRole.Highlight))
        for k in np.flatnonzero(self._counts).tolist():
            x, next_x = (round(bars.left() + at * width) for at in (k, k + 1))
            height = max(LEAST_BAR, int(self._counts[k]) / most * (bars.height() - 1))
            painter.drawRect(QRectF(x, bars.bottom() - height, max(1, next_x - x - (width >= 4)), height))
        painter.setPen(QPen(colors.border, 1))
        painter.drawLine(QPointF(bars.left(), bars.bottom()), QPointF(bars.right(), bars.bottom()))
        self._paint_axis(painter, bars, left, right)

    def _paint_axis(self, painter: QPainter, bars: QRectF, left: float, right: float) -> None:
        painter.setPen(theme.colors(self.palette()).muted)
        font = theme.font(0.85)
        painter.setFont(font)
        area = QRectF(bars.left(), bars.bottom(), bars.width(), AXIS * theme.unit())
        texts = [format_number(value, LABEL_DIGITS) for value in (left, right)]
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignLeft, texts[0])
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignRight, texts[1])
        if left < 0 < right:
            x = bars.left() - left / (right - left) * bars.width()
            painter.drawLine(QPointF(x, bars.bottom()), QPointF(x, bars.bottom() + 0.5 * theme.unit()))
            room = theme.text_width(font, texts[0]), bars.width() - theme.text_width(font, texts[1])
            half = theme.text_width(font, "0")
            if room[0] + half < x - bars.left() < room[1] - half:
                painter.drawText(area.translated(x - area.center().x(), 0), middle | Qt.AlignmentFlag.AlignHCenter, "0")

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what the bar below the pointer counts."""
        QToolTip.showText(event.globalPosition().toPoint(), self.words_at(event.position().x()), self)

    def event(self, event: QEvent) -> bool:
        """Follow the font, and leave the tooltip to the pointer's moves."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            return True
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
        return super().event(event)
