"""The colour bar of maps that are shown beside each other."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.core import display
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.kept_picture import KeptPicture
from convviz.ui.widgets.numerals import draw_line

SIZE = 0.85
WIDEST = "−0.000"
BAR = 8.0
"""Length of the colours between two usual numbers, in units."""
GAP = 0.75


class ColorBar(QWidget):
    """Shows which numbers the ends of a colour scale stand for. It keeps its size, whatever the numbers."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._signed, self._grey = True, False
        self._low, self._high = "", ""
        self._colors = KeptPicture()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setToolTip(self.tr("The numbers that the strongest colours stand for."))

    def show_scale(self, level: float | None, signed: bool, grey: bool = False) -> None:
        """Show the |value| of the strongest colour; None where each map has its own."""
        high = self.tr("max") if level is None else format_number(level, 3)
        low = f"−{high}" if signed else "0"
        if (low, high, signed, grey) != (self._low, self._high, self._signed, self._grey):
            self._low, self._high, self._signed, self._grey = low, high, signed, grey
            self.setAccessibleName(
                self.tr("{name}: colours from {low} to {high}").format(name=self._name, low=low, high=high)
            )
            self.update()

    @property
    def ends(self) -> tuple[str, str]:
        """What stands at both ends."""
        return self._low, self._high

    def sizeHint(self) -> QSize:
        """Return room for the bar between two numbers."""
        unit = theme.unit()
        width = 2 * theme.text_width(theme.font(SIZE), WIDEST) + (BAR + 2 * GAP) * unit
        return QSize(round(width), round(2.5 * unit))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the numbers and, between them, the colours, which lie where they are for all usual numbers."""
        if not self._high:
            return
        painter, unit, font = QPainter(self), theme.unit(), theme.font(SIZE)
        box, widest = QRectF(self.rect()), theme.text_width(font, WIDEST)
        left, right = (max(widest, theme.text_width(font, text)) + GAP * unit for text in self.ends)
        bar = box.adjusted(left, 0.6 * unit, -right, -0.6 * unit)
        key = self.palette().cacheKey(), self._signed, self._grey
        colors = self._colors.get(
            key, bar.size(), self.devicePixelRatioF(), lambda on: self._paint_colors(on, bar.size())
        )
        painter.drawPixmap(bar.topLeft(), colors)
        painter.setFont(font)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        draw_line(painter, box.adjusted(0, 0, -(box.right() - bar.left() + GAP * unit), 0), self._low, font, right=True)
        draw_line(painter, box.adjusted(bar.right() + GAP * unit, 0, 0, 0), self._high, font)

    def _paint_colors(self, painter: QPainter, size: QSizeF) -> None:
        bar = QRectF(QPointF(0, 0), size)
        first = 1 if self._signed and not self._grey else display.ZERO
        colors = color_map(theme.is_dark(self.palette()), self._grey).argb[None, first:].copy()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(bar, image_of(colors))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        painter.drawRect(bar.adjusted(0, 0, -1, -1))
