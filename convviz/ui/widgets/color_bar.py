"""The colour bar of maps that are shown beside each other."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.core import display
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.numerals import draw_line

SIZE = 0.85
WIDEST = "−0.0000"


class ColorBar(QWidget):
    """Shows which numbers the ends of a colour scale stand for. It keeps its size, whatever the numbers."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._signed, self._grey = True, False
        self._low, self._high = "", ""
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
        return QSize(round(2 * theme.text_width(theme.font(SIZE), WIDEST) + 7 * unit), round(2.5 * unit))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the numbers and, between them, the colours."""
        painter, unit, font = QPainter(self), theme.unit(), theme.font(SIZE)
        if not self._high:
            return
        painter.setFont(font)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        box, left, right = QRectF(self.rect()), *(theme.text_width(font, text) for text in self.ends)
        draw_line(painter, box, self._low, font)
        draw_line(painter, box, self._high, font, right=True)
        bar = box.adjusted(left + 0.75 * unit, 0.6 * unit, -right - 0.75 * unit, -0.6 * unit)
        first = 1 if self._signed and not self._grey else display.ZERO
        colors = color_map(theme.is_dark(self.palette()), self._grey).argb[None, first:].copy()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(bar, image_of(colors))
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        painter.drawRect(bar)
