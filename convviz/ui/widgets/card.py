"""A panel of the page: a rounded surface with a border."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

from convviz.ui import theme


class Card(QWidget):
    """Stacks its content on a surface, which is the background of everything inside."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._restyle()

    def add(self, widget: QWidget, stretch: int = 0) -> None:
        """Add content at the bottom."""
        self._column.addWidget(widget, stretch)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the surface and its border."""
        painter, colors, unit = QPainter(self), theme.colors(self.palette()), theme.unit()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colors.border, 1))
        painter.setBrush(colors.surface)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), unit, unit)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_column"):
            self._restyle()
        super().changeEvent(event)

    def _restyle(self) -> None:
        _recolour(self, QPalette.ColorRole.Window, theme.colors(QApplication.palette()).surface)
        unit = theme.unit()
        self._column.setContentsMargins(*[round(1.25 * unit)] * 4)
        self._column.setSpacing(round(0.75 * unit))


def _recolour(widget: QWidget, role: QPalette.ColorRole, color: QColor) -> None:
    """Give a widget one colour of its own; it goes on following the application in all others."""
    if widget.palette().color(role) != color:
        palette = QPalette()
        palette.setColor(role, color)
        widget.setPalette(palette)


class Hint(QLabel):
    """Says, in the middle of an empty card, when there will be something to see."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        self._mute()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._mute()

    def _mute(self) -> None:
        _recolour(self, QPalette.ColorRole.WindowText, theme.colors(QApplication.palette()).muted)
